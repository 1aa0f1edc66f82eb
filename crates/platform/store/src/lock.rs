//! One process per data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sealwright_core::UnixMicros;

use crate::{Result, StoreError};

/// Holds a data folder, or a SQLite file, for this process until it is dropped. The operating system
/// releases the lock when the process ends, however it ends, so that a crash never leaves it locked.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
    path: PathBuf,
}

impl DataLock {
    /// Takes the folder, creating it when it is not there.
    ///
    /// # Errors
    /// [`StoreError::InUse`] with what the holder wrote about itself.
    pub fn take(folder: &Path, now: UnixMicros) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::File {
            path: folder.to_owned(),
            source,
        })?;
        Self::take_by(&folder.join("sealwright.lock"), folder, now)
    }

    /// Takes a SQLite file that does not stand in the data folder: two folders must not share it. The lock
    /// is a file beside it, `NAME.lock`.
    ///
    /// # Errors
    /// [`StoreError::InUse`] with what the holder wrote about itself.
    pub fn take_file(database: &Path, now: UnixMicros) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        Self::take_by(Path::new(&path), database, now)
    }

    fn take_by(path: &Path, held: &Path, now: UnixMicros) -> Result<Self> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::File { path, source }
        };
        let path = path.to_owned();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed(&path))?;
        if let Err(refused) = file.try_lock() {
            if let TryLockError::Error(source) = refused {
                return Err(StoreError::File { path, source });
            }
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "it has not said which".to_owned(),
                text => text.to_owned(),
            };
            return Err(StoreError::InUse {
                path: held.to_owned(),
                holder,
            });
        }
        let note = format!("process {} since {now}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(note.as_bytes()))
            .and_then(|()| file.flush())
            .map_err(failed(&path))?;
        Ok(Self {
            _file: file,
            path: held.to_owned(),
        })
    }

    /// What is held.
    pub fn held(&self) -> &Path {
        &self.path
    }
}
