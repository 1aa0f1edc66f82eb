//! One value for each row: what is counted of the rows that were found.
//!
//! ```text
//! values  = numbers texts
//! numbers = (rows × width bytes, checksum)*, 4,096 rows each: which text a row has, from 1; 0 is none, and one
//!           more than there are texts is a value that is not kept
//! texts   = index block*
//! index   = (length of the block)* checksum
//! block   = (shared bytes, other bytes of the text)* checksum, 64 texts each
//! ```
//! A row's terms are found by going through all terms of a field. This finds them by the row, so that what is counted
//! costs the rows and the values that they have, however many values there are.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::LONGEST_TERM;
use crate::bytes::{Bytes, Damaged, Read, put, put_bytes, seal, unseal};
use crate::rows::RowSet;

/// Rows whose numbers are read at once.
const PART: usize = 4_096;
/// Texts that are read at once.
const BLOCK: usize = 64;
/// Until the segment is written: the row has a value that is not kept.
const UNKEPT: u32 = u32::MAX;

/// What a row has under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowValue<'a> {
    /// Nothing.
    None,
    /// This value.
    Kept(&'a Arc<str>),
    /// Something that is not kept.
    Unkept,
}

/// What the rows of a segment that were asked for have under a name.
#[derive(Debug, Default)]
pub struct RowValues {
    /// By row; empty where no row has a value.
    numbers: Vec<u32>,
    /// By number, those that one of the rows has.
    texts: Vec<Option<Arc<str>>>,
}

impl RowValues {
    /// What a row has, if it is one of those that were asked for.
    pub fn get(&self, row: usize) -> RowValue<'_> {
        match self.numbers.get(row).copied().unwrap_or(0) as usize {
            0 => RowValue::None,
            number => match self.texts.get(number - 1) {
                Some(Some(text)) => RowValue::Kept(text),
                _ => RowValue::Unkept,
            },
        }
    }
}

/// The values of the rows that have been added.
#[derive(Default)]
pub(crate) struct Values {
    numbers: FxHashMap<Box<str>, u32>,
    /// By row; rows behind the last one have none.
    of: Vec<u32>,
}

/// Where values stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) at: u64,
    /// Bytes of a number.
    pub(crate) width: usize,
    pub(crate) texts: usize,
    pub(crate) index: usize,
}

impl Values {
    /// Gives a row its value; a row has one, the first that it was given.
    pub(crate) fn set(&mut self, row: usize, value: &str) {
        if self.of.get(row).is_some_and(|number| *number > 0) {
            return;
        }
        if value.len() > LONGEST_TERM {
            return self.put(row, UNKEPT);
        }
        let next = u32::try_from(self.numbers.len() + 1).unwrap_or(UNKEPT);
        let number = match self.numbers.get(value) {
            Some(number) => *number,
            None => *self.numbers.entry(value.into()).or_insert(next),
        };
        self.put(row, number);
    }

    /// The row has something that is not kept.
    pub(crate) fn unkept(&mut self, row: usize) {
        self.put(row, UNKEPT);
    }

    fn put(&mut self, row: usize, number: u32) {
        if self.of.len() <= row {
            self.of.resize(row + 1, 0);
        }
        self.of[row] = number;
    }

    /// Appends the values of a segment of `rows`.
    pub(crate) fn encode(mut self, out: &mut Vec<u8>, rows: usize) -> Place {
        let mut texts: Vec<(Box<str>, u32)> = self.numbers.into_iter().collect();
        texts.sort_unstable();
        let mut renumbered = vec![0_u32; texts.len() + 1];
        for ((_, number), now) in texts.iter().zip(1..) {
            renumbered[*number as usize] = now;
        }
        let unkept = u32::try_from(texts.len() + 1).unwrap_or(UNKEPT);
        let width = (u32::BITS - unkept.leading_zeros()).div_ceil(8) as usize;
        let at = out.len() as u64;
        self.of.resize(rows, 0);
        for part in self.of.chunks(PART) {
            let start = out.len();
            for number in part {
                let number = renumbered.get(*number as usize).copied();
                let number = number.unwrap_or(unkept);
                out.extend_from_slice(&number.to_le_bytes()[..width]);
            }
            seal(out, start);
        }
        let (mut index, mut blocks) = (Vec::new(), Vec::new());
        for block in texts.chunks(BLOCK) {
            let start = blocks.len();
            let mut before: &str = "";
            for (text, _) in block {
                let shared = before.bytes().zip(text.bytes());
                let shared = shared.take_while(|(a, b)| a == b).count();
                put(&mut blocks, shared as u64);
                put_bytes(&mut blocks, &text.as_bytes()[shared..]);
                before = text;
            }
            seal(&mut blocks, start);
            put(&mut index, (blocks.len() - start) as u64);
        }
        seal(&mut index, 0);
        let place = Place {
            at,
            width,
            texts: texts.len(),
            index: index.len(),
        };
        out.extend(index);
        out.extend(blocks);
        place
    }
}

