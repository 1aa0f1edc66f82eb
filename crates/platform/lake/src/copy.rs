//! One state of the table as files to be copied, while it is being written and maintained.

use std::fs::File;

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::readers::Reader;
use crate::table::Lake;
use crate::table_files::TableFiles;

/// A data file of a [`LakeCopy`].
#[derive(Debug, Clone)]
pub struct LakePart {
    /// Its name in the lake's folder.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    file: DataFile,
    files: TableFiles,
}

impl LakePart {
    /// The file, opened; from a bucket it is fetched first.
    ///
    /// # Errors
    /// [`LakeError::Damaged`] when it is not there, or of another length.
    pub async fn open(&self) -> Result<File> {
        match self.files.cache() {
            Some(cache) => cache.file(&self.file.path, self.file.bytes).await,
            None => self.files.open(&self.file),
        }
    }
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
            let (snapshot, reader) = self.read_at_length().await?;
            let status = self.status();
            // The clean-up of the log may have come in between.
            let log = if status.version == snapshot.version {
                self.log().upto(snapshot.version, self.now()).await?
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
            let files = snapshot.files.iter().map(|file| LakePart {
                name: format!("events/{}", file.path),
                bytes: file.bytes,
                file: file.clone(),
                files: self.files().clone(),
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
