//! Leaf and node hashing of RFC 6962, section 2.1, with SHA-256.
//!
//! The hot paths call SHA-256's block function directly: a node is always 65 bytes, so its two
//! blocks are laid out on the stack with the padding already in place. The block function picks
//! the processor's SHA instructions at run time where they exist.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

/// The length of a hash in bytes.
pub const HASH_LEN: usize = 32;

/// The initial state of SHA-256 (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A SHA-256 hash of a leaf, a node or a whole tree. Shown and serialised as standard base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; HASH_LEN]);

impl Hash {
    /// The bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }

    /// A hash from exactly 32 bytes; `None` for any other length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl From<[u8; HASH_LEN]> for Hash {
    fn from(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0_u8; 44];
        // 32 bytes always encode to 44 characters, so neither step can fail.
        let length = STANDARD
            .encode_slice(self.0, &mut buffer)
            .map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&buffer[..length]).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The text is not the standard, padded base64 of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 bytes as standard base64 (44 characters ending in `=`)")]
pub struct HashParseError;

impl FromStr for Hash {
    type Err = HashParseError;

    fn from_str(text: &str) -> Result<Self, HashParseError> {
        if text.len() != 44 {
            return Err(HashParseError);
        }
        let bytes = STANDARD.decode(text).map_err(|_| HashParseError)?;
        Self::from_slice(&bytes).ok_or(HashParseError)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn finish(state: [u32; 8]) -> Hash {
    let mut out = [0_u8; HASH_LEN];
    for (bytes, word) in out.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Hash(out)
}

/// The hash of a leaf: `SHA-256(0x00 || data)` (RFC 6962, section 2.1).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    /// Longest leaf whose prefix, data, end bit and length fit into one block.
    const ONE_BLOCK: usize = 64 - 1 - 1 - 8;
    if data.len() <= ONE_BLOCK {
        let mut block = [0_u8; 64];
        block[1..=data.len()].copy_from_slice(data);
        block[data.len() + 1] = 0x80;
        let bits = (data.len() as u64 + 1) * 8;
        block[56..].copy_from_slice(&bits.to_be_bytes());
        let mut state = INITIAL;
        compress256(&mut state, &[block]);
        return finish(state);
    }
    let mut hasher = Sha256::new();
    hasher.update([0_u8]);
    hasher.update(data);
    Hash(hasher.finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)` (RFC 6962, section 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0_u8; 64]; 2];
    blocks[0][0] = 0x01;
    blocks[0][1..33].copy_from_slice(&left.0);
    blocks[0][33..].copy_from_slice(&right.0[..31]);
    blocks[1][0] = right.0[31];
    blocks[1][1] = 0x80;
    // 65 bytes are 520 bits.
    blocks[1][62] = 0x02;
    blocks[1][63] = 0x08;
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    finish(state)
}

/// The root of the tree with no leaves: the hash of the empty string.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The root over leaf hashes in order. The vector is used as working space: it holds the hashes
/// of one tree level after the other, so a million leaves need no second allocation.
#[must_use]
pub fn root_of_leaves(mut level: Vec<Hash>) -> Hash {
    let mut width = level.len();
    if width == 0 {
        return empty_root();
    }
    // Promoting an odd last node unchanged is the same tree as RFC 6962's split at the largest
    // power of two below n.
    while width > 1 {
        let pairs = width / 2;
        for i in 0..pairs {
            level[i] = node_hash(&level[2 * i], &level[2 * i + 1]);
        }
        if width % 2 == 1 {
            level[pairs] = level[width - 1];
        }
        width = width.div_ceil(2);
    }
    level[0]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn plain(parts: &[&[u8]]) -> Hash {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }

    #[test]
    fn leaves_of_every_length_around_a_block_agree_with_plain_sha256() {
        let data: Vec<u8> = (0..200_u8).collect();
        for n in 0..data.len() {
            assert_eq!(
                leaf_hash(&data[..n]),
                plain(&[&[0], &data[..n]]),
                "length {n}"
            );
        }
    }

    #[test]
    fn nodes_agree_with_plain_sha256() {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        assert_eq!(node_hash(&a, &b), plain(&[&[1], &a.0, &b.0]));
        assert_ne!(node_hash(&a, &b), node_hash(&b, &a));
    }

    #[test]
    fn text_form_is_strict_base64() {
        let hash = empty_root();
        assert_eq!(
            hash.to_string(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
        // The last character's unused bits must be zero, and padding must be there.
        assert!(
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV="
                .parse::<Hash>()
                .is_err()
        );
        assert!(
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
                .parse::<Hash>()
                .is_err()
        );
        assert!(
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="
                .parse::<Hash>()
                .is_err()
        );
    }
}
