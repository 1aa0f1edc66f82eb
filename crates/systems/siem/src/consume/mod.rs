//! Detection as a consumer of the log.
//!
//! The effect of a batch is written in one transaction together with the cursor: alerts, the state of
//! correlations, sources, dead letters, ledger entries. What is held in memory is only ever what was
//! committed: a transaction that does not commit takes it along, and the next batch reads it again.

mod fields;
mod memory;
mod prepared;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealwright_core::TenantId;
use sealwright_core::clock::SECOND;
use sealwright_events::{ConsumerError, Effect, EventLog, StoredEvent};
use sealwright_sigma::correlation::engine::Taken;
use sealwright_store::{Store, Tx};
use tokio_util::sync::CancellationToken;

use crate::service::SiemError;
use crate::service::build::Builder;
use crate::service::detect::{Finding, Observed, Terms};
use crate::service::normalise::normalise;
use crate::service::raise::{Batch, Raiser};
use crate::service::rule::RuleService;
use crate::store::source::{self, Aside, Source};
use memory::Memory;
use prepared::Prepared;

/// The name under which the cursor is kept.
pub const CONSUMER: &str = "siem-detection";
/// Sources of one tenant that a batch tells apart; further ones are counted together.
const MOST_SOURCES: usize = 1_000;
/// The name of those.
const OTHER_SOURCES: &str = "(other sources)";
/// How far the idle clock stays behind the present, so that no event that is still on its way into the log
/// was received before it.
const BEHIND: i64 = 2 * SECOND;
/// Between so many events others get their turn.
const AT_ONCE: usize = 128;

/// Detects on every event of the log.
pub struct Detection {
    store: Store,
    rules: RuleService,
    raiser: Raiser,
    log: Arc<dyn EventLog>,
    terms: Terms,
    /// What is committed. Taken out while a batch is worked on.
    memory: tokio::sync::Mutex<Memory>,
    /// What will be once the transaction commits.
    pending: Mutex<Option<Memory>>,
    /// The fields of the events that are consumed next.
    prepared: Mutex<Option<Prepared>>,
}

impl std::fmt::Debug for Detection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detection").finish_non_exhaustive()
    }
}

fn failed(error: SiemError) -> ConsumerError {
    match error {
        SiemError::Store(error) => ConsumerError::Store(error),
        other => ConsumerError::Other(other.to_string()),
    }
}

impl Detection {
    /// Detects with the rules of `rules`; earlier events of windows are read from `log`.
    pub fn new(
        store: Store,
        rules: RuleService,
        raiser: Raiser,
        log: Arc<dyn EventLog>,
        terms: Terms,
    ) -> Self {
        Self {
            store,
            rules,
            raiser,
            log,
            terms,
            memory: tokio::sync::Mutex::new(Memory::default()),
            pending: Mutex::new(None),
            prepared: Mutex::new(None),
        }
    }

    /// The rules that detection works with.
    pub fn rules(&self) -> &RuleService {
        &self.rules
    }

    fn put_pending(&self, memory: Option<Memory>) {
        *self.pending.lock().unwrap_or_else(|e| e.into_inner()) = memory;
    }

    fn take_prepared(&self, events: &[StoredEvent]) -> Prepared {
        let mut prepared = self.prepared.lock().unwrap_or_else(|e| e.into_inner());
        let prepared = prepared.take().filter(|prepared| prepared.is_of(events));
        prepared.unwrap_or_else(|| Prepared::new(events))
    }

