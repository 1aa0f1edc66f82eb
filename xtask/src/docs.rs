//! Reference pages that are generated from the program itself.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{output, program, root};

/// What the program prints with `sealwright docs NAME`, and the file that holds it.
const PAGES: &[(&str, &str)] = &[
    ("configuration", "docs/reference/configuration.md"),
    ("cli", "docs/reference/cli.md"),
    ("openapi", "docs/reference/openapi.json"),
    ("events", "docs/reference/events.md"),
];

pub(crate) fn run(check: bool) -> Result<()> {
    let program = program()?;
    let mut stale = Vec::new();
    for (name, file) in PAGES {
        let text = output(Command::new(&program).args(["docs", name]))?;
        let path = root().join(file);
        if std::fs::read_to_string(&path).unwrap_or_default() == text {
            continue;
        }
        if check {
            stale.push(*file);
        } else {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, text)?;
            eprintln!("wrote {file}");
        }
    }
    if !stale.is_empty() {
        bail!(
            "out of date: {}\nhint: run `cargo xtask docs` and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}
