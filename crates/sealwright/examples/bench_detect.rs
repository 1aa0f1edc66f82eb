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

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;

const BATCH: u64 = 100;
const SENDERS: u64 = 8;
const MARKERS_A_SECOND: u64 = 25;
const RULE: &str = "\
title: Benchmark marker
id: 5e1f0d3a-7a53-4d3c-9d6b-0f7b8f5d2c11
status: test
author: Sealwright
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: BenchmarkMarker}
  condition: selection
level: medium
";
const RULE_ID: &str = "5e1f0d3a-7a53-4d3c-9d6b-0f7b8f5d2c11";

struct Server {
    child: Child,
    base: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("SEALWRIGHT__DATA__FOLDER", data)
        .current_dir(data)
        .stdin(Stdio::null());
    command
}

fn key(program: &Path, data: &Path, of: &[&str]) -> String {
    let mut made = command(program, data);
    made.args(["access", "key", "create", "--output", "json"]);
    let out = made.args(of).output().expect("the program runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let made: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    made["key"].as_str().expect("a key").to_owned()
}

fn serve(program: &Path, data: &Path) -> Server {
    let mut child = command(program, data)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let base = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
        .expect("the server listens");
    // Read to the end, so that the server can always write.
    std::thread::spawn(move || lines.for_each(drop));
    Server { child, base }
}

/// A CloudTrail record as a CloudEvent, as long as they usually are.
fn event(n: u64, marker: Option<u64>) -> Value {
    let now = jiff::Timestamp::now().to_string();
    let user = marker.map_or_else(|| format!("user-{}", n % 500), |m| format!("marker-{m}"));
    let name = match (marker, n % 5) {
        (Some(_), _) => "BenchmarkMarker",
        (None, 0) => "GetObject",
        (None, 1) => "DescribeInstances",
        (None, 2) => "AssumeRole",
        (None, 3) => "PutObject",
        (None, _) => "ListBuckets",
    };
    json!({
        "specversion": "1.0", "id": format!("{n}"), "source": "/bench/trail", "type": "aws.cloudtrail",
        "time": now, "datacontenttype": "application/json",
        "data": {
            "eventVersion": "1.09", "eventTime": now, "eventSource": "s3.amazonaws.com", "eventName": name,
            "awsRegion": "eu-central-1", "sourceIPAddress": format!("198.51.100.{}", n % 250),
            "userAgent": "aws-sdk-rust/1.3.4 os/linux lang/rust/1.90.0", "requestID": format!("{n:016X}"),
            "eventID": format!("{n:032x}"), "readOnly": true, "eventType": "AwsApiCall",
            "managementEvent": true, "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "principalId": format!("AIDA{n:012}"), "userName": user,
                "arn": format!("arn:aws:iam::111122223333:user/{user}"), "accountId": "111122223333",
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
            "requestParameters": {"bucketName": format!("data-{}", n % 40), "key": format!("2026/11/{n}.parquet")},
        },
    })
}

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    /// Keys of tenants, which send in turn.
    writers: Arc<Vec<String>>,
    reader: String,
    next: Arc<AtomicU64>,
}

impl Client {
    /// Sends a batch; the markers are events of it that raise an alert each.
    async fn send(&self, markers: std::ops::Range<u64>) {
        let first = self.next.fetch_add(BATCH, Ordering::Relaxed);
        let mut markers = markers.map(Some).chain(std::iter::repeat(None));
        let batch: Vec<Value> = (first..first + BATCH)
            .map(|n| event(n, markers.next().flatten()))
            .collect();
        let turn = (first / BATCH) as usize % self.writers.len();
        let answer = self
            .http
            .post(format!("{}/api/events", self.base))
            .bearer_auth(&self.writers[turn])
            .header("content-type", "application/cloudevents-batch+json")
            .body(Value::Array(batch).to_string())
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        assert_eq!(status, 202, "{}", answer.text().await.unwrap_or_default());
    }

    /// The markers whose alerts can be read, newest first.
    async fn seen(&self) -> Vec<u64> {
        let url = format!("{}/api/siem/alerts?rule={RULE_ID}&limit=100", self.base);
        let answer = self.http.get(url).bearer_auth(&self.reader).send().await;
        let body = answer.expect("an answer").bytes().await.expect("a body");
        let found: Value = serde_json::from_slice(&body).expect("JSON");
        let items = found["items"].as_array().expect("a list");
        let marker = |entity: &Value| {
            entity["value"]
                .as_str()?
                .strip_prefix("marker-")?
                .parse()
                .ok()
        };
        items
            .iter()
            .flat_map(|alert| alert["entities"].as_array().into_iter().flatten())
            .filter_map(marker)
            .collect()
    }