impl Place {
    pub(crate) fn write(&self, directory: &mut Vec<u8>) {
        put(directory, self.at);
        for size in [self.width, self.texts, self.index] {
            put(directory, size as u64);
        }
    }

    pub(crate) fn read(read: &mut Read<'_>) -> Result<Self, Damaged> {
        let place = Self {
            at: read.number()?,
            width: read.size()?,
            texts: read.size()?,
            index: read.size()?,
        };
        if place.width > 4 || place.texts > crate::MOST_ROWS || place.index > place.texts * 10 + 4 {
            return Err(Damaged::new("values are not written as they should be"));
        }
        Ok(place)
    }

    /// Calls `each` with every value that some of `rows` have, and how many of them.
    pub(crate) fn count(
        &self,
        bytes: &impl Bytes,
        rows: &RowSet,
        mut each: impl FnMut(&str, usize),
    ) -> Result<(), Damaged> {
        let mut counts = vec![0_u32; self.texts + 2];
        self.numbers(bytes, rows, |_, number| counts[number as usize] += 1)?;
        // Number 0 is none.
        let counts = &counts[1..=self.texts];
        self.texts(bytes, rows.rows(), counts, |number, text| {
            each(text, counts[number] as usize);
        })
    }

    /// What some rows have.
    pub(crate) fn read_rows(
        &self,
        bytes: &impl Bytes,
        rows: &RowSet,
    ) -> Result<RowValues, Damaged> {
        let mut found = RowValues {
            numbers: vec![0; rows.rows()],
            texts: vec![None; self.texts],
        };
        let mut wanted = vec![0_u32; self.texts + 2];
        self.numbers(bytes, rows, |row, number| {
            found.numbers[row] = number;
            wanted[number as usize] = 1;
        })?;
        let wanted = &wanted[1..=self.texts];
        self.texts(bytes, rows.rows(), wanted, |number, text| {
            found.texts[number] = Some(text.into());
        })?;
        Ok(found)
    }

    /// Calls `each` with the rows and their numbers.
    fn numbers(
        &self,
        bytes: &impl Bytes,
        rows: &RowSet,
        mut each: impl FnMut(usize, u32),
    ) -> Result<(), Damaged> {
        let mut found = rows.iter().peekable();
        while let Some(first) = found.peek() {
            let start = first / PART * PART;
            let end = (start + PART).min(rows.rows());
            let before = start * self.width + start / PART * 4;
            let at = self.at.saturating_add(before as u64);
            let sealed = bytes.read(at, (end - start) * self.width + 4)?;
            let numbers = unseal(&sealed)?;
            while let Some(row) = found.next_if(|row| *row < end) {
                let at = (row - start) * self.width;
                let mut four = [0; 4];
                four[..self.width].copy_from_slice(&numbers[at..at + self.width]);
                let number = u32::from_le_bytes(four);
                if number as usize > self.texts + 1 {
                    return Err(Damaged::new("there is no such value"));
                }
                each(row, number);
            }
        }
        Ok(())
    }

    /// Calls `each` with those texts for which `wanted` is not 0, and their places.
    fn texts(
        &self,
        bytes: &impl Bytes,
        rows: usize,
        wanted: &[u32],
        mut each: impl FnMut(usize, &str),
    ) -> Result<(), Damaged> {
        let parts = rows.div_ceil(PART);
        let numbers = (rows * self.width + parts * 4) as u64;
        let at = self.at.saturating_add(numbers);
        let sealed = bytes.read(at, self.index)?;
        let mut index = Read(unseal(&sealed)?);
        let mut at = at.saturating_add(self.index as u64);
        for (block, wanted) in wanted.chunks(BLOCK).enumerate() {
            let len = index.size()?;
            if wanted.iter().any(|wanted| *wanted > 0) {
                if len > BLOCK * (LONGEST_TERM + 4) + 4 {
                    return Err(Damaged::new("a block of values is too long"));
                }
                let sealed = bytes.read(at, len)?;
                let mut read = Read(unseal(&sealed)?);
                let mut text = Vec::new();
                for (i, wanted) in wanted.iter().enumerate() {
                    let shared = read.size()?;
                    if shared > text.len() {
                        return Err(Damaged::new("a value is not written as it should be"));
                    }
                    text.truncate(shared);
                    text.extend_from_slice(read.bytes()?);
                    if *wanted > 0 {
                        let text = std::str::from_utf8(&text);
                        let text = text.map_err(|_| Damaged::new("a value is no text"))?;
                        each(block * BLOCK + i, text);
                    }
                }
            }
            at = at.saturating_add(len as u64);
        }
        Ok(())
    }
}
