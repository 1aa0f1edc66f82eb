//! The one writer of a tree.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sealwright_merkle::tile::{TILE_WIDTH, split_hashes};
use sealwright_merkle::{Checkpoint, EntryBundle, Hash, SignerKey, Tile, TileKind, leaf_hash};

use super::edge::{Edge, Writes};
use super::files::{
    Unsynced, read_if_there, remove_beyond, remove_superseded, rename, replace_durably,
    sync_folder, write_durably,
};
use super::journal::{Journal, Mark};
use super::recover::recover;
use super::{CHECKPOINT, CHECKPOINT_NEXT, LOCK, TreeReader};
use crate::error::{LedgerError, Result};

/// The most entries in one append.
pub const MAX_BATCH_ENTRIES: usize = 65_536;
/// The most bytes of entries in one append.
pub const MAX_BATCH_BYTES: usize = 256 << 20;

/// Above this the tiles of an append are synced themselves: the journal would be a second copy
/// that costs more than it saves.
const MAX_JOURNALED_BYTES: usize = 4 << 20;
/// The length of the journal, and the number of unsynced files, that lead to syncing everything.
const MAX_JOURNAL_BYTES: u64 = 32 << 20;
const MAX_UNSYNCED: usize = 4_096;

/// A tree that can grow. One process at a time holds it.
///
/// An append is on disk, and in a signed checkpoint, when the call returns. The order of the
/// steps is what makes it safe. A small append goes to the journal, with its checkpoint, and is
/// synced there; then the new bundles and tiles are written, and last the checkpoint, beside the
/// old one and renamed over it ([`TileLog::commit`] leaves that for later). A large append does
/// without the journal: its tiles and then its checkpoint are synced themselves. Until the rename
/// the old checkpoint stands, and nothing that it covers was touched. Opening the tree after a
/// crash writes again what the journal holds.
#[derive(Debug)]
pub struct TileLog {
    reader: TreeReader,
    signer: SignerKey,
    edge: Edge,
    /// The checkpoint file as this process knows it, and the size of its tree.
    published: Vec<u8>,
    published_size: u64,
    /// What was appended since: the tiles that became full, and the checkpoint.
    pending: Writes,
    next: Option<Vec<u8>>,
    /// The size of the tree up to which every file is on disk.
    settled: u64,
    /// The appends since then.
    journal: Option<Journal>,
    unsynced: Unsynced,
    stopped: Option<String>,
    _lock: File,
}

