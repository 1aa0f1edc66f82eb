//! The table: opening, its present state, and commits to it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::DeltaTableBuilder;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use sealwright_core::{Clock, SystemClock, UnixMicros};
use sealwright_events::EventTerms;
use tokio::sync::Mutex;

use crate::encode::{sync_folder, sync_folders};
use crate::error::{LakeError, Result};
use crate::files::{DataFile, active_files};
use crate::readers::Reader;
use crate::schema::{STATISTICS, delta_columns};
use crate::session;

/// The application id under which the writer keeps its cursor in the table.
pub const WRITER_APP: &str = "lake-writer";

/// How many commits may lie between checkpoints. A checkpoint saves the next opening from reading
/// each commit by itself.
const CHECKPOINT_EVERY: u64 = 100;

/// One state of the table.
pub(crate) struct Snapshot {
    pub(crate) version: u64,
    pub(crate) files: Vec<DataFile>,
    state: DeltaTableState,
}

/// The present state, and the cursor that belongs to it.
#[derive(Clone)]
struct Present {
    snapshot: Arc<Snapshot>,
    next_offset: u64,
}

struct Inner {
    /// `DIR/lake`.
    folder: PathBuf,
    /// `DIR/lake/events`.
    table: PathBuf,
    log_store: LogStoreRef,
    present: RwLock<Present>,
    /// Commits are one at a time in this process.
    commit: Mutex<()>,
    /// The one maintenance owner.
    maintenance: Mutex<()>,
    runtime: Arc<RuntimeEnv>,
    clock: Arc<dyn Clock>,
    /// Held as long as this process may write; empty while it only reads.
    writer: OnceLock<File>,
    /// What the index is made of; without it there is none.
    terms: OnceLock<Arc<dyn EventTerms>>,
}

/// The lake of an installation. Cloning is cheap; all clones are the same lake.
#[derive(Clone)]
pub struct Lake(Arc<Inner>);

impl std::fmt::Debug for Lake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake")
            .field("folder", &self.0.folder)
            .field("version", &self.snapshot().version)
            .finish_non_exhaustive()
    }
}

/// What the lake holds. The lake lags the log: events from `next_offset` on are in the log only,
/// `head - next_offset` of them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct LakeStatus {
    /// The first offset that is not yet in the lake.
    pub next_offset: u64,
    /// The version of the Delta table.
    pub version: u64,
    /// Active data files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Their rows, which are the events that the lake holds.
    pub rows: u64,
    /// Partitions (a stream and a day) that hold something.
    pub partitions: u64,
    /// A time no later than the oldest event's, to the millisecond (RFC 3339).
    pub oldest: Option<String>,
    /// A time no earlier than the newest event's, to the millisecond (RFC 3339).
    pub newest: Option<String>,
}

impl Lake {
    /// Opens the lake in `folder` for writing and makes it if it is not there. The operating system's
    /// clock stamps its commits.
    ///
    /// # Errors
    /// [`LakeError::InUse`] when another process writes to it; [`LakeError::Damaged`] with the file
    /// when its log cannot be read.
    pub async fn open(folder: &Path) -> Result<Self> {
        Self::open_with(folder, Arc::new(SystemClock)).await
    }

