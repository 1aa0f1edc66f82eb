//! `/api/notify/deliveries` and `/api/notify/messages`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sealwright_access::Principal;
use sealwright_core::Page;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Asked, Result};
use crate::model::{Delivery, DeliveryFilter, DeliveryState, StoredMessage};
use crate::service::NotifyService;

pub(super) fn router() -> OpenApiRouter<NotifyService> {
    OpenApiRouter::new()
        .routes(routes!(deliveries))
        .routes(routes!(delivery))
        .routes(routes!(resend))
        .routes(routes!(messages))
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeliveriesQuery {
    /// In this state; `dead` for the dead letters.
    state: Option<DeliveryState>,
    /// Of this channel.
    channel: Option<String>,
    /// Of this message.
    message: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Deliveries, newest first. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/deliveries", tag = "notify", params(DeliveriesQuery),
    responses((status = 200, body = Page<Delivery>), (status = 400), (status = 422)))]
async fn deliveries(
    State(service): State<NotifyService>,
    by: Principal,
    Asked(query): Asked<DeliveriesQuery>,
) -> Result<Json<Page<Delivery>>> {
    let filter = DeliveryFilter {
        state: query.state,
        channel: query.channel,
        message: query.message,
        cursor: query.cursor,
        limit: query.limit,
    };
    Ok(Json(service.deliveries(&by, &filter).await?))
}

/// One delivery. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/deliveries/{delivery}", tag = "notify",
    params(("delivery" = String, Path)),
    responses((status = 200, body = Delivery), (status = 404)))]
async fn delivery(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<Delivery>> {
    Ok(Json(service.delivery(&by, &id).await?))
}

/// Sends a delivery again under the same id: one that was given up, one that is held, or one that was sent.
/// Needs `notify:write`.
#[utoipa::path(post, path = "/api/notify/deliveries/{delivery}/resend", tag = "notify",
    params(("delivery" = String, Path)),
    responses((status = 202, body = Delivery), (status = 404), (status = 409)))]
async fn resend(
    State(service): State<NotifyService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Delivery>)> {
    Ok((StatusCode::ACCEPTED, Json(service.resend(&by, &id).await?)))
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    /// Only those that no rule matched.
    #[serde(default)]
    unmatched: bool,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// What was enqueued, newest first. A tenant sees what is about it and meant for it. Needs `notify:read`.
#[utoipa::path(get, path = "/api/notify/messages", tag = "notify", params(MessagesQuery),
    responses((status = 200, body = Page<StoredMessage>), (status = 400), (status = 422)))]
async fn messages(
    State(service): State<NotifyService>,
    by: Principal,
    Asked(query): Asked<MessagesQuery>,
) -> Result<Json<Page<StoredMessage>>> {
    let page = service
        .messages(&by, query.unmatched, query.cursor.as_deref(), query.limit)
        .await?;
    Ok(Json(page))
}
