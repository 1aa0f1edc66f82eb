//! Proration: shares of a period and what a change in the middle of it costs.

use std::fmt;
use std::str::FromStr;

use jiff::Zoned;
use sealwright_money::{Currency, Decimal, Money, MoneyError, allocate, exact};

/// A share of a period, such as 10 of 31 days. It is kept as it was counted, not reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    numerator: i64,
    denominator: i64,
}

impl Share {
    /// The whole period.
    pub const WHOLE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `numerator / denominator`.
    ///
    /// # Errors
    /// [`ProrationError::Share`] unless `0 <= numerator <= denominator` and `denominator > 0`.
    pub fn new(numerator: i64, denominator: i64) -> Result<Self, ProrationError> {
        if denominator <= 0 || numerator < 0 || numerator > denominator {
            return Err(ProrationError::Share);
        }
        Ok(Self {
            numerator,
            denominator,
        })
    }

    /// The part.
    #[must_use]
    pub fn numerator(self) -> i64 {
        self.numerator
    }

    /// The whole.
    #[must_use]
    pub fn denominator(self) -> i64 {
        self.denominator
    }

    /// The share of an amount, rounded half away from zero to the minor unit.
    ///
    /// # Errors
    /// [`MoneyError`] when the amount does not fit.
    pub fn of(self, amount: Decimal, currency: Currency) -> Result<Money, MoneyError> {
        let part = exact::mul_ratio(amount, self.numerator, self.denominator, currency.digits())?;
        Money::round(part, currency)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl FromStr for Share {
    type Err = ProrationError;

    /// Reads `10/31`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (n, d) = s.split_once('/').ok_or(ProrationError::Share)?;
        let number = |t: &str| t.trim().parse::<i64>().map_err(|_| ProrationError::Share);
        Self::new(number(n)?, number(d)?)
    }
}

/// What a period is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Elapsed seconds: a day with a clock change has 23 or 25 hours.
    Second,
    /// Calendar days of the zone; the day of the change belongs to the remaining part.
    Day,
}

/// Why a share could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProrationError {
    /// A share that is not between zero and one.
    #[error("a share is written as part/whole with 0 <= part <= whole and whole above zero")]
    Share,
    /// The period is empty or the change lies outside of it.
    #[error("the change must lie in a period that ends after it starts")]
    Outside,
    /// An amount does not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The share of the period `[start, end)` that remains at `at`.
///
/// # Errors
/// [`ProrationError::Outside`] unless `start <= at <= end` and `start < end`.
pub fn remaining(
    start: &Zoned,
    end: &Zoned,
    at: &Zoned,
    unit: Unit,
) -> Result<Share, ProrationError> {
    if start >= end || at < start || at > end {
        return Err(ProrationError::Outside);
    }
    let (left, whole) = match unit {
        Unit::Second => {
            let seconds =
                |a: &Zoned, b: &Zoned| b.timestamp().as_second() - a.timestamp().as_second();
            (seconds(at, end), seconds(start, end))
        }
        Unit::Day => {
            let days = |a: &Zoned, b: &Zoned| {
                // Both dates are within jiff's range, so the difference in days always exists.
                a.date()
                    .until(b.date())
                    .map_or(0, |span| i64::from(span.get_days()))
            };
            let zone = start.time_zone();
            let (at, end) = (
                at.with_time_zone(zone.clone()),
                end.with_time_zone(zone.clone()),
            );
            (days(&at, &end), days(start, &end))
        }
    };
    if whole <= 0 {
        return Err(ProrationError::Outside);
    }
    Share::new(left, whole)
}

/// A change of price in the middle of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The share of the period that remains.
    pub share: Share,
    /// What is given back of the old price: zero or below.
    pub credit_unused: Money,
    /// What the new price costs for the rest.
    pub charge_remaining: Money,
    /// Credit and charge together.
    pub net: Money,
}

/// The credit of the old price and the charge of the new one, rounded separately.
///
/// # Errors
/// [`MoneyError`] when an amount does not fit.
pub fn change(
    old_price: Decimal,
    new_price: Decimal,
    share: Share,
    currency: Currency,
) -> Result<Change, MoneyError> {
    let credit_unused = share.of(old_price, currency)?.checked_neg()?;
    let charge_remaining = share.of(new_price, currency)?;
    let net = credit_unused.checked_add(charge_remaining)?;
    Ok(Change {
        share,
        credit_unused,
        charge_remaining,
        net,
    })
}

/// Splits an amount for a period over its parts, by their lengths (seconds, days: any one unit).
/// The parts sum to the whole amount.
///
/// # Errors
/// [`MoneyError::Weights`] when no part is longer than zero or one is negative.
pub fn split(total: Money, lengths: &[i64]) -> Result<Vec<Money>, MoneyError> {
    let weights: Vec<Decimal> = lengths.iter().map(|l| Decimal::from(*l)).collect();
    allocate(total, &weights)
}
