//! Reading requests whose text may hold secrets, and the versions of what they change.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sealwright_core::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A JSON body; what is wrong with it is a problem that names the place. The text is never repeated: it may
/// hold secrets.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bad = |rejection: JsonRejection| {
            Problem::bad_request(match rejection {
                JsonRejection::JsonDataError(error) => without_values(&error.body_text()),
                other => other.body_text(),
            })
        };
        Json::from_request(request, state)
            .await
            .map(|Json(value)| Self(value))
            .map_err(bad)
    }
}

/// serde's messages quote what they found (`invalid type: string "…"`); what stands in quotes is left out.
fn without_values(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('"').enumerate() {
        out.push_str(if at % 2 == 0 { part } else { "…" });
    }
    out
}

/// A query.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let bad = |rejection: QueryRejection| Problem::bad_request(rejection.body_text());
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(bad)
    }
}

/// An answer with `ETag: "<version>"`.
pub fn tagged<T: Serialize>(version: i64, body: T) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version of `If-Match`; `*` and an absent one match any.
///
/// # Errors
/// When it is not as [`tagged`] gave it.
pub fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Problem::bad_request("If-Match must hold the ETag of the last answer, e.g. \"3\"")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_not_repeated() {
        let text = r#"invalid type: string "xoxb-secret", expected u32 at line 1 column 9"#;
        let clean = without_values(text);
        assert!(
            !clean.contains("secret") && clean.contains("column 9"),
            "{clean}"
        );
    }
}
