//! What can go wrong, and how a client sees it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sealwright_core::Problem;
use sealwright_store::StoreError;

use crate::role::ScopeError;

/// An error of the access service.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Not there, or not visible to the caller.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// `tenant`, `user`, `key`, `session`.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// A value is not acceptable.
    #[error("{field} {detail}")]
    Invalid {
        /// The member of the request.
        field: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
    /// Something with this slug or e-mail address exists.
    #[error("{field} `{value}` is taken")]
    Taken {
        /// The member of the request.
        field: &'static str,
        /// The value.
        value: String,
    },
    /// The record was changed since the caller read it.
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
    /// No, wrong, expired or revoked credentials.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A browser's answer about a passkey does not hold.
    #[error("the passkey was not accepted: {0}")]
    Passkey(String),
    /// Too many failed sign-ins.
    #[error("too many failed attempts; try again in {seconds} seconds")]
    Throttled {
        /// Whole seconds until the next attempt is looked at.
        seconds: i64,
    },
    /// Unknown scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The Idempotency-Key was used for another request.
    #[error("this Idempotency-Key was used for another request; take a new one")]
    RequestReused,
    /// The operating system's random source failed.
    #[error("the operating system gave no random numbers")]
    Random,
    /// The password could not be hashed or a stored hash could not be read.
    #[error("a password hash could not be made or read")]
    Hashing,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Output could not be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl AccessError {
    pub(crate) fn not_found(kind: &'static str, id: impl Into<String>) -> Self {
        let id: String = id.into();
        Self::NotFound {
            kind,
            id: id.chars().take(80).collect(),
        }
    }
}

impl From<Problem> for AccessError {
    fn from(value: Problem) -> Self {
        Self::Refused(Box::new(value))
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let detail = error.to_string();
        if let AccessError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        match error {
            AccessError::NotFound { .. } => Self::not_found(detail),
            AccessError::Invalid { field, .. } => {
                Self::invalid(detail).with("pointer", format!("/{field}"))
            }
            AccessError::Scope(_) => Self::invalid(detail).with("pointer", "/scopes"),
            AccessError::Taken { field, .. } => {
                Self::conflict(detail).with("pointer", format!("/{field}"))
            }
            AccessError::Changed { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "Changed meanwhile",
                detail,
            ),
            AccessError::Conflict(_) => Self::conflict(detail),
            AccessError::RequestReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "Idempotency-Key used for another request",
                detail,
            ),
            AccessError::Refused(problem) => *problem,
            AccessError::Unauthorized(_) | AccessError::Passkey(_) => Self::unauthorized(detail),
            AccessError::Throttled { seconds } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "Too many attempts",
                detail,
            )
            .with("retry_after_seconds", seconds),
            AccessError::Store(_)
            | AccessError::Random
            | AccessError::Hashing
            | AccessError::Output(_) => {
                tracing::error!(error = %detail, "access could not answer");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for AccessError {
    fn into_response(self) -> Response {
        let wait = match &self {
            Self::Throttled { seconds } => Some(*seconds),
            _ => None,
        };
        let mut response = Problem::from(self).into_response();
        if let Some(seconds) = wait {
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, seconds.max(1).into());
        }
        response
    }
}
