//! Budgets: what may be used in a month, and what happens on the way there.

use std::fmt;
use std::str::FromStr;

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use sealwright_money::{Currency, Decimal, Money, exact};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of [`BudgetId`].
#[derive(Debug)]
pub enum BudgetKind {}

impl IdKind for BudgetKind {
    const PREFIX: &'static str = "bud";
}

/// A budget.
pub type BudgetId = Id<BudgetKind>;

/// What a budget limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// What the month's usage costs by the tenant's price book, without fees.
    Amount,
    /// The month's quantity of a meter.
    Meter(String),
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount => f.write_str("amount"),
            Self::Meter(key) => write!(f, "meter:{key}"),
        }
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "amount" => Ok(Self::Amount),
            Some(("meter", key)) if !key.is_empty() && key.len() <= 128 => {
                Ok(Self::Meter(key.to_owned()))
            }
            _ => Err(format!(
                "`{text}` cannot be budgeted; give `amount` or `meter:KEY`"
            )),
        }
    }
}

impl Serialize for Measure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a caller shall do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Go on.
    Allow,
    /// Slow down.
    Throttle,
    /// Do not.
    Stop,
}

impl Decision {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Throttle => "throttle",
            Self::Stop => "stop",
        }
    }
}

/// What a threshold does when it is crossed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdKind {
    /// Tells people.
    Alert,
    /// From here on callers are told to slow down.
    Throttle,
    /// From here on callers are told to stop.
    Stop,
}

impl ThresholdKind {
    /// The name, as in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Throttle => "throttle",
            Self::Stop => "stop",
        }
    }
}

impl FromStr for ThresholdKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Alert, Self::Throttle, Self::Stop]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("`{text}` is not alert, throttle or stop"))
    }
}

/// The largest percentage that a threshold may have.
pub const MOST_PERCENT: u32 = 10_000;
/// The most alert thresholds of a budget.
pub const MOST_ALERTS: usize = 20;

/// The terms of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetTerms {
    /// `amount`, or `meter:KEY` for a quantity.
    #[schema(value_type = String, example = "amount")]
    pub measure: Measure,
    /// What may be used in a calendar month (UTC), a positive decimal: money, or a quantity.
    #[schema(example = "500.00")]
    pub limit: String,
    /// The ISO 4217 code of an amount; absent for a quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "USD")]
    pub currency: Option<String>,
    /// Percentages of the limit at which people are told.
    #[serde(default = "default_alerts")]
    pub alerts: Vec<u32>,
    /// The percentage from which on callers are told to slow down; null for never.
    #[serde(default = "default_throttle")]
    pub throttle: Option<u32>,
    /// The percentage from which on callers are told to stop; null for never.
    #[serde(default = "default_stop")]
    pub stop: Option<u32>,
    /// What callers are told while it is not known how much was used.
    #[serde(default = "default_unknown")]
    pub when_unknown: Decision,
}

fn default_alerts() -> Vec<u32> {
    vec![80, 90, 100]
}

#[allow(clippy::unnecessary_wraps, reason = "the field's type")]
fn default_throttle() -> Option<u32> {
    Some(95)
}

#[allow(clippy::unnecessary_wraps, reason = "the field's type")]
fn default_stop() -> Option<u32> {
    Some(105)
}

fn default_unknown() -> Decision {
    Decision::Allow
}

impl BudgetTerms {
    /// Terms with the documented thresholds: alerts at 80, 90 and 100 %, throttle at 95 %, stop at 105 %, and
    /// callers are let through while usage is unknown.
    pub fn new(measure: Measure, limit: &str, currency: Option<&str>) -> Self {
        Self {
            measure,
            limit: limit.to_owned(),
            currency: currency.map(str::to_owned),
            alerts: default_alerts(),
            throttle: default_throttle(),
            stop: default_stop(),
            when_unknown: default_unknown(),
        }
    }

