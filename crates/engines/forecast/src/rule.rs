//! The deviation rule: so many standard deviations over a window.

use serde::{Deserialize, Serialize};

use crate::error::finite;
use crate::{ForecastError, Severity};

/// A value is an anomaly when it lies more than `warning` sample standard deviations from the mean of the
/// window before it. The default is the documented one: 2.5 deviations over 30 values (days) with at
/// least 7 known ones; severity at 2.5, 3 and 4.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviationRule {
    /// How many values before the judged one are looked at.
    pub window: usize,
    /// How many of these must be known.
    pub at_least: usize,
    /// Deviations from which on it is a warning.
    pub warning: f64,
    /// Deviations from which on it is high.
    pub high: f64,
    /// Deviations from which on it is critical.
    pub critical: f64,
    /// The smallest standard deviation that is believed, as a part of the mean's size. A series that never
    /// moved has none of its own; without this bound its first movement would be infinitely far off.
    pub least_spread: f64,
}

impl Default for DeviationRule {
    fn default() -> Self {
        Self {
            window: 30,
            at_least: 7,
            warning: 2.5,
            high: 3.0,
            critical: 4.0,
            least_spread: 0.01,
        }
    }
}

/// How far a value is from the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "deviations")]
pub enum Deviation {
    /// In standard deviations; negative below the mean.
    Of(f64),
    /// The window is all zeros, so there is no scale to measure by: any other value is new.
    FromNothing,
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum UnknownReason {
    /// The value itself is not known.
    NoValue,
    /// The window has too few known values.
    TooLittleHistory {
        /// How many are known.
        known: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// What the rule says of a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "judgement")]
pub enum Judgement {
    /// Nothing: too little is known. Not the same as normal.
    Unknown(UnknownReason),
    /// It was judged.
    Known {
        /// Mean of the window's known values.
        mean: f64,
        /// The standard deviation that was used, never below the rule's least spread.
        spread: f64,
        /// How many values of the window are known.
        known: usize,
        /// How far off it is.
        deviation: Deviation,
        /// The lowest value that would not have been an anomaly.
        low: f64,
        /// The highest value that would not have been an anomaly.
        high: f64,
        /// How bad it is; `None` when it is as expected.
        severity: Option<Severity>,
    },
}

impl Judgement {
    /// How bad it is, when it is an anomaly.
    pub fn severity(&self) -> Option<Severity> {
        match self {
            Self::Unknown(_) => None,
            Self::Known { severity, .. } => *severity,
        }
    }
}

impl DeviationRule {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`ForecastError::Setting`] names the first that does not.
    pub fn check(&self) -> Result<(), ForecastError> {
        let bad = |what, value, range| Err(ForecastError::Setting { what, value, range });
        if !(2..=366).contains(&self.window) {
            return bad("window", self.window as f64, "2 to 366 values");
        }
        if self.at_least < 2 || self.at_least > self.window {
            return bad("at_least", self.at_least as f64, "2 up to the window");
        }
        for (what, value) in [
            ("warning", self.warning),
            ("high", self.high),
            ("critical", self.critical),
        ] {
            if !(value.is_finite() && value > 0.0 && value <= 100.0) {
                return bad(what, value, "above 0 and at most 100 deviations");
            }
        }
        if self.warning > self.high || self.high > self.critical {
            return bad("high", self.high, "between warning and critical");
        }
        if !(0.0..=1.0).contains(&self.least_spread) {
            return bad("least_spread", self.least_spread, "0 to 1");
        }
        Ok(())
    }

    /// Judges `value` by the values before it, oldest first. Only the last [`DeviationRule::window`] count;
    /// missing ones are `None` and are skipped, not taken for zero.
    ///
    /// The cost is one pass over the window.
    ///
    /// # Errors
    /// [`ForecastError::NotFinite`] when a number is NaN or infinite.
    pub fn judge(
        &self,
        before: &[Option<f64>],
        value: Option<f64>,
    ) -> Result<Judgement, ForecastError> {
        let Some(value) = value else {
            return Ok(Judgement::Unknown(UnknownReason::NoValue));
        };
        let value = finite(value)?;
        let window = &before[before.len().saturating_sub(self.window)..];
        let (mut known, mut mean, mut squares) = (0_usize, 0.0, 0.0);
        for x in window.iter().flatten() {
            let x = finite(*x)?;
            // Welford: no cancellation when the mean is large and the spread small.
            known += 1;
            let off = x - mean;
            mean += off / known as f64;
            squares += off * (x - mean);
        }
        if known < self.at_least.max(2) {
            return Ok(Judgement::Unknown(UnknownReason::TooLittleHistory {
                known,
                needed: self.at_least.max(2),
            }));
        }
        let own = (squares / (known - 1) as f64).max(0.0).sqrt();
        let spread = own.max(self.least_spread * mean.abs());
        let off = value - mean;
        let deviation = if spread > 0.0 {
            Deviation::Of(off / spread)
        } else if off == 0.0 {
            Deviation::Of(0.0)
        } else {
            Deviation::FromNothing
        };
        let severity = match deviation {
            Deviation::Of(far) if far.abs() >= self.critical => Some(Severity::Critical),
            Deviation::Of(far) if far.abs() >= self.high => Some(Severity::High),
            Deviation::Of(far) if far.abs() >= self.warning => Some(Severity::Warning),
            Deviation::Of(_) => None,
            Deviation::FromNothing => Some(Severity::Warning),
        };
        Ok(Judgement::Known {
            mean,
            spread,
            known,
            deviation,
            low: mean - self.warning * spread,
            high: mean + self.warning * spread,
            severity,
        })
    }
}
