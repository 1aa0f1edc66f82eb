//! The identities of events that have left the log before their time: `<first offset, 20 digits>.ids`, one
//! file for each segment that went.
//!
//! An erasure empties the log, and a repeat of what was in it must still be recognised. The index knows it,
//! and can be lost; with these files it can be made again, and a backup need not copy it.
//!
//! A file is a magic, when the newest of its events was received, records of 64 bytes (key, offset, time of
//! receipt, digest), and a CRC-32 of all before it.

use std::path::{Path, PathBuf};

use sealwright_core::{Digest, UnixMicros};
use sealwright_events::{LogError, StoredEvent};

use super::replace::replace_file;
use crate::model::{EventKey, Known};

const MAGIC: &[u8; 8] = b"SWIDS001";
const HEAD: usize = 16;
const RECORD: usize = 64;

/// An identity, and when its event was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) key: EventKey,
    pub(crate) known: Known,
    pub(crate) received_at: UnixMicros,
}

impl Kept {
    pub(crate) fn of(event: &StoredEvent) -> Self {
        Self {
            key: EventKey::new(event.tenant, &event.source, &event.id),
            known: Known {
                offset: event.offset,
                digest: event.digest,
            },
            received_at: event.received_at,
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> LogError {
    LogError::Unavailable(format!("{}: {error}", path.display()))
}

/// The files of a log, in order.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, &e))? {
        let path = entry.map_err(|e| unreadable(folder, &e))?.path();
        if path.extension().is_some_and(|e| e == "ids") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Keeps the identities of the segment that begins at `first`.
pub(crate) fn write(
    folder: &Path,
    first: u64,
    newest: UnixMicros,
    kept: &[Kept],
) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(HEAD + kept.len() * RECORD + 4);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&newest.0.to_le_bytes());
    for one in kept {
        bytes.extend_from_slice(&one.key.0);
        bytes.extend_from_slice(&one.known.offset.to_le_bytes());
        bytes.extend_from_slice(&one.received_at.0.to_le_bytes());
        bytes.extend_from_slice(&one.known.digest.0);
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    replace_file(&folder.join(format!("{first:020}.ids")), &bytes)
}

/// The identities of a file, in the order of the log.
///
/// # Errors
/// [`LogError::Corrupt`] names the file.
pub(crate) fn read(path: &Path) -> Result<Vec<Kept>, LogError> {
    let (_, records) = whole(path)?;
    let mut rest = records.as_slice();
    let mut kept = Vec::with_capacity(records.len() / RECORD);
    while let (Some((key, after)), true) = (rest.split_first_chunk::<16>(), rest.len() >= RECORD) {
        let (offset, after) = number(after);
        let (received_at, after) = number(after);
        let (digest, after) = after.split_at(32);
        kept.push(Kept {
            key: EventKey(*key),
            known: Known {
                offset,
                digest: Digest(digest.try_into().unwrap_or_default()),
            },
            received_at: UnixMicros(received_at as i64),
        });
        rest = after;
    }
    Ok(kept)
}

fn number(bytes: &[u8]) -> (u64, &[u8]) {
    bytes
        .split_first_chunk::<8>()
        .map_or((0, bytes), |(number, rest)| {
            (u64::from_le_bytes(*number), rest)
        })
}

/// When the newest event was received, and the records.
fn whole(path: &Path) -> Result<(UnixMicros, Vec<u8>), LogError> {
    let mut bytes = std::fs::read(path).map_err(|e| unreadable(path, &e))?;
    let sound = bytes.split_last_chunk::<4>().is_some_and(|(body, crc)| {
        body.starts_with(MAGIC)
            && body.len() >= HEAD
            && (body.len() - HEAD).is_multiple_of(RECORD)
            && crc32fast::hash(body) == u32::from_le_bytes(*crc)
    });
    if !sound {
        return Err(LogError::Corrupt {
            place: path.display().to_string(),
            detail: "the kept identities are damaged; restore the file from a backup".to_owned(),
        });
    }
    let newest = UnixMicros(number(&bytes[8..]).0 as i64);
    bytes.truncate(bytes.len() - 4);
    Ok((newest, bytes.split_off(HEAD)))
}

/// Removes the files all of whose events were received before `before`.
pub(crate) fn forget(folder: &Path, before: UnixMicros) -> Result<(), LogError> {
    for path in files(folder)? {
        let (newest, _) = whole(&path)?;
        if newest < before {
            std::fs::remove_file(&path).map_err(|e| unreadable(&path, &e))?;
        }
    }
    Ok(())
}
