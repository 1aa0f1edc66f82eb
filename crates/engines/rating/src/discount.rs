//! Volume discounts: a percentage off, rising with the volume.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::Serialize;

use crate::decimal_text;
use crate::model::Model;

/// What the thresholds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The quantity of each line, in its own unit.
    Quantity,
    /// The money of all discounted usage lines together.
    Amount,
}

/// What the percentage of a threshold is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only what lies above the threshold: the total never falls when usage rises.
    Marginal,
    /// Everything, once the threshold is reached: the total falls at each threshold.
    Cliff,
}

/// One threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiscountTier {
    /// The volume from which the rate applies, included.
    #[serde(with = "decimal_text")]
    pub from: Decimal,
    /// The rate, in per cent, 0 to 100.
    #[serde(with = "decimal_text")]
    pub rate_percent: Decimal,
}

/// A volume discount of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeDiscount {
    /// What the thresholds count.
    pub basis: Basis,
    /// Marginal or cliff.
    pub mode: Mode,
    /// The meters it applies to; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<String>,
    /// The thresholds, rising.
    pub tiers: Vec<DiscountTier>,
}

impl VolumeDiscount {
    /// Whether the discount covers a meter.
    #[must_use]
    pub fn covers(&self, meter: &str) -> bool {
        self.meters.is_empty() || self.meters.iter().any(|m| m == meter)
    }

    /// The exact amount off for a volume, where `price` gives the undiscounted amount of a volume.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the amount does not fit.
    pub(crate) fn off(
        &self,
        volume: Decimal,
        price: impl Fn(Decimal) -> Result<Decimal, MoneyError>,
    ) -> Result<Decimal, MoneyError> {
        match self.mode {
            Mode::Cliff => match self.tiers.iter().rev().find(|t| volume >= t.from) {
                Some(t) => exact::percent(price(volume)?, t.rate_percent),
                None => Ok(Decimal::ZERO),
            },
            Mode::Marginal => {
                let mut off = Decimal::ZERO;
                for (i, tier) in self.tiers.iter().enumerate() {
                    if volume <= tier.from {
                        break;
                    }
                    let top = self
                        .tiers
                        .get(i + 1)
                        .map_or(volume, |next| next.from.min(volume));
                    let band = exact::sub(price(top)?, price(tier.from)?)?;
                    off = exact::add(off, exact::percent(band, tier.rate_percent)?)?;
                }
                Ok(off)
            }
        }
    }

    /// The exact amount off a quantity priced by `model`.
    pub(crate) fn off_quantity(
        &self,
        quantity: Decimal,
        model: &Model,
    ) -> Result<Decimal, MoneyError> {
        self.off(quantity, |q| model.charge(q, &[]).map(|c| c.exact))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn discount(mode: Mode) -> VolumeDiscount {
        let tier = |from, rate| DiscountTier {
            from: Decimal::from(from),
            rate_percent: Decimal::from(rate),
        };
        let tiers = vec![tier(1000, 5), tier(5000, 10), tier(10_000, 15)];
        VolumeDiscount {
            basis: Basis::Amount,
            mode,
            meters: Vec::new(),
            tiers,
        }
    }

    #[test]
    fn marginal_takes_each_rate_off_its_band() {
        for (volume, off) in [
            (0, "0"),
            (1000, "0"),
            (1001, "0.05"),
            (5000, "200"),
            (10_000, "700"),
            (12_000, "1000"),
        ] {
            let got = discount(Mode::Marginal)
                .off(Decimal::from(volume), Ok)
                .unwrap();
            assert_eq!(got.to_string(), off, "{volume}");
        }
    }

    #[test]
    fn cliff_takes_one_rate_off_everything() {
        for (volume, off) in [
            (999, "0"),
            (1000, "50"),
            (4999, "249.95"),
            (5000, "500"),
            (10_000, "1500"),
        ] {
            let got = discount(Mode::Cliff)
                .off(Decimal::from(volume), Ok)
                .unwrap();
            assert_eq!(got.to_string(), off, "{volume}");
        }
    }
}
