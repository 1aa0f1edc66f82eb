//! Rule files and event files of a command: found, opened, unpacked, within limits.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sealwright_sigma::Limits;
use sealwright_sigma::collection::Collection;
use sealwright_sigma::modifier::Placeholders;
use sealwright_sigma::pipeline::Pipeline;

use super::{CliError, Output, Result};

/// Endings of rule files.
const RULES: &[&str] = &[".yml", ".yaml"];
/// Endings of event files that a folder is searched for; a file that is named is read whatever its name.
const EVENTS: &[&str] = &[".json", ".ndjson", ".jsonl", ".zst", ".gz"];
/// Files beside rules that hold their tests.
const TESTS: &[&str] = &[".test.yml", ".test.yaml", ".tests.yml", ".tests.yaml"];
/// How deep folders are followed.
const DEEPEST: usize = 32;
/// The largest rule file in bytes.
const LARGEST_RULES: u64 = 32 << 20;

pub(super) fn failed(file: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::File {
        file: file.to_owned(),
        detail: error.to_string(),
    }
}

/// The rule files at these paths, in order; folders are searched, their tests left out.
pub(super) fn rule_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for path in paths {
        walk(
            path,
            &|name| ends(name, RULES) && !ends(name, TESTS),
            0,
            &mut out,
        )?;
    }
    Ok(out)
}

/// The event files at these paths.
pub(super) fn event_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for path in paths {
        walk(path, &|name| ends(name, EVENTS), 0, &mut out)?;
    }
    Ok(out)
}

fn ends(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| name.ends_with(ending))
}

fn walk(
    path: &Path,
    wanted: &dyn Fn(&str) -> bool,
    depth: usize,
    out: &mut Vec<PathBuf>,
) -> Result<()> {
    let about = std::fs::metadata(path).map_err(|error| failed(path, error))?;
    if !about.is_dir() {
        out.push(path.to_owned());
        return Ok(());
    }
    if depth == DEEPEST {
        return Err(failed(
            path,
            format!("folders are nested more than {DEEPEST} deep"),
        ));
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| failed(path, error))? {
        entries.push(entry.map_err(|error| failed(path, error))?.path());
    }
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_dir() || wanted(&name) {
            walk(&entry, wanted, depth + 1, out)?;
        }
    }
    Ok(())
}

/// Opens a file; what ends in `.zst` or `.gz` is unpacked as it is read.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).map_err(|error| failed(path, error))?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let plain: Box<dyn Read> = match ending {
        Some("zst") => Box::new(zstd::Decoder::new(file).map_err(|error| failed(path, error))?),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::with_capacity(1 << 18, plain)))
}

/// A text file of at most `limit` bytes; `-` is standard input.
pub(super) fn text(path: &Path, limit: u64) -> Result<String> {
    let mut bytes = Vec::new();
    open(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(path, error))?;
    if bytes.len() as u64 > limit {
        return Err(failed(
            path,
            format!("the file has more than {limit} bytes"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        failed(
            path,
            format!("the file is not UTF-8: the bytes from {at} on are no text"),
        )
    })
}

/// Pipelines, and the placeholders of all of them.
pub(super) fn pipelines(paths: &[PathBuf]) -> Result<(Vec<Pipeline>, Placeholders)> {
    let mut placeholders = Placeholders::default();
    let mut pipelines = Vec::new();
    for path in paths {
        let pipeline = Pipeline::parse(&path.display().to_string(), &text(path, LARGEST_RULES)?)
            .map_err(|error| CliError::Faults(vec![error.to_string()]))?;
        placeholders.extend(pipeline.placeholders.clone());
        pipelines.push(pipeline);
    }
    Ok((pipelines, placeholders))
}

/// Reads rules. Documents that are refused are in the collection's errors; nothing at all is an error.
pub(super) fn collection(rules: &[PathBuf], pipeline_files: &[PathBuf]) -> Result<Collection> {
    let (pipelines, placeholders) = pipelines(pipeline_files)?;
    let files = rule_files(rules)?;
    if files.is_empty() {
        let named: Vec<String> = rules
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(CliError::Usage(format!(
            "{}: no rule files (.yml, .yaml)",
            named.join(", ")
        )));
    }
    let mut collection = Collection::default();
    for file in &files {
        let text = text(file, LARGEST_RULES)?;
        collection.add(
            &file.display().to_string(),
            &text,
            &Limits::default(),
            &placeholders,
        );
    }
    collection.finish(&pipelines);
    Ok(collection)
}

/// Names everything that was refused or is odd.
pub(super) fn say_errors(collection: &Collection, output: &mut Output<'_>) -> Result<()> {
    for error in &collection.errors {
        output.say(&format!("error: {error}"))?;
    }
    for warning in &collection.warnings {
        output.say(&format!("warning: {warning}"))?;
    }
    Ok(())
}
