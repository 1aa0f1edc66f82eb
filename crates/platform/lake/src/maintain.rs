//! Maintenance, by one owner at a time: compaction, retention, vacuum, checkpoint and log clean-up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwright_core::UnixMicros;
use sealwright_events::HoldRegister;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::held::Held;
use crate::index::path_of;
use crate::readers;
use crate::rewrite::{blocking, rewrite};
use crate::schema::{day_of, day_text};
use crate::table::Lake;
use crate::table_files::TableFiles;

/// When and how far files are compacted.
#[derive(Debug, Clone, Copy)]
pub struct CompactPolicy {
    /// Files of at least this many bytes are left as they are.
    pub small_bytes: u64,
    /// A new file is made of at most about this many bytes of old ones.
    pub target_bytes: u64,
    /// A new file has at most this many rows; bounds the memory of a compaction.
    pub target_rows: u64,
    /// A partition of the present UTC day, or a later one, is compacted when it has at least this many
    /// small files; one of a past day when it has two.
    pub open_files: usize,
}

impl Default for CompactPolicy {
    fn default() -> Self {
        Self {
            small_bytes: 32 << 20,
            target_bytes: 64 << 20,
            target_rows: 1_000_000,
            open_files: 16,
        }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CompactReport {
    /// Partitions that were changed.
    pub partitions: u64,
    /// Files that were replaced.
    pub files_before: u64,
    /// Files that took their place.
    pub files_after: u64,
    /// Rows that were written anew.
    pub rows: u64,
}

/// How long streams are kept.
#[derive(Debug, Clone, Default)]
pub struct RetentionPolicy {
    /// Days for streams without a rule; `None` keeps them.
    pub default_days: Option<u32>,
    /// Days by stream; a rule holds for the stream and, when it has one segment, for all streams that
    /// start with it (`sealwright` for `sealwright.usage`). The longest match wins.
    pub streams: BTreeMap<String, u32>,
}

impl RetentionPolicy {
    /// The days for a stream; `None` when it is kept for ever.
    pub fn days(&self, stream: &str) -> Option<u32> {
        let family = stream.split('.').next().unwrap_or(stream);
        self.streams
            .get(stream)
            .or_else(|| self.streams.get(family))
            .copied()
            .or(self.default_days)
    }
}

/// What retention did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetentionReport {
    /// Partitions past their time.
    pub partitions: Vec<RetiredPartition>,
    /// Rows that went.
    pub rows_removed: u64,
    /// Rows past their time that were kept because a legal hold covers them.
    pub rows_held: u64,
    /// Whether anything was removed; false for a plan.
    pub applied: bool,
}

/// A partition past its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RetiredPartition {
    /// The stream.
    pub stream: String,
    /// The UTC day, `2026-11-23`.
    pub day: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// What a vacuum removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct VacuumReport {
    /// Data files that no state of a reader needs: replaced, removed or never committed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Further ones that a later vacuum removes: in a bucket they stay for a time, because readers and writers on
    /// other machines are not seen.
    pub waiting: u64,
}

/// What a log clean-up removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogReport {
    /// The version of the checkpoint that stands for everything before it.
    pub checkpoint: u64,
    /// Commits and older checkpoints that were removed.
    pub files: u64,
}

/// What one round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MaintenanceReport {
    /// Joined files.
    pub compact: CompactReport,
    /// Removed files; absent when readers of older states were still at work, so that the next round
    /// removes them.
    pub vacuum: Option<VacuumReport>,
    /// The log's clean-up.
    pub log: LogReport,
}

/// How long a vacuum waits for readers of older states by default: longer than any query may run.
pub const READER_PATIENCE: Duration = Duration::from_secs(crate::query::LONGEST_QUERY_SECONDS + 5);

