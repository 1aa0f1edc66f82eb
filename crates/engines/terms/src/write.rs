//! Writing a segment.
//!
//! ```text
//! segment   = magic column(times) column(offsets) column(received) (field order*)* values* directory footer
//! column    = see src/column.rs
//! field     = index blocks
//! index     = (first term, length of the block)* checksum
//! block     = (shared bytes, other bytes of the term, rows)* checksum
//! order     = see src/order.rs
//! values    = see src/value.rs
//! directory = version, rows, columns, (name, present, long, terms, index, blocks, orders)*,
//!             (name, place of its values)* checksum
//! footer    = offset and length of the directory (8 bytes each), magic
//! ```
//! Numbers without a size are of seven bits a byte, the lowest first.

use rustc_hash::FxHashMap;

use crate::bytes::{put, put_bytes, seal};
use crate::column;
use crate::order::{self, Order};
use crate::phrase::words;
use crate::posting::encode;
use crate::value::Values;
use crate::{LONGEST_TERM, MOST_ROWS, WORDS};

pub(crate) const MAGIC: &[u8; 8] = b"swterms3";
/// A block is closed when it has this many bytes or terms: what is read to look up one term.
const BLOCK_BYTES: usize = 4 << 10;
const BLOCK_TERMS: usize = 64;
/// Of a field with fewer terms no orders are kept: to test all of them is as fast.
const ORDERED_TERMS: usize = 512;

#[derive(Default)]
struct Field {
    terms: FxHashMap<Box<str>, Vec<u16>>,
    present: Vec<u16>,
    long: Vec<u16>,
    orders: [Vec<(u64, u16)>; Order::ALL.len()],
}

/// Collects the terms of rows, at most [`MOST_ROWS`].
#[derive(Default)]
pub struct Builder {
    fields: FxHashMap<Box<str>, Field>,
    values: FxHashMap<Box<str>, Values>,
    times: Vec<u64>,
    offsets: Vec<u64>,
    received: Vec<u64>,
}

fn add(rows: &mut Vec<u16>, row: u16) {
    if rows.last() != Some(&row) {
        rows.push(row);
    }
}

impl Builder {
    /// With no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Begins the next row: when it happened, its place in the order of all, and when it was received. False when the segment
    /// is full: then nothing was begun.
    pub fn row(&mut self, time: i64, offset: u64, received: i64) -> bool {
        if self.times.len() == MOST_ROWS {
            return false;
        }
        // The order of the numbers is kept.
        self.times.push(time.cast_unsigned() ^ (1 << 63));
        self.offsets.push(offset);
        self.received.push(received.cast_unsigned() ^ (1 << 63));
        true
    }

