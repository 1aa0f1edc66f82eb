//! The rows of a term, written in the shortest of a few forms.

use crate::bytes::{Damaged, Read, put};
use crate::rows::RowSet;

const ALL: u8 = 0;
const ROWS: u8 = 1;
const RUNS: u8 = 2;
const BITS: u8 = 3;

/// Appends rows, which ascend and do not repeat, of a segment of `rows`.
pub(crate) fn encode(out: &mut Vec<u8>, found: &[u16], rows: usize) {
    if found.len() == rows && rows > 0 {
        out.push(ALL);
        return;
    }
    // Beyond this the rows one by one cannot be the shortest form.
    let bits = rows.div_ceil(8);
    let runs = runs(found);
    let by_run = runs.len() * 3;
    if by_run < found.len() && by_run < bits {
        out.push(RUNS);
        put(out, runs.len() as u64);
        let mut next = 0;
        for (start, count) in runs {
            put(out, u64::from(start) - next);
            put(out, u64::from(count) - 1);
            next = u64::from(start) + u64::from(count);
        }
    } else if found.len() < bits {
        out.push(ROWS);
        put(out, found.len() as u64);
        let mut next = 0;
        for row in found {
            put(out, u64::from(*row) - next);
            next = u64::from(*row) + 1;
        }
    } else {
        out.push(BITS);
        let mut set = RowSet::none(rows);
        for row in found {
            set.insert(usize::from(*row));
        }
        out.extend(set.to_bytes());
    }
}

fn runs(found: &[u16]) -> Vec<(u16, u32)> {
    let mut runs: Vec<(u16, u32)> = Vec::new();
    for row in found {
        match runs.last_mut() {
            Some((start, count)) if u32::from(*start) + *count == u32::from(*row) => *count += 1,
            _ => runs.push((*row, 1)),
        }
    }
    runs
}

/// Adds the rows that [`encode`] wrote to a set; with `None` they are only passed over.
pub(crate) fn decode(
    read: &mut Read<'_>,
    into: Option<&mut RowSet>,
    rows: usize,
) -> Result<(), Damaged> {
    let form = read.take(1)?[0];
    match (form, into) {
        (ALL, into) => {
            if let Some(set) = into {
                set.insert_run(0, rows);
            }
        }
        (ROWS, mut into) => {
            let count = read.size()?;
            let mut next = 0_u64;
            for _ in 0..count {
                let row = next + read.number()?;
                if row >= rows as u64 {
                    return Err(Damaged::new("a row is not of the segment"));
                }
                if let Some(set) = into.as_mut() {
                    set.insert(row as usize);
                }
                next = row + 1;
            }
        }
        (RUNS, mut into) => {
            let count = read.size()?;
            let mut next = 0_u64;
            for _ in 0..count {
                let start = next.saturating_add(read.number()?);
                let count = read.number()?.saturating_add(1);
                next = start.saturating_add(count);
                if next > rows as u64 {
                    return Err(Damaged::new("a row is not of the segment"));
                }
                if let Some(set) = into.as_mut() {
                    set.insert_run(start as usize, count as usize);
                }
            }
        }
        (BITS, into) => {
            let bytes = read.take(rows.div_ceil(8))?;
            if let Some(set) = into {
                set.add_bytes(bytes);
            }
        }
        _ => return Err(Damaged::new("an unknown form of rows")),
    }
    Ok(())
}
