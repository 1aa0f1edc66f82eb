//! The log of an installation on one machine: segment files, one commit at a time.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use sealwright_core::UnixMicros;
use sealwright_events::{EventLog, LogError, ReadLimit, StoredEvent};
use tokio::sync::watch;

use super::hold::LogHold;
use super::ids::Ids;
use super::kept::{self, Kept};
use super::segment::{FILE_HEADER, Segment, push_record};
use super::{AppendError, FaultPoint, Faults, IntakeLog, NoFaults, TrimTo};
use crate::codec::encode;
use crate::decide::{Decision, decide};
use crate::model::{BatchOutcome, EventKey, Known, NewEvent};

/// How a [`FileLog`] is laid out.
#[derive(Debug, Clone)]
pub struct FileLogOptions {
    /// A segment that has reached this size is followed by a new one.
    pub segment_bytes: u64,
    /// Identities that are collected in memory before they are put on disk in one run (about 130 bytes
    /// of memory each, for at most two runs).
    pub run_ids: usize,
    /// Memory for the index's blocks.
    pub cache_bytes: u64,
    /// zstd's level; 1 is the fastest of the ordinary ones.
    pub compression_level: i32,
    /// Lets writes fail, for tests.
    pub faults: Arc<dyn Faults>,
}

impl Default for FileLogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 128 << 20,
            run_ids: 128 << 10,
            cache_bytes: 64 << 20,
            compression_level: 1,
            faults: Arc::new(NoFaults),
        }
    }
}

/// A log in a folder of this machine. One process may have it open.
///
/// What is acknowledged is synced to the disk. After a failed write the unacknowledged end is cut off
/// and the next commit begins a new segment, so that a full disk needs no restart.
#[derive(Clone)]
pub struct FileLog {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for FileLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileLog")
            .field("folder", &self.inner.folder)
            .finish_non_exhaustive()
    }
}

struct Inner {
    folder: PathBuf,
    options: FileLogOptions,
    writer: Mutex<Writer>,
    segments: RwLock<BTreeMap<u64, Arc<Segment>>>,
    /// Everything before this offset is durable.
    head: AtomicU64,
    moved: watch::Sender<u64>,
}

struct Writer {
    ids: Ids,
    segment: Arc<Segment>,
    /// Where the durable part of the segment ends.
    end: u64,
    next: u64,
    /// The day of receipt of the segment's first event.
    day: Option<UnixMicros>,
    /// A write failed: there may be bytes behind `end`.
    dirty: bool,
    compressor: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileLog {
    /// Opens the log in `folder`, creating it when it is not there; checks the newest segment, and
    /// completes the index from the log. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] with file and byte; [`LogError::Unavailable`] when a file cannot be used, or
    /// another process has the log open.
    pub fn open(folder: &Path, options: FileLogOptions) -> Result<Self, LogError> {
        let failed =
            |e: std::io::Error| LogError::Unavailable(format!("{}: {e}", folder.display()));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let ids_folder = folder.join("ids");
        let ids = Ids::open(
            &ids_folder,
            options.run_ids,
            options.cache_bytes,
            Arc::clone(&options.faults),
        )
        .map_err(|e| LogError::Unavailable(format!("{}: {e}", ids_folder.display())))?;
        let mut segments = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let first = path
                .file_name()
                .and_then(|n| n.to_str())
                .and_then(|n| n.strip_suffix(".log"))
                .and_then(|n| n.parse::<u64>().ok());
            let Some(first) = first else { continue };
            match Segment::open(&path, first)? {
                Some(segment) => {
                    segments.insert(first, Arc::new(segment));
                }
                None => {
                    tracing::warn!(file = %path.display(), "removed a segment that was never begun");
                    std::fs::remove_file(&path).map_err(failed)?;
                }
            }
        }
        let segment = match segments.last_key_value() {
            Some((_, newest)) => Arc::clone(newest),
            None => {
                let segment = Arc::new(Segment::create(folder, ids.upto()).map_err(failed)?);
                segments.insert(segment.first, Arc::clone(&segment));
                segment
            }
        };
        let (next, end) = segment.check()?;
        if next < ids.upto() {
            return Err(segment.corrupt(
                end,
                format!(
                    "the log ends at offset {next}, and {} were acknowledged; restore it from a backup, or \
                     remove {} to go on without the lost events",
                    ids.upto(),
                    ids_folder.display()
                ),
            ));
        }
        set_torn_end_aside(&segment, end)?;
        let day = segment
            .header(FILE_HEADER)?
            .filter(|_| end > FILE_HEADER)
            .map(|r| r.received_at.floor_day());
        let compressor = zstd::bulk::Compressor::new(options.compression_level).map_err(failed)?;
        let writer = Writer {
            ids,
            segment,
            end,
            next,
            day,
            dirty: false,
            compressor,
            buffer: Vec::new(),
        };
        let log = Self {
            inner: Arc::new(Inner {
                folder: folder.to_owned(),
                options,
                writer: Mutex::new(writer),
                segments: RwLock::new(segments),
                head: AtomicU64::new(next),
                moved: watch::Sender::new(next),
            }),
        };
        log.inner.complete_index_from_kept()?;
        log.inner.complete_index()?;
        Ok(log)
    }

