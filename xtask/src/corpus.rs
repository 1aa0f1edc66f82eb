//! The bytes that `bench dlp` scans: sources of the crates that the workspace is built of. Text only: in a Parquet file of
//! 7 MB a scanner that opens it has 42 MB to look at, and one that does not has next to nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{cargo, output, target};

/// Bytes that are scanned; the file that passes it is the last.
const BYTES: u64 = 200_000_000;

/// A folder of them, made once: the packages in the order of their names, so that a lock file gives one corpus.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = target().join("bench-dlp/corpus");
    if folder.is_dir() {
        return Ok(folder);
    }
    let mut sources = Vec::new();
    let metadata = output(cargo().args(["metadata", "--locked", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    for package in metadata["packages"].as_array().context("no packages")? {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        if !package["source"].is_null()
            && let (Some(at), Some(name)) = (manifest.parent(), package["id"].as_str())
        {
            sources.push((name.to_owned(), at.to_owned()));
        }
    }
    sources.sort();
    // What was begun and not ended is not taken for the whole.
    let part = folder.with_extension("part");
    let mut bytes = 0;
    'all: for (_, source) in sources {
        let name = source.file_name().unwrap_or_default();
        for entry in walkdir::WalkDir::new(&source).sort_by_file_name() {
            let entry = entry?;
            if !entry.file_type().is_file() {
                continue;
            }
            let to = part.join(name).join(entry.path().strip_prefix(&source)?);
            std::fs::create_dir_all(to.parent().context("no folder")?)?;
            let content = std::fs::read(entry.path())?;
            if content.contains(&0) || std::str::from_utf8(&content).is_err() {
                continue;
            }
            std::fs::write(to, &content)?;
            bytes += content.len() as u64;
            if bytes >= BYTES {
                break 'all;
            }
        }
    }
    std::fs::rename(part, &folder)?;
    eprintln!("{bytes} bytes of sources");
    Ok(folder)
}
