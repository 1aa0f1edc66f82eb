//! Rows by the order of a value: what ranges of numbers and of addresses are asked of.
//!
//! ```text
//! order  = index keys* rows*
//! index  = (first key, rows in the block, bytes of its keys)* checksum
//! keys   = shift (1 byte), width (1 byte), rows × width bytes, checksum: what is left of a key is
//!          (key - first key) >> shift
//! rows   = rows × 2 bytes, checksum
//! ```

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::bytes::{Bytes, Damaged, Read, put, seal, unseal};
use crate::rows::RowSet;

/// Rows of a block: what is read at either end of a range.
const BLOCK: usize = 1_024;

/// A way in which the values of a field can follow each other. A value has a place in those that fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Numbers.
    Number,
    /// Addresses of version 4.
    Address4,
    /// Addresses of version 6, by their first 64 bits.
    Address6,
}

impl Order {
    pub(crate) const ALL: [Self; 3] = [Self::Number, Self::Address4, Self::Address6];

    /// The key of a number: of two numbers the greater has the greater key, and equal ones have the same. Not for what is
    /// not a number.
    pub fn number(value: f64) -> u64 {
        // The two zeros are one.
        let bits = (value + 0.0).to_bits();
        // Those below zero are stored the other way round, and come first.
        if bits >> 63 == 1 {
            !bits
        } else {
            bits | 1 << 63
        }
    }

    /// The order that an address has a place in, and its key.
    pub fn address(address: IpAddr) -> (Self, u64) {
        match address {
            IpAddr::V4(four) => (Self::Address4, u64::from(u32::from(four))),
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments().map(u64::from);
                (Self::Address6, a << 48 | b << 32 | c << 16 | d)
            }
        }
    }
}

/// Where an order of a field stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) at: u64,
    pub(crate) index: usize,
    pub(crate) keys: usize,
    pub(crate) rows: usize,
}

/// Appends an order, sorting it.
pub(crate) fn encode(out: &mut Vec<u8>, values: &mut [(u64, u16)]) -> Place {
    values.sort_unstable();
    let at = out.len() as u64;
    let (mut index, mut keys, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for block in values.chunks(BLOCK) {
        let first = block.first().map_or(0, |(key, _)| *key);
        let start = keys.len();
        let all = block.iter().fold(0, |all, (key, _)| all | (key - first));
        let shift = if all == 0 { 0 } else { all.trailing_zeros() };
        let width = (u64::BITS - (all >> shift).leading_zeros()).div_ceil(8) as usize;
        keys.push(shift.to_le_bytes()[0]);
        keys.push(width.to_le_bytes()[0]);
        for (key, _) in block {
            keys.extend_from_slice(&((key - first) >> shift).to_le_bytes()[..width]);
        }
        seal(&mut keys, start);
        put(&mut index, first);
        put(&mut index, block.len() as u64);
        put(&mut index, (keys.len() - start) as u64);
        let start = rows.len();
        for (_, row) in block {
            rows.extend_from_slice(&row.to_le_bytes());
        }
        seal(&mut rows, start);
    }
    seal(&mut index, 0);
    let place = Place {
        at,
        index: index.len(),
        keys: keys.len(),
        rows: rows.len(),
    };
    out.extend(index);
    out.extend(keys);
    out.extend(rows);
    place
}

struct Block {
    first: u64,
    count: usize,
    /// Where its keys and its rows begin, and how long the keys are.
    keys: (u64, usize),
    rows: u64,
}

fn blocks(bytes: &impl Bytes, place: Place) -> Result<Vec<Block>, Damaged> {
    let sealed = bytes.read(place.at, place.index)?;
    let mut read = Read(unseal(&sealed)?);
    let mut blocks: Vec<Block> = Vec::new();
    let (mut keys, mut rows) = (0_u64, 0_u64);
    let start = place.at.saturating_add(place.index as u64);
    while !read.is_empty() {
        let (first, count, len) = (read.number()?, read.size()?, read.size()?);
        if count == 0 || count > BLOCK || len > BLOCK * 8 + 6 {
            return Err(Damaged::new("a block of an order has a wrong size"));
        }
        blocks.push(Block {
            first,
            count,
            keys: (start.saturating_add(keys), len),
            rows: start.saturating_add(place.keys as u64).saturating_add(rows),
        });
        keys += len as u64;
        rows += (count * 2 + 4) as u64;
    }
    if keys != place.keys as u64 || rows != place.rows as u64 {
        return Err(Damaged::new("an order is not as long as its index says"));
    }
    Ok(blocks)
}

/// The rows that have a value within `range`.
///
/// Cost: the index, the keys at either end, and two bytes for each row that is found.
pub(crate) fn rows_in(
    bytes: &impl Bytes,
    place: Place,
    range: &RangeInclusive<u64>,
    found: &mut RowSet,
) -> Result<(), Damaged> {
    let blocks = blocks(bytes, place)?;
    for (i, block) in blocks.iter().enumerate() {
        let next = blocks.get(i + 1).map(|next| next.first);
        if block.first > *range.end() {
            break;
        }
        if next.is_some_and(|next| next < *range.start()) {
            continue;
        }
        let sealed = bytes.read(block.rows, block.count * 2 + 4)?;
        let rows = unseal(&sealed)?
            .chunks_exact(2)
            .map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])));
        let whole = range.contains(&block.first) && next.is_some_and(|next| range.contains(&next));
        if whole {
            rows.for_each(|row| found.insert(row));
            continue;
        }
        let keys = keys(bytes, block)?;
        let within = keys.iter().zip(rows).filter(|(key, _)| range.contains(key));
        within.for_each(|(_, row)| found.insert(row));
    }
    Ok(())
}

