//! The journal of appends: one file, one sync for a commit.
//!
//! Tiles are many small files, and syncing each of them before an append is acknowledged costs
//! several journal commits of the file system. So an append is first written here, entries and
//! signed checkpoint together, and synced; the tiles and the checkpoint file follow without waiting
//! for the disk. From time to time everything is synced and the journal begins anew; a tree that
//! was closed has none. After a crash the tiles beyond the journal's base are written again from it.
//!
//! The file: a magic line, the checkpoint that the tree had when everything was on disk (the base),
//! then a record for each append. Each part ends with a SHA-256 over the digest before it, its length
//! and its bytes, so that no record can be of another journal or at another place.
//!
//! The file is filled with zeros ahead of the records: writing over them and syncing needs no commit of
//! the file system's own journal, which would wait for the tiles that were just written, too.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::files::{read_if_there, sync_folder};
use super::{JOURNAL, JOURNAL_NEXT};
use crate::error::{LedgerError, Result};

const MAGIC: &[u8] = b"sealwright ledger journal 1\n";
const DIGEST: usize = 32;
/// How far the zeros reach: little at first, for commands that append one entry and end.
const FIRST_ROOM: u64 = 256 << 10;
const MORE_ROOM: u64 = 4 << 20;

/// The journal of a tree that is open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    len: u64,
    room: u64,
    digest: [u8; DIGEST],
}

/// One append: the checkpoint that it led to, as a signed note, and its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) note: Vec<u8>,
    pub(crate) entries: Vec<Vec<u8>>,
}

/// What a journal says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The checkpoint before the first record, as a signed note.
    pub(crate) base: Vec<u8>,
    pub(crate) records: Vec<Record>,
    /// Where the last whole record ends. What follows was not acknowledged.
    pub(crate) end: u64,
}

impl Journal {
    /// Begins a journal in the tree's folder, in one step in the place of an older one. Everything
    /// that `base` covers must be on disk.
    pub(crate) fn begin(root: &Path, base: &[u8]) -> Result<Self> {
        let (path, next) = (root.join(JOURNAL), root.join(JOURNAL_NEXT));
        let (part, digest) = part(&[0; DIGEST], base);
        let write = || {
            let mut file = File::create(&next)?;
            file.write_all(MAGIC)?;
            file.write_all(&part)?;
            zeros(&mut file, FIRST_ROOM)?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            Ok(file)
        };
        let file = write().map_err(LedgerError::file(&next))?;
        sync_folder(root)?;
        let len = (MAGIC.len() + part.len()) as u64;
        Ok(Self {
            file,
            path,
            len,
            room: len + FIRST_ROOM,
            digest,
        })
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Adds an append; it is on disk when this returns.
    ///
    /// # Errors
    /// From the disk; then the journal is as before, or an [`LedgerError::Stopped`] says that this
    /// is not known.
    pub(crate) fn add<E: AsRef<[u8]>>(&mut self, note: &[u8], entries: &[E]) -> Result<Mark> {
        let mut body = Vec::new();
        push(&mut body, note);
        for entry in entries {
            push(&mut body, entry.as_ref());
        }
        let (part, digest) = part(&self.digest, &body);
        let mark = Mark {
            len: self.len,
            digest: self.digest,
        };
        let end = self.len + part.len() as u64;
        let mut write = || {
            if end > self.room {
                self.file.seek(SeekFrom::Start(self.room))?;
                zeros(&mut self.file, end - self.room + MORE_ROOM)?;
                self.file.sync_all()?;
                self.room = end + MORE_ROOM;
            }
            self.file.seek(SeekFrom::Start(self.len))?;
            self.file.write_all(&part)?;
            self.file.sync_data()
        };
        if let Err(source) = write() {
            let error = LedgerError::File {
                path: self.path.clone(),
                source,
            };
            self.undo(&mark)?;
            return Err(error);
        }
        self.len = end;
        self.digest = digest;
        Ok(mark)
    }

    /// Takes the last record back.
    ///
    /// # Errors
    /// [`LedgerError::Stopped`] when it may still be there after a crash.
    pub(crate) fn undo(&mut self, mark: &Mark) -> Result<()> {
        // What follows may be half of a record; cut off, it is not in the way of the next one.
        self.file
            .set_len(mark.len)
            .and_then(|()| self.file.sync_all())
            .map_err(|e| LedgerError::Stopped(e.to_string()))?;
        self.room = mark.len;
        self.len = mark.len;
        self.digest = mark.digest;
        Ok(())
    }

    /// Ends the journal. Everything must be on disk.
    pub(crate) fn end(root: &Path) -> Result<()> {
        let path = root.join(JOURNAL);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(LedgerError::File { path, source: e })
            }
            _ => sync_folder(root),
        }
    }
}

/// A place in a journal to go back to.
#[derive(Debug)]
pub(crate) struct Mark {
    len: u64,
    digest: [u8; DIGEST],
}

/// Reads the journal of a tree; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or does not begin as a journal does: it takes its place only after it was
/// synced, so that is damage.
pub(crate) fn read(root: &Path) -> Result<Option<Contents>> {
    let path = root.join(JOURNAL);
    let Some(bytes) = read_if_there(&path)? else {
        return Ok(None);
    };
    let damaged = || LedgerError::damaged(&path, "the beginning of the journal is damaged");
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (base, mut digest) = take(&mut rest, &[0; DIGEST]).ok_or_else(damaged)?;
    let mut records = Vec::new();
    let mut end = bytes.len() - rest.len();
    while let Some((body, next)) = take(&mut rest, &digest) {
        let record = record(body).ok_or_else(|| {
            let problem = format!("the record at byte {end} is not one");
            LedgerError::damaged(&path, problem)
        })?;
        records.push(record);
        digest = next;
        end = bytes.len() - rest.len();
    }
    Ok(Some(Contents {
        base: base.to_vec(),
        records,
        end: end as u64,
    }))
}

