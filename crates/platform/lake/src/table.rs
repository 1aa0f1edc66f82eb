//! The table: its present state, and commits to it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock, Weak};
use std::time::Instant;

use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use sealwright_core::{Clock, UnixMicros};
use sealwright_events::EventTerms;
use tokio::sync::Mutex;

use crate::bucket::{Absent, BucketTimes, Registered};
use crate::error::{LakeError, Result};
use crate::files::{DataFile, active_files};
use crate::log::{CHECKPOINT_EVERY, LogPlace};
use crate::open::Owner;
use crate::readers::Reader;
use crate::share::Share;
use crate::table_files::TableFiles;

/// The application id under which the writer keeps its cursor in the table.
pub const WRITER_APP: &str = "lake-writer";

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
    files: TableFiles,
    log: LogPlace,
    log_store: LogStoreRef,
    present: RwLock<Present>,
    /// When the present state was last found to be the newest.
    looked: std::sync::Mutex<Instant>,
    /// Commits are one at a time in this process.
    commit: Mutex<()>,
    /// The one maintenance owner.
    maintenance: Mutex<()>,
    /// What a vacuum of a bucket knows.
    absent: Mutex<Absent>,
    runtime: Arc<RuntimeEnv>,
    clock: Arc<dyn Clock>,
    owner: Owner,
    /// What the index is made of; without it there is none.
    terms: OnceLock<Arc<dyn EventTerms>>,
    /// Other processes that questions are shared with.
    share: OnceLock<Share>,
}

/// What a lake is opened with.
pub(crate) struct Parts {
    pub(crate) folder: PathBuf,
    pub(crate) files: TableFiles,
    pub(crate) log: LogPlace,
    pub(crate) owner: Owner,
    pub(crate) clock: Arc<dyn Clock>,
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

/// A lake that somebody else keeps open, or has closed.
#[derive(Clone)]
pub(crate) struct WeakLake(Weak<Inner>);

impl WeakLake {
    pub(crate) fn upgrade(&self) -> Option<Lake> {
        self.0.upgrade().map(Lake)
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
    /// The lake at a place, with its newest state.
    pub(crate) async fn of(
        parts: Parts,
        runtime: impl FnOnce(&TableFiles) -> Result<Arc<RuntimeEnv>>,
    ) -> Result<Self> {
        let log_store = parts.log.store()?;
        let present = load_present(&parts.log, &log_store).await?;
        let runtime = runtime(&parts.files)?;
        Ok(Self(Arc::new(Inner {
            folder: parts.folder,
            files: parts.files,
            log: parts.log,
            log_store,
            present: RwLock::new(present),
            looked: std::sync::Mutex::new(Instant::now()),
            commit: Mutex::new(()),
            maintenance: Mutex::new(()),
            absent: Mutex::default(),
            runtime,
            clock: parts.clock,
            owner: parts.owner,
            terms: OnceLock::new(),
            share: OnceLock::new(),
        })))
    }

    pub(crate) fn set_share(&self, share: Share) -> std::result::Result<(), Share> {
        self.0.share.set(share)
    }

    pub(crate) fn sharing(&self) -> Option<&Share> {
        self.0.share.get()
    }

    /// The lake for as long as somebody else keeps it open.
    pub(crate) fn weak(&self) -> WeakLake {
        WeakLake(Arc::downgrade(&self.0))
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.0.owner
    }

    pub(crate) fn log(&self) -> &LogPlace {
        &self.0.log
    }

    /// The data files.
    pub(crate) fn files(&self) -> &TableFiles {
        &self.0.files
    }

    /// The bucket's times, where the table is in one.
    pub(crate) fn bucket_times(&self) -> Option<BucketTimes> {
        match &self.0.log {
            LogPlace::Folder(_) => None,
            LogPlace::Bucket(_, times) => Some(*times),
        }
    }

    pub(crate) async fn absent(&self) -> tokio::sync::MutexGuard<'_, Absent> {
        self.0.absent.lock().await
    }

