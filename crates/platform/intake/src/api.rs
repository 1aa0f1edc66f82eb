//! `POST /api/events`; beside it `POST /v1/logs` ([`crate::otlp`]).
// An error here is the answer itself; it is made once a request, and boxing it would only move it.
#![allow(clippy::result_large_err)]

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sealwright_cloudevents::{
    ErrorCode, Event, EventError, Limits, Mode, Parsed, RequestError, parse_request,
};
use sealwright_core::{Problem, TenantId, TenantScope, client_address};
use sealwright_events::Rejection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::encoding::{Coding, DecodeError};
use crate::intake::{Intake, Item};
use crate::log::AppendError;
use crate::receipt::{Receipt, ResultStatus};
use crate::sender::{Authenticate, Quota, QuotaState, Quotas, Sender, TenantDirectory};

/// Bodies above this are read on a thread of their own, so that others' requests go on.
pub(crate) const INLINE_BYTES: usize = 256 << 10;

/// What the endpoint needs.
#[derive(Clone)]
pub struct IntakeApi {
    /// Where events go.
    pub intake: Intake,
    /// Who sends.
    pub authenticate: Arc<dyn Authenticate>,
    /// For whom.
    pub tenants: Arc<dyn TenantDirectory>,
    /// How much.
    pub quotas: Arc<dyn Quotas>,
}

impl std::fmt::Debug for IntakeApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntakeApi").finish_non_exhaustive()
    }
}

/// The endpoint with its description for OpenAPI.
pub fn openapi_router(api: IntakeApi) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(post_events))
        .routes(routes!(crate::otlp::post_logs))
        .with_state(api)
}

/// The description of the endpoint, with nothing behind it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    OpenApiRouter::<IntakeApi>::new()
        .routes(routes!(post_events))
        .routes(routes!(crate::otlp::post_logs))
        .into_openapi()
}

/// The endpoint alone.
pub fn router(api: IntakeApi) -> Router {
    openapi_router(api).into()
}

pub(crate) fn problem(
    status: StatusCode,
    name: &str,
    title: &str,
    detail: impl Into<String>,
) -> Problem {
    Problem::new(status, name, title, detail)
}

pub(crate) fn too_large(detail: impl Into<String>) -> Problem {
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The request is too large",
        detail,
    )
}

pub(crate) fn unsupported(detail: impl Into<String>) -> Problem {
    problem(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The content type or coding is not read here",
        detail,
    )
}

/// Accepts events: all of a request, or none.
///
/// The body is one CloudEvent 1.0 in binary or structured mode, a JSON batch, or one event a line
/// (`application/x-ndjson`); `Content-Encoding` may be gzip or zstd. The answer 202 says that every event
/// is durable. Sending the same event again (same tenant, source and id, same content) within 35 days is
/// reported as `duplicate` and changes nothing. If any event of the request is not acceptable, nothing of
/// the request is stored, and the answer has a result for each event.
#[utoipa::path(
    post,
    path = "/api/events",
    tag = "events",
    request_body(
        content(
            ("application/cloudevents+json"),
            ("application/cloudevents-batch+json"),
            ("application/x-ndjson"),
        ),
        description = "CloudEvents 1.0",
    ),
    responses(
        (status = 202, description = "Every event is durable", body = Receipt),
        (status = 400, description = "The body cannot be read", content_type = "application/problem+json"),
        (status = 401, description = "No valid key", content_type = "application/problem+json"),
        (status = 403, description = "The key may not send events", content_type = "application/problem+json"),
        (status = 409, description = "An event of the same source and id is there with another content", content_type = "application/problem+json"),
        (status = 413, description = "The body, an event or the batch is too large", content_type = "application/problem+json"),
        (status = 415, description = "The content type or coding is not read", content_type = "application/problem+json"),
        (status = 422, description = "An event is not acceptable", content_type = "application/problem+json"),
        (status = 429, description = "Over the quota, or too much of the tenant waits; Retry-After says when to send again", content_type = "application/problem+json"),
        (status = 503, description = "The log cannot be written now; nothing was stored", content_type = "application/problem+json"),
    ),
    security(("key" = [])),
)]
async fn post_events(State(api): State<IntakeApi>, request: Request) -> Response {
    let start = std::time::Instant::now();
    let response = answered(accept(&api, request).await);
    metrics::histogram!("sealwright_intake_request_seconds", "status" => response.status().as_u16().to_string())
        .record(start.elapsed().as_secs_f64());
    response
}

