//! Texts whose bytes are not the letters themselves.

use super::kind::Kind;
use crate::decode::{Ratio, View};

/// UTF-16 and UTF-32 as UTF-8, with or without a mark in front.
pub(crate) fn wide(bytes: &[u8], kind: Kind) -> View {
    let mut view = View::default();
    let mut buffer = [0_u8; 4];
    let (width, little) = match kind {
        Kind::Utf16Le => (2, true),
        Kind::Utf16Be => (2, false),
        Kind::Utf32Le => (4, true),
        _ => (4, false),
    };
    let unit = |at: usize| -> Option<u32> {
        let b = bytes.get(at..at + width)?;
        Some(match (width, little) {
            (2, true) => u32::from(u16::from_le_bytes([b[0], b[1]])),
            (2, false) => u32::from(u16::from_be_bytes([b[0], b[1]])),
            (_, true) => u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            (_, false) => u32::from_be_bytes([b[0], b[1], b[2], b[3]]),
        })
    };
    let mut at = 0;
    let mut run: Vec<u8> = Vec::new();
    let mut run_at = 0;
    while let Some(code) = unit(at) {
        let mut used = width;
        let mut c = code;
        if width == 2
            && (0xd800..0xdc00).contains(&code)
            && let Some(low) = unit(at + 2).filter(|l| (0xdc00..0xe000).contains(l))
        {
            c = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            used = 4;
        }
        if at == 0 && c == 0xfeff {
            at += used;
            continue;
        }
        if c < 0x80 && width == 2 {
            if run.is_empty() {
                run_at = at;
            }
            run.push(c as u8);
        } else {
            view.push(&run, run_at, Ratio::Double);
            run.clear();
            let text = char::from_u32(c)
                .unwrap_or('\u{fffd}')
                .encode_utf8(&mut buffer);
            view.push(text.as_bytes(), at, Ratio::Point);
        }
        at += used;
    }
    view.push(&run, run_at, Ratio::Double);
    view.finish(bytes.len());
    view
}

/// Runs of letters in bytes that are no text, narrow and wide ones, a line each.
pub(crate) fn strings(bytes: &[u8]) -> View {
    const SHORTEST: usize = 8;
    let mut view = View::default();
    let text = |b: u8| (0x20..0x7f).contains(&b) || b == b'\t';
    let mut i = 0;
    while i < bytes.len() {
        if !text(bytes[i]) {
            i += 1;
            continue;
        }
        let start = i;
        while i < bytes.len() && (text(bytes[i]) || matches!(bytes[i], b'\n' | b'\r')) {
            i += 1;
        }
        if i - start >= SHORTEST {
            view.push(&bytes[start..i], start, Ratio::Same);
            view.push(b"\n", i, Ratio::Point);
        } else if i - start == 1 && bytes.get(i) == Some(&0) {
            // Wide letters.
            let mut end = start;
            while end + 1 < bytes.len() && text(bytes[end]) && bytes[end + 1] == 0 {
                end += 2;
            }
            if (end - start) / 2 >= SHORTEST {
                let letters: Vec<u8> = bytes[start..end].iter().step_by(2).copied().collect();
                view.push(&letters, start, Ratio::Double);
                view.push(b"\n", end, Ratio::Point);
            }
            i = end.max(i);
        }
    }
    view.finish(bytes.len());
    view
}

/// Whether the bytes hold a word in wide letters.
pub(crate) fn utf16_in(bytes: &[u8], word: &str) -> bool {
    let wide: Vec<u8> = word.bytes().flat_map(|b| [b, 0]).collect();
    memchr::memmem::find(bytes, &wide).is_some()
}

/// The lines that have escapes of JSON or of programs in them (`\u0040`, `\x40`, `\/`), with the
/// escapes undone, or `None` when there are none.
pub(crate) fn unescaped(bytes: &[u8]) -> Option<View> {
    let mut view = View::default();
    let hex = |s: &[u8]| {
        std::str::from_utf8(s)
            .ok()
            .and_then(|t| u32::from_str_radix(t, 16).ok())
    };
    let telling = |at: usize| {
        matches!(bytes.get(at + 1), Some(b'/' | b'x')) || bytes.get(at + 1..at + 4) == Some(b"u00")
    };
    let mut done = 0;
    for first in memchr::memchr_iter(b'\\', bytes) {
        if first < done || !telling(first) {
            continue;
        }
        let start = memchr::memrchr(b'\n', &bytes[done..first]).map_or(done, |i| done + i + 1);
        let end = memchr::memchr(b'\n', &bytes[first..]).map_or(bytes.len(), |i| first + i + 1);
        line(&mut view, bytes, start, end, hex);
        done = end;
    }
    view.finish(bytes.len());
    (!view.bytes.is_empty()).then_some(view)
}

fn line(
    view: &mut View,
    bytes: &[u8],
    start: usize,
    end: usize,
    hex: impl Fn(&[u8]) -> Option<u32>,
) {
    let mut buffer = [0_u8; 4];
    let mut from = start;
    for at in memchr::memchr_iter(b'\\', &bytes[start..end]).map(|i| start + i) {
        if at < from {
            continue;
        }
        let (c, used) = match bytes.get(at + 1) {
            Some(b'u') => (bytes.get(at + 2..at + 6).and_then(&hex), 6),
            Some(b'x') => (bytes.get(at + 2..at + 4).and_then(&hex), 4),
            Some(b'/') => (Some(u32::from(b'/')), 2),
            Some(b'n') => (Some(u32::from(b'\n')), 2),
            Some(b't') => (Some(u32::from(b'\t')), 2),
            Some(b'"') => (Some(u32::from(b'"')), 2),
            _ => continue,
        };
        let Some(c) = c.and_then(char::from_u32) else {
            continue;
        };
        view.push(&bytes[from..at], from, Ratio::Same);
        view.push(c.encode_utf8(&mut buffer).as_bytes(), at, Ratio::Point);
        from = (at + used).min(end);
    }
    view.push(&bytes[from..end], from, Ratio::Same);
}
