//! What can go wrong with the ledger, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use sealwright_merkle::key::KeyError;
use sealwright_store::StoreError;

/// The result of a ledger operation.
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The operating system refused a file operation.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A stored file is not what it must be.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The signing key cannot be used.
    #[error("{}: {problem}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        problem: String,
    },
    /// A verifier key that was given is not one.
    #[error("the verifier key is not valid: {0}")]
    VerifierKey(#[from] KeyError),
    /// Another process writes this tree.
    #[error("{} is being written by another process; stop that one first", .0.display())]
    InUse(PathBuf),
    /// More or longer entries than one append takes; nothing was written.
    #[error("{0}; nothing was written")]
    TooLarge(String),
    /// An earlier append failed at a point where its outcome is unknown.
    #[error("the ledger stopped after a failed write ({0}); restart to recover it")]
    Stopped(String),
    /// The database and the tree do not belong together.
    #[error("the database and the ledger's tree disagree: {0}")]
    Disagree(String),
    /// There is no such entry, or it is not visible in the caller's scope.
    #[error("there is no ledger entry {0}")]
    NotFound(String),
    /// The entry is recorded and not yet in a signed checkpoint.
    #[error("ledger entry {0} is not yet in a signed checkpoint; try again in a second")]
    Pending(String),
    /// A draft that cannot be recorded.
    #[error("ledger entry: {field} {problem}")]
    Draft {
        /// The field of the draft.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// From the state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A background task ended unexpectedly.
    #[error("a ledger task ended unexpectedly: {0}")]
    Task(String),
}

impl LedgerError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}
