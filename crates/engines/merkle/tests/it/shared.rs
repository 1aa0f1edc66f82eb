//! Finds the shared test material, which is not part of the repository.

use std::path::{Path, PathBuf};

/// The folder `name` of the shared data, or `None` (said on stderr) where it is absent.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let found = match std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        Some(root) => Some(PathBuf::from(root)),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared/data"))
            .find(|folder| folder.is_dir()),
    };
    let found = found
        .map(|root| root.join(name))
        .filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("skipped: no data");
    }
    found
}

/// Every file below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
