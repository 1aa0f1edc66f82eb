//! `bench_gate [FOLDER]`: what the upload gate adds to an upload of 1 MiB. The whole of it is timed: reading the
//! policies, the scan, the row, the ledger entry of what is held, the commit (SQLite). No peer answers this.
//!
//! Prints one JSON line a case. A folder given replaces the made-up texts: its files are joined and cut into pieces
//! of 1 MiB.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sealwright_core::{Clock, SystemClock, TenantId};
use sealwright_dlp::service::bucket::NoBuckets;
use sealwright_dlp::service::key::Seal;
use sealwright_dlp::service::upload::WhenDown;
use sealwright_dlp::service::{Dlp, Parts};
use sealwright_ledger::Ledger;
use sealwright_notify::Notifier;

const PIECE: usize = 1 << 20;
const LOOKS: usize = 400;

/// The benchmark keeps no secret.
#[derive(Debug)]
struct Open;

impl Seal for Open {
    fn seal(&self, _context: &str, secret: &[u8]) -> Result<String, String> {
        Ok(hex::encode(secret))
    }

    fn open(&self, _context: &str, sealed: &str) -> Result<Vec<u8>, String> {
        hex::decode(sealed).map_err(|error| error.to_string())
    }
}

fn words(line: impl Fn(usize) -> String) -> Bytes {
    let mut text = String::with_capacity(PIECE + 256);
    let mut n = 0;
    while text.len() < PIECE {
        text.push_str(&line(n));
        n += 1;
    }
    text.truncate(PIECE);
    text.into()
}

fn made_up() -> Vec<(&'static str, Bytes)> {
    vec![
        (
            "1 MiB of CSV, clean",
            words(|n| {
                format!(
                    "{n},order {},shipped,{}.{:02},EUR\n",
                    n * 7,
                    n % 900,
                    n % 100
                )
            }),
        ),
        (
            "1 MiB of CSV, 1 card in 1,000 lines",
            words(|n| {
                if n.is_multiple_of(1_000) {
                    format!("{n},card,4111111111111111\n")
                } else {
                    format!(
                        "{n},order {},shipped,{}.{:02},EUR\n",
                        n * 7,
                        n % 900,
                        n % 100
                    )
                }
            }),
        ),
        (
            "1 MiB of JSON lines",
            words(|n| {
                format!(
                    "{{\"id\":\"{n:08x}\",\"level\":\"info\",\"message\":\"request {n} took {} ms\"}}\n",
                    n % 97
                )
            }),
        ),
    ]
}

fn pieces(folder: &Path) -> Vec<Bytes> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(folder).into_iter().flatten() {
        if entry.file_type().is_file()
            && let Ok(bytes) = std::fs::read(entry.path())
        {
            all.extend_from_slice(&bytes);
        }
        if all.len() > 400 * PIECE {
            break;
        }
    }
    all.chunks_exact(PIECE)
        .map(Bytes::copy_from_slice)
        .collect()
}

#[tokio::main]
async fn main() {
    let store = sealwright_store::testing::sqlite()
        .await
        .migrated(&[
            sealwright_ledger::COMPONENT,
            sealwright_access::COMPONENT,
            sealwright_notify::COMPONENT,
            sealwright_dlp::COMPONENT,
        ])
        .await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let data = store.path().join("data");
    let ledger = Ledger::open(
        &data,
        Some("log.example/bench"),
        store.store.clone(),
        Arc::clone(&clock),
    )
    .await
    .unwrap();
    let dlp = Dlp::new(&Parts {
        store: store.store.clone(),
        ledger: Arc::new(ledger),
        clock: Arc::clone(&clock),
        buckets: Arc::new(NoBuckets),
        outbox: Arc::new(Notifier::new(Arc::clone(&clock))),
        seal: Arc::new(Open),
        threads: 1,
        gate_down: WhenDown::Refuse,
    })
    .unwrap();
    let tenant = TenantId::new(clock.now());
    let given: Vec<(&str, Vec<Bytes>)> = match std::env::args().nth(1) {
        Some(folder) => vec![("1 MiB of the folder", pieces(Path::new(&folder)))],
        None => made_up()
            .into_iter()
            .map(|(name, bytes)| (name, vec![bytes]))
            .collect(),
    };
    for (name, bodies) in given {
        let mut took = Vec::with_capacity(LOOKS);
        // The first looks compile the patterns that they meet.
        for n in 0..LOOKS + 20 {
            let body = bodies[n % bodies.len()].clone();
            let begin = Instant::now();
            dlp.gate
                .look(tenant, "upload", "", body, "bench")
                .await
                .unwrap();
            if n >= 20 {
                took.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        took.sort_by(f64::total_cmp);
        for (percent, label) in [(50, "p50"), (99, "p99")] {
            println!(
                "{{\"bench\":\"dlp\",\"case\":\"gate {label}: {name}\",\"ours\":{:.2},\"unit\":\"ms\"}}",
                took[(took.len() - 1) * percent / 100]
            );
        }
    }
}
