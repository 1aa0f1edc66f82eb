//! Rule files and event files of a command: found, opened, unpacked, within limits.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sealwright_ecs::input::evtx;
use sealwright_sigma::Limits;
use sealwright_sigma::collection::Collection;
use sealwright_sigma::modifier::Placeholders;
use sealwright_sigma::pipeline::Pipeline;

use super::{CliError, Output, Result};

/// Endings of rule files.
const RULES: &[&str] = &[".yml", ".yaml"];
/// Endings of event files that a folder is searched for; a file that is named is read whatever its name.
const EVENTS: &[&str] = &[".json", ".ndjson", ".jsonl", ".evtx", ".zst", ".gz"];
/// Files beside rules that hold their tests.
pub(super) const TESTS: &[&str] = &[".test.yml", ".test.yaml", ".tests.yml", ".tests.yaml"];
/// How deep folders are followed.
const DEEPEST: usize = 32;
/// The largest Windows event log in bytes that is read from standard input or unpacked on the way.
const LARGEST_PACKED_LOG: u64 = 256 << 20;
/// The largest rule file in bytes.
pub(super) const LARGEST_RULES: u64 = 32 << 20;

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

/// The files of tests at these paths.
pub(super) fn test_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for path in paths {
        walk(path, &|name| ends(name, TESTS), 0, &mut out)?;
    }
    // A file of rules may be named itself: its tests are meant.
    let named = |file: &PathBuf| ends(&file.to_string_lossy(), TESTS);
    let mut tests: Vec<PathBuf> = Vec::new();
    for file in out {
        if named(&file) {
            tests.push(file);
            continue;
        }
        let beside: Vec<PathBuf> = TESTS
            .iter()
            .map(|ending| {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                file.with_file_name(format!("{stem}{ending}"))
            })
            .filter(|file| file.exists())
            .collect();
        tests.extend(beside);
    }
    tests.dedup();
    Ok(tests)
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

/// Opens a file of events: lines, or a Windows event log, whose records become lines.
pub(super) fn events(path: &Path) -> Result<Events> {
    let mut reader = open(path)?;
    let start = reader.fill_buf().map_err(|error| failed(path, error))?;
    if !start.starts_with(evtx::MAGIC) {
        return Ok(Events {
            lines: Lines::Plain(reader),
            faults: Vec::new(),
        });
    }
    let packed =
        path.as_os_str() == "-" || path.extension().is_some_and(|e| e == "zst" || e == "gz");
    let file: Box<dyn Seeking> = if packed {
        // Its chunks are not in order, so it has to be at hand as a whole.
        let mut bytes = Vec::new();
        reader
            .take(LARGEST_PACKED_LOG + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(path, error))?;
        if bytes.len() as u64 > LARGEST_PACKED_LOG {
            let detail = format!(
                "unpacked, the log has more than {LARGEST_PACKED_LOG} bytes; unpack it first"
            );
            return Err(failed(path, detail));
        }
        Box::new(std::io::Cursor::new(bytes))
    } else {
        Box::new(File::open(path).map_err(|error| failed(path, error))?)
    };
    let records = evtx::Records::new(file).map_err(|error| failed(path, error))?;
    Ok(Events {
        lines: Lines::Log {
            records,
            line: Vec::new(),
            at: 0,
        },
        faults: Vec::new(),
    })
}

trait Seeking: Read + std::io::Seek {}
impl<T: Read + std::io::Seek> Seeking for T {}

/// Lines of events.
pub(super) struct Events {
    lines: Lines,
    faults: Vec<String>,
}

enum Lines {
    Plain(Box<dyn BufRead>),
    Log {
        records: evtx::Records<Box<dyn Seeking>>,
        line: Vec<u8>,
        at: usize,
    },
}

impl Events {
    /// What could not be read of a Windows event log so far.
    pub(super) fn take_faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }
}

impl Read for Events {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Events {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        match &mut self.lines {
            Lines::Plain(reader) => reader.fill_buf(),
            Lines::Log { records, line, at } => {
                while *at == line.len() {
                    let Some(record) = records.next() else { break };
                    match record {
                        Ok(json) => {
                            *line = json.into_bytes();
                            line.push(b'\n');
                            *at = 0;
                        }
                        Err(error) => self.faults.push(error.to_string()),
                    }
                }
                Ok(&line[*at..])
            }
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.lines {
            Lines::Plain(reader) => reader.consume(count),
            Lines::Log { line, at, .. } => *at = (*at + count).min(line.len()),
        }
    }
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