    async fn batch(
        &self,
        tx: &mut Tx,
        memory: &mut Memory,
        events: &[StoredEvent],
    ) -> Result<(), SiemError> {
        memory.follow(tx, &self.rules, self.terms).await?;
        let mut found: BTreeMap<TenantId, Vec<Finding>> = BTreeMap::new();
        let mut sources: BTreeMap<(TenantId, String), Source> = BTreeMap::new();
        let mut names: BTreeMap<TenantId, usize> = BTreeMap::new();
        let now = self.raiser.now();
        let prepared = self.take_prepared(events);
        for (index, (event, fields)) in events.iter().zip(prepared.fields()).enumerate() {
            if index % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            memory.ready(tx, event.tenant, self.terms).await?;
            let findings = found.entry(event.tenant).or_default();
            let offered = match fields.of(event) {
                Ok(json) => {
                    let observed = Observed {
                        offset: event.offset,
                        source: &event.source,
                        time: event.time,
                        received: event.received_at,
                        json,
                    };
                    memory.offer(event.tenant, &observed, findings)
                }
                Err(refused) => Err(refused.to_string()),
            };
            let (late, future) = match offered {
                Ok(offered) => {
                    let reason = match offered.taken {
                        Taken::InTime => None,
                        Taken::Late => Some("late"),
                        Taken::Future => Some("from the future"),
                    };
                    if let Some(reason) = reason.filter(|_| offered.correlated) {
                        let aside = Aside::new(event, reason, event.received_at);
                        source::put_late(tx, &aside).await?;
                    }
                    (
                        u64::from(offered.taken == Taken::Late),
                        u64::from(offered.taken == Taken::Future),
                    )
                }
                Err(reason) => {
                    source::put_dead(tx, &Aside::new(event, reason, now)).await?;
                    metrics::counter!("sealwright_siem_dead_letters_total").increment(1);
                    (0, 0)
                }
            };
            note_source(&mut sources, &mut names, event, late, future);
        }
        memory.fields.write(tx).await?;
        for s in sources.values() {
            source::add(tx, s).await?;
            metrics::counter!("sealwright_siem_late_total").increment(s.late);
            metrics::counter!("sealwright_siem_future_total").increment(s.future);
        }
        let mut batch = Batch::default();
        for (tenant, findings) in found {
            self.raise(tx, memory, &mut batch, tenant, findings, events)
                .await?;
            memory.keep(tx, tenant).await?;
        }
        metrics::counter!("sealwright_siem_events_total").increment(events.len() as u64);
        Ok(())
    }

    /// Raises what was found for a tenant.
    async fn raise(
        &self,
        tx: &mut Tx,
        memory: &Memory,
        batch: &mut Batch,
        tenant: TenantId,
        findings: Vec<Finding>,
        events: &[StoredEvent],
    ) -> Result<(), SiemError> {
        if findings.is_empty() {
            return Ok(());
        }
        let Some(ruleset) = memory.ruleset(tenant) else {
            return Ok(());
        };
        let mut builder = Builder::new(tenant, ruleset, events, Some(self.log.as_ref()));
        for finding in findings {
            builder.add(finding).await?;
        }
        for found in builder.finish() {
            self.raiser.raise(tx, batch, found).await?;
        }
        Ok(())
    }

    /// Lets the present pass while no event comes: windows close, and what waited for lateness to pass is
    /// judged. To be called every second or so. Returns how many findings there were.
    ///
    /// # Errors
    /// From the state; what was found is then found again at the next call.
    pub async fn tick(&self) -> Result<usize, SiemError> {
        let now = self.raiser.now().plus(-BEHIND);
        if !self.memory.lock().await.due(now) {
            return Ok(0);
        }
        // The transaction first, as the consumer does it: the other way round the two could wait for
        // each other.
        let mut tx = self.store.begin().await?;
        let mut held = self.memory.lock().await;
        let Some(next) = held.next else {
            *held = self.wake(&mut tx).await?;
            tx.rollback().await?;
            return Ok(0);
        };
        let head = self.log.head().await;
        // What is in the log comes before the present.
        if head.map_err(|error| SiemError::Invalid(error.to_string()))? != next {
            return Ok(0);
        }
        let mut memory = std::mem::take(&mut *held);
        let mut batch = Batch::default();
        let mut raised = 0;
        for (tenant, findings) in memory.tick(now) {
            raised += findings.len();
            self.raise(&mut tx, &memory, &mut batch, tenant, findings, &[])
                .await?;
            memory.keep(&mut tx, tenant).await?;
        }
        if raised == 0 {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
            self.raiser.committed();
        }
        *held = memory;
        Ok(raised)
    }

