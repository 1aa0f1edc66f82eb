//! Tiles: the static files that a tree is served as (C2SP `tlog-tiles`).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::strict_decimal;
use crate::hash::{HASH_LEN, Hash, root_of_leaves};
use crate::proof::{HashSource, Node};

/// Levels of the tree in one tile.
pub const TILE_HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// The highest tile level that a tree of 64-bit size can have.
pub const MAX_TILE_LEVEL: u8 = 7;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes at a tile level; level 0 holds leaf hashes.
    Hashes(u8),
    /// The entries themselves, as a bundle.
    Entries,
}

/// The coordinates of one tile or entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Hashes at a level, or entries.
    pub kind: TileKind,
    /// Position within the level, from the left.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to 256, where 256 is a full tile.
    pub width: u16,
}

impl Tile {
    /// Whether the tile is full. A partial tile lives at its own path and is never hashed into
    /// the level above.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The index of the first leaf or entry below this tile, saturating at `u64::MAX`.
    #[must_use]
    pub const fn first(&self) -> u64 {
        let shift = match self.kind {
            TileKind::Hashes(level) => TILE_HEIGHT as u32 * (level as u32 + 1),
            TileKind::Entries => TILE_HEIGHT as u32,
        };
        if shift >= 64 || self.index > u64::MAX >> shift {
            if self.index == 0 { 0 } else { u64::MAX }
        } else {
            self.index << shift
        }
    }

    /// The path below the log's prefix, for example `tile/0/x001/x234/067.p/8`.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// The tiles of one kind that a tree of `size` entries has and one of `old` had not yet, in
    /// ascending order: full ones, then the partial one.
    fn grown(kind: TileKind, old: u64, size: u64, out: &mut Vec<Self>) {
        let width = u64::from(TILE_WIDTH);
        for index in old / width..size / width {
            out.push(Self {
                kind,
                index,
                width: TILE_WIDTH,
            });
        }
        let rest = size % width;
        if rest > 0 && size > old {
            // Below 256, so the cast keeps the value.
            out.push(Self {
                kind,
                index: size / width,
                width: rest as u16,
            });
        }
    }

    /// Every tile and bundle that must be written when a tree grows from `old` to `new` entries:
    /// bundles first, then levels upwards. Nothing when it does not grow.
    #[must_use]
    pub fn written_by_growth(old: u64, new: u64) -> Vec<Self> {
        let mut tiles = Vec::new();
        Self::grown(TileKind::Entries, old, new, &mut tiles);
        for level in 0..=MAX_TILE_LEVEL {
            let shift = u32::from(level * TILE_HEIGHT);
            if new >> shift == 0 {
                break;
            }
            Self::grown(
                TileKind::Hashes(level),
                old >> shift,
                new >> shift,
                &mut tiles,
            );
        }
        tiles
    }

    /// Every tile and bundle of a tree of `size` entries: all full ones and the partial right
    /// edge. Use for small trees; a large tree has `size / 128` of them.
    #[must_use]
    pub fn all(size: u64) -> Vec<Self> {
        Self::written_by_growth(0, size)
    }

    /// The partial tiles and bundle on the right edge of a tree of `size` entries.
    #[must_use]
    pub fn partials(size: u64) -> Vec<Self> {
        let mut tiles = Vec::new();
        let mut edge = |kind, count: u64| {
            let rest = count % u64::from(TILE_WIDTH);
            if rest > 0 {
                let index = count / u64::from(TILE_WIDTH);
                tiles.push(Self {
                    kind,
                    index,
                    width: rest as u16,
                });
            }
        };
        edge(TileKind::Entries, size);
        for level in 0..=MAX_TILE_LEVEL {
            edge(
                TileKind::Hashes(level),
                size >> u32::from(level * TILE_HEIGHT),
            );
        }
        tiles
    }

