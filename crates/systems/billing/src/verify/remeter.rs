//! From events to usage once more, without the state: what finalising an invoice and verifying it share.

use std::collections::{BTreeMap, HashMap};

use sealwright_core::{Digest, UnixMicros};
use sealwright_meter::{
    Aggregate, AggregateError, Aggregation, MeterSet, Sample, canonical_dimensions,
};
use sealwright_money::Decimal;
use serde_json::Value;

use super::evidence::EvidenceEntry;
use crate::model::{Dimensions, Span};
use crate::service::usage::parse_dimensions;

/// Why events could not be metered again.
#[derive(Debug, thiserror::Error)]
pub enum RemeterError {
    /// A value cannot be added exactly.
    #[error("event {offset} cannot be added to {meter}: {source}")]
    Add {
        /// The event's place in the log.
        offset: u64,
        /// The meter.
        meter: String,
        /// Why.
        source: AggregateError,
    },
    /// A quantity cannot be computed.
    #[error("{meter}: {source}")]
    Finish {
        /// The meter.
        meter: String,
        /// Why.
        source: AggregateError,
    },
}

/// Usage as the events give it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemeteredRow {
    /// The meter's key.
    pub meter: String,
    /// The dimension values.
    pub dimensions: Dimensions,
    /// The quantity.
    pub quantity: Decimal,
    /// The meter's unit.
    pub unit: String,
    /// The events, in the order of the log.
    pub evidence: Vec<EvidenceEntry>,
}

struct Row {
    aggregate: Aggregate,
    evidence: Vec<EvidenceEntry>,
    /// Of levels before the span only the last of each series matters: (time, tie) and its place.
    before: HashMap<u128, ((i64, u128), EvidenceEntry, Sample)>,
}

/// Meters events of one tenant over one span. Memory: 48 bytes an event and meter.
pub struct Remeter<'m> {
    meters: &'m MeterSet,
    span: Span,
    rows: BTreeMap<(String, String), Row>,
    events: u64,
}

impl<'m> Remeter<'m> {
    /// Starts with no events.
    pub fn new(meters: &'m MeterSet, span: Span) -> Self {
        Self {
            meters,
            span,
            rows: BTreeMap::new(),
            events: 0,
        }
    }

    /// Adds an event; events come in the order of the log. Events outside of the span count only as
    /// levels that last into it. An event that a meter cannot read does not count, as it did not when it came.
    ///
    /// # Errors
    /// When a value cannot be added exactly.
    pub fn add(
        &mut self,
        entry: EvidenceEntry,
        event_type: &str,
        event: &Value,
    ) -> Result<(), RemeterError> {
        if entry.time >= self.span.to {
            return Ok(());
        }
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        self.meters
            .contributions(event_type, event, entry.time.0, &mut out, &mut errors);
        self.events += 1;
        for contribution in out {
            let Some(def) = self.meters.def(contribution.meter) else {
                continue;
            };
            let inside = self.span.contains(entry.time);
            if !inside && def.aggregation != Aggregation::TimeWeighted {
                continue;
            }
            let pairs = contribution
                .dimensions
                .iter()
                .map(|(name, value)| (*name, &**value));
            let key = (def.key.clone(), canonical_dimensions(pairs));
            let row = self.rows.entry(key).or_insert_with(|| Row {
                aggregate: Aggregate::new(def.aggregation),
                evidence: Vec::new(),
                before: HashMap::new(),
            });
            if let (
                false,
                Sample::Level {
                    series,
                    time_us,
                    tie,
                    ..
                },
            ) = (inside, contribution.value)
            {
                let moment = (time_us, tie);
                let later = row
                    .before
                    .get(&series)
                    .is_none_or(|(there, ..)| *there < moment);
                if later {
                    row.before
                        .insert(series, (moment, entry, contribution.value));
                }
                continue;
            }
            row.aggregate
                .add(&contribution.value)
                .map_err(|source| RemeterError::Add {
                    offset: entry.offset,
                    meter: def.key.clone(),
                    source,
                })?;
            row.evidence.push(entry);
        }
        Ok(())
    }

    /// The usage, by meter and dimensions. Rows whose value is unknown are left out.
    ///
    /// # Errors
    /// When a quantity cannot be computed exactly.
    pub fn finish(self) -> Result<Vec<RemeteredRow>, RemeterError> {
        let mut rows = Vec::with_capacity(self.rows.len());
        for ((meter, dimensions), mut row) in self.rows {
            for (_, entry, sample) in row.before.values() {
                row.aggregate
                    .add(sample)
                    .map_err(|source| RemeterError::Add {
                        offset: entry.offset,
                        meter: meter.clone(),
                        source,
                    })?;
                row.evidence.push(*entry);
            }
            row.evidence.sort_unstable();
            let finished = row
                .aggregate
                .finish(self.span.from.0, self.span.to.0)
                .map_err(|source| RemeterError::Finish {
                    meter: meter.clone(),
                    source,
                })?;
            let Some(quantity) = finished else { continue };
            let def = self
                .meters
                .index_of(&meter)
                .and_then(|index| self.meters.def(index));
            rows.push(RemeteredRow {
                dimensions: parse_dimensions(&dimensions),
                quantity: quantity.value.normalize(),
                unit: def.map(|def| def.unit.clone()).unwrap_or_default(),
                evidence: row.evidence,
                meter,
            });
        }
        Ok(rows)
    }
}

/// The event's own time, where it states one.
pub(crate) fn stated_time(event: &Value) -> Option<UnixMicros> {
    UnixMicros::parse_rfc3339(event.get("time")?.as_str()?).ok()
}

/// SHA-256 of an event's line.
pub(crate) fn digest_of(line: &[u8]) -> Digest {
    Digest::of(line)
}
