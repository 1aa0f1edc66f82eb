//! Who is reading which state, in this process and in others, so that nothing is removed from under
//! them.
//!
//! A reader holds a locked file in `readers/` that says which version of the table it reads. The lock
//! goes with its process, so a reader that died holds nobody up.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{LakeError, Result};

/// A running reader. Dropping it ends the protection.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: File,
}

impl Reader {
    /// Registers a reader that may read any version. Take the state after this call, then say with
    /// [`Reader::reads`] which it is.
    pub(crate) fn register(folder: &Path) -> Result<Self> {
        let name = uuid::Uuid::now_v7().simple().to_string();
        let (new, path) = (
            folder.join(format!("{name}.new")),
            folder.join(format!("{name}.lock")),
        );
        let make = || {
            fs::create_dir_all(folder)?;
            let mut file = File::create_new(&new)?;
            file.lock()?;
            file.write_all(b"0")?;
            // Only now can others see it, locked.
            fs::rename(&new, &path)?;
            Ok(file)
        };
        let file = make().map_err(|e| LakeError::file(&path, e))?;
        Ok(Self { path, file })
    }

    /// Says which version is read from now on.
    pub(crate) fn reads(&mut self, version: u64) -> Result<()> {
        self.file
            .rewind()
            .and_then(|()| self.file.write_all(format!("{version:020}").as_bytes()))
            .map_err(|e| LakeError::file(&self.path, e))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// How many readers run on a version below `version`. Files of readers that died are removed.
pub(crate) fn older_than(folder: &Path, version: u64) -> Result<usize> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(LakeError::file(folder, error)),
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.map_err(|e| LakeError::file(folder, e))?.path();
        if path.extension().is_none_or(|e| e != "lock") {
            continue;
        }
        let Ok(mut file) = File::open(&path) else {
            continue;
        };
        match file.try_lock() {
            Ok(()) => {
                let _ = fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text)
                    .map_err(|e| LakeError::file(&path, e))?;
                // What cannot be read may be any version.
                if text.parse::<u64>().unwrap_or(0) < version {
                    count += 1;
                }
            }
            Err(TryLockError::Error(error)) => return Err(LakeError::file(&path, error)),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_living_readers_of_older_versions() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(older_than(&folder.path().join("none"), 1).unwrap(), 0);
        let mut reader = Reader::register(folder.path()).unwrap();
        assert_eq!(
            older_than(folder.path(), 7).unwrap(),
            1,
            "no version yet: any"
        );
        reader.reads(7).unwrap();
        assert_eq!(older_than(folder.path(), 7).unwrap(), 0);
        assert_eq!(older_than(folder.path(), 8).unwrap(), 1);
        fs::write(folder.path().join("dead.lock"), "1").unwrap();
        assert_eq!(older_than(folder.path(), 8).unwrap(), 1);
        assert!(!folder.path().join("dead.lock").exists());
        drop(reader);
        assert_eq!(older_than(folder.path(), 8).unwrap(), 0);
    }
}
