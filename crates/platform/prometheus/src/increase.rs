//! What a window's samples say: the growth of a counter, the level of a gauge. Pure and exact.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use sealwright_money::exact;

use crate::model::Take;

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The number, exactly as the server wrote it.
    Exact(Decimal),
    /// NaN, an infinity, or what a decimal of 28 digits does not hold: nothing is known.
    Unknown,
}

/// A sample of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// What it says.
    pub reading: Reading,
}

/// A stretch of time: its start is not part of it, its end is. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where it begins.
    pub start: i64,
    /// Where it ends.
    pub end: i64,
}

impl Window {
    /// Whether a moment is in it.
    pub const fn holds(self, at: i64) -> bool {
        self.start < at && at <= self.end
    }
}

/// A sample that was counted: where the next growth begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// The counter then.
    pub value: Decimal,
}

/// What a window knows of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// The growth, or the level; `None` when nothing is known.
    pub amount: Option<Decimal>,
    /// From when on the growth counts: the sample that it begins at.
    pub since: Option<i64>,
    /// Readable samples inside of the window.
    pub samples: u32,
    /// Samples inside of the window that say nothing.
    pub unreadable: u32,
    /// How often the counter began again.
    pub resets: u32,
    /// Whether nothing was known of the series before.
    pub appeared: bool,
    /// The last readable sample up to the window's end.
    pub last: Option<Seen>,
}

impl Growth {
    const fn none(last: Option<Seen>) -> Self {
        Self {
            amount: None,
            since: None,
            samples: 0,
            unreadable: 0,
            resets: 0,
            appeared: false,
            last,
        }
    }
}

/// The growth of a counter in a window. `known` is the sample that the window before ended with; without it the
/// last of `samples` up to the window's start takes its place, and without that the first one inside: what the
/// counter had grown to by then belongs to no window. Every difference from there on counts, also over gaps and
/// of samples that came late, so that the growths of consecutive windows add up to the growth of the whole,
/// however it is cut. A counter that is lower than before began again at zero. `samples` are in the order of time.
pub fn increase(known: Option<Seen>, samples: &[Sample], window: Window) -> Growth {
    let known = known.filter(|seen| seen.at <= window.start);
    let mut growth = Growth::none(known);
    let mut amount = Some(Decimal::ZERO);
    let mut differences = 0_u32;
    for sample in samples {
        if sample.at > window.end || growth.last.is_some_and(|last| sample.at <= last.at) {
            continue;
        }
        let inside = window.holds(sample.at);
        let Reading::Exact(value) = sample.reading else {
            growth.unreadable += u32::from(inside);
            continue;
        };
        if value < Decimal::ZERO {
            // No counter is below zero.
            growth.unreadable += u32::from(inside);
            continue;
        }
        growth.samples += u32::from(inside);
        let seen = Seen {
            at: sample.at,
            value,
        };
        let before = growth.last.replace(seen);
        if !inside && known.is_none() {
            // Before the window, and nobody counted from there: it only is where the window begins.
            continue;
        }
        match before {
            None => growth.appeared = true,
            Some(before) => {
                growth.since.get_or_insert(before.at);
                differences += 1;
                let step = if value >= before.value {
                    exact::sub(value, before.value).ok()
                } else {
                    growth.resets += 1;
                    Some(value)
                };
                amount = match (amount, step) {
                    (Some(sum), Some(step)) => exact::add(sum, step).ok(),
                    _ => None,
                };
            }
        }
    }
    if differences > 0 {
        growth.amount = amount.map(exact::normalise);
    }
    growth
}

/// The level of a gauge in a window, as `take` says. One sample that says nothing makes the mean, the largest and
/// the smallest unknown; the last one is unknown when itself says nothing. A mean that no decimal of 28 digits
/// holds is rounded at the 28th.
pub fn level(samples: &[Sample], window: Window, take: Take) -> Growth {
    let mut growth = Growth::none(None);
    let mut known = Vec::new();
    let mut last = None;
    for sample in samples.iter().filter(|sample| window.holds(sample.at)) {
        last = Some(sample.reading);
        match sample.reading {
            Reading::Unknown => growth.unreadable += 1,
            Reading::Exact(value) => {
                growth.samples += 1;
                known.push(value);
                growth.last = Some(Seen {
                    at: sample.at,
                    value,
                });
            }
        }
    }
    let all = growth.unreadable == 0;
    growth.amount = match take {
        Take::Last => match last {
            Some(Reading::Exact(value)) => Some(value),
            _ => None,
        },
        Take::Max if all => known.iter().max().copied(),
        Take::Min if all => known.iter().min().copied(),
        Take::Mean if all && !known.is_empty() => exact::sum(known.iter().copied())
            .ok()
            .and_then(|sum| sum.checked_div(Decimal::from(known.len()))),
        _ => None,
    }
    .map(exact::normalise);
    growth
}

/// A name of a series that follows from its labels: 32 hexadecimal digits of SHA-256 over them.
pub(crate) fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in labels.iter().flat_map(|(name, value)| [name, value]) {
        // The length in front keeps a part from flowing into the next one.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    hex::encode(digest.get(..16).unwrap_or_default())
}
