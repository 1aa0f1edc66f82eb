//! Graduated: each unit costs the price of the tier it falls in.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::{Deserialize, Serialize};

use super::{Charge, Tier};

/// Tiers that are filled one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graduated {
    /// The tiers, bounds rising, the last one open.
    pub tiers: Vec<Tier>,
}

impl Graduated {
    /// The charge for a quantity. A flat fee is charged once for each tier that is entered; a
    /// quantity that is exactly at a bound does not enter the next tier.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(&self, quantity: Decimal) -> Result<Charge, MoneyError> {
        let mut charge = Charge {
            exact: Decimal::ZERO,
            steps: Vec::new(),
        };
        let mut below = Decimal::ZERO;
        for tier in &self.tiers {
            if quantity <= below {
                break;
            }
            let top = tier.up_to.map_or(quantity, |bound| bound.min(quantity));
            let (amount, step) = tier.step(exact::sub(top, below)?)?;
            charge.exact = exact::add(charge.exact, amount)?;
            charge.steps.push(step);
            below = top;
        }
        Ok(charge)
    }
}
