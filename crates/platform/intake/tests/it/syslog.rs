//! Syslog over TCP and UDP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwright_core::{ManualClock, Problem, TenantId};
use sealwright_events::{Catalogue, ReadLimit, StoredEvent};
use sealwright_intake::syslog::{Bound, Running, SyslogLimits, SyslogParts};
use sealwright_intake::{Intake, IntakeLog, IntakeOptions, NoQuotas, PerMinute, TenantDirectory};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{NOW, logs, read_all, tenant};

struct Known;

#[async_trait]
impl TenantDirectory for Known {
    async fn resolve(&self, name: &str) -> Result<Option<TenantId>, Problem> {
        Ok((name == "acme").then(|| tenant(1)))
    }
}

struct Listening {
    address: std::net::SocketAddr,
    tell: watch::Sender<bool>,
    task: JoinHandle<()>,
    clock: ManualClock,
}

impl Listening {
    async fn start(log: Arc<dyn IntakeLog>, listener: &str, quota: u64) -> Self {
        let clock = ManualClock::new(NOW);
        let parts = SyslogParts {
            intake: Intake::start(
                log,
                vec![Arc::new(Catalogue)],
                Arc::new(clock.clone()),
                IntakeOptions::default(),
            ),
            tenants: Arc::new(Known),
            quotas: match quota {
                0 => Arc::new(NoQuotas),
                limit => Arc::new(PerMinute::new(limit, Arc::new(clock.clone()))),
            },
            limits: SyslogLimits {
                message_bytes: 600,
                connections: 2,
                idle: Duration::from_secs(60),
            },
        };
        let bound = Bound::open(listener.parse().unwrap()).await.unwrap();
        let address = bound.address();
        let (tell, told) = Running::pair();
        let task = tokio::spawn(bound.run(parts, told));
        Self {
            address,
            tell,
            task,
            clock,
        }
    }

    async fn stop(self) {
        self.tell.send(false).unwrap();
        self.task.await.unwrap();
    }
}

async fn until(log: &Arc<dyn IntakeLog>, count: usize) -> Vec<StoredEvent> {
    for _ in 0..600 {
        let events = read_all(log.as_ref(), ReadLimit::default()).await;
        if events.len() >= count {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{count} events did not come");
}

fn message(event: &StoredEvent) -> String {
    let event: Value = serde_json::from_slice(&event.json).unwrap();
    event["data"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn both_framings_and_forms_are_taken_over_tcp() {
    for test in logs().await {
        let listening = Listening::start(test.log.clone(), "tcp:127.0.0.1:0=acme", 0).await;
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        let modern = format!(
            "<86>1 {NOW} web1 sshd 812 - - Failed password for root from 192.0.2.7 port 50022 ssh2"
        );
        let counted = format!("{} {modern}", modern.len());
        stream.write_all(counted.as_bytes()).await.unwrap();
        stream
            .write_all(b"<13>Feb  1 00:00:00 web2 cron[7]: an old one\njust ")
            .await
            .unwrap();
        stream.flush().await.unwrap();
        stream.write_all(b"words\n\xff\xfe\n").await.unwrap();
        stream
            .write_all(b"<14>the last, without its end")
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        let events = until(&test.log, 5).await;
        let texts: Vec<String> = events.iter().map(message).collect();
        assert_eq!(
            texts,
            [
                "Failed password for root from 192.0.2.7 port 50022 ssh2",
                "an old one",
                "just words",
                "\u{fffd}\u{fffd}",
                "the last, without its end"
            ],
            "{}",
            test.name
        );
        assert!(
            events
                .iter()
                .all(|e| e.tenant == tenant(1) && e.event_type == "syslog.message")
        );
        assert_eq!(events[0].source, "/syslog/web1");
        assert_eq!(events[0].time, NOW);
        assert_eq!(events[2].source, "/syslog/unknown-host");
        // A time that the intake does not take is that of receipt.
        assert_eq!(events[1].time, NOW);
        listening.stop().await;
    }
}

#[tokio::test]
async fn hostile_streams_end_alone() {
    let test = logs().await.remove(0);
    let listening = Listening::start(test.log.clone(), "tcp:127.0.0.1:0=acme", 0).await;
    let mut bad = TcpStream::connect(listening.address).await.unwrap();
    bad.write_all(b"<1>before\n99999999999999 <1>x")
        .await
        .unwrap();
    let events = until(&test.log, 1).await;
    assert_eq!(message(&events[0]), "before");
    let mut end = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut bad, &mut end);
    tokio::time::timeout(Duration::from_secs(10), closed)
        .await
        .unwrap()
        .ok();
    let mut long = TcpStream::connect(listening.address).await.unwrap();
    let mut line = b"<1>".to_vec();
    line.extend(vec![b'x'; 1 << 20]);
    line.extend(b"\n<1>neighbour\n");
    long.write_all(&line).await.unwrap();
    let events = until(&test.log, 3).await;
    assert_eq!(message(&events[1]).len(), 597, "cut at the limit");
    assert_eq!(message(&events[2]), "neighbour");
    // Two connections are open at most: the third is closed, and another takes its place later.
    let _second = TcpStream::connect(listening.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = TcpStream::connect(listening.address).await.unwrap();
    let mut one = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut third, &mut one);
    let read = tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    listening.stop().await;
}

#[tokio::test]
async fn a_tenant_over_its_quota_is_held_back_and_loses_nothing() {
    let test = logs().await.remove(0);
    let listening = Listening::start(test.log.clone(), "tcp:127.0.0.1:0=acme", 3).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream
        .write_all(b"<1>a\n<1>b\n<1>c\n<1>d\n<1>e\n")
        .await
        .unwrap();
    let events = until(&test.log, 3).await;
    assert_eq!(events.len(), 3);
    listening.clock.advance(60_000_000);
    // It waits for at most a minute of its own clock; the next attempt finds the new minute.
    drop(stream);
    let _ = listening.tell.send(false);
    let events = until(&test.log, 5).await;
    assert_eq!(message(&events[4]), "e");
    listening.task.await.unwrap();
}

#[tokio::test]
async fn nobody_hears_what_is_sent_for_a_tenant_that_is_not_there() {
    let test = logs().await.remove(0);
    let listening = Listening::start(test.log.clone(), "tcp:127.0.0.1:0=nobody", 0).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(b"<1>a\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    listening.stop().await;
    assert!(
        read_all(test.log.as_ref(), ReadLimit::default())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn datagrams_are_messages() {
    let test = logs().await.remove(0);
    let listening = Listening::start(test.log.clone(), "udp:127.0.0.1:0=acme", 0).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for text in ["<34>1 - web1 app - - - one", "<13>two", "three\nlines", ""] {
        socket
            .send_to(text.as_bytes(), listening.address)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let events = until(&test.log, 3).await;
    let texts: Vec<String> = events.iter().map(message).collect();
    assert_eq!(texts[..3], ["one", "two", "three\nlines"]);
    listening.stop().await;
}
