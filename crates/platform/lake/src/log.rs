//! The table's log: where it is, how it begins, and what of it is kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake::DeltaTableBuilder;
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use sealwright_core::UnixMicros;

use crate::bucket::{Bucket, BucketTimes};
use crate::encode::sync_folder;
use crate::error::{LakeError, Result};
use crate::schema::{STATISTICS, delta_columns};

/// How many commits may lie between checkpoints. A checkpoint saves the next opening from reading
/// each commit by itself.
pub(crate) const CHECKPOINT_EVERY: u64 = 100;

/// Names in the lake's folder, and contents.
pub(crate) type LogFiles = Vec<(String, Vec<u8>)>;

/// Where the table's log is.
#[derive(Debug, Clone)]
pub(crate) enum LogPlace {
    /// In this table's folder.
    Folder(PathBuf),
    /// In this bucket.
    Bucket(Arc<Bucket>, BucketTimes),
}

impl LogPlace {
    /// What reads and writes commits.
    pub(crate) fn store(&self) -> Result<LogStoreRef> {
        match self {
            Self::Folder(table) => {
                let full = fs::canonicalize(table).map_err(|e| LakeError::file(table, e))?;
                let url = deltalake::ensure_table_uri(full.to_string_lossy())?;
                Ok(DeltaTableBuilder::from_url(url)?.build_storage()?)
            }
            Self::Bucket(bucket, _) => Ok(bucket.log_store()),
        }
    }

    /// Whether there is a table.
    pub(crate) async fn has_commits(&self) -> Result<bool> {
        match self {
            Self::Folder(table) => Ok(fs::read_dir(table.join("_delta_log"))
                .is_ok_and(|mut entries| entries.next().is_some())),
            Self::Bucket(bucket, _) => Ok(!bucket.list("events/_delta_log").await?.is_empty()),
        }
    }

    /// What the writer does first: takes torn commits away, and makes a table where there is none.
    pub(crate) async fn prepare(&self) -> Result<()> {
        if let Self::Folder(table) = self {
            let log = table.join("_delta_log");
            if log.is_dir() {
                remove_torn_commits(&log)?;
            }
        }
        if self.has_commits().await? {
            return Ok(());
        }
        match self.create().await {
            // Another process may have made it at the same moment.
            Err(_) if matches!(self, Self::Bucket(..)) && self.has_commits().await? => Ok(()),
            created => created,
        }
    }

