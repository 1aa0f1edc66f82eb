//! The consumer that brings events from the log into the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sealwright_events::{Consumer, ConsumerError, StoredEvent};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::encode::{batch_of, sorted, write_file};
use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::rewrite::blocking;
use crate::schema::{MAX_STREAMS, OTHER_STREAM, day_of, stream_of};
use crate::table::{Lake, WRITER_APP};

/// When buffered events are written. Whatever comes first decides.
#[derive(Debug, Clone, Copy)]
pub struct WritePolicy {
    /// So many events.
    pub events: usize,
    /// So many bytes of event JSON.
    pub bytes: usize,
    /// The oldest buffered event has waited so long: how far the lake lags the log at most, while
    /// [`LakeWriter::run`] runs.
    pub age: Duration,
}

impl Default for WritePolicy {
    fn default() -> Self {
        Self {
            events: 200_000,
            bytes: 128 << 20,
            age: Duration::from_secs(2),
        }
    }
}

#[derive(Default)]
struct Buffer {
    events: Vec<StoredEvent>,
    bytes: usize,
    since: Option<Instant>,
}

/// Writes events into the lake. Files and cursor are committed together, so that an event is in the
/// lake once whatever happens in between.
///
/// Events are buffered to make files of a reasonable size. [`Consumer::cursor`] is behind the buffered
/// events; [`LakeWriter::durable_cursor`] is behind the written ones, and is what the log may be
/// trimmed to. A crash, or a write that fails, empties the buffer; the same events are then read from
/// the log again.
pub struct LakeWriter {
    lake: Lake,
    policy: WritePolicy,
    buffer: Mutex<Buffer>,
}

impl LakeWriter {
    /// A writer into `lake`. There may be one at a time.
    pub fn new(lake: Lake, policy: WritePolicy) -> Self {
        Self {
            lake,
            policy,
            buffer: Mutex::default(),
        }
    }

    /// The first offset that is not durably in the lake.
    pub fn durable_cursor(&self) -> u64 {
        self.lake.next_offset()
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// When it cannot be written; the buffer is empty then, and the cursor back at the durable one.
    pub async fn flush(&self) -> Result<()> {
        self.write(&mut *self.buffer.lock().await).await
    }

    /// Writes buffered events when they have waited long enough, until `stop` is cancelled; then writes
    /// the rest. Run it beside [`sealwright_events::run`].
    pub async fn run(&self, stop: CancellationToken) {
        let step = (self.policy.age / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(step) => {}
            }
            let mut buffer = self.buffer.lock().await;
            if buffer
                .since
                .is_some_and(|since| since.elapsed() >= self.policy.age)
                && let Err(error) = self.write(&mut buffer).await
            {
                tracing::error!(%error, "the lake could not be written; the events will be read again");
            }
        }
        if let Err(error) = self.flush().await {
            tracing::error!(%error, "the lake could not be written before the end; the events stay in the log");
        }
    }

    async fn write(&self, buffer: &mut Buffer) -> Result<()> {
        let Buffer { events, bytes, .. } = std::mem::take(buffer);
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(());
        };
        let (from, next, count) = (first.offset, last.offset + 1, events.len());
        let start = Instant::now();
        // Held from before the first file exists, so that a vacuum does not take it for abandoned.
        let guard = self.lake.hold_commits().await;
        let table = self.lake.files().clone();
        let known: BTreeSet<String> = self
            .lake
            .snapshot()
            .files
            .iter()
            .map(|f| f.stream.clone())
            .collect();
        let files = blocking(move || {
            let mut files = Vec::new();
            let written = write_partitions(table.folder(), &events, known, &mut files);
            if written.is_err() {
                table.forget(&files);
            }
            written.map(|()| files)
        })
        .await?;
        if let Err(error) = self.lake.append(&guard, &files, from, next).await {
            self.lake.files().forget(&files);
            return Err(error);
        }
        metrics::counter!("sealwright_lake_events_total").increment(count as u64);
        metrics::counter!("sealwright_lake_event_bytes_total").increment(bytes as u64);
        metrics::histogram!("sealwright_lake_flush_seconds").record(start.elapsed().as_secs_f64());
        Ok(())
    }
}

fn write_partitions(
    table: &std::path::Path,
    events: &[StoredEvent],
    mut known: BTreeSet<String>,
    files: &mut Vec<DataFile>,
) -> Result<()> {
    let mut partitions: BTreeMap<(String, i32), Vec<&StoredEvent>> = BTreeMap::new();
    for event in events {
        let mut stream = stream_of(&event.event_type);
        if !known.contains(&stream) {
            if known.len() < MAX_STREAMS {
                known.insert(stream.clone());
            } else {
                OTHER_STREAM.clone_into(&mut stream);
            }
        }
        partitions
            .entry((stream, day_of(event.time)))
            .or_default()
            .push(event);
    }
    for ((stream, day), events) in partitions {
        files.push(write_file(
            table,
            &stream,
            day,
            &sorted(&batch_of(&events)?)?,
        )?);
    }
    Ok(())
}

#[async_trait]
impl Consumer for LakeWriter {
    fn name(&self) -> &'static str {
        WRITER_APP
    }

    async fn cursor(&self) -> Result<u64, ConsumerError> {
        let buffer = self.buffer.lock().await;
        Ok(buffer
            .events
            .last()
            .map_or_else(|| self.lake.next_offset(), |e| e.offset + 1))
    }

    async fn consume(&self, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        let mut buffer = self.buffer.lock().await;
        let mut expected = buffer
            .events
            .last()
            .map_or_else(|| self.lake.next_offset(), |e| e.offset + 1);
        for event in events {
            // What is buffered or written already is not taken twice.
            if event.offset < expected {
                continue;
            }
            if event.offset > expected {
                // A write failed between two calls: the reader of the log goes back to the cursor.
                return Err(LakeError::OutOfOrder {
                    expected,
                    found: event.offset,
                }
                .into());
            }
            expected += 1;
            buffer.bytes += event.json.len();
            buffer.events.push(event.clone());
        }
        if !buffer.events.is_empty() && buffer.since.is_none() {
            buffer.since = Some(Instant::now());
        }
        let due = buffer.events.len() >= self.policy.events
            || buffer.bytes >= self.policy.bytes
            || buffer.since.is_some_and(|s| s.elapsed() >= self.policy.age);
        if due {
            self.write(&mut buffer).await?;
        }
        Ok(())
    }
}
