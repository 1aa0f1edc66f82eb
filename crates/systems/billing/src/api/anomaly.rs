//! `/api/billing/anomalies`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::{Action, Principal};
use sealwright_core::{Page, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BillingApi, input};
use crate::model::Grain;
use crate::model::anomaly::{
    Anomaly, AnomalyId, AnomalySettings, AnomalyState, DetectorName, HistoryPoint,
};
use crate::service::anomaly::{AnomalyFilter, Evaluated};

/// An anomaly.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The meter's key.
    meter: String,
    /// `day` or `hour`.
    grain: Grain,
    /// Its start, RFC 3339.
    at: String,
    /// What found it.
    detector: DetectorName,
    /// `warning`, `high` or `critical`.
    severity: String,
    /// Where it stands.
    state: AnomalyState,
    /// The exact value.
    value: String,
    /// The meter's unit.
    unit: String,
    /// Whether the day was not over and the value already too high.
    partial: bool,
    /// What was expected.
    expected: f64,
    /// The lowest value that would not have been an anomaly.
    low: f64,
    /// The highest value that would not have been an anomaly.
    high: f64,
    /// Deviations from the mean (`deviation-rule`), or the negative natural logarithm of its probability
    /// (`seasonal`); null when all values before it were zero.
    deviation: Option<f64>,
    /// Why it is one, in words.
    why: String,
    /// What was said when its state was changed.
    note: Option<String>,
    /// Grows with each change; the ETag.
    revision: i64,
    /// RFC 3339.
    found_at: String,
    /// RFC 3339.
    updated_at: String,
    /// Who changed it last.
    updated_by: String,
    /// The ledger entry of its last change.
    ledger_entry: Option<String>,
    /// The values that it was judged by, oldest first; only when one anomaly is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<HistoryPoint>>,
    /// The settings that it was judged by; only when one anomaly is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    settings: Option<AnomalySettings>,
}

impl Found {
    fn of(api: &BillingApi, anomaly: &Anomaly, whole: bool) -> Self {
        let body = &anomaly.body;
        Self {
            id: anomaly.id.to_string(),
            tenant: api
                .directory
                .get(anomaly.tenant)
                .map_or_else(|| anomaly.tenant.to_string(), |tenant| tenant.slug.clone()),
            meter: anomaly.meter.clone(),
            grain: anomaly.grain,
            at: anomaly.at.to_string(),
            detector: anomaly.detector,
            severity: anomaly.severity.name().to_owned(),
            state: anomaly.state,
            value: body.value.clone(),
            unit: body.unit.clone(),
            partial: body.partial,
            expected: body.expected,
            low: body.low,
            high: body.high,
            deviation: body.deviation,
            why: body.why.clone(),
            note: body.note.clone(),
            revision: anomaly.revision,
            found_at: anomaly.found_at.to_string(),
            updated_at: anomaly.updated_at.to_string(),
            updated_by: anomaly.updated_by.clone(),
            ledger_entry: anomaly.ledger_entry.clone(),
            history: whole.then(|| body.history.clone()),
            settings: whole.then_some(body.settings),
        }
    }
}

/// Which anomalies.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// Only this state.
    state: Option<AnomalyState>,
    /// Only this meter.
    meter: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Anomalies, the last found first. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/anomalies", tag = "billing", params(ListQuery),
    responses((status = 200, body = Page<Found>), (status = 400), (status = 404)))]
pub(super) async fn list(
    State(api): State<BillingApi>,
    by: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page<Found>>, Problem> {
    by.require(Action::BillingRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &api.directory, query.tenant.as_deref())?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let after = query
        .cursor
        .as_deref()
        .map(|text| text.parse::<AnomalyId>())
        .transpose()
        .map_err(|_| Problem::bad_request("`cursor` is not one that this list gave"))?;
    let filter = AnomalyFilter {
        state: query.state,
        meter: query.meter,
        after,
        limit: limit + 1,
    };
    let mut found = api.anomalies.list(scope, &filter).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|one| one.id.to_string());
    Ok(Json(Page {
        items: found
            .iter()
            .map(|one| Found::of(&api, one, false))
            .collect(),
        next,
    }))
}

fn id(text: &str) -> Result<AnomalyId, Problem> {
    text.parse()
        .map_err(|_| Problem::not_found(format!("there is no anomaly `{text}`")))
}

/// One anomaly with the history that it was judged by. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/anomalies/{id}", tag = "billing",
    params(("id" = String, Path)),
    responses((status = 200, body = Found), (status = 404)))]
