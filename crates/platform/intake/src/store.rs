//! The log of an installation with a database: one row a block, in a transaction with its identities.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use sealwright_core::{Digest, UnixMicros};
use sealwright_events::{EventLog, LogError, ReadLimit, StoredEvent};
use sealwright_store::portable::Snapshot;
use sealwright_store::{Sql, Store, StoreError, Tx, sql};
use tokio::sync::watch;

use crate::codec::{Block, decode, encode};
use crate::decide::{Decision, decide};
use crate::log::kept::Kept;
use crate::log::{AppendError, IntakeLog, TrimTo};
use crate::model::{BatchOutcome, EventKey, Known, NewEvent};

/// Rows of one statement. Statements are prepared once for each of these sizes.
const ROWS: [usize; 4] = [500, 100, 10, 1];

/// A log in the state's database. Any number of processes may append: one at a time holds the log.
#[derive(Debug, Clone)]
pub struct StoreLog {
    store: Store,
    moved: watch::Sender<u64>,
}

impl StoreLog {
    /// A log in `store`, to which [`crate::COMPONENT`] was applied.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open(store: Store) -> Result<Self, LogError> {
        let log = Self {
            store,
            moved: watch::Sender::new(0),
        };
        log.moved.send_replace(log.head().await?);
        Ok(log)
    }

    async fn head_row(&self, column: &str) -> Result<u64, LogError> {
        let row = self
            .store
            .fetch_one(sql(
                "SELECT next_offset, earliest FROM intake_head WHERE one = 1",
            ))
            .await
            .map_err(unreadable)?;
        unsigned(row.int(column).map_err(unreadable)?)
            .ok_or_else(|| corrupt("intake_head", "an offset is negative"))
    }
}

/// The offsets of the events in the log of a state, at the moment of a snapshot.
///
/// # Errors
/// From the state.
pub async fn offsets_of(state: &mut Snapshot) -> Result<Range<u64>, StoreError> {
    let rows = state
        .fetch_all(sql(
            "SELECT next_offset, earliest FROM intake_head WHERE one = 1",
        ))
        .await?;
    let Some(row) = rows.first() else {
        return Ok(0..0);
    };
    let number = |column: &str| Ok::<_, StoreError>(unsigned(row.int(column)?).unwrap_or(0));
    Ok(number("earliest")?..number("next_offset")?)
}

fn unsigned(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn corrupt(place: impl Into<String>, detail: impl Into<String>) -> LogError {
    LogError::Corrupt {
        place: place.into(),
        detail: detail.into(),
    }
}

fn unreadable(error: StoreError) -> LogError {
    match error {
        StoreError::Corrupt { what, detail } => LogError::Corrupt {
            place: what,
            detail,
        },
        other => LogError::Unavailable(other.to_string()),
    }
}

impl From<StoreError> for AppendError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => Self::DiskFull,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Splits `items` into runs of the sizes of [`ROWS`].
fn chunks<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rest.len())?;
        let (chunk, tail) = rest.split_at(size);
        rest = tail;
        Some(chunk)
    })
}

async fn look_up(tx: &mut Tx, keys: &[EventKey]) -> Result<HashMap<EventKey, Known>, AppendError> {
    let mut found = HashMap::new();
    for chunk in chunks(keys) {
        let marks: Vec<String> = (1..=chunk.len()).map(|i| format!("${i}")).collect();
        let mut query = sql(format!(
            "SELECT event_key, log_offset, digest FROM intake_event_id WHERE event_key IN ({})",
            marks.join(",")
        ));
        for key in chunk {
            query = query.bind(&key.0[..]);
        }
        for row in tx.fetch_all(query).await? {
            let wrong = || AppendError::Unavailable("a row of intake_event_id is damaged".into());
            let key = row.bytes("event_key")?.try_into().map_err(|_| wrong())?;
            let digest = row.bytes("digest")?.try_into().map_err(|_| wrong())?;
            let known = Known {
                offset: unsigned(row.int("log_offset")?).ok_or_else(wrong)?,
                digest: Digest(digest),
            };
            found.insert(EventKey(key), known);
        }
    }
    Ok(found)
}

fn insert_ids(chunk: &[Kept]) -> Sql {
    let rows: Vec<String> = (0..chunk.len())
        .map(|i| {
            let p = i * 4;
            format!("(${},${},${},${})", p + 1, p + 2, p + 3, p + 4)
        })
        .collect();
    let mut query = sql(format!(
        "INSERT INTO intake_event_id (event_key, log_offset, digest, received_at) VALUES {}",
        rows.join(",")
    ));
    for one in chunk {
        query = query
            .bind(&one.key.0[..])
            .bind(signed(one.known.offset))
            .bind(&one.known.digest.0[..])
            .bind(one.received_at);
    }
    query
}

/// A row of `intake_block`.
#[derive(Debug)]
pub(crate) struct StoredBlock {
    pub(crate) first_offset: u64,
    pub(crate) received_at: UnixMicros,
    pub(crate) block: Block,
}

