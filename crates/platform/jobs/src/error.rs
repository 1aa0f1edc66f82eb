//! What can go wrong.

use sealwright_core::Problem;
use sealwright_store::StoreError;

/// Why a run of a job did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may work later: tried again until the attempts are used up.
    #[error("{0}")]
    Again(String),
    /// It will not work until somebody changes something: not tried again.
    #[error("{0}")]
    Failed(String),
    /// The run was asked to stop, and did.
    #[error("cancelled")]
    Cancelled,
    /// Another process holds the run now; whatever this one did since is void.
    #[error("the lease was lost to another process")]
    Lost,
    /// From the store; tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An error of the jobs service.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// No such job or run.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// `job` or `run`.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The run's state does not admit it.
    #[error("{0}")]
    Conflict(String),
    /// A value is not acceptable.
    #[error("{field} {detail}")]
    Invalid {
        /// The member or parameter.
        field: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Not allowed.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Two jobs of one name were registered.
    #[error("the job {0} is registered twice")]
    Twice(&'static str),
    /// From the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Output could not be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<Problem> for JobsError {
    fn from(value: Problem) -> Self {
        Self::Refused(Box::new(value))
    }
}

impl From<JobsError> for Problem {
    fn from(error: JobsError) -> Self {
        let detail = error.to_string();
        if let JobsError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        match error {
            JobsError::NotFound { .. } => Self::not_found(detail),
            JobsError::Conflict(_) => Self::conflict(detail),
            JobsError::Invalid { field, .. } => {
                Self::invalid(detail).with("pointer", format!("/{field}"))
            }
            JobsError::Refused(problem) => *problem,
            JobsError::Twice(_) | JobsError::Store(_) | JobsError::Output(_) => {
                tracing::error!(error = %detail, "jobs could not answer");
                Self::internal()
            }
        }
    }
}

impl axum::response::IntoResponse for JobsError {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}