    /// Says again and again that this process writes, as long as it does and the lake is open.
    pub(crate) fn keep_lease(&self) {
        let Owner::Lease(lease, _) = &self.0.owner else {
            return;
        };
        let (pace, lake): (_, Weak<Inner>) = (lease.pace(), Arc::downgrade(&self.0));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pace).await;
                let Some(lake) = lake.upgrade() else { return };
                if let Owner::Lease(lease, _) = &lake.owner
                    && let Err(error) = lease.renew().await
                {
                    tracing::warn!(%error, "the lake's bucket did not take that this process writes");
                }
            }
        });
    }

    /// The table's id, made with it: which lake this is, wherever it stands.
    pub fn id(&self) -> String {
        self.snapshot().state.metadata().id().to_owned()
    }

    /// Where the table is: `s3://BUCKET/PREFIX`, or the folder.
    pub fn location(&self) -> String {
        match &self.0.log {
            LogPlace::Folder(_) => self.0.folder.display().to_string(),
            LogPlace::Bucket(bucket, _) => bucket.url().to_owned(),
        }
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

    /// The Delta table's folder, for other programs that read Delta; of a table in a bucket the folder with
    /// those of its data files that are kept here.
    pub fn table_folder(&self) -> &Path {
        self.0.files.folder()
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
        if let Some(times) = self.bucket_times() {
            let late = self.looked().elapsed() > times.abandoned / 2;
            // Commits that an older state would need may have been removed.
            if !late {
                let before = self.present();
                let later = load_later(&self.0.log, &self.0.log_store, &before).await?;
                *self.looked() = Instant::now();
                if let Some(present) = later {
                    self.set_present(present);
                }
                return Ok(());
            }
        }
        self.reload().await
    }

    /// Reads the state anew.
    pub(crate) async fn reload(&self) -> Result<()> {
        let present = load_present(&self.0.log, &self.0.log_store).await?;
        *self.looked() = Instant::now();
        self.set_present(present);
        Ok(())
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0
            .looked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
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

    pub(crate) fn writable(&self) -> Result<()> {
        if self.owned() {
            Ok(())
        } else {
            Err(LakeError::ReadOnly)
        }
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

    /// Takes a state that was read or made, unless a later one is there already.
    fn set_present(&self, present: Present) {
        let mut now = self
            .0
            .present
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if present.snapshot.version < now.snapshot.version {
            return;
        }
        let snapshot = Arc::clone(&present.snapshot);
        *now = present;
        drop(now);
        if let Some(cache) = self.0.files.cache() {
            cache.follow(&snapshot.files);
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.present().snapshot
    }

    /// The newest state, protected from removal until the reader is dropped.
    pub(crate) async fn read(&self) -> Result<(Arc<Snapshot>, Reader)> {
        const TRIES: usize = 20;
        if self.bucket_times().is_some() {
            // Files stay for longer than a query may run.
            self.refresh_reader().await?;
            return Ok((self.snapshot(), Reader::unseen()));
        }
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

    /// Knows the table's state `version`, or a later one.
    pub(crate) async fn at_least(&self, version: u64) -> Result<()> {
        if self.snapshot().version < version {
            self.refresh_reader().await?;
        }
        let known = self.snapshot().version;
        if known < version {
            return Err(LakeError::Table(format!(
                "this process knows the table up to version {known}, and not {version}"
            )));
        }
        Ok(())
    }

    /// As [`Self::read`], for what may take longer than any query.
    pub(crate) async fn read_at_length(&self) -> Result<(Arc<Snapshot>, Reader)> {
        let LogPlace::Bucket(bucket, _) = &self.0.log else {
            return self.read().await;
        };
        self.refresh_reader().await?;
        let snapshot = self.snapshot();
        let registered = Registered::register(bucket, snapshot.version).await?;
        Ok((snapshot, Reader::registered(registered)))
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
        self.0.files.keep(files).await?;
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
        let changed = (&[][..], files);
        self.commit(&present, actions, operation, Some(cursor), next, changed)
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
        self.0.files.keep(new).await?;
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
        let next = present.next_offset;
        self.commit(&present, actions, operation, None, next, (old, new))
            .await?;
        if self.bucket_times().is_some() {
            let mut absent = self.0.absent.lock().await;
            absent.removed(old.iter().map(|file| file.path.as_str()));
        }
        Ok(())
    }

    async fn commit(
        &self,
        present: &Present,
        actions: Vec<Action>,
        operation: DeltaOperation,
        cursor: Option<Transaction>,
        next_offset: u64,
        (old, new): (&[DataFile], &[DataFile]),
    ) -> Result<()> {
        self.writable()?;
        // Each commit follows the state that it was made of, or fails: tried again behind another process's
        // commit it would leave this process with that one's files and its own old cursor.
        let mut properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        let cursor_moved = cursor.is_some();
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
                self.0.log.sync_commit(done.version)?;
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
                // It may have been written all the same; the table knows. Names of files are never used twice.
                self.refresh().await?;
                let after = self.present();
                let active = |file: &&DataFile| {
                    let mut files = after.snapshot.files.iter();
                    files.any(|one| one.path == file.path)
                };
                let there = new.iter().filter(active).count() == new.len();
                if there && old.iter().find(active).is_none() {
                    return self.0.log.sync_commit(after.snapshot.version);
                }
                if cursor_moved && after.next_offset != present.next_offset {
                    return Err(LakeError::OutOfOrder {
                        expected: after.next_offset,
                        found: present.next_offset,
                    });
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
        self.0.log.sync_checkpoint()?;
        Ok(snapshot.version)
    }
}

async fn load_present(log: &LogPlace, log_store: &LogStoreRef) -> Result<Present> {
    let state = Box::pin(DeltaTableState::try_new(log_store.as_ref(), None))
        .await
        .map_err(|error| log.damaged(error))?;
    present_of(log, log_store, state).await
}

/// The state after `before`, from the commits since then. The same when there are none.
async fn load_later(
    log: &LogPlace,
    log_store: &LogStoreRef,
    before: &Present,
) -> Result<Option<Present>> {
    let next = before.snapshot.version + 1;
    let there = log_store.read_commit_entry(next).await;
    if there.map_err(|error| log.damaged(error))?.is_none() {
        return Ok(None);
    }
    let mut state = before.snapshot.state.clone();
    match Box::pin(state.update(log_store.as_ref(), None)).await {
        Ok(()) => present_of(log, log_store, state).await.map(Some),
        // The clean-up may have taken a commit that was to be read.
        Err(_) => load_present(log, log_store).await.map(Some),
    }
}

async fn present_of(
    log: &LogPlace,
    log_store: &LogStoreRef,
    state: DeltaTableState,
) -> Result<Present> {
    let cursor = Box::pin(
        state
            .snapshot()
            .transaction_version(log_store.as_ref(), WRITER_APP),
    )
    .await
    .map_err(|error| log.damaged(error))?;
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
