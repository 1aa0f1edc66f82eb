//! A filter in memory that says "certainly not seen" for nearly every new id, so that the index on
//! disk is asked only about those that probably are there.
//!
//! Split-block Bloom filters (as Parquet has them): one cache line a question, eight bits set an id. A
//! partition's filter is a row of them, each twice as large as the one before up to
//! [`LARGEST`] ids, at 16 bits an id: about 0.1 % false alarms for each filter of the row.

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::model::EventKey;

const SMALLEST: usize = 1 << 19;
const LARGEST: usize = 1 << 23;
const MAGIC: &[u8; 8] = b"SWBLOOM1";
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// One filter. Bits are only ever set, so that a copy that is written while ids are added holds at least
/// those that were added before.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<AtomicU32>,
    capacity: usize,
    count: AtomicUsize,
}

fn parts(key: &EventKey) -> (u64, u32) {
    let k = &key.0;
    (
        u64::from_le_bytes([k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7]]),
        u32::from_le_bytes([k[8], k[9], k[10], k[11]]),
    )
}

impl Filter {
    fn new(capacity: usize) -> Self {
        let words = capacity * 16 / 32;
        Self {
            words: (0..words).map(|_| AtomicU32::new(0)).collect(),
            capacity,
            count: AtomicUsize::new(0),
        }
    }

    fn block(&self, hash: u64) -> usize {
        let blocks = (self.words.len() / 8) as u128;
        ((u128::from(hash) * blocks) >> 64) as usize * 8
    }

    fn add(&self, key: &EventKey) {
        let (hash, low) = parts(key);
        let block = self.block(hash);
        for (word, salt) in self.words[block..block + 8].iter().zip(SALTS) {
            let bit = 1 << (low.wrapping_mul(salt) >> 27);
            // One thread adds: a load and a store are enough, and cheaper than a locked or.
            word.store(word.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn may_hold(&self, key: &EventKey) -> bool {
        let (hash, low) = parts(key);
        let block = self.block(hash);
        self.words[block..block + 8]
            .iter()
            .zip(SALTS)
            .all(|(word, salt)| {
                word.load(Ordering::Relaxed) & (1 << (low.wrapping_mul(salt) >> 27)) != 0
            })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.words.len() * 4 + 32);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.capacity as u64).to_le_bytes());
        out.extend_from_slice(&(self.count.load(Ordering::Relaxed) as u64).to_le_bytes());
        for word in &self.words {
            out.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?;
        let (capacity, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let capacity = usize::try_from(u64::from_le_bytes(*capacity)).ok()?;
        if capacity > LARGEST || rest.len() != capacity * 2 {
            return None;
        }
        Some(Self {
            words: rest
                .chunks_exact(4)
                .map(|w| AtomicU32::new(u32::from_le_bytes([w[0], w[1], w[2], w[3]])))
                .collect(),
            capacity,
            count: AtomicUsize::new(usize::try_from(u64::from_le_bytes(*count)).ok()?),
        })
    }
}

/// A growing row of filters.
#[derive(Debug, Default, Clone)]
pub(super) struct Filters {
    row: Vec<std::sync::Arc<Filter>>,
}

impl Filters {
    pub(super) fn add(&mut self, key: &EventKey) {
        let full = |f: &std::sync::Arc<Filter>| f.count.load(Ordering::Relaxed) >= f.capacity;
        if self.row.last().is_none_or(full) {
            let next = self
                .row
                .last()
                .map_or(SMALLEST, |f| (f.capacity * 2).min(LARGEST));
            self.row.push(std::sync::Arc::new(Filter::new(next)));
        }
        if let Some(filter) = self.row.last() {
            filter.add(key);
        }
    }

    pub(super) fn may_hold(&self, key: &EventKey) -> bool {
        self.row.iter().any(|f| f.may_hold(key))
    }

    /// Writes the filters from number `first` on as `PREFIX-NUMBER.bloom`; returns the first number that
    /// has to be written next time.
    pub(super) fn write(
        &self,
        folder: &Path,
        prefix: &str,
        first: usize,
    ) -> std::io::Result<usize> {
        for (number, filter) in self.row.iter().enumerate().skip(first) {
            let path = folder.join(format!("{prefix}-{number}.bloom"));
            super::replace::replace_file(&path, &filter.to_bytes())?;
        }
        Ok(self.row.len().saturating_sub(1))
    }

    /// Reads what [`Filters::write`] wrote; `None` when a file is missing or damaged.
    pub(super) fn read(folder: &Path, prefix: &str) -> Option<Self> {
        let mut row = Vec::new();
        loop {
            let path = folder.join(format!("{prefix}-{}.bloom", row.len()));
            match std::fs::read(&path) {
                Ok(bytes) => row.push(std::sync::Arc::new(Filter::from_bytes(&bytes)?)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !row.is_empty() => break,
                Err(_) => return None,
            }
        }
        Some(Self { row })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(n: u64) -> EventKey {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(&n.to_le_bytes()).as_bytes()[..16]);
        EventKey(key)
    }

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let mut filters = Filters::default();
        let many = 700_000;
        for n in 0..many {
            filters.add(&key(n));
        }
        assert_eq!(filters.row.len(), 2);
        assert!((0..many).all(|n| filters.may_hold(&key(n))));
        let alarms = (many..many + 100_000)
            .filter(|n| filters.may_hold(&key(*n)))
            .count();
        assert!(alarms < 500, "{alarms} false alarms of 100,000");

        let folder = tempfile::tempdir().unwrap();
        assert_eq!(filters.write(folder.path(), "p", 0).unwrap(), 1);
        let again = Filters::read(folder.path(), "p").unwrap();
        assert!((0..many).all(|n| again.may_hold(&key(n))));
        let file = folder.path().join("p-1.bloom");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[1000] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert!(Filters::read(folder.path(), "p").is_none());
    }
}
