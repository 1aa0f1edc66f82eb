//! Events a second of the normaliser: files of events (one a line) are read into memory and
//! normalised over and over for some seconds on one core.
//!
//! `cargo run --release -p sealwright-ecs --example bench_ecs -- SECONDS FILE…`
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use sealwright_ecs::{Context, Normaliser};

#[allow(clippy::disallowed_methods)]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(5.0);
    let normaliser = Normaliser::new(Vec::new()).unwrap();
    for file in arguments {
        let text = std::fs::read_to_string(&file).unwrap();
        let events: Vec<String> = text
            .lines()
            .map(|l| {
                let value: serde_json::Value = serde_json::from_str(l).unwrap();
                // Rule tests hold the event as a member.
                value
                    .get("event")
                    .filter(|e| e.is_object())
                    .map_or_else(|| l.to_owned(), ToString::to_string)
            })
            .collect();
        let bytes: usize = events.iter().map(String::len).sum();
        let start = Instant::now();
        let (mut count, mut out) = (0_usize, 0_usize);
        while start.elapsed().as_secs_f64() < seconds {
            for e in &events {
                out += normaliser
                    .normalise(e, &Context::default())
                    .unwrap()
                    .json
                    .len();
            }
            count += events.len();
        }
        let elapsed = start.elapsed().as_secs_f64();
        let rounds = count as f64 / events.len() as f64;
        println!(
            "{file}: {:.0} events/s, {:.0} MB/s in, {:.0} MB/s out, {} bytes an event",
            count as f64 / elapsed,
            bytes as f64 * rounds / elapsed / 1e6,
            out as f64 / elapsed / 1e6,
            bytes / events.len().max(1)
        );
    }
}
