//! Bytes to lines: NDJSON and plain text, each line on its own.

use crate::{MAX_BYTES, Refusal};

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, or why it has none: one bad line does not affect its neighbours.
    pub text: Result<&'a str, Refusal>,
}

/// The lines of a file that are not empty. A byte order mark at the start is left out.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .split(|b| *b == b'\n')
        .enumerate()
        .map(|(i, l)| (i + 1, l.trim_ascii()))
        .filter(|(_, l)| !l.is_empty())
        .map(|(number, l)| Line {
            number,
            text: if l.len() > MAX_BYTES {
                Err(Refusal::TooLarge(l.len()))
            } else {
                std::str::from_utf8(l).map_err(|e| Refusal::Encoding(e.valid_up_to()))
            },
        })
}
