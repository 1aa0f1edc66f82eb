//! Per unit: the same price for each unit, or for each group of units.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::Serialize;

use super::{Charge, Step};
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};

/// A price for `per` units. A part of a group costs its part of the price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PerUnit {
    /// The price of `per` units.
    #[serde(with = "decimal_text")]
    pub unit: Decimal,
    /// How many units the price is for; 1, 2 or 5 times powers of ten and the like, so that the
    /// price of one unit is an exact decimal.
    #[serde(with = "decimal_text", skip_serializing_if = "is_one")]
    pub per: Decimal,
}

fn is_one(d: &Decimal) -> bool {
    *d == Decimal::ONE
}

impl PerUnit {
    pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        let unit = f.need_number("unit", Sign::NotNegative, report);
        let per = f
            .number("per", Sign::Positive, report)
            .unwrap_or(Decimal::ONE);
        if reciprocal(per).is_none() {
            let message = format!(
                "a price per {per} units has no exact decimal price per unit: use a number whose only prime factors are 2 and 5, or the package model"
            );
            report.error(f.place("per"), "per-inexact", message);
            return None;
        }
        Some(Self { unit: unit?, per })
    }

    /// The charge for a quantity.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(&self, quantity: Decimal) -> Result<Charge, MoneyError> {
        let inverse = reciprocal(self.per).ok_or(MoneyError::Inexact("a price per group"))?;
        let amount = exact::mul(exact::mul(quantity, self.unit)?, inverse)?;
        let step = Step::Units {
            units: quantity,
            unit: self.unit,
            per: self.per,
            amount,
        };
        let steps = if quantity.is_zero() {
            Vec::new()
        } else {
            vec![step]
        };
        Ok(Charge {
            exact: amount,
            steps,
        })
    }
}

/// `1 / d` where that is an exact decimal.
fn reciprocal(d: Decimal) -> Option<Decimal> {
    let inverse = Decimal::ONE.checked_div(d)?;
    (exact::mul(inverse, d).ok()? == Decimal::ONE).then_some(inverse)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_exact_unit_prices_or_are_refused() {
        for n in ["1", "2", "1000", "0.5", "64", "1000000"] {
            assert!(reciprocal(exact::parse(n).unwrap()).is_some(), "{n}");
        }
        for n in ["3", "7", "12", "0"] {
            assert!(reciprocal(exact::parse(n).unwrap()).is_none(), "{n}");
        }
    }
}
