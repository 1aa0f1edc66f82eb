//! `/api/access/keys`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use sealwright_core::Page;

use super::{Body, ListQuery, Query, created, idempotency, if_match, tagged};
use crate::error::AccessError;
use crate::model::{ApiKey, NewKey};
use crate::principal::Principal;
use crate::service::{AccessService, CreatedKey};

type Result<T> = std::result::Result<T, AccessError>;

/// Keys, oldest first, without their secrets. Needs `access:read`.
#[utoipa::path(get, path = "/api/access/keys", tag = "access", params(ListQuery),
    responses((status = 200, body = Page<ApiKey>)))]
pub(super) async fn list(
    State(access): State<AccessService>,
    by: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ApiKey>>> {
    Ok(Json(access.keys(&by, &query.into()).await?))
}

/// Creates a key; the answer is the only time that its secret is shown. Needs `access:admin` and
/// every scope that the key gets. A repetition with the same `Idempotency-Key` answers without the
/// secret.
#[utoipa::path(post, path = "/api/access/keys", tag = "access", request_body = NewKey,
    responses((status = 201, body = CreatedKey), (status = 404), (status = 422)))]
pub(super) async fn create(
    State(access): State<AccessService>,
    by: Principal,
    headers: HeaderMap,
    Body(new): Body<NewKey>,
) -> Result<Response> {
    let request = idempotency(&headers)?;
    let (key, repeated) = access.create_key_once(&by, new, request).await?;
    Ok(once(repeated, &key))
}

fn once(repeated: bool, key: &CreatedKey) -> Response {
    let location = format!("/api/access/keys/{}", key.record.id);
    let mut response = created(repeated, &location, key.record.version, key);
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

/// One key, without its secret. Needs `access:read`.
#[utoipa::path(get, path = "/api/access/keys/{key}", tag = "access",
    params(("key" = String, Path)), responses((status = 200, body = ApiKey), (status = 404)))]
pub(super) async fn show(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let key = access.key(&by, &id).await?;
    Ok(tagged(StatusCode::OK, key.version, &key))
}

/// Revokes a key. Needs `access:admin`; `If-Match` is optional, since revoking twice is the same as once.
#[utoipa::path(delete, path = "/api/access/keys/{key}", tag = "access",
    params(("key" = String, Path)),
    responses((status = 200, body = ApiKey), (status = 404), (status = 412)))]
pub(super) async fn revoke(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let version = if headers.contains_key(header::IF_MATCH) {
        if_match(&headers)?
    } else {
        None
    };
    let key = access.revoke_key(&by, &id, version).await?;
    Ok(tagged(StatusCode::OK, key.version, &key))
}

/// Replaces a key by a new one with the same tenant, scopes and expiry. Needs what creating it needs.
#[utoipa::path(post, path = "/api/access/keys/{key}/rotate", tag = "access",
    params(("key" = String, Path)),
    responses((status = 201, body = CreatedKey), (status = 404), (status = 409)))]
pub(super) async fn rotate(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let key = access.rotate_key(&by, &id).await?;
    Ok(once(false, &key))
}
