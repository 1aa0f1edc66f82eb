//! The one writer of a tree.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sealwright_merkle::tile::{TILE_WIDTH, split_hashes};
use sealwright_merkle::{Checkpoint, EntryBundle, Hash, SignerKey, Tile, TileKind, leaf_hash};

use super::edge::Edge;
use super::files::{
    read_if_there, remove_beyond, remove_superseded, replace_durably, sync_folder, write_durably,
};
use super::{CHECKPOINT, CHECKPOINT_NEXT, LOCK, TreeReader};
use crate::error::{LedgerError, Result};

/// The most entries in one append.
pub const MAX_BATCH_ENTRIES: usize = 65_536;
/// The most bytes of entries in one append.
pub const MAX_BATCH_BYTES: usize = 256 << 20;

/// A tree that can grow. One process at a time holds it.
///
/// An append is on disk, and in a signed checkpoint, when the call returns. The order of the
/// steps is what makes it safe: first the new bundles and tiles, synced with their folders; then
/// the checkpoint, written beside the old one, synced and renamed over it. Until the rename the
/// old checkpoint stands, and nothing that it covers was touched.
#[derive(Debug)]
pub struct TileLog {
    reader: TreeReader,
    signer: SignerKey,
    edge: Edge,
    /// The checkpoint file as this process knows it.
    published: Vec<u8>,
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
        let path = root.join(CHECKPOINT);
        let mut log = match read_if_there(&path)? {
            Some(published) => {
                let (checkpoint, _) = reader.checkpoint()?;
                remove_beyond(root, checkpoint.size)?;
                let edge = load_edge(&reader, &checkpoint)?;
                Self {
                    reader,
                    signer,
                    edge,
                    published,
                    stopped: None,
                    _lock: lock,
                }
            }
            None if root.join("tile").exists() => {
                return Err(LedgerError::damaged(
                    &path,
                    "the checkpoint is missing though there are tiles; restore it from a backup, as \
                     starting anew would fork the ledger",
                ));
            }
            None => {
                let edge = Edge::empty();
                let published = Vec::new();
                let mut log = Self {
                    reader,
                    signer,
                    edge,
                    published,
                    stopped: None,
                    _lock: lock,
                };
                log.publish()?;
                if let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty()) {
                    sync_folder(parent)?;
                }
                log
            }
        };
        // A crash between checkpoint and clean-up may have left the last full tile's partials.
        let before = log.size() / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH);
        remove_superseded(root, before.saturating_sub(1), log.size());
        log.stopped = None;
        Ok(log)
    }

    /// The number of entries in the published tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root of the published tree.
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
    /// append failed while the checkpoint was being replaced.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Range<u64>> {
        if let Some(cause) = &self.stopped {
            return Err(LedgerError::Stopped(cause.clone()));
        }
        let old = self.size();
        if entries.is_empty() {
            return Ok(old..old);
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
        let mut writes = Vec::new();
        for entry in entries {
            edge.push(entry.as_ref(), &mut writes)?;
        }
        edge.write_partials(old, &mut writes);
        self.check_unchanged()?;
        let files: Vec<(PathBuf, &[u8])> = writes
            .iter()
            .map(|(tile, bytes)| (PathBuf::from(tile.path()), bytes.as_slice()))
            .collect();
        write_durably(self.reader.root_folder(), &files)?;
        let before = std::mem::replace(&mut self.edge, edge);
        if let Err(error) = self.publish() {
            // Whether the new checkpoint took the old one's place is not known, so neither tree
            // may be continued before the file was read again.
            self.edge = before;
            self.stopped = Some(error.to_string());
            return Err(error);
        }
        remove_superseded(self.reader.root_folder(), old, self.size());
        Ok(old..self.size())
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

    fn publish(&mut self) -> Result<()> {
        let root = self.reader.root_folder();
        let checkpoint =
            Checkpoint::new(self.signer.verifier().name(), self.edge.size(), self.root());
        let note = checkpoint
            .sign(&[&self.signer])
            .map_err(|e| LedgerError::damaged(&root.join(CHECKPOINT), e.to_string()))?
            .to_string()
            .into_bytes();
        replace_durably(root, CHECKPOINT_NEXT, CHECKPOINT, &note)?;
        self.published = note;
        Ok(())
    }
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
fn load_edge(reader: &TreeReader, checkpoint: &Checkpoint) -> Result<Edge> {
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
