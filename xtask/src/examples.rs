//! Every example under `examples/` runs as its README says.

use std::process::Command;

use anyhow::Result;

use crate::process::{output, program, root};

pub(crate) fn run() -> Result<()> {
    let program = program()?;
    let mut plans: Vec<_> = std::fs::read_dir(root().join("examples/plans"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "usage-march"))
        .collect();
    plans.sort();
    let usage = root().join("examples/plans/usage-march.json");
    for plan in plans {
        let text = output(
            Command::new(&program)
                .args(["billing", "rate", "--output", "json", "--plan"])
                .arg(&plan)
                .arg("--usage")
                .arg(&usage),
        )?;
        let rated: serde_json::Value = serde_json::from_str(&text)?;
        anyhow::ensure!(
            rated["total"].is_string(),
            "{}: no total in {text}",
            plan.display()
        );
        eprintln!(
            "{}: {} {}",
            plan.display(),
            rated["total"],
            rated["currency"]
        );
    }
    Ok(())
}
