//! What the paths of a command line name.

use std::path::{Path, PathBuf};

use super::files::{Body, Item};

/// The files of paths: a folder gives what is in it, in the order of names; links inside folders are
/// not followed; `-` is standard input. `skip` says which paths inside folders are left out.
pub fn walk<'a>(
    paths: &'a [PathBuf],
    skip: &'a (dyn Fn(&Path) -> bool + Sync),
) -> impl Iterator<Item = Item> + Send + 'a {
    paths.iter().flat_map(move |root| {
        let single = |body| {
            let item = Item {
                name: root.to_string_lossy().into(),
                note: None,
                body,
            };
            Box::new(std::iter::once(item)) as Box<dyn Iterator<Item = Item> + Send>
        };
        if root.as_os_str() == "-" {
            return single(Body::Stdin);
        }
        match root.metadata() {
            Err(error) => single(Body::Missing(error.to_string())),
            Ok(about) if !about.is_dir() => single(Body::File(root.clone())),
            Ok(_) => Box::new(
                walkdir::WalkDir::new(root)
                    .sort_by_file_name()
                    .into_iter()
                    .filter_entry(move |entry| entry.depth() == 0 || !skip(entry.path()))
                    .filter_map(|entry| entry_of(root, entry)),
            ),
        }
    })
}

fn entry_of(root: &Path, entry: walkdir::Result<walkdir::DirEntry>) -> Option<Item> {
    let (name, body) = match entry {
        Ok(entry) if entry.file_type().is_file() => {
            let path = entry.into_path();
            (path.to_string_lossy().into(), Body::File(path))
        }
        Ok(entry) if entry.file_type().is_dir() || entry.file_type().is_symlink() => return None,
        Ok(entry) => (
            entry.path().to_string_lossy().into(),
            Body::Missing("not a regular file".to_owned()),
        ),
        Err(error) => (
            error.path().unwrap_or(root).to_string_lossy().into(),
            Body::Missing(error.to_string()),
        ),
    };
    Some(Item {
        name,
        note: None,
        body,
    })
}
