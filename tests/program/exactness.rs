//! Metered totals equal the senders' own ledger, whatever happens to the server.
//!
//! Senders keep a ledger of what they have sent. Each batch is sent until it is acknowledged; some are sent
//! again much later, twice at once, or mixed with others. Meanwhile the server is killed at random moments
//! (also while it starts), and its writes fail: on SQLite by a limit on the size of files, which makes every
//! write of the process fail, on PostgreSQL by ending its connections.
//!
//! `SEALWRIGHT_TEST_KILLS=200` kills that often; CI has time for a few.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{Place, Server, ago, setting};

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const MODELS: [&str; 2] = ["gpt-large", "gpt-small"];
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// Tenant, meter, UTC day, model, region.
type Row = (String, String, String, String, String);
type Ledger = BTreeMap<Row, Decimal>;

/// What the senders counted beside their ledgers.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    duplicates: AtomicU64,
}

struct Sender {
    tenant: &'static str,
    key: String,
    number: usize,
    made: u64,
    random: StdRng,
    /// Where the server is now; empty while there is none.
    base: watch::Receiver<String>,
    counts: Arc<Counts>,
    ledger: Ledger,
    /// Some events that were acknowledged.
    old: Vec<Value>,
}

impl Sender {
    fn add(&mut self, meter: &str, day: &str, model: &str, region: &str, quantity: Decimal) {
        let row = (
            self.tenant.to_owned(),
            meter.to_owned(),
            day.to_owned(),
            model.to_owned(),
            region.to_owned(),
        );
        *self.ledger.entry(row).or_default() += quantity;
    }

    /// A new event, in the ledger from here on.
    fn event(&mut self) -> Value {
        self.made += 1;
        let id = format!("{}-{}-{}", self.tenant, self.number, self.made);
        let time = ago(self.random.random_range(60..30 * 86_400));
        let day = time[..10].to_owned();
        let region = REGIONS[self.random.random_range(0..REGIONS.len())];
        let (kind, data) = match self.random.random_range(0..4) {
            0 => {
                // Thousandths of an hour, so that decimals are added up.
                let hours = Decimal::new(self.random.random_range(0..5_000), 3);
                self.add("compute.hours", &day, "", region, hours);
                let hours: Value = serde_json::from_str(&hours.to_string()).unwrap();
                ("compute", json!({ "hours": hours, "region": region }))
            }
            1 => {
                let queries = self.random.random_range(0..100_000u64);
                self.add("database.queries", &day, "", region, queries.into());
                ("database", json!({ "queries": queries, "region": region }))
            }
            _ => {
                let model = MODELS[self.random.random_range(0..MODELS.len())];
                let (input, output) = (
                    self.random.random_range(0..8_000u64),
                    self.random.random_range(0..2_000u64),
                );
                self.add("ai.requests", &day, model, region, Decimal::ONE);
                self.add("ai.input_tokens", &day, model, region, input.into());
                self.add("ai.output_tokens", &day, model, region, output.into());
                let mut data = json!({
                    "model": model, "region": region, "input_tokens": input, "output_tokens": output,
                });
                if self.random.random_bool(0.3) {
                    let cached = self.random.random_range(0..1_000u64);
                    self.add("ai.cached_input_tokens", &day, model, region, cached.into());
                    data["cached_input_tokens"] = cached.into();
                }
                ("ai", data)
            }
        };
        json!({
            "specversion": "1.0", "id": id, "source": format!("/sender/{}", self.number),
            "type": format!("sealwright.usage.{kind}.v1"), "time": time, "data": data,
        })
    }