    /// Lets the present pass, second by second, until `stop` is cancelled.
    pub async fn run_clock(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
            if let Err(error) = self.tick().await {
                tracing::error!(%error, "the clock of detection will try again");
            }
        }
    }

    /// Reads the states of all tenants, so that what waits in them is not forgotten until their next event.
    async fn wake(&self, tx: &mut Tx) -> Result<Memory, SiemError> {
        let mut memory = Memory::default();
        memory.follow(tx, &self.rules, self.terms).await?;
        for tenant in crate::store::state::tenants(&self.store).await? {
            memory.ready(tx, tenant, self.terms).await?;
        }
        memory.next = Some(sealwright_events::cursor_of(&self.store, CONSUMER).await?);
        Ok(memory)
    }

    /// Evaluates a dead letter again, after what was wrong with rules or fields was put right. It raises what
    /// its event alone matches; correlations have passed its time. Says whether it could be evaluated.
    ///
    /// # Errors
    /// [`SiemError::Invalid`] with the reason when it still cannot be evaluated.
    pub async fn replay(&self, event: &StoredEvent) -> Result<(), SiemError> {
        let normalised = normalise(event).map_err(|error| SiemError::Invalid(error.to_string()))?;
        let mut memory = Memory::default();
        let mut tx = self.store.begin().await?;
        memory.follow(&mut tx, &self.rules, self.terms).await?;
        memory.fresh(event.tenant, self.terms)?;
        let observed = Observed {
            offset: event.offset,
            source: &event.source,
            time: event.time,
            received: event.received_at,
            json: &normalised.json,
        };
        let mut findings = Vec::new();
        memory
            .offer(event.tenant, &observed, &mut findings)
            .map_err(SiemError::Invalid)?;
        findings.retain(|finding| matches!(finding, Finding::Rule { .. }));
        let now = self.raiser.now();
        if !source::replayed(&mut tx, event.offset, now).await? {
            return Err(SiemError::State("it was replayed already".to_owned()));
        }
        let mut batch = Batch::default();
        let events = std::slice::from_ref(event);
        self.raise(&mut tx, &memory, &mut batch, event.tenant, findings, events)
            .await?;
        tx.commit().await?;
        self.raiser.committed();
        Ok(())
    }
}

fn note_source(
    sources: &mut BTreeMap<(TenantId, String), Source>,
    names: &mut BTreeMap<TenantId, usize>,
    event: &StoredEvent,
    late: u64,
    future: u64,
) {
    let mut key = (event.tenant, event.source.clone());
    if !sources.contains_key(&key) {
        let told_apart = names.entry(event.tenant).or_insert(0);
        if *told_apart >= MOST_SOURCES {
            key.1 = OTHER_SOURCES.to_owned();
        }
        *told_apart += 1;
    }
    let entry = sources.entry(key.clone()).or_insert_with(|| Source {
        tenant: key.0,
        source: key.1,
        first_received: event.received_at,
        last_received: event.received_at,
        last_time: if future > 0 {
            event.received_at
        } else {
            event.time
        },
        events: 0,
        late: 0,
        future: 0,
        silence: None,
        alarmed_at: None,
    });
    entry.last_received = entry.last_received.max(event.received_at);
    if future == 0 {
        entry.last_time = entry.last_time.max(event.time);
    }
    entry.events += 1;
    entry.late += late;
    entry.future += future;
}

/// The consumer of a detection that others work with, too.
#[derive(Debug, Clone)]
pub struct Consuming(pub Arc<Detection>);

#[async_trait]
impl Effect for Consuming {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    fn prepare(&self, events: &[StoredEvent]) {
        self.0.prepare(events);
    }

    async fn apply(&self, tx: &mut Tx, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        self.0.apply(tx, events).await
    }

    async fn committed(&self, events: &[StoredEvent]) {
        self.0.committed(events).await;
    }
}

#[async_trait]
impl Effect for Detection {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    fn prepare(&self, events: &[StoredEvent]) {
        let prepared = Prepared::new(events);
        *self.prepared.lock().unwrap_or_else(|e| e.into_inner()) = Some(prepared);
    }

    async fn apply(&self, tx: &mut Tx, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(());
        };
        let started = std::time::Instant::now();
        let mut held = self.memory.lock().await;
        // Whoever consumed in between knows what this process does not.
        let mut memory = std::mem::take(&mut *held);
        if memory.next != Some(first.offset) {
            memory = Memory::default();
        }
        self.put_pending(None);
        self.batch(tx, &mut memory, events).await.map_err(failed)?;
        memory.next = Some(last.offset + 1);
        memory.measure();
        self.put_pending(Some(memory));
        metrics::histogram!("sealwright_siem_batch_seconds")
            .record(started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn committed(&self, _events: &[StoredEvent]) {
        let pending = self
            .pending
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .take();
        if let Some(memory) = pending {
            *self.memory.lock().await = memory;
        }
        self.raiser.committed();
    }
}
