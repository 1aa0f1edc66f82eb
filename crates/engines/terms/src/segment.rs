//! Reading a segment.

use std::ops::RangeInclusive;

use crate::bytes::{Bytes, Damaged, Read, unseal};
use crate::column::{Column, Times};
use crate::order::{self, Order, Place};
use crate::posting::Posting;
use crate::rows::RowSet;
use crate::value::{self, RowValues};
use crate::write::MAGIC;

/// Bytes of the footer.
const FOOTER: u64 = 24;
/// Most bytes that one part of a segment has: what is read at once.
const MOST_BYTES: u64 = 1 << 30;

/// A segment that can be asked. Only what answers a question is read of it.
pub struct Segment<B> {
    bytes: B,
    directory: Vec<u8>,
    rows: usize,
    version: String,
    columns: [u64; 3],
    /// Where the fields begin in the directory, and how many there are.
    fields: (usize, usize),
}

/// Where the terms of a field are.
struct Field<'a> {
    /// Rows that have it, and rows where it has a long value.
    present: &'a [u8],
    long: &'a [u8],
    terms: u64,
    index: (u64, usize),
    blocks: (u64, usize),
    orders: Option<[Place; Order::ALL.len()]>,
}

impl<B: Bytes> Segment<B> {
    /// Opens a segment.
    ///
    /// # Errors
    /// When it is none, or damaged.
    pub fn open(bytes: B) -> Result<Self, Damaged> {
        let size = bytes.size();
        let at = size
            .checked_sub(FOOTER)
            .ok_or_else(|| Damaged::new("too short for a segment"))?;
        let footer = bytes.read(at, FOOTER as usize)?;
        let number = |from: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&footer[from..from + 8]);
            u64::from_le_bytes(eight)
        };
        let (start, len) = (number(0), number(8));
        if footer[16..24] != *MAGIC || start.checked_add(len) != Some(at) || len > MOST_BYTES {
            return Err(Damaged::new("this is not the end of a segment"));
        }
        let directory = unseal(&bytes.read(start, len as usize)?)?.to_vec();
        drop(footer);
        let mut read = Read(&directory);
        let version = String::from_utf8(read.bytes()?.to_vec())
            .map_err(|_| Damaged::new("its version is no text"))?;
        let rows = read.size()?;
        if rows > crate::MOST_ROWS {
            return Err(Damaged::new("it has too many rows"));
        }
        let columns = [read.number()?, read.number()?, read.number()?];
        let count = read.size()?;
        let fields = (directory.len() - read.0.len(), count);
        Ok(Self {
            bytes,
            rows,
            version,
            columns,
            fields,
            directory,
        })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How terms were made of rows.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The time of each row.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn times(&self) -> Result<Times, Damaged> {
        Ok(Times(self.column(self.columns[0])?))
    }

    /// When each row was received.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn received(&self) -> Result<Times, Damaged> {
        Ok(Times(self.column(self.columns[2])?))
    }

    /// The offset of each row.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn offsets(&self) -> Result<Column, Damaged> {
        self.column(self.columns[1])
    }

    fn column(&self, at: u64) -> Result<Column, Damaged> {
        Column::read(&self.bytes, at, self.rows)
    }

    /// Goes through the fields as long as `look` says so. To the end when it always does: then it gives what follows.
    fn fields<'s>(
        &'s self,
        mut look: impl FnMut(&[u8], Field<'s>) -> bool,
    ) -> Result<Read<'s>, Damaged> {
        let mut read = Read(&self.directory[self.fields.0..]);
        for _ in 0..self.fields.1 {
            let name = read.bytes()?;
            let (present, long) = (read.bytes()?, read.bytes()?);
            let terms = read.number()?;
            let (at, index, blocks) = (read.number()?, read.size()?, read.size()?);
            if index as u64 > MOST_BYTES || blocks as u64 > MOST_BYTES {
                return Err(Damaged::new("a field is too large"));
            }
            let orders = match read.number()? {
                0 => None,
                1 => Some([place(&mut read)?, place(&mut read)?, place(&mut read)?]),
                _ => return Err(Damaged::new("a field is not written as it should be")),
            };
            let field = Field {
                orders,
                present,
                long,
                terms,
                index: (at, index),
                blocks: (at.saturating_add(index as u64), blocks),
            };
            if !look(name, field) {
                break;
            }
        }
        Ok(read)
    }

    fn field(&self, name: &str) -> Result<Option<Field<'_>>, Damaged> {
        let mut found = None;
        self.fields(|other, field| {
            let same = other == name.as_bytes();
            if same {
                found = Some(field);
            }
            !same
        })?;
        Ok(found)
    }

    fn rows_of(&self, posting: Option<&[u8]>) -> Result<RowSet, Damaged> {
        let mut rows = RowSet::none(self.rows);
        if let Some(posting) = posting {
            Posting::read(&mut Read(posting), self.rows)?.add_to(&mut rows)?;
        }
        Ok(rows)
    }

    /// The rows that have a field.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn present(&self, field: &str) -> Result<RowSet, Damaged> {
        self.rows_of(self.field(field)?.map(|field| field.present))
    }

    /// The rows with a value of a field that is longer than [`crate::LONGEST_TERM`].
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn long(&self, field: &str) -> Result<RowSet, Damaged> {
        self.rows_of(self.field(field)?.map(|field| field.long))
    }

    /// How many terms a field has.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn terms(&self, field: &str) -> Result<u64, Damaged> {
        Ok(self.field(field)?.map_or(0, |field| field.terms))
    }

    /// Calls `each` with every term of a field and every row that has it.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn each_row(&self, field: &str, mut each: impl FnMut(&str, usize)) -> Result<(), Damaged> {
        self.scan(field, "", |term, posting| {
            posting.runs(self.rows, |start, count| {
                (start..start + count).for_each(|row| each(term, row));
            })?;
            Ok(true)
        })
    }

    /// The rows that have a term in a field.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn equal(&self, field: &str, term: &str) -> Result<RowSet, Damaged> {
        let mut rows = RowSet::none(self.rows);
        self.scan(field, term, |found, posting| {
            if found == term {
                posting.add_to(&mut rows)?;
            }
            Ok(found < term)
        })?;
        Ok(rows)
    }

    /// The rows that have a term in a field that begins with `prefix` and passes `test`. All terms with this
    /// beginning are looked at.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn like(
        &self,
        field: &str,
        prefix: &str,
        test: impl Fn(&str) -> bool,
    ) -> Result<RowSet, Damaged> {
        let mut rows = RowSet::none(self.rows);
        self.scan(field, prefix, |found, posting| {
            let begins = found.starts_with(prefix);
            if begins && test(found) {
                posting.add_to(&mut rows)?;
            }
            Ok(begins || found < prefix)
        })?;
        Ok(rows)
    }

    /// The rows with a value of a field whose key in an order is in `keys`. `None` when no orders of this field are kept,
    /// because it has few terms.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn within(
        &self,
        field: &str,
        order: Order,
        keys: &RangeInclusive<u64>,
    ) -> Result<Option<RowSet>, Damaged> {
        let mut rows = RowSet::none(self.rows);
        let Some(field) = self.field(field)? else {
            return Ok(Some(rows));
        };
        let Some(orders) = field.orders else {
            return Ok(None);
        };
        order::rows_in(&self.bytes, orders[order as usize], keys, &mut rows)?;
        Ok(Some(rows))
    }

    /// Calls `each` with every name that is `wanted`, every value that some of `rows` have under it, and how many of them.
    /// Values that are not kept are not among them.
    ///
    /// Cost: the rows and the values that are found, not the values that there are.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn count_values(
        &self,
        rows: &RowSet,
        wanted: impl Fn(&str) -> bool,
        mut each: impl FnMut(&str, &str, usize),
    ) -> Result<(), Damaged> {
        self.named_values(|name, place| {
            if wanted(name) {
                place.count(&self.bytes, rows, |value, count| each(name, value, count))?;
            }
            Ok(())
        })
    }

    /// What some rows have under a name.
    ///
    /// Cost: as of [`Segment::count_values`], and four bytes of memory for each row of the segment.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn values(&self, name: &str, rows: &RowSet) -> Result<RowValues, Damaged> {
        let mut found = RowValues::default();
        self.named_values(|other, place| {
            if other == name {
                found = place.read_rows(&self.bytes, rows)?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn named_values(
        &self,
        mut each: impl FnMut(&str, value::Place) -> Result<(), Damaged>,
    ) -> Result<(), Damaged> {
        let mut read = self.fields(|_, _| true)?;
        for _ in 0..read.size()? {
            let name = std::str::from_utf8(read.bytes()?);
            let name = name.map_err(|_| Damaged::new("a name is no text"))?;
            each(name, value::Place::read(&mut read)?)?;
        }
        Ok(())
    }

    /// Goes through terms, from the block on in which `from` would be, as long as `look` says so.
    fn scan(
        &self,
        field: &str,
        from: &str,
        mut look: impl FnMut(&str, Posting<'_>) -> Result<bool, Damaged>,
    ) -> Result<(), Damaged> {
        let Some(field) = self.field(field)? else {
            return Ok(());
        };
        let sealed = self.bytes.read(field.index.0, field.index.1)?;
        let mut index = Read(unseal(&sealed)?);
        let mut starts = Vec::new();
        let mut at = 0;
        while !index.is_empty() {
            let first = index.bytes()?;
            let len = index.size()?;
            if first <= from.as_bytes() {
                starts.clear();
            }
            starts.push((at, len));
            at += len as u64;
        }
        if at != field.blocks.1 as u64 {
            return Err(Damaged::new(
                "the blocks are not as long as their index says",
            ));
        }
        let mut term = Vec::new();
        for (at, len) in starts {
            let sealed = self.bytes.read(field.blocks.0 + at, len)?;
            let mut block = Read(unseal(&sealed)?);
            term.clear();
            while !block.is_empty() {
                let shared = block.size()?;
                if shared > term.len() {
                    return Err(Damaged::new("a term is not written as it should be"));
                }
                term.truncate(shared);
                term.extend_from_slice(block.bytes()?);
                let text =
                    std::str::from_utf8(&term).map_err(|_| Damaged::new("a term is no text"))?;
                let posting = Posting::read(&mut block, self.rows)?;
                if !look(text, posting)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn place(read: &mut Read<'_>) -> Result<Place, Damaged> {
    let place = Place {
        at: read.number()?,
        index: read.size()?,
        keys: read.size()?,
        rows: read.size()?,
    };
    let most = place.index.max(place.keys).max(place.rows);
    if most as u64 > MOST_BYTES {
        return Err(Damaged::new("an order is too large"));
    }
    Ok(place)
}
