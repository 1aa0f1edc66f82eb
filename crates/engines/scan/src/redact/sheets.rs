//! Workbooks. A cell that held a value becomes a cell of plain text, a shared string is written
//! anew, and a formula that computed a value goes with it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::office::Parts;
use super::{RedactError, Redacted, Redactor};
use crate::document::{self, Cell};
use crate::finding::Finding;
use crate::scan::Source;

const STRINGS: &str = "xl/sharedStrings.xml";
const CHAIN: &str = "xl/calcChain.xml";

/// The parts that are written here.
pub(super) fn owns(name: &str) -> bool {
    name == STRINGS || name == CHAIN || name.starts_with("xl/worksheets/") && name.ends_with(".xml")
}

/// What a stretch of a part becomes.
type Edits = Vec<(Range<usize>, Vec<u8>)>;

pub(super) fn redact(
    redactor: &Redactor<'_>,
    parts: &Parts,
    round: u32,
    out: &mut Redacted,
) -> Result<Parts, RedactError> {
    let part = |name: &str| parts.iter().find(|(n, _)| n == name).map(|(_, d)| d);
    let empty = Vec::new();
    let shared_xml = part(STRINGS).unwrap_or(&empty);
    let strings = document::shared_strings(shared_xml);
    // What the shared strings become; a string goes wherever it is shown.
    let mut new_strings: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut changed = Parts::new();
    let mut computed = false;
    for (name, data) in parts {
        if !owns(name) || name == STRINGS || name == CHAIN {
            continue;
        }
        let (view, cells) = document::cells(data, &strings);
        let source = Source::file(name);
        let found = redactor.scanner.scan(&source, &view.bytes);
        let mut edits: Edits = Vec::new();
        for cell in &cells {
            let inside: Vec<&Finding> = found
                .iter()
                .filter(|f| (f.start as usize) < cell.view.end && cell.view.start < f.end as usize)
                .collect();
            if inside.is_empty() {
                continue;
            }
            let text = &view.bytes[cell.view.clone()];
            let places = inside
                .iter()
                .map(|f| {
                    (
                        (f.start as usize).saturating_sub(cell.view.start),
                        (f.end as usize - cell.view.start).min(text.len()),
                        *f,
                    )
                })
                .collect();
            let new = redactor.replace(text, places, round > 0, &mut out.replaced);
            computed |= cell.formula;
            match cell.shared {
                Some(i) => {
                    new_strings.insert(i, new);
                }
                None => edits.push((cell.element.clone(), inline(cell, &new))),
            }
        }
        // What only the markup shows: heads, feet, rules; or a cell after all.
        let markup = redactor.all(&source, &apply(data, &mut edits.clone()));
        if !markup.is_empty() && edits.is_empty() {
            for f in &markup {
                let (start, end) = (f.start as usize, f.end as usize);
                let cell = cells.iter().find(|c| c.element.contains(&start));
                match cell {
                    Some(cell) if cell.shared.is_none() => {
                        computed |= cell.formula;
                        let text = &view.bytes[cell.view.clone()];
                        edits.push((
                            cell.element.clone(),
                            inline(cell, &redactor.stand_in(text, f, true)),
                        ));
                    }
                    Some(_) => continue,
                    None => edits.push((
                        start..end,
                        redactor.stand_in(&data[start..end], f, round > 0),
                    )),
                }
                out.count(&f.detector);
            }
        }
        if !edits.is_empty() {
            changed.push((name.clone(), apply(data, &mut edits)));
        }
    }
    let mut edits: Edits = Vec::new();
    for (i, string) in strings.iter().enumerate() {
        let new = match new_strings.remove(&i) {
            Some(new) => new,
            None => {
                let found = redactor.scanner.scan(&Source::file(STRINGS), &string.text);
                if found.is_empty() {
                    continue;
                }
                let places = found
                    .iter()
                    .map(|f| (f.start as usize, f.end as usize, f))
                    .collect();
                redactor.replace(&string.text, places, round > 0, &mut out.replaced)
            }
        };
        let mut xml = b"<si><t xml:space=\"preserve\">".to_vec();
        xml.extend(escaped(&new));
        xml.extend_from_slice(b"</t></si>");
        edits.push((string.element.clone(), xml));
    }
    if !edits.is_empty() {
        changed.push((STRINGS.to_owned(), apply(shared_xml, &mut edits)));
    }
    if computed && part(CHAIN).is_some() {
        // The order of computing names cells that compute nothing any more; it is made anew by
        // whoever opens the workbook.
        changed.push((CHAIN.to_owned(), Vec::new()));
        for name in ["[Content_Types].xml", "xl/_rels/workbook.xml.rels"] {
            if let Some(data) = part(name) {
                changed.push((name.to_owned(), without_chain(data)));
            }
        }
    }
    Ok(changed)
}

/// The cell as plain text, in its place and dress.
fn inline(cell: &Cell, text: &[u8]) -> Vec<u8> {
    let mut out = b"<c".to_vec();
    let attributes = cell
        .attributes
        .strip_suffix(b"/")
        .unwrap_or(&cell.attributes);
    // Its type changes; everything else that it says of itself stays.
    let from = memchr::memmem::find(attributes, b" t=\"");
    match from {
        Some(at) => {
            let value = at + 4;
            let end = memchr::memchr(b'"', &attributes[value..])
                .map_or(attributes.len(), |n| value + n + 1);
            out.extend_from_slice(&attributes[..at]);
            out.extend_from_slice(&attributes[end..]);
        }
        None => out.extend_from_slice(attributes),
    }
    out.extend_from_slice(b" t=\"inlineStr\"><is><t xml:space=\"preserve\">");
    out.extend(escaped(text));
    out.extend_from_slice(b"</t></is></c>");
    out
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for b in text {
        match b {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b => out.push(*b),
        }
    }
    out
}

fn apply(data: &[u8], edits: &mut Edits) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    for (range, new) in edits.iter() {
        if range.start < at || range.end > data.len() {
            continue;
        }
        out.extend_from_slice(&data[at..range.start]);
        out.extend_from_slice(new);
        at = range.end;
    }
    out.extend_from_slice(&data[at..]);
    out
}

/// Without the elements that name the order of computing.
fn without_chain(xml: &[u8]) -> Vec<u8> {
    let mut out = xml.to_vec();
    while let Some(at) = memchr::memmem::find(&out, b"calcChain.xml") {
        let Some(start) = memchr::memrchr(b'<', &out[..at]) else {
            break;
        };
        let Some(end) = memchr::memchr(b'>', &out[at..]).map(|n| at + n + 1) else {
            break;
        };
        out.drain(start..end);
    }
    out
}
