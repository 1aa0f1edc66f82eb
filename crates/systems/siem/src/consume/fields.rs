//! Which fields that rules ask for the events of a source carry: counted in memory, and written together with
//! the effect of a batch, but not of every batch.

use std::collections::{BTreeMap, HashMap};

use sealwright_core::clock::SECOND;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_sigma::compiled::RuleSet;
use sealwright_store::Tx;

use crate::store::field::{self, Fields, Seen};

/// What is counted is written when it is older than this, in microseconds.
const WRITTEN_EVERY: i64 = 30 * SECOND;
/// Or when so many events were counted.
const WRITTEN_AT: u64 = 1_000;
/// Sources of which fields are counted.
const MOST_SOURCES: usize = 20_000;

#[derive(Default)]
struct Counted {
    events: u64,
    first_received: i64,
    last_received: i64,
    fields: HashMap<Box<str>, Seen>,
}

/// See the module.
#[derive(Default)]
pub(super) struct FieldCounts {
    sources: BTreeMap<(TenantId, String), Counted>,
}

impl FieldCounts {
    /// Counts an event that was just matched: `seen` are the ids of its fields in `set`.
    pub(super) fn count(
        &mut self,
        tenant: TenantId,
        source: &str,
        received: UnixMicros,
        set: &RuleSet,
        seen: &[u32],
    ) {
        let key = (tenant, source.to_owned());
        if !self.sources.contains_key(&key) && self.sources.len() >= MOST_SOURCES {
            return;
        }
        let counted = self.sources.entry(key).or_default();
        if counted.events == 0 {
            counted.first_received = received.0;
        }
        counted.events += 1;
        counted.last_received = counted.last_received.max(received.0);
        let names = set.field_names();
        for id in seen {
            let Some(name) = names.get(*id as usize) else {
                continue;
            };
            let nth = counted.events;
            match counted.fields.get_mut(name) {
                Some(field) => {
                    field.events += 1;
                    field.at = field.at.max(received.0);
                    field.nth = nth;
                }
                None => {
                    let field = Seen {
                        events: 1,
                        at: received.0,
                        nth,
                    };
                    counted.fields.insert(name.clone(), field);
                }
            }
        }
    }

    /// Writes what has waited for long enough.
    pub(super) async fn write(&mut self, tx: &mut Tx) -> sealwright_store::Result<()> {
        let due = |c: &Counted| {
            c.events >= WRITTEN_AT || c.last_received - c.first_received >= WRITTEN_EVERY
        };
        let keys: Vec<(TenantId, String)> = self
            .sources
            .iter()
            .filter(|(_, counted)| due(counted))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let Some(counted) = self.sources.remove(&key) else {
                continue;
            };
            let fields = Fields {
                tenant: key.0,
                source: key.1,
                events: counted.events,
                last_received: UnixMicros(counted.last_received),
                fields: counted
                    .fields
                    .into_iter()
                    .map(|(name, seen)| (name.into_string(), seen))
                    .collect(),
            };
            field::add(tx, &fields).await?;
        }
        Ok(())
    }
}
