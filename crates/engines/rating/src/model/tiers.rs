//! Tiers, shared by graduated and volume prices.

use sealwright_money::{Decimal, MoneyError, exact};
use serde::{Deserialize, Serialize};

use super::Step;
use crate::decimal_text;
use crate::fields::{Fields, Report, Sign};
use crate::problem::Position;

/// The largest number of tiers of one price.
pub(crate) const MAX_TIERS: usize = 100;

/// A tier: a quantity falls in it when it is above the previous bound and at most `up_to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// The upper bound, included; none in the last tier.
    #[serde(
        with = "decimal_text::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub up_to: Option<Decimal>,
    /// The price of a unit.
    #[serde(with = "decimal_text")]
    pub unit: Decimal,
    /// A fee charged once when the tier is entered.
    #[serde(
        with = "decimal_text",
        default,
        skip_serializing_if = "Decimal::is_zero"
    )]
    pub flat: Decimal,
}

impl Tier {
    /// The step for `units` in this tier.
    pub(crate) fn step(&self, units: Decimal) -> Result<(Decimal, Step), MoneyError> {
        let amount = exact::add(exact::mul(units, self.unit)?, self.flat)?;
        Ok((
            amount,
            Step::Tier {
                units,
                unit: self.unit,
                flat: self.flat,
                amount,
            },
        ))
    }
}

pub(super) fn read(f: &mut Fields<'_>, report: &mut Report) -> Option<Vec<Tier>> {
    let at = f.place("tiers");
    let mut tiers = Vec::new();
    let mut bounds = Bounds::new(at);
    for node in f.array("tiers", MAX_TIERS, report) {
        let Some(mut t) = Fields::open(node, "a tier", report) else {
            continue;
        };
        bounds.next(&mut t, report);
        let unit = t.need_number("unit", Sign::NotNegative, report);
        let flat = t.number("flat", Sign::NotNegative, report);
        t.finish(report);
        if let Some(unit) = unit {
            tiers.push(Tier {
                up_to: bounds.last,
                unit,
                flat: flat.unwrap_or(Decimal::ZERO),
            });
        }
    }
    bounds.finish(report).then_some(tiers)
}

/// Checks that bounds rise and that the last tier, and only that, is open.
pub(super) struct Bounds {
    at: Position,
    count: usize,
    previous: Decimal,
    /// The bound of the tier read last; none when it is open.
    pub(super) last: Option<Decimal>,
    open: bool,
    ok: bool,
}

impl Bounds {
    pub(super) fn new(at: Position) -> Self {
        Self {
            at,
            count: 0,
            previous: Decimal::ZERO,
            last: None,
            open: false,
            ok: true,
        }
    }

    /// Reads `up_to` and the optional `from` of the next tier.
    pub(super) fn next(&mut self, t: &mut Fields<'_>, report: &mut Report) {
        self.count += 1;
        if self.open {
            self.fail(t.at(), "tiers-overlap", "this tier follows the open tier and is never reached: move the tier without `up_to` to the end", report);
        }
        if let Some(from) = t.number("from", Sign::NotNegative, report)
            && from != self.previous
        {
            let (code, word) = if from > self.previous {
                ("tiers-gap", "gap")
            } else {
                ("tiers-overlap", "overlap")
            };
            let message = format!(
                "{word}: the tier starts at {from} but the one before ends at {0}: set `from` to {0}",
                self.previous
            );
            self.fail(t.place("from"), code, &message, report);
        }
        let present = t.take("up_to").is_some();
        let bound = t.number("up_to", Sign::Positive, report);
        self.open = !present;
        self.last = bound;
        if present && bound.is_none() {
            self.ok = false;
        }
        if let Some(bound) = bound {
            if bound <= self.previous {
                let message = format!(
                    "tiers are not in order: `up_to` is {bound}, the bound before is {}: each bound must be above the one before",
                    self.previous
                );
                self.fail(t.place("up_to"), "tiers-unordered", &message, report);
            }
            self.previous = bound;
        }
    }

    /// Whether the tiers can be used.
    pub(super) fn finish(mut self, report: &mut Report) -> bool {
        let at = self.at;
        if self.count == 0 {
            self.fail(
                at,
                "tiers-missing",
                "a tiered price needs `tiers` with at least one tier",
                report,
            );
        } else if !self.open && self.ok {
            let message = format!(
                "no tier is open-ended: usage above {} has no price: leave out `up_to` in the last tier",
                self.previous
            );
            self.fail(at, "tiers-not-open", &message, report);
        }
        self.ok
    }

    fn fail(&mut self, at: Position, code: &'static str, message: &str, report: &mut Report) {
        self.ok = false;
        report.error(at, code, message);
    }
}