    /// Puts the index on disk, so that the next start need not read the log. For an orderly end; without
    /// it nothing is lost.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn flush(&self) -> Result<(), AppendError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let mut writer = lock(&inner.writer);
            let next = writer.next;
            Ok(writer.ids.flush(next)?)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AppendError> + Send + 'static,
) -> Result<T, AppendError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(AppendError::Unavailable(e.to_string())))
}

/// Bytes behind the last whole record are the rest of a commit that nobody was told of. They are kept in
/// a file of their own, in case somebody wants to look at them.
fn set_torn_end_aside(segment: &Segment, end: u64) -> Result<(), LogError> {
    let failed = |e: std::io::Error| segment.unavailable(&e);
    let length = segment.file.metadata().map_err(failed)?.len();
    if length <= end {
        return Ok(());
    }
    let mut rest = vec![0; usize::try_from(length - end).unwrap_or(0)];
    segment.file.read_exact_at(&mut rest, end).map_err(failed)?;
    let aside = segment.path.with_extension(format!("torn-{end}"));
    std::fs::write(&aside, rest).map_err(failed)?;
    segment.file.set_len(end).map_err(failed)?;
    segment.file.sync_all().map_err(failed)?;
    tracing::warn!(
        file = %segment.path.display(), end, bytes = length - end, aside = %aside.display(),
        "cut off the end of an unfinished write"
    );
    Ok(())
}

impl Inner {
    /// As [`Inner::complete_index`], for identities of events that have left the log: where the index was lost.
    fn complete_index_from_kept(&self) -> Result<(), LogError> {
        let mut writer = lock(&self.writer);
        let upto = writer.ids.upto();
        let failed = |e| LogError::Unavailable(format!("the index: {e}"));
        for path in kept::files(&self.folder)? {
            for one in kept::read(&path)? {
                if one.known.offset < upto {
                    continue;
                }
                let (received_at, offset) = (one.received_at, one.known.offset);
                writer.ids.prepare(received_at, offset).map_err(failed)?;
                writer.ids.add(one.key, one.known);
            }
        }
        Ok(())
    }

    /// Puts the identities of events that are not in the index on disk into the tables.
    fn complete_index(&self) -> Result<(), LogError> {
        let mut from = lock(&self.writer).ids.upto().max(self.earliest());
        let head = self.head.load(Ordering::Acquire);
        while from < head {
            let events = self.read(from, ReadLimit::default())?;
            let mut writer = lock(&self.writer);
            for event in &events {
                writer
                    .ids
                    .prepare(event.received_at, event.offset)
                    .map_err(|e| LogError::Unavailable(format!("the index: {e}")))?;
                writer.ids.add(
                    EventKey::new(event.tenant, &event.source, &event.id),
                    Known {
                        offset: event.offset,
                        digest: event.digest,
                    },
                );
                from = event.offset + 1;
            }
        }
        Ok(())
    }

    fn earliest(&self) -> u64 {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first_key_value().map_or(0, |(first, _)| *first)
    }

