//! Flat: a fixed amount for the period when the meter has any usage.

use sealwright_money::Decimal;
use serde::Serialize;

use super::Charge;
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};

/// A fixed amount, whatever the quantity; nothing when the quantity is zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flat {
    /// The amount for the period, in major units.
    #[serde(with = "decimal_text")]
    pub amount: Decimal,
}

impl Flat {
    pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        Some(Self {
            amount: f.need_number("amount", Sign::NotNegative, report)?,
        })
    }

    /// The charge for a quantity.
    #[must_use]
    pub fn charge(&self, quantity: Decimal) -> Charge {
        let exact = if quantity.is_zero() {
            Decimal::ZERO
        } else {
            self.amount
        };
        Charge {
            exact,
            steps: Vec::new(),
        }
    }
}
