//! Where the shared data is: `SEALWRIGHT_SHARED_DATA`, or `shared/data` beside the repository.

use std::io::Read as _;
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

/// The 3,780 rules: (path, text).
pub(crate) fn rules(data: &Path) -> Vec<(String, String)> {
    let file = std::fs::File::open(data.join("sigma-rules/sigma-rules.tar.zst")).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    let mut out = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.ends_with(".yml") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            out.push((path.trim_start_matches("sigma/").to_owned(), text));
        }
    }
    out
}

pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
