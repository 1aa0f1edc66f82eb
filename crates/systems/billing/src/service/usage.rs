//! Summaries of usage: by tenant, meter, dimension, hour, day or month.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use sealwright_core::clock::{DAY, HOUR};
use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_meter::{Aggregate, Aggregation};
use sealwright_store::Store;
use serde::Serialize;

use super::BillingError;
use super::meter::MeterService;
use crate::consume::read_hours;
use crate::model::{Dimensions, Grain, Span};
use crate::store::usage as rows;

/// What to summarise.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// Only this meter.
    pub meter: Option<String>,
    /// The time, from included, to excluded; the ends are moved outwards to whole hours.
    pub span: Span,
    /// One point an hour, a day or a month; without it one for the whole span.
    pub grain: Option<Grain>,
    /// Keep these dimensions apart; the others are added up.
    pub group_by: Vec<String>,
    /// Keep tenants apart.
    pub by_tenant: bool,
    /// Only usage with these dimension values.
    pub only: Dimensions,
}

impl UsageQuery {
    /// Everything in `span`, each tenant and each meter by itself, no dimension kept apart.
    pub fn over(span: Span) -> Self {
        Self {
            meter: None,
            span,
            grain: None,
            group_by: Vec::new(),
            by_tenant: true,
            only: Dimensions::new(),
        }
    }
}

/// One point of a summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsagePoint {
    /// Whose; absent when tenants are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The meter's key.
    pub meter: String,
    /// The meter's unit.
    pub unit: String,
    /// The dimension values that were kept apart.
    pub dimensions: Dimensions,
    /// The start of the hour, day, month or span.
    pub from: UnixMicros,
    /// Its end, excluded.
    pub to: UnixMicros,
    /// The value, an exact decimal; absent when it is unknown (a largest or average value of nothing).
    pub quantity: Option<String>,
    /// How many events stand behind it; absent below a day, where rows do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

/// Which series a row belongs to.
type Series = (Option<TenantId>, String, Dimensions);

/// Reads usage.
#[derive(Debug, Clone)]
pub struct UsageService {
    store: Store,
    meters: Arc<MeterService>,
}

/// An aggregate of one row's hour: a row's dimensions stay apart until values are finished, since the
/// largest value and the average of two regions do not merge.
type Cell = (TenantId, Dimensions);

#[derive(Default)]
struct Buckets {
    /// By bucket start, then by the row's own dimensions.
    values: BTreeMap<UnixMicros, BTreeMap<Cell, Aggregate>>,
    events: BTreeMap<UnixMicros, u64>,
}

impl UsageService {
    /// Reads from `store`.
    pub fn new(store: Store, meters: Arc<MeterService>) -> Self {
        Self { store, meters }
    }

    /// The meters in force.
    pub fn meters(&self) -> &Arc<MeterService> {
        &self.meters
    }

    /// Events below this offset of the log are in the usage rows.
    ///
    /// # Errors
    /// From the state.
    pub async fn metered_through(&self) -> Result<u64, BillingError> {
        Ok(rows::metered_through(&self.store).await?)
    }

