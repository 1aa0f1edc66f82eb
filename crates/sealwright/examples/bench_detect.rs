//! From an event over HTTP to its alert, in the whole program: how many events a second it keeps up with, and how
//! long an alert takes at half of that.
//!
//! `bench_detect --program PATH [--seconds 30]`: starts `PATH serve` with a data folder of its own, all built-in
//! rules on, and sends batches of 100 CloudTrail records over loopback; client and server share the machine's cores.
//! First as many as are answered: the rate is that of the events whose detection is finished (a last event raises an
//! alert; records are detected in the order of the log). Then half of that in an open loop, with 25 events a second
//! among them that a rule fires on: each counts from when its batch was due until a reader of
//! `GET /api/siem/alerts`, who asks every 20 ms, sees its alert. By then the event is durable, the alert is sealed
//! in the ledger. Then everything that was sent is looked for: by id, by a field, by a word of the text, and by time alone,
//! 20 times each, page after page until it is found; and what the stream ran, all its rules, runs over all of it as a retro-hunt,
//! once the index is made: the peer of that figure is the stream. At last as many as are answered once more, from 24 and from 1,000
//! tenants, a batch each in turn. One line of JSON a figure; the others have no peer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

#[path = "support/detection.rs"]
mod detection;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use detection::{Client, RULE, arguments, at, begin, latencies, row};
use serde_json::{Value, json};

const SENDERS: u64 = 8;

impl Client {
    /// Waits until everything that was acknowledged is stored.
    async fn stored(&self) {
        let since = Instant::now();
        loop {
            let url = format!("{}/health/ready", self.base);
            let answer = self.http.get(url).send().await.expect("an answer");
            let ready: Value =
                serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
            if ready["lake_next_offset"] == ready["log_head"] {
                return;
            }
            assert!(
                since.elapsed() < Duration::from_secs(300),
                "the lake is behind: {ready}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has the index made of what is stored.
    async fn indexed(&self) {
        let run = self
            .post("/api/jobs/runs", &json!({"job": "lake.index"}))
            .await;
        let url = format!(
            "{}/api/jobs/runs/{}",
            self.base,
            run["id"].as_str().expect("a run")
        );
        let since = Instant::now();
        loop {
            let answer = self.http.get(&url).bearer_auth(&self.reader).send().await;
            let body = answer.expect("an answer").bytes().await.expect("a body");
            let run: Value = serde_json::from_slice(&body).expect("JSON");
            match run["state"].as_str() {
                Some("done") => return eprintln!("index: {} {:?}", run["result"], since.elapsed()),
                Some("queued" | "running") => {}
                _ => panic!("{run}"),
            }
            assert!(since.elapsed() < Duration::from_secs(1_800), "{run}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Looks for what was sent, and runs the rules over it; `rate` is what the stream took.
async fn hunts(client: &Client, rate: f64) {
    client.stored().await;
    client.indexed().await;
    let events = client.next.load(Ordering::Relaxed);
    let now = jiff::Timestamp::now();
    let hours = jiff::SignedDuration::from_hours(2);
    let (from, to) = ((now - hours).to_string(), (now + hours).to_string());
    let hunt = |query: String| json!({"query": query, "tenant": "bench", "from": from, "to": to, "limit": 50});
    let cases = [
        (
            "an id",
            (|n| format!("id:{}", n * 7)) as fn(u64) -> String,
            1,
        ),
        ("a field", |n| format!("user.name:marker-{}", 1_000 + n), 1),
        (
            "a word of the text",
            |n| format!("\"marker-{}\"", 1_000 + n),
            1,
        ),
        ("time alone", |_| String::new(), events),
    ];
    for (case, query, wanted) in cases {
        let mut took = Vec::new();
        for n in 1..=20 {
            let since = Instant::now();
            let mut body = hunt(query(n));
            // A page ends after so many events; the next one goes on.
            let found = loop {
                let found = client.post("/api/siem/hunt", &body).await;
                if found["total"] != 0 || found["next"].is_null() {
                    break found;
                }
                body["cursor"] = found["next"].clone();
            };
            took.push(since.elapsed().as_secs_f64() * 1_000.0);
            assert_eq!(found["total"].as_u64(), Some(wanted), "{case}: {found}");
        }
        took.sort_by(f64::total_cmp);
        row(
            &format!("hunt by {case} over {events} events, p95"),
            took[18],
            None,
            "ms",
        );
    }
    // The first time reads from the disk what later ones have in memory.
    for (case, body) in [
        ("one rule", json!({"rules": RULE, "tenant": "bench"})),
        ("all rules", json!({"tenant": "bench"})),
        ("all rules, again", json!({"tenant": "bench"})),
    ] {
        let report = client.post("/api/siem/retro", &body).await;
        assert_eq!(report["events"].as_u64(), Some(events), "{report}");
        let speed = events as f64 / report["seconds"].as_f64().expect("seconds");
        row(
            &format!("retro-hunt of {case} over the same events"),
            speed,
            Some(("the stream", rate)),
            "events/s",
        );
    }
}

/// As much as is answered, until the last is detected: events a second.
async fn most(client: &Client, seconds: u64, last: u64) -> f64 {
    let (began, before) = (Instant::now(), client.next.load(Ordering::Relaxed));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                while began.elapsed() < Duration::from_secs(seconds) {
                    client.send(0..0).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let sent = client.next.load(Ordering::Relaxed) - before;
    let answered = began.elapsed().as_secs_f64();
    client.send(last..last + 1).await;
    client.wait_for(last).await;
    let rate = sent as f64 / began.elapsed().as_secs_f64();
    let tenants = client.writers.len();
    row(
        &format!("events acknowledged, as many as are taken, tenants: {tenants}"),
        sent as f64 / answered,
        None,
        "events/s",
    );
    row(
        &format!("events detected, the same load to its end, tenants: {tenants}"),
        rate,
        None,
        "events/s",
    );
    rate
}

#[tokio::main]
async fn main() {
    let (program, seconds) = arguments(30);
    let (_folder, _server, client) = begin(&program).await;
    let rate = most(&client, seconds, 1).await;
    let took = latencies(&client, rate / 2.0, seconds, 1_000).await;
    row(
        "HTTP to alert at half of that, median",
        at(&took, 0.5),
        None,
        "ms",
    );
    row(
        "HTTP to alert at half of that, p99 (at most 1,000)",
        at(&took, 0.99),
        None,
        "ms",
    );
    row(
        "HTTP to alert at half of that, largest",
        at(&took, 1.0),
        None,
        "ms",
    );
    hunts(&client, rate).await;
    for tenants in [24, 1_000] {
        let many = client
            .of_tenants(&format!("bench-{tenants}"), tenants)
            .await;
        // Not a marker that was sent before.
        most(&many, seconds, 900_000 + tenants as u64).await;
    }
}
