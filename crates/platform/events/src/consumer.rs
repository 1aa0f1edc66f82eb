//! Consumers: what happens because of an event, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwright_core::{Clock, UnixMicros};
use sealwright_store::portable::Snapshot;
use sealwright_store::{Store, StoreError, Tx, sql};
use tokio_util::sync::CancellationToken;

use crate::{EventLog, LogError, ReadLimit, StoredEvent};

/// Why a consumer could not take effect. It is tried again with the same events, so an event that can
/// never be digested must be put aside by the consumer itself, with its reason, and not returned here.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// From the state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// From the log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Another process moved this consumer's cursor; nothing was kept.
    #[error("another process is consuming as `{0}`")]
    Overtaken(String),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

/// Something that reads the whole log in order. Effect and cursor must commit together.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The stable name; the cursor is kept under it.
    fn name(&self) -> &'static str;

    /// The first offset that has not taken effect.
    async fn cursor(&self) -> Result<u64, ConsumerError>;

    /// Lets `events` (which start at the cursor and are not empty) take effect and moves the cursor
    /// behind the last of them, both or neither.
    async fn consume(&self, events: &[StoredEvent]) -> Result<(), ConsumerError>;
}

/// An effect on the state: [`StoreConsumer`] gives it a cursor.
#[async_trait]
pub trait Effect: Send + Sync {
    /// The consumer's stable name.
    fn name(&self) -> &'static str;

    /// Finds out what needs no state, before the transaction is there: others write meanwhile. What is kept of it is for
    /// the next call of [`Effect::apply`], which may be for other events, or never come.
    fn prepare(&self, _events: &[StoredEvent]) {}

    /// Writes what follows from `events` into the transaction that will also move the cursor.
    async fn apply(&self, tx: &mut Tx, events: &[StoredEvent]) -> Result<(), ConsumerError>;

    /// Called after the commit, for what lives in memory only.
    async fn committed(&self, _events: &[StoredEvent]) {}
}

/// Does what keeps a processor busy for long: on a thread whose other tasks go on elsewhere, where the runtime has several.
pub fn busy<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A consumer whose effect is in the state.
pub struct StoreConsumer<E> {
    store: Store,
    clock: Arc<dyn Clock>,
    effect: E,
}

impl<E: Effect> StoreConsumer<E> {
    /// Wraps `effect`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, effect: E) -> Self {
        Self {
            store,
            clock,
            effect,
        }
    }

    /// The effect inside.
    pub fn effect(&self) -> &E {
        &self.effect
    }
}

#[async_trait]
impl<E: Effect> Consumer for StoreConsumer<E> {
    fn name(&self) -> &'static str {
        self.effect.name()
    }

    async fn cursor(&self) -> Result<u64, ConsumerError> {
        Ok(cursor_of(&self.store, self.effect.name()).await?)
    }

    async fn consume(&self, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(());
        };
        let from = i64::try_from(first.offset).unwrap_or(i64::MAX);
        let next = i64::try_from(last.offset)
            .unwrap_or(i64::MAX)
            .saturating_add(1);
        busy(|| self.effect.prepare(events));
        let mut tx = self.store.begin().await?;
        // The cursor moves first: it holds off a second consumer of the same name until the commit.
        tx.execute(
            sql(
                "INSERT INTO consumer_cursor (consumer, next_offset, updated_at)
                 VALUES ($1, 0, $2) ON CONFLICT (consumer) DO NOTHING",
            )
            .bind(self.effect.name())
            .bind(self.clock.now()),
        )
        .await?;
        let moved = tx
            .execute(
                sql(
                    "UPDATE consumer_cursor SET next_offset = $3, updated_at = $4
                     WHERE consumer = $1 AND next_offset = $2",
                )
                .bind(self.effect.name())
                .bind(from)
                .bind(next)
                .bind(self.clock.now()),
            )
            .await?;
        if moved != 1 {
            tx.rollback().await?;
            return Err(ConsumerError::Overtaken(self.effect.name().to_owned()));
        }
        self.effect.apply(&mut tx, events).await?;
        tx.commit().await?;
        self.effect.committed(events).await;
        Ok(())
    }
}

/// The cursor of a consumer whose effect is in the state; 0 when it has not run.
///
/// # Errors
/// From the state.
pub async fn cursor_of(store: &Store, consumer: &str) -> Result<u64, StoreError> {
    let row = store
        .fetch_optional(
            sql("SELECT next_offset FROM consumer_cursor WHERE consumer = $1").bind(consumer),
        )
        .await?;
    row.map_or(Ok(0), |row| {
        Ok(u64::try_from(row.int("next_offset")?).unwrap_or(0))
    })
}

