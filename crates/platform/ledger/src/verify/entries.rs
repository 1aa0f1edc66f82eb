//! Which entry of a bundle, and which byte of it, does not have its hash.

use sealwright_merkle::{Hash, leaf_hash};

/// The longest entry of which every byte is tried; above, the entry is named as a whole.
const MAX_REPAIR: usize = 2_048;

/// Damage within one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where it begins.
    pub(super) offset: usize,
    /// Which hash or entry of the file.
    pub(super) place: usize,
    /// What is wrong.
    pub(super) problem: String,
}

/// Compares the bytes of a bundle with the hashes that its entries should have.
pub(super) fn damage_in_bundle(bytes: &[u8], hashes: &[Hash]) -> Vec<Damage> {
    let mut found = Vec::new();
    let mut offset = 0;
    for (place, hash) in hashes.iter().enumerate() {
        match at(bytes, offset) {
            Some(end) if leaf_hash(&bytes[offset + 2..end]) == *hash => offset = end,
            other => match repair(bytes, offset, other, hash) {
                Some(repair) => {
                    let problem = format!(
                        "byte is {:#04x}, was {:#04x}",
                        bytes[repair.offset], repair.was
                    );
                    found.push(Damage {
                        offset: repair.offset,
                        place,
                        problem,
                    });
                    offset = repair.end;
                }
                None => {
                    let problem = "the entry that begins here does not have its hash".to_owned();
                    found.push(Damage {
                        offset,
                        place,
                        problem,
                    });
                    // Without a sound length, where the next entry begins is not known.
                    match other {
                        Some(end) => offset = end,
                        None => return found,
                    }
                }
            },
        }
    }
    if offset < bytes.len() {
        let problem = format!("{} bytes after the last entry", bytes.len() - offset);
        found.push(Damage {
            offset,
            place: hashes.len(),
            problem,
        });
    }
    found
}

/// Where the entry at `offset` ends; `None` when that is beyond the bundle.
fn at(bytes: &[u8], offset: usize) -> Option<usize> {
    let prefix: [u8; 2] = bytes.get(offset..offset + 2)?.try_into().ok()?;
    let end = offset + 2 + usize::from(u16::from_be_bytes(prefix));
    (end <= bytes.len()).then_some(end)
}

struct Repair {
    offset: usize,
    was: u8,
    end: usize,
}

fn repair(bytes: &[u8], offset: usize, end: Option<usize>, hash: &Hash) -> Option<Repair> {
    let window = bytes.len().min(offset + 2 + usize::from(u16::MAX));
    let mut copy = bytes.get(offset..window)?.to_vec();
    if copy.len() < 2 {
        return None;
    }
    for i in 0..2 {
        let is = copy[i];
        for was in (0..=u8::MAX).filter(|was| *was != is) {
            copy[i] = was;
            if let Some(end) = at(&copy, 0)
                && leaf_hash(&copy[2..end]) == *hash
            {
                return Some(Repair {
                    offset: offset + i,
                    was,
                    end: offset + end,
                });
            }
        }
        copy[i] = is;
    }
    let end = end?;
    let length = end - offset;
    if length - 2 > MAX_REPAIR {
        return None;
    }
    for i in 2..length {
        let is = copy[i];
        for was in (0..=u8::MAX).filter(|was| *was != is) {
            copy[i] = was;
            if leaf_hash(&copy[2..length]) == *hash {
                return Some(Repair {
                    offset: offset + i,
                    was,
                    end,
                });
            }
        }
        copy[i] = is;
    }
    None
}

/// Compares the bytes of a hash tile with the hashes that it should hold.
pub(super) fn damage_in_tile(bytes: &[u8], hashes: &[Hash]) -> Vec<Damage> {
    let mut found = Vec::new();
    for (place, hash) in hashes.iter().enumerate() {
        let start = place * 32;
        let Some(stored) = bytes.get(start..start + 32) else {
            let problem = format!(
                "the file ends after {} of {} bytes",
                bytes.len(),
                hashes.len() * 32
            );
            found.push(Damage {
                offset: bytes.len(),
                place,
                problem,
            });
            return found;
        };
        if let Some(i) = (0..32).find(|i| stored[*i] != hash.0[*i]) {
            let problem = format!("byte is {:#04x}, was {:#04x}", stored[i], hash.0[i]);
            found.push(Damage {
                offset: start + i,
                place,
                problem,
            });
        }
    }
    if bytes.len() > hashes.len() * 32 {
        let offset = hashes.len() * 32;
        let problem = format!("{} bytes after the last hash", bytes.len() - offset);
        found.push(Damage {
            offset,
            place: hashes.len(),
            problem,
        });
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sealwright_merkle::append_entry;

    #[test]
    fn every_changed_byte_of_a_bundle_is_named() {
        let entries: Vec<Vec<u8>> = (0..4)
            .map(|i| format!("entry {i}").repeat(i).into_bytes())
            .collect();
        let mut bundle = Vec::new();
        for entry in &entries {
            append_entry(&mut bundle, entry).unwrap();
        }
        let hashes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        assert!(damage_in_bundle(&bundle, &hashes).is_empty());
        for at in 0..bundle.len() {
            let mut damaged = bundle.clone();
            damaged[at] ^= 0x41;
            let found = damage_in_bundle(&damaged, &hashes);
            assert_eq!(found.len(), 1, "byte {at}: {found:?}");
            assert_eq!(found[0].offset, at);
            assert!(found[0].problem.contains(&format!("{:#04x}", bundle[at])));
        }
        let cut = damage_in_bundle(&bundle[..bundle.len() - 1], &hashes);
        assert_eq!(cut.last().unwrap().place, 3);
        bundle.push(0);
        let longer = damage_in_bundle(&bundle, &hashes);
        assert_eq!(longer[0].offset, bundle.len() - 1);
    }
}
