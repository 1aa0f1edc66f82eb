//! What one tenant's load does to another's alerts, in the whole program.
//!
//! `bench_apart --program PATH [--seconds 20]`: starts `PATH serve` with a data folder of its own, all built-in rules
//! on. One tenant sends batches of 100 CloudTrail records over loopback, 1,000 a second in an open loop, with 25 among
//! them that a rule fires on; each of those counts from when its batch was due until a reader of `GET /api/siem/alerts`
//! sees its alert. First alone; then beside a second tenant that sends valid batches from eight connections, each as
//! soon as the one before it was answered; then beside the same tenant that sends what cannot be read; then alone again, since
//! machines change. Client and server share the machine's cores, so the second tenant's own work is part of what it takes away.
//! One line of JSON a figure; the peer is the tenant alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

#[path = "support/detection.rs"]
mod detection;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use detection::{BATCH, Client, arguments, at, begin, event, latencies, row};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Events a second of the tenant that is looked at.
const RATE: f64 = 1_000.0;
const CONNECTIONS: usize = 8;

impl Client {
    /// Waits until everything that was sent is through detection: the last event's alert can be read.
    async fn drained(&self) {
        let marker = 10_000_000 + self.next.load(Ordering::Relaxed);
        self.send(marker..marker + 1).await;
        self.wait_for(marker).await;
    }
}

/// What the second tenant sent.
#[derive(Default)]
struct Sent {
    accepted: AtomicU64,
    refused: AtomicU64,
    later: AtomicU64,
}

/// Bodies that cannot be read, or whose events cannot be: one after another.
fn hostile(n: u64) -> Vec<u8> {
    match n % 6 {
        0 => b"[{\"specversion\":\"1.0\",\"id\":\"\xff\xfe\"}]".to_vec(),
        1 => [vec![b'['; 10_000], vec![b']'; 10_000]].concat(),
        2 => format!("[{{\"specversion\":\"1.0\",\"id\":\"{}\"}}]", "x".repeat(7 << 20)).into_bytes(),
        3 => format!("[{{\"specversion\":\"1.0\",\"id\":\"{n}\",\"id\":\"{n}\",\"source\":\"/x\",\"type\":\"aws.cloudtrail\"}}]").into_bytes(),
        // Accepted, and put aside by detection with its reason.
        4 => json!([{"specversion": "1.0", "id": format!("text-{n}"), "source": "/bench/trail", "type": "aws.cloudtrail",
            "datacontenttype": "application/json", "data": "not a record"}]).to_string().into_bytes(),
        _ => json!([{"specversion": "1.0", "id": format!("nan-{n}"), "source": "/bench/trail", "type": "aws.cloudtrail",
            "time": "2026-06-30T23:59:60Z", "data": {"eventTime": "NaN", "eventName": 1e308}}]).to_string().into_bytes(),
    }
}

async fn flood(client: Client, sent: Arc<Sent>, stop: CancellationToken, valid: bool) {
    while !stop.is_cancelled() {
        let first = client.next.fetch_add(BATCH, Ordering::Relaxed);
        let body = if valid {
            let batch: Vec<Value> = (first..first + BATCH).map(|n| event(n, None)).collect();
            Value::Array(batch).to_string().into_bytes()
        } else {
            hostile(first / BATCH)
        };
        let answer = client
            .http
            .post(format!("{}/api/events", client.base))
            .bearer_auth(&client.writers[0])
            .header("content-type", "application/cloudevents-batch+json")
            .body(body)
            .send()
            .await
            .expect("an answer");
        match answer.status().as_u16() {
            202 => &sent.accepted,
            429 => {
                let later = answer.headers()["retry-after"].to_str().unwrap();
                let later = Duration::from_secs(later.parse().unwrap());
                tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(later) => {} }
                &sent.later
            }
            status if status < 500 => &sent.refused,
            status => panic!("{status}: {}", answer.text().await.unwrap_or_default()),
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn main() {
    let (program, seconds) = arguments(20);
    let (_folder, _server, client) = begin(&program).await;
    let other = client.of_tenants("other", 1).await;
    // Not measured: connections, tables and caches are made.
    latencies(&client, RATE, 5, 1_000).await;
    let mut alone: Option<Vec<f64>> = None;
    let runs = [
        ("alone", None),
        ("beside a flood", Some(true)),
        ("beside what cannot be read", Some(false)),
        ("alone again", None),
    ];
    for (n, (case, beside)) in runs.into_iter().enumerate() {
        // Of one rule and tenant only so many alerts are raised in an hour.
        let client = client.of_tenants(&format!("bench-{n}"), 1).await;
        let (sent, stop) = (Arc::new(Sent::default()), CancellationToken::new());
        let mut floods = tokio::task::JoinSet::new();
        for _ in 0..beside.map_or(0, |_| CONNECTIONS) {
            let (sent, stop) = (Arc::clone(&sent), stop.clone());
            floods.spawn(flood(other.clone(), sent, stop, beside == Some(true)));
        }
        let began = std::time::Instant::now();
        let took = latencies(&client, RATE, seconds, 100_000 * (n as u64 + 1)).await;
        let all = began.elapsed().as_secs_f64();
        stop.cancel();
        while let Some(done) = floods.join_next().await {
            done.unwrap();
        }
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / all;
        for (name, part) in [
            ("median", 0.5),
            ("p90", 0.9),
            ("p99", 0.99),
            ("largest", 1.0),
        ] {
            let peer = alone.as_ref().map(|took| ("alone", at(took, part)));
            row(
                &format!("HTTP to alert, {case}, {name}"),
                at(&took, part),
                peer,
                "ms",
            );
        }
        if beside.is_some() {
            eprintln!(
                "{case}: the other tenant had {:.0} batches a second accepted, {:.0} refused, {:.1} told to come later",
                of(&sent.accepted),
                of(&sent.refused),
                of(&sent.later)
            );
        }
        // What is left of the flood is not what the next run is about.
        client.drained().await;
        alone.get_or_insert(took);
    }
}