    /// One attempt; whether everything was acknowledged.
    async fn attempt(&self, client: &reqwest::Client, form: &Form) -> bool {
        let mut base = self.base.clone();
        if base.wait_for(|base| !base.is_empty()).await.is_err() {
            return false;
        }
        let url = format!("{}/api/events", base.borrow().as_str());
        let mut request = client
            .post(url)
            .bearer_auth(&self.key)
            .body(form.body.clone());
        for (name, value) in &form.headers {
            request = request.header(*name, *value);
        }
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let answer = match request.timeout(Duration::from_secs(20)).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                response.bytes().await.map(|body| (status, body))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok((202, body)) => {
                let receipt: Value = serde_json::from_slice(&body).expect("a receipt");
                let told = |name: &str| receipt[name].as_u64().expect("a count");
                assert_eq!(
                    told("accepted") + told("duplicates"),
                    form.events,
                    "{receipt}"
                );
                self.counts
                    .duplicates
                    .fetch_add(told("duplicates"), Ordering::Relaxed);
                true
            }
            Ok((503, _)) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                false
            }
            Ok((status, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
            Err(_) => {
                self.counts.cut.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// Sends until told to stop, and then until its last batch is acknowledged.
    async fn run(mut self, stop: Arc<AtomicBool>) -> (Ledger, u64) {
        let client = reqwest::Client::new();
        while !stop.load(Ordering::SeqCst) {
            let size = self.random.random_range(1..30);
            let mut batch: Vec<Value> = (0..size).map(|_| self.event()).collect();
            let kept = batch[0].clone();
            // Something old among the new, and something twice in a batch.
            if !self.old.is_empty() && self.random.random_bool(0.3) {
                let old = self.random.random_range(0..self.old.len());
                batch.push(self.old[old].clone());
            }
            if self.random.random_bool(0.1) {
                batch.push(batch[0].clone());
            }
            let mut form = Form::of(&batch, &mut self.random);
            loop {
                let done = if self.random.random_bool(0.1) {
                    // As a proxy that retries by itself would: both may arrive.
                    let (one, two) =
                        tokio::join!(self.attempt(&client, &form), self.attempt(&client, &form));
                    one || two
                } else {
                    self.attempt(&client, &form).await
                };
                if done {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(self.random.random_range(1..30))).await;
                // A retry may have another form.
                form = Form::of(&batch, &mut self.random);
            }
            self.old.push(kept);
        }
        (self.ledger, self.made)
    }
}

/// Events as a request.
struct Form {
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    events: u64,
}

impl Form {
    fn of(events: &[Value], random: &mut StdRng) -> Self {
        let lines = random.random_bool(0.3);
        let (media, mut body) = if lines {
            let lines: Vec<String> = events.iter().map(Value::to_string).collect();
            ("application/x-ndjson", lines.join("\n").into_bytes())
        } else {
            let batch = Value::from(events.to_vec()).to_string();
            ("application/cloudevents-batch+json", batch.into_bytes())
        };
        let mut headers = vec![("content-type", media)];
        match random.random_range(0..5) {
            0 => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&body).unwrap();
                body = gzip.finish().unwrap();
                headers.push(("content-encoding", "gzip"));
            }
            1 => {
                body = zstd::bulk::compress(&body, 1).unwrap();
                headers.push(("content-encoding", "zstd"));
            }
            _ => {}
        }
        Self {
            headers,
            body,
            events: events.len() as u64,
        }
    }
}

/// Every write of the process to a file beyond `bytes` fails from now on (`None`: no longer).
fn limit_writes(process: u32, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let done = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &format!("--fsize={limit}:")])
        .stderr(Stdio::null())
        .status();
    // It may have been gone already.
    let _ = done.expect("prlimit of util-linux");
}

/// The server whose writes beyond a limit fail with an error instead of ending it with a signal.
fn serve(place: &Place) -> Server {
    let program = place.command();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" serve --listen 127.0.0.1:0"])
        .arg(program.get_program())
        .env_clear()
        .current_dir(&place.folder);
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    Server::of(command).unwrap_or_else(|log| panic!("no server after a kill:\n{log}"))
}

/// Makes what the server writes fail for a moment.
async fn fail_writes(place: &Place, server: &Server, random: &mut StdRng) {
    let pause = Duration::from_millis(random.random_range(10..120));
    match &place.url {
        None => {
            limit_writes(server.child.id(), Some(random.random_range(0..40_000)));
            tokio::time::sleep(pause).await;
            // Half of the time it is killed in this state.
            if random.random_bool(0.5) {
                limit_writes(server.child.id(), None);
                tokio::time::sleep(pause).await;
            }
        }
        Some(url) => {
            let database = url.rsplit('/').next().unwrap_or_default();
            let end = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = '{database}' AND pid <> pg_backend_pid()"
            );
            crate::support::sql(url, &end).await;
            tokio::time::sleep(pause).await;
        }
    }
}