async fn accept(api: &IntakeApi, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let sender = writer(api, &parts).await?;
    let options = api.intake.options();
    let coding = coding(&parts.headers)?;
    let body = read_body(&parts.headers, body, options.body_bytes).await?;
    let limits = options.limits;
    let most = options.decompressed_bytes;
    let headers = parts.headers;
    let small = body.len() <= INLINE_BYTES && coding == Coding::Identity;
    let work = move || parse(&headers, &body, coding, &limits, most);
    let parsed = off_runtime(api, &sender, small, work).await?;
    let mode = parsed.mode;
    let items = assign_tenants(api, &sender, parsed.events).await?;
    let quota = match count(api, &items).await? {
        Counted::Within(state) => state,
        Counted::Over(state) => return Ok(over_quota(state)),
    };
    let mut response = match api.intake.accept(items).await {
        Ok(receipt) => answer(mode, &receipt),
        Err(error) => answered(Err(not_appended(error))),
    };
    if let Some(state) = quota {
        rate_limit_headers(response.headers_mut(), state);
    }
    Ok(response)
}

/// Who sends, when it may.
pub(crate) async fn writer(api: &IntakeApi, parts: &Parts) -> Result<Sender, Problem> {
    let authorization = text(&parts.headers, &header::AUTHORIZATION);
    let from = client_address(&parts.extensions);
    let sender = api
        .authenticate
        .authenticate_from(authorization, from)
        .await?;
    if sender.may_write_events {
        return Ok(sender);
    }
    Err(Problem::forbidden(
        "this key may not send events; it needs the scope events:write",
    ))
}

/// Does `work` here when it is small, and otherwise where it delays no other request, few at a time for a tenant.
pub(crate) async fn off_runtime<T: Send + 'static>(
    api: &IntakeApi,
    sender: &Sender,
    small: bool,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if small {
        return work();
    }
    let _lane = api.intake.lanes().enter(sender.scope).await;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::internal())?
}

/// What went wrong as an answer; one that may be sent again later says so.
pub(crate) fn answered(result: Result<Response, Problem>) -> Response {
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    let later = match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => HeaderValue::from_static("5"),
        StatusCode::TOO_MANY_REQUESTS => HeaderValue::from_static("1"),
        _ => return response,
    };
    // A quota has said when it begins anew.
    let headers = response.headers_mut();
    headers.entry(header::RETRY_AFTER).or_insert(later);
    response
}

pub(crate) fn not_appended(error: AppendError) -> Problem {
    let (status, name, title) = match error {
        AppendError::DiskFull => (
            StatusCode::SERVICE_UNAVAILABLE,
            "storage-full",
            "The server's disk is full",
        ),
        AppendError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "log-unavailable",
            "The log cannot be written now",
        ),
        AppendError::Later => (
            StatusCode::TOO_MANY_REQUESTS,
            "behind",
            "More of this tenant's events wait than are let in",
        ),
    };
    let detail = "Nothing was acknowledged; send the same events again later.";
    problem(status, name, title, detail)
}

/// A body that cannot be unpacked.
pub(crate) fn damaged(error: &DecodeError) -> Problem {
    let detail = error.to_string();
    match error {
        DecodeError::Unknown(_) => unsupported(detail),
        DecodeError::TooLarge { .. } => too_large(detail),
        DecodeError::Damaged { .. } => Problem::bad_request(detail),
    }
}

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

pub(crate) fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let first = values.next().map(|v| v.to_str().unwrap_or("?"));
    let coding = if values.next().is_some() {
        Err(DecodeError::Unknown("several".to_owned()))
    } else {
        Coding::parse(first)
    };
    coding.map_err(|e| unsupported(e.to_string()))
}

pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Problem> {
    let over = || {
        too_large(format!(
            "the body has more than {limit} bytes; split the batch"
        ))
    };
    let claimed = text(headers, &header::CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok());
    if claimed.is_some_and(|length| length > limit as u64) {
        return Err(over());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(over()),
        Err(_) => Err(Problem::bad_request(
            "the body ended before it was complete",
        )),
    }
}

fn parse(
    headers: &HeaderMap,
    body: &[u8],
    coding: Coding,
    limits: &Limits,
    decompressed_bytes: usize,
) -> Result<Parsed, Problem> {
    let decoded;
    let body = if coding == Coding::Identity {
        body
    } else {
        decoded = coding
            .decode(body, decompressed_bytes)
            .map_err(|error| damaged(&error))?;
        &decoded
    };
    let pairs = headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes()));
    parse_request(pairs, body, limits).map_err(|error| match error {
        RequestError::UnsupportedMediaType(detail) => unsupported(detail),
        RequestError::TooManyEvents { .. } => too_large(error.to_string()),
        RequestError::Malformed(ref at) => {
            let problem = Problem::bad_request(error.to_string());
            problem
                .with("pointer", at.pointer.clone())
                .with("byte", at.offset)
        }
    })
}

