//! Anomaly detection with a false-alarm budget, and forecasts with intervals.
//!
//! - [`DeviationRule`]: the rule that everybody understands, so many standard deviations over a window.
//! - [`Detector`]: streaming, seasonal, with constant cost per value; its threshold follows from the
//!   number of false alarms that its user is ready to look at.
//! - [`Model`]: exponential smoothing with damped trend and season, for forecasts and their totals
//!   with intervals.
//! - [`History`]: a bounded series that takes values late, out of order and corrected.
//! - [`nab`]: the scorer of the Numenta Anomaly Benchmark, to judge detectors by.
//!
//! Everything is computed from what is passed in: no clock, no randomness, no I/O. **Unknown is not
//! zero**: a missing value is `None`, it is never counted as a zero, and where too little is known the
//! answer is a typed "unknown".

mod detector;
mod error;
mod forecast;
mod history;
pub mod nab;
mod rule;
mod severity;
mod tail;

pub use detector::{Cadence, Detector, DetectorConfig, Finding, LARGEST_SEASON};
pub use error::ForecastError;
pub use forecast::{Interval, Model, SMALLEST_HISTORY};
pub use history::{History, Stamped};
pub use rule::{Deviation, DeviationRule, Judgement, UnknownReason};
pub use severity::Severity;
pub use tail::Tail;
