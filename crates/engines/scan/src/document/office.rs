//! Sheets of workbooks: their cells by rows and columns, so that the head of a column says what
//! stands in it. Other parts of office documents are markup like any other.

use super::Run;
use crate::decode::{Ratio, View};
use crate::scan::Source;

/// The part that every workbook has.
pub(crate) const WORKBOOK: &str = "xl/workbook.xml";

/// The parts that are read together.
#[derive(Default)]
pub(super) struct Workbook {
    shared: Vec<u8>,
    sheets: Vec<(String, Vec<u8>)>,
}

impl Workbook {
    /// Keeps a part if it is one of those; `false` when it is to be read by itself.
    pub(super) fn take(&mut self, name: &str, data: &[u8]) -> bool {
        if name == "xl/sharedStrings.xml" {
            self.shared = data.to_vec();
            return true;
        }
        if name.starts_with("xl/worksheets/") && name.ends_with(".xml") {
            self.sheets.push((name.to_owned(), data.to_vec()));
            return true;
        }
        false
    }

    /// Looks at the sheets, and at strings that no cell shows.
    pub(super) fn scan(self, run: &mut Run<'_>, source: &Source) {
        let strings = shared_strings(&self.shared);
        let mut used = vec![false; strings.len()];
        for (name, data) in &self.sheets {
            let inner = source.inside(name);
            let (view, cells) = cells(data, &strings);
            for cell in cells {
                if let Some(used) = cell.shared.and_then(|i| used.get_mut(i)) {
                    *used = true;
                }
            }
            run.documents += 1;
            run.bytes += data.len() as u64;
            run.view(&inner, data, view, "cells");
            for view in super::markup::views(data) {
                run.view(&inner, data, view, "markup");
            }
        }
        let mut rest = View::default();
        for (string, used) in strings.iter().zip(used) {
            if !used {
                rest.push(&string.text, string.at, Ratio::Point);
                rest.push(b"\n", string.at, Ratio::Point);
            }
        }
        rest.finish(self.shared.len());
        let inner = source.inside("xl/sharedStrings.xml");
        run.documents += 1;
        run.bytes += self.shared.len() as u64;
        run.view(&inner, &self.shared, rest, "strings");
    }
}

/// The text of a piece of markup.
fn plain(xml: &[u8]) -> Vec<u8> {
    let mut text = super::markup::views(xml).swap_remove(0).bytes;
    // Names of elements are put before values; they are no part of a cell.
    if let Some(rest) = text.strip_prefix(b"\n") {
        text = rest.to_vec();
    }
    text
}

/// Calls `found` with the attributes and the content of each element of this name.
fn elements<'x>(xml: &'x [u8], name: &str, mut found: impl FnMut(&'x [u8], usize, &'x [u8])) {
    let open = format!("<{name}");
    let close = format!("</{name}>");
    let mut at = 0;
    while let Some(n) = memchr::memmem::find(&xml[at..], open.as_bytes()) {
        let start = at + n + open.len();
        let Some(next) = xml.get(start) else { return };
        if !matches!(next, b' ' | b'>' | b'/' | b'\n' | b'\r' | b'\t') {
            at = start;
            continue;
        }
        let Some(end) = memchr::memchr(b'>', &xml[start..]).map(|n| start + n) else {
            return;
        };
        if xml[end - 1] == b'/' {
            found(&xml[start..end], end + 1, b"");
            at = end + 1;
            continue;
        }
        let stop =
            memchr::memmem::find(&xml[end..], close.as_bytes()).map_or(xml.len(), |n| end + n);
        found(&xml[start..end], end + 1, &xml[end + 1..stop.max(end + 1)]);
        at = (stop + close.len()).min(xml.len());
    }
}

fn attribute<'x>(attributes: &'x [u8], name: &str) -> Option<&'x [u8]> {
    let key = format!("{name}=\"");
    let at = memchr::memmem::find(attributes, key.as_bytes())? + key.len();
    let end = memchr::memchr(b'"', &attributes[at..])? + at;
    Some(&attributes[at..end])
}