    fn at(&self) -> u16 {
        u16::try_from(self.times.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    fn field(&mut self, name: &str) -> &mut Field {
        if !self.fields.contains_key(name) {
            self.fields.insert(name.into(), Field::default());
        }
        self.fields.entry(name.into()).or_default()
    }

    /// The row has this field, with whatever value or none.
    pub fn present(&mut self, field: &str) {
        let row = self.at();
        add(&mut self.field(field).present, row);
    }

    /// The row has this term in this field.
    pub fn term(&mut self, field: &str, term: &str) {
        let row = self.at();
        let field = self.field(field);
        add(&mut field.present, row);
        if term.len() > LONGEST_TERM {
            add(&mut field.long, row);
        } else if let Some(rows) = field.terms.get_mut(term) {
            add(rows, row);
        } else {
            field.terms.insert(term.into(), vec![row]);
        }
    }

    /// The row has a value in this field that has this key in an order. Its term is to be given as well.
    pub fn ordered(&mut self, field: &str, order: Order, key: u64) {
        let row = self.at();
        self.field(field).orders[order as usize].push((key, row));
    }

    /// The row has this value under this name, to be found by the row ([`crate::Segment::values`],
    /// [`crate::Segment::count_values`]): one a row, the first that is given. Of a value longer than [`LONGEST_TERM`] it is only
    /// kept that there is one. No condition asks for it; what conditions ask for are terms.
    pub fn value(&mut self, name: &str, value: &str) {
        let row = usize::from(self.at());
        self.values_of(name).set(row, value);
    }

    /// The row has something under this name that is no single value.
    pub fn value_unkept(&mut self, name: &str) {
        let row = usize::from(self.at());
        self.values_of(name).unkept(row);
    }

    fn values_of(&mut self, name: &str) -> &mut Values {
        if !self.values.contains_key(name) {
            self.values.insert(name.into(), Values::default());
        }
        self.values.entry(name.into()).or_default()
    }

    /// The words of the row's text, which is in lower case.
    pub fn words(&mut self, lower: &str) {
        for word in words(lower) {
            self.term(WORDS, word);
        }
    }

    /// The segment's bytes. `version` says how terms were made of rows: terms of different versions are not to
    /// be compared.
    pub fn finish(self, version: &str) -> Vec<u8> {
        let rows = self.times.len();
        let mut out = MAGIC.to_vec();
        let mut directory = Vec::new();
        put_bytes(&mut directory, version.as_bytes());
        put(&mut directory, rows as u64);
        for values in [&self.times, &self.offsets, &self.received] {
            put(&mut directory, out.len() as u64);
            column::encode(&mut out, values);
        }
        let mut fields: Vec<(Box<str>, Field)> = self.fields.into_iter().collect();
        fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        put(&mut directory, fields.len() as u64);
        for (name, mut field) in fields {
            put_bytes(&mut directory, name.as_bytes());
            for found in [&field.present, &field.long] {
                let mut posting = Vec::new();
                encode(&mut posting, found, rows);
                put_bytes(&mut directory, &posting);
            }
            let ordered = field.terms.len() >= ORDERED_TERMS;
            put(&mut directory, field.terms.len() as u64);
            put(&mut directory, out.len() as u64);
            let (index, blocks) = terms(field.terms, rows);
            put(&mut directory, index.len() as u64);
            put(&mut directory, blocks.len() as u64);
            out.extend(index);
            out.extend(blocks);
            put(&mut directory, u64::from(ordered));
            for values in field.orders.iter_mut().filter(|_| ordered) {
                let place = order::encode(&mut out, values);
                put(&mut directory, place.at);
                for len in [place.index, place.keys, place.rows] {
                    put(&mut directory, len as u64);
                }
            }
        }
        let mut values: Vec<(Box<str>, Values)> = self.values.into_iter().collect();
        values.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        put(&mut directory, values.len() as u64);
        for (name, values) in values {
            put_bytes(&mut directory, name.as_bytes());
            values.encode(&mut out, rows).write(&mut directory);
        }
        seal(&mut directory, 0);
        let at = out.len() as u64;
        out.extend_from_slice(&directory);
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&(directory.len() as u64).to_le_bytes());
        out.extend_from_slice(MAGIC);
        out
    }
}

fn terms(terms: FxHashMap<Box<str>, Vec<u16>>, rows: usize) -> (Vec<u8>, Vec<u8>) {
    let mut terms: Vec<(Box<str>, Vec<u16>)> = terms.into_iter().collect();
    terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let (mut index, mut blocks) = (Vec::new(), Vec::new());
    let mut start = 0;
    let mut count = 0;
    let mut first: &str = "";
    let mut before: &str = "";
    for (term, found) in &terms {
        if count == BLOCK_TERMS || (count > 0 && blocks.len() - start >= BLOCK_BYTES) {
            close(&mut index, &mut blocks, start, first);
            start = blocks.len();
            count = 0;
        }
        let shared = if count == 0 {
            first = term;
            0
        } else {
            let pairs = before.bytes().zip(term.bytes());
            pairs.take_while(|(a, b)| a == b).count()
        };
        put(&mut blocks, shared as u64);
        put_bytes(&mut blocks, &term.as_bytes()[shared..]);
        encode(&mut blocks, found, rows);
        before = term;
        count += 1;
    }
    if count > 0 {
        close(&mut index, &mut blocks, start, first);
    }
    seal(&mut index, 0);
    (index, blocks)
}

fn close(index: &mut Vec<u8>, blocks: &mut Vec<u8>, start: usize, first: &str) {
    seal(blocks, start);
    put_bytes(index, first.as_bytes());
    put(index, (blocks.len() - start) as u64);
}
