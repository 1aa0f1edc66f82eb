//! Where a segment's bytes come from, and numbers in them.

use std::borrow::Cow;
use std::io;

/// The bytes of a segment: in memory, or wherever they are read from piece by piece.
pub trait Bytes {
    /// How many there are.
    fn size(&self) -> u64;

    /// `len` bytes from `at` on.
    ///
    /// # Errors
    /// When there are not as many, or they cannot be read.
    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>>;
}

impl Bytes for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let start = usize::try_from(at).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(len)?));
        range
            .and_then(|range| self.get(range))
            .map(Cow::Borrowed)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl<B: Bytes> Bytes for &B {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        (**self).read(at, len)
    }
}

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub String);

impl Damaged {
    pub(crate) fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

impl From<io::Error> for Damaged {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends bytes with their number before them.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the checksum of what stands from `start` on.
pub(crate) fn seal(out: &mut Vec<u8>, start: usize) {
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// What stands before a checksum.
pub(crate) fn unseal(sealed: &[u8]) -> Result<&[u8], Damaged> {
    let (content, sum) = sealed
        .split_last_chunk::<4>()
        .ok_or_else(|| Damaged::new("a part is too short"))?;
    if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
        return Err(Damaged::new("a checksum differs"));
    }
    Ok(content)
}

/// Reads what [`put`] and its kin wrote.
#[derive(Clone, Copy)]
pub(crate) struct Read<'a>(pub(crate) &'a [u8]);

impl<'a> Read<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else {
                break;
            };
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged::new("a number does not end"))
    }

    pub(crate) fn size(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.number()?).map_err(|_| Damaged::new("a number is too large"))
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (bytes, rest) = self
            .0
            .split_at_checked(len)
            .ok_or_else(|| Damaged::new("a part ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.size()?;
        self.take(len)
    }
}
