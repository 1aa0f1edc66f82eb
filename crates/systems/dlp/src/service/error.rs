//! What can go wrong.

use sealwright_core::Problem;
use sealwright_ledger::LedgerError;
use sealwright_store::StoreError;

use super::bucket::BucketError;

/// An error of a use case.
#[derive(Debug, thiserror::Error)]
pub enum DlpError {
    /// Not there, or not in the caller's scope.
    #[error("{0} was not found")]
    NotFound(String),
    /// What the caller gave is not valid; the text says where and what to do.
    #[error("{0}")]
    Invalid(String),
    /// The present state does not admit it; the text says why.
    #[error("{0}")]
    Conflict(String),
    /// Not this caller; the text says who may.
    #[error("{0}")]
    Forbidden(String),
    /// Somebody else changed it since it was read.
    #[error("it was changed since it was read (revision {seen} is not the newest); read it again")]
    Stale {
        /// The revision that the caller had.
        seen: i64,
    },
    /// From the state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// From the ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// From the object store.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// Detectors that do not work.
    #[error(transparent)]
    Detector(#[from] sealwright_scan::DetectorError),
    /// The scanner gave no answer.
    #[error("the gate gives no answer: {0}")]
    Unanswered(String),
    /// Something of the machine: a thread, a key.
    #[error("{0}")]
    Internal(String),
}

impl From<DlpError> for Problem {
    fn from(error: DlpError) -> Self {
        if let DlpError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        let text = error.to_string();
        match error {
            DlpError::NotFound(_) => Self::not_found(text),
            DlpError::Invalid(_) => Self::invalid(text),
            DlpError::Conflict(_) => Self::conflict(text),
            DlpError::Forbidden(_) => Self::forbidden(text),
            DlpError::Stale { .. } => Self::new(
                axum::http::StatusCode::PRECONDITION_FAILED,
                "stale",
                "Changed since it was read",
                text,
            ),
            DlpError::Unanswered(_) => {
                tracing::error!(error = %text, "data-loss prevention: the upload gate");
                Self::unavailable("the gate gives no answer; your own rule for that decides")
            }
            DlpError::Bucket(BucketError::Missing(_)) => Self::not_found(text),
            DlpError::Bucket(_) => {
                tracing::warn!(error = %text, "data-loss prevention: the object store");
                Self::unavailable(text)
            }
            DlpError::Store(_)
            | DlpError::Ledger(_)
            | DlpError::Detector(_)
            | DlpError::Internal(_) => {
                tracing::error!(error = %text, "data-loss prevention: request failed");
                Self::internal()
            }
        }
    }
}
