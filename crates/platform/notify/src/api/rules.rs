//! `/api/notify/rules`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::Principal;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Body, Result, if_match, tagged};
use crate::model::Rule;
use crate::service::{NewRule, NotifyService, RuleChange};

pub(super) fn router() -> OpenApiRouter<NotifyService> {
    OpenApiRouter::new()
        .routes(routes!(rules, create))
        .routes(routes!(rule, change, delete))
}

/// Which messages go where, oldest first: at most 500 an owner, so they are not paged. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/rules", tag = "notify", responses((status = 200, body = [Rule])))]
async fn rules(State(service): State<NotifyService>, by: Principal) -> Result<Json<Vec<Rule>>> {
    Ok(Json(service.rules(&by).await?))
}

/// Makes a rule, for messages from now on. Needs `notify:write`.
#[utoipa::path(post, path = "/api/notify/rules", tag = "notify", request_body = NewRule,
    responses((status = 201, body = Rule), (status = 400), (status = 404), (status = 409), (status = 422)))]
async fn create(
    State(service): State<NotifyService>,
    by: Principal,
    Body(new): Body<NewRule>,
) -> Result<Response> {
    let rule = service.create_rule(&by, new).await?;
    let location = [(header::LOCATION, format!("/api/notify/rules/{}", rule.id))];
    Ok((StatusCode::CREATED, location, Json(rule)).into_response())
}

/// One rule. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/rules/{rule}", tag = "notify", params(("rule" = String, Path)),
    responses((status = 200, body = Rule), (status = 404)))]
async fn rule(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let rule = service.rule(&by, &id).await?;
    Ok(tagged(rule.version, rule))
}

/// Changes a rule; what is absent stays. With `If-Match` only if nobody changed it meanwhile. Needs
/// `notify:write`.
#[utoipa::path(patch, path = "/api/notify/rules/{rule}", tag = "notify", params(("rule" = String, Path)),
    request_body = RuleChange,
    responses((status = 200, body = Rule), (status = 400), (status = 404), (status = 412), (status = 422)))]
async fn change(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(change): Body<RuleChange>,
) -> Result<Response> {
    let version = if_match(&headers)?;
    let rule = service.change_rule(&by, &id, version, change).await?;
    Ok(tagged(rule.version, rule))
}

/// Deletes a rule. Needs `notify:write`.
#[utoipa::path(delete, path = "/api/notify/rules/{rule}", tag = "notify", params(("rule" = String, Path)),
    responses((status = 204), (status = 404)))]
async fn delete(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    service.delete_rule(&by, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
