//! Which nodes a proof needs, and proofs made from them (RFC 6962, sections 2.1.1 and 2.1.2).
//!
//! A proof is planned first and filled in second: [`ProofPlan::nodes`] lists every node at once,
//! so that a source may read its tiles together or in parallel.

use crate::hash::{Hash, empty_root, node_hash};

/// A complete subtree: the root over leaves `[index << level, (index + 1) << level)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Height above the leaves, 0 to 63.
    pub level: u8,
    /// Position within the level, from the left.
    pub index: u64,
}

/// Where the hashes of a stored tree come from.
pub trait HashSource {
    /// Why a hash could not be given.
    type Error;

    /// The hashes of `nodes`, in the same order and of the same number.
    ///
    /// # Errors
    /// When any of them cannot be given.
    fn hashes(&mut self, nodes: &[Node]) -> Result<Vec<Hash>, Self::Error>;
}

/// The question asks about more than the tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The leaf index is not below the tree size.
    #[error("entry {index} is not in a tree of {size} entries")]
    IndexBeyondSize {
        /// The index asked for, from 0.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The older size is greater than the newer.
    #[error("a tree of {new} entries cannot be a growth of one of {old}")]
    SizesReversed {
        /// The size given as the older.
        old: u64,
        /// The size given as the newer.
        new: u64,
    },
}

/// A proof whose shape is known and whose hashes are not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofPlan {
    nodes: Vec<Node>,
    /// How many consecutive nodes make each hash of the proof.
    parts: Vec<usize>,
}

impl ProofPlan {
    /// The inclusion proof of the entry at `index` in the tree of `size` entries.
    ///
    /// # Errors
    /// [`PlanError::IndexBeyondSize`].
    pub fn inclusion(index: u64, size: u64) -> Result<Self, PlanError> {
        if index >= size {
            return Err(PlanError::IndexBeyondSize { index, size });
        }
        let mut siblings = Vec::new();
        let (mut low, mut high) = (0, size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                siblings.push((middle, high));
                high = middle;
            } else {
                siblings.push((low, middle));
                low = middle;
            }
        }
        siblings.reverse();
        Ok(Self::of_ranges(&siblings))
    }

    /// The proof that the tree of `new` entries starts with the tree of `old` entries. Empty
    /// when the sizes are equal or the older tree is empty.
    ///
    /// # Errors
    /// [`PlanError::SizesReversed`].
    pub fn consistency(old: u64, new: u64) -> Result<Self, PlanError> {
        if old > new {
            return Err(PlanError::SizesReversed { old, new });
        }
        let mut ranges = Vec::new();
        if old > 0 && old < new {
            let (mut low, mut high) = (0, new);
            // While true, the old tree is a complete left part whose root the verifier knows.
            let mut known = true;
            while old != high {
                let middle = low + split(high - low);
                if old <= middle {
                    ranges.push((middle, high));
                    high = middle;
                } else {
                    ranges.push((low, middle));
                    low = middle;
                    known = false;
                }
            }
            if !known {
                ranges.push((low, high));
            }
            ranges.reverse();
        }
        Ok(Self::of_ranges(&ranges))
    }

    fn of_ranges(ranges: &[(u64, u64)]) -> Self {
        let mut plan = Self {
            nodes: Vec::new(),
            parts: Vec::with_capacity(ranges.len()),
        };
        for &(low, high) in ranges {
            let before = plan.nodes.len();
            push_subtrees(low, high, &mut plan.nodes);
            plan.parts.push(plan.nodes.len() - before);
        }
        plan
    }

    /// Every node whose hash is needed, in the order that [`ProofPlan::assemble`] expects.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The number of hashes that the proof will have.
    #[must_use]
    pub fn proof_len(&self) -> usize {
        self.parts.len()
    }

    /// The proof from the hashes of [`ProofPlan::nodes`]. `None` when their number differs.
    #[must_use]
    pub fn assemble(&self, hashes: &[Hash]) -> Option<Vec<Hash>> {
        if hashes.len() != self.nodes.len() {
            return None;
        }
        let mut rest = hashes;
        let mut proof = Vec::with_capacity(self.parts.len());
        for &count in &self.parts {
            let (part, tail) = rest.split_at(count);
            proof.push(fold(part)?);
            rest = tail;
        }
        Some(proof)
    }
}

