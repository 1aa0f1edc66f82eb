//! Data files of the bucket that are kept in a folder of this process.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::runtime::Handle;

use super::{Bucket, data_name};
use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::index::path_of;

/// Requests for data files that are under way at a time.
const AT_A_TIME: usize = 4;
/// So long the length of a file that is no longer active is known, for readers of older states.
const REMEMBERED: Duration = Duration::from_secs(900);

/// What is kept, and what is known.
#[derive(Debug, Default)]
struct Kept {
    /// Bytes and last use.
    files: HashMap<String, (u64, u64)>,
    bytes: u64,
    /// Counts uses.
    tick: u64,
    /// Lengths of data files, and since when one is no longer active.
    lengths: HashMap<String, (u64, Option<Instant>)>,
}

/// Whose the folder is.
#[derive(Debug)]
enum Home {
    /// This process's, as long as it has the lock.
    Own { _lock: File },
    /// Another process has it: this one keeps its files in a folder that goes with it.
    Beside { folder: PathBuf },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache {
    bucket: Arc<Bucket>,
    /// Data files stand here as they do in the table.
    folder: PathBuf,
    /// What is being fetched.
    fetched: PathBuf,
    /// Indexes of terms, which go with their data files.
    terms: PathBuf,
    home: Home,
    holder: String,
    limit: u64,
    runtime: Handle,
    kept: Mutex<Kept>,
    /// A file is fetched once, whoever asks for it meanwhile.
    one_each: [tokio::sync::Mutex<()>; 16],
}

impl Cache {
    /// The cache in the lake's folder `lake`, or one beside it while another process has that.
    pub(crate) fn open(lake: &Path, bucket: Arc<Bucket>, limit: u64) -> Result<Self> {
        // Beside a table that was in the folder before it was moved to the bucket, and not in its place.
        let cache = lake.join("cache");
        fs::create_dir_all(&cache).map_err(|e| LakeError::file(&cache, e))?;
        let beside = cache.join("beside");
        let path = cache.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| LakeError::file(&path, e))?;
        let (home, place, holder) = match lock.try_lock() {
            Ok(()) => {
                // What processes left that were killed.
                let _ = fs::remove_dir_all(&beside);
                let _ = fs::remove_dir_all(cache.join("fetched"));
                let holder = holder(&cache)?;
                (Home::Own { _lock: lock }, cache, holder)
            }
            Err(TryLockError::WouldBlock) => {
                let name = uuid::Uuid::now_v7().simple().to_string();
                let folder = beside.join(&name);
                let home = Home::Beside {
                    folder: folder.clone(),
                };
                (home, folder, name)
            }
            Err(TryLockError::Error(error)) => return Err(LakeError::file(&path, error)),
        };
        let (folder, fetched) = (place.join("events"), place.join("fetched"));
        for folder in [&folder, &fetched] {
            fs::create_dir_all(folder).map_err(|e| LakeError::file(folder, e))?;
        }
        Ok(Self {
            bucket,
            folder,
            fetched,
            terms: lake.join("terms"),
            home,
            holder,
            limit,
            runtime: Handle::current(),
            kept: Mutex::default(),
            one_each: Default::default(),
        })
    }

    /// Where data files are kept, and written before they are put.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A name that no other living process has.
    pub(crate) fn holder(&self) -> &str {
        &self.holder
    }

