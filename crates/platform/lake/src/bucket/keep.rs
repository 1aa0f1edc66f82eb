//! What may be removed from the bucket, and when.
//!
//! Readers on other machines are not seen one by one, and neither is another writer that has put files and not
//! yet committed them. So removal waits: for longer than a query may run after a file was removed from the
//! table, and for longer than a commit may take after one was put that no commit names.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sealwright_core::UnixMicros;

use super::{Bucket, BucketTimes, Cache, Seen, TABLE, data_name};
use crate::error::{LakeError, Result};
use crate::maintain::VacuumReport;

/// Data files that are not active, and since when this process knows.
#[derive(Debug, Default)]
pub(crate) struct Absent {
    files: HashMap<String, Missing>,
    readers: Seen,
}

#[derive(Debug, Clone, Copy)]
struct Missing {
    since: Instant,
    /// A commit of this process removed it: it is not one that waits for its commit.
    removed: bool,
}

impl Absent {
    /// A commit removed these.
    pub(crate) fn removed<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        let missing = Missing {
            since: Instant::now(),
            removed: true,
        };
        self.files
            .extend(paths.map(|path| (path.to_owned(), missing)));
    }

    /// Removes what may go of the data files that are not active, and says how many must wait.
    pub(crate) async fn vacuum(
        &mut self,
        cache: &Cache,
        times: BucketTimes,
        now: UnixMicros,
        version: u64,
        active: &BTreeSet<&str>,
    ) -> Result<VacuumReport> {
        let bucket = cache.bucket();
        let mut report = VacuumReport::default();
        let mut found = HashMap::new();
        let mut due = Vec::new();
        for object in bucket.list(TABLE).await? {
            let Some(path) = bucket.path_of(&object.location) else {
                continue;
            };
            if path.starts_with("_delta_log/") || active.contains(path.as_str()) {
                continue;
            }
            let missing = self.files.get(&path).copied().unwrap_or(Missing {
                since: Instant::now(),
                removed: false,
            });
            let committed = missing.removed || is_old(&object, times.abandoned, now);
            if committed && missing.since.elapsed() >= times.grace {
                due.push((path.clone(), object.size));
            } else {
                report.waiting += 1;
            }
            found.insert(path, missing);
        }
        // What is not listed any more is gone.
        self.files = found;
        if due.is_empty() {
            return Ok(report);
        }
        let readers = self.readers.older_than(bucket, version).await?;
        if readers > 0 {
            return Err(LakeError::Readers { readers });
        }
        for (path, bytes) in due {
            bucket.delete(&data_name(&path)).await?;
            cache.forget(&path);
            self.files.remove(&path);
            report.files += 1;
            report.bytes += bytes;
        }
        Ok(report)
    }
}

fn is_old(object: &object_store::ObjectMeta, age: Duration, now: UnixMicros) -> bool {
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let put = object.last_modified.timestamp_micros();
    age == 0 || put.saturating_add(age) <= now.0
}

/// A file of the table's log: its name, its version, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    /// Within the lake: `events/_delta_log/….json`.
    pub(crate) name: String,
    pub(crate) version: u64,
    /// `json` or `checkpoint.parquet`.
    pub(crate) kind: String,
    old: bool,
}

impl Bucket {
    /// The path of a data file, from its full name in the bucket.
    fn path_of(&self, location: &object_store::path::Path) -> Option<String> {
        // The store of the prefix gives names without it.
        let name = location.as_ref().strip_prefix(TABLE)?;
        Some(name.strip_prefix('/')?.to_owned())
    }

    /// The files of the table's log that have a version.
    pub(crate) async fn log_files(
        &self,
        abandoned: Duration,
        now: UnixMicros,
    ) -> Result<Vec<LogFile>> {
        let mut files = Vec::new();
        for object in self.list(&format!("{TABLE}/_delta_log")).await? {
            let name = object.location.filename().unwrap_or_default();
            let Some((digits, kind)) = name.split_once('.') else {
                continue;
            };
            let Ok(version) = digits.parse() else {
                continue;
            };
            files.push(LogFile {
                name: format!("{TABLE}/_delta_log/{name}"),
                version,
                kind: kind.to_owned(),
                old: is_old(&object, abandoned, now),
            });
        }
        Ok(files)
    }

    /// Removes commits and checkpoints before `version`. Young ones stay: a writer that was held up for long
    /// could otherwise make a commit a second time that is long past, and take it for done.
    pub(crate) async fn clean_log(
        &self,
        version: u64,
        abandoned: Duration,
        now: UnixMicros,
    ) -> Result<u64> {
        let mut removed = 0;
        for file in self.log_files(abandoned, now).await? {
            if file.version < version && file.old {
                self.delete(&file.name).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
