//! Checkpoint, bundles and tiles against each other.

use std::collections::{BTreeSet, HashMap};
use std::fs;

use sealwright_merkle::tile::{MAX_TILE_LEVEL, TILE_WIDTH, split_hashes};
use sealwright_merkle::{Checkpoint, EntryBundle, Hash, Tile, TileKind, leaf_hash, root_of_leaves};

use super::Check;
use super::checkpoint;
use super::entries::{Damage, damage_in_bundle, damage_in_tile};
use crate::error::{LedgerError, Result};
use crate::tree::{CHECKPOINT, TreeReader};

const WIDTH: u64 = TILE_WIDTH as u64;

pub(super) fn run(check: &mut Check<'_>) -> Result<()> {
    let listed = list(check)?;
    let in_files = listed.iter().filter_map(end_of_bundle).max().unwrap_or(0);
    let signed = read_checkpoint(check, in_files)?;
    // Without a checkpoint there is still much to compare.
    let size = signed.as_ref().map_or(in_files, |signed| signed.size);
    check.report.size = size;
    let mut tree = Tree {
        size,
        signed,
        old: OldPartials::new(&listed, size),
        roots: Vec::new(),
    };
    check.report.unpublished = tree.old.unpublished;
    let edge = tree.level_zero(check)?;
    let root = whole_root(&tree.roots, &edge);
    check.report.root = Some(root);
    tree.upper_levels(check)?;
    if let Some(signed) = &tree.signed
        && signed.root != root
        && check.report.ok
    {
        check.find(
            CHECKPOINT,
            None,
            None,
            format!(
                "the signed root is {}, the entries lead to {root}: entries and tiles were \
                 rewritten together, or the checkpoint is of another tree",
                signed.root
            ),
        );
    }
    Ok(())
}

/// The root over the roots of the full level-0 tiles and the hashes of the unfinished one.
fn whole_root(full: &[Hash], edge: &[Hash]) -> Hash {
    let mut nodes = full.to_vec();
    if !edge.is_empty() {
        nodes.push(root_of_leaves(edge.to_vec()));
    }
    root_of_leaves(nodes)
}

fn end_of_bundle(tile: &Tile) -> Option<u64> {
    (tile.kind == TileKind::Entries).then(|| {
        tile.index
            .saturating_mul(WIDTH)
            .saturating_add(u64::from(tile.width))
    })
}

fn read_checkpoint(check: &mut Check<'_>, in_files: u64) -> Result<Option<Checkpoint>> {
    let path = check.path(CHECKPOINT);
    let Some(bytes) = crate::tree::read_if_there(&path)? else {
        check.find(CHECKPOINT, None, None, "the checkpoint is missing");
        return Ok(None);
    };
    check.report.files += 1;
    match Checkpoint::open(&bytes, check.reader.key(), &[]) {
        Ok((checkpoint, _)) => Ok(Some(checkpoint)),
        Err(error) => {
            let key = check.reader.key();
            let guess = check.reader.frontier(in_files).ok();
            let guess = guess.map(|tree| Checkpoint::new(key.name(), in_files, tree.root()));
            let Some((at, was, checkpoint)) = checkpoint::repair(&bytes, key, guess.as_ref())
            else {
                check.find(CHECKPOINT, None, None, error.to_string());
                return Ok(None);
            };
            let problem = format!("byte is {:#04x}, was {was:#04x} ({error})", bytes[at]);
            check.find(CHECKPOINT, Some(at as u64), None, problem);
            Ok(Some(checkpoint))
        }
    }
}

