//! What can go wrong in detection.

use sealwright_core::Problem;
use sealwright_events::HistoryError;
use sealwright_ledger::LedgerError;
use sealwright_store::StoreError;

use super::detect::DetectError;

/// An error of a use case.
#[derive(Debug, thiserror::Error)]
pub enum SiemError {
    /// Not there, or not in the caller's scope.
    #[error("{0} was not found")]
    NotFound(String),
    /// What the caller gave is not valid; the text says where and what to do.
    #[error("{0}")]
    Invalid(String),
    /// A file has faults, each located.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// The present state does not admit this.
    #[error("{0}")]
    State(String),
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
    /// From the stored events.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// From detection.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// An action could not be done.
    #[error("{0}")]
    Action(String),
}

impl From<SiemError> for Problem {
    fn from(error: SiemError) -> Self {
        if let SiemError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        let text = error.to_string();
        match error {
            SiemError::NotFound(_) => Self::not_found(text),
            SiemError::Invalid(_) => Self::invalid(text),
            SiemError::Faults(faults) => {
                Self::invalid("the file has faults; `faults` lists them").with("faults", faults)
            }
            SiemError::State(_) => Self::conflict(text),
            SiemError::Stale { .. } => Self::new(
                axum::http::StatusCode::PRECONDITION_FAILED,
                "stale",
                "Changed since it was read",
                text,
            ),
            SiemError::History(_) => Self::unavailable(text),
            SiemError::Action(_) => Self::conflict(text),
            SiemError::Store(_) | SiemError::Ledger(_) | SiemError::Detect(_) => {
                tracing::error!(error = %text, "siem request failed");
                Self::internal()
            }
        }
    }
}
