//! Per million: the way token prices are quoted.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::Serialize;

use super::{Charge, Step};
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};

/// A price for a million units; each unit costs its millionth, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PerMillion {
    /// The price of 1,000,000 units.
    #[serde(with = "decimal_text")]
    pub price_per_million: Decimal,
}

impl PerMillion {
    pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        let price_per_million = f.need_number("price_per_million", Sign::NotNegative, report)?;
        Some(Self { price_per_million })
    }

    /// The charge for a quantity.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(&self, quantity: Decimal) -> Result<Charge, MoneyError> {
        let millions = exact::mul(quantity, Decimal::new(1, 6))?;
        let amount = exact::mul(millions, self.price_per_million)?;
        let step = Step::PerMillion {
            units: quantity,
            per_million: self.price_per_million,
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
