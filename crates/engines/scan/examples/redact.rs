//! `redact IN OUT [--style placeholder|pseudonym|format] [--key HEX]`: a document without what is
//! found in it. With a key of 128 hexadecimal digits it can be undone by `redact --restore`.
//!
//! Exit 0: written, 1: refused with the reason, 2: it could not be done.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;

use sealwright_scan::redact::{Redactor, RestoreKey, Style, restore};
use sealwright_scan::{FingerprintKey, Options, Scanner};

fn main() -> ExitCode {
    let mut paths = Vec::new();
    let mut style = Style::Placeholder;
    let mut key = None;
    let mut back = false;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--style" => {
                style = match args.next().as_deref() {
                    Some("pseudonym") => Style::Pseudonym,
                    Some("format") => Style::FormatPreserving,
                    _ => Style::Placeholder,
                }
            }
            "--key" => key = args.next().and_then(|hex| parse(&hex)),
            "--restore" => back = true,
            _ => paths.push(arg),
        }
    }
    let [from, to] = paths.as_slice() else {
        eprintln!("usage: redact IN OUT [--style S] [--key HEX] [--restore]");
        return ExitCode::from(2);
    };
    let (Ok(bytes), Ok(scanner)) = (
        std::fs::read(from),
        Scanner::builtin(Options::new(FingerprintKey::new(b"example"))),
    ) else {
        eprintln!("{from} cannot be read");
        return ExitCode::from(2);
    };
    let out = if back {
        let Some(key) = &key else {
            eprintln!("--restore needs --key");
            return ExitCode::from(2);
        };
        let out = restore(key, &bytes);
        println!("{} restored, {} refused", out.restored, out.refused);
        out.bytes
    } else {
        let redactor = match key {
            Some(key) => Redactor::reversible(&scanner, key),
            None => Redactor::new(&scanner, style),
        };
        match redactor.document(from, &bytes) {
            Ok(out) => {
                for (detector, n) in &out.replaced {
                    println!("{n:>6} {detector}");
                }
                out.bytes
            }
            Err(e) => {
                eprintln!("{from}: {e}");
                return ExitCode::from(1);
            }
        }
    };
    match std::fs::write(to, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{to}: {e}");
            ExitCode::from(2)
        }
    }
}

fn parse(hex: &str) -> Option<RestoreKey> {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .filter_map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok())
        .collect();
    Some(RestoreKey::new(bytes.try_into().ok()?))
}