fn zeros(file: &mut File, count: u64) -> std::io::Result<()> {
    std::io::copy(&mut std::io::repeat(0).take(count), file).map(|_| ())
}

/// A length, the bytes, and their digest after `before`.
fn part(before: &[u8; DIGEST], body: &[u8]) -> (Vec<u8>, [u8; DIGEST]) {
    let mut part = Vec::with_capacity(4 + body.len() + DIGEST);
    push(&mut part, body);
    let digest: [u8; DIGEST] = Sha256::new()
        .chain_update(before)
        .chain_update(&part)
        .finalize()
        .into();
    part.extend_from_slice(&digest);
    (part, digest)
}

/// Takes a part from the front of `rest`; `None`, and `rest` as before, when it is not whole.
fn take<'a>(rest: &mut &'a [u8], before: &[u8; DIGEST]) -> Option<(&'a [u8], [u8; DIGEST])> {
    let mut after = *rest;
    let body = pull(&mut after)?;
    let (written, after) = after.split_first_chunk::<DIGEST>()?;
    let measured = Sha256::new()
        .chain_update(before)
        .chain_update(&rest[..4 + body.len()])
        .finalize();
    if measured.as_slice() != written {
        return None;
    }
    *rest = after;
    Some((body, *written))
}

fn record(mut body: &[u8]) -> Option<Record> {
    let note = pull(&mut body)?.to_vec();
    let mut entries = Vec::new();
    while !body.is_empty() {
        entries.push(pull(&mut body)?.to_vec());
    }
    Some(Record { note, entries })
}

fn push(to: &mut Vec<u8>, bytes: &[u8]) {
    // Appends are bounded far below 4 GiB.
    to.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    to.extend_from_slice(bytes);
}

fn pull<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = from.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *from = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<Vec<u8>>)>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec((bytes(), prop::collection::vec(bytes(), 0..5)), 0..6)
    }

    fn write(root: &Path, records: &[(Vec<u8>, Vec<Vec<u8>>)]) -> Vec<u64> {
        let mut journal = Journal::begin(root, b"base").unwrap();
        let mut ends = vec![journal.len()];
        for (note, entries) in records {
            journal.add(note, entries).unwrap();
            ends.push(journal.len());
        }
        ends
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_cut_journal_gives_the_whole_records_before_the_cut(
            records in records(),
            cut in any::<prop::sample::Index>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let ends = write(folder.path(), &records);
            let path = folder.path().join(JOURNAL);
            let bytes = fs::read(&path).unwrap();
            let cut = cut.index(ends[ends.len() - 1] as usize + 1);
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut as u64).count();
            match read(folder.path()) {
                Err(_) => prop_assert_eq!(whole, 0),
                Ok(contents) => {
                    let contents = contents.unwrap();
                    prop_assert_eq!(contents.records.len() + 1, whole);
                    prop_assert_eq!(contents.end, ends[whole - 1]);
                    for (found, (note, entries)) in contents.records.iter().zip(&records) {
                        prop_assert_eq!((&found.note, &found.entries), (note, entries));
                    }
                }
            }
        }

        #[test]
        fn a_changed_byte_ends_the_journal_before_its_record(
            records in records(),
            at in any::<prop::sample::Index>(),
            mask in 1..=255_u8,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let ends = write(folder.path(), &records);
            let path = folder.path().join(JOURNAL);
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(ends[ends.len() - 1] as usize);
            bytes[at] ^= mask;
            fs::write(&path, &bytes).unwrap();
            let whole = ends.iter().filter(|end| **end <= at as u64).count();
            match read(folder.path()) {
                Err(_) => prop_assert_eq!(whole, 0),
                Ok(contents) => prop_assert_eq!(contents.unwrap().records.len() + 1, whole),
            }
        }
    }

    #[test]
    fn what_was_taken_back_is_not_there_and_the_next_record_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        let mut journal = Journal::begin(folder.path(), b"base").unwrap();
        journal.add(b"one", &[b"a"]).unwrap();
        let mark = journal.add(b"two", &[b"a longer entry"]).unwrap();
        journal.undo(&mark).unwrap();
        journal.add(b"three", &[b"c", b"d"]).unwrap();
        // Beyond the zeros, and further.
        let long = vec![7; 300 << 10];
        journal.add(b"four", &[&long]).unwrap();
        journal.add(b"five", &[&long]).unwrap();
        let contents = read(folder.path()).unwrap().unwrap();
        let notes: Vec<&[u8]> = contents.records.iter().map(|r| r.note.as_slice()).collect();
        assert_eq!(notes, [b"one".as_slice(), b"three", b"four", b"five"]);
        assert_eq!(contents.records[3].entries, [long]);
        assert_eq!(contents.end, journal.len());
        assert_eq!(contents.base, b"base");
        // Begun anew, nothing of the old one is left.
        let journal = Journal::begin(folder.path(), b"later").unwrap();
        let contents = read(folder.path()).unwrap().unwrap();
        assert!(contents.records.is_empty());
        assert_eq!(contents.end, journal.len());
        Journal::end(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
    }
}
