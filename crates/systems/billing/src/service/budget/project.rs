//! Where the month will end.
//!
//! Each meter's remaining days are forecast from its days so far (`sealwright-forecast`), spread over
//! dimension values as the last 30 days were, added to what was used, and rated as the invoice will be:
//! tiers, included quantities and discounts take effect as they will. Forecasts are floating point; they
//! become decimals before prices touch them, and nothing of a projection is ever invoiced.

use std::collections::BTreeMap;

use sealwright_core::clock::DAY;
use sealwright_core::{TenantScope, UnixMicros};
use sealwright_forecast::{Interval, Model};
use sealwright_meter::Aggregation;
use sealwright_money::{Decimal, exact};
use sealwright_rating::Plan;

use super::BudgetService;
use crate::model::budget::{Budget, Measure};
use crate::model::{Dimensions, Grain, Span, UsageEntry};
use crate::service::BillingError;
use crate::service::invoice::{rated, usage_amount};
use crate::service::usage::{UsageQuery, month_start, next_month};

/// The probability with which the month's end lies in the interval.
pub const PROJECTION_LEVEL: f64 = 0.9;
/// Days that are looked back.
const HISTORY_DAYS: i64 = 84;
/// Days by which usage is spread over dimension values.
const SPREAD_DAYS: i64 = 30;

/// The state at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionDay {
    /// The first moment of the day.
    pub day: UnixMicros,
    /// What will have been used by its end.
    pub point: Decimal,
    /// The lower end of the interval.
    pub low: Decimal,
    /// The upper end of the interval.
    pub high: Decimal,
}

/// Where a budget will stand at the end of the month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The month.
    pub month: Span,
    /// What is used until now.
    pub used: Decimal,
    /// The days from today on, each with what will have been used by its end.
    pub days: Vec<ProjectionDay>,
    /// Meters that were forecast, each with the number of its known days.
    pub forecast: BTreeMap<String, usize>,
    /// Meters that are taken as they stand: too little history, or their values do not add up.
    pub held: Vec<String>,
}

impl Projection {
    /// The end of the month.
    pub fn end(&self) -> Option<&ProjectionDay> {
        self.days.last()
    }
}

/// The days of one meter: `None` where the tenant sent nothing at all, which is not the same as zero.
type Days = Vec<Option<f64>>;

/// What the remaining days add to a meter, by day from today on: sums so far, each with its interval, less what
/// today already has.
type Remaining = BTreeMap<String, Vec<Interval>>;

impl BudgetService {
    /// Projects a budget to the end of the present month.
    ///
    /// Cost: one read of 84 days of usage, a fit for each meter, three ratings for each remaining day.
    ///
    /// # Errors
    /// [`BillingError::NotReady`] when no meter has enough known days (a week); from rating and the state.
    pub async fn project(&self, budget: &Budget) -> Result<Projection, BillingError> {
        let now = self.clock.now();
        let month = Span {
            from: month_start(now),
            to: next_month(now),
        };
        let today = now.floor_day();
        let ahead = usize::try_from((month.to.since(today) + DAY - 1) / DAY).unwrap_or(1);
        let only = match &budget.terms.measure {
            Measure::Amount => None,
            Measure::Meter(key) => Some(key.clone()),
        };
        let (remaining, forecast, held) = self.remaining(budget, today, ahead).await?;
        if forecast.is_empty() {
            return Err(BillingError::NotReady(format!(
                "a projection needs at least {} days of usage",
                sealwright_forecast::SMALLEST_HISTORY
            )));
        }
        let used = self.used(budget, month).await?;
        let mut days = Vec::with_capacity(ahead);
        match only {
            Some(key) => {
                let course = remaining.get(&key).cloned().unwrap_or_default();
                for (step, interval) in course.iter().enumerate() {
                    let sum = |more: f64| used.checked_add(decimal(more)).unwrap_or(Decimal::MAX);
                    days.push(ProjectionDay {
                        day: nth(today, step),
                        point: sum(interval.point),
                        low: sum(interval.low),
                        high: sum(interval.high),
                    });
                }
            }
            None => {
                let (_, plan, rows) = self.invoices.open_part(budget.tenant, now).await?;
                let spread = self.spread(budget, today).await?;
                let base = usage_amount(&rated(&plan, &rows, None)?)?.to_decimal();
                for step in 0..ahead {
                    let cost = |end: fn(&Interval) -> f64| {
                        let total = cost_with(&plan, &rows, &spread, &remaining, step, end)?;
                        let more = total.checked_sub(base).unwrap_or(Decimal::ZERO);
                        Ok::<_, BillingError>(used.checked_add(more).unwrap_or(Decimal::MAX))
                    };
                    days.push(ProjectionDay {
                        day: nth(today, step),
                        point: cost(|i| i.point)?,
                        low: cost(|i| i.low)?,
                        high: cost(|i| i.high)?,
                    });
                }
            }
        }
        Ok(Projection {
            month,
            used,
            days,
            forecast,
            held,
        })
    }

