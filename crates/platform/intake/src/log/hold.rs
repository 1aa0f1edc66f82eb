//! A [`super::FileLog`] as files to be copied, while it is being written.

use std::fs::{File, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sealwright_events::LogError;

use super::kept;
use super::segment::Segment;

/// As long as somebody holds it, nothing leaves the log.
const LOCK: &str = "copy.lock";
/// How often the newest segment is looked at again, when its end is just being written.
const LOOKS: usize = 10;

/// Keeps everything in the log of a folder, also in that of another process, until it is dropped.
#[derive(Debug)]
pub struct LogHold {
    folder: PathBuf,
    _lock: File,
}

/// A file of the log, as far as it is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Its name in the log's folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// So many bytes from its start; what is behind them is being written.
    pub bytes: u64,
}

/// The files of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCopy {
    /// In order.
    pub parts: Vec<LogPart>,
    /// The events in them. Its end is at least the head that the log had when it was asked.
    pub offsets: Range<u64>,
}

fn lock_file(folder: &Path) -> std::io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))
}

impl LogHold {
    /// Takes hold of the log in `folder`. A clean-up of the log that is under way ends first.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when the folder is not there or may not be written to.
    pub fn take(folder: &Path) -> Result<Self, LogError> {
        let failed =
            |e: std::io::Error| LogError::Unavailable(format!("{}: {e}", folder.display()));
        let file = lock_file(folder).map_err(failed)?;
        file.lock_shared().map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: file,
        })
    }

    /// For the one who removes: nobody holds the log now, nor takes hold until this is dropped.
    pub(super) fn refuse_others(folder: &Path) -> std::io::Result<Option<File>> {
        let file = lock_file(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What is in the log now. Every record is read and its checksum compared.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] with file and byte.
    pub fn copy(&self) -> Result<LogCopy, LogError> {
        let failed =
            |e: std::io::Error| LogError::Unavailable(format!("{}: {e}", self.folder.display()));
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let first = name.to_str().and_then(|n| n.strip_suffix(".log"));
            firsts.extend(first.and_then(|n| n.parse::<u64>().ok()));
        }
        firsts.sort_unstable();
        let mut parts = Vec::new();
        for path in kept::files(&self.folder)? {
            kept::read(&path)?;
            parts.push(LogPart {
                name: file_name(&path),
                bytes: std::fs::metadata(&path).map_err(failed)?.len(),
                path,
            });
        }
        let mut offsets: Option<Range<u64>> = None;
        for (at, first) in firsts.iter().enumerate() {
            let newest = at + 1 == firsts.len();
            let Some((path, next, bytes)) = self.segment(*first, newest)? else {
                continue;
            };
            let before = offsets.get_or_insert(*first..*first);
            if before.end != *first {
                return Err(LogError::Corrupt {
                    place: path.display().to_string(),
                    detail: format!("the events before it end at offset {}", before.end),
                });
            }
            before.end = next;
            parts.push(LogPart {
                name: file_name(&path),
                path,
                bytes,
            });
        }
        Ok(LogCopy {
            parts,
            offsets: offsets.unwrap_or_default(),
        })
    }

    /// A segment, the offset behind it, and its length; `None` for one that has not begun.
    fn segment(&self, first: u64, newest: bool) -> Result<Option<(PathBuf, u64, u64)>, LogError> {
        let path = self.folder.join(Segment::name(first));
        let mut looks = 0;
        loop {
            let looked = Segment::open(&path, first)
                .and_then(|segment| segment.map(|segment| segment.check()).transpose());
            match looked {
                Ok(None) if newest => return Ok(None),
                Ok(None) => {
                    return Err(LogError::Corrupt {
                        place: path.display().to_string(),
                        detail: "it has no header, and later segments follow".to_owned(),
                    });
                }
                Ok(Some((next, bytes))) => return Ok(Some((path, next, bytes))),
                // A record that was half written when it was read is whole by the time that one of a later
                // commit is: commits follow each other.
                Err(LogError::Corrupt { .. }) if newest && looks < LOOKS => looks += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