async fn insert_block(tx: &mut Tx, stored: StoredBlock) -> Result<(), StoreError> {
    let crc = crc32fast::hash(&stored.block.body);
    tx.execute(
        sql(
            "INSERT INTO intake_block (first_offset, event_count, received_at, raw_len, crc, body)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(signed(stored.first_offset))
        .bind(stored.block.count)
        .bind(stored.received_at)
        .bind(stored.block.raw_len)
        .bind(crc)
        .bind(stored.block.body),
    )
    .await?;
    Ok(())
}

/// Puts blocks and identities, each of which is there once, into the tables of a log that nobody writes to.
pub(crate) async fn carry_in(
    store: &Store,
    blocks: Vec<StoredBlock>,
    identities: &[Kept],
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for stored in blocks {
        insert_block(&mut tx, stored).await?;
    }
    for chunk in chunks(identities) {
        let mut insert = insert_ids(chunk);
        // One that was forgotten and came again: the newest event is what it is known by.
        insert.extend(
            " ON CONFLICT (event_key) DO UPDATE SET log_offset = excluded.log_offset,
              digest = excluded.digest, received_at = excluded.received_at",
        );
        tx.execute(insert).await?;
    }
    tx.commit().await
}

/// Says which events are in the tables.
pub(crate) async fn set_offsets(store: &Store, offsets: &Range<u64>) -> Result<(), StoreError> {
    store
        .execute(
            sql("UPDATE intake_head SET earliest = $1, next_offset = $2 WHERE one = 1")
                .bind(signed(offsets.start))
                .bind(signed(offsets.end)),
        )
        .await?;
    Ok(())
}

/// Some blocks from `first_offset` on, in order, as they are.
pub(crate) async fn blocks_from(
    store: &Store,
    first_offset: u64,
) -> Result<Vec<StoredBlock>, LogError> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT first_offset, event_count, received_at, raw_len, crc, body FROM intake_block
                 WHERE first_offset >= $1 ORDER BY first_offset LIMIT 8",
            )
            .bind(signed(first_offset)),
        )
        .await
        .map_err(unreadable)?;
    rows.iter()
        .map(|row| {
            let first = row.int("first_offset").map_err(unreadable)?;
            let place = || format!("intake_block {first}");
            let number = |column: &str| {
                let value = row.int(column).map_err(unreadable)?;
                u32::try_from(value).map_err(|_| corrupt(place(), format!("{column} is {value}")))
            };
            let body = row.bytes("body").map_err(unreadable)?;
            if crc32fast::hash(&body) != number("crc")? {
                return Err(corrupt(place(), "the body's checksum does not fit"));
            }
            Ok(StoredBlock {
                first_offset: unsigned(first)
                    .ok_or_else(|| corrupt(place(), "the offset is negative"))?,
                received_at: row.micros("received_at").map_err(unreadable)?,
                block: Block {
                    count: number("event_count")?,
                    raw_len: number("raw_len")?,
                    body,
                },
            })
        })
        .collect()
}

/// At most `most` identities of events in `offsets`, in order.
pub(crate) async fn identities_of(
    store: &Store,
    offsets: Range<u64>,
    most: usize,
) -> Result<Vec<Kept>, LogError> {
    let rows = store
        .fetch_all(
            sql(
                "SELECT event_key, log_offset, digest, received_at FROM intake_event_id
                 WHERE log_offset >= $1 AND log_offset < $2 ORDER BY log_offset LIMIT $3",
            )
            .bind(signed(offsets.start))
            .bind(signed(offsets.end))
            .bind(signed(most as u64)),
        )
        .await
        .map_err(unreadable)?;
    rows.iter()
        .map(|row| {
            let damaged = || corrupt("intake_event_id", "a row is damaged");
            let bytes = |column: &str| row.bytes(column).map_err(unreadable);
            Ok(Kept {
                key: EventKey(bytes("event_key")?.try_into().map_err(|_| damaged())?),
                known: Known {
                    offset: unsigned(row.int("log_offset").map_err(unreadable)?)
                        .ok_or_else(damaged)?,
                    digest: Digest(bytes("digest")?.try_into().map_err(|_| damaged())?),
                },
                received_at: row.micros("received_at").map_err(unreadable)?,
            })
        })
        .collect()
}

