//! What can go wrong, and how a client sees it.

use axum::http::StatusCode;
use sealwright_core::Problem;
use sealwright_egress::EgressError;
use sealwright_secret::SecretError;
use sealwright_store::StoreError;

/// An error of the service.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// Not there.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// `source`, `tenant`.
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
    /// The credential could not be sealed or opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// From the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Output could not be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<Problem> for PrometheusError {
    fn from(value: Problem) -> Self {
        Self::Refused(Box::new(value))
    }
}

impl From<PrometheusError> for Problem {
    fn from(error: PrometheusError) -> Self {
        if let PrometheusError::Store(error) = &error
            && let Some(problem) = error.problem()
        {
            return problem;
        }
        let detail = error.to_string();
        match error {
            PrometheusError::NotFound { .. } => Self::not_found(detail),
            PrometheusError::Conflict(_) => Self::conflict(detail),
            PrometheusError::Changed { found } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "Changed meanwhile",
                detail,
            )
            .with("version", found),
            PrometheusError::Invalid { field, .. } => {
                Self::invalid(detail).with("pointer", format!("/{field}"))
            }
            PrometheusError::Refused(problem) => *problem,
            PrometheusError::Secret(_) | PrometheusError::Store(_) | PrometheusError::Output(_) => {
                tracing::error!(error = %detail, "prometheus could not answer");
                Self::internal()
            }
        }
    }
}

impl axum::response::IntoResponse for PrometheusError {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}

/// Why a window could not be had now. It stays where it is and is asked for again.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The address may not be reached.
    #[error("{0}")]
    Refused(String),
    /// No connection, no answer in time, or a cut one.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// A status without a message of Prometheus.
    #[error("the server answered with the status {0}{hint}", hint = hint(*.0))]
    Status(u16),
    /// Prometheus refused the query.
    #[error("the server refused the query ({kind}): {message}")]
    Query {
        /// Prometheus's name of the kind, `bad_data`.
        kind: String,
        /// What it said.
        message: String,
    },
    /// The answer says of itself that it is not whole.
    #[error("the answer is not whole, so nothing is taken of it: {0}")]
    Partial(String),
    /// The answer is not what Prometheus answers.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The answer is too long.
    #[error(
        "the answer has more than {most} bytes; narrow the selector or raise prometheus.answer_bytes"
    )]
    TooLong {
        /// The most that is read.
        most: usize,
    },
    /// There are too many series.
    #[error(
        "the answer has {found} series, more than {most}; narrow the selector or raise prometheus.series"
    )]
    TooManySeries {
        /// Series of the answer.
        found: usize,
        /// The most that are taken.
        most: usize,
    },
    /// There are too many samples.
    #[error(
        "the answer has {found} samples, more than {most}; narrow the selector or raise prometheus.samples"
    )]
    TooManySamples {
        /// Samples of the answer.
        found: usize,
        /// The most that are taken.
        most: usize,
    },
    /// The credential cannot be opened.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The log did not take the events.
    #[error("the events could not be written: {0}")]
    Sink(String),
    /// From the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => "; redirects are not followed, give the address that it leads to",
        401 | 403 => "; look at the credential",
        404 => "; look at the address, which is what stands before /api/v1/query",
        _ => "",
    }
}

impl From<EgressError> for PullError {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Refused(detail) => Self::Refused(detail),
            EgressError::Failed(detail) => Self::Unreachable(detail),
        }
    }
}

/// One line of at most `most` characters, without control characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect()
}
