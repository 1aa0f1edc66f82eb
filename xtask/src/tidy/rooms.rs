//! The same rooms in each system, migrations in pairs, SQL in its place.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::{Findings, files};

/// Rooms that every system has; a room may be a file or a folder of one file a noun.
const ALWAYS: &[&str] = &["model", "service", "store", "api", "pages", "cli"];
/// Rooms that a system has when it has such work.
const SOMETIMES: &[&str] = &["jobs", "harvest", "consume", "render", "verify", "lib"];

pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    systems(root, findings)?;
    migrations(root, findings)?;
    sql(root, findings)
}

fn systems(root: &Path, findings: &mut Findings) -> Result<()> {
    for system in std::fs::read_dir(root.join("crates/systems"))?.flatten() {
        let name = system.file_name().to_string_lossy().into_owned();
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(system.path().join("src"))?.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            found.insert(file.trim_end_matches(".rs").to_owned());
        }
        for room in ALWAYS.iter().filter(|room| !found.contains(**room)) {
            findings.push(format!(
                "crates/systems/{name}/src: the room `{room}` is missing"
            ));
        }
        for room in &found {
            if !ALWAYS.contains(&room.as_str()) && !SOMETIMES.contains(&room.as_str()) {
                findings.push(format!(
                    "crates/systems/{name}/src/{room}: not one of the rooms {}, {}",
                    ALWAYS.join(", "),
                    SOMETIMES.join(", ")
                ));
            }
        }
        if !root.join(format!("docs/{name}.md")).is_file() {
            findings.push(format!(
                "docs/{name}.md: every system has a page under its own name"
            ));
        }
    }
    Ok(())
}

fn migrations(root: &Path, findings: &mut Findings) -> Result<()> {
    let mut sides: [BTreeSet<String>; 2] = Default::default();
    for path in files(root)? {
        let text = path.display().to_string();
        for (side, store) in ["sqlite", "postgres"].iter().enumerate() {
            let part = format!("/migrations/{store}/");
            if let Some((crate_path, file)) = text.split_once(&part) {
                sides[side].insert(format!("{crate_path} {file}"));
            }
        }
    }
    for missing in sides[0].symmetric_difference(&sides[1]) {
        findings.push(format!(
            "{missing}: a migration needs a text for both databases"
        ));
    }
    Ok(())
}

/// SQL stands in `platform/store`, in `store.rs` (or `store/`) of a crate, and in what only passes a
/// user's own question on (the lake).
fn sql(root: &Path, findings: &mut Findings) -> Result<()> {
    const VERBS: &[&str] = &[
        "\"SELECT ",
        "\"INSERT ",
        "\"UPDATE ",
        "\"DELETE FROM",
        "\"CREATE TABLE",
        "\"WITH ",
    ];
    for path in files(root)? {
        let text = path.display().to_string();
        let product = (text.starts_with("crates/platform/") || text.starts_with("crates/systems/"))
            && text.contains("/src/")
            && text.ends_with(".rs");
        let allowed = text.starts_with("crates/platform/store/")
            || text.starts_with("crates/platform/lake/")
            || text.ends_with("/store.rs")
            || text.contains("/store/")
            || text.ends_with("events/src/consumer.rs");
        if !product || allowed {
            continue;
        }
        let source = std::fs::read_to_string(root.join(&path))?;
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            if !comment && VERBS.iter().any(|verb| line.contains(verb)) {
                findings.push(format!("{text}:{}: SQL belongs in store.rs", number + 1));
            }
        }
    }
    Ok(())
}
