//! A log in memory, written the way a log on disk is: tiles of each growth, never changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_merkle::hash::HASH_LEN;
use sealwright_merkle::tile::split_hashes;
use sealwright_merkle::{
    Frontier, Hash, Tile, TileHashes, TileKind, TileSource, append_entry, leaf_hash, root_of_leaves,
};

#[derive(Default, Clone)]
pub(crate) struct MemoryLog {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    frontier: Frontier,
}

impl MemoryLog {
    pub(crate) fn of(sizes: &[u64]) -> Self {
        let mut log = Self::default();
        for &size in sizes {
            let entries = (log.size()..size)
                .map(|i| format!("entry {i}").into_bytes())
                .collect();
            log.grow(entries);
        }
        log
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(crate) fn grow(&mut self, entries: Vec<Vec<u8>>) {
        let old = self.size();
        for entry in &entries {
            self.frontier.push(leaf_hash(entry)).unwrap();
        }
        self.entries.extend(entries);
        for tile in Tile::written_by_growth(old, self.size()) {
            let bytes = self.content(tile);
            assert!(
                self.files.insert(tile.path(), bytes).is_none(),
                "{tile} written twice"
            );
        }
    }

    fn content(&self, tile: Tile) -> Vec<u8> {
        let mut bytes = Vec::new();
        let range = tile.index * 256..tile.index * 256 + u64::from(tile.width);
        for i in range {
            match tile.kind {
                TileKind::Entries => append_entry(&mut bytes, &self.entries[i as usize]).unwrap(),
                TileKind::Hashes(0) => {
                    bytes.extend_from_slice(leaf_hash(&self.entries[i as usize]).as_ref());
                }
                TileKind::Hashes(level) => {
                    let below = Tile {
                        kind: TileKind::Hashes(level - 1),
                        index: i,
                        width: 256,
                    };
                    let below = split_hashes(&self.files[&below.path()]);
                    bytes.extend_from_slice(root_of_leaves(below).as_ref());
                }
            }
        }
        bytes
    }

    pub(crate) fn hashes(&self, size: u64) -> TileHashes<&Self> {
        TileHashes::new(self, size)
    }
}

impl TileSource for &MemoryLog {
    type Error = String;

    fn tile(&mut self, tile: Tile) -> Result<Arc<[u8]>, String> {
        if let Some(bytes) = self.files.get(&tile.path()) {
            return Ok(bytes.as_slice().into());
        }
        // A partial tile that no checkpoint asked for: cut the full one, as a log may.
        let full = Tile { width: 256, ..tile }.path();
        let wider = self.files.range(full.clone()..).find(|(path, bytes)| {
            path.starts_with(&full) && bytes.len() >= usize::from(tile.width) * HASH_LEN
        });
        let (_, bytes) = wider.ok_or_else(|| format!("no {tile}"))?;
        Ok(bytes[..usize::from(tile.width) * HASH_LEN].into())
    }
}