/// Whose each event is: the key decides. An event of a tenant's own key may name that tenant.
async fn assign_tenants(
    api: &IntakeApi,
    sender: &Sender,
    events: Vec<Result<Event, EventError>>,
) -> Result<Vec<Item>, Problem> {
    let mut resolved: HashMap<String, Option<TenantId>> = HashMap::new();
    let mut items = Vec::with_capacity(events.len());
    for event in events {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                items.push(Item::Unreadable(error));
                continue;
            }
        };
        let Some(name) = event.extension("tenant") else {
            items.push(match sender.scope {
                TenantScope::One(tenant) => Item::Valid(tenant, event),
                TenantScope::All => refused(
                    event,
                    "missing-tenant",
                    "this key is for all tenants: name one in the extension attribute `tenant`",
                ),
            });
            continue;
        };
        let found = match resolved.get(&name) {
            Some(found) => *found,
            None => {
                let found = api.tenants.resolve(&name).await?;
                resolved.insert(name.clone(), found);
                found
            }
        };
        items.push(match found.filter(|tenant| sender.scope.allows(*tenant)) {
            Some(tenant) => Item::Valid(tenant, event),
            // The same words whether it is not there or another's.
            None => refused(
                event,
                "unknown-tenant",
                "this key can send for no tenant of this name",
            ),
        });
    }
    Ok(items)
}

fn refused(event: Event, code: &'static str, detail: &str) -> Item {
    Item::Refused(
        event,
        Rejection {
            code,
            pointer: "/tenant".to_owned(),
            detail: detail.to_owned(),
        },
    )
}

pub(crate) enum Counted {
    Within(Option<QuotaState>),
    Over(QuotaState),
}

/// Asks the quota for each tenant; the state with the least left is the one that is shown.
pub(crate) async fn count(api: &IntakeApi, items: &[Item]) -> Result<Counted, Problem> {
    let mut events: Vec<(TenantId, u64)> = Vec::new();
    for item in items {
        if let Item::Valid(tenant, _) = item {
            match events.iter_mut().rfind(|(t, _)| t == tenant) {
                Some((_, count)) => *count += 1,
                None => events.push((*tenant, 1)),
            }
        }
    }
    let mut shown: Option<QuotaState> = None;
    for (tenant, count) in events {
        match api.quotas.count(tenant, count).await? {
            Quota::Unlimited => {}
            Quota::Within(state) => {
                shown = Some(match shown {
                    Some(least) if least.remaining <= state.remaining => least,
                    _ => state,
                });
            }
            Quota::Exceeded(state) => return Ok(Counted::Over(state)),
        }
    }
    Ok(Counted::Within(shown))
}

pub(crate) fn over_quota(state: QuotaState) -> Response {
    let wait = state.reset_seconds.max(1);
    let detail = format!(
        "the quota is {} events in {} seconds; send again in {wait} seconds",
        state.limit, state.window_seconds
    );
    let mut response = problem(
        StatusCode::TOO_MANY_REQUESTS,
        "quota-exceeded",
        "Over the quota",
        detail,
    )
    .with("limit", state.limit)
    .with("window_seconds", state.window_seconds)
    .with("remaining", state.remaining)
    .into_response();
    rate_limit_headers(response.headers_mut(), state);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(wait));
    response
}

/// draft-ietf-httpapi-ratelimit-headers.
pub(crate) fn rate_limit_headers(headers: &mut HeaderMap, state: QuotaState) {
    let policy = format!("\"events\";q={};w={}", state.limit, state.window_seconds);
    let now = format!("\"events\";r={};t={}", state.remaining, state.reset_seconds);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", now)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn answer(mode: Mode, receipt: &Receipt) -> Response {
    if receipt.stored {
        let body = serde_json::to_vec(receipt).unwrap_or_default();
        return (
            StatusCode::ACCEPTED,
            [(header::CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response();
    }
    let of = |status| receipt.results.iter().filter(move |r| r.status == status);
    let rejected = of(ResultStatus::Rejected).count();
    let first = of(ResultStatus::Rejected)
        .chain(of(ResultStatus::Conflict))
        .find_map(|r| r.error.as_ref().map(|error| (r.index, error)));
    let detail = first.map_or_else(String::new, |(index, error)| {
        let pointer = if error.pointer.is_empty() {
            "as a whole"
        } else {
            &error.pointer
        };
        format!(
            "Nothing of this request was stored. Event {index}, {pointer}: {}",
            error.detail
        )
    });
    let single = matches!(mode, Mode::Structured | Mode::Binary);
    let large = single && first.is_some_and(|(_, e)| e.code == ErrorCode::TooLarge.as_str());
    let syntax = first.is_some_and(|(_, e)| e.syntax);
    let (status, name, title) = if large {
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The event is too large",
        )
    } else if syntax {
        (
            StatusCode::BAD_REQUEST,
            "malformed-event",
            "An event cannot be read",
        )
    } else if rejected > 0 {
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-event",
            "An event is not acceptable",
        )
    } else {
        (
            StatusCode::CONFLICT,
            "event-conflict",
            "An event of the same source and id is there with another content",
        )
    };
    let results = serde_json::to_value(&receipt.results).unwrap_or_default();
    problem(status, name, title, detail)
        .with("accepted", 0)
        .with("duplicates", receipt.duplicates)
        .with("results", results)
        .into_response()
}
