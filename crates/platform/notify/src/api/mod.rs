//! HTTP: `/api/notify/channels`, `/api/notify/rules`, `/api/notify/deliveries`: a file a noun.

mod channels;
mod deliveries;
mod rules;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sealwright_core::Problem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use crate::error::NotifyError;
use crate::service::NotifyService;

type Result<T> = std::result::Result<T, NotifyError>;

/// The largest body of a request, in bytes.
const BODY: usize = 64 * 1024;

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<NotifyService> {
    OpenApiRouter::new()
        .merge(channels::router())
        .merge(rules::router())
        .merge(deliveries::router())
        .layer(axum::extract::DefaultBodyLimit::max(BODY))
}

/// A JSON body; what is wrong with it is a problem that names the place. The text is never repeated: it may
/// hold secrets.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = NotifyError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bad = |rejection: JsonRejection| {
            let detail = match rejection {
                JsonRejection::JsonDataError(error) => without_values(&error.body_text()),
                other => other.body_text(),
            };
            NotifyError::from(Problem::bad_request(detail))
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
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = NotifyError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let bad = |rejection: QueryRejection| {
            NotifyError::from(Problem::bad_request(rejection.body_text()))
        };
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(bad)
    }
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// `ETag: "<version>"`.
fn tagged<T: Serialize>(version: i64, body: T) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version of `If-Match`; `*` and an absent one match any.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>> {
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
                .into()
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
