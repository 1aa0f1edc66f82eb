//! `cargo xtask bench ledger`: roots, durable appends and proofs, one JSON object a line.
//!
//! The peer for appends is the `siglog` crate 0.1.0 (a log server of the same kind), run in a
//! program of its own that this one writes and builds under the target folder, on the same disk.
//! What each acknowledges: siglog, that the entry has its index in a committed SQLite transaction
//! (WAL, synchronous); tiles and a signed checkpoint follow later. Ours, that the entry is in
//! synced tiles under a signed, published checkpoint. Both get the same entries from the same
//! number of concurrent callers.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sealwright_ledger::{Appender, TileLog};
use sealwright_merkle::{SignerKey, leaf_hash, root_of_leaves};
use serde_json::{Value, json};

/// Bytes of an entry, about what a small ledger leaf has.
const ENTRY: usize = 256;
/// How long each append case runs.
const APPENDING: Duration = Duration::from_secs(8);
/// Concurrent callers.
const CALLERS: [usize; 3] = [1, 256, 4_096];

const PEER_MANIFEST: &str = r#"[package]
name = "siglog-peer"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
siglog = "=0.1.0"
tokio = { version = "1", features = ["full"] }
"#;

/// The peer: as many callers as it is told append until the time is over; prints entries a second.
const PEER_MAIN: &str = r#"use std::time::{Duration, Instant};
use siglog::sequencer::{Sequencer, SequencerConfig};
use siglog::storage::Database;
use siglog::types::Entry;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |i: usize| arguments[i].parse::<u64>().unwrap();
    let (callers, millis, bytes) = (number(2) as usize, number(3), number(4) as usize);
    let (batch, age) = (number(5) as usize, number(6));
    let db = Database::connect(&format!("sqlite:{}?mode=rwc", arguments[1])).await.unwrap();
    db.run_migrations().await.unwrap();
    let config = SequencerConfig {
        batch_max_size: batch,
        batch_max_age: Duration::from_millis(age),
        channel_size: callers.max(1024),
    };
    let (sequencer, task) = Sequencer::new(db, config);
    tokio::spawn(task);
    let start = Instant::now();
    let end = start + Duration::from_millis(millis);
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let sequencer = sequencer.clone();
        tasks.push(tokio::spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < end {
                let mut entry = format!("{caller}-{done}-").into_bytes();
                entry.resize(bytes, b'x');
                sequencer.add(Entry::new(entry)).await.unwrap();
                done += 1;
            }
            done
        }));
    }
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap();
    }
    println!("{}", total as f64 / start.elapsed().as_secs_f64());
}
"#;

fn print(case: &str, ours: f64, peer: Option<(f64, &str)>, unit: &str, ratio: Option<f64>) {
    let row = json!({
        "bench": "ledger",
        "case": case,
        "ours": ours,
        "peer": peer.map(|(value, _)| value),
        "peer_name": peer.map_or(Value::Null, |(_, name)| json!(name)),
        "unit": unit,
        "ratio": ratio,
    });
    println!("{row}");
}

/// CPU seconds of this process so far, all threads; `None` where the system does not tell.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok();
    let own = text.and_then(|t| t.split_whitespace().next()?.parse::<f64>().ok())?;
    Some(own / 1e9)
}

fn signer() -> SignerKey {
    SignerKey::from_seed("log.example/bench", &[1; 32]).unwrap()
}

fn roots() {
    let entries: Vec<[u8; 32]> = (0..1_000_000_u64)
        .map(|i| {
            let mut entry = [0; 32];
            entry[..8].copy_from_slice(&i.to_be_bytes());
            entry
        })
        .collect();
    let mut best = f64::MAX;
    let mut root = None;
    for _ in 0..5 {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let leaves = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let this = root_of_leaves(leaves);
        let took = match (cpu, cpu_seconds()) {
            (Some(from), Some(to)) => to - from,
            _ => wall.elapsed().as_secs_f64(),
        };
        best = best.min(took);
        assert!(root.is_none_or(|root| root == this));
        root = Some(this);
    }
    let limit = 0.5;
    print(
        "1,000,000 leaves to a root",
        best,
        Some((limit, "limit")),
        "CPU seconds",
        Some(limit / best),
    );
}

