//! Checking proofs (the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which read the
//! proofs of RFC 6962).

use crate::hash::{Hash, empty_root, node_hash};

/// Why a proof does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size.
    #[error("entry {index} is not in a tree of {size} entries")]
    IndexBeyondSize {
        /// The index, from 0.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The older tree is larger than the newer.
    #[error("a tree of {new} entries cannot be a growth of one of {old}")]
    SizesReversed {
        /// The older size.
        old: u64,
        /// The newer size.
        new: u64,
    },
    /// Every tree is consistent with the empty one, so such a proof says nothing.
    #[error("a proof from an empty tree proves nothing")]
    FromEmpty,
    /// The proof has another number of hashes than its sizes ask for.
    #[error("the proof has {got} hashes, {expected} expected")]
    WrongLength {
        /// What index and sizes ask for.
        expected: usize,
        /// What the proof has.
        got: usize,
    },
    /// The proof leads to another root than the tree's.
    #[error("the proof leads to root {calculated}, the tree's is {expected}")]
    RootMismatch {
        /// What the proof leads to.
        calculated: Hash,
        /// What was to be proven.
        expected: Hash,
    },
}

/// How many levels the paths of `index` and of the last leaf share nothing, and how many lie on
/// the right edge above them: the two parts of an inclusion proof.
const fn shape(index: u64, size: u64) -> (u32, u32) {
    let inner = 64 - (index ^ (size - 1)).leading_zeros();
    let border = if inner >= 64 {
        0
    } else {
        (index >> inner).count_ones()
    };
    (inner, border)
}

fn chain_inner(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    proof
        .iter()
        .enumerate()
        .fold(seed, |node, (level, sibling)| {
            if index >> level & 1 == 0 {
                node_hash(&node, sibling)
            } else {
                node_hash(sibling, &node)
            }
        })
}

fn chain_inner_right(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    proof
        .iter()
        .enumerate()
        .fold(seed, |node, (level, sibling)| {
            if index >> level & 1 == 1 {
                node_hash(sibling, &node)
            } else {
                node
            }
        })
}

fn chain_border(seed: Hash, proof: &[Hash]) -> Hash {
    proof
        .iter()
        .fold(seed, |node, sibling| node_hash(sibling, &node))
}

fn expect_root(calculated: Hash, expected: Hash, equal: bool) -> Result<(), ProofError> {
    if equal {
        Ok(())
    } else {
        Err(ProofError::RootMismatch {
            calculated,
            expected,
        })
    }
}

/// The root that an inclusion proof leads to.
///
/// # Errors
/// When the index is outside the tree or the proof has the wrong length.
pub fn root_from_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::IndexBeyondSize { index, size });
    }
    let (inner, border) = shape(index, size);
    let expected = (inner + border) as usize;
    if proof.len() != expected {
        return Err(ProofError::WrongLength {
            expected,
            got: proof.len(),
        });
    }
    let (low, high) = proof.split_at(inner as usize);
    Ok(chain_border(chain_inner(*leaf, low, index), high))
}

/// Checks that the leaf with hash `leaf` is the entry `index` of the tree of `size` entries with
/// this root.
///
/// # Errors
/// [`ProofError`] says what does not hold.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let calculated = root_from_inclusion(index, size, leaf, proof)?;
    expect_root(calculated, *root, calculated == *root)
}

/// Checks that the tree of `new` entries begins with the tree of `old` entries.
///
/// # Errors
/// [`ProofError`] says what does not hold. A proof from the empty tree to a larger one is
/// refused, because it would prove nothing.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    if old == new {
        if !proof.is_empty() {
            return Err(ProofError::WrongLength {
                expected: 0,
                got: proof.len(),
            });
        }
        if old == 0 {
            let empty = empty_root();
            expect_root(*old_root, empty, *old_root == empty)?;
        }
        return expect_root(*old_root, *new_root, old_root == new_root);
    }
    if old == 0 {
        return Err(ProofError::FromEmpty);
    }
    let (inner, border) = shape(old - 1, new);
    // Skip the levels at which the old tree is a complete subtree.
    let shift = old.trailing_zeros();
    let inner = inner - shift;
    let from_old_root = old.is_power_of_two();
    let expected = (inner + border) as usize + usize::from(!from_old_root);
    if proof.len() != expected {
        return Err(ProofError::WrongLength {
            expected,
            got: proof.len(),
        });
    }
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !from_old_root => (*first, rest),
        _ => (*old_root, proof),
    };
    let (low, high) = rest.split_at(inner as usize);
    let mask = (old - 1) >> shift;
    let calculated = chain_border(chain_inner_right(seed, low, mask), high);
    expect_root(calculated, *old_root, calculated == *old_root)?;
    let calculated = chain_border(chain_inner(seed, low, mask), high);
    expect_root(calculated, *new_root, calculated == *new_root)
}
