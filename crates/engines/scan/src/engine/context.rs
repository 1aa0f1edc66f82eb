//! What stands around a value: the words of its line, the name of its key, the head of its column.

use std::ops::Range;

/// Most bytes of a line that are looked at before a value.
const BEFORE: usize = 96;
/// Most bytes after it.
const AFTER: usize = 40;

/// Names of the columns of a table in text form.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    delimiter: u8,
    names: Vec<Vec<u8>>,
    first_line_end: usize,
}

impl Columns {
    /// Recognises a table by its first lines: the same delimiter the same number of times.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let text_head = &text[..text.len().min(16_384)];
        let mut lines = text_head.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        let first = lines.next()?;
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        if first.len() > 8_192 || first.contains(&b'{') || first.contains(&b'<') {
            return None;
        }
        let rows: Vec<&[u8]> = lines.take(4).collect();
        if rows.is_empty() {
            return None;
        }
        let delimiter = *b",;\t|".iter().max_by_key(|d| count(first, **d))?;
        let width = count(first, delimiter);
        if width == 0 {
            return None;
        }
        // The last of the rows may be cut off by the look-ahead.
        let agree = rows.iter().filter(|r| count(r, delimiter) == width).count();
        if agree == 0 || agree * 2 < rows.len() {
            return None;
        }
        let names: Vec<Vec<u8>> = split(first, delimiter)
            .into_iter()
            .map(|name| {
                let mut out = Vec::with_capacity(name.len() + 8);
                normal(&mut out, name);
                out
            })
            .collect();
        // A head has words, not values.
        if names.iter().any(|n| n.len() > 64 || n.contains(&b'@'))
            || names
                .iter()
                .filter(|n| n.iter().any(u8::is_ascii_alphabetic))
                .count()
                * 2
                < names.len()
            || names
                .iter()
                .any(|n| n.iter().filter(|b| b.is_ascii_digit()).count() > 4)
        {
            return None;
        }
        let first_line_end = memchr::memchr(b'\n', text).unwrap_or(text.len());
        Some(Self {
            delimiter,
            names,
            first_line_end,
        })
    }

    /// The column's name at a byte, and where its cell begins.
    fn at(&self, text: &[u8], at: usize) -> Option<(&[u8], usize)> {
        if at <= self.first_line_end {
            return None;
        }
        let floor = at.saturating_sub(65_536);
        let line = memchr::memrchr(b'\n', &text[floor..at]).map_or(floor, |i| floor + i + 1);
        let mut column = 0;
        let mut cell = line;
        let mut quoted = false;
        for (i, b) in text[line..at].iter().enumerate() {
            if *b == b'"' {
                quoted = !quoted;
            } else if *b == self.delimiter && !quoted {
                column += 1;
                cell = line + i + 1;
            }
        }
        self.names.get(column).map(|n| (n.as_slice(), cell))
    }
}

fn count(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut n = 0;
    for b in line {
        if *b == b'"' {
            quoted = !quoted;
        } else if *b == delimiter && !quoted {
            n += 1;
        }
    }
    n
}

fn split(line: &[u8], delimiter: u8) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut quoted = false;
    for (i, b) in line.iter().enumerate() {
        if *b == b'"' {
            quoted = !quoted;
        } else if *b == delimiter && !quoted {
            out.push(&line[from..i]);
            from = i + 1;
        }
    }
    out.push(&line[from..]);
    out
}

/// Adds a text in lower case, with one space for everything that joins words, also inside `camelCase`.
fn normal(out: &mut Vec<u8>, text: &[u8]) {
    let (from, mut previous) = (out.len(), b' ');
    for b in text {
        if b.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            out.push(b' ');
        }
        match b {
            b'_' | b'-' | b'.' | b'\'' | b'"' | b'=' | b':' | b'/' | b'(' | b')' | b'#' | b'*'
            | b'>' | b'<' | b'[' | b']' | b'\\' | b'@' | b'\t' | b'\r' | b'\n' => {
                if out.len() == from || out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            _ => out.push(b.to_ascii_lowercase()),
        }
        previous = *b;
    }
}

/// How near a context word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// In the same field: the key of the value, the head of its column, the words before it.
    Field,
    /// On the same line or the one before.
    Line,
}

/// Normal text, and which pairs of bytes stand in it: most words are told not to be there without looking for them.
#[derive(Debug, Default)]
struct Words {
    text: Vec<u8>,
    pairs: [u64; 16],
}

/// The bit of a pair, by what tells letters apart.
#[inline]
fn pair(a: u8, b: u8) -> (usize, u64) {
    let bit = usize::from(a & 31) << 5 | usize::from(b & 31);
    (bit >> 6, 1 << (bit & 63))
}

