//! Where test data is.

use std::path::{Path, PathBuf};

/// A file of the shared data, where it is present.
#[allow(clippy::disallowed_methods)] // a test has no configuration
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|dir| dir.join("shared/data"))
            .find(|dir| dir.is_dir())?,
    };
    Some(root.join(path)).filter(|p| p.exists())
}

/// A file of the repository's examples.
pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../examples/plans")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}
