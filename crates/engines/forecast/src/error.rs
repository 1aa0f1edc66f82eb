//! What can be wrong with what was passed in.

/// Why a value, a setting or a series was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// NaN and infinities are not measurements; a missing value is `None`.
    #[error("{0} is not a finite number; leave a missing value out instead")]
    NotFinite(f64),
    /// A detector reads forward only: replay a [`crate::History`] to take in late values.
    #[error("slot {slot} is not after slot {last}, the newest that was observed")]
    Backwards {
        /// The slot of the refused value.
        slot: i64,
        /// The newest slot that was observed.
        last: i64,
    },
    /// A setting is outside its range.
    #[error("{what} is {value}; it must be {range}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// Too few values to fit a model.
    #[error("{known} known values; a forecast needs at least {needed}")]
    TooFew {
        /// Known values.
        known: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// The value, if it is a measurement.
pub(crate) fn finite(value: f64) -> Result<f64, ForecastError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(ForecastError::NotFinite(value))
    }
}
