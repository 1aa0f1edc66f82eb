//! Questions over lakes of N events, by one process and by three together, against DuckDB over the same Parquet
//! files.
//!
//! `cargo run --release -p sealwright-lake --example bench_lake -- [EVENTS…]` (2 million when not given)
//! prints one JSON object a line: `{"bench","case","ours","peer","peer_name","unit","ratio"}`, times in
//! milliseconds (median of 9 after one unmeasured run), a higher ratio is better for us. DuckDB runs in
//! the Python interpreter that `SEALWRIGHT_DUCKDB_PYTHON` names; without it `peer` and `ratio` are null.
//! All must give the same answer. The three processes share every question, on the same machine: what that costs is seen, and
//! not what more machines bring.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sealwright_core::{Digest, TenantId, TenantScope, UnixMicros};
use sealwright_events::{Consumer as _, StoredEvent};
use sealwright_lake::{CompactPolicy, Lake, LakeWriter, QueryLimits, ShareOptions, WritePolicy};
use secrecy::SecretBox;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const DAY: i64 = sealwright_core::clock::DAY;
/// 2026-08-01T00:00:00Z.
const START: i64 = 1_785_542_400_000_000;
const DAYS: i64 = 92;
const TENANTS: u64 = 24;
const TYPES: [&str; 5] = ["ai", "compute", "storage", "bandwidth", "database"];
const RUNS: usize = 9;

fn tenant(n: u64) -> TenantId {
    format!("ten_{n:032x}").parse().unwrap()
}

