//! What can go wrong, and how a client sees it.

use axum::http::StatusCode;
use sealwright_core::Problem;
use sealwright_secret::SecretError;
use sealwright_store::StoreError;

/// An error of the notification service.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Not there, or not visible to the caller.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// `channel`, `rule`, `delivery`, `tenant`.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// A value is not acceptable. The detail never holds a secret.
    #[error("{field} {detail}")]
    Invalid {
        /// The member of the request.
        field: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
    /// It was changed since the caller read it.
    #[error("it was changed meanwhile (it is at version {found} now); read it again")]
    Changed {
        /// The present version.
        found: i64,
    },
    /// The present state does not admit this.
    #[error("{0}")]
    Conflict(String),
    /// The caller may not do this.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// From the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Output could not be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<Problem> for NotifyError {
    fn from(value: Problem) -> Self {
        Self::Refused(Box::new(value))
    }
}

impl From<NotifyError> for Problem {
    fn from(error: NotifyError) -> Self {
        if let NotifyError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        let detail = error.to_string();
        match error {
            NotifyError::NotFound { .. } => Self::not_found(detail),
            NotifyError::Conflict(_) => Self::conflict(detail),
            NotifyError::Changed { found } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "Changed meanwhile",
                detail,
            )
            .with("version", found),
            NotifyError::Invalid { field, .. } => {
                Self::invalid(detail).with("pointer", format!("/{}", field.replace('.', "/")))
            }
            NotifyError::Refused(problem) => *problem,
            NotifyError::Secret(_) | NotifyError::Store(_) | NotifyError::Output(_) => {
                tracing::error!(error = %detail, "notify could not answer");
                Self::internal()
            }
        }
    }
}

impl axum::response::IntoResponse for NotifyError {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}
