//! Writing files so that they are there after a crash.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sealwright_merkle::tile::{MAX_TILE_LEVEL, TILE_HEIGHT, TILE_WIDTH};
use sealwright_merkle::{Tile, TileKind};

use crate::error::{LedgerError, Result};

/// Files to sync at the same time. The file system groups syncs that arrive together into one
/// commit, so waiting for them side by side costs little more than waiting for one.
const SYNCS: usize = 8;

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(LedgerError::file(folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Creates `folder` and its missing ancestors below `root`; the folders whose names changed are
/// added to `touched`.
fn create_folders(root: &Path, folder: &Path, touched: &mut BTreeSet<PathBuf>) -> Result<()> {
    let mut missing = Vec::new();
    let mut at = folder;
    while at != root && !at.is_dir() {
        missing.push(at.to_owned());
        match at.parent() {
            Some(parent) => at = parent,
            None => break,
        }
    }
    for folder in missing.into_iter().rev() {
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(LedgerError::File {
                    path: folder,
                    source: e,
                });
            }
            _ => {}
        }
        touched.extend(folder.parent().map(Path::to_owned));
    }
    Ok(())
}

/// Writes files below `root`, each with its folders, and returns when contents and names are on
/// disk. What stood at those paths is replaced.
pub(crate) fn write_durably(root: &Path, contents: &[(PathBuf, &[u8])]) -> Result<()> {
    // Stay far below the usual limit of open files.
    for some in contents.chunks(256) {
        let mut written = Unsynced::default();
        written.write(root, some)?;
        written.sync()?;
    }
    Ok(())
}

/// Files that were written and are perhaps not on disk yet.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    files: Vec<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Unsynced {
    /// Writes files below `root`, each with its folders. What stood at those paths is replaced.
    pub(crate) fn write(&mut self, root: &Path, contents: &[(PathBuf, &[u8])]) -> Result<()> {
        for (relative, bytes) in contents {
            let path = root.join(relative);
            if let Some(folder) = path.parent() {
                create_folders(root, folder, &mut self.folders)?;
                self.folders.insert(folder.to_owned());
            }
            File::create(&path)
                .and_then(|mut file| file.write_all(bytes))
                .map_err(LedgerError::file(&path))?;
            self.files.push(path);
        }
        Ok(())
    }

    /// The number of files.
    pub(crate) const fn len(&self) -> usize {
        self.files.len()
    }

    /// Syncs them and their folders; afterwards there are none.
    pub(crate) fn sync(&mut self) -> Result<()> {
        in_parallel(&self.files, |path| {
            File::open(path)
                .and_then(|file| file.sync_all())
                .map_err(LedgerError::file(path))
        })?;
        let folders: Vec<PathBuf> = self.folders.iter().cloned().collect();
        in_parallel(&folders, |folder| sync_folder(folder))?;
        *self = Self::default();
        Ok(())
    }
}

/// Calls `work` for each item, on a few threads when there are several items.
fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    if items.len() <= 1 {
        return items.iter().try_for_each(work);
    }
    let share = items.len().div_ceil(SYNCS);
    std::thread::scope(|scope| {
        let mut shares = items.chunks(share);
        let mine = shares.next().unwrap_or_default();
        let work = &work;
        let threads: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().try_for_each(work)))
            .collect();
        let mut result = mine.iter().try_for_each(work);
        for thread in threads {
            let theirs = thread
                .join()
                .unwrap_or_else(|_| Err(LedgerError::Task("a sync thread panicked".to_owned())));
            result = result.and(theirs);
        }
        result
    })
}

/// Replaces `name` in `root` by `bytes` in one step: after a crash either the old or the new
/// content is there, whole.
pub(crate) fn replace_durably(root: &Path, next: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let temporary = root.join(next);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(LedgerError::file(&temporary))?;
    rename(root, next, name)?;
    sync_folder(root)
}

/// Gives a file another's name, in one step.
pub(crate) fn rename(root: &Path, next: &str, name: &str) -> Result<()> {
    fs::rename(root.join(next), root.join(name)).map_err(LedgerError::file(root.join(name)))
}

/// A file and whether it is there at all.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // `tile/0/000.p` and the like: a path below a file.
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
        Err(source) => Err(LedgerError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Removes what an interrupted append left beyond a tree of `size` entries, so that no file
/// stands at a path that a later tree gives another content. Only folders on the right edge are
/// read, so the cost does not grow with the tree.
pub(crate) fn remove_beyond(root: &Path, size: u64) -> Result<()> {
    let mut kinds = vec![TileKind::Entries];
    kinds.extend((0..=MAX_TILE_LEVEL).map(TileKind::Hashes));
    for kind in kinds {
        let count = match kind {
            TileKind::Entries => size,
            TileKind::Hashes(level) => size >> (u32::from(level) * u32::from(TILE_HEIGHT)),
        };
        let index = count / u64::from(TILE_WIDTH);
        let edge = Tile {
            kind,
            index,
            width: TILE_WIDTH,
        }
        .path();
        let edge: Vec<&str> = edge.split('/').collect();
        // `tile/<level>` or `tile/entries`
        remove_beyond_in(root, &edge[..2].join("/"), &edge, size)?;
    }
    Ok(())
}

fn remove_beyond_in(root: &Path, relative: &str, edge: &[&str], size: u64) -> Result<()> {
    let folder = root.join(relative);
    let depth = relative.split('/').count();
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(LedgerError::file(&folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(LedgerError::file(&folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{relative}/{name}");
        if entry
            .file_type()
            .map_err(LedgerError::file(entry.path()))?
            .is_dir()
        {
            // An interrupted append reaches a few hundred tiles beyond the edge at most, so a
            // folder that sorts before the edge's holds nothing of it.
            let before = name.starts_with('x')
                && edge
                    .get(depth)
                    .is_some_and(|at| at.starts_with('x') && name.as_str() < *at);
            if !before {
                remove_beyond_in(root, &path, edge, size)?;
            }
        } else if let Ok(tile) = path.parse::<Tile>() {
            let there = Tile::in_tree(tile.kind, tile.index, size);
            if there.is_none_or(|there| tile.width > there.width) {
                fs::remove_file(entry.path()).map_err(LedgerError::file(entry.path()))?;
            }
        }
    }
    Ok(())
}

/// Removes the partial tiles whose tile became full while the tree grew from `old` to `new`
/// entries. Failing to is no error: they are correct, only no longer needed.
pub(crate) fn remove_superseded(root: &Path, old: u64, new: u64) {
    let mut kinds = vec![(TileKind::Entries, 0)];
    kinds.extend((0..=MAX_TILE_LEVEL).map(|level| (TileKind::Hashes(level), level)));
    for (kind, level) in kinds {
        let bits = (u32::from(level) + 1) * u32::from(TILE_HEIGHT);
        let full = |size: u64| size.checked_shr(bits).unwrap_or(0);
        for index in full(old)..full(new) {
            let tile = Tile {
                kind,
                index,
                width: TILE_WIDTH,
            };
            let _ = fs::remove_dir_all(root.join(format!("{tile}.p")));
        }
    }
}
