//! What a file is, by its bytes.

use serde::Serialize;

/// Forms of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Kind {
    Avro,
    Binary,
    Bzip2,
    Empty,
    Gif,
    Gzip,
    Html,
    Jpeg,
    Lzma,
    Mail,
    OldOffice,
    Parquet,
    Pdf,
    Png,
    Rar,
    Rtf,
    SevenZip,
    Sqlite,
    Tar,
    Text,
    Tiff,
    Utf16Be,
    Utf16Le,
    Utf32Be,
    Utf32Le,
    Webp,
    Xml,
    Xz,
    Zip,
    Zstd,
}

impl Kind {
    /// A word for reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avro => "Avro",
            Self::Binary => "binary",
            Self::Bzip2 => "bzip2",
            Self::Empty => "empty",
            Self::Gif => "GIF",
            Self::Gzip => "gzip",
            Self::Html => "HTML",
            Self::Jpeg => "JPEG",
            Self::Lzma => "lzma",
            Self::Mail => "mail",
            Self::OldOffice => "old office document",
            Self::Parquet => "Parquet",
            Self::Pdf => "PDF",
            Self::Png => "PNG",
            Self::Rar => "RAR",
            Self::Rtf => "RTF",
            Self::SevenZip => "7z",
            Self::Sqlite => "SQLite",
            Self::Tar => "tar",
            Self::Text => "text",
            Self::Tiff => "TIFF",
            Self::Utf16Be => "UTF-16BE",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf32Be => "UTF-32BE",
            Self::Utf32Le => "UTF-32LE",
            Self::Webp => "WebP",
            Self::Xml => "XML",
            Self::Xz => "xz",
            Self::Zip => "ZIP",
            Self::Zstd => "zstd",
        }
    }
}

const MAGIC: &[(&[u8], Kind)] = &[
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"\x1f\x8b\x08", Kind::Gzip),
    (b"BZh", Kind::Bzip2),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"Rar!\x1a\x07", Kind::Rar),
    (b"\x89PNG\r\n\x1a\n", Kind::Png),
    (b"\xff\xd8\xff", Kind::Jpeg),
    (b"II*\0", Kind::Tiff),
    (b"MM\0*", Kind::Tiff),
    (b"GIF8", Kind::Gif),
    (b"PAR1", Kind::Parquet),
    (b"Obj\x01", Kind::Avro),
    (b"SQLite format 3\0", Kind::Sqlite),
    (b"{\\rtf", Kind::Rtf),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::OldOffice),
    (b"\xff\xfe\0\0", Kind::Utf32Le),
    (b"\0\0\xfe\xff", Kind::Utf32Be),
    (b"\xff\xfe", Kind::Utf16Le),
    (b"\xfe\xff", Kind::Utf16Be),
];

/// Tells the form.
pub(crate) fn of(bytes: &[u8]) -> Kind {
    if bytes.is_empty() {
        return Kind::Empty;
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(m, _)| bytes.starts_with(m)) {
        return *kind;
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Kind::Webp;
    }
    let head = &bytes[..bytes.len().min(1_024)];
    if memchr::memmem::find(head, b"%PDF-").is_some() {
        return Kind::Pdf;
    }
    if bytes.get(257..262) == Some(b"ustar") || old_tar(bytes) {
        return Kind::Tar;
    }
    if let Some(kind) = wide(bytes) {
        return kind;
    }
    let start = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start();
    let lower = start[..start.len().min(64)].to_ascii_lowercase();
    if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        return Kind::Html;
    }
    if lower.starts_with(b"<?xml") || lower.starts_with(b"<!doctype") {
        return Kind::Xml;
    }
    if start.first() == Some(&b'<')
        && start
            .get(1)
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'!')
    {
        let html = [
            &b"<body"[..],
            b"<div",
            b"<p>",
            b"<p ",
            b"<table",
            b"<head",
            b"<br",
            b"<span",
            b"<script",
        ];
        let found = html.iter().any(|t| crate::filter::contains(head, t));
        return if found { Kind::Html } else { Kind::Xml };
    }
    if mail(head) {
        return Kind::Mail;
    }
    let zeros = head.iter().filter(|b| **b == 0).count();
    let odd = head
        .iter()
        .filter(|b| **b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 0))
        .count();
    if zeros * 50 > head.len() || odd * 20 > head.len() {
        return Kind::Binary;
    }
    Kind::Text
}

/// A header block whose sum is right, as tar had before `ustar`.
fn old_tar(bytes: &[u8]) -> bool {
    let Some(block) = bytes.get(..512) else {
        return false;
    };
    let field = &block[148..156];
    let digits: Vec<u8> = field.iter().copied().filter(u8::is_ascii_digit).collect();
    let Ok(Ok(stated)) = std::str::from_utf8(&digits).map(|t| u32::from_str_radix(t, 8)) else {
        return false;
    };
    let total: u32 = block
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(*b)
            }
        })
        .sum();
    stated == total && stated > 0 && block[0] != 0
}

/// UTF-16 without a mark: every other byte of western text is zero.
fn wide(bytes: &[u8]) -> Option<Kind> {
    let head = &bytes[..bytes.len().min(512) & !1];
    if head.len() < 8 {
        return None;
    }
    let zero = |offset: usize| {
        head.iter()
            .skip(offset)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let printable = |offset: usize| {
        head.iter()
            .skip(offset)
            .step_by(2)
            .filter(|b| matches!(b, 0x20..=0x7e | b'\n' | b'\r' | b'\t'))
            .count()
    };
    let half = head.len() / 2;
    if zero(1) * 10 >= half * 8 && printable(0) * 10 >= half * 8 {
        return Some(Kind::Utf16Le);
    }
    if zero(0) * 10 >= half * 8 && printable(1) * 10 >= half * 8 {
        return Some(Kind::Utf16Be);
    }
    None
}

/// Header fields at the start, some of which only mail has.
fn mail(head: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] = [
        b"from:",
        b"to:",
        b"subject:",
        b"date:",
        b"message-id:",
        b"received:",
        b"return-path:",
        b"mime-version:",
        b"delivered-to:",
    ];
    let mut known = 0;
    let mut lines = 0;
    for line in head.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line[0] == b' ' || line[0] == b'\t' || line.starts_with(b"From ") {
            continue;
        }
        lines += 1;
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        if colon == 0
            || !line[..colon]
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        {
            return lines > 3 && known >= 3;
        }
        let lower = line[..=colon].to_ascii_lowercase();
        known += usize::from(FIELDS.iter().any(|f| lower == *f));
    }
    known >= 2 && known * 3 >= lines
}