fn keys(bytes: &impl Bytes, block: &Block) -> Result<Vec<u64>, Damaged> {
    let strange = || Damaged::new("the keys of an order are not written as they should be");
    let sealed = bytes.read(block.keys.0, block.keys.1)?;
    let content = unseal(&sealed)?;
    let ([shift, width], content) = content.split_first_chunk::<2>().ok_or_else(strange)?;
    let width = usize::from(*width);
    if *shift > 63 || width > 8 || content.len() != width * block.count {
        return Err(strange());
    }
    let key = |at: usize| {
        let mut eight = [0; 8];
        eight[..width].copy_from_slice(&content[at * width..(at + 1) * width]);
        block.first.wrapping_add(u64::from_le_bytes(eight) << shift)
    };
    Ok((0..block.count).map(key).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_have_keys_in_their_order(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let (left, right) = (Order::number(a), Order::number(b));
            prop_assert_eq!(a.partial_cmp(&b).unwrap(), left.cmp(&right));
        }

        #[test]
        fn a_range_has_the_rows_within(
            mut values in prop::collection::vec((prop_oneof![0..40_u64, any::<u64>()], 0..2_000_u16), 0..3_000),
            one in prop_oneof![0..40_u64, any::<u64>()],
            other in prop_oneof![0..40_u64, any::<u64>()],
        ) {
            let range = one.min(other)..=one.max(other);
            let mut truth = RowSet::none(2_000);
            for (_, row) in values.iter().filter(|(key, _)| range.contains(key)) {
                truth.insert(usize::from(*row));
            }
            let mut bytes = b"before".to_vec();
            let place = encode(&mut bytes, &mut values);
            let mut found = RowSet::none(2_000);
            rows_in(&bytes.as_slice(), place, &range, &mut found).unwrap();
            prop_assert_eq!(found, truth);
        }
    }

    #[test]
    fn the_two_zeros_are_one() {
        assert_eq!(Order::number(0.0), Order::number(-0.0));
        assert_eq!(Order::number(-1.0) + 1, Order::number((-1.0_f64).next_up()));
    }
}