/// The largest power of two below `n`, for `n` of at least 2.
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// Folds complete subtrees of one range, largest first, into the root of the range.
fn fold(peaks: &[Hash]) -> Option<Hash> {
    let (last, rest) = peaks.split_last()?;
    Some(
        rest.iter()
            .rev()
            .fold(*last, |right, left| node_hash(left, &right)),
    )
}

/// The maximal complete subtrees of `[low, high)`, where `low` is a multiple of the power of two
/// that covers the range, as it is for every node of a tree.
fn push_subtrees(mut low: u64, high: u64, nodes: &mut Vec<Node>) {
    while low < high {
        let level = (high - low).ilog2();
        nodes.push(Node {
            level: level as u8,
            index: low >> level,
        });
        low += 1 << level;
    }
}

/// The complete subtrees on the edge of a tree of `size` leaves, largest first.
pub(crate) fn frontier_nodes(size: u64) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(size.count_ones() as usize);
    push_subtrees(0, size, &mut nodes);
    nodes
}

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError<E> {
    /// The question does not fit the tree.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The source could not give a hash.
    #[error("{0}")]
    Source(E),
    /// The source gave another number of hashes than was asked for.
    #[error("the hash source answered with another number of hashes than it was asked for")]
    WrongCount,
}

fn fill<S: HashSource>(
    plan: &ProofPlan,
    source: &mut S,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    let hashes = source.hashes(plan.nodes()).map_err(ProveError::Source)?;
    plan.assemble(&hashes).ok_or(ProveError::WrongCount)
}

/// The inclusion proof of the entry at `index` in the tree of `size` entries, from the leaf's
/// sibling up to the root's child.
///
/// # Errors
/// When the index is outside the tree, or the source fails.
pub fn prove_inclusion<S: HashSource>(
    source: &mut S,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    fill(&ProofPlan::inclusion(index, size)?, source)
}

/// The consistency proof from the tree of `old` entries to the tree of `new` entries.
///
/// # Errors
/// When `old` is greater than `new`, or the source fails.
pub fn prove_consistency<S: HashSource>(
    source: &mut S,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    fill(&ProofPlan::consistency(old, new)?, source)
}

/// The root of the tree of `size` entries.
///
/// # Errors
/// When the source fails.
pub fn tree_root<S: HashSource>(source: &mut S, size: u64) -> Result<Hash, ProveError<S::Error>> {
    if size == 0 {
        return Ok(empty_root());
    }
    let peaks = source
        .hashes(&frontier_nodes(size))
        .map_err(ProveError::Source)?;
    if peaks.len() != size.count_ones() as usize {
        return Err(ProveError::WrongCount);
    }
    fold(&peaks).ok_or(ProveError::WrongCount)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn plans_at_the_largest_size_do_not_overflow() {
        for index in [0, 1, u64::MAX / 2, u64::MAX - 2, u64::MAX - 1] {
            let plan = ProofPlan::inclusion(index, u64::MAX).unwrap();
            assert!(plan.proof_len() <= 64);
        }
        let plan = ProofPlan::consistency(u64::MAX - 1, u64::MAX).unwrap();
        assert!(plan.proof_len() <= 65);
        assert_eq!(frontier_nodes(u64::MAX).len(), 64);
    }

    #[test]
    fn questions_beyond_the_tree_are_refused() {
        assert!(ProofPlan::inclusion(0, 0).is_err());
        assert!(ProofPlan::inclusion(7, 7).is_err());
        assert!(ProofPlan::consistency(8, 7).is_err());
        assert_eq!(ProofPlan::consistency(0, 7).unwrap().proof_len(), 0);
        assert_eq!(ProofPlan::consistency(7, 7).unwrap().proof_len(), 0);
    }
}