    /// The tile at `(kind, index)` as it stands in a tree of `size` entries; `None` when that
    /// tree does not reach it.
    #[must_use]
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let count = match kind {
            TileKind::Hashes(level) if level > MAX_TILE_LEVEL => return None,
            TileKind::Hashes(level) => size >> u32::from(level * TILE_HEIGHT),
            TileKind::Entries => size,
        };
        let full = count / u64::from(TILE_WIDTH);
        let width = match index.cmp(&full) {
            std::cmp::Ordering::Less => TILE_WIDTH,
            std::cmp::Ordering::Equal if !count.is_multiple_of(u64::from(TILE_WIDTH)) => {
                (count % u64::from(TILE_WIDTH)) as u16
            }
            _ => return None,
        };
        Some(Self { kind, index, width })
    }

    /// The tile that holds `node` in a tree of `size` entries, and the hashes in it that the node
    /// is folded from. `None` when the node is not a complete subtree of that tree.
    #[must_use]
    pub fn holding(node: Node, size: u64) -> Option<(Self, std::ops::Range<usize>)> {
        if node.level > 63 {
            return None;
        }
        let level = node.level / TILE_HEIGHT;
        let height = node.level % TILE_HEIGHT;
        let first = node.index.checked_mul(1 << height)?;
        let count = 1_u64 << height;
        let end = first.checked_add(count)?;
        let tile = Self::in_tree(TileKind::Hashes(level), first / u64::from(TILE_WIDTH), size)?;
        let start = (first % u64::from(TILE_WIDTH)) as usize;
        let in_level = size >> u32::from(level * TILE_HEIGHT);
        (end <= in_level).then_some((tile, start..start + count as usize))
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        // Three digits to a path element, all but the last marked with an x.
        let mut groups = [0_u16; 7];
        let mut used = 0;
        let mut rest = self.index;
        loop {
            groups[used] = (rest % 1000) as u16;
            used += 1;
            rest /= 1000;
            if rest == 0 {
                break;
            }
        }
        for group in groups[1..used].iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// The text is not the path of a tile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` is not a tile path: {problem}; expected `tile/<level|entries>/<x000/…>000[.p/<1-255>]`"
)]
pub struct TilePathError {
    /// The path, cut to 200 characters.
    pub path: String,
    /// Which part of it is wrong.
    pub problem: &'static str,
}

impl FromStr for Tile {
    type Err = TilePathError;

    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let fail = |problem| TilePathError {
            path: path.chars().take(200).collect(),
            problem,
        };
        if path.len() > 100 {
            return Err(fail("too long"));
        }
        let rest = path
            .strip_prefix("tile/")
            .ok_or_else(|| fail("does not start with `tile/`"))?;
        let (kind, rest) = rest.split_once('/').ok_or_else(|| fail("no tile index"))?;
        let kind = if kind == "entries" {
            TileKind::Entries
        } else {
            match strict_decimal(kind) {
                Some(level @ 0..=63) => TileKind::Hashes(level as u8),
                _ => return Err(fail("the level must be `entries` or 0 to 63")),
            }
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((index, width)) => match strict_decimal(width) {
                Some(width @ 1..=255) => (index, width as u16),
                _ => return Err(fail("the width of a partial tile must be 1 to 255")),
            },
        };
        let index = parse_index(index).ok_or_else(|| {
            fail("the index must be three digits to an element, all but the last with `x` before")
        })?;
        Ok(Self { kind, index, width })
    }
}

