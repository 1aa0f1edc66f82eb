//! The identities of accepted events: a filter in memory, the newest ones in a table, the rest in sorted
//! runs on disk.
//!
//! The index is derived: the log is the truth. Newest identities are collected in memory; a full run is
//! sorted and put into fjall in one piece. Every few runs the filter is written and then a small file that says up to
//! which offset the index knows, since the filter is larger than a run and each of them waits for the disk. What is missing
//! after a crash is read from the log again; that some of it is in the index already does no harm. So a commit writes one
//! file only, and the index is never ahead of what is durable.
//!
//! Identities are kept in partitions of seven days of receipt, which are forgotten whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use fjall::config::CompressionPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use sealwright_core::clock::DAY;
use sealwright_core::{Digest, UnixMicros};

use super::filter::Filters;
use super::replace::replace_file;
use super::{AppendError, FaultPoint, Faults};
use crate::model::{EventKey, KeyHash, Known};

const PARTITION: i64 = 7 * DAY;
/// After so many runs the filter is written and the index says what it knows.
const SETTLE_EVERY: usize = 4;

type Table = HashMap<EventKey, Known, KeyHash>;

struct Partition {
    number: i64,
    keyspace: Keyspace,
    filters: Filters,
    /// Filters before this one are on disk as they are.
    written: usize,
}

impl Partition {
    fn name(number: i64) -> String {
        format!("ids-{number}")
    }
}

/// A run on its way to the disk.
struct Sealed {
    table: Arc<Table>,
    partition: i64,
    upto: u64,
    /// Whether the filter is written with it.
    settle: bool,
    /// Gives the first filter that has to be written next time, when filters were written.
    thread: Option<JoinHandle<std::io::Result<Option<usize>>>>,
}

/// See the module's head.
pub(super) struct Ids {
    folder: PathBuf,
    db: Database,
    partitions: Vec<Partition>,
    active: Table,
    /// The table of the run before, emptied: a new one would be grown, and its pages cleared, for each run.
    spare: Option<Table>,
    sealed: Option<Sealed>,
    /// The index on disk knows all events before this offset.
    upto: u64,
    /// Runs since it said so.
    unsettled: usize,
    run: usize,
    faults: Arc<dyn Faults>,
}

fn io(error: fjall::Error) -> std::io::Error {
    match error {
        fjall::Error::Io(error) => error,
        other => std::io::Error::other(other.to_string()),
    }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        // Keys and digests are random bytes.
        .data_block_compression_policy(CompressionPolicy::all(fjall::CompressionType::None))
        .max_memtable_size(8 << 20)
}

fn value(known: &Known) -> [u8; 40] {
    let mut value = [0; 40];
    value[..8].copy_from_slice(&known.offset.to_be_bytes());
    value[8..].copy_from_slice(&known.digest.0);
    value
}

fn known(value: &[u8]) -> Option<Known> {
    let (offset, digest) = value.split_first_chunk::<8>()?;
    Some(Known {
        offset: u64::from_be_bytes(*offset),
        digest: Digest(digest.try_into().ok()?),
    })
}

impl Ids {
    /// Opens the index in `folder`, with `run` identities a run.
    pub(super) fn open(
        folder: &Path,
        run: usize,
        cache_bytes: u64,
        faults: Arc<dyn Faults>,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let db = Database::builder(folder.join("index"))
            .cache_size(cache_bytes)
            .worker_threads(1)
            .open()
            .map_err(io)?;
        let mut partitions = Vec::new();
        for name in db.list_keyspace_names() {
            let Some(number) = name.strip_prefix("ids-").and_then(|n| n.parse().ok()) else {
                continue;
            };
            let keyspace = db.keyspace(&name, options).map_err(io)?;
            let filters = match Filters::read(folder, &name) {
                Some(filters) => filters,
                None => rebuild(&name, &keyspace)?,
            };
            partitions.push(Partition {
                number,
                keyspace,
                filters,
                written: 0,
            });
        }
        partitions.sort_by_key(|p| std::cmp::Reverse(p.number));
        let upto = read_upto(&folder.join("upto"))?;
        Ok(Self {
            folder: folder.to_owned(),
            db,
            partitions,
            active: Table::with_hasher(KeyHash::new()),
            spare: None,
            sealed: None,
            upto,
            unsettled: 0,
            run,
            faults,
        })
    }

    /// The offset up to which the index on disk knows all events: the rest has to be put in again.
    pub(super) const fn upto(&self) -> u64 {
        self.upto
    }

