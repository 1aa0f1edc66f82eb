//! `scan PATH… [--show-values] [--output json|sarif] [--min-confidence N] [--only CLASS]`
//!
//! One finding a line on stdout, coverage as the last line on stderr. `-` reads stdin. Exit 0:
//! nothing found, 1: something found, 2: it could not be done.
#![allow(clippy::print_stdout)]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sealwright_scan::document::{self, Limits};
use sealwright_scan::report::{self, Coverage};
use sealwright_scan::{FingerprintKey, Options, Scanner};

fn main() -> ExitCode {
    let mut paths = Vec::new();
    let mut options = Options::new(FingerprintKey::new(b"example"));
    let mut sarif = false;
    let mut only = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--show-values" => options.keep_values = true,
            "--overlaps" => options.overlaps = true,
            "--output" => sarif = args.next().as_deref() == Some("sarif"),
            "--only" => only = args.next(),
            "--min-confidence" => {
                options.min_confidence = args.next().and_then(|n| n.parse().ok()).unwrap_or(0.5);
            }
            _ => paths.push(arg),
        }
    }
    let show = options.keep_values;
    let mut detectors = match sealwright_scan::detector::builtin() {
        Ok(list) => list,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(2);
        }
    };
    if let Some(only) = &only {
        detectors.retain(|d| d.class.as_str() == only);
    }
    let scanner = match Scanner::new(detectors, options) {
        Ok(scanner) => scanner,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(2);
        }
    };
    let mut files = Vec::new();
    for path in &paths {
        walk(Path::new(path), &mut files);
    }
    let mut coverage = Coverage::default();
    let mut kept = Vec::new();
    let mut found = false;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    // One buffer for all files: fresh memory for each costs more than reading it.
    let mut bytes = Vec::new();
    for file in files {
        let name = file.to_string_lossy();
        bytes.clear();
        let read = if name == "-" {
            std::io::stdin().read_to_end(&mut bytes)
        } else {
            std::fs::File::open(&file).and_then(|mut f| f.read_to_end(&mut bytes))
        };
        if let Err(e) = read {
            coverage.unreadable(&name, &e.to_string());
            continue;
        }
        let report = document::scan(&scanner, &name, &bytes, &Limits::default());
        coverage.add(&name, &report);
        found |= !report.findings.is_empty();
        if sarif {
            kept.extend(report.findings);
        } else {
            for finding in &report.findings {
                if writeln!(out, "{}", report::json_line(finding, show)).is_err() {
                    return ExitCode::from(2);
                }
            }
        }
    }
    if sarif {
        let log = report::sarif(&scanner, &kept, &coverage);
        if writeln!(out, "{log}").is_err() {
            return ExitCode::from(2);
        }
    }
    if out.flush().is_err() {
        return ExitCode::from(2);
    }
    eprintln!("{}", coverage.json_line());
    ExitCode::from(u8::from(found))
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        files.push(path.to_owned());
        return;
    };
    let mut inside: Vec<(PathBuf, std::fs::FileType)> = entries
        .flatten()
        .filter_map(|e| Some((e.path(), e.file_type().ok()?)))
        .collect();
    inside.sort_by(|a, b| a.0.cmp(&b.0));
    for (entry, kind) in inside {
        if kind.is_dir() {
            walk(&entry, files);
        } else if kind.is_file() {
            files.push(entry);
        }
    }
}
