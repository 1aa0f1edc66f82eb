//! Opening the lake, and being the one process that writes it.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sealwright_core::{Clock, SystemClock};

use crate::bucket::{Bucket, BucketOptions, BucketTimes, Cache, CachedFiles, LakePlace, Lease};
use crate::error::{LakeError, Result};
use crate::log::LogPlace;
use crate::session;
use crate::table::{Lake, Parts};
use crate::table_files::TableFiles;

/// What makes this process the writer.
#[derive(Debug)]
pub(crate) enum Owner {
    /// The operating system's lock in the lake's folder, once it is held.
    Lock(OnceLock<File>),
    /// The record in the bucket.
    Lease(Box<Lease>, BucketTimes),
}

impl Owner {
    pub(crate) fn owns(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.get().is_some(),
            Self::Lease(lease, _) => lease.holds(),
        }
    }
}

impl Lake {
    /// Opens the lake for writing and makes it if it is not there. The operating system's clock stamps its
    /// commits. A lake in a bucket whose writer was killed elsewhere is waited for, as long as a lease is.
    ///
    /// # Errors
    /// [`LakeError::InUse`] when another process writes to it; [`LakeError::Damaged`] with the file
    /// when its log cannot be read; [`LakeError::Bucket`].
    pub async fn open(place: impl Into<LakePlace>) -> Result<Self> {
        Self::open_with(place, Arc::new(SystemClock)).await
    }