#[async_trait]
impl IntakeLog for StoreLog {
    async fn commit(
        &self,
        received_at: UnixMicros,
        batches: Vec<Vec<NewEvent>>,
    ) -> Result<Vec<BatchOutcome>, AppendError> {
        let mut tx = self.store.begin().await?;
        // Held until the commit, so that offsets become visible in order and without gaps.
        tx.lock("intake").await?;
        let head = tx
            .fetch_one(sql("SELECT next_offset FROM intake_head WHERE one = 1"))
            .await?;
        let next = unsigned(head.int("next_offset")?)
            .ok_or_else(|| AppendError::Unavailable("intake_head is damaged".into()))?;
        let mut keys: Vec<EventKey> = batches.iter().flatten().map(|e| e.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let found = look_up(&mut tx, &keys).await?;
        let known = |key: &EventKey| Ok::<_, AppendError>(found.get(key).copied());
        let Decision { outcomes, accepted } = decide(&batches, next, known)?;
        if accepted.is_empty() {
            tx.rollback().await?;
            return Ok(outcomes);
        }
        let mut compressor = zstd::bulk::Compressor::new(1)?;
        let mut offset = next;
        for block in encode(&accepted, received_at, &mut compressor)? {
            let count = u64::from(block.count);
            let stored = StoredBlock {
                first_offset: offset,
                received_at,
                block,
            };
            insert_block(&mut tx, stored).await?;
            offset += count;
        }
        let placed: Vec<Kept> = (next..)
            .zip(accepted)
            .map(|(offset, event)| Kept {
                key: event.key,
                known: Known {
                    offset,
                    digest: event.digest,
                },
                received_at,
            })
            .collect();
        for chunk in chunks(&placed) {
            tx.execute(insert_ids(chunk)).await?;
        }
        tx.execute(
            sql("UPDATE intake_head SET next_offset = $1 WHERE one = 1").bind(signed(offset)),
        )
        .await?;
        tx.commit().await?;
        self.moved.send_replace(offset);
        Ok(outcomes)
    }

    async fn trim(&self, to: TrimTo) -> Result<u64, AppendError> {
        let mut tx = self.store.begin().await?;
        tx.lock("intake").await?;
        // A block that is kept keeps all that follow it.
        let keep = tx
            .fetch_one(
                sql("SELECT MIN(first_offset) AS first_kept FROM intake_block
                     WHERE first_offset + event_count > $1 OR received_at >= $2")
                .bind(signed(to.passed))
                .bind(to.received_before),
            )
            .await?;
        let head = tx
            .fetch_one(sql("SELECT next_offset FROM intake_head WHERE one = 1"))
            .await?;
        let first = match keep.opt_int("first_kept")? {
            Some(first) => first,
            None => head.int("next_offset")?,
        };
        tx.execute(sql("DELETE FROM intake_block WHERE first_offset < $1").bind(first))
            .await?;
        tx.execute(
            sql("UPDATE intake_head SET earliest = $1 WHERE one = 1 AND earliest < $1").bind(first),
        )
        .await?;
        tx.execute(
            sql("DELETE FROM intake_event_id WHERE received_at < $1").bind(to.forget_before),
        )
        .await?;
        tx.commit().await?;
        Ok(unsigned(first).unwrap_or(0))
    }
}

#[async_trait]
impl EventLog for StoreLog {
    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<StoredEvent>, LogError> {
        let earliest = self.earliest().await?;
        if from < earliest {
            return Err(LogError::Gone {
                wanted: from,
                earliest,
            });
        }
        let mut events: Vec<StoredEvent> = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        loop {
            let rows = self
                .store
                .fetch_all(
                    sql("SELECT first_offset, event_count, received_at, raw_len, crc, body FROM intake_block
                         WHERE first_offset >= (SELECT COALESCE(MAX(first_offset), 0) FROM intake_block
                                                WHERE first_offset <= $1)
                           AND first_offset + event_count > $1
                         ORDER BY first_offset LIMIT 8")
                    .bind(signed(next)),
                )
                .await
                .map_err(unreadable)?;
            if rows.is_empty() {
                return Ok(events);
            }
            for row in rows {
                let first = row.int("first_offset").map_err(unreadable)?;
                let place = || format!("intake_block {first}");
                let number = |column: &str| {
                    let value = row.int(column).map_err(unreadable)?;
                    usize::try_from(value)
                        .map_err(|_| corrupt(place(), format!("{column} is {value}")))
                };
                let body = row.bytes("body").map_err(unreadable)?;
                if crc32fast::hash(&body) as usize != number("crc")? {
                    return Err(corrupt(place(), "the body's checksum does not fit"));
                }
                let decoded = decode(
                    &body,
                    number("raw_len")?,
                    number("event_count")?,
                    unsigned(first).unwrap_or(0),
                    row.micros("received_at").map_err(unreadable)?,
                )
                .map_err(|detail| corrupt(place(), detail))?;
                for event in decoded {
                    if event.offset < next {
                        continue;
                    }
                    if event.offset > next {
                        return Err(corrupt(
                            place(),
                            format!("offset {next} is missing before it"),
                        ));
                    }
                    bytes += event.json.len();
                    if !events.is_empty() && (events.len() >= limit.events || bytes > limit.bytes) {
                        return Ok(events);
                    }
                    next = event.offset + 1;
                    events.push(event);
                }
            }
        }
    }

    async fn head(&self) -> Result<u64, LogError> {
        self.head_row("next_offset").await
    }

    async fn earliest(&self) -> Result<u64, LogError> {
        self.head_row("earliest").await
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }
}
