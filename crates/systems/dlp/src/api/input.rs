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

/// A JSON body whose errors are problems that say where.
pub(super) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
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
        Problem::bad_request("If-Match must hold the ETag that you read, such as \"3\"")
    })
}

/// A moment: RFC 3339, or a day (its first moment in UTC).
pub(super) fn moment(name: &str, text: &str) -> Result<UnixMicros, Problem> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    UnixMicros::parse_rfc3339(&full).map_err(|_| {
        Problem::bad_request(format!(
            "`{name}` is no time; give a time (2026-11-01T00:00:00Z) or a day (2026-11-01)"
        ))
    })
}

/// An id of a path; another form is one that is not there.
pub(super) fn id<K: sealwright_core::IdKind>(
    what: &str,
    text: &str,
) -> Result<sealwright_core::Id<K>, Problem> {
    text.parse().map_err(|_| {
        let text: String = text.chars().take(60).collect();
        Problem::not_found(format!("there is no {what} `{text}`"))
    })
}

/// The one tenant that a request is about: the caller's own, or the named one.
pub(super) fn one_tenant(
    by: &Principal,
    directory: &TenantDirectory,
    name: Option<&str>,
) -> Result<TenantId, Problem> {
    match (name, by.tenants.tenant()) {
        (Some(name), _) => tenant(by, directory, name),
        (None, Some(own)) => Ok(own),
        (None, None) => Err(Problem::bad_request("name the `tenant`")),
    }
}