async fn kill_and_compare(place: &Place, kills: usize) {
    let seed = setting("SEALWRIGHT_TEST_SEED", rand::random::<u32>() as usize) as u64;
    eprintln!("{}: {kills} kills, SEALWRIGHT_TEST_SEED={seed}", place.name);
    let mut random = StdRng::seed_from_u64(seed);
    let scopes = "events:write,billing:read,lake:read";
    let keys: Vec<String> = TENANTS
        .iter()
        .map(|tenant| place.key(tenant, scopes))
        .collect();
    let (tell, base) = watch::channel(String::new());
    let (stop, counts) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(Counts::default()),
    );
    let senders: Vec<_> = (0..6)
        .map(|number| {
            let sender = Sender {
                tenant: TENANTS[number % TENANTS.len()],
                key: keys[number % TENANTS.len()].clone(),
                number,
                made: 0,
                random: StdRng::seed_from_u64(random.random()),
                base: base.clone(),
                counts: Arc::clone(&counts),
                ledger: Ledger::new(),
                old: Vec::new(),
            };
            tokio::spawn(sender.run(Arc::clone(&stop)))
        })
        .collect();
    let mut faults = 0;
    for _ in 0..kills {
        if random.random_bool(0.15) {
            // It does not get as far as listening, or just so.
            let mut child = place
                .command()
                .args(["serve", "--listen", "127.0.0.1:0"])
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
            child.kill().unwrap();
            child.wait().unwrap();
            continue;
        }
        let server = serve(place);
        tell.send_replace(server.base.clone());
        tokio::time::sleep(Duration::from_millis(random.random_range(1..250))).await;
        if random.random_bool(0.4) {
            faults += 1;
            fail_writes(place, &server, &mut random).await;
        }
        server.kill();
        tell.send_replace(String::new());
    }
    let server = Server::start(place);
    tell.send_replace(server.base.clone());
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::SeqCst);
    let (mut ledger, mut sent) = (Ledger::new(), 0);
    for sender in senders {
        let (rows, made) = sender.await.expect("a sender");
        sent += made;
        for (row, quantity) in rows {
            *ledger.entry(row).or_default() += quantity;
        }
    }
    let ready = server.caught_up().await;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    eprintln!(
        "{}: {sent} events in {} requests; {} cut off, {} refused, {faults} faults, {} duplicates sent",
        place.name,
        count(&counts.requests),
        count(&counts.cut),
        count(&counts.refused),
        count(&counts.duplicates),
    );
    assert!(sent > 100, "only {sent} events were sent");
    assert_eq!(
        ready["log_head"], sent,
        "one place in the log for each event"
    );
    compare_api(&server, &keys, &ledger).await;
    // The stored events are the same ones.
    let question = json!({ "sql": "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM events" });
    let mut stored = 0;
    for key in &keys {
        let answer = server
            .post(key, "/api/lake/query", &question)
            .await
            .expect(200)
            .json();
        stored += answer["rows"][0][0]
            .as_u64()
            .unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(answer["rows"][0][0], answer["rows"][0][1], "each id once");
    }
    assert_eq!(stored, sent, "the lake holds each event once");
    assert!(server.stop().success());
    let shown = place.json(&[
        "billing",
        "usage",
        "show",
        "--grain",
        "day",
        "--group-by",
        "model,region",
        "--from",
        &ago(32 * 86_400),
    ]);
    assert_eq!(metered(&shown, None), ledger, "{}: the command", place.name);
    place.ok(&["ledger", "verify"]);
    place.ok(&["doctor"]);
}

async fn compare_api(server: &Server, keys: &[String], ledger: &Ledger) {
    for (tenant, key) in TENANTS.iter().zip(keys) {
        let query = format!(
            "/api/billing/usage?grain=day&group_by=model,region&from={}",
            ago(32 * 86_400)
        );
        let answer = server.get(key, &query).await.expect(200).json();
        let own: Ledger = ledger
            .iter()
            .filter(|(row, _)| row.0 == *tenant)
            .map(|(row, quantity)| (row.clone(), *quantity))
            .collect();
        assert_eq!(metered(&answer, Some(tenant)), own, "{tenant}");
    }
}

/// The rows of an answer, which hold the tenant's own only.
fn metered(answer: &Value, tenant: Option<&str>) -> Ledger {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = answer["items"].as_array().expect("items");
    let rows = items.iter().map(|item| {
        if let Some(tenant) = tenant {
            assert_eq!(item["tenant"], tenant, "another tenant's usage");
        }
        let row = (
            text(&item["tenant"]),
            text(&item["meter"]),
            text(&item["from"])[..10].to_owned(),
            text(&item["dimensions"]["model"]),
            text(&item["dimensions"]["region"]),
        );
        (row, text(&item["quantity"]).parse().expect("a quantity"))
    });
    let count = items.len();
    let rows: Ledger = rows.collect();
    assert_eq!(rows.len(), count, "each row once");
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_exact_on_sqlite() {
    kill_and_compare(&Place::sqlite(), setting("SEALWRIGHT_TEST_KILLS", 12)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_are_exact_on_postgres() {
    if let Some(place) = Place::postgres().await {
        kill_and_compare(&place, setting("SEALWRIGHT_TEST_KILLS", 8)).await;
    }
}
