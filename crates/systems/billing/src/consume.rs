//! Metering: the consumer of the log that adds each event to the usage rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::clock::{DAY, HOUR};
use sealwright_core::{TenantId, UnixMicros};
use sealwright_events::{ConsumerError, Effect, StoredEvent};
use sealwright_meter::{Aggregate, canonical_dimensions};
use sealwright_store::Tx;

use crate::model::{Span, UsageKey};
use crate::service::budget::Touched;
use crate::service::meter::{MeterService, located};
use crate::store::usage::{self, Late, Unmetered, UsageRow};

/// The name under which the cursor is kept.
pub const CONSUMER: &str = "billing-metering";

/// Adds events to usage. Its cursor is in the same transaction, so each event counts once.
#[derive(Debug)]
pub struct Metering {
    meters: Arc<MeterService>,
    touched: Option<Arc<Touched>>,
}

/// What a batch of events adds to one usage row.
#[derive(Debug, Default)]
struct Delta {
    hours: BTreeMap<u8, Aggregate>,
    /// Indexes of the events in the batch, to name them if they cannot be added after all.
    events: Vec<usize>,
}

/// The aggregates of a row, by hour of the day.
pub type Hours = BTreeMap<u8, Aggregate>;

/// Reads the `hours` of a usage row.
///
/// # Errors
/// When the text is damaged.
pub fn read_hours(text: &str) -> Result<Hours, serde_json::Error> {
    serde_json::from_str(text)
}

impl Metering {
    /// A consumer that meters with the meters in force.
    pub fn new(meters: Arc<MeterService>) -> Self {
        Self {
            meters,
            touched: None,
        }
    }

    /// Tells `touched` after each commit which tenants used something.
    #[must_use]
    pub fn telling(self, touched: Arc<Touched>) -> Self {
        Self {
            touched: Some(touched),
            ..self
        }
    }

    fn collect(
        &self,
        events: &[StoredEvent],
        unmetered: &mut Vec<Unmetered>,
    ) -> HashMap<UsageKey, Delta> {
        let meters = self.meters.current();
        let mut deltas: HashMap<UsageKey, Delta> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            if !meters.set.wants(&event.event_type) {
                continue;
            }
            let value = match event.value() {
                Ok(value) => value,
                Err(error) => {
                    unmetered.push(put_aside(event, "*", String::new(), error.to_string()));
                    continue;
                }
            };
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            meters.set.contributions(
                &event.event_type,
                &value,
                event.time.0,
                &mut out,
                &mut errors,
            );
            for error in errors {
                let (pointer, reason) = located(&error);
                unmetered.push(put_aside(event, &error.key, pointer, reason));
            }
            for contribution in out {
                let Some(def) = meters.set.def(contribution.meter) else {
                    continue;
                };
                let pairs = contribution
                    .dimensions
                    .iter()
                    .map(|(name, value)| (*name, &**value));
                let key = UsageKey {
                    tenant: event.tenant,
                    meter: def.key.clone(),
                    day: event.time.floor_day(),
                    dimensions: canonical_dimensions(pairs),
                };
                let delta = deltas.entry(key).or_default();
                let aggregate = delta
                    .hours
                    .entry(hour_of(event.time))
                    .or_insert_with(|| Aggregate::new(def.aggregation));
                match aggregate.add(&contribution.value) {
                    Ok(()) => delta.events.push(index),
                    Err(error) => {
                        unmetered.push(put_aside(event, &def.key, String::new(), error.to_string()))
                    }
                }
            }
        }
        deltas
    }
}

/// The hour of the UTC day, 0 to 23.
fn hour_of(at: UnixMicros) -> u8 {
    u8::try_from(at.0.rem_euclid(DAY) / HOUR).unwrap_or(0)
}

