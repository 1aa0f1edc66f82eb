//! `/api/access/sessions`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Body;
use crate::error::AccessError;
use crate::http::{ClientAddress, SessionInfo, clear_cookie, require_same_origin, set_cookie};
use crate::model::{Session, User};
use crate::principal::Principal;
use crate::service::{AccessService, SignIn};

type Result<T> = std::result::Result<T, AccessError>;

/// E-mail address and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// The address, in any case.
    email: String,
    /// The password.
    password: String,
}

/// A session that has begun; the cookie holds its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Started {
    /// Who.
    user: User,
    /// The record.
    session: Session,
    /// To be sent as `x-csrf-token` with every request that changes something.
    csrf: String,
}

/// The caller's own sessions, newest first.
#[utoipa::path(get, path = "/api/access/sessions", tag = "access",
    responses((status = 200, body = [Session]), (status = 409, description = "not a user")))]
pub(super) async fn list(
    State(access): State<AccessService>,
    by: Principal,
) -> Result<Json<Vec<Session>>> {
    Ok(Json(access.sessions(&by).await?))
}

/// Signs in and sets the session's cookie.
#[utoipa::path(post, path = "/api/access/sessions", tag = "access", request_body = Credentials,
    responses((status = 201, body = Started), (status = 401), (status = 429)))]
pub(super) async fn start(
    State(access): State<AccessService>,
    address: ClientAddress,
    headers: HeaderMap,
    Body(given): Body<Credentials>,
) -> Result<Response> {
    require_same_origin(&headers)?;
    let agent = headers.get(header::USER_AGENT);
    let signed_in = access
        .sign_in(&SignIn {
            email: given.email,
            password: given.password,
            address: address.0,
            agent: agent.and_then(|v| v.to_str().ok()).unwrap_or("").to_owned(),
        })
        .await?;
    let cookie = set_cookie(access.policy(), &signed_in);
    let body = Started {
        user: signed_in.user,
        session: signed_in.session,
        csrf: signed_in.csrf,
    };
    let headers = [
        (header::SET_COOKIE, cookie),
        (
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-store"),
        ),
    ];
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

/// Who is asking.
#[derive(Serialize, ToSchema)]
pub(super) struct Current {
    /// `user`, `key` or `system`.
    kind: &'static str,
    /// The id.
    id: String,
    /// E-mail address or key name.
    name: String,
    /// The tenant, where the credentials are limited to one.
    tenant_id: Option<String>,
    /// What the caller may do.
    actions: Vec<&'static str>,
    /// For a session: its record.
    session: Option<Session>,
    /// For a session: the token of forms.
    csrf: Option<String>,
}

/// Who the presented credentials belong to, and what they may do.
#[utoipa::path(get, path = "/api/access/sessions/current", tag = "access",
    responses((status = 200, body = Current), (status = 401)))]
pub(super) async fn current(by: Principal, info: Option<SessionInfo>) -> Json<Current> {
    let actions = crate::role::Action::ALL
        .iter()
        .filter(|action| by.may(**action))
        .map(|action| action.as_str())
        .collect();
    Json(Current {
        kind: by.kind.as_str(),
        tenant_id: by.tenants.tenant().map(|id| id.to_string()),
        id: by.id,
        name: by.name,
        actions,
        csrf: info.as_ref().map(|info| info.csrf.clone()),
        session: info.map(|info| info.session),
    })
}

/// Ends the session that asks.
#[utoipa::path(delete, path = "/api/access/sessions/current", tag = "access",
    responses((status = 204), (status = 409, description = "not a session")))]
pub(super) async fn end_current(
    State(access): State<AccessService>,
    by: Principal,
    info: Option<SessionInfo>,
) -> Result<Response> {
    let Some(info) = info else {
        return Err(AccessError::Conflict(
            "an API key has no session to end".to_owned(),
        ));
    };
    access
        .end_session(&by, &info.session.id.to_string())
        .await?;
    let cookie = [(header::SET_COOKIE, clear_cookie(access.policy()))];
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}

/// Ends one of the caller's sessions.
#[utoipa::path(delete, path = "/api/access/sessions/{session}", tag = "access",
    params(("session" = String, Path)), responses((status = 204), (status = 404)))]
pub(super) async fn end(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    access.end_session(&by, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all of the caller's sessions, everywhere.
#[utoipa::path(delete, path = "/api/access/sessions", tag = "access",
    responses((status = 204), (status = 409, description = "not a user")))]
pub(super) async fn end_all(
    State(access): State<AccessService>,
    by: Principal,
) -> Result<Response> {
    access.end_all_sessions(&by).await?;
    let cookie = [(header::SET_COOKIE, clear_cookie(access.policy()))];
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}
