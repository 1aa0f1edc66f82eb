//! The invariants of ARCHITECTURE.md, as checks. Each finding names the file and what to do.

mod deploy;
mod layers;
mod nouns;
mod rooms;
mod text;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::process::root;

/// What is wrong, with its place first: `path:line: what to do`.
pub(crate) type Findings = Vec<String>;

pub(crate) fn run() -> Result<()> {
    let root = root();
    let mut findings = Findings::new();
    layers::check(&root, &mut findings)?;
    rooms::check(&root, &mut findings)?;
    nouns::check(&root, &mut findings)?;
    text::check(&root, &mut findings)?;
    deploy::check(&root, &mut findings)?;
    if findings.is_empty() {
        eprintln!("tidy: nothing to say");
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("{} findings", findings.len())
}

/// Files that git would take: tracked ones and new ones that are not ignored.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let listed =
        crate::process::output(std::process::Command::new("git").current_dir(root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
    Ok(listed
        .lines()
        .map(PathBuf::from)
        .filter(|path| root.join(path).is_file())
        .collect())
}