    /// Events that could not be metered, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn unmetered(
        &self,
        scope: TenantScope,
        span: Span,
        limit: u32,
    ) -> Result<Vec<rows::Unmetered>, BillingError> {
        Ok(rows::unmetered(&self.store, scope, span, limit).await?)
    }

    /// How many events could not be metered.
    ///
    /// # Errors
    /// From the state.
    pub async fn count_unmetered(
        &self,
        scope: TenantScope,
        span: Span,
    ) -> Result<u64, BillingError> {
        Ok(rows::count_unmetered(&self.store, scope, span).await?)
    }

    /// The summary, ordered by tenant, meter, dimensions and time.
    ///
    /// Cost: one indexed read of about one row a day, meter and set of dimension values in the span; levels
    /// (time-weighted meters) also read the rows before it, for the level that lasts into it.
    ///
    /// # Errors
    /// When the query is not valid or a row is damaged.
    pub async fn summary(
        &self,
        scope: TenantScope,
        query: &UsageQuery,
    ) -> Result<Vec<UsagePoint>, BillingError> {
        if query.span.from >= query.span.to {
            return Err(BillingError::Invalid(
                "the span is empty: `from` must be before `to`".into(),
            ));
        }
        let meters = self.meters.current();
        let wanted: Vec<_> = meters
            .definitions
            .iter()
            .filter(|def| query.meter.as_ref().is_none_or(|key| *key == def.key))
            .collect();
        if wanted.is_empty() {
            let known: Vec<_> = meters.definitions.iter().map(|d| d.key.as_str()).collect();
            return Err(BillingError::NotFound(format!(
                "the meter `{}` (there are {})",
                query.meter.as_deref().unwrap_or_default(),
                known.join(", ")
            )));
        }
        let lasting =
            |def: &sealwright_meter::MeterDef| matches!(def.aggregation, Aggregation::TimeWeighted);
        let span = query.span;
        let mut series: BTreeMap<Series, Buckets> = BTreeMap::new();
        let mut fetched = rows::between(&self.store, scope, query.meter.as_deref(), span).await?;
        for def in wanted.iter().filter(|def| lasting(def)) {
            let before = Span {
                from: UnixMicros(i64::MIN / 2),
                to: span.from.floor_day(),
            };
            fetched.extend(rows::between(&self.store, scope, Some(&def.key), before).await?);
        }
        for row in fetched {
            let Some(def) = meters.definition(&row.key.meter) else {
                continue;
            };
            let dimensions = parse_dimensions(&row.key.dimensions);
            if query
                .only
                .iter()
                .any(|(name, value)| dimensions.get(name) != Some(value))
            {
                continue;
            }
            let kept: Dimensions = dimensions
                .iter()
                .filter(|(name, _)| query.group_by.contains(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let tenant = query.by_tenant.then_some(row.key.tenant);
            let buckets = series
                .entry((tenant, row.key.meter.clone(), kept))
                .or_default();
            let hours = read_hours(&row.hours).map_err(|error| BillingError::Damaged {
                what: "usage row",
                detail: error.to_string(),
            })?;
            let cell = (row.key.tenant, dimensions);
            let day_bucket = bucket_start(row.key.day.0.max(span.from.0), query, span);
            if row.key.day >= span.from.floor_day() && query.grain != Some(Grain::Hour) {
                *buckets.events.entry(day_bucket).or_default() += row.events;
            }
            for (hour, aggregate) in hours {
                let at = UnixMicros(row.key.day.0 + i64::from(hour) * HOUR);
                let inside = at.plus(HOUR) > span.from && at < span.to;
                let carried = lasting(def) && at < span.from;
                if !(inside || carried) {
                    continue;
                }
                // A level before the span lasts into its first bucket.
                let start = bucket_start(at.0.max(span.from.0), query, span);
                let cells = buckets.values.entry(start).or_default();
                match cells.entry(cell.clone()) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(aggregate);
                    }
                    std::collections::btree_map::Entry::Occupied(mut entry) => {
                        entry.get_mut().merge(&aggregate)?;
                    }
                }
            }
        }
        let mut points = Vec::new();
        for ((tenant, meter, dimensions), mut buckets) in series {
            let Some(def) = meters.definition(&meter) else {
                continue;
            };
            if lasting(def) {
                carry_levels(&mut buckets, query, span)?;
            }
            for (from, cells) in &buckets.values {
                let to = bucket_end(*from, query, span);
                let mut total = None;
                for aggregate in cells.values() {
                    if let Some(quantity) = aggregate.finish(from.0, to.0)? {
                        let sum = total.unwrap_or_default();
                        total = Some(
                            sealwright_money::exact::add(sum, quantity.value)
                                .map_err(sealwright_meter::AggregateError::from)?,
                        );
                    }
                }
                points.push(UsagePoint {
                    tenant,
                    meter: meter.clone(),
                    unit: def.unit.clone(),
                    dimensions: dimensions.clone(),
                    from: *from,
                    to,
                    quantity: total.map(|value| value.normalize().to_string()),
                    events: buckets.events.get(from).copied(),
                });
            }
        }
        Ok(points)
    }
}

