//! `stream BYTES`: makes a text of that size as it is needed, with a card number in each MiB, sends it through the
//! scanner, and says whether every number was found in its place, at which rate, and in how much memory at most.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::process::ExitCode;
use std::time::Instant;

use sealwright_scan::{FingerprintKey, Options, Scanner, Source, StreamScanner};

/// A line of a log, repeated between the planted values.
const LINE: &[u8] =
    b"2026-11-26T10:20:30Z host-7 api[311]: GET /v1/items/48213 200 17ms trace=7f3a9b2c5d1e\n";
const PLANTED: &[u8] = b"paid with 4111 1111 1111 1111 today\n";
const EACH: u64 = 1 << 20;

fn main() -> ExitCode {
    let size: u64 = match std::env::args().nth(1).and_then(|text| text.parse().ok()) {
        Some(size) => size,
        None => {
            eprintln!("usage: stream BYTES");
            return ExitCode::from(2);
        }
    };
    let scanner = sealwright_scan::detector::builtin()
        .map_err(|error| error.to_string())
        .and_then(|detectors| {
            Scanner::new(detectors, Options::new(FingerprintKey::new(b"example")))
                .map_err(|error| error.to_string())
        });
    let scanner = match scanner {
        Ok(scanner) => scanner,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    // The value wanders over the ends of pieces: a piece is no multiple of a line.
    let mut block = Vec::new();
    while (block.len() as u64) < EACH {
        block.extend_from_slice(LINE);
    }
    block.extend_from_slice(PLANTED);
    let at = (block.len() - PLANTED.len() + b"paid with ".len()) as u64;
    let (mut sent, mut planted, mut found, mut wrong) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut stream = StreamScanner::new(&scanner, Source::file("stream.log"));
    let mut take = |findings: Vec<sealwright_scan::Finding>| {
        for finding in findings {
            let place = finding.start % block.len() as u64;
            if finding.detector.as_ref() == "payment_card" && place == at {
                found += 1;
            } else {
                wrong += 1;
            }
        }
    };
    let begun = Instant::now();
    while sent < size {
        take(stream.push(&block));
        sent += block.len() as u64;
        planted += 1;
    }
    take(stream.finish());
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{sent} bytes in {seconds:.1} s, {:.0} MB/s; {found} of {planted} planted values found, {wrong} others; \
         at most {} in memory",
        sent as f64 / seconds / 1e6,
        peak(),
    );
    ExitCode::from(u8::from(found != planted))
}

/// The most memory that this process has had, as the kernel says.
fn peak() -> String {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("VmHWM"))?;
            Some(line.trim_start_matches("VmHWM:").trim().to_owned())
        })
        .unwrap_or_else(|| "an unknown amount".to_owned())
}