fn event(n: u64, total: u64) -> StoredEvent {
    // A multiplicative hash spreads tenants and types without a pattern that would compress away.
    let h = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (n >> 7).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let time =
        UnixMicros(START + (i128::from(n) * i128::from(DAYS * DAY) / i128::from(total)) as i64);
    let kind = TYPES[(h >> 40) as usize % TYPES.len()];
    let event_type = format!("sealwright.usage.{kind}.v1");
    let id = format!("{h:016x}{n:016x}");
    let json = format!(
        r#"{{"data":{{"input_tokens":{},"model":"model-{}","output_tokens":{},"quantity":{},"region":"eu-west-1"}},"id":"{id}","source":"/gateway/{}","specversion":"1.0","subject":"user-{}","time":"{time}","type":"{event_type}"}}"#,
        h % 4_000,
        h % 7,
        h % 900,
        h % 10_000,
        h % 3,
        h % 5_000,
    );
    StoredEvent {
        offset: n,
        tenant: tenant((h >> 20) % TENANTS),
        received_at: time,
        time,
        id,
        source: format!("/gateway/{}", h % 3),
        event_type,
        subject: Some(format!("user-{}", h % 5_000)),
        digest: Digest::of(json.as_bytes()),
        json: Bytes::from(json),
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

const PEER: &str = r#"
import duckdb, json, sys, time
work = json.load(sys.stdin)
db = duckdb.connect()
db.execute("SET threads = 2")
db.execute("SET TimeZone = 'UTC'")
db.execute("CREATE VIEW events AS SELECT * FROM read_parquet(?, hive_partitioning = true)".replace("?", repr(work["files"])))
for sql in work["sql"]:
    db.execute(sql).fetchall()
    times = []
    for _ in range(work["runs"]):
        start = time.perf_counter()
        rows = db.execute(sql).fetchall()
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps({"ms": sorted(times)[len(times) // 2], "answer": [[str(v) for v in r] for r in rows]}))
"#;

fn duckdb(files: &[String], sql: &[String]) -> Option<Vec<Value>> {
    let python = std::env::var("SEALWRIGHT_DUCKDB_PYTHON").ok()?;
    let mut child = Command::new(python)
        .args(["-c", PEER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let work = json!({"files": files, "sql": sql, "runs": RUNS});
    child
        .stdin
        .take()
        .unwrap()
        .write_all(work.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "DuckDB failed");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn parquet_files(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("_delta_log") {
                parquet_files(&path, found);
            }
        } else {
            found.push(path.display().to_string());
        }
    }
}

/// Takes part in questions over the lake in a folder, as another process does.
async fn take_part(folder: &str, from_bytes: u64) -> (Lake, String) {
    let lake = Lake::open_read_only(std::path::Path::new(folder))
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let options = ShareOptions {
        secret: SecretBox::new(Box::new([1; 32])),
        address: address.clone(),
        version: "bench".to_owned(),
        from_bytes,
        memory: QueryLimits::default().memory,
    };
    let server = lake.share(listener, &options).unwrap();
    tokio::spawn(server.run(CancellationToken::new()));
    (lake, address)
}

/// Another process of this program that takes part until it is dropped, and where it is.
struct Other(Child, String);

impl Other {
    fn start(folder: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--part", folder])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut address).unwrap();
        Self(child, address.trim().to_owned())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = args.as_slice()
        && flag == "--part"
    {
        let (_lake, address) = take_part(folder, 1).await;
        println!("{address}");
        std::future::pending::<()>().await;
    }
    let mut sizes: Vec<u64> = args.iter().map(|n| n.parse().unwrap()).collect();
    if sizes.is_empty() {
        sizes.push(2_000_000);
    }
    for size in sizes {
        measure(size).await;
    }
}

fn line(case: &str, ours: f64, peer: Option<(&str, f64)>, unit: &str) {
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
            "bench": "lake", "case": case, "ours": ours, "peer": peer.map(|p| p.1),
            "peer_name": peer.map(|p| p.0), "unit": unit, "ratio": ratio,
        })
    );
}

async fn measure(total: u64) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    let writer = LakeWriter::new(
        lake.clone(),
        WritePolicy {
            age: Duration::from_secs(3_600),
            ..Default::default()
        },
    );
    let mut writing = Duration::ZERO;
    for first in (0..total).step_by(100_000) {
        let events: Vec<_> = (first..(first + 100_000).min(total))
            .map(|n| event(n, total))
            .collect();
        let start = Instant::now();
        writer.consume(&events).await.unwrap();
        writing += start.elapsed();
    }
    let start = Instant::now();
    writer.flush().await.unwrap();
    writing += start.elapsed();
    let end = UnixMicros(START + (DAYS + 1) * DAY);
    let start = Instant::now();
    lake.maintain(end, CompactPolicy::default()).await.unwrap();
    let compacting = start.elapsed();
    let status = lake.status();
    eprintln!(
        "{} events, {} files, {} bytes",
        status.rows, status.files, status.bytes
    );
    let named = |case: &str| format!("{case}, {total} events");
    let rate = |time: Duration| total as f64 / time.as_secs_f64();
    line(&named("write"), rate(writing), None, "events/s");
    line(&named("compact"), rate(compacting), None, "events/s");

    let of = |select: &str, ty: &str| {
        format!(
            "SELECT {select} FROM events WHERE tenant_id = '{}' AND type = 'sealwright.usage.{ty}.v1' AND time >= TIMESTAMP '2026-09-01 00:00:00' AND time < TIMESTAMP '2026-10-01 00:00:00'",
            tenant(5)
        )
    };
    let month =
        "time >= TIMESTAMP '2026-09-01 00:00:00' AND time < TIMESTAMP '2026-10-01 00:00:00'";
    let cases = [
        (
            "count: one tenant, meter, month",
            of("count(*)", "ai"),
            of("count(*)", "ai"),
        ),
        (
            "sum of a member: one tenant, meter, month",
            of(
                "CAST(sum(json_decimal(json, 'data.output_tokens')) AS BIGINT)",
                "ai",
            ),
            of(
                "CAST(sum(CAST(json_extract_string(json, '$.data.output_tokens') AS DECIMAL(38, 12))) AS BIGINT)",
                "ai",
            ),
        ),
        (
            "count by day and type: all tenants, month",
            format!(
                "SELECT day, type, count(*) FROM events WHERE {month} GROUP BY day, type ORDER BY day, type"
            ),
            format!(
                "SELECT day, type, count(*) FROM events WHERE {month} GROUP BY day, type ORDER BY day, type"
            ),
        ),
        (
            "last 20 of one tenant",
            format!(
                "SELECT id FROM events WHERE tenant_id = '{}' ORDER BY time DESC LIMIT 20",
                tenant(7)
            ),
            format!(
                "SELECT id FROM events WHERE tenant_id = '{}' ORDER BY time DESC LIMIT 20",
                tenant(7)
            ),
        ),
    ];
    let mut files = Vec::new();
    parquet_files(lake.table_folder(), &mut files);
    let theirs = duckdb(
        &files,
        &cases.iter().map(|c| c.2.clone()).collect::<Vec<_>>(),
    );
    let place = folder.path().display().to_string();
    let others = [Other::start(&place), Other::start(&place)];
    let (shared, _) = take_part(&place, 1).await;
    let addresses: Vec<String> = others.iter().map(|other| other.1.clone()).collect();
    assert_eq!(shared.set_peers(&addresses).unwrap(), 2);
    for (i, (case, sql, _)) in cases.iter().enumerate() {
        let (ours, answer, _) = ask(&lake, sql).await;
        let peer = theirs.as_ref().map(|theirs| {
            assert_eq!(json!(answer), theirs[i]["answer"], "{case}");
            ("duckdb", theirs[i]["ms"].as_f64().unwrap())
        });
        line(&named(case), ours, peer, "ms");
        let (together, same, processes) = ask(&shared, sql).await;
        assert_eq!(answer, same, "{case}");
        let alone = Some(("one process", ours));
        line(
            &named(&format!("{case}, {processes} processes")),
            together,
            alone,
            "ms",
        );
    }
}

/// The median of the times that a question takes, its answer, and how many processes gave it.
async fn ask(lake: &Lake, sql: &str) -> (f64, Vec<Vec<String>>, u32) {
    let mut times = Vec::new();
    let mut rows = Vec::new();
    let mut processes = 0;
    for run in 0..=RUNS {
        let start = Instant::now();
        let answer = lake
            .query(TenantScope::All, sql, QueryLimits::default())
            .await
            .unwrap();
        if run > 0 {
            times.push(start.elapsed());
        }
        processes = answer.processes;
        rows = answer.rows;
    }
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let rows = rows.iter().map(|row| row.iter().map(text).collect());
    (median(times), rows.collect(), processes)
}
