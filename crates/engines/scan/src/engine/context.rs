//! What stands around a value: the words of its line, the name of its key, the head of its column.

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
        let names: Vec<Vec<u8>> = split(first, delimiter).into_iter().map(normal).collect();
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

/// Lower case, with one space for everything that joins words, also inside `camelCase`.
pub(crate) fn normal(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut previous = b' ';
    for b in text {
        if b.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            out.push(b' ');
        }
        match b {
            b'_' | b'-' | b'.' | b'\'' | b'"' | b'=' | b':' | b'/' | b'(' | b')' | b'#' | b'*'
            | b'>' | b'<' | b'[' | b']' | b'\\' | b'@' | b'\t' | b'\r' | b'\n' => {
                if out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            _ => out.push(b.to_ascii_lowercase()),
        }
        previous = *b;
    }
    out
}

/// How near a context word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// In the same field: the key of the value, the head of its column, the words before it.
    Field,
    /// On the same line or the one before.
    Line,
}

/// The words around a value, made once for all detectors that ask.
#[derive(Debug, Default)]
pub(crate) struct Around {
    field: Vec<u8>,
    line: Vec<u8>,
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
            field.extend(normal(&text[cell.max(floor)..start]));
            return Self {
                field,
                line: Vec::new(),
            };
        }
        let line_from = memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
        let line = &before[line_from..];
        let field_from = line
            .iter()
            .rposition(|b| b",;|\t{}<&".contains(b))
            .map_or(0, |i| i + 1);
        let mut field = normal(&line[field_from..]);
        field.push(b' ');
        let cut = line_after
            .iter()
            .position(|b| b",;|\t{}<\"&".contains(b))
            .unwrap_or(line_after.len());
        field.extend(normal(&line_after[..cut]));
        let mut wide = normal(before);
        wide.push(b' ');
        wide.extend(normal(line_after));
        Self { field, line: wide }
    }

    /// Adds the name of a place that the text itself does not show, as a table's column.
    #[must_use]
    pub(crate) fn nearness(&self, words: &[String]) -> Option<(Nearness, usize)> {
        if let Some(i) = words
            .iter()
            .position(|w| has_word(&self.field, w.as_bytes()))
        {
            return Some((Nearness::Field, i));
        }
        words
            .iter()
            .position(|w| has_word(&self.line, w.as_bytes()))
            .map(|i| (Nearness::Line, i))
    }
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
            Around::of(text, at, at + 9, Some(&columns)).nearness(&words)
        };
        assert_eq!(near(b"384074039"), Some((Nearness::Field, 0)));
        assert_eq!(near(b"983246058"), None);
    }

    #[test]
    fn short_words_stand_alone() {
        assert!(!has_word(b"shipping number", b"pin"));
        assert!(has_word(&normal(b"userPin=\""), b"pin"));
        assert!(has_word(&normal(b"the passports"), b"passport"));
    }
}
