//! Every example under `examples/` runs as its README says.

use anyhow::Result;

use crate::process::{cargo, output, root};

pub(crate) fn run() -> Result<()> {
    let mut plans: Vec<_> = std::fs::read_dir(root().join("examples/plans"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_stem()
                .is_some_and(|stem| stem != "usage" && stem != "README")
        })
        .collect();
    plans.sort();
    let usage = root().join("examples/plans/usage.csv");
    for plan in plans {
        let text = output(
            cargo()
                .args([
                    "run",
                    "--quiet",
                    "--locked",
                    "--package",
                    "sealwright",
                    "--",
                ])
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
