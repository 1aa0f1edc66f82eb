//! A course over time in the height of a line of text.

use std::fmt;

use askama::filters::HtmlSafe;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::chart::geometry::{line, n, runs};
use crate::format;
use crate::markup::escaped;

/// A small line without axes. Its words say lowest, highest and last value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparkline {
    values: Vec<Option<Decimal>>,
    name: String,
}

/// Most values that are drawn; of more, the last ones are.
const MAX: usize = 400;

impl Sparkline {
    /// A course, oldest first, with its name (`Spend, 30 days`).
    #[must_use]
    pub fn new(name: &str, mut values: Vec<Option<Decimal>>) -> Self {
        let surplus = values.len().saturating_sub(MAX);
        values.drain(..surplus);
        Self {
            values,
            name: name.to_owned(),
        }
    }

    /// The last known value.
    #[must_use]
    pub fn last(&self) -> Option<Decimal> {
        self.values.iter().rev().find_map(|v| *v)
    }

    fn words(&self) -> String {
        let known: Vec<Decimal> = self.values.iter().flatten().copied().collect();
        let missing = self.values.len() - known.len();
        let (Some(low), Some(high), Some(last)) =
            (known.iter().min(), known.iter().max(), known.last())
        else {
            return format!("{}: unknown", self.name);
        };
        let gaps = if missing > 0 {
            format!(", {missing} unknown")
        } else {
            String::new()
        };
        format!(
            "{}: lowest {}, highest {}, last {}{gaps}",
            self.name,
            format::decimal(*low),
            format::decimal(*high),
            format::decimal(*last)
        )
    }
}

impl fmt::Display for Sparkline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const W: f64 = 92.0;
        const H: f64 = 18.0;
        let known: Vec<f64> = self
            .values
            .iter()
            .flatten()
            .filter_map(Decimal::to_f64)
            .collect();
        if known.is_empty() {
            return f.write_str("<span class=\"unknown\">unknown</span>");
        }
        let low = known.iter().copied().fold(f64::INFINITY, f64::min);
        let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = if high > low { high - low } else { 1.0 };
        let steps = (self.values.len() - 1).max(1).to_f64().unwrap_or(1.0);
        let place = |i: usize, v: f64| {
            let x = i.to_f64().unwrap_or(0.0) / steps * (W - 4.0) + 2.0;
            // A course that never moves runs through the middle.
            let share = if high > low { (v - low) / span } else { 0.5 };
            (x, (1.0 - share) * (H - 4.0) + 2.0)
        };
        let words = escaped(&self.words());
        write!(
            f,
            "<svg class=\"spark\" width=\"{W}\" height=\"{H}\" viewBox=\"0 0 {W} {H}\" role=\"img\" \
             aria-label=\"{words}\" focusable=\"false\"><title>{words}</title>"
        )?;
        for run in runs(&self.values) {
            let points: Vec<(f64, f64)> = run
                .filter_map(|i| Some(place(i, self.values[i]?.to_f64()?)))
                .collect();
            if let [(x, y)] = points[..] {
                write!(f, "<circle cx=\"{}\" cy=\"{}\" r=\"1.2\"/>", n(x), n(y))?;
            } else {
                write!(f, "<path d=\"{}\"/>", line(&points))?;
            }
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Sparkline {}
