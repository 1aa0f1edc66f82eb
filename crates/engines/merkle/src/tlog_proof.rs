//! Proofs that verify offline (C2SP `tlog-proof`, version 1): entry index, inclusion proof and
//! signed checkpoint in one text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, OpenError};
use crate::error::{ParseError, strict_decimal};
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::{MAX_NOTE_LEN, SignedNote};
use crate::verify::{ProofError, verify_inclusion};

const FORMAT: &str = "tlog-proof";
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The most hashes that an inclusion proof can have.
pub const MAX_PROOF_LEN: usize = 64;
/// The longest extra data that is read, in bytes.
pub const MAX_EXTRA_LEN: usize = 1_000_000;

/// A proof that some entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque data with a meaning of the application; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index, from 0.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling upwards.
    pub proof: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: SignedNote,
}

/// Why a proof does not prove an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// The checkpoint is not to be trusted.
    #[error(transparent)]
    Checkpoint(#[from] OpenError),
    /// The hashes do not lead from the entry to the checkpoint's root.
    #[error(transparent)]
    Inclusion(#[from] ProofError),
}

impl TlogProof {
    /// Checks that the leaf with hash `leaf` is at this index of a tree that `log` signed, and
    /// that every signature by one of `witnesses` holds. How many witnesses are enough is the
    /// caller's decision: ask [`SignedNote::verify`] on [`TlogProof::checkpoint`].
    ///
    /// # Errors
    /// [`TlogProofError`] says what does not hold.
    pub fn verify(
        &self,
        leaf: &Hash,
        log: &VerifierKey,
        witnesses: &[VerifierKey],
    ) -> Result<Checkpoint, TlogProofError> {
        let note = self.checkpoint.to_string();
        let (checkpoint, _) = Checkpoint::open(note.as_bytes(), log, witnesses)?;
        verify_inclusion(
            self.index,
            checkpoint.size,
            leaf,
            &self.proof,
            &checkpoint.root,
        )?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.proof
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |line, problem: &str| ParseError::new(FORMAT, line, problem);
        let limit = MAX_NOTE_LEN + MAX_EXTRA_LEN / 3 * 4 + MAX_PROOF_LEN * 45 + 100;
        if text.len() > limit {
            return Err(fail(1, "longer than any proof within the limits"));
        }
        let mut rest = text;
        let mut line = 0;
        let mut next = |line: &mut usize| {
            let (head, tail) = rest.split_once('\n')?;
            rest = tail;
            *line += 1;
            Some(head)
        };
        if next(&mut line) != Some(HEADER) {
            return Err(fail(1, "expected `c2sp.org/tlog-proof@v1`"));
        }
        let mut current = next(&mut line);
        let mut extra = None;
        if let Some(encoded) = current.and_then(|l| l.strip_prefix("extra ")) {
            let data = STANDARD
                .decode(encoded)
                .map_err(|_| fail(line, "the extra data is not base64"))?;
            if data.len() > MAX_EXTRA_LEN {
                return Err(fail(line, "the extra data is longer than 1,000,000 bytes"));
            }
            extra = Some(data);
            current = next(&mut line);
        }
        let index = current
            .and_then(|l| l.strip_prefix("index "))
            .and_then(strict_decimal)
            .ok_or_else(|| fail(line.max(2), "expected `index <decimal>`"))?;
        let mut proof = Vec::new();
        loop {
            let Some(hash) = next(&mut line) else {
                return Err(fail(line + 1, "no empty line before the checkpoint"));
            };
            if hash.is_empty() {
                break;
            }
            if proof.len() == MAX_PROOF_LEN {
                return Err(fail(line, "more than 64 hashes"));
            }
            proof.push(
                hash.parse()
                    .map_err(|e| ParseError::new(FORMAT, line, format!("{e}")))?,
            );
        }
        let checkpoint = SignedNote::parse(rest.as_bytes())
            .map_err(|e| ParseError::new(FORMAT, line + e.line, e.problem))?;
        // The text must be a checkpoint even if nobody verifies it later.
        checkpoint
            .text()
            .parse::<Checkpoint>()
            .map_err(|e| ParseError::new(FORMAT, line + e.line, e.problem))?;
        Ok(Self {
            extra,
            index,
            proof,
            checkpoint,
        })
    }
}