fn parse_index(text: &str) -> Option<u64> {
    let mut elements = text.split('/').peekable();
    let mut index = 0_u64;
    let mut first = true;
    while let Some(element) = elements.next() {
        let is_last = elements.peek().is_none();
        let digits = if is_last {
            element
        } else {
            element.strip_prefix('x')?
        };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // A leading `x000` would be a second name for the same tile.
        if first && !is_last && digits == "000" {
            return None;
        }
        first = false;
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}

/// Where tiles come from: a folder, an HTTP server, memory.
pub trait TileSource {
    /// Why a tile could not be given.
    type Error;

    /// The bytes of a hash tile: exactly `tile.width` hashes. A source that no longer has a
    /// partial tile may answer with the first hashes of the full one.
    ///
    /// # Errors
    /// When the tile cannot be read.
    fn tile(&mut self, tile: Tile) -> Result<Arc<[u8]>, Self::Error>;
}

/// Why a node could not be computed from tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileHashesError<E> {
    /// The source failed.
    #[error("{0}")]
    Source(E),
    /// The tree does not hold the node.
    #[error("a tree of {size} entries has no complete subtree at level {level}, index {index}")]
    OutsideTree {
        /// Level of the node.
        level: u8,
        /// Index of the node.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
    /// The tile has another length than its coordinates say.
    #[error("{path} has {got} bytes, {expected} expected")]
    WrongLength {
        /// The path of the tile.
        path: String,
        /// 32 bytes for each hash.
        expected: usize,
        /// What was read.
        got: usize,
    },
}

/// The hashes of a tree of a given size, read from its tiles; each tile is read once.
#[derive(Debug)]
pub struct TileHashes<S> {
    source: S,
    size: u64,
    cache: HashMap<Tile, Arc<[u8]>>,
}

impl<S: TileSource> TileHashes<S> {
    /// Hashes of the tree of `size` entries.
    pub fn new(source: S, size: u64) -> Self {
        Self {
            source,
            size,
            cache: HashMap::new(),
        }
    }

    /// Gives the source back.
    pub fn into_source(self) -> S {
        self.source
    }

    fn read(&mut self, tile: Tile) -> Result<Arc<[u8]>, TileHashesError<S::Error>> {
        if let Some(bytes) = self.cache.get(&tile) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = self.source.tile(tile).map_err(TileHashesError::Source)?;
        let expected = usize::from(tile.width) * HASH_LEN;
        if bytes.len() != expected {
            return Err(TileHashesError::WrongLength {
                path: tile.path(),
                expected,
                got: bytes.len(),
            });
        }
        self.cache.insert(tile, Arc::clone(&bytes));
        Ok(bytes)
    }
}

impl<S: TileSource> HashSource for TileHashes<S> {
    type Error = TileHashesError<S::Error>;

    fn hashes(&mut self, nodes: &[Node]) -> Result<Vec<Hash>, Self::Error> {
        let mut hashes = Vec::with_capacity(nodes.len());
        for node in nodes {
            let (tile, range) =
                Tile::holding(*node, self.size).ok_or(TileHashesError::OutsideTree {
                    level: node.level,
                    index: node.index,
                    size: self.size,
                })?;
            let bytes = self.read(tile)?;
            let leaves = split_hashes(&bytes[range.start * HASH_LEN..range.end * HASH_LEN]);
            hashes.push(root_of_leaves(leaves));
        }
        Ok(hashes)
    }
}

/// Cuts a tile into its hashes; bytes beyond a multiple of 32 are left out.
#[must_use]
pub fn split_hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes
        .chunks_exact(HASH_LEN)
        .filter_map(Hash::from_slice)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hashes(level: u8, index: u64, width: u16) -> Tile {
        Tile {
            kind: TileKind::Hashes(level),
            index,
            width,
        }
    }

    #[test]
    fn paths_follow_the_specification() {
        assert_eq!(hashes(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(hashes(2, 0, 1).path(), "tile/2/000.p/1");
        assert_eq!(
            Tile {
                kind: TileKind::Entries,
                index: 273,
                width: 112
            }
            .path(),
            "tile/entries/273.p/112"
        );
        for tile in [
            hashes(0, u64::MAX, 255),
            hashes(63, 999, 256),
            hashes(1, 1000, 7),
        ] {
            assert_eq!(tile.path().parse::<Tile>().unwrap(), tile);
        }
        for bad in [
            "",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/64/000",
            "tile/00/000",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/../000",
            "tile/data/000",
            "/tile/0/000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert!(bad.parse::<Tile>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn seventy_thousand_entries_make_the_tiles_of_the_specification() {
        let tiles = Tile::all(70_000);
        let count = |kind, full| {
            tiles
                .iter()
                .filter(|t| t.kind == kind && t.is_full() == full)
                .count()
        };
        assert_eq!(count(TileKind::Hashes(0), true), 273);
        assert_eq!(count(TileKind::Entries, true), 273);
        assert_eq!(count(TileKind::Hashes(1), true), 1);
        assert!(tiles.contains(&hashes(0, 273, 112)));
        assert!(tiles.contains(&hashes(1, 1, 17)));
        assert!(tiles.contains(&hashes(2, 0, 1)));
        assert!(!tiles.iter().any(|t| t.kind == TileKind::Hashes(3)));
        assert_eq!(
            Tile::all(256),
            vec![
                Tile {
                    kind: TileKind::Entries,
                    index: 0,
                    width: 256
                },
                hashes(0, 0, 256),
                hashes(1, 0, 1),
            ]
        );
        assert!(Tile::all(0).is_empty());
    }

    #[test]
    fn growth_in_steps_writes_what_one_growth_has() {
        let end = 1_500;
        let mut seen = std::collections::BTreeSet::new();
        for (old, new) in [
            (0, 1),
            (1, 255),
            (255, 256),
            (256, 257),
            (257, 700),
            (700, end),
        ] {
            let tiles = Tile::written_by_growth(old, new);
            assert!(
                tiles.iter().all(|t| seen.insert(*t)),
                "{old} to {new} wrote a tile again"
            );
        }
        for tile in Tile::all(end) {
            assert!(seen.contains(&tile), "{tile}");
        }
        assert!(Tile::written_by_growth(9, 9).is_empty());
        assert!(Tile::written_by_growth(9, 8).is_empty());
    }

    #[test]
    fn the_right_edge_is_what_is_not_full() {
        for size in [0, 1, 255, 256, 257, 65_535, 65_536, 70_000] {
            let all = Tile::all(size);
            let mut partial: Vec<_> = all.into_iter().filter(|t| !t.is_full()).collect();
            let mut edge = Tile::partials(size);
            partial.sort();
            edge.sort();
            assert_eq!(partial, edge, "size {size}");
        }
    }

    #[test]
    fn first_entry_saturates() {
        assert_eq!(hashes(0, 3, 256).first(), 768);
        assert_eq!(hashes(1, 3, 256).first(), 3 << 16);
        assert_eq!(hashes(7, 0, 1).first(), 0);
        assert_eq!(hashes(7, 1, 1).first(), u64::MAX);
    }
}
