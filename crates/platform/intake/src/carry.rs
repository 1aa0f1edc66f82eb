//! The log from files into tables and back: for an installation that moves to another database. Offsets, times of receipt
//! and what is recognised as a repeat stay as they are.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use sealwright_events::{EventLog as _, LogError};
use sealwright_store::Store;

use crate::StoreLog;
use crate::codec::Block;
use crate::log::kept::{self, Kept};
use crate::log::replace::sync_folder;
use crate::log::segment::{FILE_HEADER, Segment, push_record};
use crate::log::{AppendError, LogHold};
use crate::store::{StoredBlock, blocks_from, carry_in, identities_of, set_offsets};

/// The tables of the log, and their rows (as `sealwright_store::portable` writes them) where the log is in files.
pub const LOG_TABLES: [(&str, &str); 3] = [
    ("intake_block", ""),
    ("intake_event_id", ""),
    ("intake_head", "[1,0,0]\n"),
];

/// Events of one transaction.
const COMMIT: usize = 20_000;
/// A segment that has reached this size is followed by a new one.
const SEGMENT_BYTES: u64 = 128 << 20;
/// Identities of one file.
const IDENTITIES: usize = 1 << 20;

/// Why a log could not be carried over.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] LogError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] AppendError),
    /// There is one already.
    #[error("{0} is not empty; move it away")]
    NotEmpty(String),
}

impl From<std::io::Error> for CarryError {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<sealwright_store::StoreError> for CarryError {
    fn from(error: sealwright_store::StoreError) -> Self {
        Self::Write(error.into())
    }
}

/// Puts the log in `folder` into the tables of `store`, which hold none. Returns the offsets of its events.
///
/// # Errors
/// See [`CarryError`]. What was written until then has to be removed by the caller.
pub async fn files_into_tables(folder: &Path, store: &Store) -> Result<Range<u64>, CarryError> {
    let hold = LogHold::take(folder)?;
    let copy = hold.copy()?;
    let mut identities = Vec::new();
    for path in kept::files(folder)? {
        identities.extend(kept::read(&path)?);
        if identities.len() >= COMMIT {
            write(store, Vec::new(), &std::mem::take(&mut identities)).await?;
        }
    }
    let mut blocks = Vec::new();
    for part in copy.parts.iter().filter(|part| part.name.ends_with(".log")) {
        let first = part.name.trim_end_matches(".log").parse().unwrap_or(0);
        let Some(segment) = Segment::open(&part.path, first)? else {
            continue;
        };
        let mut pos = FILE_HEADER;
        while pos < part.bytes {
            let lacking = || "the record is damaged".to_owned();
            let (record, body, events) = segment.events(pos, lacking)?;
            identities.extend(events.iter().map(Kept::of));
            pos += record.len();
            blocks.push(StoredBlock {
                first_offset: record.first_offset,
                received_at: record.received_at,
                block: Block {
                    count: record.count,
                    raw_len: record.raw_len,
                    body,
                },
            });
            if identities.len() >= COMMIT {
                let (some, of) = (std::mem::take(&mut blocks), std::mem::take(&mut identities));
                write(store, some, &of).await?;
            }
        }
    }
    write(store, blocks, &identities).await?;
    set_offsets(store, &copy.offsets).await?;
    Ok(copy.offsets)
}

async fn write(
    store: &Store,
    blocks: Vec<StoredBlock>,
    identities: &[Kept],
) -> Result<(), CarryError> {
    // An identity that was forgotten and came again is known by its newest event.
    let newest: HashMap<_, _> = identities.iter().map(|one| (one.key, *one)).collect();
    let newest: Vec<Kept> = newest.into_values().collect();
    Ok(carry_in(store, blocks, &newest).await?)
}

/// Puts the log in the tables of `store` into `folder`, which holds none. Returns the offsets of its events.
///
/// # Errors
/// See [`CarryError`]; the folder is as before.
pub async fn tables_into_files(store: &Store, folder: &Path) -> Result<Range<u64>, CarryError> {
    let holds_something = std::fs::read_dir(folder).is_ok_and(|mut dir| dir.next().is_some());
    if holds_something {
        return Err(CarryError::NotEmpty(folder.display().to_string()));
    }
    let mut side = folder.as_os_str().to_owned();
    side.push(".moving");
    let side = Path::new(&side);
    if side.exists() {
        std::fs::remove_dir_all(side)?;
    }
    std::fs::create_dir_all(side)?;
    let log = StoreLog::open(store.clone()).await?;
    let offsets = log.earliest().await?..log.head().await?;
    // What is known beyond the log's events.
    let mut below = 0;
    loop {
        let some = identities_of(store, below..offsets.start, IDENTITIES).await?;
        let Some(last) = some.last() else { break };
        let newest = some.iter().map(|one| one.received_at).max();
        kept::write(side, below, newest.unwrap_or(last.received_at), &some)?;
        below = last.known.offset + 1;
    }
    let mut segment = Segment::create(side, offsets.start)?;
    let (mut next, mut end) = (offsets.start, FILE_HEADER);
    loop {
        let blocks = blocks_from(store, next).await?;
        if blocks.is_empty() {
            break;
        }
        for stored in blocks {
            if stored.first_offset != next {
                return Err(CarryError::Read(LogError::Corrupt {
                    place: format!("intake_block {}", stored.first_offset),
                    detail: format!("offset {next} is missing before it"),
                }));
            }
            if end >= SEGMENT_BYTES {
                segment.file.sync_all()?;
                segment = Segment::create(side, next)?;
                end = FILE_HEADER;
            }
            let mut record = Vec::new();
            push_record(&stored.block, next, next, stored.received_at, &mut record);
            std::os::unix::fs::FileExt::write_all_at(&segment.file, &record, end)?;
            end += record.len() as u64;
            next += u64::from(stored.block.count);
        }
    }
    if next != offsets.end {
        return Err(CarryError::Read(LogError::Corrupt {
            place: "intake_head".to_owned(),
            detail: format!("it says {}, and the blocks end at {next}", offsets.end),
        }));
    }
    segment.file.sync_all()?;
    sync_folder(side)?;
    if folder.exists() {
        std::fs::remove_dir(folder)?;
    }
    std::fs::rename(side, folder)?;
    folder.parent().map_or(Ok(()), sync_folder)?;
    Ok(offsets)
}
