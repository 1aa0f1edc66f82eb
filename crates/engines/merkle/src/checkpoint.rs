//! Checkpoints: what a log signs (C2SP `tlog-checkpoint`).

use std::fmt;
use std::str::FromStr;

use crate::error::{ParseError, strict_decimal};
use crate::hash::{Hash, empty_root};
use crate::key::{SignerKey, VerifierKey};
use crate::note::{SignedNote, VerifyError};

const FORMAT: &str = "checkpoint";
/// The most extension lines that are read.
pub const MAX_EXTENSIONS: usize = 64;

/// A tree's head: whose tree, how large, and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's identity, one line.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root hash of the tree of that size.
    pub root: Hash,
    /// Opaque further lines; the specification advises against them.
    pub extensions: Vec<String>,
}

/// Why a signed checkpoint is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not follow the format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Its signatures are not what they should be.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It is another log's.
    #[error("the checkpoint is of `{got}`, expected `{expected}`")]
    Origin {
        /// The origin that was expected.
        expected: String,
        /// The origin in the checkpoint.
        got: String,
    },
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    #[must_use]
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Self {
        Self {
            origin: origin.into(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// Signs the checkpoint as a note.
    ///
    /// # Errors
    /// When the origin or an extension holds a control character or is empty, or there is no key.
    pub fn sign(&self, keys: &[&SignerKey]) -> Result<SignedNote, ParseError> {
        let text = self.to_string();
        // What would not be read back must not be signed.
        text.parse::<Self>()?;
        SignedNote::sign(&text, keys)
    }

    /// Reads a signed checkpoint and accepts it only when `log` signed it under its own name and
    /// the origin is that name. Further keys (of witnesses) are checked where they signed.
    ///
    /// # Errors
    /// [`OpenError`] says what does not hold.
    pub fn open(
        note: &[u8],
        log: &VerifierKey,
        witnesses: &[VerifierKey],
    ) -> Result<(Self, SignedNote), OpenError> {
        let note = SignedNote::parse(note)?;
        note.verify(std::slice::from_ref(log))?;
        if witnesses
            .iter()
            .any(|key| note.signatures().iter().any(|s| key.made(s)))
        {
            note.verify(witnesses)?;
        }
        let checkpoint: Self = note.text().parse()?;
        if checkpoint.origin != log.name() {
            return Err(OpenError::Origin {
                expected: log.name().to_owned(),
                got: checkpoint.origin,
            });
        }
        Ok((checkpoint, note))
    }
}

impl fmt::Display for Checkpoint {
    /// The note text: three lines, then the extension lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = ParseError;

    /// Reads a note text, with its final newline.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |line, problem: &str| ParseError::new(FORMAT, line, problem);
        let body = text.strip_suffix('\n').ok_or_else(|| {
            fail(
                1 + text.matches('\n').count(),
                "the last line must end in a newline",
            )
        })?;
        let mut lines = body.split('\n');
        let origin = lines.next().unwrap_or_default();
        if origin.is_empty() || origin.len() > 1024 {
            return Err(fail(1, "the origin must have 1 to 1,024 bytes"));
        }
        if let Some(i) = body.split('\n').position(|l| l.chars().any(|c| c < ' ')) {
            return Err(fail(i + 1, "control characters are not allowed"));
        }
        let size = lines
            .next()
            .and_then(strict_decimal)
            .ok_or_else(|| fail(2, "expected the tree size, a decimal without leading zero"))?;
        let root: Hash = lines
            .next()
            .and_then(|line| line.parse().ok())
            .ok_or_else(|| fail(3, "expected the root hash, 32 bytes as base64"))?;
        if size == 0 && root != empty_root() {
            return Err(fail(3, "an empty tree has another root"));
        }
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if let Some(i) = extensions.iter().position(String::is_empty) {
            return Err(fail(4 + i, "extension lines must not be empty"));
        }
        if extensions.len() > MAX_EXTENSIONS {
            return Err(fail(4 + MAX_EXTENSIONS, "too many extension lines"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }
}