impl Lake {
    /// One round of what keeps the lake quick: compaction, vacuum, checkpoint and log clean-up. Meant for
    /// a job that runs every few minutes; a round with nothing to do costs a checkpoint.
    ///
    /// # Errors
    /// As [`Lake::compact`].
    pub async fn maintain(
        &self,
        now: UnixMicros,
        policy: CompactPolicy,
    ) -> Result<MaintenanceReport> {
        let compact = self.compact(now, policy).await?;
        let vacuum = match self.vacuum(READER_PATIENCE).await {
            Ok(report) => Some(report),
            Err(LakeError::Readers { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(MaintenanceReport {
            compact,
            vacuum,
            log: self.clean_log().await?,
        })
    }

    /// Joins small files of each partition. The rows stay the same. Other engines and running queries
    /// are not disturbed: the old files stay until a vacuum.
    ///
    /// Memory: the rows of one new file, up to `target_rows`.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] names the file that cannot be read; partitions before it stay compacted.
    pub async fn compact(&self, now: UnixMicros, policy: CompactPolicy) -> Result<CompactReport> {
        let _owner = self.own_maintenance().await?;
        let today = day_of(now);
        let mut report = CompactReport::default();
        for group in partitions(&self.snapshot().files) {
            let small: Vec<&DataFile> = group
                .iter()
                .filter(|f| f.bytes < policy.small_bytes)
                .collect();
            let open = group.first().is_some_and(|f| f.day >= today);
            let enough = if open { policy.open_files.max(2) } else { 2 };
            if small.len() < enough {
                continue;
            }
            let mut changed = false;
            for bin in bins(small, policy) {
                let (old, made) = {
                    let table = self.files().clone();
                    blocking(move || {
                        let made = rewrite(&table, &bin, None)?;
                        Ok((bin, made))
                    })
                    .await?
                };
                let new: Vec<DataFile> = made.file.into_iter().collect();
                self.replace_or_remove(&old, &new, false).await?;
                changed = true;
                report.files_before += old.len() as u64;
                report.files_after += new.len() as u64;
                report.rows += made.rows_before;
            }
            report.partitions += u64::from(changed);
        }
        Ok(report)
    }

    /// Removes the days that are past their stream's time, in whole days: a day goes when it ended more
    /// than the stream's days ago. With `apply` false it only says what would go. The files
    /// themselves go with the next vacuum. `holds` is asked before, and again at each commit; what it
    /// names stays.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] names the file that cannot be read; [`LakeError::HoldsUnknown`] and
    /// [`LakeError::Held`] when it is not certain what may go: then no more goes.
    pub async fn retain(
        &self,
        now: UnixMicros,
        policy: &RetentionPolicy,
        holds: &dyn HoldRegister,
        apply: bool,
    ) -> Result<RetentionReport> {
        let _owner = self.own_maintenance().await?;
        let held = Held::ask(holds).await?;
        let today = day_of(now);
        let mut report = RetentionReport {
            applied: apply,
            ..Default::default()
        };
        for group in partitions(&self.snapshot().files) {
            let Some(first) = group.first() else { continue };
            let Some(days) = policy.days(&first.stream) else {
                continue;
            };
            if i64::from(today) - i64::from(first.day) <= i64::from(days) {
                continue;
            }
            report.partitions.push(RetiredPartition {
                stream: first.stream.clone(),
                day: day_text(first.day),
                rows: group.iter().map(|f| f.rows).sum(),
                bytes: group.iter().map(|f| f.bytes).sum(),
            });
            let (touched, free): (Vec<_>, Vec<_>) =
                group.iter().cloned().partition(|file| held.may_touch(file));
            let removed: u64 = free.iter().map(|f| f.rows).sum();
            if apply && !free.is_empty() {
                let _certain = held.still(holds).await?;
                self.replace(&free, &[], true).await?;
            }
            report.rows_removed += removed;
            for file in touched {
                let table = self.files().clone();
                let by = held.clone();
                let (old, kept) = blocking(move || {
                    let count = count_held(&table, &file, &by)?;
                    Ok((file, count))
                })
                .await?;
                report.rows_held += kept;
                report.rows_removed += old.rows - kept;
                if apply && kept < old.rows {
                    self.keep_held(old, &held, holds).await?;
                }
            }
        }
        Ok(report)
    }

    async fn keep_held(&self, file: DataFile, held: &Held, holds: &dyn HoldRegister) -> Result<()> {
        let by = held.clone();
        let table = self.files().clone();
        let (old, made) = blocking(move || {
            let old = [file];
            let made = rewrite(
                &table,
                &old,
                Some(&|batch| Ok(by.rows(batch, Held::COLUMNS))),
            )?;
            Ok((old, made))
        })
        .await?;
        let new: Vec<DataFile> = made.file.into_iter().collect();
        let certain = held.still(holds).await;
        if certain.is_err() {
            self.files().forget(&new);
        }
        let _certain = certain?;
        self.replace_or_remove(&old, &new, true).await
    }

    /// As `replace`; the new files are taken away again when the commit fails.
    pub(crate) async fn replace_or_remove(
        &self,
        old: &[DataFile],
        new: &[DataFile],
        changes_data: bool,
    ) -> Result<()> {
        let done = self.replace(old, new, changes_data).await;
        if done.is_err() {
            self.files().forget(new);
        }
        done
    }

    /// Removes the data files that belong to no state: replaced ones, and those that a crash left
    /// behind before their commit. Readers of older states are waited for, at most `patience`; new
    /// readers do not hold it up.
    ///
    /// # Errors
    /// [`LakeError::Readers`] when readers of older states did not end in time; nothing was removed.
    pub async fn vacuum(&self, patience: Duration) -> Result<VacuumReport> {
        let _owner = self.own_maintenance().await?;
        self.vacuum_owned(patience).await
    }

    /// As [`Self::vacuum`], until there is no such file any more: a bucket's vacuum leaves those that must wait.
    pub(crate) async fn vacuum_all(&self, patience: Duration) -> Result<VacuumReport> {
        let start = Instant::now();
        let mut all = VacuumReport::default();
        loop {
            let left = patience.saturating_sub(start.elapsed());
            let (done, readers) = match self.vacuum_owned(left).await {
                Ok(done) => (done, None),
                // A folder's readers have been waited for already.
                Err(LakeError::Readers { readers }) if self.bucket_times().is_some() => {
                    (VacuumReport::default(), Some(readers))
                }
                Err(error) => return Err(error),
            };
            all.files += done.files;
            all.bytes += done.bytes;
            if done.waiting == 0 && readers.is_none() {
                return Ok(all);
            }
            if start.elapsed() >= patience {
                return Err(match readers {
                    Some(readers) => LakeError::Readers { readers },
                    None => LakeError::Waiting {
                        files: done.waiting,
                    },
                });
            }
            let step = patience.saturating_sub(start.elapsed());
            tokio::time::sleep(step.min(Duration::from_secs(1))).await;
        }
    }

    pub(crate) async fn vacuum_owned(&self, patience: Duration) -> Result<VacuumReport> {
        if let (Some(cache), Some(times)) = (self.files().cache(), self.bucket_times()) {
            // What another process has committed meanwhile is not abandoned.
            self.refresh().await?;
            let snapshot = self.snapshot();
            let active = snapshot.files.iter().map(|f| f.path.as_str()).collect();
            let mut absent = self.absent().await;
            return absent
                .vacuum(cache, times, self.now(), snapshot.version, &active)
                .await;
        }
        let (version, candidates) = {
            // No commit is under way, so a file is either active or nobody's.
            let _guard = self.hold_commits().await;
            let snapshot = self.snapshot();
            let table = self.files().clone();
            let terms = self.terms_folder();
            let active = Arc::clone(&snapshot);
            let candidates = blocking(move || {
                let active: BTreeSet<&str> = active.files.iter().map(|f| f.path.as_str()).collect();
                let mut found = Vec::new();
                walk(table.folder(), table.folder(), &active, &mut found)?;
                orphans(&terms, &active, &mut found)?;
                Ok(found)
            })
            .await?;
            (snapshot.version, candidates)
        };
        let mut report = VacuumReport::default();
        if candidates.is_empty() {
            return Ok(report);
        }
        let start = Instant::now();
        loop {
            let readers = readers::older_than(&self.readers_folder(), version)?;
            if readers == 0 {
                break;
            }
            if start.elapsed() >= patience {
                return Err(LakeError::Readers { readers });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for (path, bytes) in candidates {
            match fs::remove_file(&path) {
                Ok(()) => {
                    report.files += 1;
                    report.bytes += bytes;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(LakeError::file(&path, error)),
            }
        }
        Ok(report)
    }

    /// Writes a checkpoint of the present state and removes the commits and checkpoints before it.
    ///
    /// # Errors
    /// When the log's folder cannot be read or written.
    pub async fn clean_log(&self) -> Result<LogReport> {
        let _owner = self.own_maintenance().await?;
        self.clean_log_owned().await
    }

    pub(crate) async fn clean_log_owned(&self) -> Result<LogReport> {
        // A commit during the clean-up would look for the commits before it.
        let _guard = self.hold_commits().await;
        let version = self.checkpoint().await?;
        let files = self.log().clean(version, self.now()).await?;
        // The state in memory refers to the files that went.
        self.reload().await?;
        Ok(LogReport {
            checkpoint: version,
            files,
        })
    }
}

/// The files of each partition; `files` are in the order of partitions.
pub(crate) fn partitions(files: &[DataFile]) -> Vec<Vec<DataFile>> {
    files
        .chunk_by(|a, b| a.day == b.day && a.stream == b.stream)
        .map(<[DataFile]>::to_vec)
        .collect()
}

fn bins(mut small: Vec<&DataFile>, policy: CompactPolicy) -> Vec<Vec<DataFile>> {
    small.sort_by_key(|f| f.offsets.as_ref().map(|r| r.min));
    let mut bins: Vec<Vec<DataFile>> = Vec::new();
    let (mut bytes, mut rows) = (0, 0);
    for file in small {
        let full =
            bytes + file.bytes > policy.target_bytes || rows + file.rows > policy.target_rows;
        match bins.last_mut() {
            Some(bin) if !full => bin.push(file.clone()),
            _ => {
                (bytes, rows) = (0, 0);
                bins.push(vec![file.clone()]);
            }
        }
        bytes += file.bytes;
        rows += file.rows;
    }
    bins.retain(|bin| bin.len() > 1);
    bins
}

fn count_held(table: &TableFiles, file: &DataFile, held: &Held) -> Result<u64> {
    let mut kept = 0;
    crate::rewrite::read_batches(table, file, Some(&Held::COLUMNS), |batch| {
        kept += held.rows(&batch, [0, 1, 2]).true_count() as u64;
        Ok(())
    })?;
    Ok(kept)
}

/// Indexes, also unfinished ones, of files that are not active.
fn orphans(terms: &Path, active: &BTreeSet<&str>, found: &mut Vec<(PathBuf, u64)>) -> Result<()> {
    let entries = match fs::read_dir(terms) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LakeError::file(terms, error)),
    };
    let wanted: BTreeSet<PathBuf> = active.iter().map(|file| path_of(terms, file)).collect();
    for entry in entries {
        let entry = entry.map_err(|e| LakeError::file(terms, e))?;
        if !wanted.contains(&entry.path()) {
            let bytes = entry.metadata().map(|m| m.len()).unwrap_or(0);
            found.push((entry.path(), bytes));
        }
    }
    Ok(())
}

/// Collects the files under `folder` that are not active, the table's log excepted.
pub(crate) fn walk(
    table: &Path,
    folder: &Path,
    active: &BTreeSet<&str>,
    found: &mut Vec<(PathBuf, u64)>,
) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| LakeError::file(folder, e))? {
        let entry = entry.map_err(|e| LakeError::file(folder, e))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| LakeError::file(&path, e))?;
        if kind.is_dir() {
            if path.file_name().is_none_or(|n| n != "_delta_log") {
                walk(table, &path, active, found)?;
                // Only an empty folder can be removed this way.
                let _ = fs::remove_dir(&path);
            }
            continue;
        }
        let relative = path.strip_prefix(table).unwrap_or(&path).to_string_lossy();
        if !active.contains(relative.as_ref()) {
            let bytes = entry.metadata().map(|m| m.len()).unwrap_or(0);
            found.push((path, bytes));
        }
    }
    Ok(())
}
