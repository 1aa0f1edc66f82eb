//! `/api/access/users`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sealwright_core::Page;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Body, ListQuery, Query, created, idempotency, if_match, tagged};
use crate::error::AccessError;
use crate::model::{NewUser, User, UserChange};
use crate::principal::Principal;
use crate::service::AccessService;

type Result<T> = std::result::Result<T, AccessError>;

/// Users by e-mail address. Needs `access:read`.
#[utoipa::path(get, path = "/api/access/users", tag = "access", params(ListQuery),
    responses((status = 200, body = Page<User>)))]
pub(super) async fn list(
    State(access): State<AccessService>,
    by: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<User>>> {
    Ok(Json(access.users(&by, &query.into()).await?))
}

/// Creates a user; without a password the user is invited. Needs `access:admin`; takes
/// `Idempotency-Key`.
#[utoipa::path(post, path = "/api/access/users", tag = "access", request_body = NewUser,
    responses((status = 201, body = User), (status = 409), (status = 422)))]
pub(super) async fn create(
    State(access): State<AccessService>,
    by: Principal,
    headers: HeaderMap,
    Body(new): Body<NewUser>,
) -> Result<Response> {
    let request = idempotency(&headers)?;
    let (user, repeated) = access.create_user_once(&by, new, request).await?;
    let location = format!("/api/access/users/{}", user.id);
    Ok(created(repeated, &location, user.version, &user))
}

/// One user, by id or e-mail address. Needs `access:read`, except for oneself.
#[utoipa::path(get, path = "/api/access/users/{user}", tag = "access",
    params(("user" = String, Path)), responses((status = 200, body = User), (status = 404)))]
pub(super) async fn show(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let user = access.user(&by, &id).await?;
    Ok(tagged(StatusCode::OK, user.version, &user))
}

/// Changes a user; absent members stay. Needs `access:admin` and `If-Match`.
#[utoipa::path(patch, path = "/api/access/users/{user}", tag = "access",
    params(("user" = String, Path), ("if-match" = String, Header)), request_body = UserChange,
    responses((status = 200, body = User), (status = 404), (status = 409), (status = 412),
        (status = 428)))]
pub(super) async fn change(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(change): Body<UserChange>,
) -> Result<Response> {
    let version = if_match(&headers)?;
    let user = access.change_user(&by, &id, version, change).await?;
    Ok(tagged(StatusCode::OK, user.version, &user))
}

/// A one-time link.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserLink {
    /// The path on this server; it works once.
    path: String,
}

/// Makes a one-time link by which the user sets a password. Needs `access:admin` and everything that
/// the user may do.
#[utoipa::path(post, path = "/api/access/users/{user}/link", tag = "access",
    params(("user" = String, Path)), responses((status = 201, body = UserLink), (status = 404)))]
pub(super) async fn link(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let token = access.user_link(&by, &id).await?;
    let link = UserLink {
        path: format!("/welcome/{token}"),
    };
    Ok((StatusCode::CREATED, Json(link)).into_response())
}

/// Passkeys that were removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RemovedPasskeys {
    /// How many.
    removed: u64,
}

/// Removes all passkeys of a user, whose device was lost or is in other hands. Needs `access:admin` and everything that
/// the user may do.
#[utoipa::path(delete, path = "/api/access/users/{user}/passkeys", tag = "access",
    params(("user" = String, Path)), responses((status = 200, body = RemovedPasskeys), (status = 404)))]
pub(super) async fn remove_passkeys(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<RemovedPasskeys>> {
    let removed = access.remove_passkeys_of(&by, &id).await?;
    Ok(Json(RemovedPasskeys { removed }))
}
