//! The right edge of the tree in memory: what the next append continues.

use sealwright_merkle::bundle::EntryTooLong;
use sealwright_merkle::tile::{MAX_TILE_LEVEL, TILE_WIDTH};
use sealwright_merkle::{Frontier, Hash, Tile, TileKind, append_entry, leaf_hash, root_of_leaves};

use crate::error::{LedgerError, Result};

/// Files that an append will write.
pub(crate) type Writes = Vec<(Tile, Vec<u8>)>;

/// The unfinished bundle and tiles on the right, and the frontier for the root.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) frontier: Frontier,
    pub(crate) bundle: Vec<u8>,
    pub(crate) levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of the empty tree.
    pub(crate) fn empty() -> Self {
        Self {
            frontier: Frontier::new(),
            bundle: Vec::new(),
            levels: vec![Vec::new(); usize::from(MAX_TILE_LEVEL) + 1],
        }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends one entry; tiles that it completes go to `writes`.
    pub(crate) fn push(&mut self, entry: &[u8], writes: &mut Writes) -> Result<()> {
        let index = self.size() / u64::from(TILE_WIDTH);
        append_entry(&mut self.bundle, entry)
            .map_err(|e: EntryTooLong| LedgerError::TooLarge(e.to_string()))?;
        let leaf = leaf_hash(entry);
        self.frontier
            .push(leaf)
            .map_err(|e| LedgerError::TooLarge(e.to_string()))?;
        if self.size().is_multiple_of(u64::from(TILE_WIDTH)) {
            let tile = Tile {
                kind: TileKind::Entries,
                index,
                width: TILE_WIDTH,
            };
            writes.push((tile, std::mem::take(&mut self.bundle)));
        }
        let mut hash = leaf;
        let mut index = index;
        for (level, hashes) in (0..).zip(&mut self.levels) {
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let tile = Tile {
                kind: TileKind::Hashes(level),
                index,
                width: TILE_WIDTH,
            };
            let full = std::mem::take(hashes);
            writes.push((tile, bytes_of(&full)));
            hash = root_of_leaves(full);
            index /= u64::from(TILE_WIDTH);
        }
        Ok(())
    }

    /// Adds the partial tiles that a tree grown from `old` entries has and had not yet.
    pub(crate) fn write_partials(&self, old: u64, writes: &mut Writes) {
        let grown = Tile::written_by_growth(old, self.size());
        for tile in grown.into_iter().filter(|tile| !tile.is_full()) {
            let bytes = match tile.kind {
                TileKind::Entries => self.bundle.clone(),
                TileKind::Hashes(level) => bytes_of(&self.levels[usize::from(level)]),
            };
            writes.push((tile, bytes));
        }
    }
}

fn bytes_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
