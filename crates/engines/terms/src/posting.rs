//! The rows of a term, written in the shortest of a few forms.

use crate::bytes::{Damaged, Read, put, put_bytes};
use crate::rows::RowSet;

const ALL: u8 = 0;
const ONE: u8 = 1;
const ROWS: u8 = 2;
const RUNS: u8 = 3;
const BITS: u8 = 4;

/// Appends rows, which ascend and do not repeat, of a segment of `rows`.
pub(crate) fn encode(out: &mut Vec<u8>, found: &[u16], rows: usize) {
    if let [one] = found {
        out.push(ONE);
        put(out, u64::from(*one));
        return;
    }
    if found.len() == rows {
        out.push(ALL);
        return;
    }
    // Beyond this the rows one by one cannot be the shortest form.
    let bits = rows.div_ceil(8);
    let runs = runs(found);
    let by_run = runs.len() * 3;
    if by_run < found.len() && by_run < bits {
        out.push(RUNS);
        let mut bytes = Vec::with_capacity(by_run);
        let mut next = 0;
        for (start, count) in runs {
            put(&mut bytes, u64::from(start) - next);
            put(&mut bytes, u64::from(count) - 1);
            next = u64::from(start) + u64::from(count);
        }
        put_bytes(out, &bytes);
    } else if found.len() < bits {
        out.push(ROWS);
        let mut bytes = Vec::with_capacity(found.len());
        let mut next = 0;
        for row in found {
            put(&mut bytes, u64::from(*row) - next);
            next = u64::from(*row) + 1;
        }
        put_bytes(out, &bytes);
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

/// The rows that [`encode`] wrote.
#[derive(Clone, Copy)]
pub(crate) enum Posting<'a> {
    All,
    One(usize),
    Rows(Read<'a>),
    Runs(Read<'a>),
    Bits(&'a [u8]),
}

impl<'a> Posting<'a> {
    /// Reads where the rows are, and none of them.
    pub(crate) fn read(read: &mut Read<'a>, rows: usize) -> Result<Self, Damaged> {
        Ok(match read.take(1)?[0] {
            ALL => Self::All,
            ONE => Self::One(read.size()?),
            ROWS => Self::Rows(Read(read.bytes()?)),
            RUNS => Self::Runs(Read(read.bytes()?)),
            BITS => Self::Bits(read.take(rows.div_ceil(8))?),
            _ => return Err(Damaged::new("an unknown form of rows")),
        })
    }

    /// Calls `each` with the first row and the length of each run, of a segment of `rows`.
    pub(crate) fn runs(
        self,
        rows: usize,
        mut each: impl FnMut(usize, usize),
    ) -> Result<(), Damaged> {
        let strange = || Damaged::new("a row is not of the segment");
        let mut run = |start: usize, count: usize| {
            let end = start.checked_add(count).filter(|end| *end <= rows);
            let end = end.ok_or_else(strange)?;
            each(start, count);
            Ok::<usize, Damaged>(end)
        };
        match self {
            Self::All => {
                run(0, rows)?;
            }
            Self::One(row) => {
                run(row, 1)?;
            }
            Self::Rows(mut read) => {
                let mut next = 0_usize;
                while !read.is_empty() {
                    next = run(next.checked_add(read.size()?).ok_or_else(strange)?, 1)?;
                }
            }
            Self::Runs(mut read) => {
                let mut next = 0_usize;
                while !read.is_empty() {
                    let start = next.checked_add(read.size()?).ok_or_else(strange)?;
                    let count = read.size()?.checked_add(1).ok_or_else(strange)?;
                    next = run(start, count)?;
                }
            }
            Self::Bits(bytes) => {
                for (i, byte) in bytes.iter().enumerate() {
                    let mut byte = *byte;
                    while byte != 0 {
                        run(i * 8 + byte.trailing_zeros() as usize, 1)?;
                        byte &= byte - 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the rows to a set.
    pub(crate) fn add_to(self, set: &mut RowSet) -> Result<(), Damaged> {
        if let Self::Bits(bytes) = self {
            set.add_bytes(bytes);
            return Ok(());
        }
        self.runs(set.rows(), |start, count| set.insert_run(start, count))
    }
}