async fn our_appends(folder: &Path, callers: usize) -> f64 {
    let root = folder.join(format!("ours-{callers}"));
    let log = TileLog::open(&root, signer()).unwrap();
    let appender = Appender::start(log, callers.max(1_024)).unwrap();
    let start = Instant::now();
    let end = start + APPENDING;
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let appender = appender.clone();
        tasks.push(tokio::spawn(async move {
            let mut done = 0_u64;
            while Instant::now() < end {
                let mut entry = format!("{caller}-{done}-").into_bytes();
                entry.resize(ENTRY, b'x');
                appender.append(entry).await.unwrap();
                done += 1;
            }
            done
        }));
    }
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap();
    }
    let rate = total as f64 / start.elapsed().as_secs_f64();
    let _ = std::fs::remove_dir_all(&root);
    rate
}

/// Builds the peer's program; `None`, with the reason on standard error, where that fails.
fn build_peer(target: &Path) -> Option<PathBuf> {
    let folder = target.join("peers/siglog");
    std::fs::create_dir_all(folder.join("src")).ok()?;
    std::fs::write(folder.join("Cargo.toml"), PEER_MANIFEST).ok()?;
    std::fs::write(folder.join("src/main.rs"), PEER_MAIN).ok()?;
    eprintln!("building the peer (siglog 0.1.0); the first time takes a few minutes");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--release",
            "--jobs",
            "2",
            "--manifest-path",
        ])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("skipped: siglog 0.1.0 could not be built");
        return None;
    }
    Some(folder.join("target/release/siglog-peer"))
}

/// The peer's better result of its own defaults (256 entries, here with the shortest age) and of
/// batches as large as the callers can fill.
fn peer_appends(program: &Path, folder: &Path, callers: usize) -> Option<f64> {
    let mut best: Option<f64> = None;
    let batches = if callers == 1 {
        vec![1]
    } else {
        vec![256.min(callers), callers]
    };
    for batch in batches {
        let file = folder.join(format!("peer-{callers}-{batch}.sqlite"));
        let output = Command::new(program)
            .arg(&file)
            .args([callers, APPENDING.as_millis() as usize, ENTRY, batch, 1].map(|n| n.to_string()))
            .output()
            .ok()?;
        if !output.status.success() {
            eprintln!("peer: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        let rate: f64 = String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .ok()?;
        best = Some(best.map_or(rate, |best| best.max(rate)));
    }
    best
}

fn proofs(folder: &Path, entries: u64) {
    let root = folder.join("proofs");
    let mut log = TileLog::open(&root, signer()).unwrap();
    let start = Instant::now();
    while log.size() < entries {
        let from = log.size();
        let batch: Vec<[u8; 32]> = (from..(from + 65_536).min(entries))
            .map(|i| {
                let mut entry = [0; 32];
                entry[..8].copy_from_slice(&i.to_be_bytes());
                entry
            })
            .collect();
        log.append(&batch).unwrap();
    }
    print(
        &format!("appends of 65,536 until {entries} entries"),
        entries as f64 / start.elapsed().as_secs_f64(),
        None,
        "entries/s, durable",
        None,
    );
    let reader = log.reader().clone();
    let mut place = 1_u64;
    let mut times: Vec<f64> = (0..20_000)
        .map(|_| {
            // A full-period step over all entries, the same at each run.
            place = (place
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1))
                % entries;
            let start = Instant::now();
            reader.prove(place).unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let limit = 5.0;
    print(
        &format!("proof at {entries} entries, median"),
        median,
        None,
        "ms",
        None,
    );
    print(
        &format!("proof at {entries} entries, p99"),
        p99,
        Some((limit, "limit")),
        "ms",
        Some(limit / p99),
    );
    drop(log);
    let _ = std::fs::remove_dir_all(&root);
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let entries = arguments
        .iter()
        .find_map(|a| a.strip_prefix("--proof-entries="));
    let entries = entries.map_or(10_000_000, |n| n.parse().unwrap());
    // The same disk for both, and not a memory file system.
    let exe = std::env::current_exe().unwrap();
    let target = exe
        .ancestors()
        .find(|f| f.join("CACHEDIR.TAG").is_file())
        .unwrap()
        .to_owned();
    let folder = target.join("bench-ledger");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    roots();
    // For a quick look at our side alone.
    let alone = arguments.iter().any(|a| a == "--no-peer");
    let peer = if alone { None } else { build_peer(&target) };
    for callers in CALLERS {
        let ours = our_appends(&folder, callers).await;
        let theirs = peer
            .as_deref()
            .and_then(|peer| peer_appends(peer, &folder, callers));
        print(
            &format!("durable appends, {callers} callers"),
            ours,
            theirs.map(|rate| (rate, "siglog 0.1.0")),
            "entries/s",
            theirs.map(|rate| ours / rate),
        );
    }
    proofs(&folder, entries);
    let _ = std::fs::remove_dir_all(&folder);
}