fn put_aside(event: &StoredEvent, meter: &str, pointer: String, reason: String) -> Unmetered {
    Unmetered {
        offset: event.offset,
        meter: meter.to_owned(),
        tenant: event.tenant,
        source: event.source.clone(),
        event_id: event.id.clone(),
        event_type: event.event_type.clone(),
        time: event.time,
        pointer,
        reason,
    }
}

/// The row with the delta added, or why that is not possible.
fn merged(row: Option<UsageRow>, key: UsageKey, delta: &Delta) -> Result<UsageRow, String> {
    let mut hours: Hours = match &row {
        Some(row) => read_hours(&row.hours).map_err(|error| error.to_string())?,
        None => Hours::new(),
    };
    for (hour, aggregate) in &delta.hours {
        match hours.entry(*hour) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(aggregate.clone());
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry
                    .get_mut()
                    .merge(aggregate)
                    .map_err(|error| error.to_string())?;
            }
        }
    }
    let events = row.map_or(0, |row| row.events) + delta.events.len() as u64;
    let hours = serde_json::to_string(&hours).map_err(|error| error.to_string())?;
    Ok(UsageRow { key, events, hours })
}

#[async_trait]
impl Effect for Metering {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    async fn apply(&self, tx: &mut Tx, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        let mut unmetered = Vec::new();
        // Another process may have changed the meters; what is metered must not depend on who does it.
        self.meters
            .refresh()
            .await
            .map_err(|error| ConsumerError::Other(error.to_string()))?;
        let deltas = sealwright_events::busy(|| self.collect(events, &mut unmetered));
        let late = late_events(tx, events, &deltas).await?;

        let mut keys: Vec<UsageKey> = deltas.keys().cloned().collect();
        keys.sort_unstable();
        let mut there = usage::find(tx, &keys).await?;
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(delta) = deltas.get(&key) else {
                continue;
            };
            let row = there.remove(&key);
            let meter = key.meter.clone();
            match merged(row, key, delta) {
                Ok(row) => rows.push(row),
                Err(reason) => {
                    let events = delta.events.iter().filter_map(|index| events.get(*index));
                    unmetered.extend(
                        events.map(|e| put_aside(e, &meter, String::new(), reason.clone())),
                    );
                }
            }
        }
        usage::put(tx, &rows).await?;
        usage::put_unmetered(tx, &unmetered).await?;
        usage::put_late(tx, &late).await?;
        Ok(())
    }

    async fn committed(&self, events: &[StoredEvent]) {
        if let (Some(touched), Some(last)) = (&self.touched, events.last()) {
            touched.add(events.iter().map(|event| event.tenant), last.offset + 1);
        }
    }
}

/// Metered events whose period has been invoiced already.
async fn late_events(
    tx: &mut Tx,
    events: &[StoredEvent],
    deltas: &HashMap<UsageKey, Delta>,
) -> Result<Vec<Late>, ConsumerError> {
    let Some(oldest) = events.iter().map(|event| event.time).min() else {
        return Ok(Vec::new());
    };
    let closed = usage::closed_periods(tx, oldest).await?;
    if closed.is_empty() {
        return Ok(Vec::new());
    }
    let mut by_tenant: HashMap<TenantId, Vec<(Span, String)>> = HashMap::new();
    for (tenant, span, invoice) in closed {
        by_tenant.entry(tenant).or_default().push((span, invoice));
    }
    let mut metered: Vec<usize> = deltas
        .values()
        .flat_map(|delta| delta.events.iter().copied())
        .collect();
    metered.sort_unstable();
    metered.dedup();
    let late = metered.into_iter().filter_map(|index| {
        let event = events.get(index)?;
        let (_, invoice) = by_tenant
            .get(&event.tenant)?
            .iter()
            .find(|(span, _)| span.contains(event.time))?;
        Some(Late {
            offset: event.offset,
            invoice: invoice.clone(),
            tenant: event.tenant,
            source: event.source.clone(),
            event_id: event.id.clone(),
            event_type: event.event_type.clone(),
            time: event.time,
        })
    });
    Ok(late.collect())
}
