//! `kill -9` at random points and failing writes, under load, with senders that retry and keep their own
//! ledger: what the log holds in the end equals the ledger exactly.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use rand::Rng as _;
use sealwright_events::{EventLog, ReadLimit};
use sealwright_intake::{
    COMPONENT, FaultPoint, Faults, FileLog, FileLogOptions, IntakeLog, StoreLog,
};
use sealwright_store::testing::both;
use sealwright_store::{Store, StoreUrl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{app_on, read_all};

const FOLDER: &str = "SEALWRIGHT_TEST_CHILD_FOLDER";
const URL: &str = "SEALWRIGHT_TEST_CHILD_URL";

/// Any write may fail.
#[derive(Debug)]
struct Sometimes;

impl Faults for Sometimes {
    fn at(&self, point: FaultPoint) -> std::io::Result<()> {
        let often = match point {
            FaultPoint::BeforeRun | FaultPoint::AfterRun => 0.2,
            _ => 0.01,
        };
        if rand::rng().random_bool(often) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn options() -> FileLogOptions {
    FileLogOptions {
        segment_bytes: 64 << 10,
        run_ids: 300,
        cache_bytes: 4 << 20,
        faults: Arc::new(Sometimes),
        ..FileLogOptions::default()
    }
}

/// The server, when this binary is started by one of the tests below; otherwise nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_child() {
    let log: Arc<dyn IntakeLog> = if let Ok(folder) = std::env::var(FOLDER) {
        // Completing the index may meet an injected failure too; the next start goes on from there.
        let opened = (0..100).find_map(|_| {
            FileLog::open(Path::new(&folder), options())
                .inspect_err(|error| eprintln!("{error}"))
                .ok()
        });
        Arc::new(opened.unwrap())
    } else if let Ok(url) = std::env::var(URL) {
        let store = Store::open(&url.parse::<StoreUrl>().unwrap())
            .await
            .unwrap();
        Arc::new(StoreLog::open(store).await.unwrap())
    } else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nport {}", listener.local_addr().unwrap().port());
    axum::serve(listener, app_on(log)).await.unwrap();
}

fn start(variable: &str, value: &str) -> (Child, u16) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::serve_child", "--exact", "--nocapture"])
        .env(variable, value)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map(|line| line.unwrap())
        .find_map(|line| line.strip_prefix("port ").map(|p| p.parse().unwrap()))
        .expect("the server starts after a kill");
    // Nobody reads what it says from here on.
    std::thread::spawn(move || lines.for_each(drop));
    (child, port)
}

async fn post(port: u16, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "POST /api/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer one\r\nconnection: close\r\n\
         content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .ok_or_else(cut)?;
    // An answer counts when it is whole.
    serde_json::from_str::<serde_json::Value>(body).map_err(|_| cut())?;
    Ok(status)
}

/// Sends until told to stop, each batch until it is acknowledged; returns what it has sent.
async fn sender(
    number: usize,
    port: Arc<AtomicU16>,
    stop: Arc<AtomicBool>,
) -> BTreeMap<String, u64> {
    let mut ledger = BTreeMap::new();
    let mut old: Vec<String> = Vec::new();
    let mut batches = 0;
    while !stop.load(Ordering::SeqCst) {
        let mut body = String::from("[");
        let size = rand::rng().random_range(1..30);
        for i in 0..size {
            let (id, quantity) = (
                format!("{number}-{batches}-{i}"),
                rand::rng().random_range(0..1000),
            );
            if i > 0 {
                body.push(',');
            }
            body.push_str(&format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","data":{{"n":{quantity}}}}}"#
            ));
            ledger.insert(id, quantity);
        }
        body.push(']');
        batches += 1;
        // Now and then something that was acknowledged long ago is sent again.
        if !old.is_empty() && rand::rng().random_bool(0.2) {
            let again = rand::rng().random_range(0..old.len());
            let _ = post(port.load(Ordering::SeqCst), &old[again]).await;
        }
        loop {
            match post(port.load(Ordering::SeqCst), &body).await {
                Ok(202) => break,
                Ok(503) | Err(_) => tokio::time::sleep(Duration::from_millis(3)).await,
                Ok(other) => panic!("answered {other}"),
            }
        }
        old.push(body);
    }
    ledger
}

async fn run(variable: &str, value: &str, kills: usize) -> BTreeMap<String, u64> {
    let (port, stop) = (
        Arc::new(AtomicU16::new(1)),
        Arc::new(AtomicBool::new(false)),
    );
    let senders: Vec<_> = (0..4)
        .map(|n| tokio::spawn(sender(n, port.clone(), stop.clone())))
        .collect();
    for _ in 0..kills {
        let (mut child, at) = start(variable, value);
        port.store(at, Ordering::SeqCst);
        let wait = rand::rng().random_range(1..80);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (mut child, at) = start(variable, value);
    port.store(at, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::SeqCst);
    let mut ledger = BTreeMap::new();
    for sender in senders {
        ledger.extend(sender.await.unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    ledger
}

async fn compare(log: &dyn EventLog, ledger: &BTreeMap<String, u64>) {
    let mut held = BTreeMap::new();
    for event in read_all(log, ReadLimit::default()).await {
        let n = event.value().unwrap()["data"]["n"].as_u64().unwrap();
        assert_eq!(
            held.insert(event.id.clone(), n),
            None,
            "{} is there twice",
            event.id
        );
    }
    assert!(ledger.len() > 100, "only {} events were sent", ledger.len());
    assert_eq!(held.values().sum::<u64>(), ledger.values().sum::<u64>());
    assert!(held == *ledger, "the log holds what was sent");
}

fn kills(standard: usize) -> usize {
    std::env::var("SEALWRIGHT_TEST_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(standard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_file_log_holds_exactly_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let ledger = run(FOLDER, path.to_str().unwrap(), kills(50)).await;
    let log = FileLog::open(&path, FileLogOptions::default()).unwrap();
    compare(&log, &ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_log_holds_exactly_what_was_sent() {
    for store in both().await {
        let store = store.migrated(&[COMPONENT]).await;
        let url = match &store.url {
            StoreUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            StoreUrl::Postgres(url) => url.clone(),
        };
        let ledger = run(URL, &url, kills(50).div_ceil(5)).await;
        let log = StoreLog::open(Store::clone(&store)).await.unwrap();
        compare(&log, &ledger).await;
    }
}
