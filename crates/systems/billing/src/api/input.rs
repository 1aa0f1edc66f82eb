//! What requests say, turned into what services take.

use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, header};
use sealwright_access::{Principal, TenantDirectory};
use sealwright_core::{Problem, TenantId, TenantScope, UnixMicros};
use serde::de::DeserializeOwned;

/// A query whose errors are problems.
pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(query)| query)
        .map_err(|bad| Problem::bad_request(bad.body_text()))
}

/// A JSON body whose errors are problems that say where. It is an object: members are never taken from an array.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let first = body.iter().position(|byte| !byte.is_ascii_whitespace());
    if first
        .and_then(|at| body.get(at))
        .is_some_and(|byte| *byte == b'[')
    {
        return Err(Problem::bad_request("the body is an array; send an object"));
    }
    serde_json::from_slice(body).map_err(|error| {
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

/// A moment: RFC 3339, or a date (its first moment in UTC), or a month.
pub(super) fn moment(name: &str, text: &str) -> Result<UnixMicros, Problem> {
    let full = match text.len() {
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    UnixMicros::parse_rfc3339(&full).map_err(|_| {
        Problem::bad_request(format!(
            "`{name}` is `{text}`; give a time (2026-11-01T00:00:00Z), a day (2026-11-01) or a month (2026-11)"
        ))
    })
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
        Problem::bad_request("If-Match must hold the ETag of the invoice, such as \"3\"")
    })
}
