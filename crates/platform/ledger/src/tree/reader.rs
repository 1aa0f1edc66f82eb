//! Reading a tree from its folder: entries, roots and proofs. Needs no lock, as published files
//! never change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwright_merkle::hash::HASH_LEN;
use sealwright_merkle::proof::ProveError;
use sealwright_merkle::tile::{TILE_WIDTH, TileHashesError};
use sealwright_merkle::{
    Checkpoint, EntryBundle, Frontier, Hash, HashSource, SignedNote, Tile, TileHashes, TileKind,
    TileSource, TlogProof, VerifierKey, leaf_hash, prove_consistency, prove_inclusion,
};

use super::files::read_if_there;
use super::{CHECKPOINT, LOCK};
use crate::error::{LedgerError, Result};

/// An entry as it stands in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its index, from 0.
    pub index: u64,
    /// Its bytes: what is hashed into the tree.
    pub bytes: Vec<u8>,
}

/// A tree's folder and the key that its checkpoints are signed with.
#[derive(Debug, Clone)]
pub struct TreeReader {
    root: PathBuf,
    key: VerifierKey,
}

impl TreeReader {
    /// A reader of the tree in `root`, whose checkpoints `key` must have signed.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, key: VerifierKey) -> Self {
        Self {
            root: root.into(),
            key,
        }
    }

    /// The tree's folder.
    #[must_use]
    pub fn root_folder(&self) -> &Path {
        &self.root
    }

    /// The key that checkpoints are checked with.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The published checkpoint and the note that it came in, after checking its signature.
    ///
    /// # Errors
    /// When there is none, or it is not signed by the key.
    pub fn checkpoint(&self) -> Result<(Checkpoint, SignedNote)> {
        let path = self.root.join(CHECKPOINT);
        let bytes = fs::read(&path).map_err(LedgerError::file(&path))?;
        Checkpoint::open(&bytes, &self.key, &[])
            .map_err(|e| LedgerError::damaged(&path, e.to_string()))
    }

    /// The bytes of a tile or bundle in a tree of `size` entries: the partial file, or, where it is
    /// gone because the tile has become full, the first part of the full one.
    pub(crate) fn read_tile(&self, tile: Tile) -> Result<Vec<u8>> {
        let path = self.root.join(tile.path());
        if let Some(bytes) = read_if_there(&path)? {
            return Ok(bytes);
        }
        let full = Tile {
            width: TILE_WIDTH,
            ..tile
        };
        let wider = if tile.is_full() {
            None
        } else {
            read_if_there(&self.root.join(full.path()))?
        };
        let Some(bytes) = wider else {
            return Err(LedgerError::damaged(
                &path,
                "the file is missing; restore a backup",
            ));
        };
        match tile.kind {
            TileKind::Hashes(_) => Ok(bytes
                .get(..usize::from(tile.width) * HASH_LEN)
                .unwrap_or(&bytes)
                .to_vec()),
            TileKind::Entries => {
                let bundle = EntryBundle::parse(&bytes, TILE_WIDTH).map_err(|e| {
                    LedgerError::damaged(&self.root.join(full.path()), e.to_string())
                })?;
                let last = bundle.range(usize::from(tile.width) - 1);
                Ok(bytes[..last.map_or(0, |range| range.end)].to_vec())
            }
        }
    }

    fn bundle_of(&self, index: u64, size: u64) -> Result<(Tile, Vec<u8>)> {
        let tile = Tile::in_tree(TileKind::Entries, index / u64::from(TILE_WIDTH), size)
            .filter(|_| index < size)
            .ok_or_else(|| LedgerError::NotFound(format!("{index}; the tree has {size}")))?;
        Ok((tile, self.read_tile(tile)?))
    }

    /// The entry at `index` of the tree of `size` entries, as stored; its place in the tree is
    /// proven by [`TreeReader::prove`].
    ///
    /// # Errors
    /// When the tree has no such entry or its bundle cannot be read.
    pub fn entry(&self, index: u64, size: u64) -> Result<StoredEntry> {
        let (tile, bytes) = self.bundle_of(index, size)?;
        let damaged = |problem: String| LedgerError::damaged(&self.root.join(tile.path()), problem);
        let bundle = EntryBundle::parse(&bytes, tile.width).map_err(|e| damaged(e.to_string()))?;
        let place = (index % u64::from(TILE_WIDTH)) as usize;
        let bytes = bundle
            .get(place)
            .ok_or_else(|| damaged(format!("no entry {place}")))?;
        Ok(StoredEntry {
            index,
            bytes: bytes.to_vec(),
        })
    }

    /// Calls `visit` for every entry from `first` on, in order, until it answers `false`.
    ///
    /// # Errors
    /// When a bundle cannot be read.
    pub fn scan(
        &self,
        first: u64,
        size: u64,
        mut visit: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<()> {
        let mut index = first;
        while index < size {
            let (tile, bytes) = self.bundle_of(index, size)?;
            let bundle = EntryBundle::parse(&bytes, tile.width)
                .map_err(|e| LedgerError::damaged(&self.root.join(tile.path()), e.to_string()))?;
            for entry in bundle.iter().skip((index % u64::from(TILE_WIDTH)) as usize) {
                if !visit(index, entry) {
                    return Ok(());
                }
                index += 1;
            }
        }
        Ok(())
    }

    /// Gives the files of the published tree one after another, by their names in the tree's folder, the
    /// checkpoint last: a copy that is a tree of its own, of one moment, while appends go on.
    ///
    /// # Errors
    /// When a file cannot be read, or `take` refuses one.
    pub fn copy(
        &self,
        mut take: impl FnMut(&str, &[u8]) -> std::io::Result<()>,
    ) -> Result<Checkpoint> {
        let path = self.root.join(CHECKPOINT);
        let note = fs::read(&path).map_err(LedgerError::file(&path))?;
        let (checkpoint, _) = Checkpoint::open(&note, &self.key, &[])
            .map_err(|e| LedgerError::damaged(&path, e.to_string()))?;
        for tile in Tile::all(checkpoint.size) {
            let name = tile.path();
            let bytes = self.read_tile(tile)?;
            take(&name, &bytes).map_err(LedgerError::file(&name))?;
        }
        take(CHECKPOINT, &note).map_err(LedgerError::file(CHECKPOINT))?;
        Ok(checkpoint)
    }

    /// The hashes of the tree of `size` entries.
    pub(crate) fn hashes(&self, size: u64) -> TileHashes<&Self> {
        TileHashes::new(self, size)
    }

    /// The proof that the entry at `index` is in the published tree, verified before it is
    /// given out, and the entry itself.
    ///
    /// # Errors
    /// When the tree has no such entry, or its files do not lead to the signed root.
    pub fn prove(&self, index: u64) -> Result<(StoredEntry, TlogProof)> {
        let (checkpoint, note) = self.checkpoint()?;
        let entry = self.entry(index, checkpoint.size)?;
        let proof = self.flatten(prove_inclusion(
            &mut self.hashes(checkpoint.size),
            index,
            checkpoint.size,
        ))?;
        let proof = TlogProof {
            extra: None,
            index,
            proof,
            checkpoint: note,
        };
        proof
            .verify(&leaf_hash(&entry.bytes), &self.key, &[])
            .map_err(|e| {
                let problem = format!("entry {index}: {e}; `ledger verify` names the damaged file");
                LedgerError::damaged(&self.root, problem)
            })?;
        Ok((entry, proof))
    }

    /// The proof that the published tree begins with the tree of `old` entries.
    ///
    /// # Errors
    /// When `old` is larger than the published tree, or a tile cannot be read.
    pub fn prove_growth(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        self.flatten(prove_consistency(&mut self.hashes(new), old, new))
    }

    /// The frontier of the tree of `size` entries.
    pub(crate) fn frontier(&self, size: u64) -> Result<Frontier> {
        Frontier::load(&mut self.hashes(size), size).map_err(|e| self.tile_error(e))
    }

    fn tile_error(&self, error: TileHashesError<LedgerError>) -> LedgerError {
        match error {
            TileHashesError::Source(e) => e,
            other => LedgerError::damaged(&self.root, other.to_string()),
        }
    }

    fn flatten<T>(
        &self,
        result: Result<T, ProveError<<TileHashes<&Self> as HashSource>::Error>>,
    ) -> Result<T> {
        result.map_err(|e| match e {
            ProveError::Source(e) => self.tile_error(e),
            ProveError::Plan(e) => LedgerError::NotFound(e.to_string()),
            other => LedgerError::damaged(&self.root, other.to_string()),
        })
    }

    /// The names in the tree's folder that are not part of the tree and not looked at.
    pub(crate) const fn own_files() -> [&'static str; 4] {
        [
            LOCK,
            super::CHECKPOINT_NEXT,
            super::JOURNAL,
            super::JOURNAL_NEXT,
        ]
    }
}

impl TileSource for &TreeReader {
    type Error = LedgerError;

    fn tile(&mut self, tile: Tile) -> Result<Arc<[u8]>, LedgerError> {
        self.read_tile(tile).map(Into::into)
    }
}
