//! One state of the table as files to be copied, while it is being written and maintained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{LakeError, Result};
use crate::readers::Reader;
use crate::table::Lake;

/// A data file of a [`LakeCopy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakePart {
    /// Its name in the lake's folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
}

/// One state of the lake. Its data files stay as long as this is held; an erasure waits for it to end.
#[derive(Debug)]
pub struct LakeCopy {
    /// The version of the Delta table.
    pub version: u64,
    /// The first offset that it does not hold.
    pub next_offset: u64,
    /// Its rows.
    pub rows: u64,
    /// The table's log up to this state, by names in the lake's folder, with their contents: the log is
    /// cleaned up whoever reads.
    pub log: Vec<(String, Vec<u8>)>,
    /// Its data files.
    pub files: Vec<LakePart>,
    _reader: Reader,
}

impl Lake {
    /// The newest state, to be copied.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn copy(&self) -> Result<LakeCopy> {
        const TRIES: usize = 20;
        let mut tries = 0;
        loop {
            let (snapshot, reader) = self.read().await?;
            let status = self.status();
            // The clean-up of the log may have come in between.
            let log = if status.version == snapshot.version {
                log_upto(&self.log_folder(), snapshot.version)?
            } else {
                None
            };
            tries += 1;
            let Some(log) = log else {
                if tries < TRIES {
                    continue;
                }
                return Err(LakeError::Damaged {
                    file: "events/_delta_log".to_owned(),
                    detail: format!("it does not lead to version {}", snapshot.version),
                });
            };
            let table = self.table_folder();
            let files = snapshot.files.iter().map(|file| LakePart {
                name: format!("events/{}", file.path),
                path: table.join(&file.path),
                bytes: file.bytes,
            });
            return Ok(LakeCopy {
                version: snapshot.version,
                next_offset: status.next_offset,
                rows: status.rows,
                log,
                files: files.collect(),
                _reader: reader,
            });
        }
    }

    /// Whether rows have been removed since the state of `copy`: by an erasure, or because their time was
    /// over.
    ///
    /// # Errors
    /// When the present state cannot be read.
    pub async fn has_lost_rows(&self, copy: &LakeCopy) -> Result<bool> {
        let (_, _reader) = self.read().await?;
        let now = self.status();
        // Each event is one row.
        Ok(now.rows + copy.next_offset != copy.rows + now.next_offset)
    }
}

/// Names in the lake's folder, and contents.
type LogFiles = Vec<(String, Vec<u8>)>;

/// What of the table's log makes the state `version`: the newest checkpoint and the commits behind it. `None`
/// when a part of it is not there.
fn log_upto(log: &Path, version: u64) -> Result<Option<LogFiles>> {
    let (mut commits, mut checkpoints) = (BTreeMap::new(), BTreeMap::new());
    for entry in fs::read_dir(log).map_err(|e| LakeError::file(log, e))? {
        let path = entry.map_err(|e| LakeError::file(log, e))?.path();
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let Some((digits, kind)) = name.split_once('.') else {
            continue;
        };
        let Ok(number) = digits.parse::<u64>() else {
            continue;
        };
        match kind {
            "json" if number <= version => commits.insert(number, (name, path)),
            "checkpoint.parquet" if number <= version => checkpoints.insert(number, (name, path)),
            _ => None,
        };
    }
    let (begin, checkpoint) = match checkpoints.pop_last() {
        Some((number, checkpoint)) => (number + 1, Some(checkpoint)),
        None => (0, None),
    };
    let mut parts = Vec::from_iter(checkpoint);
    for number in begin..=version {
        match commits.remove(&number) {
            Some(commit) => parts.push(commit),
            None => return Ok(None),
        }
    }
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
