//! RFC 6962 Merkle trees and the C2SP formats around them: tiles (`tlog-tiles`), checkpoints
//! (`tlog-checkpoint`), signed notes (`signed-note`) and offline proofs (`tlog-proof`).
//!
//! The crate is pure: bytes in, decisions and bytes out. It opens no file, reads no clock and
//! draws no randomness; a caller brings tiles through [`TileSource`] and seeds for keys.
//!
//! | module | what it holds |
//! |---|---|
//! | [`hash`] | leaf and node hashing, the root of a list of leaves |
//! | [`frontier`] | the compact range `[0, n)`: append leaves, ask for the root |
//! | [`proof`] | which nodes a proof needs, and proofs made from a [`HashSource`] |
//! | [`verify`] | checking inclusion and consistency proofs |
//! | [`tile`] | tile coordinates, paths, and which tiles a growth writes |
//! | [`bundle`] | entry bundles |
//! | [`key`], [`note`], [`checkpoint`], [`tlog_proof`] | signed text formats |

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod bundle;
pub mod checkpoint;
pub mod error;
pub mod frontier;
pub mod hash;
pub mod key;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tlog_proof;
pub mod verify;

pub use bundle::{EntryBundle, append_entry};
pub use checkpoint::Checkpoint;
pub use error::ParseError;
pub use frontier::Frontier;
pub use hash::{Hash, empty_root, leaf_hash, node_hash, root_of_leaves};
pub use key::{SignerKey, VerifierKey};
pub use note::{NoteSignature, SignedNote};
pub use proof::{HashSource, Node, ProofPlan, prove_consistency, prove_inclusion, tree_root};
pub use tile::{Tile, TileHashes, TileKind, TileSource};
pub use tlog_proof::TlogProof;
pub use verify::{ProofError, verify_consistency, verify_inclusion};
