//! Packs the detectors of `detectors/**/*.toml` into one file that the library embeds: the same
//! tables without their examples, so that start-up parses no TOML.

#![allow(clippy::disallowed_methods)] // Build scripts get their folders from the environment.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo:rerun-if-changed=detectors");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    walk(&root.join("detectors"), &mut files)?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        println!("cargo:rerun-if-changed={}", file.display());
        let text = fs::read_to_string(&file)?;
        let table: toml::Table = text.parse().map_err(|e| invalid(&file, e))?;
        let Some(toml::Value::Array(list)) = table.get("detector") else {
            return Err(invalid(&file, "no [[detector]] in it"));
        };
        for item in list {
            let mut value = serde_json::to_value(item).map_err(|e| invalid(&file, e))?;
            if let Some(object) = value.as_object_mut() {
                object.remove("positives");
                object.remove("negatives");
            }
            all.push(value);
        }
    }
    let text = serde_json::to_string(&all).map_err(io::Error::other)?;
    fs::write(out.join("detectors.json"), text)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

fn invalid(file: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {why}", file.display()))
}
