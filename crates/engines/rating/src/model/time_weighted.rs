//! Time-weighted quantities: the average level over a period, such as gigabytes stored.

use sealwright_money::{Decimal, MoneyError, exact};

/// A level that holds from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    /// When the level begins, in microseconds since 1970 UTC.
    pub at_us: i64,
    /// The level from then on.
    pub level: Decimal,
}

/// The sum of level times time over a period, and the length of the period: the average is their
/// quotient, which need not be an exact decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWeighted {
    /// Level times microseconds.
    pub weighted: Decimal,
    /// The length of the period in microseconds.
    pub period_us: i64,
}

impl TimeWeighted {
    /// Integrates levels over `[start, end)`. Before the first change the level is zero; a change
    /// before `start` carries its level in; of two changes at one moment the later in the slice
    /// counts. The changes need not be sorted.
    ///
    /// # Errors
    /// [`MoneyError::Denominator`] when the period is empty; [`MoneyError::Inexact`] when the sum
    /// does not fit.
    pub fn over(start_us: i64, end_us: i64, changes: &[LevelChange]) -> Result<Self, MoneyError> {
        let period_us = end_us
            .checked_sub(start_us)
            .filter(|p| *p > 0)
            .ok_or(MoneyError::Denominator)?;
        let mut sorted = changes.to_vec();
        sorted.sort_by_key(|c| c.at_us);
        let mut weighted = Decimal::ZERO;
        for (i, change) in sorted.iter().enumerate() {
            let from = change.at_us.max(start_us);
            let to = sorted
                .get(i + 1)
                .map_or(end_us, |next| next.at_us.min(end_us));
            if to > from {
                weighted = exact::add(
                    weighted,
                    exact::mul(change.level, Decimal::from(to - from))?,
                )?;
            }
        }
        Ok(Self {
            weighted,
            period_us,
        })
    }

    /// The average level, rounded half away from zero to `digits` after the point.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when it does not fit.
    pub fn average(&self, digits: u32) -> Result<Decimal, MoneyError> {
        exact::mul_ratio(self.weighted, 1, self.period_us, digits)
    }

    /// The average times a unit price, rounded once, to `digits` after the point.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when it does not fit.
    pub fn price(&self, unit: Decimal, digits: u32) -> Result<Decimal, MoneyError> {
        exact::mul_ratio(exact::mul(self.weighted, unit)?, 1, self.period_us, digits)
    }
}