impl TileLog {
    /// Opens the tree in `root`, creating an empty one where there is none, and removes what an
    /// interrupted append left. The tree's origin is the name of the key.
    ///
    /// # Errors
    /// When another process holds the tree, the checkpoint is not signed by this key, or the right
    /// edge of the tree does not lead to the checkpoint's root.
    pub fn open(root: &Path, signer: SignerKey) -> Result<Self> {
        fs::create_dir_all(root).map_err(LedgerError::file(root))?;
        let lock = lock(root)?;
        let reader = TreeReader::new(root, signer.verifier().clone());
        recover(&reader)?;
        let path = root.join(CHECKPOINT);
        let published = read_if_there(&path)?;
        if published.is_none() && root.join("tile").exists() {
            return Err(LedgerError::damaged(
                &path,
                "the checkpoint is missing though there are tiles; restore it from a backup, as \
                 starting anew would fork the ledger",
            ));
        }
        let mut log = Self {
            reader,
            signer,
            edge: Edge::empty(),
            published: Vec::new(),
            published_size: 0,
            pending: Writes::new(),
            next: None,
            settled: 0,
            journal: None,
            unsynced: Unsynced::default(),
            stopped: None,
            _lock: lock,
        };
        if let Some(published) = published {
            let (checkpoint, _) = log.reader.checkpoint()?;
            remove_beyond(root, checkpoint.size)?;
            log.edge = load_edge(&log.reader, &checkpoint)?;
            log.published = published;
            log.published_size = log.size();
        } else {
            let note = log.note(&log.edge)?;
            log.publish_durably(note)?;
            if let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty()) {
                sync_folder(parent)?;
            }
        }
        log.settled = log.size();
        // A crash between checkpoint and clean-up may have left the last full tile's partials.
        let width = u64::from(TILE_WIDTH);
        let before = (log.size() / width * width).saturating_sub(1);
        remove_superseded(root, before, log.size());
        Ok(log)
    }

    /// The number of entries in the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.edge.frontier.root()
    }

    /// Reading access, which may be cloned and used while appends go on.
    #[must_use]
    pub const fn reader(&self) -> &TreeReader {
        &self.reader
    }

    /// Appends entries and publishes a checkpoint over them; gives their indices. Nothing happens
    /// for no entries.
    ///
    /// # Errors
    /// [`LedgerError::TooLarge`] for more than [`MAX_BATCH_ENTRIES`], more than
    /// [`MAX_BATCH_BYTES`] or an entry above 65,535 bytes; a file error when the disk is full or
    /// fails. In both cases the tree is as before. [`LedgerError::Stopped`] when an earlier
    /// append failed at a point where its outcome is not known.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Range<u64>> {
        self.publish()?;
        let before = self.edge.clone();
        let (indices, mark) = self.add(entries)?;
        if let Err(error) = self.publish() {
            let undone = match (&mut self.journal, &mark, &self.stopped) {
                // The disk is full, say: then the tree is as before.
                (Some(journal), Some(mark), None) => journal.undo(mark),
                _ => return Err(error),
            };
            if undone.is_err() {
                return self.stop(error.to_string()).map(|()| indices);
            }
            self.edge = before;
            self.pending.clear();
            self.next = None;
            return Err(error);
        }
        Ok(indices)
    }

    /// Appends entries as [`TileLog::append`] does, without publishing them: they and their signed
    /// checkpoint are on disk, in the journal, and readers see them after [`TileLog::publish`].
    ///
    /// # Errors
    /// As [`TileLog::append`].
    pub fn commit<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Range<u64>> {
        self.add(entries).map(|(indices, _)| indices)
    }

    fn add<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<(Range<u64>, Option<Mark>)> {
        if let Some(cause) = &self.stopped {
            return Err(LedgerError::Stopped(cause.clone()));
        }
        let old = self.size();
        if entries.is_empty() {
            return Ok((old..old, None));
        }
        let bytes: usize = entries.iter().map(|entry| entry.as_ref().len()).sum();
        if entries.len() > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES {
            return Err(LedgerError::TooLarge(format!(
                "{} entries of {bytes} bytes in one append; at most {MAX_BATCH_ENTRIES} of \
                 {MAX_BATCH_BYTES}",
                entries.len()
            )));
        }
        let mut edge = self.edge.clone();
        let mut writes = Writes::new();
        for entry in entries {
            edge.push(entry.as_ref(), &mut writes)?;
        }
        let note = self.note(&edge)?;
        self.check_unchanged()?;
        if bytes + 4 * entries.len() > MAX_JOURNALED_BYTES {
            self.settle()?;
            edge.write_partials(old, &mut writes);
            write_durably(self.reader.root_folder(), &files_of(&writes))?;
            self.publish_durably(note)?;
            (self.published_size, self.settled) = (edge.size(), edge.size());
            self.edge = edge;
            remove_superseded(self.reader.root_folder(), old, self.size());
            return Ok((old..self.size(), None));
        }
        if self.unsynced.len() > MAX_UNSYNCED
            || (self.journal.as_ref()).is_some_and(|j| j.len() > MAX_JOURNAL_BYTES)
        {
            self.settle()?;
        }
        let journal = match &mut self.journal {
            Some(journal) => journal,
            none => none.insert(Journal::begin(self.reader.root_folder(), &self.published)?),
        };
        let mark = match journal.add(&note, entries) {
            Err(LedgerError::Stopped(cause)) => return self.stop(cause).map(|()| (old..old, None)),
            other => other?,
        };
        self.pending.append(&mut writes);
        self.next = Some(note);
        self.edge = edge;
        Ok((old..self.size(), Some(mark)))
    }

    /// Lets readers see what was committed: writes its tiles and the checkpoint.
    ///
    /// # Errors
    /// A file error when the disk is full or fails: then the old checkpoint stands, and this may be
    /// called again. [`LedgerError::Stopped`] as for [`TileLog::append`].
    pub fn publish(&mut self) -> Result<()> {
        if let Some(cause) = &self.stopped {
            return Err(LedgerError::Stopped(cause.clone()));
        }
        let Some(note) = &self.next else {
            return Ok(());
        };
        let root = self.reader.root_folder();
        let mut partials = Writes::new();
        self.edge.write_partials(self.published_size, &mut partials);
        self.unsynced.write(root, &files_of(&self.pending))?;
        self.unsynced.write(root, &files_of(&partials))?;
        let next = (PathBuf::from(CHECKPOINT_NEXT), note.as_slice());
        Unsynced::default().write(root, &[next])?;
        if let Err(error) = rename(root, CHECKPOINT_NEXT, CHECKPOINT) {
            return self.stop(error.to_string());
        }
        self.published = self.next.take().unwrap_or_default();
        self.published_size = self.size();
        self.pending.clear();
        Ok(())
    }

    /// Whether the last append stands is not known, so neither tree may be continued before the
    /// files were read again.
    fn stop(&mut self, cause: String) -> Result<()> {
        self.stopped = Some(cause.clone());
        Err(LedgerError::Stopped(cause))
    }

    /// Brings everything to disk, after which the journal is not needed.
    fn settle(&mut self) -> Result<()> {
        self.publish()?;
        if self.journal.is_none() {
            return Ok(());
        }
        if let Err(error) = self.sync() {
            // A system that failed to write may say the next time that nothing is left to write:
            // only the journal still has everything, so it must not end.
            return self.stop(error.to_string());
        }
        let root = self.reader.root_folder();
        Journal::end(root)?;
        self.journal = None;
        // Not before: the edge of the journal's base is read from these partials after a crash.
        remove_superseded(root, self.settled, self.edge.size());
        self.settled = self.edge.size();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let root = self.reader.root_folder();
        self.unsynced.sync()?;
        let path = root.join(CHECKPOINT);
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(LedgerError::file(&path))?;
        sync_folder(root)
    }

    /// Somebody who replaced the checkpoint behind the lock's back would be forked by the next
    /// append, so that is looked for.
    fn check_unchanged(&mut self) -> Result<()> {
        let path = self.reader.root_folder().join(CHECKPOINT);
        if read_if_there(&path)?.as_deref() == Some(self.published.as_slice()) {
            return Ok(());
        }
        let error = LedgerError::damaged(&path, "the checkpoint was changed by somebody else");
        self.stopped = Some(error.to_string());
        Err(error)
    }

    /// The signed checkpoint of a tree with this edge.
    fn note(&self, edge: &Edge) -> Result<Vec<u8>> {
        let path = self.reader.root_folder().join(CHECKPOINT);
        let checkpoint = Checkpoint::new(
            self.signer.verifier().name(),
            edge.size(),
            edge.frontier.root(),
        );
        checkpoint
            .sign(&[&self.signer])
            .map(|note| note.to_string().into_bytes())
            .map_err(|e| LedgerError::damaged(&path, e.to_string()))
    }

    fn publish_durably(&mut self, note: Vec<u8>) -> Result<()> {
        let root = self.reader.root_folder();
        match replace_durably(root, CHECKPOINT_NEXT, CHECKPOINT, &note) {
            Ok(()) => {
                self.published = note;
                Ok(())
            }
            Err(error) => self.stop(error.to_string()),
        }
    }
}

