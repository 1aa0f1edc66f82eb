//! SQLite files ("Database File Format"): the rows of all table leaves, overflow pages joined,
//! freed pages as plain strings.

use super::{Problem, Run};
use crate::decode::{Ratio, View};
use crate::scan::Source;

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut n = 0_u64;
    for (i, b) in bytes.iter().take(9).enumerate() {
        if i == 8 {
            return Some((n << 8 | u64::from(*b), 9));
        }
        n = n << 7 | u64::from(b & 0x7f);
        if b & 0x80 == 0 {
            return Some((n, i + 1));
        }
    }
    None
}

pub(super) fn scan(run: &mut Run<'_>, source: &Source, bytes: &[u8]) {
    let size = bytes
        .get(16..18)
        .map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    let page_size = if size == 1 { 65_536 } else { size };
    if page_size < 512 || !page_size.is_power_of_two() {
        run.problem(source, Problem::Corrupt);
        return;
    }
    let reserved = usize::from(bytes.get(20).copied().unwrap_or(0));
    let usable = page_size.saturating_sub(reserved);
    let wide = matches!(bytes.get(56..60), Some([0, 0, 0, 2 | 3]));
    let mut view = View::default();
    for (number, page) in bytes.chunks(page_size).enumerate() {
        let place = number * page_size;
        let head = if number == 0 { 100 } else { 0 };
        match page.get(head) {
            Some(0x0d) => {
                let cells = usize::from(be16(page, head + 3));
                for i in 0..cells.min(page_size / 4) {
                    let at = usize::from(be16(page, head + 8 + 2 * i));
                    if let Some(row) = cell(bytes, page, at, usable, page_size) {
                        record(&mut view, &row, place + at, wide);
                    }
                }
            }
            Some(0x02 | 0x05 | 0x0a) => {}
            _ => {
                let strings = super::text::strings(page);
                view.push(&strings.bytes, place, Ratio::Point);
                view.push(b"\n", place, Ratio::Point);
            }
        }
    }
    view.finish(bytes.len());
    run.view(source, bytes, view, "rows");
    if !bytes.len().is_multiple_of(page_size) {
        run.problem(source, Problem::Corrupt);
    }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// The record of a table leaf's cell with its overflow pages.
fn cell(file: &[u8], page: &[u8], at: usize, usable: usize, page_size: usize) -> Option<Vec<u8>> {
    let (length, used) = varint(page.get(at..)?)?;
    let (_, used2) = varint(page.get(at + used..)?)?;
    let from = at + used + used2;
    let length = usize::try_from(length).ok().filter(|l| *l <= 64 << 20)?;
    let most = usable.checked_sub(35)?;
    if length <= most {
        return page.get(from..from + length).map(<[u8]>::to_vec);
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let k = least + (length - least) % (usable - 4);
    let local = if k <= most { k } else { least };
    let mut row = page.get(from..from + local)?.to_vec();
    let next = page.get(from + local..from + local + 4)?;
    let mut next = u32::from_be_bytes([next[0], next[1], next[2], next[3]]) as usize;
    let mut pages = 0;
    while next != 0 && row.len() < length && pages < 200_000 {
        let start = (next - 1).checked_mul(page_size)?;
        let overflow = file.get(start..start + page_size.min(file.len().saturating_sub(start)))?;
        let n = (length - row.len()).min(usable - 4);
        row.extend_from_slice(overflow.get(4..4 + n)?);
        next = u32::from_be_bytes([overflow[0], overflow[1], overflow[2], overflow[3]]) as usize;
        pages += 1;
    }
    Some(row)
}

/// The texts and numbers of a record, as a line.
fn record(view: &mut View, row: &[u8], place: usize, wide: bool) {
    let Some((head, used)) = varint(row) else {
        return;
    };
    let head = (head as usize).min(row.len());
    let mut at = used;
    let mut body = head;
    while at < head {
        let Some((kind, used)) = varint(&row[at..]) else {
            return;
        };
        at += used;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            n if n >= 12 => usize::try_from((n - 12) / 2).unwrap_or(usize::MAX),
            _ => return,
        };
        let Some(value) = body.checked_add(length).and_then(|end| row.get(body..end)) else {
            return;
        };
        body += length;
        match kind {
            1..=6 => {
                let n = value
                    .iter()
                    .fold(if value[0] & 0x80 != 0 { -1_i64 } else { 0 }, |n, b| {
                        n << 8 | i64::from(*b)
                    });
                view.push(n.to_string().as_bytes(), place, Ratio::Point);
            }
            k if k >= 12 => {
                if wide && k % 2 == 1 {
                    let letters: Vec<u8> = value.iter().copied().filter(|b| *b != 0).collect();
                    view.push(&letters, place, Ratio::Point);
                } else if k % 2 == 0 {
                    view.push(&super::text::strings(value).bytes, place, Ratio::Point);
                } else {
                    view.push(value, place, Ratio::Point);
                }
            }
            _ => {}
        }
        view.push(b"\t", place, Ratio::Point);
    }
    view.push(b"\n", place, Ratio::Point);
}