    /// Looks an identity up.
    pub(super) fn find(&self, key: &EventKey) -> Result<Option<Known>, AppendError> {
        let mut probable = false;
        for partition in &self.partitions {
            if !partition.filters.may_hold(key) {
                continue;
            }
            if !probable {
                probable = true;
                let newest = self
                    .active
                    .get(key)
                    .or_else(|| self.sealed.as_ref().and_then(|s| s.table.get(key)));
                if let Some(found) = newest {
                    return Ok(Some(*found));
                }
            }
            let found = partition
                .keyspace
                .get(key.0)
                .map_err(|e| AppendError::from(io(e)))?;
            if let Some(bytes) = found {
                return known(&bytes).map(Some).ok_or_else(|| {
                    AppendError::Unavailable(format!(
                        "the index in {} has an entry of {} bytes; remove the folder while the program is \
                         stopped, and it is made again from the log",
                        self.folder.display(),
                        bytes.len()
                    ))
                });
            }
        }
        if probable {
            metrics::counter!("sealwright_intake_filter_false_alarms_total").increment(1);
        }
        Ok(None)
    }

    /// Prepares for identities of events that are received at `received_at`: opens their partition, and
    /// sends a full run on its way. Fails before anything is written.
    pub(super) fn prepare(&mut self, received_at: UnixMicros, next: u64) -> std::io::Result<()> {
        let number = received_at.0.div_euclid(PARTITION);
        let newest = self.partitions.first().map(|p| p.number);
        // A clock that was set back does not open an older partition.
        if newest.is_none_or(|newest| number > newest) {
            self.flush(next)?;
            let name = Partition::name(number);
            let keyspace = self.db.keyspace(&name, options).map_err(io)?;
            let partition = Partition {
                number,
                keyspace,
                filters: Filters::default(),
                written: 0,
            };
            self.partitions.insert(0, partition);
        }
        if self.active.len() >= self.run {
            // Waits only when the disk is so slow that memory would grow without end.
            let wait = self.active.len() >= self.run * 2;
            if let Err(error) = self.seal(next, wait) {
                if wait {
                    return Err(error);
                }
                tracing::error!(%error, "the index of identities could not be written; will try again");
                metrics::counter!("sealwright_intake_index_errors_total").increment(1);
            }
        }
        Ok(())
    }

    /// Adds an identity that is durable in the log. [`Ids::prepare`] came before.
    pub(super) fn add(&mut self, key: EventKey, known: Known) {
        if let Some(partition) = self.partitions.first_mut() {
            partition.filters.add(&key);
        }
        self.active.insert(key, known);
    }

    /// Starts writing the active run, if there is none on its way; with `wait` also ends the one that is.
    /// All events before `next` are in the tables.
    fn seal(&mut self, next: u64, wait: bool) -> std::io::Result<()> {
        self.finish(wait)?;
        if self.sealed.is_some() || self.active.is_empty() {
            return Ok(());
        }
        let Some(partition) = self.partitions.first() else {
            return Ok(());
        };
        let next_table = self.spare.take();
        let next_table = next_table.unwrap_or_else(|| Table::with_hasher(KeyHash::new()));
        let table = std::mem::replace(&mut self.active, next_table);
        self.sealed = Some(Sealed {
            table: Arc::new(table),
            partition: partition.number,
            upto: next,
            settle: self.unsettled + 1 >= SETTLE_EVERY,
            thread: None,
        });
        self.start();
        if wait { self.finish(true) } else { Ok(()) }
    }

    /// (Re)starts the thread that writes the sealed run.
    fn start(&mut self) {
        let Some(sealed) = &mut self.sealed else {
            return;
        };
        let Some(partition) = self
            .partitions
            .iter()
            .find(|p| p.number == sealed.partition)
        else {
            return;
        };
        let (table, keyspace) = (Arc::clone(&sealed.table), partition.keyspace.clone());
        let (filters, written) = (partition.filters.clone(), partition.written);
        let (folder, upto, settle) = (self.folder.clone(), sealed.upto, sealed.settle);
        let faults = Arc::clone(&self.faults);
        let name = Partition::name(sealed.partition);
        sealed.thread = Some(std::thread::spawn(move || {
            faults.at(FaultPoint::BeforeRun)?;
            let mut entries: Vec<_> = table.iter().collect();
            // As numbers, which are compared at once.
            entries.sort_unstable_by_key(|(key, _)| u128::from_be_bytes(key.0));
            let mut ingestion = keyspace.start_ingestion().map_err(io)?;
            for (key, known) in entries {
                ingestion.write(key.0, value(known)).map_err(io)?;
            }
            ingestion.finish().map_err(io)?;
            let written = settle
                .then(|| filters.write(&folder, &name, written))
                .transpose()?;
            faults.at(FaultPoint::AfterRun)?;
            if settle {
                write_upto(&folder.join("upto"), upto)?;
            }
            Ok(written)
        }));
    }