    /// As [`Lake::open`], with a given clock.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_with(place: impl Into<LakePlace>, clock: Arc<dyn Clock>) -> Result<Self> {
        let place = place.into();
        if let Some(options) = &place.bucket {
            let lake = Self::load_bucket(&place.folder, options, clock, true).await?;
            lake.wait_to_own().await?;
            return Ok(lake);
        }
        let Some(writer) = lock(&place.folder)? else {
            return Err(LakeError::InUse { path: place.folder });
        };
        log_in(&place.folder).prepare().await?;
        Self::load(&place.folder, clock, Some(writer)).await
    }

    /// Opens a lake that several processes share: for writing when no other process does,
    /// for reading otherwise. [`Lake::try_own`] makes a reader the writer when the writer has gone.
    ///
    /// In a folder the lock is the operating system's on `writer.lock`; the folder's file system must keep such
    /// locks between its machines (NFS 4 does). In a bucket it is a record that the writer puts anew again and
    /// again. Where neither is kept, the table itself still admits no second writer: a commit that another
    /// process made first refuses this one's.
    ///
    /// # Errors
    /// As [`Lake::open`]; [`LakeError::Missing`] when the process that writes has made no table.
    pub async fn open_shared(place: impl Into<LakePlace>, clock: Arc<dyn Clock>) -> Result<Self> {
        const TRIES: usize = 100;
        let place = place.into();
        if let Some(options) = &place.bucket {
            let lake = Self::load_bucket(&place.folder, options, clock, true).await?;
            lake.try_own().await?;
            return Ok(lake);
        }
        let folder = &place.folder;
        if let Some(writer) = lock(folder)? {
            log_in(folder).prepare().await?;
            return Self::load(folder, clock, Some(writer)).await;
        }
        // The writer may just be making the table.
        for _ in 0..TRIES {
            match Self::load(folder, Arc::clone(&clock), None).await {
                Err(_) if !log_in(folder).has_commits().await? => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                opened => return opened,
            }
        }
        Err(LakeError::Missing { path: place.folder })
    }

    /// Opens the lake for reading only, which another process may be writing. Each query
    /// sees the newest state.
    ///
    /// # Errors
    /// [`LakeError::Missing`] when there is none; [`LakeError::Damaged`] when its log cannot be read.
    pub async fn open_read_only(place: impl Into<LakePlace>) -> Result<Self> {
        let place = place.into();
        let clock = Arc::new(SystemClock);
        if let Some(options) = &place.bucket {
            return Self::load_bucket(&place.folder, options, clock, false).await;
        }
        if !place.folder.join("events").join("_delta_log").is_dir() {
            return Err(LakeError::Missing { path: place.folder });
        }
        Self::load(&place.folder, clock, None).await
    }

    async fn load(folder: &Path, clock: Arc<dyn Clock>, writer: Option<File>) -> Result<Self> {
        let log = log_in(folder);
        let files = TableFiles::in_folder(&folder.join("events"));
        let runtime = |files: &TableFiles| session::runtime_in_folder(files.folder());
        let owner = Owner::Lock(writer.map_or_else(OnceLock::new, OnceLock::from));
        Self::of(
            Parts {
                folder: folder.to_owned(),
                files,
                log,
                owner,
                clock,
            },
            runtime,
        )
        .await
    }

    async fn load_bucket(
        folder: &Path,
        options: &BucketOptions,
        clock: Arc<dyn Clock>,
        make: bool,
    ) -> Result<Self> {
        let bucket = Arc::new(Bucket::new(options)?);
        let log = LogPlace::Bucket(Arc::clone(&bucket), options.times);
        if make {
            bucket.probe().await?;
            if folder.join("events/_delta_log").is_dir() && !log.has_commits().await? {
                return Err(LakeError::Bucket {
                    place: bucket.url().to_owned(),
                    detail: format!(
                        "there is no lake in it, and {} holds one; bring that one there with `sealwright lake move`",
                        folder.display()
                    ),
                });
            }
            log.prepare().await?;
        } else if !log.has_commits().await? {
            return Err(LakeError::Missing {
                path: bucket.url().into(),
            });
        }
        let cache = Arc::new(Cache::open(
            folder,
            Arc::clone(&bucket),
            options.cache_bytes,
        )?);
        let holder = cache.holder().to_owned();
        let owner = Owner::Lease(
            Box::new(Lease::new(bucket, holder, options.times.lease)),
            options.times,
        );
        let lake = Self::of(
            Parts {
                folder: folder.to_owned(),
                files: TableFiles::in_bucket(Arc::clone(&cache)),
                log,
                owner,
                clock,
            },
            |_| {
                let files = CachedFiles::new(Arc::clone(&cache));
                session::runtime(Arc::new(
                    files.map_err(|e| LakeError::Table(e.to_string()))?,
                ))
            },
        )
        .await?;
        cache.adopt(&lake.snapshot().files)?;
        lake.keep_lease();
        Ok(lake)
    }

    /// Whether this process is the one that writes, maintains and erases. In a bucket it ends by itself when
    /// the store was not reached for as long as a lease is.
    pub fn owned(&self) -> bool {
        self.owner().owns()
    }

    /// Becomes the writer if no other process is. Whether this process is it now.
    ///
    /// # Errors
    /// When the lock or the table cannot be read.
    pub async fn try_own(&self) -> Result<bool> {
        if self.owned() {
            return Ok(true);
        }
        match self.owner() {
            Owner::Lock(held) => {
                let Some(writer) = lock(self.folder())? else {
                    return Ok(false);
                };
                let _guard = self.hold_commits().await;
                self.log().prepare().await?;
                self.refresh().await?;
                Ok(held.set(writer).is_ok())
            }
            Owner::Lease(lease, _) => {
                if let LogPlace::Bucket(bucket, _) = self.log()
                    && !bucket.probed()
                {
                    bucket.probe().await?;
                }
                if !lease.take().await? {
                    return Ok(false);
                }
                let _guard = self.hold_commits().await;
                self.refresh().await?;
                Ok(lease.holds())
            }
        }
    }

    /// Ends being the writer, so that another process need not wait until this one is given up. A folder's
    /// lock stays until the lake is closed.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn release(&self) -> Result<()> {
        match self.owner() {
            Owner::Lock(_) => Ok(()),
            Owner::Lease(lease, _) => lease.release().await,
        }
    }

    async fn wait_to_own(&self) -> Result<()> {
        let Owner::Lease(lease, times) = self.owner() else {
            return Ok(());
        };
        let start = Instant::now();
        let step = (times.lease / 20).clamp(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            if self.try_own().await? {
                return Ok(());
            }
            if lease.changed() || start.elapsed() > times.lease * 2 {
                return Err(LakeError::InUse {
                    path: self.location().into(),
                });
            }
            tokio::time::sleep(step).await;
        }
    }
}

fn log_in(folder: &Path) -> LogPlace {
    LogPlace::Folder(folder.join("events"))
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