    pub(crate) fn bucket(&self) -> &Arc<Bucket> {
        &self.bucket
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what an earlier process has kept, but for what is no longer active, and what was written and never
    /// committed.
    pub(crate) fn adopt(&self, active: &[DataFile]) -> Result<()> {
        self.know(active);
        if matches!(self.home, Home::Beside { .. }) {
            return Ok(());
        }
        let lengths: HashMap<&str, u64> =
            active.iter().map(|f| (f.path.as_str(), f.bytes)).collect();
        let mut found = Vec::new();
        crate::maintain::walk(&self.folder, &self.folder, &BTreeSet::new(), &mut found)?;
        for (path, bytes) in found {
            let relative = path.strip_prefix(&self.folder).unwrap_or(&path);
            let relative = relative.to_string_lossy();
            if lengths.get(relative.as_ref()) == Some(&bytes) {
                self.admit(&relative, bytes);
            } else {
                fs::remove_file(&path).map_err(|e| LakeError::file(&path, e))?;
            }
        }
        // No index is being made yet: what is unfinished was left by a crash.
        self.drop_terms(active, true);
        Ok(())
    }

    /// The active files are these: others leave the cache.
    pub(crate) fn follow(&self, active: &[DataFile]) {
        let gone = self.know(active);
        for path in gone {
            self.forget(&path);
        }
        if matches!(self.home, Home::Own { .. }) {
            self.drop_terms(active, false);
        }
    }

    /// Notes the lengths of the active files. The kept files that are not active.
    fn know(&self, active: &[DataFile]) -> Vec<String> {
        let mut kept = self.kept();
        let now = Instant::now();
        for (_, since) in kept.lengths.values_mut() {
            since.get_or_insert(now);
        }
        for file in active {
            kept.lengths.insert(file.path.clone(), (file.bytes, None));
        }
        kept.lengths
            .retain(|_, (_, since)| since.is_none_or(|s| s.elapsed() < REMEMBERED));
        let Kept { files, lengths, .. } = &*kept;
        files
            .keys()
            .filter(|path| lengths.get(*path).is_none_or(|(_, since)| since.is_some()))
            .cloned()
            .collect()
    }

    /// An index says what a data file held: it goes with it.
    fn drop_terms(&self, active: &[DataFile], unfinished: bool) {
        let Ok(entries) = fs::read_dir(&self.terms) else {
            return;
        };
        let wanted: BTreeSet<PathBuf> = active
            .iter()
            .map(|file| path_of(&self.terms, &file.path))
            .collect();
        for path in entries.flatten().map(|entry| entry.path()) {
            let finished = path.extension().is_some_and(|e| e == "terms");
            if (finished || unfinished) && !wanted.contains(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// The length of a data file of the present state or a late one.
    pub(crate) fn length_of(&self, path: &str) -> Option<u64> {
        self.kept().lengths.get(path).map(|(bytes, _)| *bytes)
    }

    /// A data file, opened: from here on it can be read whatever leaves the cache. For threads that may wait.
    pub(crate) fn wait_for(&self, path: &str, bytes: u64) -> Result<File> {
        match self.local(path, bytes) {
            Some(file) => Ok(file),
            None => self.runtime.block_on(self.file(path, bytes)),
        }
    }

    /// A data file, opened.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when it is not in the bucket, or of another length than the table's log says.
    pub(crate) async fn file(&self, path: &str, bytes: u64) -> Result<File> {
        if let Some(file) = self.local(path, bytes) {
            return Ok(file);
        }
        let at = BuildHasherDefault::<DefaultHasher>::default().hash_one(path);
        let at = usize::try_from(at % self.one_each.len() as u64).unwrap_or(0);
        let _one = self.one_each[at].lock().await;
        if let Some(file) = self.local(path, bytes) {
            return Ok(file);
        }
        self.fetch(path, bytes).await
    }

    fn local(&self, path: &str, bytes: u64) -> Option<File> {
        let file = File::open(self.folder.join(path)).ok()?;
        // One that was cut off by a crash is fetched again.
        if file.metadata().ok()?.len() != bytes {
            return None;
        }
        let mut kept = self.kept();
        kept.tick += 1;
        let tick = kept.tick;
        if let Some((_, used)) = kept.files.get_mut(path) {
            *used = tick;
        }
        Some(file)
    }

    async fn fetch(&self, path: &str, bytes: u64) -> Result<File> {
        let damaged = |detail: String| LakeError::Damaged {
            file: data_name(path),
            detail,
        };
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => {
                damaged(format!("the file is missing in {}", self.bucket.url()))
            }
            error => self.bucket.failed(&data_name(path), &error),
        };
        let start = Instant::now();
        let found = self.bucket.data(path).await.map_err(failed)?;
        let long = |length: u64| {
            damaged(format!(
                "it has {length} bytes in {}, and the table's log says {bytes}",
                self.bucket.url()
            ))
        };
        if found.meta.size != bytes {
            return Err(long(found.meta.size));
        }
        let part = self.fetched.join(uuid::Uuid::now_v7().simple().to_string());
        let written = self.write(&part, found.into_stream()).await;
        let length = match written {
            Ok(length) => length,
            Err(error) => {
                let _ = fs::remove_file(&part);
                return Err(error.unwrap_or_else(failed));
            }
        };
        if length != bytes {
            let _ = fs::remove_file(&part);
            return Err(long(length));
        }
        let full = self.folder.join(path);
        let place = |error| LakeError::file(&full, error);
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).map_err(place)?;
        }
        fs::rename(&part, &full).map_err(place)?;
        let file = File::open(&full).map_err(place)?;
        self.admit(path, bytes);
        metrics::counter!("sealwright_lake_fetched_files_total").increment(1);
        metrics::counter!("sealwright_lake_fetched_bytes_total").increment(bytes);
        tracing::debug!(
            file = path,
            bytes,
            seconds = start.elapsed().as_secs_f64(),
            "fetched"
        );
        Ok(file)
    }

    /// Durably: a power cut must not leave zeros of the right length. The bytes that were written.
    async fn write(
        &self,
        part: &Path,
        mut from: futures::stream::BoxStream<'static, object_store::Result<Bytes>>,
    ) -> Result<u64, Failed> {
        let local = |error| Failed::Here(LakeError::file(part, error));
        let mut file = File::create_new(part).map_err(local)?;
        let mut length = 0;
        while let Some(bytes) = from.next().await {
            let bytes = bytes.map_err(Failed::There)?;
            length += bytes.len() as u64;
            file.write_all(&bytes).map_err(local)?;
        }
        file.sync_all().map_err(local)?;
        Ok(length)
    }

    /// Puts files that were written here into the bucket.
    pub(crate) async fn put(&self, files: &[DataFile]) -> Result<()> {
        futures::stream::iter(files.iter().map(Ok))
            .try_for_each_concurrent(AT_A_TIME, |file| async move {
                let full = self.folder.join(&file.path);
                let bytes = tokio::task::spawn_blocking(move || {
                    fs::read(&full).map_err(|e| LakeError::file(&full, e))
                })
                .await
                .map_err(|e| LakeError::Table(e.to_string()))??;
                self.bucket.put(&data_name(&file.path), bytes).await?;
                self.kept()
                    .lengths
                    .insert(file.path.clone(), (file.bytes, None));
                self.admit(&file.path, file.bytes);
                Ok(())
            })
            .await
    }

    /// Keeps one more file; those that were not used for the longest time go when there are too many.
    fn admit(&self, path: &str, bytes: u64) {
        let mut kept = self.kept();
        kept.tick += 1;
        let tick = kept.tick;
        if let Some((before, _)) = kept.files.insert(path.to_owned(), (bytes, tick)) {
            kept.bytes -= before;
        }
        kept.bytes += bytes;
        while kept.bytes > self.limit && kept.files.len() > 1 {
            let least = kept.files.iter().min_by_key(|(_, (_, used))| *used);
            let Some((least, bytes)) = least.map(|(path, (bytes, _))| (path.clone(), *bytes))
            else {
                break;
            };
            kept.files.remove(&least);
            kept.bytes -= bytes;
            let _ = fs::remove_file(self.folder.join(&least));
        }
        metrics::gauge!("sealwright_lake_cache_bytes").set(kept.bytes as f64);
    }

    /// Takes a file out of the cache, also one that was not put yet.
    pub(crate) fn forget(&self, path: &str) {
        let mut kept = self.kept();
        if let Some((bytes, _)) = kept.files.remove(path) {
            kept.bytes -= bytes;
        }
        let _ = fs::remove_file(self.folder.join(path));
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Home::Beside { folder } = &self.home {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Which side a copy failed on.
enum Failed {
    Here(LakeError),
    There(object_store::Error),
}

impl Failed {
    fn unwrap_or_else(self, there: impl Fn(object_store::Error) -> LakeError) -> LakeError {
        match self {
            Self::Here(error) => error,
            Self::There(error) => there(error),
        }
    }
}

/// The name of the process that has this folder, whichever it is: one at a time.
fn holder(cache: &Path) -> Result<String> {
    let path = cache.join("holder");
    match fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LakeError::file(&path, error))
        }
        _ => {
            let name = uuid::Uuid::now_v7().simple().to_string();
            fs::write(&path, &name).map_err(|e| LakeError::file(&path, e))?;
            Ok(name)
        }
    }
}
