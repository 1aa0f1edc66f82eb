//! HTTP: `/api/prometheus/sources`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::Principal;
use sealwright_access::input::{Asked, Body, if_match, tagged};
use sealwright_core::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::PrometheusError;
use crate::model::{QuietSeries, Source, State as Standing, Totals, WindowRow};
use crate::service::{NewSource, PrometheusService, SourceChange};

type Result<T> = std::result::Result<T, PrometheusError>;

/// The largest body of a request, in bytes.
const BODY: usize = 64 * 1024;

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<PrometheusService> {
    OpenApiRouter::new()
        .routes(routes!(sources, create))
        .routes(routes!(source, change, delete))
        .routes(routes!(windows))
        .routes(routes!(quiet))
        .routes(routes!(rewind))
        .routes(routes!(retry))
        .layer(axum::extract::DefaultBodyLimit::max(BODY))
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// A source and how it stands.
#[derive(Debug, Serialize, ToSchema)]
struct PrometheusSourceAnswer {
    #[serde(flatten)]
    source: Source,
    /// How it stands.
    state: Standing,
    /// From the end of the last window that was decided to now, in seconds.
    lag_seconds: i64,
    /// What its windows add up to, over the last 90 days.
    totals: Totals,
}

impl PrometheusSourceAnswer {
    fn new(service: &PrometheusService, source: Source, totals: Totals) -> Self {
        let now = service.now();
        Self {
            state: source.state(now),
            lag_seconds: source.lag(now) / sealwright_core::clock::SECOND,
            totals,
            source,
        }
    }
}

fn shown(answer: PrometheusSourceAnswer) -> Response {
    tagged(answer.source.version, answer)
}

async fn answered(service: &PrometheusService, by: &Principal, source: Source) -> Result<Response> {
    let totals = service.totals(by, Some(source.id)).await?;
    let totals = totals.get(&source.id).copied().unwrap_or_default();
    Ok(shown(PrometheusSourceAnswer::new(service, source, totals)))
}

/// What Prometheus servers are asked for, newest first, and how that stands. Needs `prometheus:read`.
#[utoipa::path(get, path = "/api/prometheus/sources", tag = "prometheus", params(PageQuery),
    responses((status = 200, body = Page<PrometheusSourceAnswer>), (status = 400), (status = 422)))]
async fn sources(
    State(service): State<PrometheusService>,
    by: Principal,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<PrometheusSourceAnswer>>> {
    let page = service
        .sources(&by, query.cursor.as_deref(), query.limit)
        .await?;
    let totals = service.totals(&by, None).await?;
    let items = page.items.into_iter().map(|source| {
        let totals = totals.get(&source.id).copied().unwrap_or_default();
        PrometheusSourceAnswer::new(&service, source, totals)
    });
    Ok(Json(Page {
        items: items.collect(),
        next: page.next,
    }))
}

/// Makes a source. What is counted never changes afterwards; the credential is sealed and never given back. Needs
/// `prometheus:write`.
#[utoipa::path(post, path = "/api/prometheus/sources", tag = "prometheus", request_body = NewSource,
    responses((status = 201, body = PrometheusSourceAnswer), (status = 400), (status = 404), (status = 409), (status = 422)))]
async fn create(
    State(service): State<PrometheusService>,
    by: Principal,
    Body(new): Body<NewSource>,
) -> Result<Response> {
    let source = service.create(&by, &new).await?;
    let location = [(
        header::LOCATION,
        format!("/api/prometheus/sources/{}", source.id),
    )];
    let answer = PrometheusSourceAnswer::new(&service, source, Totals::default());
    Ok((StatusCode::CREATED, location, shown(answer)).into_response())
}

/// One source. Needs `prometheus:read`.
#[utoipa::path(get, path = "/api/prometheus/sources/{source}", tag = "prometheus", params(("source" = String, Path)),
    responses((status = 200, body = PrometheusSourceAnswer), (status = 404)))]
async fn source(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let source = service.source(&by, &id).await?;
    answered(&service, &by, source).await
}

/// Changes a source; what is absent stays. With `If-Match` only if nobody changed it meanwhile. Another server does not
/// get the credential unless it is given again. Needs `prometheus:write`.
#[utoipa::path(patch, path = "/api/prometheus/sources/{source}", tag = "prometheus", params(("source" = String, Path)),
    request_body = SourceChange,
    responses((status = 200, body = PrometheusSourceAnswer), (status = 400), (status = 404), (status = 409), (status = 412), (status = 422)))]
async fn change(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(change): Body<SourceChange>,
) -> Result<Response> {
    let version = if_match(&headers)?;
    let source = service.change(&by, &id, version, &change).await?;
    answered(&service, &by, source).await
}

/// Deletes a source with its credential; its events stay. Needs `prometheus:write`.
#[utoipa::path(delete, path = "/api/prometheus/sources/{source}", tag = "prometheus", params(("source" = String, Path)),
    responses((status = 204), (status = 404)))]
async fn delete(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    service.delete(&by, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What became of a source's windows, the latest first, for 90 days. Needs `prometheus:read`.
#[utoipa::path(get, path = "/api/prometheus/sources/{source}/windows", tag = "prometheus",
    params(("source" = String, Path), PageQuery),
    responses((status = 200, body = Page<WindowRow>), (status = 400), (status = 404), (status = 422)))]
async fn windows(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<WindowRow>>> {
    let page = service
        .windows(&by, &id, query.cursor.as_deref(), query.limit)
        .await?;
    Ok(Json(page))
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LimitQuery {
    /// At most, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Series that had no sample in the last window: gaps. Needs `prometheus:read`.
#[utoipa::path(get, path = "/api/prometheus/sources/{source}/quiet", tag = "prometheus",
    params(("source" = String, Path), LimitQuery),
    responses((status = 200, body = [QuietSeries]), (status = 400), (status = 404)))]
async fn quiet(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
    Asked(query): Asked<LimitQuery>,
) -> Result<Json<Vec<QuietSeries>>> {
    let series = service.quiet(&by, &id, query.limit.unwrap_or(50)).await?;
    Ok(Json(series))
}

/// How far a source is wound back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PrometheusRewind {
    /// Windows after this moment are asked for again, RFC 3339.
    to: String,
}

/// Winds a source back. What is in the log is not counted twice; what could not be counted then is counted now. Needs
/// `prometheus:write`.
#[utoipa::path(post, path = "/api/prometheus/sources/{source}/rewind", tag = "prometheus",
    params(("source" = String, Path)), request_body = PrometheusRewind,
    responses((status = 200, body = PrometheusSourceAnswer), (status = 400), (status = 404), (status = 422)))]
async fn rewind(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
    Body(rewind): Body<PrometheusRewind>,
) -> Result<Response> {
    let source = service.rewind(&by, &id, &rewind.to).await?;
    answered(&service, &by, source).await
}

/// Ends the pause after a failure: the source is asked within a minute. Needs `prometheus:write`.
#[utoipa::path(post, path = "/api/prometheus/sources/{source}/retry", tag = "prometheus",
    params(("source" = String, Path)),
    responses((status = 200, body = PrometheusSourceAnswer), (status = 404), (status = 409)))]
async fn retry(
    State(service): State<PrometheusService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let source = service.retry(&by, &id).await?;
    answered(&service, &by, source).await
}
