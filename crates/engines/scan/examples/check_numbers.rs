//! `check_numbers`: reads `KIND NUMBER` lines from stdin and writes `valid`, `invalid` or `unknown`
//! for each. `tests/stdnum/agree.py` compares the answers with python-stdnum's.
#![allow(clippy::print_stdout)]

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (kind, number) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match sealwright_scan::validate::check(kind, number) {
            Some(true) => "valid",
            Some(false) => "invalid",
            None => "unknown",
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}
