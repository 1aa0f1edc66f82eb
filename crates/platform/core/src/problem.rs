//! Problems as HTTP clients see them (RFC 9457).
//!
//! Every error answer is an `application/problem+json` with a stable `type`. A library error is
//! turned into a [`Problem`] once, at the handler; what the caller cannot act on becomes
//! [`Problem::internal`], whose cause goes to the log and not to the client.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// The prefix of every `type`; the last part is the stable name that clients match on.
pub const TYPE_PREFIX: &str = "urn:sealwright:problem:";

/// A problem detail (RFC 9457 section 3).
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The stable name of this kind of problem, an absolute URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the kind means, the same for each occurrence.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong this time, where, and what to do.
    pub detail: String,
    /// Further members: located errors, ids, limits.
    #[serde(flatten)]
    pub extensions: Map<String, Value>,
}

impl Problem {
    /// A problem named `name` (kebab-case; becomes part of the `type`).
    pub fn new(status: StatusCode, name: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{TYPE_PREFIX}{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            extensions: Map::new(),
        }
    }

    /// 400: the request's form is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request is malformed",
            detail,
        )
    }

    /// 422: the form is right and the content is not acceptable.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The content is not valid",
            detail,
        )
    }

    /// 401: no credentials, or ones that are not accepted.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Credentials are needed",
            detail,
        )
    }

    /// 403: known, but not allowed to do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: not there, or not visible in the caller's tenant scope (the two look the same).
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", what)
    }

    /// 409: the present state does not admit this.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            "Conflict with the present state",
            detail,
        )
    }

    /// 500: a fault of ours. The detail names no internals.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "The server could not complete the request; its log has the cause.",
        )
    }

    /// 503: this part of the server cannot answer now; try again later.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Not available now",
            detail,
        )
    }

    /// Adds a further member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // Kept beside the body so that a layer can show browsers a page instead.
        response.extensions_mut().insert(self);
        response
    }
}
