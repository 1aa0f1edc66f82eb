//! `bench_dlp FOLDER [KINGFISHER] [GITLEAKS]`: the same bytes through this scanner and its peers.
//!
//! Prints one JSON line a case: `{"bench","case","ours","peer","peer_name","unit","ratio"}`, ours
//! and the peer's in MB a CPU second (user and system, start-up included). The scanner's own
//! processes are its `scan` example, built beside this one. A peer that is not given is left out.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use sealwright_scan::{FingerprintKey, Options, Scanner, Source};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = args.first() else {
        eprintln!("usage: bench_dlp FOLDER [KINGFISHER] [GITLEAKS]");
        return;
    };
    let mut files = Vec::new();
    walk(Path::new(folder), &mut files);
    let contents: Vec<Vec<u8>> = files.iter().filter_map(|f| std::fs::read(f).ok()).collect();
    let megabytes = contents.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
    let mut options = Options::new(FingerprintKey::new(b"bench"));
    options.decode_depth = 0;
    let begin = Instant::now();
    let Ok(scanner) = Scanner::builtin(options) else {
        return;
    };
    let start_up = begin.elapsed().as_secs_f64();
    println!("{{\"bench\":\"dlp\",\"case\":\"start-up\",\"ours\":{start_up:.3},\"unit\":\"s\"}}");
    let source = Source::file("bench");
    // Once to compile what is met, then for the clock.
    for pass in 0..2 {
        let cpu = own_cpu();
        let found: usize = contents
            .iter()
            .map(|c| scanner.scan(&source, c).len())
            .sum();
        let seconds = own_cpu() - cpu;
        if pass == 1 {
            println!(
                "{{\"bench\":\"dlp\",\"case\":\"in memory, text\",\"ours\":{:.1},\"unit\":\"MB/CPU s\",\"findings\":{found}}}",
                megabytes / seconds
            );
        }
    }
    let own = std::env::current_exe()
        .ok()
        .and_then(|p| Some(p.parent()?.join("scan")));
    let Some(ours) = own.and_then(|p| run(Command::new(p).arg(folder))) else {
        return;
    };
    if let Some(kingfisher) = args.get(1) {
        let mut command = Command::new(kingfisher);
        command.args([
            "scan",
            folder,
            "--no-validate",
            "--no-update-check",
            "--jobs",
            "1",
            "--git-history",
            "none",
            "--format",
            "json",
        ]);
        line("kingfisher", megabytes, ours, run(&mut command));
    }
    if let Some(gitleaks) = args.get(2) {
        line(
            "gitleaks",
            megabytes,
            ours,
            run(Command::new(gitleaks).args(["dir", folder, "--no-banner"])),
        );
    }
}

fn line(name: &str, megabytes: f64, ours: f64, peer: Option<f64>) {
    if let Some(peer) = peer {
        println!(
            "{{\"bench\":\"dlp\",\"case\":\"folder of {megabytes:.0} MB\",\"ours\":{:.1},\"peer\":{:.1},\"peer_name\":\"{name}\",\"unit\":\"MB/CPU s\",\"ratio\":{:.2}}}",
            megabytes / ours,
            megabytes / peer,
            peer / ours
        );
    }
}

/// CPU seconds of a process that is run to its end.
fn run(command: &mut Command) -> Option<f64> {
    let before = times()?;
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    let after = times()?;
    Some(after.1 - before.1)
}

fn own_cpu() -> f64 {
    times().map_or(0.0, |t| t.0)
}

/// CPU seconds of this process and of its ended children (proc(5), `stat`, fields 14 to 17).
fn times() -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<f64> = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|f| f.parse().ok())
        .collect();
    let ticks = 100.0;
    Some((
        (fields.first()? + fields.get(1)?) / ticks,
        (fields.get(2)? + fields.get(3)?) / ticks,
    ))
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        for entry in entries.flatten() {
            walk(&entry.path(), files);
        }
    } else {
        files.push(path.to_owned());
    }
}
