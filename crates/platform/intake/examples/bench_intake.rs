//! Acknowledged-durable events per second over loopback HTTP, and PostgreSQL fed the same batches.
//!
//! `bench_intake [EVENTS] [FOLDER]` (default 2,000,000, and a temporary folder): batches of 100 events of
//! about 300 bytes, 10 % duplicates; server and load generator in this process. The peer
//! is the server of `SEALWRIGHT_TEST_POSTGRES`, with `synchronous_commit=on`, one prepared
//! `INSERT … SELECT FROM unnest(…) ON CONFLICT DO NOTHING` a batch; it gets a tenth of the events. Both are measured
//! with 4, 8, 16, 32 and 64 connections first, on a tenth of the events, and the best number counts. Events are made by
//! writing digits into a text that is there, so that making them costs neither of both much. One line of JSON a figure.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sealwright_core::{Id, Problem, SystemClock, TenantId, TenantScope, UnixMicros};
use sealwright_events::Catalogue;
use sealwright_intake::api::{IntakeApi, router};
use sealwright_intake::{
    Authenticate, FileLog, FileLogOptions, Intake, IntakeOptions, NoQuotas, Sender, TenantDirectory,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: u64 = 100;
const CONNECTIONS: [u64; 5] = [4, 8, 16, 32, 64];

struct Anyone(TenantId);

#[async_trait]
impl Authenticate for Anyone {
    async fn authenticate(&self, _: Option<&str>) -> Result<Sender, Problem> {
        Ok(Sender {
            key_id: "key".into(),
            scope: TenantScope::One(self.0),
            may_write_events: true,
        })
    }
}

#[async_trait]
impl TenantDirectory for Anyone {
    async fn resolve(&self, _: &str) -> Result<Option<TenantId>, Problem> {
        Ok(Some(self.0))
    }
}

/// The events of a batch: every tenth was in the connection's batch before.
fn numbers(connection: u64, batch: u64) -> impl Iterator<Item = u64> {
    (0..BATCH).map(move |i| {
        let batch = if i % 10 == 9 && batch > 0 {
            batch - 1
        } else {
            batch
        };
        let i = if i % 10 == 9 { i - 1 } else { i };
        (connection << 40) | (batch * BATCH + i)
    })
}

/// The text of an event, with room for what differs from one to another.
struct Template {
    text: Vec<u8>,
    id: usize,
    subject: usize,
    input: usize,
    output: usize,
}

impl Template {
    fn new(time: UnixMicros) -> Self {
        // The time does not change within a run, so that a repeated event is the same event.
        let text = format!(
            r#"{{"specversion":"1.0","id":"req-################","source":"/gateway/eu-west-1/7","type":"sealwright.usage.ai.v1","subject":"user-#####","time":"{time}","data":{{"model":"gpt-large","region":"eu-west-1","input_tokens":####,"output_tokens":####}}}}"#
        );
        let place = |before: &str| text.find(before).unwrap() + before.len();
        Self {
            id: place("\"req-"),
            subject: place("\"user-"),
            input: place("\"input_tokens\":"),
            output: place("\"output_tokens\":"),
            text: text.into_bytes(),
        }
    }

    /// Writes the event `n` to `out`, which has the length of the text.
    fn write(&self, n: u64, out: &mut [u8]) {
        out.copy_from_slice(&self.text);
        digits(n, 16, &mut out[self.id..self.id + 16]);
        digits(n % 50_000, 10, &mut out[self.subject..self.subject + 5]);
        digits(1_000 + n % 4_096, 10, &mut out[self.input..self.input + 4]);
        digits(
            1_000 + n % 1_024,
            10,
            &mut out[self.output..self.output + 4],
        );
    }

    /// The body of a request.
    fn batch(&self, numbers: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
        out.clear();
        for n in numbers {
            out.push(if out.is_empty() { b'[' } else { b',' });
            let start = out.len();
            out.resize(start + self.text.len(), 0);
            self.write(n, &mut out[start..]);
        }
        out.push(b']');
    }
}

fn digits(mut n: u64, base: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(n % base) as usize];
        n /= base;
    }
}

