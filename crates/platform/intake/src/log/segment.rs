//! Segments: the files that a [`super::FileLog`] appends to.
//!
//! `<first offset, 20 digits>.log` begins with 16 bytes (magic, first offset) and holds records: a header
//! of 48 bytes and a compressed block. All records of one commit name the same group, and a commit is
//! begun only when the one before is durable. So a bad record with nothing of a later group behind it is
//! the torn end of a commit that nobody was told of; with one behind it, it is damage.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sealwright_core::UnixMicros;
use sealwright_events::{LogError, StoredEvent};

use crate::codec::{Block, decode};

pub(crate) const FILE_HEADER: u64 = 16;
const FILE_MAGIC: &[u8; 8] = b"SWLOG001";
const RECORD_MAGIC: &[u8; 4] = b"SWB1";
pub(crate) const RECORD_HEADER: usize = 48;
/// A place is remembered about every so many bytes.
const STRIDE: u64 = 256 << 10;

/// A record's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) first_offset: u64,
    pub(crate) count: u32,
    /// The first offset of the commit that it belongs to.
    pub(crate) group: u64,
    pub(crate) received_at: UnixMicros,
    pub(crate) body_len: u32,
    pub(crate) raw_len: u32,
    crc: u32,
}

impl Record {
    /// The offset behind its last event.
    pub(crate) fn next(&self) -> u64 {
        self.first_offset + u64::from(self.count)
    }

    /// Bytes of header and body.
    pub(crate) fn len(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.body_len)
    }

    fn parse(bytes: &[u8; RECORD_HEADER]) -> Option<Self> {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | (u64::from(u32_at(at + 4)) << 32);
        bytes.starts_with(RECORD_MAGIC).then(|| Self {
            crc: u32_at(4),
            body_len: u32_at(8),
            raw_len: u32_at(12),
            first_offset: u64_at(16),
            group: u64_at(24),
            received_at: UnixMicros(u64_at(32) as i64),
            count: u32_at(40),
        })
    }

    fn is_intact(&self, header: &[u8; RECORD_HEADER], body: &[u8]) -> bool {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header[8..]);
        crc.update(body);
        crc.finalize() == self.crc && self.count > 0
    }
}

