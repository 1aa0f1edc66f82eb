//! Minimum commitment: what is missing to the agreed minimum is charged as a true-up.

use sealwright_money::{Currency, Decimal, Money, MoneyError, exact};

use super::proration::Share;

/// The result of comparing usage with a minimum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueUp {
    /// The minimum for this period, prorated and rounded.
    pub minimum_due: Money,
    /// What is charged on top of the usage; never below zero.
    pub true_up: Money,
    /// Usage and true-up together.
    pub total: Money,
}

/// Compares `usage`, already rounded, with `minimum` for a `share` of the period. The minimum is
/// prorated and rounded first, then compared.
///
/// # Errors
/// [`MoneyError`] when an amount does not fit.
pub fn true_up(
    minimum: Decimal,
    share: Share,
    usage: Money,
    currency: Currency,
) -> Result<TrueUp, MoneyError> {
    let due = exact::mul_ratio(
        minimum,
        share.numerator(),
        share.denominator(),
        currency.digits(),
    )?;
    let minimum_due = Money::round(due, currency)?;
    let missing = minimum_due.checked_sub(usage)?;
    let true_up = if missing.is_negative() {
        Money::zero(currency)
    } else {
        missing
    };
    Ok(TrueUp {
        minimum_due,
        true_up,
        total: usage.checked_add(true_up)?,
    })
}