    /// The same terms in their one form: thresholds sorted, each once; money with all its digits.
    ///
    /// # Errors
    /// What is not valid, and what to give instead.
    pub fn checked(mut self) -> Result<Self, String> {
        let limit = exact::parse(&self.limit).map_err(|error| format!("`limit`: {error}"))?;
        if limit <= Decimal::ZERO {
            return Err(format!("`limit` is {limit}; give a positive number"));
        }
        match (&self.measure, &self.currency) {
            (Measure::Amount, Some(code)) => {
                let currency =
                    Currency::from_code(code).map_err(|error| format!("`currency`: {error}"))?;
                let money = Money::parse(&self.limit, currency)
                    .map_err(|error| format!("`limit`: {error}"))?;
                self.currency = Some(currency.code().to_owned());
                self.limit = money.amount();
            }
            (Measure::Amount, None) => {
                return Err("`currency` is missing; an amount has one (such as USD)".to_owned());
            }
            (Measure::Meter(_), Some(_)) => {
                return Err("`currency` is given; a quantity of a meter has none".to_owned());
            }
            (Measure::Meter(_), None) => self.limit = limit.normalize().to_string(),
        }
        if self.alerts.len() > MOST_ALERTS {
            return Err(format!("`alerts` has more than {MOST_ALERTS} thresholds"));
        }
        self.alerts.sort_unstable();
        self.alerts.dedup();
        let all = self.alerts.iter().copied();
        if let Some(bad) = all
            .chain(self.throttle)
            .chain(self.stop)
            .find(|percent| !(1..=MOST_PERCENT).contains(percent))
        {
            return Err(format!(
                "{bad} % is not a threshold; give 1 to {MOST_PERCENT}"
            ));
        }
        if let (Some(throttle), Some(stop)) = (self.throttle, self.stop)
            && throttle > stop
        {
            return Err(format!(
                "`throttle` ({throttle} %) lies above `stop` ({stop} %)"
            ));
        }
        Ok(self)
    }

    /// The limit as a number.
    pub fn limit(&self) -> Decimal {
        // Checked when it was stored; a damaged text counts as the smallest budget, not as none.
        exact::parse(&self.limit).unwrap_or(Decimal::ZERO)
    }

    /// The unit of limit and usage: a currency code, or the meter's unit that the caller knows.
    pub fn unit<'a>(&'a self, meter_unit: &'a str) -> &'a str {
        self.currency.as_deref().unwrap_or(meter_unit)
    }

    /// Every threshold, the lowest first.
    pub fn thresholds(&self) -> Vec<(ThresholdKind, u32)> {
        let alerts = self.alerts.iter().map(|p| (ThresholdKind::Alert, *p));
        let throttle = self.throttle.map(|p| (ThresholdKind::Throttle, p));
        let stop = self.stop.map(|p| (ThresholdKind::Stop, p));
        let mut all: Vec<_> = alerts.chain(throttle).chain(stop).collect();
        all.sort_by_key(|(kind, percent)| (*percent, *kind));
        all
    }

    /// Whether `used` has reached `percent` of the limit; exact.
    pub fn reached(&self, used: Decimal, percent: u32) -> bool {
        let hundred = Decimal::ONE_HUNDRED;
        match (
            used.checked_mul(hundred),
            self.limit().checked_mul(Decimal::from(percent)),
        ) {
            (Some(used), Some(limit)) => used >= limit,
            // Beyond what can be multiplied: divide instead.
            _ => used / hundred >= self.limit() / Decimal::from(percent.max(1)),
        }
    }

    /// What a caller is told at this usage.
    pub fn decide(&self, used: Decimal) -> Decision {
        let at = |percent: Option<u32>| percent.is_some_and(|p| self.reached(used, p));
        if at(self.stop) {
            Decision::Stop
        } else if at(self.throttle) {
            Decision::Throttle
        } else {
            Decision::Allow
        }
    }

    /// Used of the limit in percent, with one decimal, rounded down: 99.96 % is not yet 100 %.
    pub fn percent(&self, used: Decimal) -> Decimal {
        let limit = self.limit();
        if limit.is_zero() {
            return Decimal::ZERO;
        }
        used.checked_mul(Decimal::ONE_HUNDRED)
            .and_then(|used| used.checked_div(limit))
            .map_or(Decimal::MAX, |share| share.trunc_with_scale(1))
    }
}

