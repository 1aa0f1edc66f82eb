//! Containers of parts: DOCX, XLSX, PPTX, ODT and plain zip. Parts without findings are copied as
//! they are, the others are written again.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::{ROUNDS, RedactError, Redacted, Redactor, sheets};
use crate::document::{self, Kind, Limits};
use crate::scan::Source;

/// The parts of a container, by name, in its order.
pub(super) type Parts = Vec<(String, Vec<u8>)>;

fn damaged(e: impl std::fmt::Display) -> RedactError {
    RedactError::Damaged {
        reason: e.to_string(),
    }
}

pub(super) fn redact(
    redactor: &Redactor<'_>,
    path: &str,
    bytes: &[u8],
) -> Result<Redacted, RedactError> {
    let mut out = Redacted::unchanged(bytes);
    for round in 0..ROUNDS {
        let report = document::scan(redactor.scanner, path, &out.bytes, &redactor.limits);
        // The outermost part of each finding.
        let touched: BTreeSet<String> = report
            .findings
            .iter()
            .filter_map(|f| f.inner.as_deref())
            .map(|i| i.split('!').next().unwrap_or(i).to_owned())
            .collect();
        if touched.is_empty() {
            break;
        }
        let parts = read(&out.bytes, &redactor.limits)?;
        let mut changed: Parts = Vec::new();
        let workbook = parts.iter().any(|(name, _)| name == document::WORKBOOK);
        if workbook {
            changed = sheets::redact(redactor, &parts, round, &mut out)?;
        }
        for (name, data) in &parts {
            if !touched.contains(name) || workbook && sheets::owns(name) {
                continue;
            }
            let new = part(redactor, name, data)?;
            out.count_all(new.replaced);
            changed.push((name.clone(), new.bytes));
        }
        out.bytes = write(&out.bytes, &changed)?;
    }
    Ok(out)
}

/// One part, as a document of its own.
fn part(redactor: &Redactor<'_>, name: &str, data: &[u8]) -> Result<Redacted, RedactError> {
    // Targets of links are addresses: brackets have no place in them.
    if name.ends_with(".rels") {
        let mut out = Redacted::unchanged(data);
        for _ in 0..ROUNDS {
            let found = redactor.all(&Source::file(name), &out.bytes);
            if found.is_empty() {
                break;
            }
            let mut at = 0;
            let mut bytes = Vec::with_capacity(out.bytes.len());
            for f in &found {
                let (start, end) = (f.start as usize, f.end as usize);
                if start < at {
                    continue;
                }
                bytes.extend_from_slice(&out.bytes[at..start]);
                bytes.extend_from_slice(b"redacted");
                at = end;
            }
            bytes.extend_from_slice(&out.bytes[at..]);
            out.bytes = bytes;
            for f in &found {
                out.count(&f.detector);
            }
        }
        return Ok(out);
    }
    match document::kind_of(data) {
        Kind::Zip | Kind::Pdf | Kind::Utf16Le | Kind::Utf16Be => redactor.document(name, data),
        Kind::Text | Kind::Xml | Kind::Html | Kind::Rtf | Kind::Mail => {
            redactor.text(&Source::file(name), data)
        }
        kind => Err(RedactError::Unsupported {
            what: format!("{name} ({})", kind.as_str()),
        }),
    }
}

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Parts, RedactError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut parts = Vec::new();
    let mut room = limits.expanded;
    for i in 0..archive.len() {
        let file = archive.by_index(i).map_err(damaged)?;
        if file.is_dir() {
            continue;
        }
        let name = String::from_utf8_lossy(file.name_raw()).into_owned();
        let mut data = Vec::new();
        file.take(room.saturating_add(1))
            .read_to_end(&mut data)
            .map_err(damaged)?;
        room = room
            .checked_sub(data.len() as u64)
            .ok_or_else(|| damaged("over the expansion limit"))?;
        parts.push((name, data));
    }
    Ok(parts)
}

/// The container again, with these parts in place of theirs. A part without bytes is left out.
pub(super) fn write(bytes: &[u8], changed: &Parts) -> Result<Vec<u8>, RedactError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(bytes.len())));
    for i in 0..archive.len() {
        let file = archive.by_index_raw(i).map_err(damaged)?;
        let name = String::from_utf8_lossy(file.name_raw()).into_owned();
        match changed.iter().find(|(n, _)| *n == name) {
            None => writer.raw_copy_file(file).map_err(damaged)?,
            Some((_, data)) if data.is_empty() => {}
            Some((_, data)) => {
                let stored = file.compression() == CompressionMethod::Stored;
                let options = SimpleFileOptions::default()
                    .compression_method(if stored {
                        CompressionMethod::Stored
                    } else {
                        CompressionMethod::Deflated
                    })
                    .last_modified_time(DateTime::default());
                drop(file);
                writer.start_file(name, options).map_err(damaged)?;
                writer.write_all(data).map_err(damaged)?;
            }
        }
    }
    Ok(writer.finish().map_err(damaged)?.into_inner())
}
