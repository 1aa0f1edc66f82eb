//! `/api/access/tenants`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use sealwright_core::Page;

use super::{Body, ListQuery, Query, created, idempotency, if_match, tagged};
use crate::error::AccessError;
use crate::model::{NewTenant, Tenant, TenantChange};
use crate::principal::Principal;
use crate::service::AccessService;

type Result<T> = std::result::Result<T, AccessError>;

/// Tenants by slug. Needs `access:read`.
#[utoipa::path(get, path = "/api/access/tenants", tag = "access", params(ListQuery),
    responses((status = 200, body = Page<Tenant>)))]
pub(super) async fn list(
    State(access): State<AccessService>,
    by: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Tenant>>> {
    Ok(Json(access.tenants(&by, &query.into()).await?))
}

/// Creates a tenant. Needs `access:admin` for all tenants; takes `Idempotency-Key`.
#[utoipa::path(post, path = "/api/access/tenants", tag = "access", request_body = NewTenant,
    responses((status = 201, body = Tenant), (status = 409), (status = 422)))]
pub(super) async fn create(
    State(access): State<AccessService>,
    by: Principal,
    headers: HeaderMap,
    Body(new): Body<NewTenant>,
) -> Result<Response> {
    let request = idempotency(&headers)?;
    let (tenant, repeated) = access.create_tenant_once(&by, new, request).await?;
    let location = format!("/api/access/tenants/{}", tenant.id);
    Ok(created(repeated, &location, tenant.version, &tenant))
}

/// One tenant, by id or slug. Needs `access:read`.
#[utoipa::path(get, path = "/api/access/tenants/{tenant}", tag = "access",
    params(("tenant" = String, Path)), responses((status = 200, body = Tenant), (status = 404)))]
pub(super) async fn show(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let tenant = access.tenant(&by, &id).await?;
    Ok(tagged(StatusCode::OK, tenant.version, &tenant))
}

/// Changes a tenant; absent members stay. Needs `access:admin` for all tenants, and `If-Match`.
#[utoipa::path(patch, path = "/api/access/tenants/{tenant}", tag = "access",
    params(("tenant" = String, Path), ("if-match" = String, Header)), request_body = TenantChange,
    responses((status = 200, body = Tenant), (status = 404), (status = 412), (status = 428)))]
pub(super) async fn change(
    State(access): State<AccessService>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(change): Body<TenantChange>,
) -> Result<Response> {
    let version = if_match(&headers)?;
    let tenant = access.change_tenant(&by, &id, version, change).await?;
    Ok(tagged(StatusCode::OK, tenant.version, &tenant))
}