impl Words {
    fn of(text: Vec<u8>) -> Self {
        let mut pairs = [0; 16];
        for (a, b) in text.iter().zip(text.iter().skip(1)) {
            let (at, bit) = pair(*a, *b);
            pairs[at] |= bit;
        }
        Self { text, pairs }
    }

    fn has(&self, word: &[u8]) -> bool {
        if let [a, b, ..] = word
            && let [.., y, z] = word
        {
            let (first, last) = (pair(*a, *b), pair(*y, *z));
            if self.pairs[first.0] & first.1 == 0 || self.pairs[last.0] & last.1 == 0 {
                return false;
            }
        }
        has_word(&self.text, word)
    }
}

/// The words around a value, made once for all detectors that ask.
#[derive(Debug, Default)]
pub(crate) struct Around {
    field: Words,
    /// The line and the one before; made when the field has none of the words.
    line: Option<Words>,
    before: Range<usize>,
    after: Range<usize>,
}

impl Around {
    pub(crate) fn of(text: &[u8], start: usize, end: usize, columns: Option<&Columns>) -> Self {
        let floor = start.saturating_sub(BEFORE);
        let before = &text[floor..start];
        let after_end = text.len().min(end + AFTER);
        let after = &text[end..after_end];
        let line_after = memchr::memchr(b'\n', after).map_or(after, |i| &after[..i]);
        if let Some((name, cell)) = columns.and_then(|c| c.at(text, start)) {
            let mut field = name.to_vec();
            field.push(b' ');
            normal(&mut field, &text[cell.max(floor)..start]);
            return Self {
                field: Words::of(field),
                line: Some(Words::default()),
                ..Self::default()
            };
        }
        let line_from = memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
        let line = &before[line_from..];
        let field_from = line
            .iter()
            .rposition(|b| b",;|\t{}<&".contains(b))
            .map_or(0, |i| i + 1);
        let cut = line_after
            .iter()
            .position(|b| b",;|\t{}<\"&".contains(b))
            .unwrap_or(line_after.len());
        Self {
            field: Words::of(joined(&line[field_from..], &line_after[..cut])),
            line: None,
            before: floor..start,
            after: end..end + line_after.len(),
        }
    }

    /// How near one of the words stands, and which. `text` is the one that this was made of.
    #[must_use]
    pub(crate) fn nearness(&mut self, text: &[u8], words: &[String]) -> Option<(Nearness, usize)> {
        if let Some(i) = words.iter().position(|w| self.field.has(w.as_bytes())) {
            return Some((Nearness::Field, i));
        }
        let (before, after) = (&text[self.before.clone()], &text[self.after.clone()]);
        let line = self
            .line
            .get_or_insert_with(|| Words::of(joined(before, after)));
        words
            .iter()
            .position(|w| line.has(w.as_bytes()))
            .map(|i| (Nearness::Line, i))
    }
}

/// Both in normal form.
fn joined(before: &[u8], after: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(before.len() + after.len() + 16);
    normal(&mut out, before);
    out.push(b' ');
    normal(&mut out, after);
    out
}

/// Whether a word stands in normal text: a short one alone, a long one as the start of a word.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else {
        return false;
    };
    let starts = memchr::memchr_iter(*first, text).filter(|i| text[*i..].starts_with(word));
    starts.into_iter().any(|i| {
        let before = i == 0 || !text[i - 1].is_ascii_alphabetic();
        let after = text
            .get(i + word.len())
            .is_none_or(|b| !b.is_ascii_alphabetic());
        if word.len() <= 4 {
            before && after
        } else {
            before || after
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn heads_of_columns() {
        let text = b"employee,social_security_number,badge\nBoris,384074039,983246058\nX,1,2\n";
        let columns = Columns::of(text).unwrap();
        let words = vec!["social security".to_owned()];
        let near = |needle: &[u8]| {
            let at = memchr::memmem::find(text, needle).unwrap();
            Around::of(text, at, at + 9, Some(&columns)).nearness(text, &words)
        };
        assert_eq!(near(b"384074039"), Some((Nearness::Field, 0)));
        assert_eq!(near(b"983246058"), None);
    }

    #[test]
    fn short_words_stand_alone() {
        assert!(!has_word(b"shipping number", b"pin"));
        let words = |text| Words::of(joined(text, b""));
        assert!(words(b"userPin=\"").has(b"pin"));
        assert!(words(b"the passports").has(b"passport"));
        assert!(!words(b"the parts of a sport").has(b"passport"));
    }
}
