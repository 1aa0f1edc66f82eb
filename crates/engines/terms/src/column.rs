//! One number for each row: when it happened, and its place among all.
//!
//! ```text
//! column = width (1 byte), least value (8 bytes), rows × width bytes, checksum
//! ```

use crate::bytes::{Bytes, Damaged, seal, unseal};

/// Bytes before the numbers.
const HEAD: usize = 9;

/// Values with the same number of bytes each, so that one can be read by itself.
pub(crate) fn encode(out: &mut Vec<u8>, values: &[u64]) {
    let start = out.len();
    let least = values.iter().copied().min().unwrap_or(0);
    let most = values.iter().copied().max().unwrap_or(0);
    let width = (u64::BITS - (most - least).leading_zeros()).div_ceil(8) as usize;
    out.push(width.to_le_bytes()[0]);
    out.extend_from_slice(&least.to_le_bytes());
    for value in values {
        out.extend_from_slice(&(value - least).to_le_bytes()[..width]);
    }
    seal(out, start);
}

/// The numbers of a segment's rows, each decoded when it is asked for.
#[derive(Debug)]
pub struct Column {
    /// The numbers, and eight bytes more, so that each can be read as eight.
    bytes: Vec<u8>,
    rows: usize,
    width: usize,
    least: u64,
    mask: u64,
}

impl Column {
    pub(crate) fn read(bytes: &impl Bytes, at: u64, rows: usize) -> Result<Self, Damaged> {
        let width = usize::from(bytes.read(at, 1)?[0]);
        if width > 8 {
            return Err(Damaged::new("a column is too wide"));
        }
        let sealed = bytes.read(at, HEAD + width * rows + 4)?;
        let (head, content) = unseal(&sealed)?.split_at(HEAD);
        let mut least = [0; 8];
        least.copy_from_slice(&head[1..]);
        let mut bytes = Vec::with_capacity(content.len() + 8);
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&[0; 8]);
        Ok(Self {
            bytes,
            rows,
            width,
            least: u64::from_le_bytes(least),
            mask: u64::MAX.checked_shr(64 - 8 * width as u32).unwrap_or(0),
        })
    }

    /// The number of a row; 0 of one that the segment does not have.
    pub fn get(&self, row: usize) -> u64 {
        let start = row * self.width;
        match self.bytes.get(start..start + 8) {
            Some(bytes) if row < self.rows => {
                let mut eight = [0; 8];
                eight.copy_from_slice(bytes);
                self.least
                    .wrapping_add(u64::from_le_bytes(eight) & self.mask)
            }
            _ => 0,
        }
    }
}

/// The times of a segment's rows, each decoded when it is asked for.
#[derive(Debug)]
pub struct Times(pub(crate) Column);

impl Times {
    /// The time of a row, in the unit that it was given in; without a meaning for one that the segment does not have.
    pub fn get(&self, row: usize) -> i64 {
        (self.0.get(row) ^ (1 << 63)).cast_signed()
    }
}
