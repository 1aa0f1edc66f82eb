//! `peak PATH…`: scans files as `sealwright dlp scan` does, `-` for standard input, and says how each ended, how many
//! findings there were, and how much memory and CPU time it took at most.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use sealwright_dlp::service::files::{self, Effort, Event, Progress};
use sealwright_scan::{FingerprintKey, Options, Scanner};

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let Ok(scanner) = Scanner::builtin(Options::new(FingerprintKey::new(b"example"))) else {
        return ExitCode::from(2);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = Progress::default();
    let (mut found, mut unread) = (0_u64, 0_u64);
    let result = files::scan(
        &scanner,
        files::walk(&paths, &|_| false),
        Effort::on(threads),
        &progress,
        |event| {
            match event {
                Event::Found { findings, .. } => found += findings.len() as u64,
                Event::End { name, report, .. }
                    if paths.len() == 1 && *name == *paths[0].to_string_lossy() =>
                {
                    println!(
                        "{name}: {} of {} bytes, {:?}",
                        report.kind.as_str(),
                        report.bytes,
                        report.outcome
                    );
                }
                Event::Unreadable { .. } => unread += 1,
                Event::End { .. } | Event::Skipped { .. } => {}
            }
            Ok(())
        },
    );
    if let Err(error) = result {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    println!(
        "{} bytes in {} items, {found} findings, {unread} unread; at most {} in memory",
        progress.bytes.load(Ordering::Relaxed),
        progress.items.load(Ordering::Relaxed),
        peak(),
    );
    ExitCode::SUCCESS
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
