//! The value axis: round ticks and their words.

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use crate::format;

/// A linear scale from a round bottom to a round top.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// The ticks, from the lowest to the highest.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// A scale that holds `low` and `high`, zero included, with about `target` steps.
    #[must_use]
    pub fn new(low: f64, high: f64, target: usize) -> Self {
        Self {
            ticks: nice_ticks(low.min(0.0), high.max(0.0), target),
        }
    }

    /// The lowest tick.
    #[must_use]
    pub fn low(&self) -> f64 {
        self.ticks.first().copied().unwrap_or(0.0)
    }

    /// The highest tick.
    #[must_use]
    pub fn high(&self) -> f64 {
        self.ticks.last().copied().unwrap_or(1.0)
    }

    /// How far up a value stands: 0 at the lowest tick, 1 at the highest.
    #[must_use]
    pub fn share(&self, value: f64) -> f64 {
        let span = self.high() - self.low();
        if span > 0.0 {
            ((value - self.low()) / span).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// The words of the ticks, all in one magnitude (`0`, `50 M`, `100 M`).
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let largest = self.ticks.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
        // A million of something is written M, a milliard G: the prefixes of the SI.
        let (divisor, prefix) = match largest {
            l if l >= 1e15 => (1e15, "P"),
            l if l >= 1e12 => (1e12, "T"),
            l if l >= 1e9 => (1e9, "G"),
            l if l >= 1e6 => (1e6, "M"),
            l if l >= 1e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        let step = self
            .ticks
            .windows(2)
            .map(|w| (w[1] - w[0]) / divisor)
            .fold(1.0, f64::min);
        let places = if step >= 1.0 {
            u32::from(step.fract() > 1e-9)
        } else {
            decimals(step)
        };
        self.ticks
            .iter()
            .map(|t| {
                let value = Decimal::from_f64(t / divisor)
                    .unwrap_or_default()
                    .round_dp(places);
                let number = format::decimal(value);
                if prefix.is_empty() || value.is_zero() {
                    number
                } else {
                    format!("{number}{}{prefix}", format::NBSP)
                }
            })
            .collect()
    }
}

/// How many decimals a step below one needs.
fn decimals(step: f64) -> u32 {
    let exponent = (-step.log10()).ceil().clamp(0.0, 12.0);
    // 0.25 needs a digit more than its magnitude says.
    let scaled = step * 10_f64.powf(exponent);
    let more = u32::from((scaled - scaled.round()).abs() > 1e-6);
    exponent.to_u32().unwrap_or(0) + more
}

/// Round numbers (1, 2, 2.5, 5 times a power of ten) that enclose `low` and `high` in about
/// `target` steps. Anything that is not finite counts as 0.
#[must_use]
pub fn nice_ticks(low: f64, high: f64, target: usize) -> Vec<f64> {
    let clean = |v: f64| {
        if v.is_finite() && v.abs() > 1e-27 {
            v.clamp(-1e27, 1e27)
        } else {
            0.0
        }
    };
    let (low, mut high) = (clean(low), clean(high));
    if high <= low {
        high = low + 1.0;
    }
    // Steps smaller than what a float can tell apart would be one and the same tick.
    high = high.max(low + low.abs().max(high.abs()) * 1e-9);
    let rough = (high - low) / target.clamp(1, 20).to_f64().unwrap_or(4.0);
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * magnitude)
        .find(|s| *s >= rough * 0.999_999)
        .unwrap_or(10.0 * magnitude);
    let first = (low / step + 1e-9).floor();
    let last = (high / step - 1e-9).ceil();
    let count = (last - first).to_usize().unwrap_or(1).min(64);
    (0..=count)
        .map(|i| (first + i.to_f64().unwrap_or(0.0)) * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(nice_ticks(0.0, 97.0, 4), [0.0, 25.0, 50.0, 75.0, 100.0]);
        assert_eq!(nice_ticks(-3.0, 8.0, 4), [-5.0, 0.0, 5.0, 10.0]);
        assert_eq!(nice_ticks(0.0, 0.0, 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn labels_share_a_magnitude() {
        let labels = |high| {
            Scale::new(0.0, high, 3)
                .labels()
                .join(" ")
                .replace('\u{a0}', "")
        };
        assert_eq!(labels(150e6), "0 50M 100M 150M");
        assert_eq!(labels(1.0), "0 0.5 1");
        assert_eq!(labels(6_000.0), "0 2,000 4,000 6,000");
        assert_eq!(labels(0.07), "0 0.025 0.05 0.075");
    }

    proptest! {
        #[test]
        fn ticks_enclose_anything(a in any::<f64>(), b in any::<f64>(), n in 0_usize..40) {
            let ticks = nice_ticks(a, b, n);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= 65);
            prop_assert!(ticks.windows(2).all(|w| w[0] < w[1]));
            let _ = Scale::new(a, b, n).labels();
        }

        #[test]
        fn ticks_enclose_their_values(low in -1e9..0.0_f64, high in 0.0..1e9_f64) {
            let ticks = nice_ticks(low, high, 4);
            prop_assert!(ticks[0] <= low + 1e-6 * low.abs());
            prop_assert!(ticks[ticks.len() - 1] >= high - 1e-6 * high.abs());
        }
    }
}
