//! Graduated percentage: rates by tier of the running total of transactions.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::Serialize;

use super::tiers::{Bounds, MAX_TIERS};
use super::{Charge, Step};
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};

/// A tier of the running total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateTier {
    /// The upper bound of the running total, included; none in the last tier.
    #[serde(with = "decimal_text::option", skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Decimal>,
    /// The rate, in per cent.
    #[serde(with = "decimal_text")]
    pub rate_percent: Decimal,
    /// A fee charged once when the tier is entered.
    #[serde(with = "decimal_text", skip_serializing_if = "Decimal::is_zero")]
    pub flat: Decimal,
}

/// Percentages whose rate depends on what was turned over before in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraduatedPercentage {
    /// The tiers, bounds rising, the last one open.
    pub tiers: Vec<RateTier>,
}

impl GraduatedPercentage {
    pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Self> {
        let mut bounds = Bounds::new(f.place("tiers"));
        let mut tiers = Vec::new();
        for node in f.array("tiers", MAX_TIERS, report) {
            let Some(mut t) = Fields::open(node, "a tier", report) else {
                continue;
            };
            bounds.next(&mut t, report);
            let rate = t.need_number("rate_percent", Sign::NotNegative, report);
            let flat = t
                .number("flat", Sign::NotNegative, report)
                .unwrap_or(Decimal::ZERO);
            t.finish(report);
            if let Some(rate_percent) = rate {
                tiers.push(RateTier {
                    up_to: bounds.last,
                    rate_percent,
                    flat,
                });
            }
        }
        bounds.finish(report).then_some(Self { tiers })
    }

    /// The charge for transactions in the order in which they happened.
    ///
    /// # Errors
    /// [`MoneyError::Inexact`] when the exact amount does not fit in a decimal.
    pub fn charge(&self, transactions: &[Decimal]) -> Result<Charge, MoneyError> {
        let mut charge = Charge {
            exact: Decimal::ZERO,
            steps: Vec::with_capacity(transactions.len()),
        };
        let mut total = Decimal::ZERO;
        let mut entered = 0;
        for transaction in transactions {
            let end = exact::add(total, *transaction)?;
            let mut amount = Decimal::ZERO;
            let mut below = Decimal::ZERO;
            for (i, tier) in self.tiers.iter().enumerate() {
                let start = total.max(below);
                let top = tier.up_to.map_or(end, |bound| bound.min(end));
                if top > start {
                    let share = exact::percent(exact::sub(top, start)?, tier.rate_percent)?;
                    amount = exact::add(amount, share)?;
                    if i >= entered {
                        amount = exact::add(amount, tier.flat)?;
                        entered = i + 1;
                    }
                }
                match tier.up_to {
                    Some(bound) if bound < end => below = bound,
                    _ => break,
                }
            }
            total = end;
            charge.exact = exact::add(charge.exact, amount)?;
            charge.steps.push(Step::Transaction {
                transaction: *transaction,
                amount,
            });
        }
        Ok(charge)
    }
}
