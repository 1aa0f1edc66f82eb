//! Layers: engines below platform below systems below the binary; and who may name which library.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Findings;
use crate::process::{cargo, output};

/// An engine imports no runtime, no database, no HTTP.
const NOT_IN_ENGINES: &[&str] = &[
    "tokio",
    "sqlx",
    "axum",
    "hyper",
    "reqwest",
    "fjall",
    "datafusion",
    "deltalake",
    "object_store",
    "async-trait",
    "futures",
    "metrics",
    "tracing",
    "config",
    "clap",
    "getrandom",
    "rand",
];

/// Libraries with one owner, and the crates that may name them.
const OWNED: &[(&str, &[&str])] = &[
    ("sqlx", &["sealwright-store"]),
    ("datafusion", &["sealwright-lake"]),
    ("deltalake", &["sealwright-lake"]),
    ("fjall", &["sealwright-intake"]),
    ("argon2", &["sealwright-access"]),
    ("cedar-policy", &["sealwright-access"]),
    ("webauthn_rp", &["sealwright-access"]),
    ("chacha20poly1305", &["sealwright-secret"]),
    ("lettre", &["sealwright-notify"]),
];

pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    let text =
        output(cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let mut layer: BTreeMap<String, String> = BTreeMap::new();
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    for package in packages {
        let (name, path) = identity(package, root);
        layer.insert(name, layer_of(&path).to_owned());
    }
    for package in packages {
        let (name, path) = identity(package, root);
        let here = layer_of(&path);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let needs = dependency["name"].as_str().unwrap_or_default();
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            if needs == name {
                continue;
            }
            if let Some(there) = layer.get(needs)
                && !may_use(here, there)
                && kind != "dev"
            {
                findings.push(format!(
                    "{path}: a crate of `{here}` may not depend on {needs}, which is in `{there}`"
                ));
            }
            if here == "engines" && kind == "normal" && NOT_IN_ENGINES.contains(&needs) {
                findings.push(format!(
                    "{path}: an engine does no I/O and has no runtime, so it may not need {needs}"
                ));
            }
            if kind == "normal"
                && let Some((_, owners)) = OWNED.iter().find(|(library, _)| *library == needs)
                && !owners.contains(&name.as_str())
            {
                findings.push(format!(
                    "{path}: only {} may need {needs}",
                    owners.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn identity(package: &Value, root: &Path) -> (String, String) {
    let name = package["name"].as_str().unwrap_or_default().to_owned();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let path = manifest
        .strip_prefix(root)
        .unwrap_or(manifest)
        .display()
        .to_string();
    (name, path)
}

fn layer_of(path: &str) -> &str {
    for layer in ["engines", "platform", "systems"] {
        if path.starts_with(&format!("crates/{layer}/")) {
            return layer;
        }
    }
    "binary"
}

fn may_use(here: &str, there: &str) -> bool {
    match here {
        "engines" => there == "engines",
        "platform" => there == "engines" || there == "platform",
        // Systems speak through events and through the platform's traits, never to each other.
        "systems" => there == "engines" || there == "platform",
        _ => true,
    }
}
