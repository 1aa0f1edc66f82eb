//! Containers and compressed streams.

use std::io::{Cursor, Read};

use super::kind::Kind;
use super::{Problem, Run, office};
use crate::scan::Source;

/// Reads to the allowance; `None` when there is more than that.
fn bounded(reader: &mut dyn Read, allowance: u64) -> Result<Option<Vec<u8>>, std::io::Error> {
    let mut out = Vec::new();
    reader
        .take(allowance.saturating_add(1))
        .read_to_end(&mut out)?;
    Ok((out.len() as u64 <= allowance).then_some(out))
}

pub(super) fn zip(run: &mut Run<'_>, source: &Source, bytes: &[u8], depth: u32) {
    let Ok(mut archive) = ::zip::ZipArchive::new(Cursor::new(bytes)) else {
        // Without its directory: what the local headers still lead to.
        salvage(run, source, bytes, depth);
        return;
    };
    run.looked = run.looked || archive.is_empty();
    let sheets = archive
        .file_names()
        .flatten()
        .any(|n| n == office::WORKBOOK);
    let mut workbook = sheets.then(office::Workbook::default);
    for i in 0..archive.len() {
        if run.entries >= run.limits.entries {
            run.problem(source, Problem::TooMany);
            break;
        }
        let (name, encrypted, size) = match archive.by_index_raw(i) {
            Ok(file) if file.is_dir() => continue,
            Ok(file) => (
                String::from_utf8_lossy(file.name_raw()).into_owned(),
                file.encrypted(),
                file.size(),
            ),
            Err(_) => {
                run.problem(source, Problem::Corrupt);
                continue;
            }
        };
        let inner = source.inside(&name);
        if encrypted {
            run.problem(&inner, Problem::Encrypted);
            continue;
        }
        let allowance = run.allowance();
        if size > allowance {
            run.problem(&inner, Problem::TooLarge);
            continue;
        }
        let read = match archive.by_index(i) {
            Ok(mut file) => bounded(&mut file, allowance),
            Err(::zip::result::ZipError::UnsupportedArchive(_)) => {
                run.problem(&inner, Problem::Unsupported);
                continue;
            }
            Err(e) => Err(std::io::Error::other(e)),
        };
        match read {
            Ok(Some(data)) => {
                if workbook.as_mut().is_some_and(|w| w.take(&name, &data)) {
                    run.expanded += data.len() as u64;
                } else {
                    run.inner(source, &name, &data, depth);
                }
            }
            Ok(None) => run.problem(&inner, Problem::TooLarge),
            Err(_) => run.problem(&inner, Problem::Corrupt),
        }
    }
    if let Some(workbook) = workbook {
        workbook.scan(run, source);
    }
}

/// Entries of an archive that was cut off, found by their local headers.
fn salvage(run: &mut Run<'_>, source: &Source, bytes: &[u8], depth: u32) {
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, b"PK\x03\x04") {
        let mut reader = &rest[at..];
        let before = reader.len();
        let allowance = run.allowance();
        if let Ok(Some(mut file)) = ::zip::read::read_zipfile_from_stream(&mut reader) {
            let name = String::from_utf8_lossy(file.name_raw()).into_owned();
            if let Ok(Some(data)) = bounded(&mut file, allowance) {
                drop(file);
                run.inner(source, &name, &data, depth);
            }
        }
        let used = before - reader.len();
        rest = &rest[(at + used.max(4)).min(rest.len())..];
        if run.entries >= run.limits.entries {
            break;
        }
    }
    run.problem(source, Problem::Corrupt);
}

pub(super) fn stream(run: &mut Run<'_>, source: &Source, bytes: &[u8], kind: Kind, depth: u32) {
    let allowance = run.allowance();
    let read = match kind {
        Kind::Gzip => bounded(&mut flate2::read::MultiGzDecoder::new(bytes), allowance),
        Kind::Bzip2 => bounded(&mut ::bzip2::read::MultiBzDecoder::new(bytes), allowance),
        Kind::Xz => bounded(&mut lzma_rust2::XzReader::new(bytes, true), allowance),
        Kind::Zstd => match ruzstd::decoding::StreamingDecoder::new(bytes) {
            Ok(mut decoder) => bounded(&mut decoder, allowance),
            Err(e) => Err(std::io::Error::other(e.to_string())),
        },
        _ => Err(std::io::Error::other("no such stream")),
    };
    match read {
        Ok(Some(data)) => {
            let name = unpacked_name(source, kind);
            run.inner(source, &name, &data, depth);
        }
        Ok(None) => {
            run.looked = true;
            run.problem(source, Problem::TooLarge);
        }
        Err(_) => run.problem(source, Problem::Corrupt),
    }
}

