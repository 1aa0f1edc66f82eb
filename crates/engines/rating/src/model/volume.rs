//! Volume: all units cost the price of the tier that the whole quantity falls in.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::{Deserialize, Serialize};

use super::{Charge, Tier};

/// Tiers of which one applies to everything. The total can fall when a bound is passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The tiers, bounds rising, the last one open.
    pub tiers: Vec<Tier>,
}

impl Volume {
    /// The charge for a quantity; nothing, and no fee, for zero.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(&self, quantity: Decimal) -> Result<Charge, MoneyError> {
        let tier = self
            .tiers
            .iter()
            .find(|t| t.up_to.is_none_or(|bound| quantity <= bound));
        match tier {
            Some(tier) if quantity > Decimal::ZERO => {
                let (exact, step) = tier.step(quantity)?;
                Ok(Charge {
                    exact,
                    steps: vec![step],
                })
            }
            _ => Ok(Charge {
                exact: Decimal::ZERO,
                steps: Vec::new(),
            }),
        }
    }

    /// The bounds at which one unit more makes the total smaller: (bound, total at the bound,
    /// total just above it).
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when a total does not fit in a decimal.
    pub fn cliffs(&self) -> Result<Vec<(Decimal, Decimal, Decimal)>, MoneyError> {
        let mut cliffs = Vec::new();
        for pair in self.tiers.windows(2) {
            if let [tier, next] = pair
                && let Some(bound) = tier.up_to
            {
                let at = exact::add(exact::mul(bound, tier.unit)?, tier.flat)?;
                let above = exact::add(exact::mul(bound, next.unit)?, next.flat)?;
                if above < at {
                    cliffs.push((bound, at, above));
                }
            }
        }
        Ok(cliffs)
    }
}
