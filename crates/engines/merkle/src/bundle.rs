//! Entry bundles: up to 256 entries, each after its length as a big-endian 16-bit number
//! (C2SP `tlog-tiles`, "Log entries").

use std::ops::Range;

/// The longest entry that a bundle can hold, in bytes.
pub const MAX_ENTRY_LEN: usize = u16::MAX as usize;

/// The entry does not fit into a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {len} bytes does not fit; the longest is {MAX_ENTRY_LEN}")]
pub struct EntryTooLong {
    /// The length of the entry in bytes.
    pub len: usize,
}

/// Appends one entry to the bytes of a bundle.
///
/// # Errors
/// [`EntryTooLong`]; the bundle is then unchanged.
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let len = u16::try_from(entry.len()).map_err(|_| EntryTooLong { len: entry.len() })?;
    bundle.reserve(2 + entry.len());
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Why bytes are not a bundle of the expected number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end within an entry or its length.
    #[error("entry {entry} at byte {offset} ends beyond the bundle's {len} bytes")]
    Truncated {
        /// Which entry of the bundle, from 0.
        entry: usize,
        /// Where its length prefix starts.
        offset: usize,
        /// The length of the bundle in bytes.
        len: usize,
    },
    /// There are bytes after the last entry.
    #[error("{extra} bytes after the last of {entries} entries, from byte {offset}")]
    Trailing {
        /// How many entries were expected and read.
        entries: usize,
        /// Where the surplus begins.
        offset: usize,
        /// How many bytes it has.
        extra: usize,
    },
}

/// A parsed bundle: the bytes and where each entry lies in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryBundle<'a> {
    bytes: &'a [u8],
    entries: Vec<Range<usize>>,
}

impl<'a> EntryBundle<'a> {
    /// Reads exactly `width` entries (at most 256) that fill the bytes exactly.
    ///
    /// # Errors
    /// [`BundleError`] with the place where the bytes stop making sense.
    pub fn parse(bytes: &'a [u8], width: u16) -> Result<Self, BundleError> {
        let mut entries = Vec::with_capacity(usize::from(width.min(crate::tile::TILE_WIDTH)));
        let mut offset = 0;
        for entry in 0..usize::from(width) {
            let range = match bytes.get(offset..offset + 2) {
                Some(&[high, low]) => {
                    let start = offset + 2;
                    start..start + usize::from(u16::from_be_bytes([high, low]))
                }
                _ => {
                    return Err(BundleError::Truncated {
                        entry,
                        offset,
                        len: bytes.len(),
                    });
                }
            };
            if range.end > bytes.len() {
                return Err(BundleError::Truncated {
                    entry,
                    offset,
                    len: bytes.len(),
                });
            }
            offset = range.end;
            entries.push(range);
        }
        if offset < bytes.len() {
            return Err(BundleError::Trailing {
                entries: entries.len(),
                offset,
                extra: bytes.len() - offset,
            });
        }
        Ok(Self { bytes, entries })
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at a place in the bundle, from 0.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&'a [u8]> {
        self.entries
            .get(place)
            .map(|range| &self.bytes[range.clone()])
    }

    /// Where the entry's bytes lie in the bundle, without the length prefix.
    #[must_use]
    pub fn range(&self, place: usize) -> Option<Range<usize>> {
        self.entries.get(place).cloned()
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + '_ {
        self.entries.iter().map(|range| &self.bytes[range.clone()])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_reads_back_and_says_where_it_breaks() {
        let mut bytes = Vec::new();
        for entry in [&b"one"[..], b"", b"three"] {
            append_entry(&mut bytes, entry).unwrap();
        }
        let bundle = EntryBundle::parse(&bytes, 3).unwrap();
        assert_eq!(
            bundle.iter().collect::<Vec<_>>(),
            vec![&b"one"[..], b"", b"three"]
        );
        assert_eq!(bundle.range(2), Some(9..14));
        assert_eq!(
            EntryBundle::parse(&bytes, 2),
            Err(BundleError::Trailing {
                entries: 2,
                offset: 7,
                extra: 7
            })
        );
        assert_eq!(
            EntryBundle::parse(&bytes, 4),
            Err(BundleError::Truncated {
                entry: 3,
                offset: 14,
                len: 14
            })
        );
        assert_eq!(
            EntryBundle::parse(&bytes[..12], 3),
            Err(BundleError::Truncated {
                entry: 2,
                offset: 7,
                len: 12
            })
        );
    }

    #[test]
    fn an_entry_of_65536_bytes_is_refused_and_changes_nothing() {
        let mut bytes = vec![7];
        assert_eq!(
            append_entry(&mut bytes, &vec![0; 65_536]),
            Err(EntryTooLong { len: 65_536 })
        );
        assert_eq!(bytes, vec![7]);
        append_entry(&mut bytes, &vec![0; 65_535]).unwrap();
    }
}
