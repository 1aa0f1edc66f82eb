//! A proof of one entry as JSON: everything that somebody needs who does not trust us.

use sealwright_merkle::{Hash, TlogProof, VerifierKey, leaf_hash};
use serde::{Deserialize, Serialize};

use crate::entry::{Leaf, Opening};
use crate::error::Result;
use crate::tree::StoredEntry;

/// The version of [`EntryProof`]'s form.
pub const PROOF_VERSION: u32 = 1;

/// A proof that an entry is in the ledger. `tlog_proof` alone is what other people's tools read;
/// the other members say what the entry is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryProof {
    /// [`PROOF_VERSION`].
    pub version: u32,
    /// The name of the log.
    pub origin: String,
    /// The key that the checkpoint is signed with. A verifier must have it from elsewhere; it
    /// stands here so that a mix-up can be named.
    pub verifier_key: String,
    /// The entry's index.
    pub index: u64,
    /// The size of the tree that the checkpoint signs.
    pub tree_size: u64,
    /// The leaf hash of the entry.
    pub leaf_hash: Hash,
    /// The entry's bytes as text, exactly as hashed; `None` when they are not UTF-8.
    pub leaf: Option<String>,
    /// The proof as `c2sp.org/tlog-proof@v1` text.
    pub tlog_proof: String,
    /// What opens the leaf's commitment; `None` when it was erased or is not known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
}

/// Why an entry's proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProofError {
    /// The tlog-proof text is malformed.
    #[error(transparent)]
    Parse(#[from] sealwright_merkle::ParseError),
    /// The tlog-proof does not prove the leaf under the given key.
    #[error(transparent)]
    Proof(#[from] sealwright_merkle::tlog_proof::TlogProofError),
    /// A member contradicts what is proven.
    #[error("`{0}` is not what the proof says")]
    Member(&'static str),
    /// The leaf's text is not there, or is not one of this program.
    #[error("the leaf cannot be read: {0}")]
    Leaf(String),
    /// Salt and private part do not give the leaf's commitment.
    #[error("the private part was changed: it does not open the leaf's commitment")]
    Opening,
    /// Another form of proof.
    #[error("version {0} of the proof is not known to this program")]
    Version(u32),
}

impl EntryProof {
    /// # Errors
    /// When the proof's own checkpoint cannot be read, which a verified one can.
    pub(crate) fn new(
        entry: &StoredEntry,
        proof: &TlogProof,
        key: &VerifierKey,
        opening: Option<Opening>,
    ) -> Result<Self> {
        let size = proof
            .checkpoint
            .text()
            .parse::<sealwright_merkle::Checkpoint>()
            .map_err(|e| crate::LedgerError::Disagree(e.to_string()))?
            .size;
        Ok(Self {
            version: PROOF_VERSION,
            origin: key.name().to_owned(),
            verifier_key: key.to_string(),
            index: entry.index,
            tree_size: size,
            leaf_hash: leaf_hash(&entry.bytes),
            leaf: String::from_utf8(entry.bytes.clone()).ok(),
            tlog_proof: proof.to_string(),
            opening,
        })
    }

    /// Checks the proof offline under a key that the caller trusts, and gives the leaf that it
    /// proves. With an opening, that is checked against the leaf's commitment too.
    ///
    /// # Errors
    /// [`EntryProofError`] says what does not hold.
    pub fn verify(&self, key: &VerifierKey) -> Result<Leaf, EntryProofError> {
        if self.version != PROOF_VERSION {
            return Err(EntryProofError::Version(self.version));
        }
        let text = self
            .leaf
            .as_deref()
            .ok_or_else(|| EntryProofError::Leaf("absent".to_owned()))?;
        let proof: TlogProof = self.tlog_proof.parse()?;
        let hash = leaf_hash(text.as_bytes());
        let checkpoint = proof.verify(&hash, key, &[])?;
        let members = [
            ("leaf_hash", hash == self.leaf_hash),
            ("index", proof.index == self.index),
            ("tree_size", checkpoint.size == self.tree_size),
            ("origin", checkpoint.origin == self.origin),
            ("verifier_key", key.to_string() == self.verifier_key),
        ];
        if let Some((name, _)) = members.iter().find(|(_, holds)| !holds) {
            return Err(EntryProofError::Member(name));
        }
        let leaf =
            Leaf::from_bytes(text.as_bytes()).map_err(|e| EntryProofError::Leaf(e.to_string()))?;
        if self
            .opening
            .as_ref()
            .is_some_and(|o| o.commitment() != leaf.commitment)
        {
            return Err(EntryProofError::Opening);
        }
        Ok(leaf)
    }
}
