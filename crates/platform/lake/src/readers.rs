//! Who is reading which state, in this process and in others, so that nothing is removed from under
//! them.
//!
//! A reader holds a locked file in `readers/` whose name says which version of the table it reads. The
//! lock goes with its process, so a reader that died holds nobody up. The files are empty, so that
//! reading works on a full disk.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::bucket::Registered;
use crate::error::{LakeError, Result};

/// A running reader. Dropping it ends the protection.
#[derive(Debug)]
pub(crate) struct Reader {
    here: Option<(PathBuf, File)>,
    _elsewhere: Option<Registered>,
}

impl Reader {
    /// Registers a reader of `version`. It protects that version only if the version is still the
    /// newest one after this call: a vacuum may have looked just before.
    pub(crate) fn register(folder: &Path, version: u64) -> Result<Self> {
        let name = uuid::Uuid::now_v7().simple().to_string();
        let (new, path) = (
            folder.join(format!("{name}.new")),
            folder.join(format!("{name}-{version}.lock")),
        );
        let make = || {
            fs::create_dir_all(folder)?;
            let file = File::create_new(&new)?;
            file.lock()?;
            // Only now can others see it, locked.
            fs::rename(&new, &path)?;
            Ok(file)
        };
        let lock = make().map_err(|e| LakeError::file(&path, e))?;
        Ok(Self {
            here: Some((path, lock)),
            _elsewhere: None,
        })
    }

    /// A reader of a table whose files stay for longer than it runs.
    pub(crate) fn unseen() -> Self {
        Self {
            here: None,
            _elsewhere: None,
        }
    }

    /// A reader of a table in a bucket.
    pub(crate) fn registered(elsewhere: Registered) -> Self {
        Self {
            here: None,
            _elsewhere: Some(elsewhere),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.here {
            let _ = fs::remove_file(path);
        }
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
        let Ok(file) = File::open(&path) else {
            // It ended just now.
            continue;
        };
        match file.try_lock() {
            Ok(()) => {
                let _ = fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock) => {
                // A name that says no version may stand for any.
                let reads = path
                    .file_stem()
                    .and_then(|stem| stem.to_str()?.rsplit_once('-')?.1.parse::<u64>().ok())
                    .unwrap_or(0);
                if reads < version {
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
        let reader = Reader::register(folder.path(), 7).unwrap();
        assert_eq!(older_than(folder.path(), 7).unwrap(), 0);
        assert_eq!(older_than(folder.path(), 8).unwrap(), 1);
        fs::write(folder.path().join("dead-1.lock"), "1").unwrap();
        assert_eq!(older_than(folder.path(), 8).unwrap(), 1);
        assert!(!folder.path().join("dead-1.lock").exists());
        drop(reader);
        assert_eq!(older_than(folder.path(), 8).unwrap(), 0);
    }
}
