//! `/api/notify/channels`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::Principal;
use sealwright_core::Page;
use sealwright_core::clock::SECOND;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Asked, Body, PageQuery, Result, if_match, tagged};
use crate::model::{Channel, Delivery};
use crate::service::{ChannelChange, CreatedChannel, Given, NewChannel, NotifyService, Rotated};

pub(super) fn router() -> OpenApiRouter<NotifyService> {
    OpenApiRouter::new()
        .routes(routes!(channels, create))
        .routes(routes!(channel, change, delete))
        .routes(routes!(test))
        .routes(routes!(rotate))
}

/// Where notifications go, newest first. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/channels", tag = "notify", params(PageQuery),
    responses((status = 200, body = Page<Channel>), (status = 400), (status = 422)))]
async fn channels(
    State(service): State<NotifyService>,
    by: Principal,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<Channel>>> {
    let page = service
        .channels(&by, query.cursor.as_deref(), query.limit)
        .await?;
    Ok(Json(page))
}

/// Makes a channel. Its secrets are sealed and never given back; a signing secret that was made here is in
/// this answer and nowhere else. Needs `notify:write`.
#[utoipa::path(post, path = "/api/notify/channels", tag = "notify", request_body = NewChannel,
    responses((status = 201, body = CreatedChannel), (status = 400), (status = 404), (status = 409), (status = 422)))]
async fn create(
    State(service): State<NotifyService>,
    by: Principal,
    Body(new): Body<NewChannel>,
) -> Result<Response> {
    let made = service.create_channel(&by, new).await?;
    let location = [(
        header::LOCATION,
        format!("/api/notify/channels/{}", made.channel.id),
    )];
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

/// One channel. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/channels/{channel}", tag = "notify", params(("channel" = String, Path)),
    responses((status = 200, body = Channel), (status = 404)))]
async fn channel(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let channel = service.channel(&by, &id).await?;
    Ok(tagged(channel.version, channel))
}

/// Changes a channel; what is absent stays. With `If-Match` only if nobody changed it meanwhile. Needs
/// `notify:write`.
#[utoipa::path(patch, path = "/api/notify/channels/{channel}", tag = "notify", params(("channel" = String, Path)),
    request_body = ChannelChange,
    responses((status = 200, body = Channel), (status = 400), (status = 404), (status = 412), (status = 422)))]
async fn change(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(change): Body<ChannelChange>,
) -> Result<Response> {
    let version = if_match(&headers)?;
    let channel = service.change_channel(&by, &id, version, change).await?;
    Ok(tagged(channel.version, channel))
}

/// Deletes a channel that no rule names, and its secrets. Needs `notify:write`.
#[utoipa::path(delete, path = "/api/notify/channels/{channel}", tag = "notify", params(("channel" = String, Path)),
    responses((status = 204), (status = 404), (status = 409)))]
async fn delete(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    service.delete_channel(&by, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message, past rules and quiet hours. Needs `notify:write`.
#[utoipa::path(post, path = "/api/notify/channels/{channel}/test", tag = "notify",
    params(("channel" = String, Path)),
    responses((status = 202, body = Delivery), (status = 404), (status = 409)))]
async fn test(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let delivery = service.test_channel(&by, &id).await?;
    let location = [(
        header::LOCATION,
        format!("/api/notify/deliveries/{}", delivery.id),
    )];
    Ok((StatusCode::ACCEPTED, location, Json(delivery)).into_response())
}

/// How a webhook's signing secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// The new secret; made, and shown once, when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    secret: Option<Given>,
    /// For how many seconds the one before signs too, at most 30 days; a day when absent.
    #[serde(default)]
    overlap_seconds: Option<u32>,
}

/// Replaces a webhook's signing secret; both sign for a while. Needs `notify:write`.
#[utoipa::path(post, path = "/api/notify/channels/{channel}/rotate", tag = "notify",
    params(("channel" = String, Path)), request_body = Rotation,
    responses((status = 200, body = Rotated), (status = 400), (status = 404), (status = 409), (status = 422)))]
async fn rotate(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
    Body(rotation): Body<Rotation>,
) -> Result<Json<Rotated>> {
    let overlap = i64::from(rotation.overlap_seconds.unwrap_or(86_400)) * SECOND;
    let rotated = service
        .rotate_secret(&by, &id, rotation.secret, overlap)
        .await?;
    Ok(Json(rotated))
}
