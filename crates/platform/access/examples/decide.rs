//! What a decision costs: the first answer of each kind, which Cedar computes, and one that is kept.
//!
//! ```text
//! cargo run --release -p sealwright-access --example decide
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sealwright_access::policy::{Policies, Target, Who};
use sealwright_access::{Action, Role};

const ROUNDS: u32 = 30;
const KEPT: u32 = 10_000_000;

fn users() -> impl Iterator<Item = Who> {
    Role::ALL.iter().flat_map(|role| {
        [true, false].map(|all_tenants| Who::User {
            roles: [*role].iter().collect(),
            all_tenants,
        })
    })
}

fn measure(own: &str) {
    let mut reading = Vec::new();
    let mut first = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let policies = Policies::from_texts([("own.cedar", own.as_bytes())]).unwrap();
        reading.push(start.elapsed());
        for who in users() {
            for action in Action::ALL {
                let start = Instant::now();
                black_box(policies.decide(who, *action, Target::Own));
                first.push(start.elapsed());
            }
        }
    }
    let policies = Policies::from_texts([("own.cedar", own.as_bytes())]).unwrap();
    let start = Instant::now();
    let users: Vec<_> = users().collect();
    for who in users.iter().cycle().take(KEPT as usize).copied() {
        black_box(policies.decide(black_box(who), Action::LakeRead, Target::Own));
    }
    let kept = start.elapsed();
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort();
        times[times.len() * percent / 100]
    };
    println!(
        "{} own policies: read and tried in {:?}; first answer {:?} (p99 {:?}); kept answer {:?}",
        policies.own().len(),
        at(&mut reading, 50),
        at(&mut first, 50),
        at(&mut first, 99),
        kept / KEPT,
    );
}

fn main() {
    measure("");
    let ten: String = (0..10)
        .map(|number| {
            format!(
                "@id(\"p{number}\") forbid (principal in Role::\"auditor\", action == Action::\"lake:read\", resource)\n\
                 when {{ !principal.all_tenants }};\n"
            )
        })
        .collect();
    measure(&ten);
}
