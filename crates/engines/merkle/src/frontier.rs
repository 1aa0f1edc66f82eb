//! The compact range `[0, n)`: the few complete subtrees that a growing tree needs.

use crate::hash::{Hash, empty_root, node_hash};
use crate::proof::{HashSource, frontier_nodes};

/// The right edge of a tree: its size and the roots of its maximal complete subtrees, largest
/// first. Appending a leaf costs one node hash on average; the whole state of a tree of `n`
/// leaves is one hash for each bit set in `n`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// The tree already holds `u64::MAX` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree is full: a leaf index must fit into 64 bits")]
pub struct TreeFull;

/// The number of hashes does not fit the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} complete subtrees, got {got} hashes")]
pub struct WrongPeaks {
    /// The size that was given.
    pub size: u64,
    /// How many hashes a tree of that size has on its edge.
    pub expected: usize,
    /// How many were given.
    pub got: usize,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frontier from its size and subtree roots, largest first.
    ///
    /// # Errors
    /// [`WrongPeaks`] when the count of hashes is not the count of bits set in `size`.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, WrongPeaks> {
        let expected = size.count_ones() as usize;
        if peaks.len() != expected {
            return Err(WrongPeaks {
                size,
                expected,
                got: peaks.len(),
            });
        }
        Ok(Self { size, peaks })
    }

    /// Reads the frontier of a stored tree of `size` leaves.
    ///
    /// # Errors
    /// Whatever the source fails with.
    pub fn load<S: HashSource>(source: &mut S, size: u64) -> Result<Self, S::Error> {
        let peaks = source.hashes(&frontier_nodes(size))?;
        Ok(Self { size, peaks })
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the maximal complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends one leaf hash.
    ///
    /// # Errors
    /// [`TreeFull`] when the tree holds `u64::MAX` leaves.
    pub fn push(&mut self, leaf: Hash) -> Result<(), TreeFull> {
        let size = self.size.checked_add(1).ok_or(TreeFull)?;
        let mut node = leaf;
        // Each trailing one bit of the old size is a complete subtree that this leaf closes.
        for _ in 0..self.size.trailing_ones() {
            match self.peaks.pop() {
                Some(left) => node = node_hash(&left, &node),
                None => break,
            }
        }
        self.peaks.push(node);
        self.size = size;
        Ok(())
    }

    /// The root of the tree as it stands.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hash::{leaf_hash, root_of_leaves};

    #[test]
    fn every_prefix_has_the_root_of_its_leaves() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        assert_eq!(frontier.root(), empty_root());
        for i in 0..600_u32 {
            let leaf = leaf_hash(&i.to_be_bytes());
            leaves.push(leaf);
            frontier.push(leaf).unwrap();
            assert_eq!(
                frontier.root(),
                root_of_leaves(leaves.clone()),
                "size {}",
                i + 1
            );
            assert_eq!(
                frontier.peaks().len(),
                frontier.size().count_ones() as usize
            );
        }
        let again = Frontier::from_parts(frontier.size(), frontier.peaks().to_vec()).unwrap();
        assert_eq!(again, frontier);
        assert!(Frontier::from_parts(3, vec![leaves[0]]).is_err());
    }

    #[test]
    fn a_full_tree_refuses_one_more() {
        let mut full = Frontier::from_parts(u64::MAX, vec![Hash::default(); 64]).unwrap();
        assert_eq!(full.push(Hash::default()), Err(TreeFull));
        assert_eq!(full.size(), u64::MAX);
    }
}