    /// As [`Lake::open`], with a given clock.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_with(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let Some(writer) = lock(folder)? else {
            return Err(LakeError::InUse {
                path: folder.to_owned(),
            });
        };
        prepare(&folder.join("events")).await?;
        Self::load(folder, clock, Some(writer)).await
    }

    /// Opens the lake in a folder that several processes share: for writing when no other process does,
    /// for reading otherwise. [`Lake::try_own`] makes a reader the writer when the writer has gone.
    ///
    /// The lock is the operating system's on `writer.lock`; the folder's file system must keep such locks
    /// between its machines (NFS 4 does). Where one does not, the table itself still admits no second
    /// writer: a commit that another process made first refuses this one's.
    ///
    /// # Errors
    /// As [`Lake::open`]; [`LakeError::Missing`] when the process that writes has made no table.
    pub async fn open_shared(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        const TRIES: usize = 100;
        if let Some(writer) = lock(folder)? {
            prepare(&folder.join("events")).await?;
            return Self::load(folder, clock, Some(writer)).await;
        }
        // The writer may just be making the table.
        for _ in 0..TRIES {
            match Self::load(folder, Arc::clone(&clock), None).await {
                Err(_) if !has_commits(&folder.join("events")) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
        Err(LakeError::Missing {
            path: folder.to_owned(),
        })
    }

    /// Whether this process is the one that writes, maintains and erases.
    pub fn owned(&self) -> bool {
        self.0.writer.get().is_some()
    }

    /// Becomes the writer if no other process is. Whether this process is it now.
    ///
    /// # Errors
    /// When the lock or the table cannot be read.
    pub async fn try_own(&self) -> Result<bool> {
        if self.owned() {
            return Ok(true);
        }
        let Some(writer) = lock(&self.0.folder)? else {
            return Ok(false);
        };
        let _guard = self.hold_commits().await;
        prepare(&self.0.table).await?;
        self.refresh().await?;
        Ok(self.0.writer.set(writer).is_ok())
    }

    /// The table's id, made with it: which lake this is, wherever it stands.
    pub fn id(&self) -> String {
        self.snapshot().state.metadata().id().to_owned()
    }

    /// Opens the lake in `folder` for reading only, which another process may be writing. Each query
    /// sees the newest state.
    ///
    /// # Errors
    /// [`LakeError::Missing`] when there is none; [`LakeError::Damaged`] when its log cannot be read.
    pub async fn open_read_only(folder: &Path) -> Result<Self> {
        if !folder.join("events").join("_delta_log").is_dir() {
            return Err(LakeError::Missing {
                path: folder.to_owned(),
            });
        }
        Self::load(folder, Arc::new(SystemClock), None).await
    }

    async fn load(folder: &Path, clock: Arc<dyn Clock>, writer: Option<File>) -> Result<Self> {
        let table = folder.join("events");
        let log_store = log_store(&table)?;
        let present = load_present(&log_store, &table).await?;
        let runtime = session::runtime(&table)?;
        let writer = writer.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            table,
            log_store,
            present: RwLock::new(present),
            commit: Mutex::new(()),
            maintenance: Mutex::new(()),
            runtime,
            clock,
            writer,
            terms: OnceLock::new(),
        })))
    }

    /// The folder that was opened.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Gives the terms of events, by which an index is made and asked. What is given first stays.
    pub fn set_terms(&self, terms: Arc<dyn EventTerms>) {
        let _ = self.0.terms.set(terms);
    }

    pub(crate) fn terms(&self) -> Option<&Arc<dyn EventTerms>> {
        self.0.terms.get()
    }

    /// Where the index is.
    pub(crate) fn terms_folder(&self) -> PathBuf {
        self.0.folder.join("terms")
    }

    /// The Delta table's folder, for other programs that read Delta.
    pub fn table_folder(&self) -> &Path {
        &self.0.table
    }

    /// What the lake holds now.
    pub fn status(&self) -> LakeStatus {
        let present = self.present();
        let files = &present.snapshot.files;
        let times = || files.iter().filter_map(|f| f.times.as_ref());
        let mut partitions: Vec<_> = files.iter().map(|f| (&f.stream, f.day)).collect();
        partitions.dedup();
        LakeStatus {
            next_offset: present.next_offset,
            version: present.snapshot.version,
            files: files.len() as u64,
            bytes: files.iter().map(|f| f.bytes).sum(),
            rows: files.iter().map(|f| f.rows).sum(),
            partitions: partitions.len() as u64,
            oldest: times()
                .map(|t| t.min)
                .min()
                .map(|t| UnixMicros(t).to_string()),
            newest: times()
                .map(|t| t.max)
                .max()
                .map(|t| UnixMicros(t).to_string()),
        }
    }

    /// Reads what other processes have committed. A lake that is open for writing needs no refresh.
    ///
    /// # Errors
    /// As [`Lake::open_read_only`].
    pub async fn refresh(&self) -> Result<()> {
        let present = load_present(&self.0.log_store, &self.0.table).await?;
        self.set_present(present);
        Ok(())
    }

    /// The first offset that is not durably in the lake: the writer's cursor.
    pub fn next_offset(&self) -> u64 {
        self.present().next_offset
    }

    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.0.runtime
    }

    pub(crate) fn now(&self) -> UnixMicros {
        self.0.clock.now()
    }

    pub(crate) fn readers_folder(&self) -> PathBuf {
        self.0.folder.join("readers")
    }

    pub(crate) fn log_folder(&self) -> PathBuf {
        self.0.table.join("_delta_log")
    }

    pub(crate) fn writable(&self) -> Result<()> {
        self.0.writer.get().map(|_| ()).ok_or(LakeError::ReadOnly)
    }

    /// Waits for other maintenance of this process to end; only one runs at a time.
    pub(crate) async fn own_maintenance(&self) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        self.writable()?;
        Ok(self.0.maintenance.lock().await)
    }

    /// Holds off commits, so that every file in the folder is either in the state or abandoned.
    pub(crate) async fn hold_commits(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.commit.lock().await
    }

    fn present(&self) -> Present {
        self.0
            .present
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn set_present(&self, present: Present) {
        *self
            .0
            .present
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = present;
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.present().snapshot
    }

    /// The newest state, protected from removal until the reader is dropped.
    pub(crate) async fn read(&self) -> Result<(Arc<Snapshot>, Reader)> {
        const TRIES: usize = 20;
        for _ in 0..TRIES {
            self.refresh_reader().await?;
            let snapshot = self.snapshot();
            let reader = Reader::register(&self.readers_folder(), snapshot.version)?;
            self.refresh_reader().await?;
            // A newer state in between: a vacuum may have missed the registration.
            if self.snapshot().version == snapshot.version {
                return Ok((snapshot, reader));
            }
        }
        // Commits are that quick: protect everything for once, then take what is newest.
        let reader = Reader::register(&self.readers_folder(), 0)?;
        self.refresh_reader().await?;
        Ok((self.snapshot(), reader))
    }

    /// Reads what the writing process has committed, where this one only reads.
    async fn refresh_reader(&self) -> Result<()> {
        if self.owned() {
            return Ok(());
        }
        // The writer's clean-up may take a commit between its listing and its reading.
        let mut tries = 0;
        while let Err(error) = self.refresh().await {
            tries += 1;
            if tries == 3 {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Appends files and moves the cursor from `from` to `next`, both or neither. `_guard` shows that
    /// the caller holds off other commits.
    pub(crate) async fn append(
        &self,
        _guard: &tokio::sync::MutexGuard<'_, ()>,
        files: &[DataFile],
        from: u64,
        next: u64,
    ) -> Result<()> {
        let present = self.present();
        if present.next_offset != from {
            return Err(LakeError::OutOfOrder {
                expected: present.next_offset,
                found: from,
            });
        }
        sync_folders(&self.0.table, files)?;
        let now = self.now();
        let mut actions = Vec::with_capacity(files.len());
        for file in files {
            actions.push(Action::Add(file.add(true, now)?));
        }
        let cursor = Transaction::new_with_last_update(
            WRITER_APP,
            i64::try_from(next).unwrap_or(i64::MAX),
            Some(now.0 / 1_000),
        );
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: None,
            predicate: None,
        };
        self.commit(&present, actions, operation, Some(cursor), next)
            .await
    }

    /// Replaces `old` by `new`. `changes_data` is false when the rows stay the same.
    pub(crate) async fn replace(
        &self,
        old: &[DataFile],
        new: &[DataFile],
        changes_data: bool,
    ) -> Result<()> {
        let _guard = self.hold_commits().await;
        sync_folders(&self.0.table, new)?;
        let present = self.present();
        let now = self.now();
        let mut actions: Vec<Action> = old
            .iter()
            .map(|file| Action::Remove(file.remove(changes_data, now)))
            .collect();
        for file in new {
            actions.push(Action::Add(file.add(changes_data, now)?));
        }
        // The operation's text says nothing about whose rows went: it stays in the log for a while.
        let operation = if changes_data {
            DeltaOperation::Delete { predicate: None }
        } else {
            DeltaOperation::Optimize {
                predicate: None,
                target_size: 0,
            }
        };
        self.commit(&present, actions, operation, None, present.next_offset)
            .await
    }

    async fn commit(
        &self,
        present: &Present,
        actions: Vec<Action>,
        operation: DeltaOperation,
        cursor: Option<Transaction>,
        next_offset: u64,
    ) -> Result<()> {
        self.writable()?;
        let mut properties = CommitProperties::default()
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        if let Some(cursor) = cursor {
            properties = properties.with_application_transaction(cursor);
        }
        let commit = CommitBuilder::from(properties).with_actions(actions).build(
            Some(&present.snapshot.state),
            Arc::clone(&self.0.log_store),
            operation,
        );
        match Box::pin(commit.into_future()).await {
            Ok(done) => {
                let log = self.log_folder();
                sync_commit(&log, done.version)?;
                let files = active_files(&done.snapshot)?;
                self.set_present(Present {
                    snapshot: Arc::new(Snapshot {
                        version: done.version,
                        files,
                        state: done.snapshot,
                    }),
                    next_offset,
                });
                if done.version.is_multiple_of(CHECKPOINT_EVERY)
                    && let Err(error) = self.checkpoint().await
                {
                    tracing::warn!(%error, "the lake's checkpoint failed; the next one will be tried");
                }
                Ok(())
            }
            Err(error) => {
                // It may have been written all the same; the table knows.
                let before = present.snapshot.version;
                self.refresh().await?;
                let after = self.present();
                if after.snapshot.version == before + 1 && after.next_offset == next_offset {
                    return sync_commit(&self.log_folder(), after.snapshot.version);
                }
                Err(error.into())
            }
        }
    }

    /// Writes a checkpoint of the present state.
    pub(crate) async fn checkpoint(&self) -> Result<u64> {
        let snapshot = self.snapshot();
        let mut table = deltalake::DeltaTable::new(Arc::clone(&self.0.log_store));
        table.state = Some(snapshot.state.clone());
        Box::pin(deltalake::checkpoints::create_checkpoint(&table, None)).await?;
        sync_folder(&self.log_folder())?;
        Ok(snapshot.version)
    }
}

/// Takes the writer's lock; `None` when another process holds it.
fn lock(folder: &Path) -> Result<Option<File>> {
    fs::create_dir_all(folder).map_err(|e| LakeError::file(folder, e))?;
    let path = folder.join("writer.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| LakeError::file(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(LakeError::file(&path, error)),
    }
}

fn has_commits(table: &Path) -> bool {
    fs::read_dir(table.join("_delta_log")).is_ok_and(|mut entries| entries.next().is_some())
}

/// What the writer does first: takes torn commits away, and makes a table where there is none.
async fn prepare(table: &Path) -> Result<()> {
    let log = table.join("_delta_log");
    if log.is_dir() {
        remove_torn_commits(&log)?;
    }
    if has_commits(table) {
        return Ok(());
    }
    create_table(table).await
}

fn log_store(table: &Path) -> Result<LogStoreRef> {
    let full = fs::canonicalize(table).map_err(|e| LakeError::file(table, e))?;
    let url = deltalake::ensure_table_uri(full.to_string_lossy())?;
    Ok(DeltaTableBuilder::from_url(url)?.build_storage()?)
}

async fn create_table(table: &Path) -> Result<()> {
    fs::create_dir_all(table).map_err(|e| LakeError::file(table, e))?;
    let configuration = [
        ("delta.dataSkippingStatsColumns", STATISTICS.join(",")),
        (
            "delta.deletedFileRetentionDuration",
            "interval 1 hours".to_owned(),
        ),
        ("delta.logRetentionDuration", "interval 1 days".to_owned()),
        ("delta.checkpointInterval", CHECKPOINT_EVERY.to_string()),
    ];
    Box::pin(
        CreateBuilder::new()
            .with_log_store(log_store(table)?)
            .with_table_name("events")
            .with_comment("Events, by stream and UTC day of their time")
            .with_columns(delta_columns())
            .with_partition_columns(["stream", "day"])
            .with_configuration(configuration.map(|(key, value)| (key.to_owned(), Some(value))))
            .into_future(),
    )
    .await?;
    sync_commit(&table.join("_delta_log"), 0)?;
    sync_folder(table)
}

async fn load_present(log_store: &LogStoreRef, table: &Path) -> Result<Present> {
    let damaged = |error: deltalake::DeltaTableError| damaged_log(table, error);
    let state = Box::pin(DeltaTableState::try_new(log_store.as_ref(), None))
        .await
        .map_err(damaged)?;
    let cursor = Box::pin(
        state
            .snapshot()
            .transaction_version(log_store.as_ref(), WRITER_APP),
    )
    .await
    .map_err(damaged)?;
    let files = active_files(&state)?;
    Ok(Present {
        next_offset: cursor.and_then(|c| u64::try_from(c).ok()).unwrap_or(0),
        snapshot: Arc::new(Snapshot {
            version: state.version(),
            files,
            state,
        }),
    })
}

/// Names the file of the log that cannot be read: the table format's own errors name none.
fn damaged_log(table: &Path, error: deltalake::DeltaTableError) -> LakeError {
    let log = table.join("_delta_log");
    let name = |path: &Path| {
        path.strip_prefix(table)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    for path in commits(&log).unwrap_or_default() {
        let Ok(text) = fs::read(&path) else { continue };
        for (i, line) in text.split(|b| *b == b'\n').enumerate() {
            if line.is_empty() && i > 0 {
                continue;
            }
            if let Err(what) = serde_json::from_slice::<serde_json::Value>(line) {
                return LakeError::Damaged {
                    file: format!("{}:{}:{}", name(&path), i + 1, what.column()),
                    detail: what.to_string(),
                };
            }
        }
    }
    LakeError::Damaged {
        file: name(&log),
        detail: error.to_string(),
    }
}

fn commits(log: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(log)
        .map_err(|e| LakeError::file(log, e))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// A power cut can leave the newest commit as an entry without content, or with zeros for content: the
/// file was made, its bytes were not yet durable. Such a commit was never acknowledged, so it goes, and
/// its events come again from the log. A commit that holds anything else is left alone.
fn remove_torn_commits(log: &Path) -> Result<()> {
    for path in commits(log)?.into_iter().rev() {
        let bytes = fs::read(&path).map_err(|e| LakeError::file(&path, e))?;
        if bytes.iter().any(|b| *b != 0) {
            break;
        }
        tracing::warn!(file = %path.display(), "removing a commit that never became durable");
        fs::remove_file(&path).map_err(|e| LakeError::file(&path, e))?;
    }
    sync_folder(log)
}

fn sync_commit(log: &Path, version: u64) -> Result<()> {
    let path = log.join(format!("{version:020}.json"));
    File::open(&path)
        .and_then(|f| f.sync_all())
        .map_err(|e| LakeError::file(&path, e))?;
    sync_folder(log)
}
