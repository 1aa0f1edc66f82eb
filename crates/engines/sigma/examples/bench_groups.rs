//! Memory of correlation state: one million groups of one event each.
//!
//! Prints `{"bench","case","ours","unit"}` with the resident memory that the state adds, and the
//! time per observation.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::error::Error;
use std::fs;
use std::time::Instant;

use sealwright_sigma::collection::Collection;
use sealwright_sigma::correlation::EventId;
use sealwright_sigma::correlation::engine::{Arrival, Engine, Settings};

const RULES: &str = "
title: fail
name: fail
logsource: {product: p}
detection: {s: {kind: fail}, condition: s}
---
title: many
correlation:
  type: event_count
  rules: [fail]
  group-by: [user.name]
  timespan: 1d
  condition: {gte: 5}
";

fn resident_mib() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|l| l.starts_with("VmRSS"))
        .ok_or("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
    Ok(kib / 1024.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rules = Collection::default();
    rules.add("bench.yml", RULES, &Default::default(), &Default::default());
    rules.finish(&[]);
    let settings = Settings {
        lateness: 0,
        max_groups: 2_000_000,
        ..Settings::default()
    };
    let mut engine = Engine::new(&rules, settings)?;
    let before = resident_mib()?;
    let started = Instant::now();
    let n = 1_000_000_u32;
    for i in 0..n {
        let arrival = Arrival {
            source: "s",
            time: i64::from(i) * 1_000,
            id: EventId::from(u128::from(i) << 64),
            now: None,
        };
        engine.observe(&arrival, &[0], |_| vec![format!("user-{i:08}@example.org")]);
        engine.advance(None);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"bench\":\"siem groups\",\"case\":\"{} groups\",\"ours\":{:.0},\"unit\":\"MiB\"}}",
        engine.size().0,
        resident_mib()? - before
    );
    println!(
        "{{\"bench\":\"siem groups\",\"case\":\"observation of a new group\",\"ours\":{:.2},\"unit\":\"µs\"}}",
        seconds * 1e6 / f64::from(n)
    );
    let state = engine.save()?;
    println!(
        "{{\"bench\":\"siem groups\",\"case\":\"saved state\",\"ours\":{:.0},\"unit\":\"MiB\"}}",
        f64::from(u32::try_from(state.len() >> 10)?) / 1024.0
    );
    Ok(())
}