    async fn wait_for(&self, marker: u64) {
        let since = Instant::now();
        while !self.seen().await.contains(&marker) {
            assert!(
                since.elapsed() < Duration::from_secs(300),
                "no alert of marker {marker}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Client {
    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request
            .bearer_auth(&self.reader)
            .header("content-type", "application/json")
            .timeout(Duration::from_secs(600));
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let (status, body) = (answer.status(), answer.bytes().await.expect("a body"));
        assert!(status.is_success(), "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    /// The same client, that sends for so many tenants.
    async fn of_tenants(&self, tenants: usize) -> Self {
        let mut writers = Vec::new();
        for n in 0..tenants {
            let slug = format!("bench-{tenants}-{n}");
            self.post("/api/access/tenants", &json!({"slug": slug}))
                .await;
            let key = json!({"tenant": slug, "scopes": ["events:write"]});
            let made = self.post("/api/access/keys", &key).await;
            writers.push(made["key"].as_str().expect("a key").to_owned());
        }
        Self {
            writers: Arc::new(writers),
            ..self.clone()
        }
    }

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
}

impl Client {
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
        println!(
            "{}",
            json!({
                "bench": "siem", "case": format!("retro-hunt of {case} over the same events"), "ours": speed,
                "peer": rate, "peer_name": "the stream", "unit": "events/s", "ratio": speed / rate,
            })
        );
    }
}

fn row(case: &str, ours: f64, unit: &str) {
    println!(
        "{}",
        json!({
            "bench": "siem", "case": case, "ours": ours, "peer": null, "peer_name": null,
            "unit": unit, "ratio": null,
        })
    );
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
        "events/s",
    );
    row(
        &format!("events detected, the same load to its end, tenants: {tenants}"),
        rate,
        "events/s",
    );
    rate
}

/// Half of the rate: milliseconds from when a marker was due until its alert was read, in order.
async fn latencies(client: &Client, rate: f64, seconds: u64) -> Vec<f64> {
    let due: Arc<Mutex<HashMap<u64, Instant>>> = Arc::default();
    let stop = tokio_util::sync::CancellationToken::new();
    let reader = {
        let (client, due, stop) = (client.clone(), Arc::clone(&due), stop.clone());
        tokio::spawn(async move {
            let mut took = Vec::new();
            while !stop.is_cancelled() {
                let seen = client.seen().await;
                let now = Instant::now();
                let mut due = due.lock().await;
                took.extend(
                    seen.iter()
                        .filter_map(|marker| due.remove(marker))
                        .map(|since| (now - since).as_secs_f64() * 1_000.0),
                );
                drop(due);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            took
        })
    };
    let batches = (rate / BATCH as f64 * seconds as f64) as u64;
    let every = Duration::from_secs(seconds).div_f64(batches as f64);
    let (began, first, mut marker) = (Instant::now(), 1_000, 1_000);
    let mut sent = Vec::new();
    for n in 0..batches {
        let at = began + every.mul_f64(n as f64);
        tokio::time::sleep_until(at.into()).await;
        let wanted = first + (at - began).as_millis() as u64 * MARKERS_A_SECOND / 1_000;
        let markers = marker..wanted.max(marker);
        marker = markers.end;
        due.lock()
            .await
            .extend(markers.clone().map(|marker| (marker, at)));
        let client = client.clone();
        sent.push(tokio::spawn(async move { client.send(markers).await }));
    }
    for batch in sent {
        batch.await.unwrap();
    }
    let since = Instant::now();
    while !due.lock().await.is_empty() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "alerts are missing: {:?}",
            due.lock().await.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    let mut took = reader.await.unwrap();
    assert_eq!(took.len() as u64, marker - first);
    took.sort_by(f64::total_cmp);
    took
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let (mut program, mut seconds) = (None, 30);
    while let Some(arg) = args.next() {
        let value = args.next().expect("a value");
        match arg.as_str() {
            "--program" => program = Some(PathBuf::from(value)),
            "--seconds" => seconds = value.parse().expect("a number"),
            other => panic!("unknown argument {other}"),
        }
    }
    let program = program.expect("--program PATH");
    // Commands run in the data folder.
    let program = std::path::absolute(program).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let writer = key(
        &program,
        folder.path(),
        &["--tenant", "bench", "--scope", "events:write"],
    );
    let reader = key(&program, folder.path(), &["--all-tenants", "--scope", "*"]);
    let server = serve(&program, folder.path());
    let client = Client {
        http: reqwest::Client::new(),
        base: server.base.clone(),
        writers: Arc::new(vec![writer]),
        reader,
        next: Arc::default(),
    };
    let put = client
        .http
        .put(format!("{}/api/siem/rule-files/bench.yml", client.base))
        .bearer_auth(&client.reader)
        .header("content-type", "application/yaml")
        .body(RULE)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 200, "{}", put.text().await.unwrap());
    client.send(0..1).await;
    client.wait_for(0).await;
    let rate = most(&client, seconds, 1).await;
    let took = latencies(&client, rate / 2.0, seconds).await;
    let at = |part: f64| took[((took.len() as f64 * part) as usize).min(took.len() - 1)];
    row("HTTP to alert at half of that, median", at(0.5), "ms");
    row(
        "HTTP to alert at half of that, p99 (at most 1,000)",
        at(0.99),
        "ms",
    );
    row("HTTP to alert at half of that, largest", at(1.0), "ms");
    hunts(&client, rate).await;
    for tenants in [24, 1_000] {
        let many = client.of_tenants(tenants).await;
        // Not a marker that was sent before.
        most(&many, seconds, 900_000 + tenants as u64).await;
    }
}
