//! Where the shared data lies.

use std::path::PathBuf;

/// The folder of the shared data, or `None` (said aloud) when it is absent.
#[allow(clippy::disallowed_methods)] // Tests are told where the data lies.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SEALWRIGHT_SHARED_DATA")
        .map(PathBuf::from)
        .or_else(|| {
            let mut at = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            while at.pop() {
                let candidate = at.join("shared/data");
                if candidate.is_dir() {
                    return Some(candidate);
                }
            }
            None
        });
    let path = root.map(|r| r.join(name)).filter(|p| p.exists());
    if path.is_none() {
        println!("skipped: no data ({name})");
    }
    path
}

/// A JSON file, unpacked when its name ends in `.zst`.
pub(crate) fn json(path: &std::path::Path) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

/// A file, unpacked when its name ends in `.zst`.
pub(crate) fn bytes(path: &std::path::Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "zst") {
        zstd::decode_all(&bytes[..]).unwrap()
    } else {
        bytes
    }
}

/// The files of a plain tar.
pub(crate) fn tar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while at + 512 <= bytes.len() && bytes[at] != 0 {
        let text = |range: std::ops::Range<usize>| {
            let field = &bytes[at + range.start..at + range.end];
            String::from_utf8_lossy(field)
                .trim_matches(|c: char| c == '\0' || c == ' ')
                .to_owned()
        };
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        if bytes[at + 156] == b'0' {
            out.push((text(0..100), bytes[at + 512..at + 512 + size].to_vec()));
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    out
}