/// Lets a consumer that has not run yet begin at `offset` instead of at 0: what lies before it takes no
/// effect, or has left the log. A consumer that has run goes on where it was.
///
/// # Errors
/// From the state.
pub async fn begin_at(
    store: &Store,
    consumer: &str,
    offset: u64,
    now: UnixMicros,
) -> Result<(), StoreError> {
    store
        .execute(
            sql(
                "INSERT INTO consumer_cursor (consumer, next_offset, updated_at)
                 VALUES ($1, $2, $3) ON CONFLICT (consumer) DO NOTHING",
            )
            .bind(consumer)
            .bind(i64::try_from(offset).unwrap_or(i64::MAX))
            .bind(now),
        )
        .await?;
    Ok(())
}

/// The lowest cursor of all consumers whose effect is in the state; `None` before any has run. What lies
/// below it has taken effect everywhere.
///
/// # Errors
/// From the state.
pub async fn lowest_cursor(store: &Store) -> Result<Option<u64>, StoreError> {
    let row = store
        .fetch_one(sql(
            "SELECT MIN(next_offset) AS lowest FROM consumer_cursor",
        ))
        .await?;
    Ok(row
        .opt_int("lowest")?
        .and_then(|offset| u64::try_from(offset).ok()))
}

/// Where each consumer stands at the moment of a snapshot.
///
/// # Errors
/// From the state.
pub async fn cursors_of(state: &mut Snapshot) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows = state
        .fetch_all(sql("SELECT consumer, next_offset FROM consumer_cursor"))
        .await?;
    rows.iter()
        .map(|row| {
            let next = u64::try_from(row.int("next_offset")?).unwrap_or(0);
            Ok((row.text("consumer")?, next))
        })
        .collect()
}

/// Reads until the cursor is at the head that the log had when the call began. Returns how many events
/// took effect.
///
/// # Errors
/// The first error; what took effect before it stays.
pub async fn catch_up(
    log: &dyn EventLog,
    consumer: &dyn Consumer,
    limit: ReadLimit,
) -> Result<u64, ConsumerError> {
    let mut cursor = consumer.cursor().await?;
    let start = cursor;
    // Read after the cursor, which can then only be ahead if the log has lost events.
    let head = log.head().await?;
    if cursor > head {
        return Err(LogError::Corrupt {
            place: format!("offset {head}"),
            detail: format!(
                "the log ends here, and `{}` has consumed up to {cursor}; restore the log from a backup \
                 that holds these events",
                consumer.name()
            ),
        }
        .into());
    }
    while cursor < head {
        let events = log.read(cursor, limit).await?;
        let Some(last) = events.last() else { break };
        let next = last.offset + 1;
        consumer.consume(&events).await?;
        metrics::counter!("sealwright_consumer_events_total", "consumer" => consumer.name())
            .increment(next - cursor);
        cursor = next;
    }
    Ok(cursor - start)
}

/// Consumes until `stop` is cancelled; an error is logged and tried again with growing pauses. Several
/// processes may consume under one name: each event takes effect in one of them.
pub async fn run(
    log: Arc<dyn EventLog>,
    consumer: Arc<dyn Consumer>,
    limit: ReadLimit,
    stop: CancellationToken,
) {
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);
    const OVERTAKEN_PAUSE: Duration = Duration::from_millis(50);
    let mut head = log.watch();
    let mut pause = Duration::from_millis(100);
    while !stop.is_cancelled() {
        head.mark_unchanged();
        match catch_up(log.as_ref(), consumer.as_ref(), limit).await {
            Ok(_) => {
                pause = Duration::from_millis(100);
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = head.changed() => if changed.is_err() { break },
                    // Another process may have written: look now and then.
                    () = tokio::time::sleep(Duration::from_secs(5)) => {}
                }
            }
            // Another process of the same database let these events take effect: look where it stands.
            Err(ConsumerError::Overtaken(_) | ConsumerError::Store(StoreError::Contended)) => {
                tracing::debug!(consumer = consumer.name(), "another process came first");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(OVERTAKEN_PAUSE) => {}
                }
            }
            Err(error) => {
                metrics::counter!("sealwright_consumer_errors_total", "consumer" => consumer.name())
                    .increment(1);
                tracing::error!(consumer = consumer.name(), %error, "consumer will try again");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