/// Every tile in the folder; anything else in it is a finding.
fn list(check: &mut Check<'_>) -> Result<BTreeSet<Tile>> {
    let mut tiles = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(relative) = folders.pop() {
        let folder = check.path(&relative);
        let entries = match fs::read_dir(&folder) {
            // Superseded partial tiles are removed while a server runs.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !relative.is_empty() => continue,
            other => other.map_err(LedgerError::file(&folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(LedgerError::file(&folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if relative.is_empty() {
                name.clone()
            } else {
                format!("{relative}/{name}")
            };
            let kind = match entry.file_type() {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(LedgerError::file(entry.path()))?,
            };
            if kind.is_dir() {
                folders.push(path);
            } else if let Ok(tile) = path.parse::<Tile>() {
                tiles.insert(tile);
            } else if path != CHECKPOINT && !TreeReader::own_files().contains(&path.as_str()) {
                check.find(&path, None, None, "the file is not part of the tree");
            }
        }
    }
    Ok(tiles)
}

/// Partial tiles of earlier checkpoints: each must be the beginning of what stands there now.
struct OldPartials {
    by_tile: HashMap<(TileKind, u64), Vec<Tile>>,
    unpublished: u64,
}

impl OldPartials {
    fn new(listed: &BTreeSet<Tile>, size: u64) -> Self {
        let mut found = Self {
            by_tile: HashMap::new(),
            unpublished: 0,
        };
        for tile in listed {
            match Tile::in_tree(tile.kind, tile.index, size) {
                Some(now) if tile.width < now.width => {
                    found
                        .by_tile
                        .entry((tile.kind, tile.index))
                        .or_default()
                        .push(*tile);
                }
                Some(now) if tile.width == now.width => {}
                _ => found.unpublished += 1,
            }
        }
        found
    }

    /// Checks the older widths of one tile against the hashes that it holds.
    fn check(
        &self,
        check: &mut Check<'_>,
        kind: TileKind,
        index: u64,
        hashes: &[Hash],
    ) -> Result<()> {
        for tile in self.by_tile.get(&(kind, index)).into_iter().flatten() {
            let path = tile.path();
            // Gone since it was listed: the tile has become full.
            let Some(bytes) = crate::tree::read_if_there(&check.path(&path))? else {
                continue;
            };
            check.report.files += 1;
            let hashes = hashes.get(..usize::from(tile.width)).unwrap_or(hashes);
            let damage = match kind {
                TileKind::Entries => damage_in_bundle(&bytes, hashes),
                TileKind::Hashes(_) => damage_in_tile(&bytes, hashes),
            };
            report(check, *tile, damage);
        }
        Ok(())
    }
}

fn report(check: &mut Check<'_>, tile: Tile, damage: Vec<Damage>) {
    for damage in damage {
        let entry = match tile.kind {
            TileKind::Entries | TileKind::Hashes(0) => {
                Some(tile.index * WIDTH + damage.place as u64)
            }
            TileKind::Hashes(_) => None,
        };
        check.find(
            &tile.path(),
            Some(damage.offset as u64),
            entry,
            damage.problem,
        );
    }
}

struct Tree {
    size: u64,
    signed: Option<Checkpoint>,
    old: OldPartials,
    /// The root of each full level-0 tile, as its entries have it.
    roots: Vec<Hash>,
}

impl Tree {
    /// Compares bundles with level-0 tiles and gives the hashes of the unfinished tile.
    fn level_zero(&mut self, check: &mut Check<'_>) -> Result<Vec<Hash>> {
        let mut edge = Vec::new();
        // The stored level-1 tile above the present one.
        let mut above: (u64, Vec<Hash>) = (u64::MAX, Vec::new());
        for index in 0..self.size.div_ceil(WIDTH) {
            let (Some(tile), Some(bundle)) = (
                Tile::in_tree(TileKind::Hashes(0), index, self.size),
                Tile::in_tree(TileKind::Entries, index, self.size),
            ) else {
                break;
            };
            if above.0 != index / WIDTH {
                above.0 = index / WIDTH;
                above.1 = match Tile::in_tree(TileKind::Hashes(1), above.0, self.size) {
                    Some(parent) => split_hashes(&stored(check.reader, parent).unwrap_or_default()),
                    None => Vec::new(),
                };
            }
            let parent = above.1.get((index % WIDTH) as usize).copied();
            let hashes = self.one_tile(check, tile, bundle, parent)?;
            self.old.check(check, TileKind::Hashes(0), index, &hashes)?;
            self.old.check(check, TileKind::Entries, index, &hashes)?;
            if tile.is_full() {
                self.roots.push(root_of_leaves(hashes));
            } else {
                edge = hashes;
            }
        }
        Ok(edge)
    }

    /// Whether a tile with these hashes fits what is above it: its stored parent, or, for the
    /// unfinished tile, the signed root.
    fn fits(&self, tile: Tile, parent: Option<Hash>, hashes: &[Hash]) -> Option<bool> {
        if hashes.len() != usize::from(tile.width) {
            return Some(false);
        }
        if tile.is_full() {
            return parent.map(|parent| root_of_leaves(hashes.to_vec()) == parent);
        }
        self.signed
            .as_ref()
            .map(|signed| whole_root(&self.roots, hashes) == signed.root)
    }

    /// The hashes of one level-0 tile, from whichever of tile and bundle is sound.
    fn one_tile(
        &self,
        check: &mut Check<'_>,
        tile: Tile,
        bundle: Tile,
        parent: Option<Hash>,
    ) -> Result<Vec<Hash>> {
        let tile_bytes = self.read(check, tile)?;
        let bundle_bytes = self.read(check, bundle)?;
        let in_tile = split_hashes(tile_bytes.as_deref().unwrap_or_default());
        let in_bundle: Vec<Hash> = bundle_bytes
            .as_deref()
            .and_then(|bytes| EntryBundle::parse(bytes, bundle.width).ok())
            .map(|bundle| bundle.iter().map(leaf_hash).collect())
            .unwrap_or_default();
        check.report.entries += in_bundle.len() as u64;
        let tile_is_whole = tile_bytes
            .as_ref()
            .is_some_and(|bytes| bytes.len() == usize::from(tile.width) * 32);
        if tile_is_whole && in_tile == in_bundle {
            return Ok(in_bundle);
        }
        // They disagree. What is above decides, and then the other file is compared with it.
        let by_tile = self.fits(tile, parent, &in_tile) == Some(true) && tile_is_whole;
        let by_bundle = self.fits(tile, parent, &in_bundle) == Some(true);
        let truth = match (by_tile, by_bundle) {
            (true, _) => in_tile,
            (_, true) => in_bundle,
            _ => {
                if tile_bytes.is_some() && bundle_bytes.is_some() {
                    let first = in_tile.iter().zip(&in_bundle).position(|(a, b)| a != b);
                    let problem = format!(
                        "{tile} and {bundle} disagree and neither fits what is above them; more \
                         than one file was changed"
                    );
                    let entry = first.map(|i| tile.index * WIDTH + i as u64);
                    check.find(
                        &tile.path(),
                        first.map(|i| i as u64 * 32),
                        entry,
                        problem.clone(),
                    );
                    check.find(&bundle.path(), None, entry, problem);
                }
                let whole = in_bundle.len() == usize::from(tile.width);
                return Ok(if whole { in_bundle } else { in_tile });
            }
        };
        if let Some(bytes) = tile_bytes {
            report(check, tile, damage_in_tile(&bytes, &truth));
        }
        if let Some(bytes) = bundle_bytes {
            report(check, bundle, damage_in_bundle(&bytes, &truth));
        }
        Ok(truth)
    }

    /// Compares each stored tile above level 0 with the roots of the tiles below it.
    fn upper_levels(&self, check: &mut Check<'_>) -> Result<()> {
        let mut below = self.roots.clone();
        for level in 1..=MAX_TILE_LEVEL {
            if below.is_empty() {
                break;
            }
            let mut roots = Vec::with_capacity(below.len() / usize::from(TILE_WIDTH));
            for (index, hashes) in (0..).zip(below.chunks(usize::from(TILE_WIDTH))) {
                let kind = TileKind::Hashes(level);
                let Some(tile) = Tile::in_tree(kind, index, self.size) else {
                    continue;
                };
                if let Some(bytes) = self.read(check, tile)? {
                    report(check, tile, damage_in_tile(&bytes, hashes));
                }
                self.old.check(check, kind, index, hashes)?;
                if tile.is_full() {
                    roots.push(root_of_leaves(hashes.to_vec()));
                }
            }
            below = roots;
        }
        Ok(())
    }

    fn read(&self, check: &mut Check<'_>, tile: Tile) -> Result<Option<Vec<u8>>> {
        let bytes = stored(check.reader, tile);
        match &bytes {
            Some(_) => check.report.files += 1,
            None => check.find(
                &tile.path(),
                None,
                None,
                "the file is missing or cannot be read",
            ),
        }
        Ok(bytes)
    }
}

/// A tile's own file, or the beginning of the full one where a running server has replaced it.
fn stored(reader: &TreeReader, tile: Tile) -> Option<Vec<u8>> {
    reader.read_tile(tile).ok()
}