    /// Takes the result of the run that is being written, if it is done or `wait` says so. A failed run is
    /// started again, and the error returned.
    fn finish(&mut self, wait: bool) -> std::io::Result<()> {
        let Some(sealed) = &mut self.sealed else {
            return Ok(());
        };
        if !wait && sealed.thread.as_ref().is_some_and(|t| !t.is_finished()) {
            return Ok(());
        }
        let result = match sealed.thread.take() {
            Some(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("the index's writer panicked"))),
            None => Err(std::io::Error::other("the index's writer did not start")),
        };
        match result {
            Ok(written) => {
                let (number, upto) = (sealed.partition, sealed.upto);
                self.unsettled += 1;
                if let Some(written) = written {
                    if let Some(p) = self.partitions.iter_mut().find(|p| p.number == number) {
                        p.written = written;
                    }
                    (self.upto, self.unsettled) = (upto, 0);
                }
                let table = self
                    .sealed
                    .take()
                    .map(|sealed| Arc::try_unwrap(sealed.table));
                if let Some(Ok(mut table)) = table {
                    table.clear();
                    self.spare = Some(table);
                }
                Ok(())
            }
            Err(error) => {
                self.start();
                Err(error)
            }
        }
    }

    /// Puts everything on disk; all events before `next` are in the tables.
    pub(super) fn flush(&mut self, next: u64) -> std::io::Result<()> {
        self.seal(next, true)?;
        if self.unsettled > 0 {
            // Runs are of the newest partition: one that is opened waits for this.
            if let Some(partition) = self.partitions.first_mut() {
                let name = Partition::name(partition.number);
                let written = partition.written;
                partition.written = partition.filters.write(&self.folder, &name, written)?;
            }
            write_upto(&self.folder.join("upto"), next)?;
            (self.upto, self.unsettled) = (next, 0);
        }
        Ok(())
    }

    /// Forgets partitions whose newest identity was received before `before`.
    pub(super) fn forget(&mut self, before: UnixMicros) -> std::io::Result<usize> {
        let old = |p: &Partition| (p.number + 1) * PARTITION <= before.0;
        if self.partitions.iter().any(old) {
            self.finish(true)?;
        }
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.partitions)
            .into_iter()
            .partition(|p| old(p));
        self.partitions = kept;
        let count = gone.len();
        for partition in gone {
            let name = Partition::name(partition.number);
            self.db.delete_keyspace(partition.keyspace).map_err(io)?;
            for number in 0.. {
                let file = self.folder.join(format!("{name}-{number}.bloom"));
                match std::fs::remove_file(&file) {
                    Ok(()) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => break,
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(count)
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        if let Some(thread) = self.sealed.as_mut().and_then(|s| s.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn rebuild(name: &str, keyspace: &Keyspace) -> std::io::Result<Filters> {
    if keyspace.first_key_value().is_some() {
        tracing::warn!(
            partition = name,
            "its filter is missing or damaged; making it again"
        );
    }
    let mut filters = Filters::default();
    for entry in keyspace.iter() {
        let key = entry.key().map_err(io)?;
        if let Ok(key) = <[u8; 16]>::try_from(&key[..]) {
            filters.add(&EventKey(key));
        }
    }
    Ok(filters)
}

/// The file holds a line `<offset> <CRC-32 of it>`. One that is missing means an empty index; one that
/// is damaged means the same, since the index can be made from the log again.
fn read_upto(path: &Path) -> std::io::Result<u64> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => String::new(),
        Err(e) => return Err(e),
    };
    let read = text.trim_end().split_once(' ').and_then(|(offset, crc)| {
        (crc == format!("{:08x}", crc32fast::hash(offset.as_bytes())))
            .then(|| offset.parse().ok())
            .flatten()
    });
    Ok(read.unwrap_or_else(|| {
        tracing::warn!(file = %path.display(), "damaged; the index is completed from the whole log");
        0
    }))
}

fn write_upto(path: &Path, offset: u64) -> std::io::Result<()> {
    let text = offset.to_string();
    let line = format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()));
    replace_file(path, line.as_bytes())
}