/// The name of what a stream holds: the stream's own without its ending.
fn unpacked_name(source: &Source, kind: Kind) -> String {
    let outer = source.inner.as_deref().unwrap_or(&source.path);
    let base = outer.rsplit(['/', '!']).next().unwrap_or(outer);
    let ending = match kind {
        Kind::Gzip => ".gz",
        Kind::Bzip2 => ".bz2",
        Kind::Xz => ".xz",
        Kind::Zstd => ".zst",
        _ => ".lzma",
    };
    if let Some(stem) = base.strip_suffix(".tgz") {
        return format!("{stem}.tar");
    }
    base.strip_suffix(ending).unwrap_or(base).to_owned()
}

/// Tar in its old, POSIX and GNU forms; links are not followed.
pub(super) fn tar(run: &mut Run<'_>, source: &Source, bytes: &[u8], depth: u32) {
    let mut at = 0;
    let mut long_name: Option<String> = None;
    run.looked = true;
    while let Some(block) = bytes.get(at..at + 512) {
        if block.iter().all(|b| *b == 0) {
            return;
        }
        let Some(size) = tar_number(&block[124..136]) else {
            run.problem(source, Problem::Corrupt);
            return;
        };
        let from = at + 512;
        let Some(end) = usize::try_from(size).ok().and_then(|s| from.checked_add(s)) else {
            run.problem(source, Problem::Corrupt);
            return;
        };
        let cut = end > bytes.len();
        let data = &bytes[from.min(bytes.len())..end.min(bytes.len())];
        match block[156] {
            b'L' => long_name = Some(text(data)),
            b'x' => long_name = pax_path(data).or(long_name),
            b'g' | b'K' => {}
            0 | b'0' | b'7' => {
                let name = long_name.take().unwrap_or_else(|| {
                    let prefix = text(&block[345..500]);
                    let name = text(&block[..100]);
                    if &block[257..262] == b"ustar" && !prefix.is_empty() {
                        format!("{prefix}/{name}")
                    } else {
                        name
                    }
                });
                if !run.room(source, data.len() as u64) || run.entries >= run.limits.entries {
                    run.problem(source, Problem::TooMany);
                    return;
                }
                run.inner(source, &name, data, depth);
            }
            _ => long_name = None,
        }
        if cut {
            run.problem(source, Problem::Corrupt);
            return;
        }
        at = from + (end - from).div_ceil(512) * 512;
    }
    if at < bytes.len() {
        run.problem(source, Problem::Corrupt);
    }
}

fn text(field: &[u8]) -> String {
    let end = memchr::memchr(0, field).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn tar_number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return field[field.len() - 8..]
            .iter()
            .try_fold(0_u64, |n, b| n.checked_mul(256)?.checked_add(u64::from(*b)));
    }
    let digits: Vec<u8> = field.iter().copied().filter(u8::is_ascii_digit).collect();
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

fn pax_path(data: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(data, b" path=")? + 6;
    let end = memchr::memchr(b'\n', &data[at..])? + at;
    Some(String::from_utf8_lossy(&data[at..end]).into_owned())
}

pub(super) fn seven_zip(run: &mut Run<'_>, source: &Source, bytes: &[u8], depth: u32) {
    let mut reader =
        match sevenz_rust2::ArchiveReader::new(Cursor::new(bytes), sevenz_rust2::Password::empty())
        {
            Ok(reader) => reader,
            Err(e) => {
                run.problem(source, seven_problem(&e));
                return;
            }
        };
    let total: u64 = reader.archive().files.iter().map(|f| f.size()).sum();
    if total > run.allowance() {
        run.problem(source, Problem::TooLarge);
        return;
    }
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut over = false;
    let allowance = run.allowance();
    let read = reader.for_each_entries(|entry, reader| {
        if entry.is_directory() {
            return Ok(true);
        }
        match bounded(reader, allowance)? {
            Some(data) => files.push((entry.name().to_owned(), data)),
            None => over = true,
        }
        Ok(true)
    });
    for (name, data) in files {
        run.inner(source, &name, &data, depth);
    }
    if over {
        run.problem(source, Problem::TooLarge);
    }
    if let Err(e) = read {
        run.problem(source, seven_problem(&e));
    }
}

fn seven_problem(error: &sevenz_rust2::Error) -> Problem {
    let text = format!("{error:?}").to_ascii_lowercase();
    if text.contains("password")
        || text.contains("aes")
        || text.contains("06f10701")
        || text.contains("encrypt")
    {
        Problem::Encrypted
    } else {
        Problem::Corrupt
    }
}