    async fn create(&self) -> Result<()> {
        if let Self::Folder(table) = self {
            fs::create_dir_all(table).map_err(|e| LakeError::file(table, e))?;
        }
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
                .with_log_store(self.store()?)
                .with_table_name("events")
                .with_comment("Events, by stream and UTC day of their time")
                .with_columns(delta_columns())
                .with_partition_columns(["stream", "day"])
                .with_configuration(configuration.map(|(key, value)| (key.to_owned(), Some(value))))
                .into_future(),
        )
        .await?;
        self.sync_commit(0)?;
        match self {
            Self::Folder(table) => sync_folder(table),
            Self::Bucket(..) => Ok(()),
        }
    }

    /// Makes a commit durable; in a bucket it is.
    pub(crate) fn sync_commit(&self, version: u64) -> Result<()> {
        let Self::Folder(table) = self else {
            return Ok(());
        };
        let log = table.join("_delta_log");
        let path = log.join(format!("{version:020}.json"));
        File::open(&path)
            .and_then(|f| f.sync_all())
            .map_err(|e| LakeError::file(&path, e))?;
        sync_folder(&log)
    }

    /// Makes a new checkpoint durable.
    pub(crate) fn sync_checkpoint(&self) -> Result<()> {
        match self {
            Self::Folder(table) => sync_folder(&table.join("_delta_log")),
            Self::Bucket(..) => Ok(()),
        }
    }

    /// Removes what a checkpoint of `version` stands for; how many files that were.
    pub(crate) async fn clean(&self, version: u64, now: UnixMicros) -> Result<u64> {
        let table = match self {
            Self::Folder(table) => table,
            Self::Bucket(bucket, times) => {
                return bucket.clean_log(version, times.abandoned, now).await;
            }
        };
        let log = table.join("_delta_log");
        let mut files = 0;
        for entry in fs::read_dir(&log).map_err(|e| LakeError::file(&log, e))? {
            let path = entry.map_err(|e| LakeError::file(&log, e))?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let before = name
                .split('.')
                .next()
                .and_then(|digits| digits.parse::<u64>().ok())
                .is_some_and(|v| v < version);
            // A commit that was interrupted leaves its staging file (`….json#1`).
            let staging = name.contains('#');
            if before || staging {
                fs::remove_file(&path).map_err(|e| LakeError::file(&path, e))?;
                files += 1;
            }
        }
        Ok(files)
    }

    /// What of the log makes the state `version`: the newest checkpoint and the commits behind it. `None`
    /// when a part of it is not there.
    pub(crate) async fn upto(&self, version: u64, now: UnixMicros) -> Result<Option<LogFiles>> {
        match self {
            Self::Folder(table) => folder_upto(&table.join("_delta_log"), version),
            Self::Bucket(bucket, times) => {
                let files = bucket.log_files(times.abandoned, now).await?;
                let named = files.into_iter().map(|f| (f.version, f.kind, f.name));
                let Some(parts) = leading_to(version, named) else {
                    return Ok(None);
                };
                let mut contents = Vec::with_capacity(parts.len());
                for name in parts {
                    let Some((bytes, _)) = bucket.get(&name).await? else {
                        return Ok(None);
                    };
                    contents.push((name, bytes.to_vec()));
                }
                Ok(Some(contents))
            }
        }
    }

    /// Names the file of the log that cannot be read: the table format's own errors name none.
    pub(crate) fn damaged(&self, error: deltalake::DeltaTableError) -> LakeError {
        let table = match self {
            Self::Folder(table) => table,
            // A store that does not answer says nothing about the log.
            Self::Bucket(bucket, _) => match &error {
                deltalake::DeltaTableError::ObjectStore { source } => {
                    return bucket.failed("events/_delta_log", source);
                }
                other => {
                    return LakeError::Bucket {
                        place: format!("{}/events/_delta_log", bucket.url()),
                        detail: other.to_string(),
                    };
                }
            },
        };
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
}

/// Of the files of a log (version, kind, and how to find it), those that lead to `version`, in order.
fn leading_to<T>(version: u64, files: impl Iterator<Item = (u64, String, T)>) -> Option<Vec<T>> {
    let (mut commits, mut checkpoints) = (BTreeMap::new(), BTreeMap::new());
    for (number, kind, file) in files {
        match kind.as_str() {
            "json" if number <= version => commits.insert(number, file),
            "checkpoint.parquet" if number <= version => checkpoints.insert(number, file),
            _ => None,
        };
    }
    let (begin, checkpoint) = match checkpoints.pop_last() {
        Some((number, checkpoint)) => (number + 1, Some(checkpoint)),
        None => (0, None),
    };
    let mut parts = Vec::from_iter(checkpoint);
    // The commit that the checkpoint stands for: nobody needs it to read, and the next commit is looked for behind it.
    parts.extend(begin.checked_sub(1).and_then(|at| commits.remove(&at)));
    for number in begin..=version {
        parts.push(commits.remove(&number)?);
    }
    Some(parts)
}

fn folder_upto(log: &Path, version: u64) -> Result<Option<LogFiles>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(log).map_err(|e| LakeError::file(log, e))? {
        let path = entry.map_err(|e| LakeError::file(log, e))?.path();
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let Some((digits, kind)) = name.split_once('.') else {
            continue;
        };
        if let Ok(number) = digits.parse::<u64>() {
            found.push((number, kind.to_owned(), (name.clone(), path)));
        }
    }
    let Some(parts) = leading_to(version, found.into_iter()) else {
        return Ok(None);
    };
    let mut contents = Vec::with_capacity(parts.len());
    for (name, path) in parts {
        match fs::read(&path) {
            Ok(bytes) => contents.push((format!("events/_delta_log/{name}"), bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LakeError::file(&path, error)),
        }
    }
    Ok(Some(contents))
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