pub(super) async fn show(
    State(api): State<BillingApi>,
    by: Principal,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    by.require(Action::BillingRead)?;
    let anomaly = api.anomalies.find(by.tenants, id(&name)?).await?;
    let tag = format!("\"{}\"", anomaly.revision);
    Ok(([(header::ETAG, tag)], Json(Found::of(&api, &anomaly, true))).into_response())
}

/// A decision about an anomaly.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    /// `acknowledged`, `dismissed`, or `open` again.
    state: AnomalyState,
    /// Why.
    #[serde(default)]
    note: String,
}

/// Acknowledges or dismisses an anomaly, or opens it again. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/anomalies/{id}", tag = "billing",
    params(("id" = String, Path)), request_body = Decide,
    responses((status = 200, body = Found), (status = 404), (status = 412), (status = 422)))]
pub(super) async fn decide(
    State(api): State<BillingApi>,
    by: Principal,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Found>, Problem> {
    by.require(Action::BillingWrite)?;
    let id = id(&name)?;
    let wanted: Decide = input::json(&body)?;
    let revision = input::if_match(&headers)?;
    let actor = by.actor();
    let changed = api
        .anomalies
        .decide(by.tenants, id, revision, wanted.state, &wanted.note, &actor)
        .await?;
    Ok(Json(Found::of(&api, &changed, false)))
}

/// Whose usage to look at.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Evaluate {
    /// Only this tenant, by slug or id; all in reach when absent.
    tenant: Option<String>,
}

/// What an evaluation did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnomalyReport)]
pub(super) struct Report {
    /// Tenants that were looked at.
    tenants: u64,
    /// Series that were looked at.
    series: u64,
    /// New anomalies.
    found: u64,
    /// Open ones that changed.
    updated: u64,
    /// Open ones that late events made ordinary.
    dismissed: u64,
}

impl From<Evaluated> for Report {
    fn from(done: Evaluated) -> Self {
        Self {
            tenants: done.tenants,
            series: done.series,
            found: done.found,
            updated: done.updated,
            dismissed: done.dismissed,
        }
    }
}

/// Looks for anomalies now, as the job does every hour. Needs `billing:write`.
#[utoipa::path(post, path = "/api/billing/anomalies/evaluate", tag = "billing",
    request_body = Evaluate, responses((status = 200, body = Report), (status = 404)))]
pub(super) async fn evaluate(
    State(api): State<BillingApi>,
    by: Principal,
    body: Bytes,
) -> Result<Json<Report>, Problem> {
    by.require(Action::BillingWrite)?;
    let wanted: Evaluate = if body.is_empty() {
        Evaluate::default()
    } else {
        input::json(&body)?
    };
    let scope = input::scope(&by, &api.directory, wanted.tenant.as_deref())?;
    let done = api.anomalies.evaluate(scope, &by.actor()).await?;
    Ok(Json(done.into()))
}

/// How anomalies are looked for in a tenant's usage. Needs `billing:read`.
#[utoipa::path(get, path = "/api/billing/anomaly-settings/{tenant}", tag = "billing",
    params(("tenant" = String, Path, description = "Slug or id")),
    responses((status = 200, body = Object), (status = 404)))]
pub(super) async fn settings(
    State(api): State<BillingApi>,
    by: Principal,
    Path(tenant): Path<String>,
) -> Result<Json<AnomalySettings>, Problem> {
    by.require(Action::BillingRead)?;
    let tenant = input::tenant(&by, &api.directory, &tenant)?;
    Ok(Json(api.anomalies.settings(tenant).await?))
}

/// Sets how anomalies are looked for in a tenant's usage; members that are left out have their defaults. Needs
/// `billing:write`.
#[utoipa::path(put, path = "/api/billing/anomaly-settings/{tenant}", tag = "billing",
    params(("tenant" = String, Path, description = "Slug or id")), request_body = Object,
    responses((status = 200, body = Object), (status = 404), (status = 422)))]
pub(super) async fn put_settings(
    State(api): State<BillingApi>,
    by: Principal,
    Path(tenant): Path<String>,
    body: Bytes,
) -> Result<Json<AnomalySettings>, Problem> {
    by.require(Action::BillingWrite)?;
    let tenant = input::tenant(&by, &api.directory, &tenant)?;
    let settings: AnomalySettings = input::json(&body)?;
    let actor = by.actor();
    api.anomalies.set_settings(tenant, settings, &actor).await?;
    Ok(Json(settings))
}
