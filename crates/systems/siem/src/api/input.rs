//! What requests say, turned into what services take.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::{Principal, TenantDirectory};
use sealwright_core::{Problem, TenantId, TenantScope, UnixMicros};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A query whose errors are problems.
pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(query)| query)
        .map_err(|bad| Problem::bad_request(bad.body_text()))
}

/// A JSON body whose errors are problems that say where. An empty body is an empty object.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let bytes: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!("{}:{}: {error}", error.line(), error.column()))
    })
}

/// The scope of a request that may name one tenant. Another tenant's name is one that does not exist.
pub(super) fn scope(
    by: &Principal,
    directory: &TenantDirectory,
    tenant: Option<&str>,
) -> Result<TenantScope, Problem> {
    match tenant {
        None => Ok(by.tenants),
        Some(name) => self::tenant(by, directory, name).map(TenantScope::One),
    }
}

/// A tenant by slug or id.
pub(super) fn tenant(
    by: &Principal,
    directory: &TenantDirectory,
    name: &str,
) -> Result<TenantId, Problem> {
    directory
        .resolve(name)
        .map(|tenant| tenant.id)
        .filter(|id| by.tenants.allows(*id))
        .ok_or_else(|| Problem::not_found(format!("there is no tenant `{name}`")))
}

/// A moment: RFC 3339, or a day (its first moment in UTC).
pub(super) fn moment(name: &str, text: &str) -> Result<UnixMicros, Problem> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    UnixMicros::parse_rfc3339(&full).map_err(|_| {
        Problem::bad_request(format!(
            "`{name}` is `{text}`; give a time (2026-11-01T00:00:00Z) or a day (2026-11-01)"
        ))
    })
}

/// An id of a kind; what is no such id was not found.
pub(super) fn id<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found(format!("the {what} {text} was not found")))
}

/// The revision that `If-Match` names, if it names one.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_matches('"').parse().map(Some).map_err(|_| {
        Problem::bad_request("If-Match must hold the ETag that came with it, such as \"3\"")
    })
}

/// An answer with its revision as the ETag.
pub(super) fn tagged(value: &impl Serialize, revision: i64) -> Response {
    let mut response = Json(value).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