    fn commit(
        &self,
        received_at: UnixMicros,
        batches: &[Vec<NewEvent>],
    ) -> Result<Vec<BatchOutcome>, AppendError> {
        let mut writer = lock(&self.writer);
        let writer = &mut *writer;
        if writer.dirty {
            self.clean_up(writer)?;
        }
        let next = writer.next;
        writer.ids.prepare(received_at, next)?;
        let Decision { outcomes, accepted } = decide(batches, next, |key| writer.ids.find(key))?;
        if accepted.is_empty() {
            return Ok(outcomes);
        }
        let day = received_at.floor_day();
        let full = writer.end >= self.options.segment_bytes;
        if writer.end > FILE_HEADER && (full || writer.day.is_some_and(|first| first < day)) {
            self.next_segment(writer)?;
        }
        let blocks = encode(&accepted, received_at, &mut writer.compressor)?;
        writer.buffer.clear();
        let mut offset = next;
        for block in &blocks {
            push_record(block, offset, next, received_at, &mut writer.buffer);
            offset += u64::from(block.count);
        }
        writer.dirty = true;
        self.write(writer)?;
        writer.dirty = false;
        writer.day = writer.day.or(Some(day));
        writer.end += writer.buffer.len() as u64;
        for (event, offset) in accepted.iter().zip(next..) {
            let known = Known {
                offset,
                digest: event.digest,
            };
            writer.ids.add(event.key, known);
        }
        writer.next = offset;
        self.head.store(offset, Ordering::Release);
        self.moved.send_replace(offset);
        Ok(outcomes)
    }

    fn write(&self, writer: &Writer) -> std::io::Result<()> {
        let faults = &self.options.faults;
        let file = &writer.segment.file;
        faults.at(FaultPoint::BeforeWrite)?;
        if let Err(error) = faults.at(FaultPoint::HalfWritten) {
            file.write_all_at(&writer.buffer[..writer.buffer.len() / 2], writer.end)?;
            return Err(error);
        }
        file.write_all_at(&writer.buffer, writer.end)?;
        faults.at(FaultPoint::BeforeSync)?;
        let start = std::time::Instant::now();
        file.sync_data()?;
        metrics::histogram!("sealwright_intake_sync_seconds").record(start.elapsed().as_secs_f64());
        faults.at(FaultPoint::AfterSync)
    }

    /// After a failed write: cuts the segment to what is durable. What the kernel says about pages after
    /// a failed sync is not to be trusted, so the next commit goes to a new file.
    fn clean_up(&self, writer: &mut Writer) -> std::io::Result<()> {
        writer.segment.file.set_len(writer.end)?;
        writer.segment.file.sync_all()?;
        writer.segment.forget_places(writer.end);
        if writer.end > FILE_HEADER {
            self.next_segment(writer)?;
        }
        writer.dirty = false;
        Ok(())
    }

    fn next_segment(&self, writer: &mut Writer) -> std::io::Result<()> {
        let segment = Arc::new(Segment::create(&self.folder, writer.next)?);
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        segments.insert(segment.first, Arc::clone(&segment));
        writer.segment = segment;
        writer.end = FILE_HEADER;
        writer.day = None;
        Ok(())
    }

    fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<StoredEvent>, LogError> {
        let head = self.head.load(Ordering::Acquire);
        let mut events: Vec<StoredEvent> = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        while next < head {
            let segment = {
                let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
                let found = segments.range(..=next).next_back();
                let Some((_, segment)) = found else {
                    let earliest = segments.first_key_value().map_or(head, |(first, _)| *first);
                    return Err(LogError::Gone {
                        wanted: next,
                        earliest,
                    });
                };
                Arc::clone(segment)
            };
            let mut pos = segment.place(next)?;
            let before = next;
            while let Some(header) = segment.header(pos)? {
                if header.next() <= next {
                    pos += header.len();
                    continue;
                }
                if header.first_offset > next || next >= head {
                    break;
                }
                let lacking = || format!("the record of offset {next} is damaged");
                let (record, _, decoded) = segment.events(pos, lacking)?;
                for event in decoded {
                    if event.offset < next || event.offset >= head {
                        continue;
                    }
                    bytes += event.json.len();
                    if !events.is_empty() && (events.len() >= limit.events || bytes > limit.bytes) {
                        return Ok(events);
                    }
                    next = event.offset + 1;
                    events.push(event);
                }
                pos += record.len();
            }
            if next == before {
                return Err(segment.corrupt(
                    pos,
                    format!("the record of offset {next} is missing or damaged"),
                ));
            }
        }
        Ok(events)
    }

