//! A server of the whole program with built-in rules and one of our own, and a client that sends it records and reads alerts.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;

pub(crate) const BATCH: u64 = 100;
const MARKERS_A_SECOND: u64 = 25;
pub(crate) const RULE: &str = "\
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

pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
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
pub(crate) fn event(n: u64, marker: Option<u64>) -> Value {
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
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    /// Keys of tenants, which send in turn.
    pub(crate) writers: Arc<Vec<String>>,
    pub(crate) reader: String,
    /// The number of the next event.
    pub(crate) next: Arc<AtomicU64>,
}

impl Client {
    /// Sends a batch; the markers are events of it that raise an alert each.
    pub(crate) async fn send(&self, markers: std::ops::Range<u64>) {
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
    pub(crate) async fn seen(&self) -> Vec<u64> {
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

    pub(crate) async fn wait_for(&self, marker: u64) {
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
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
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

    /// The same client, that sends for so many new tenants, whose names begin so.
    pub(crate) async fn of_tenants(&self, name: &str, tenants: usize) -> Self {
        let mut writers = Vec::new();
        for n in 0..tenants {
            let slug = format!("{name}-{n}");
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
}

/// So many events a second: milliseconds from when a marker was due until its alert was read, in order. `first` is the
/// first marker; each is sent once.
pub(crate) async fn latencies(client: &Client, rate: f64, seconds: u64, first: u64) -> Vec<f64> {
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
    let (began, mut marker) = (Instant::now(), first);
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
            since.elapsed() < Duration::from_secs(300),
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

/// The value below which such a part of `ordered` is.
pub(crate) fn at(ordered: &[f64], part: f64) -> f64 {
    ordered[((ordered.len() as f64 * part) as usize).min(ordered.len() - 1)]
}

/// A new installation with the rule of [`RULE_ID`] in it, its server, and a client that sends for the tenant `bench`. It
/// is there as long as the folder is.
pub(crate) async fn begin(program: &Path) -> (tempfile::TempDir, Server, Client) {
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
    (folder, server, client)
}

/// The program, and for how many seconds to measure: `--program PATH [--seconds N]`.
pub(crate) fn arguments(mut seconds: u64) -> (PathBuf, u64) {
    let mut args = std::env::args().skip(1);
    let mut program = None;
    while let Some(arg) = args.next() {
        let value = args.next().expect("a value");
        match arg.as_str() {
            "--program" => program = Some(PathBuf::from(value)),
            "--seconds" => seconds = value.parse().expect("a number"),
            other => panic!("unknown argument {other}"),
        }
    }
    (program.expect("--program PATH"), seconds)
}

/// Prints a figure; a higher ratio to the peer is better.
pub(crate) fn row(case: &str, ours: f64, peer: Option<(&str, f64)>, unit: &str) {
    let ratio = peer.map(|(_, peer)| {
        if unit == "ms" {
            peer / ours
        } else {
            ours / peer
        }
    });
    println!(
        "{}",
        json!({
            "bench": "siem", "case": case, "ours": ours, "peer": peer.map(|(_, peer)| peer),
            "peer_name": peer.map(|(name, _)| name), "unit": unit, "ratio": ratio,
        })
    );
}
