//! `/api/billing/usage`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BillingApi, input};
use crate::model::{Dimensions, Grain, Span};
use crate::service::usage::{UsagePoint, UsageQuery, month_start};

/// Which usage.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SummaryQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// Only this meter.
    meter: Option<String>,
    /// From this moment on (included); the start of this month when absent.
    from: Option<String>,
    /// Until this moment (excluded); now when absent.
    to: Option<String>,
    /// One point an `hour`, `day` or `month`; one in all when absent.
    grain: Option<Grain>,
    /// Dimensions to keep apart, separated by commas.
    group_by: Option<String>,
    /// `false` adds all tenants up.
    by_tenant: Option<bool>,
}

/// A point of a summary, as answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Point {
    /// The tenant's slug; absent when tenants are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// The tenant's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    /// The meter's key.
    meter: String,
    /// The meter's unit.
    unit: String,
    /// The dimension values that were kept apart.
    dimensions: Dimensions,
    /// RFC 3339, included.
    from: String,
    /// RFC 3339, excluded.
    to: String,
    /// An exact decimal; null when it is unknown.
    quantity: Option<String>,
    /// Events behind it; null where that is not told (hours).
    events: Option<u64>,
}

/// Usage of a span.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    /// RFC 3339, included.
    from: String,
    /// RFC 3339, excluded.
    to: String,
    /// Events below this offset of the log are counted.
    metered_through: u64,
    /// The points, by tenant, meter, dimensions and time.
    items: Vec<Point>,
}

/// Metered usage by tenant, meter, dimension and time. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/usage", tag = "billing", params(SummaryQuery),
    responses((status = 200, body = Summary), (status = 400, description = "The query is malformed"),
        (status = 404, description = "No such meter or tenant")))]
pub(super) async fn summary(
    State(api): State<BillingApi>,
    by: Principal,
    query: Result<Query<SummaryQuery>, QueryRejection>,
) -> Result<Json<Summary>, Problem> {
    by.require(Action::BillingRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &api.directory, query.tenant.as_deref())?;
    let span = span(&api, query.from.as_deref(), query.to.as_deref())?;
    let group_by = query.group_by.as_deref().unwrap_or_default();
    let usage = UsageQuery {
        meter: query.meter,
        span,
        grain: query.grain,
        group_by: group_by
            .split(',')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect(),
        by_tenant: query.by_tenant.unwrap_or(true),
        only: Dimensions::new(),
    };
    let points = api.usage.summary(scope, &usage).await?;
    let metered_through = api.usage.metered_through().await?;
    let items = points
        .into_iter()
        .map(|point| answer(&api, point))
        .collect();
    Ok(Json(Summary {
        from: span.from.to_string(),
        to: span.to.to_string(),
        metered_through,
        items,
    }))
}

fn span(api: &BillingApi, from: Option<&str>, to: Option<&str>) -> Result<Span, Problem> {
    let now = api.clock.now();
    let to = to.map_or(Ok(now), |text| input::moment("to", text))?;
    let from = from.map_or(Ok(month_start(now)), |text| input::moment("from", text))?;
    if from >= to {
        return Err(Problem::bad_request(format!(
            "`from` ({from}) must be before `to` ({to})"
        )));
    }
    Ok(Span { from, to })
}

fn answer(api: &BillingApi, point: UsagePoint) -> Point {
    Point {
        tenant: point
            .tenant
            .and_then(|id| api.directory.get(id))
            .map(|t| t.slug.clone()),
        tenant_id: point.tenant.map(|id| id.to_string()),
        meter: point.meter,
        unit: point.unit,
        dimensions: point.dimensions,
        from: point.from.to_string(),
        to: point.to.to_string(),
        quantity: point.quantity,
        events: point.events,
    }
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UnmeteredQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// From this moment on (included); the start of this month when absent.
    from: Option<String>,
    /// Until this moment (excluded); now when absent.
    to: Option<String>,
}

/// An event that a meter wanted and could not read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnmeteredEvent {
    /// Its place in the log.
    offset: u64,
    /// The meter.
    meter: String,
    /// The `source` attribute.
    source: String,
    /// The `id` attribute.
    id: String,
    /// When it happened, RFC 3339.
    time: String,
    /// Where in the event, as a JSON Pointer.
    pointer: String,
    /// Why.
    reason: String,
}

/// Accepted events of a metered type from which no value could be taken, newest first, at most 500. Needs
/// `billing:read`.
#[utoipa::path(get, path = "/api/billing/usage/unmetered", tag = "billing", params(UnmeteredQuery),
    responses((status = 200, body = [UnmeteredEvent]), (status = 400), (status = 404)))]
pub(super) async fn unmetered(
    State(api): State<BillingApi>,
    by: Principal,
    query: Result<Query<UnmeteredQuery>, QueryRejection>,
) -> Result<Json<Vec<UnmeteredEvent>>, Problem> {
    by.require(Action::BillingRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &api.directory, query.tenant.as_deref())?;
    let span = span(&api, query.from.as_deref(), query.to.as_deref())?;
    let rows = api.usage.unmetered(scope, span, 500).await?;
    let answer = rows.into_iter().map(|row| UnmeteredEvent {
        offset: row.offset,
        meter: row.meter,
        source: row.source,
        id: row.event_id,
        time: row.time.to_string(),
        pointer: row.pointer,
        reason: row.reason,
    });
    Ok(Json(answer.collect()))
}