impl Drop for TileLog {
    fn drop(&mut self) {
        // Where this fails, and after an append of unknown outcome, the journal stays for the
        // next start.
        if self.stopped.is_none() {
            let _ = self.settle();
        }
    }
}

/// Tiles as files of the tree's folder.
pub(super) fn files_of(writes: &Writes) -> Vec<(PathBuf, &[u8])> {
    writes
        .iter()
        .map(|(tile, bytes)| (PathBuf::from(tile.path()), bytes.as_slice()))
        .collect()
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(LedgerError::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse(root.to_owned())),
        Err(TryLockError::Error(source)) => Err(LedgerError::File { path, source }),
    }
}

/// Reads the right edge of a stored tree and checks it against the signed root.
pub(super) fn load_edge(reader: &TreeReader, checkpoint: &Checkpoint) -> Result<Edge> {
    let size = checkpoint.size;
    let mut edge = Edge::empty();
    for tile in Tile::partials(size) {
        let bytes = reader.read_tile(tile)?;
        match tile.kind {
            TileKind::Entries => edge.bundle = bytes,
            TileKind::Hashes(level) => {
                let hashes = split_hashes(&bytes);
                if hashes.len() != usize::from(tile.width) || !bytes.len().is_multiple_of(32) {
                    let problem = format!("{} bytes, {} expected", bytes.len(), tile.width * 32);
                    return Err(LedgerError::damaged(
                        &reader.root_folder().join(tile.path()),
                        problem,
                    ));
                }
                edge.levels[usize::from(level)] = hashes;
            }
        }
    }
    let width = (size % u64::from(TILE_WIDTH)) as u16;
    let bundle_path = reader
        .root_folder()
        .join(format!("tile/entries, the last {width}"));
    let bundle = EntryBundle::parse(&edge.bundle, width)
        .map_err(|e| LedgerError::damaged(&bundle_path, e.to_string()))?;
    if !bundle
        .iter()
        .map(leaf_hash)
        .eq(edge.levels[0].iter().copied())
    {
        let problem = "the entries do not have the hashes in tile/0; run `ledger verify`";
        return Err(LedgerError::damaged(&bundle_path, problem));
    }
    edge.frontier = reader.frontier(size)?;
    if edge.frontier.root() != checkpoint.root {
        return Err(LedgerError::damaged(
            reader.root_folder(),
            "the tiles do not lead to the signed root; run `ledger verify`, which names the file",
        ));
    }
    Ok(edge)
}