/// A budget as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its id.
    pub id: BudgetId,
    /// Whose.
    pub tenant: TenantId,
    /// Its terms.
    pub terms: BudgetTerms,
    /// Grows with each change; the ETag.
    pub revision: i64,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When it was changed last.
    pub updated_at: UnixMicros,
    /// Who changed it last.
    pub updated_by: String,
}

/// A threshold that was crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Which budget.
    pub budget: BudgetId,
    /// Whose.
    pub tenant: TenantId,
    /// What it limits.
    pub measure: Measure,
    /// The first moment of the month.
    pub month: UnixMicros,
    /// What the threshold does.
    pub kind: ThresholdKind,
    /// The threshold, in percent of the limit.
    pub percent: u32,
    /// What had been used when it was found, a decimal.
    pub used: String,
    /// The limit at that time.
    pub limit: String,
    /// The unit of both.
    pub unit: String,
    /// When it was found.
    pub crossed_at: UnixMicros,
    /// Events below this offset of the log were counted.
    pub metered_through: u64,
    /// The ledger entry that records it.
    pub ledger_entry: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn amount(limit: &str) -> BudgetTerms {
        BudgetTerms::new(Measure::Amount, limit, Some("USD"))
            .checked()
            .unwrap()
    }

    #[test]
    fn the_documented_thresholds_are_the_defaults() {
        let terms: BudgetTerms =
            serde_json::from_str(r#"{"measure":"amount","limit":"200","currency":"USD"}"#).unwrap();
        let terms = terms.checked().unwrap();
        let words: Vec<_> = terms
            .thresholds()
            .iter()
            .map(|(kind, percent)| format!("{percent} {}", kind.name()))
            .collect();
        assert_eq!(
            words,
            [
                "80 alert",
                "90 alert",
                "95 throttle",
                "100 alert",
                "105 stop"
            ]
        );
        for (used, decision) in [
            ("0", Decision::Allow),
            ("189.99", Decision::Allow),
            ("190", Decision::Throttle),
            ("209.99", Decision::Throttle),
            ("210", Decision::Stop),
        ] {
            assert_eq!(terms.decide(used.parse().unwrap()), decision, "{used}");
        }
    }

    #[test]
    fn a_share_is_never_rounded_up_to_a_threshold() {
        let terms = amount("300");
        assert_eq!(terms.percent("299.99".parse().unwrap()).to_string(), "99.9");
        assert!(!terms.reached("299.99".parse().unwrap(), 100));
        assert!(terms.reached("300".parse().unwrap(), 100));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_remedy() {
        let good = amount("10");
        for (bad, part) in [
            (
                BudgetTerms {
                    limit: "0".into(),
                    ..good.clone()
                },
                "positive",
            ),
            (
                BudgetTerms {
                    limit: "1e400".into(),
                    ..good.clone()
                },
                "limit",
            ),
            (
                BudgetTerms {
                    limit: "1.234".into(),
                    ..good.clone()
                },
                "limit",
            ),
            (
                BudgetTerms {
                    currency: None,
                    ..good.clone()
                },
                "currency",
            ),
            (
                BudgetTerms {
                    currency: Some("XXQ".into()),
                    ..good.clone()
                },
                "currency",
            ),
            (
                BudgetTerms {
                    alerts: vec![0],
                    ..good.clone()
                },
                "0 %",
            ),
            (
                BudgetTerms {
                    throttle: Some(110),
                    ..good.clone()
                },
                "above",
            ),
            (
                BudgetTerms {
                    measure: Measure::Meter("a".into()),
                    ..good.clone()
                },
                "quantity",
            ),
        ] {
            let error = bad.checked().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        for text in ["", "meter:", "money", "meter"] {
            assert!(text.parse::<Measure>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn more_usage_never_loosens_a_decision(a in 0_u64..1_000_000, b in 0_u64..1_000_000, limit in 1_u64..1_000_000) {
            let terms = amount(&limit.to_string());
            let (low, high) = (Decimal::from(a.min(b)), Decimal::from(a.max(b)));
            prop_assert!(terms.decide(low) <= terms.decide(high));
            for (kind, percent) in terms.thresholds() {
                if kind == ThresholdKind::Stop {
                    prop_assert_eq!(terms.reached(high, percent), terms.decide(high) == Decision::Stop);
                }
            }
        }
    }
}
