//! The meters in force: the predefined ones and those that the installation added.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use sealwright_core::{Clock, Digest};
use sealwright_events::{Admit, Incoming, Rejection};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_meter::{MeterDef, MeterError, MeterSet, floor_meters};
use sealwright_store::Store;

use super::BillingError;
use crate::store::price_book as rows;

/// Compiled meters with their definitions.
#[derive(Debug)]
pub struct MetersInForce {
    /// All meters, compiled.
    pub set: MeterSet,
    /// All definitions, predefined ones first.
    pub definitions: Vec<MeterDef>,
    /// SHA-256 of the canonical definitions, the same for everybody who has the same meters.
    pub digest: Digest,
    /// Only the added meters, for the check before acceptance: what the predefined ones read is
    /// checked by the catalogue of event families already.
    added: MeterSet,
}

impl MetersInForce {
    /// Compiles `added` beside the predefined meters; an added one of the same key replaces it.
    ///
    /// # Errors
    /// Every fault of every definition.
    pub fn compile(added: &[MeterDef]) -> Result<Self, BillingError> {
        let mut definitions: Vec<MeterDef> = floor_meters();
        definitions.retain(|def| added.iter().all(|new| new.key != def.key));
        definitions.extend(added.iter().cloned());
        let compile = |definitions: &[MeterDef]| {
            MeterSet::compile(definitions).map_err(|faults| {
                BillingError::Faults(
                    faults
                        .iter()
                        .map(|fault| {
                            format!(
                                "meter `{}`, {}: {}",
                                fault.meter, fault.field, fault.message
                            )
                        })
                        .collect(),
                )
            })
        };
        let value = serde_json::to_value(&definitions).map_err(|error| BillingError::Damaged {
            what: "meter",
            detail: error.to_string(),
        })?;
        Ok(Self {
            set: compile(&definitions)?,
            added: compile(added)?,
            digest: Digest::of_json(&value),
            definitions,
        })
    }

    /// The definition of a meter.
    pub fn definition(&self, key: &str) -> Option<&MeterDef> {
        self.definitions.iter().find(|def| def.key == key)
    }
}

/// Holds the meters in force; a change is seen by the next event.
#[derive(Debug)]
pub struct MeterService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    current: RwLock<Arc<MetersInForce>>,
    /// How many versions of meters the database had when `current` was read.
    versions: AtomicI64,
}

impl MeterService {
    /// Loads the meters.
    ///
    /// # Errors
    /// When a stored definition does not compile.
    pub async fn load(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, BillingError> {
        let versions = AtomicI64::new(rows::meter_versions(&store).await?);
        let current = RwLock::new(Arc::new(read(&store).await?));
        Ok(Arc::new(Self {
            versions,
            store,
            ledger,
            clock,
            current,
        }))
    }

    /// The meters as of now.
    pub fn current(&self) -> Arc<MetersInForce> {
        let guard = self
            .current
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&guard)
    }

    /// Takes over what other processes have added. Costs one count where nothing changed.
    ///
    /// # Errors
    /// When the rows cannot be read, or a stored definition does not compile.
    pub async fn refresh(&self) -> Result<(), BillingError> {
        let versions = rows::meter_versions(&self.store).await?;
        if self.versions.load(Ordering::SeqCst) == versions {
            return Ok(());
        }
        let fresh = Arc::new(read(&self.store).await?);
        *self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        self.versions.store(versions, Ordering::SeqCst);
        Ok(())
    }

    /// Adds meters, or new versions of them.
    ///
    /// # Errors
    /// When a definition has faults; nothing is stored then.
    pub async fn put(&self, definitions: Vec<MeterDef>, actor: &str) -> Result<(), BillingError> {
        let mut added: Vec<MeterDef> = Vec::new();
        for (_, _, body) in rows::meters(&self.store).await? {
            added.push(parse(&body)?);
        }
        added.retain(|old| definitions.iter().all(|new| new.key != old.key));
        added.extend(definitions.iter().cloned());
        let compiled = MetersInForce::compile(&added)?;
        let mut tx = self.store.begin().await?;
        for def in &definitions {
            let value = serde_json::to_value(def).map_err(|error| BillingError::Damaged {
                what: "meter",
                detail: error.to_string(),
            })?;
            let digest = Digest::of_json(&value);
            let now = self.clock.now();
            let version =
                rows::insert_meter(&mut tx, &def.key, &value.to_string(), digest, now, actor)
                    .await?;
            let entry = EntryDraft::new(
                actor,
                "billing.meter.put",
                format!("{} v{version}", def.key),
            )
            .after(digest)
            .details(value);
            self.ledger.record(&mut tx, &entry).await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        *self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(compiled);
        Ok(())
    }
}

async fn read(store: &Store) -> Result<MetersInForce, BillingError> {
    let mut added = Vec::new();
    for (_, _, body) in rows::meters(store).await? {
        added.push(parse(&body)?);
    }
    MetersInForce::compile(&added)
}

fn parse(body: &str) -> Result<MeterDef, BillingError> {
    serde_json::from_str(body).map_err(|error| BillingError::Damaged {
        what: "meter",
        detail: error.to_string(),
    })
}

/// Where in an event a meter failed, as a JSON Pointer, and why.
pub fn located(error: &MeterError) -> (String, String) {
    let pointer = error.source.pointer().unwrap_or_default().to_owned();
    (pointer, error.to_string())
}

impl Admit for MeterService {
    fn admit(&self, event: &Incoming<'_>) -> Result<(), Rejection> {
        let meters = self.current();
        if !meters.added.wants(event.event_type) {
            return Ok(());
        }
        let value: serde_json::Value =
            serde_json::from_slice(event.json).map_err(|error| Rejection {
                code: "not-json",
                pointer: String::new(),
                detail: error.to_string(),
            })?;
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        meters.added.contributions(
            event.event_type,
            &value,
            event.time.0,
            &mut out,
            &mut errors,
        );
        match errors.first() {
            None => Ok(()),
            Some(error) => {
                let (pointer, detail) = located(error);
                Err(Rejection {
                    code: "not-meterable",
                    pointer,
                    detail,
                })
            }
        }
    }
}

/// Whether values add up over time, so that no event means that nothing was used rather than that nothing
/// is known.
pub fn adds_up(aggregation: sealwright_meter::Aggregation) -> bool {
    use sealwright_meter::Aggregation;
    matches!(
        aggregation,
        Aggregation::Sum | Aggregation::Count | Aggregation::Unique
    )
}