    fn trim(&self, to: TrimTo) -> Result<u64, AppendError> {
        let mut writer = lock(&self.writer);
        let writer = &mut *writer;
        let Some(_alone) = LogHold::refuse_others(&self.folder)? else {
            if to.close_segment {
                return Err(AppendError::Unavailable(
                    "a backup is copying it; ask again when that has ended".to_owned(),
                ));
            }
            tracing::info!("a backup copies the log: nothing leaves it now");
            return Ok(self.earliest());
        };
        if writer.dirty {
            self.clean_up(writer)?;
        }
        if to.close_segment && writer.end > FILE_HEADER {
            self.next_segment(writer)?;
        }
        writer.ids.forget(to.forget_before)?;
        // Identities that are not in the index yet are read from the log after a crash.
        let mut passed = to.passed;
        if passed > writer.ids.upto() && self.earliest() < passed {
            writer.ids.flush(writer.next)?;
            passed = passed.min(writer.ids.upto());
        }
        loop {
            let (first, second) = {
                let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
                let mut all = segments.values();
                (all.next().cloned(), all.next().cloned())
            };
            let (Some(first), Some(second)) = (first, second) else {
                break;
            };
            let newest = self.newest_receipt(&first, second.first)?;
            if second.first > passed || newest >= to.received_before {
                break;
            }
            if newest >= to.forget_before {
                self.keep_identities(&first, second.first, newest)?;
            }
            let mut segments = self
                .segments
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            std::fs::remove_file(&first.path)?;
            segments.remove(&first.first);
        }
        kept::forget(&self.folder, to.forget_before).map_err(named)?;
        super::replace::sync_folder(&self.folder)?;
        Ok(self.earliest())
    }

    /// Before a segment goes whose events must still be recognised: the index must be able to be made
    /// without it.
    fn keep_identities(
        &self,
        segment: &Segment,
        behind: u64,
        newest: UnixMicros,
    ) -> Result<(), AppendError> {
        let mut kept = Vec::new();
        let mut next = segment.first;
        while next < behind {
            let limit = ReadLimit::default();
            for event in self.read(next, limit).map_err(named)? {
                next = event.offset + 1;
                if event.offset < behind {
                    kept.push(Kept::of(&event));
                }
            }
        }
        Ok(kept::write(&self.folder, segment.first, newest, &kept)?)
    }

    /// When the last event of a finished segment was received.
    fn newest_receipt(&self, segment: &Segment, behind: u64) -> Result<UnixMicros, AppendError> {
        let mut pos = segment.place(behind.saturating_sub(1)).map_err(named)?;
        let mut newest = UnixMicros(i64::MIN);
        while let Some(record) = segment.header(pos).map_err(named)? {
            newest = newest.max(record.received_at);
            pos += record.len();
        }
        Ok(newest)
    }
}

fn named(error: LogError) -> AppendError {
    AppendError::Unavailable(error.to_string())
}

#[async_trait]
impl IntakeLog for FileLog {
    async fn commit(
        &self,
        received_at: UnixMicros,
        batches: Vec<Vec<NewEvent>>,
    ) -> Result<Vec<BatchOutcome>, AppendError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.commit(received_at, &batches)).await
    }

    async fn trim(&self, to: TrimTo) -> Result<u64, AppendError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.trim(to)).await
    }
}

#[async_trait]
impl EventLog for FileLog {
    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<StoredEvent>, LogError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.read(from, limit))
            .await
            .unwrap_or_else(|e| Err(LogError::Unavailable(e.to_string())))
    }

    async fn head(&self) -> Result<u64, LogError> {
        Ok(self.inner.head.load(Ordering::Acquire))
    }

    async fn earliest(&self) -> Result<u64, LogError> {
        Ok(self.inner.earliest())
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.inner.moved.subscribe()
    }
}