/// A string that cells share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub text: Vec<u8>,
    /// Where its content begins, and the whole element.
    pub at: usize,
    pub element: std::ops::Range<usize>,
}

/// The strings of `xl/sharedStrings.xml`, in their order.
pub(crate) fn shared_strings(xml: &[u8]) -> Vec<Shared> {
    let mut out = Vec::new();
    elements(xml, "si", |attributes, at, content| {
        let mut text = Vec::new();
        elements(content, "t", |_, _, t| text.extend(plain(t)));
        out.push(Shared {
            text,
            at,
            element: whole(xml, "si", attributes, at, content),
        });
    });
    out
}

/// From the bracket that opens an element to the one that closes it.
fn whole(
    xml: &[u8],
    name: &str,
    attributes: &[u8],
    at: usize,
    content: &[u8],
) -> std::ops::Range<usize> {
    let start = at - 1 - attributes.len() - name.len() - 1;
    let empty = attributes.last() == Some(&b'/');
    let end = if empty {
        at
    } else {
        (at + content.len() + name.len() + 3).min(xml.len())
    };
    start..end
}

/// A cell of a sheet.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// Its text in the view.
    pub view: std::ops::Range<usize>,
    /// Its element in the sheet.
    pub element: std::ops::Range<usize>,
    /// Which of the shared strings it shows.
    pub shared: Option<usize>,
    /// What the element says of itself.
    pub attributes: Vec<u8>,
    /// It is computed.
    pub formula: bool,
}

fn column(reference: &[u8]) -> usize {
    let mut n = 0_usize;
    for b in reference
        .iter()
        .take_while(|b| b.is_ascii_uppercase())
        .take(3)
    {
        n = n * 26 + usize::from(b - b'A') + 1;
    }
    n.saturating_sub(1).min(16_384)
}

/// Rows as lines, cells between tabs; and where each cell stands.
pub(crate) fn cells(xml: &[u8], strings: &[Shared]) -> (View, Vec<Cell>) {
    let mut view = View::default();
    let mut cells = Vec::new();
    elements(xml, "row", |_, row_at, row| {
        let mut next = 0;
        elements(row, "c", |attributes, at, content| {
            let place = row_at + at;
            let want = attribute(attributes, "r").map_or(next, column);
            while next < want {
                view.push(b"\t", place, Ratio::Point);
                next += 1;
            }
            let mut text = Vec::new();
            let mut shared = None;
            elements(content, "v", |_, _, v| text = plain(v));
            if attribute(attributes, "t") == Some(b"s") {
                let index = std::str::from_utf8(&text)
                    .ok()
                    .and_then(|t| t.trim().parse::<usize>().ok());
                if let Some((i, string)) = index.and_then(|i| strings.get(i).map(|s| (i, s))) {
                    shared = Some(i);
                    text.clone_from(&string.text);
                }
            } else {
                elements(content, "t", |_, _, t| text.extend(plain(t)));
                if let Some(number) = number(&text) {
                    text = number;
                }
            }
            for b in &mut text {
                if matches!(b, b'\t' | b'\n' | b'\r') {
                    *b = b' ';
                }
            }
            let from = view.bytes.len();
            view.push(&text, place, Ratio::Point);
            let element = whole(row, "c", attributes, at, content);
            cells.push(Cell {
                view: from..view.bytes.len(),
                element: row_at + element.start..row_at + element.end,
                shared,
                attributes: attributes.to_vec(),
                formula: memchr::memmem::find(content, b"<f").is_some(),
            });
        });
        view.push(b"\n", row_at + row.len(), Ratio::Point);
    });
    view.finish(xml.len());
    (view, cells)
}

/// A whole number that is written with an exponent.
fn number(text: &[u8]) -> Option<Vec<u8>> {
    if !text.iter().any(|b| matches!(b, b'E' | b'e')) || text.len() > 30 {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once(['E', 'e'])?;
    let exponent: usize = exponent.trim_start_matches('+').parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if exponent > 20
        || fraction.len() > exponent
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    Some(format!("{whole}{fraction:0<exponent$}").into_bytes())
}