    /// What had been used by the end of each day of the present month, today's so far included.
    ///
    /// Cost: as many ratings as days for a budget in money, one read for a quantity.
    ///
    /// # Errors
    /// As for the usage of the budget.
    pub async fn course(
        &self,
        budget: &Budget,
    ) -> Result<Vec<(UnixMicros, Decimal)>, BillingError> {
        let now = self.clock.now();
        let from = month_start(now);
        let mut course = Vec::new();
        let mut day = from;
        while day <= now {
            let to = day.plus(DAY);
            let span = Span { from, to };
            course.push((day, self.used(budget, span).await?));
            day = to;
        }
        Ok(course)
    }

    /// Forecasts each meter of the budget.
    async fn remaining(
        &self,
        budget: &Budget,
        today: UnixMicros,
        ahead: usize,
    ) -> Result<(Remaining, BTreeMap<String, usize>, Vec<String>), BillingError> {
        let span = Span {
            from: today.plus(-HISTORY_DAYS * DAY),
            to: today.plus(DAY),
        };
        let query = UsageQuery {
            grain: Some(Grain::Day),
            ..UsageQuery::over(span)
        };
        let scope = TenantScope::One(budget.tenant);
        let points = self.usage.summary(scope, &query).await?;
        let place = |at: UnixMicros| usize::try_from(at.since(span.from) / DAY).unwrap_or(0);
        let length = place(span.to);
        // A day on which the tenant sent nothing at all is unknown; one with other usage is a zero.
        let mut heard = vec![false; length];
        let mut series: BTreeMap<String, Days> = BTreeMap::new();
        for point in &points {
            let at = place(point.from.floor_day());
            if let Some(flag) = heard.get_mut(at) {
                *flag = true;
            }
            let days = series
                .entry(point.meter.clone())
                .or_insert_with(|| vec![None; length]);
            if let (Some(day), Some(quantity)) = (days.get_mut(at), &point.quantity) {
                *day = quantity.parse::<f64>().ok();
            }
        }
        let (mut remaining, mut forecast, mut held) =
            (Remaining::new(), BTreeMap::new(), Vec::new());
        for (meter, mut days) in series {
            let wanted = match &budget.terms.measure {
                Measure::Amount => true,
                Measure::Meter(key) => *key == meter,
            };
            if !wanted {
                continue;
            }
            if !self.sums(&meter) {
                held.push(meter);
                continue;
            }
            let first = days.iter().position(Option::is_some).unwrap_or(length);
            for (day, heard) in days.iter_mut().zip(&heard).skip(first) {
                if day.is_none() && *heard {
                    *day = Some(0.0);
                }
            }
            // Today is not over: what it has so far is a lower bound and no day of the history.
            let so_far = days.pop().flatten().unwrap_or(0.0);
            let Ok(model) = Model::fit(&days, 7) else {
                held.push(meter);
                continue;
            };
            forecast.insert(meter.clone(), days.iter().flatten().count());
            let course: Result<Vec<Interval>, _> = (1..=ahead)
                .map(|days| model.total(days, PROJECTION_LEVEL))
                .collect();
            let course = course.map_err(|error| BillingError::Invalid(error.to_string()))?;
            let mut least = 0.0_f64;
            let course = course
                .into_iter()
                .map(|sum| {
                    // What is used is never taken back: sums over more days are not smaller.
                    let rest = |end: f64| (end - so_far).max(0.0);
                    least = least.max(rest(sum.low));
                    Interval {
                        low: least,
                        point: rest(sum.point).max(least),
                        high: rest(sum.high).max(least),
                    }
                })
                .collect();
            remaining.insert(meter, course);
        }
        Ok((remaining, forecast, held))
    }

