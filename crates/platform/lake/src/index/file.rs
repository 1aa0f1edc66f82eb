//! An index file: segments one after another, then what they hold as JSON.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sealwright_terms::{Bytes, Damaged};
use serde::{Deserialize, Serialize};

use crate::error::{LakeError, Result};

const MAGIC: &[u8; 8] = b"swindex2";
/// Checksum, length and magic.
const FOOTER: usize = 16;
/// The longest table in bytes: far more than a data file's segments need.
const LONGEST_TABLE: usize = 64 << 20;

/// What the segments of an index file hold.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Table {
    /// How terms were made of events.
    pub(super) version: String,
    /// Rows of the data file.
    pub(super) rows: u64,
    pub(super) segments: Vec<Entry>,
}

/// One segment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    at: u64,
    len: u64,
    /// The place of its first row in the data file.
    pub(super) start: u64,
    /// The first and the last time, both included.
    pub(super) times: (i64, i64),
    /// The first and the last offset, both included.
    pub(super) offsets: (u64, u64),
    /// The first and the last tenant, both included.
    pub(super) tenants: (String, String),
}

/// Where the index of a data file stands.
pub(crate) fn path_of(folder: &Path, data_file: &str) -> PathBuf {
    let stem = Path::new(data_file).file_stem().unwrap_or_default();
    folder.join(format!("{}.terms", stem.display()))
}

/// Writes an index file.
pub(super) struct Writer {
    path: PathBuf,
    file: io::BufWriter<File>,
    table: Table,
    at: u64,
}

impl Writer {
    pub(super) fn create(path: &Path, version: &str) -> Result<Self> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(|e| LakeError::file(folder, e))?;
        let made = path.with_extension("made");
        let file = File::create(&made).map_err(|e| LakeError::file(&made, e))?;
        Ok(Self {
            path: path.to_owned(),
            file: io::BufWriter::new(file),
            table: Table {
                version: version.to_owned(),
                rows: 0,
                segments: Vec::new(),
            },
            at: 0,
        })
    }

    pub(super) fn segment(
        &mut self,
        bytes: &[u8],
        rows: u64,
        times: (i64, i64),
        offsets: (u64, u64),
        tenants: (String, String),
    ) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| LakeError::file(&self.path, e))?;
        self.table.segments.push(Entry {
            at: self.at,
            len: bytes.len() as u64,
            start: self.table.rows,
            times,
            offsets,
            tenants,
        });
        self.table.rows += rows;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Puts the file in its place; its bytes.
    pub(super) fn finish(mut self) -> Result<u64> {
        let table = serde_json::to_vec(&self.table).map_err(|e| LakeError::Table(e.to_string()))?;
        let length = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let mut end = table.clone();
        end.extend(crc32fast::hash(&table).to_le_bytes());
        end.extend(length.to_le_bytes());
        end.extend(MAGIC);
        let made = self.path.with_extension("made");
        self.file
            .write_all(&end)
            .and_then(|()| self.file.flush())
            .and_then(|()| fs::rename(&made, &self.path))
            .map_err(|e| LakeError::file(&made, e))?;
        Ok(self.at + end.len() as u64)
    }
}

/// Reads the table of an index file; `None` when there is no file.
pub(super) fn table(path: &Path) -> Result<Option<Table>, Damaged> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = || Damaged("this is not the end of an index".to_owned());
    let size = file.metadata()?.len();
    let at = size.checked_sub(FOOTER as u64).ok_or_else(damaged)?;
    let mut footer = [0; FOOTER];
    file.read_exact_at(&mut footer, at)?;
    let number = |from: usize| {
        let mut four = [0; 4];
        four.copy_from_slice(&footer[from..from + 4]);
        u32::from_le_bytes(four)
    };
    let length = number(4) as usize;
    if footer[8..] != *MAGIC || length > LONGEST_TABLE {
        return Err(damaged());
    }
    let start = at.checked_sub(length as u64).ok_or_else(damaged)?;
    let mut table = vec![0; length];
    file.read_exact_at(&mut table, start)?;
    if crc32fast::hash(&table) != number(0) {
        return Err(Damaged("a checksum differs".to_owned()));
    }
    let table: Table = serde_json::from_slice(&table).map_err(|e| Damaged(e.to_string()))?;
    if table
        .segments
        .iter()
        .any(|one| one.at.saturating_add(one.len) > start)
    {
        return Err(damaged());
    }
    Ok(Some(table))
}

/// A segment in its file.
pub(super) struct Part {
    file: File,
    at: u64,
    len: u64,
}

impl Part {
    pub(super) fn open(path: &Path, entry: &Entry) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            at: entry.at,
            len: entry.len,
        })
    }
}

impl Bytes for Part {
    fn size(&self) -> u64 {
        self.len
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, self.at + at)?;
        Ok(Cow::Owned(bytes))
    }
}