/// A level lasts until the next one: every later bucket of the span starts with the levels before it.
fn carry_levels(buckets: &mut Buckets, query: &UsageQuery, span: Span) -> Result<(), BillingError> {
    let Some(first) = buckets.values.keys().next().copied() else {
        return Ok(());
    };
    let mut starts = BTreeSet::new();
    let mut at = first;
    while at < span.to {
        starts.insert(at);
        at = bucket_end(at, query, span);
    }
    let mut levels: BTreeMap<Cell, Aggregate> = BTreeMap::new();
    for start in starts {
        let own = buckets.values.remove(&start).unwrap_or_default();
        for (cell, aggregate) in own {
            match levels.entry(cell) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(aggregate);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().merge(&aggregate)?;
                }
            }
        }
        buckets.values.insert(start, levels.clone());
        let end = bucket_end(start, query, span);
        for aggregate in levels.values_mut() {
            aggregate.forget_before(end.0);
        }
    }
    Ok(())
}

fn bucket_start(at: i64, query: &UsageQuery, span: Span) -> UnixMicros {
    let at = UnixMicros(at);
    match query.grain {
        None => span.from,
        Some(Grain::Hour) => at.floor_hour(),
        Some(Grain::Day) => at.floor_day().max(span.from),
        Some(Grain::Month) => month_start(at).max(span.from),
    }
}

fn bucket_end(start: UnixMicros, query: &UsageQuery, span: Span) -> UnixMicros {
    let end = match query.grain {
        None => span.to,
        Some(Grain::Hour) => start.plus(HOUR),
        Some(Grain::Day) => start.floor_day().plus(DAY),
        Some(Grain::Month) => next_month(start),
    };
    end.min(span.to)
}

/// The first moment of the UTC month that holds `at`.
pub fn month_start(at: UnixMicros) -> UnixMicros {
    let zoned = at.timestamp().to_zoned(TimeZone::UTC);
    zoned
        .first_of_month()
        .and_then(|day| day.start_of_day())
        .map_or(at, |start| start.timestamp().into())
}

/// The first moment of the UTC month after the one that holds `at`.
pub fn next_month(at: UnixMicros) -> UnixMicros {
    let start = month_start(at).timestamp().to_zoned(TimeZone::UTC);
    start
        .checked_add(1.month())
        .map_or(UnixMicros(i64::MAX), |next| next.timestamp().into())
}

/// Reads what `sealwright_meter::canonical_dimensions` wrote.
pub fn parse_dimensions(text: &str) -> Dimensions {
    let mut dimensions = Dimensions::new();
    let (mut name, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let part = if in_value { &mut value } else { &mut name };
        match c {
            '\\' => part.extend(chars.next()),
            '=' if !in_value => in_value = true,
            ',' => {
                dimensions.insert(std::mem::take(&mut name), std::mem::take(&mut value));
                in_value = false;
            }
            c => part.push(c),
        }
    }
    if in_value {
        dimensions.insert(name, value);
    }
    dimensions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_have_their_own_length() {
        let at = |text: &str| UnixMicros::parse_rfc3339(text).unwrap_or_default();
        assert_eq!(
            month_start(at("2026-02-15T13:00:00Z")),
            at("2026-02-01T00:00:00Z")
        );
        assert_eq!(
            next_month(at("2026-12-31T23:59:59.999999Z")),
            at("2027-01-01T00:00:00Z")
        );
        assert_eq!(
            next_month(at("2028-02-29T00:00:00Z")),
            at("2028-03-01T00:00:00Z")
        );
    }

    proptest! {
        #[test]
        fn dimensions_read_back(map in proptest::collection::btree_map("[a-z=,\\\\]{1,5}", "[a-z=,\\\\ €]{0,6}", 0..4)) {
            let text = sealwright_meter::canonical_dimensions(
                map.iter().map(|(k, v)| (k.as_str(), v.as_str())),
            );
            prop_assert_eq!(parse_dimensions(&text), map);
        }
    }
}