    /// Whether the month's value is the sum of its days'. The number of different values is not: tomorrow's may be
    /// today's again.
    fn sums(&self, meter: &str) -> bool {
        let meters = self.usage.meters().current();
        meters
            .definition(meter)
            .is_some_and(|def| matches!(def.aggregation, Aggregation::Sum | Aggregation::Count))
    }

    /// How the usage of the last 30 days was spread over dimension values: shares of each meter, as the rows of
    /// an invoice are kept apart.
    async fn spread(
        &self,
        budget: &Budget,
        today: UnixMicros,
    ) -> Result<BTreeMap<String, Vec<(Dimensions, String, f64)>>, BillingError> {
        let meters = self.usage.meters().current();
        let mut group_by: Vec<String> = meters
            .definitions
            .iter()
            .flat_map(|def| def.dimensions.keys().cloned())
            .collect();
        group_by.sort_unstable();
        group_by.dedup();
        let query = UsageQuery {
            group_by,
            ..UsageQuery::over(Span {
                from: today.plus(-SPREAD_DAYS * DAY),
                to: today.plus(DAY),
            })
        };
        let scope = TenantScope::One(budget.tenant);
        let mut spread: BTreeMap<String, Vec<(Dimensions, String, f64)>> = BTreeMap::new();
        for point in self.usage.summary(scope, &query).await? {
            let quantity = point.quantity.and_then(|text| text.parse::<f64>().ok());
            if let Some(quantity) = quantity.filter(|quantity| *quantity > 0.0) {
                let rows = spread.entry(point.meter).or_default();
                rows.push((point.dimensions, point.unit, quantity));
            }
        }
        for rows in spread.values_mut() {
            let sum: f64 = rows.iter().map(|(.., quantity)| quantity).sum();
            for (.., quantity) in rows {
                *quantity /= sum;
            }
        }
        Ok(spread)
    }
}

fn nth(today: UnixMicros, step: usize) -> UnixMicros {
    today.plus(i64::try_from(step).unwrap_or(0) * DAY)
}

/// A forecast quantity as a decimal with nine digits that mean something.
fn decimal(value: f64) -> Decimal {
    let digits = (8 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 12);
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
        .parse()
        .unwrap_or(Decimal::ZERO)
}

/// What the usage so far and the forecast of the days up to `step` cost together.
fn cost_with(
    plan: &Plan,
    rows: &[UsageEntry],
    spread: &BTreeMap<String, Vec<(Dimensions, String, f64)>>,
    remaining: &Remaining,
    step: usize,
    end: fn(&Interval) -> f64,
) -> Result<Decimal, BillingError> {
    let mut sums: BTreeMap<(String, Dimensions), UsageEntry> = rows
        .iter()
        .map(|row| ((row.meter.clone(), row.dimensions.clone()), row.clone()))
        .collect();
    for (meter, course) in remaining {
        let more = course.get(step).map_or(0.0, end);
        for (dimensions, unit, share) in spread.get(meter).into_iter().flatten() {
            let key = (meter.clone(), dimensions.clone());
            let row = sums.entry(key).or_insert_with(|| UsageEntry {
                meter: meter.clone(),
                dimensions: dimensions.clone(),
                quantity: "0".to_owned(),
                unit: unit.clone(),
                events: 0,
                root: None,
            });
            let there = exact::parse(&row.quantity).unwrap_or(Decimal::ZERO);
            let sum = there.checked_add(decimal(more * share));
            row.quantity = sum.unwrap_or(there).normalize().to_string();
        }
    }
    let rows: Vec<UsageEntry> = sums.into_values().collect();
    Ok(usage_amount(&rated(plan, &rows, None)?)?.to_decimal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_become_decimals_of_any_size() {
        let cases = [
            (0.0, "0"),
            (0.123_456_789_12, "0.123456789"),
            (1e12 + 0.5, "1000000000001"),
        ];
        for (value, text) in cases {
            let near = (decimal(value) - text.parse::<Decimal>().unwrap_or_default()).abs();
            assert!(near <= Decimal::ONE, "{value} {}", decimal(value));
        }
        assert_eq!(decimal(f64::NAN), Decimal::ZERO);
        assert!(decimal(1e27) > Decimal::ZERO);
    }
}
