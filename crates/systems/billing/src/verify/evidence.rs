//! The events behind a usage row, as leaves of a tree.

use sealwright_core::{Digest, UnixMicros};
use sealwright_merkle::{leaf_hash, root_of_leaves};
use serde::{Deserialize, Serialize};

/// One event behind a usage row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EvidenceEntry {
    /// The event's place in the log.
    pub offset: u64,
    /// The time that it was metered at: its `time` attribute, or the moment of its acceptance.
    pub time: UnixMicros,
    /// SHA-256 of its canonical JSON.
    pub digest: Digest,
}

/// Bytes of one entry in the store and as a leaf: offset and time as big-endian 64-bit integers, then
/// the digest.
pub const ENTRY_BYTES: usize = 48;

impl EvidenceEntry {
    /// The bytes of the leaf.
    pub fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.time.0.to_be_bytes());
        bytes[16..].copy_from_slice(&self.digest.0);
        bytes
    }

    /// Reads [`EvidenceEntry::to_bytes`]; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (offset, rest) = bytes.split_first_chunk::<8>()?;
        let (time, digest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            offset: u64::from_be_bytes(*offset),
            time: UnixMicros(i64::from_be_bytes(*time)),
            digest: Digest(digest.try_into().ok()?),
        })
    }
}

/// The root of the RFC 6962 tree whose leaves are the entries in the order of the log.
pub fn evidence_root(entries: &[EvidenceEntry]) -> Digest {
    let leaves = entries
        .iter()
        .map(|entry| leaf_hash(&entry.to_bytes()))
        .collect();
    Digest(root_of_leaves(leaves).0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_read_back(offset: u64, time: i64, digest: [u8; 32]) {
            let entry = EvidenceEntry { offset, time: UnixMicros(time), digest: Digest(digest) };
            prop_assert_eq!(EvidenceEntry::from_bytes(&entry.to_bytes()), Some(entry));
        }
    }
}