/// Appends a record to `out`.
pub(crate) fn push_record(
    block: &Block,
    first_offset: u64,
    group: u64,
    received_at: UnixMicros,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend_from_slice(RECORD_MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(block.body.len() as u32).to_le_bytes());
    out.extend_from_slice(&block.raw_len.to_le_bytes());
    out.extend_from_slice(&first_offset.to_le_bytes());
    out.extend_from_slice(&group.to_le_bytes());
    out.extend_from_slice(&received_at.0.to_le_bytes());
    out.extend_from_slice(&block.count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&block.body);
    let crc = crc32fast::hash(&out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// One file. Shared by the writer and the readers, who see only what is below the durable end.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
    pub(crate) file: File,
    places: Mutex<Places>,
}

/// Some records' places, in order; the last is where the walk has come to.
#[derive(Debug)]
struct Places {
    known: Vec<(u64, u64)>,
    walked: (u64, u64),
}

impl Segment {
    pub(crate) fn name(first: u64) -> String {
        format!("{first:020}.log")
    }

    pub(crate) fn create(folder: &Path, first: u64) -> std::io::Result<Self> {
        let path = folder.join(Self::name(first));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let mut header = FILE_MAGIC.to_vec();
        header.extend_from_slice(&first.to_le_bytes());
        let written = file
            .write_all_at(&header, 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| super::replace::sync_folder(folder));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self::new(path, first, file))
    }

    fn new(path: PathBuf, first: u64, file: File) -> Self {
        Self {
            path,
            first,
            file,
            places: Mutex::new(Places {
                known: vec![(first, FILE_HEADER)],
                walked: (first, FILE_HEADER),
            }),
        }
    }

    /// Opens a file that is there. `None`: it has no whole header and nothing else, because the program
    /// was stopped while making it.
    pub(crate) fn open(path: &Path, first: u64) -> Result<Option<Self>, LogError> {
        let failed = |e: std::io::Error| LogError::Unavailable(format!("{}: {e}", path.display()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let mut header = [0; FILE_HEADER as usize];
        if file.metadata().map_err(failed)?.len() < FILE_HEADER {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0).map_err(failed)?;
        if !header.starts_with(FILE_MAGIC) || header[8..] != first.to_le_bytes() {
            return Err(LogError::Corrupt {
                place: path.display().to_string(),
                detail: "this is not a segment of the log, or of another place in it".to_owned(),
            });
        }
        Ok(Some(Self::new(path.to_owned(), first, file)))
    }

    pub(crate) fn corrupt(&self, pos: u64, detail: impl Into<String>) -> LogError {
        LogError::Corrupt {
            place: format!("{} byte {pos}", self.path.display()),
            detail: detail.into(),
        }
    }

    pub(crate) fn unavailable(&self, error: &std::io::Error) -> LogError {
        LogError::Unavailable(format!("{}: {error}", self.path.display()))
    }

    /// The header at `pos`; `None` when there is none.
    pub(crate) fn header(&self, pos: u64) -> Result<Option<Record>, LogError> {
        let mut bytes = [0; RECORD_HEADER];
        match self.file.read_exact_at(&mut bytes, pos) {
            Ok(()) => Ok(Record::parse(&bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(self.unavailable(&e)),
        }
    }

    /// The record at `pos` with its body, if it is whole.
    pub(crate) fn record(&self, pos: u64) -> Result<Option<(Record, Vec<u8>)>, LogError> {
        let mut header = [0; RECORD_HEADER];
        let eof = |e: &std::io::Error| e.kind() == std::io::ErrorKind::UnexpectedEof;
        match self.file.read_exact_at(&mut header, pos) {
            Ok(()) => {}
            Err(e) if eof(&e) => return Ok(None),
            Err(e) => return Err(self.unavailable(&e)),
        }
        let Some(record) = Record::parse(&header) else {
            return Ok(None);
        };
        let length = self
            .file
            .metadata()
            .map_err(|e| self.unavailable(&e))?
            .len();
        if pos + record.len() > length {
            return Ok(None);
        }
        let mut body = vec![0; record.body_len as usize];
        self.file
            .read_exact_at(&mut body, pos + RECORD_HEADER as u64)
            .map_err(|e| self.unavailable(&e))?;
        Ok(record.is_intact(&header, &body).then_some((record, body)))
    }

    /// The record at `pos` with its events; `lacking` says what it means that there is none.
    pub(crate) fn events(
        &self,
        pos: u64,
        lacking: impl FnOnce() -> String,
    ) -> Result<(Record, Vec<u8>, Vec<StoredEvent>), LogError> {
        let (record, body) = self
            .record(pos)?
            .ok_or_else(|| self.corrupt(pos, lacking()))?;
        let events = decode(
            &body,
            record.raw_len as usize,
            record.count as usize,
            record.first_offset,
            record.received_at,
        )
        .map_err(|detail| self.corrupt(pos, detail))?;
        Ok((record, body, events))
    }

    /// Where to begin looking for the record that holds `offset`: a record's start at or before it.
    pub(crate) fn place(&self, offset: u64) -> Result<u64, LogError> {
        let mut places = self
            .places
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Walk on, once, until the offset is passed.
        while places.walked.0 <= offset {
            let (expected, pos) = places.walked;
            let Some(record) = self.header(pos)? else {
                break;
            };
            if record.first_offset != expected || record.count == 0 {
                break;
            }
            places.walked = (record.next(), pos + record.len());
            if places.known.last().is_none_or(|(_, p)| pos >= p + STRIDE) {
                places.known.push((expected, pos));
            }
        }
        let after = places.known.partition_point(|(first, _)| *first <= offset);
        Ok(places.known[after.saturating_sub(1)].1)
    }

    /// Forgets remembered places from `pos` on, because what is there is cut off.
    pub(crate) fn forget_places(&self, pos: u64) {
        let mut places = self
            .places
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if places.walked.1 > pos {
            places.known.retain(|(_, p)| *p < pos);
            if places.known.is_empty() {
                places.known.push((self.first, FILE_HEADER));
            }
            places.walked = places.known[places.known.len() - 1];
        }
    }

    /// Checks every record from the start and finds the end: the next offset and the file position.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when a bad record has a later commit behind it.
    pub(crate) fn check(&self) -> Result<(u64, u64), LogError> {
        let (mut next, mut pos) = (self.first, FILE_HEADER);
        while let Some((record, _)) = self.record(pos)? {
            if record.first_offset != next {
                return Err(self.corrupt(
                    pos,
                    format!("offset {} where {next} belongs", record.first_offset),
                ));
            }
            next = record.next();
            pos += record.len();
        }
        if let Some(later) = self.later_group(pos, next)? {
            return Err(self.corrupt(
                pos,
                format!(
                    "the record of offset {next} is damaged, and whole ones follow at byte {later}; restore \
                     the file from a backup"
                ),
            ));
        }
        Ok((next, pos))
    }

    /// The place of a whole record behind `from` that belongs to a commit after the one that offset
    /// `next` was written in.
    fn later_group(&self, from: u64, next: u64) -> Result<Option<u64>, LogError> {
        let length = self
            .file
            .metadata()
            .map_err(|e| self.unavailable(&e))?
            .len();
        let mut at = from;
        let mut window = vec![0; 1 << 20];
        while at < length {
            let size = usize::try_from(length - at)
                .unwrap_or(usize::MAX)
                .min(window.len());
            self.file
                .read_exact_at(&mut window[..size], at)
                .map_err(|e| self.unavailable(&e))?;
            for i in 0..size.saturating_sub(3) {
                if window[i..].starts_with(RECORD_MAGIC) {
                    let pos = at + i as u64;
                    if let Some((record, _)) = self.record(pos)?
                        && record.group > next
                    {
                        return Ok(Some(pos));
                    }
                }
            }
            // The magic may lie across the border of two windows.
            at += if size == window.len() {
                (size - 3) as u64
            } else {
                size as u64
            };
        }
        Ok(None)
    }
}
