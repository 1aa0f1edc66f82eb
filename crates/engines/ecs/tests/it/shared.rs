//! Where the shared data is: `SEALWRIGHT_SHARED_DATA`, or `shared/data` beside the repository.

use std::path::{Path, PathBuf};

#[allow(clippy::disallowed_methods)]
pub(crate) fn data() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        return Some(PathBuf::from(dir).join("siem")).filter(|p| p.is_dir());
    }
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|p| p.join("shared/data/siem"))
        .find(|p| p.is_dir());
    if found.is_none() {
        println!("skipped: no data");
    }
    found
}

/// Lines of a file, which may be compressed.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let bytes = if path.extension().is_some_and(|e| e == "zst") {
        zstd::decode_all(bytes.as_slice()).unwrap()
    } else {
        bytes
    };
    String::from_utf8(bytes)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}