struct Measured {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

fn measured(events: u64, start: Instant, mut times: Vec<Duration>) -> Measured {
    times.sort();
    Measured {
        per_second: events as f64 / start.elapsed().as_secs_f64(),
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

async fn ours(port: u16, batches: u64, connections: u64, run: u64) -> Measured {
    let template = Arc::new(Template::new(sealwright_core::Clock::now(&SystemClock)));
    let start = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|connection| {
            let template = Arc::clone(&template);
            // Not the numbers of another run.
            let connection = run * 64 + connection;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut body, mut answer) = (Vec::new(), vec![0; 64 << 10]);
                let mut times = Vec::new();
                for batch in 0..batches / connections {
                    template.batch(numbers(connection, batch), &mut body);
                    let head = format!(
                        "POST /api/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\
                         content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    let sent = Instant::now();
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(&body).await.unwrap();
                    let mut got = 0;
                    loop {
                        got += stream.read(&mut answer[got..]).await.unwrap();
                        if answer[..got].ends_with(b"}]}") {
                            break;
                        }
                    }
                    assert!(
                        answer.starts_with(b"HTTP/1.1 202"),
                        "{}",
                        String::from_utf8_lossy(&answer[..got])
                    );
                    times.push(sent.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    measured(batches / connections * connections * BATCH, start, times)
}

async fn postgres(url: &str, batches: u64, connections: u64) -> Measured {
    let connect = || async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("SET synchronous_commit = on")
            .await
            .unwrap();
        client
    };
    connect()
        .await
        .batch_execute(
            "DROP TABLE IF EXISTS bench_event;
             CREATE TABLE bench_event (tenant TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL,
                 body TEXT NOT NULL, PRIMARY KEY (tenant, source, id));",
        )
        .await
        .unwrap();
    let template = Arc::new(Template::new(UnixMicros(1_795_000_000_000_000)));
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(connect().await);
    }
    let start = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .zip(0..)
        .map(|(client, connection)| {
            let template = Arc::clone(&template);
            tokio::spawn(async move {
                let insert = client
                    .prepare(
                        "INSERT INTO bench_event (tenant, source, id, body)
                         SELECT $1, $2, i, b FROM unnest($3::text[], $4::text[]) AS u(i, b)
                         ON CONFLICT DO NOTHING",
                    )
                    .await
                    .unwrap();
                let mut times = Vec::new();
                for batch in 0..batches / connections {
                    let (mut ids, mut bodies) = (Vec::new(), Vec::new());
                    for n in numbers(connection, batch) {
                        let mut body = vec![0; template.text.len()];
                        template.write(n, &mut body);
                        let body = String::from_utf8(body).unwrap();
                        ids.push(body[template.id - 4..template.id + 16].to_owned());
                        bodies.push(body);
                    }
                    let sent = Instant::now();
                    client
                        .execute(&insert, &[&"ten_1", &"/gateway/eu-west-1/7", &ids, &bodies])
                        .await
                        .unwrap();
                    times.push(sent.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let result = measured(batches / connections * connections * BATCH, start, times);
    connect()
        .await
        .batch_execute("DROP TABLE bench_event")
        .await
        .unwrap();
    result
}

fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1024.0
}

fn line(case: &str, ours: f64, peer: Option<f64>, peer_name: &str, unit: &str, higher: bool) {
    let ratio = peer.map(|peer| if higher { ours / peer } else { peer / ours });
    println!(
        "{}",
        serde_json::json!({"bench": "intake", "case": case, "ours": ours, "peer": peer,
            "peer_name": peer_name, "unit": unit, "ratio": ratio})
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(2_000_000, |n| n.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let folder = arguments
        .next()
        .map_or_else(|| temporary.path().join("log"), PathBuf::from);
    let batches = events / BATCH;

    let opening = Instant::now();
    let log = FileLog::open(&folder, FileLogOptions::default()).unwrap();
    eprintln!("opened in {:?}", opening.elapsed());
    let intake = Intake::start(
        Arc::new(log.clone()),
        vec![Arc::new(Catalogue)],
        Arc::new(SystemClock),
        IntakeOptions::default(),
    );
    let anyone = Arc::new(Anyone(Id::new(UnixMicros(0))));
    let app = router(IntakeApi {
        intake,
        authenticate: anyone.clone(),
        tenants: anyone,
        quotas: Arc::new(NoQuotas),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut best = (0.0, 0);
    for (run, connections) in (0..).zip(CONNECTIONS) {
        let result = ours(port, (batches / 10).max(640), connections, run).await;
        eprintln!(
            "{connections} connections: {:.0} events/s, batch p50 {:?} p99 {:?}",
            result.per_second, result.p50, result.p99
        );
        if best.0 < result.per_second {
            best = (result.per_second, connections);
        }
    }
    // In slices, so that a slower end shows.
    let mut slices = Vec::new();
    let start = Instant::now();
    for slice in 0..10 {
        let each = batches / 10;
        let result = ours(port, each, best.1, 100 + slice).await;
        eprintln!(
            "{:>10} events: {:>8.0} events/s, batch p50 {:?} p99 {:?}, memory {:.0} MiB",
            (slice + 1) * each * BATCH,
            result.per_second,
            result.p50,
            result.p99,
            memory_mib()
        );
        slices.push(result);
    }
    let rate = (batches / 10 * 10 * BATCH) as f64 / start.elapsed().as_secs_f64();
    let p99 = slices.iter().map(|s| s.p99).max().unwrap_or_default();
    let memory = memory_mib();

    let mut best: Option<Measured> = None;
    if let Ok(url) = std::env::var("SEALWRIGHT_TEST_POSTGRES") {
        for connections in CONNECTIONS {
            let result = postgres(&url, (batches / 10).max(640), connections).await;
            eprintln!(
                "PostgreSQL, {connections} connections: {:.0} events/s, p99 {:?}",
                result.per_second, result.p99
            );
            if best
                .as_ref()
                .is_none_or(|b| b.per_second < result.per_second)
            {
                best = Some(result);
            }
        }
    } else {
        eprintln!("skipped: PostgreSQL (SEALWRIGHT_TEST_POSTGRES is not set)");
    }
    let peer = "PostgreSQL 15, INSERT … ON CONFLICT DO NOTHING";
    let peer_rate = best.as_ref().map(|b| b.per_second);
    let peer_p99 = best.as_ref().map(|b| b.p99.as_secs_f64() * 1e3);
    line("durable events", rate, peer_rate, peer, "events/s", true);
    line(
        "batch p99 (worst tenth)",
        p99.as_secs_f64() * 1e3,
        peer_p99,
        peer,
        "ms",
        false,
    );
    line(
        "memory at the end, with the load generator",
        memory,
        None,
        "",
        "MiB",
        false,
    );
}
