//! `POST /v1/logs`: OTLP logs over HTTP (OTLP 1.x, "OTLP/HTTP"), in protobuf or JSON.
//!
//! Each log record becomes an event. What identifies it is its content: an exporter that sends a request
//! again, because it did not see the answer, changes nothing.
// An error here is the answer itself; it is made once a request, and boxing it would only move it.
#![allow(clippy::result_large_err)]

use std::collections::HashMap;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_cloudevents::{Draft, Event, EventError, Limits, segment};
use sealwright_core::{Problem, TenantId, TenantScope, UnixMicros};
use sealwright_ecs::input::otlp::{Record, records};
use sealwright_ecs::input::otlp_proto;
use serde_json::json;

use crate::api::{
    Counted, INLINE_BYTES, IntakeApi, answered, coding, count, damaged, not_appended, off_runtime,
    over_quota, problem, rate_limit_headers, read_body, text, too_large, unsupported, writer,
};
use crate::encoding::Coding;
use crate::intake::Item;
use crate::log::AppendError;
use crate::receipt::{Receipt, ResultStatus};
use crate::record_id::RecordId;
use crate::sender::Sender;

/// The type of the events.
pub(crate) const EVENT_TYPE: &str = "otel.log";
/// Names the tenant of a request whose key is for all tenants.
const TENANT: &str = "x-sealwright-tenant";

/// How a request and its answer are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// Accepts OTLP logs: the answer 200 says that every record that was not rejected is durable.
///
/// The body is an `ExportLogsServiceRequest` in protobuf (`application/x-protobuf`) or JSON; `Content-Encoding`
/// may be gzip or zstd. The key names the tenant; with a key for all tenants the header `x-sealwright-tenant`
/// does. Records that cannot be accepted, for example because of their time, are rejected alone and counted in
/// `partialSuccess`. Sending a request again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/logs",
    tag = "events",
    params(("x-sealwright-tenant" = Option<String>, Header, description = "The tenant, by slug or id, of a key for all tenants")),
    request_body(
        content(("application/x-protobuf"), ("application/json")),
        description = "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
    ),
    responses(
        (status = 200, description = "Every record is durable, except those that `partialSuccess` counts", content_type = "application/json"),
        (status = 400, description = "The body cannot be read", content_type = "application/problem+json"),
        (status = 401, description = "No valid key", content_type = "application/problem+json"),
        (status = 403, description = "The key may not send events", content_type = "application/problem+json"),
        (status = 413, description = "The body or the batch is too large", content_type = "application/problem+json"),
        (status = 415, description = "The content type or coding is not read", content_type = "application/problem+json"),
        (status = 422, description = "The tenant is not named or not known", content_type = "application/problem+json"),
        (status = 429, description = "Over the quota, or too much of the tenant waits; Retry-After says when to send again", content_type = "application/problem+json"),
        (status = 503, description = "The log cannot be written now; nothing was stored", content_type = "application/problem+json"),
    ),
    security(("key" = [])),
)]
pub(crate) async fn post_logs(State(api): State<IntakeApi>, request: Request) -> Response {
    let start = std::time::Instant::now();
    let response = answered(accept(&api, request).await);
    metrics::histogram!("sealwright_intake_otlp_request_seconds", "status" => response.status().as_u16().to_string())
        .record(start.elapsed().as_secs_f64());
    response
}

async fn accept(api: &IntakeApi, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let sender = writer(api, &parts).await?;
    let tenant = tenant(api, &sender, &parts.headers).await?;
    let form = form(&parts.headers)?;
    let options = api.intake.options();
    let coding = coding(&parts.headers)?;
    let body = read_body(&parts.headers, body, options.body_bytes).await?;
    let (most, now) = (options.decompressed_bytes, api.intake.now());
    let small = body.len() <= INLINE_BYTES && coding == Coding::Identity;
    let work = move || read(&body, coding, form, most, now);
    let found = off_runtime(api, &sender, small, work).await?;
    let limit = options.limits.batch_events;
    if found.len() > limit {
        return Err(too_large(format!(
            "the request has {} log records, at most {limit} are accepted; send smaller batches",
            found.len()
        )));
    }
    let mut rejected = Rejected::default();
    let mut items = Vec::with_capacity(found.len());
    let mut seen = HashMap::new();
    for record in &found {
        match made(record, &mut seen, now).event(&options.limits) {
            Ok(event) => items.push(Item::Valid(tenant, event)),
            Err(error) => rejected.add(1, &error.to_string()),
        }
    }
    let quota = match count(api, &items).await? {
        Counted::Within(state) => state,
        Counted::Over(state) => return Ok(over_quota(state)),
    };
    store(api, items, &mut rejected).await?;
    let mut response = answer(form, &rejected);
    if let Some(state) = quota {
        rate_limit_headers(response.headers_mut(), state);
    }
    Ok(response)
}

/// Whose the records are.
async fn tenant(
    api: &IntakeApi,
    sender: &Sender,
    headers: &HeaderMap,
) -> Result<TenantId, Problem> {
    let refuse = |detail: &str| {
        problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown-tenant",
            "The tenant is not named or not known",
            detail,
        )
    };
    let named = text(headers, &HeaderName::from_static(TENANT));
    match (named, sender.scope) {
        (None, TenantScope::One(tenant)) => Ok(tenant),
        (None, TenantScope::All) => Err(refuse(
            "this key is for all tenants: name one in the header x-sealwright-tenant",
        )),
        (Some(name), scope) => api
            .tenants
            .resolve(name)
            .await?
            .filter(|tenant| scope.allows(*tenant))
            .ok_or_else(|| refuse("this key can send for no tenant of this name")),
    }
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Form::Protobuf),
        "application/json" => Ok(Form::Json),
        _ => Err(unsupported(
            "OTLP logs come as application/x-protobuf or application/json",
        )),
    }
}

fn read(
    body: &[u8],
    coding: Coding,
    form: Form,
    most: usize,
    now: UnixMicros,
) -> Result<Vec<Record>, Problem> {
    let decoded = coding.decode(body, most).map_err(|error| damaged(&error))?;
    let json = match form {
        Form::Protobuf => otlp_proto::to_json(&decoded)
            .map_err(|error| Problem::bad_request(error.to_string()))?,
        Form::Json => String::from_utf8(decoded).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::bad_request(format!("byte {at}: not UTF-8"))
        })?,
    };
    records(&json, now.0).map_err(|error| Problem::bad_request(error.to_string()))
}

/// A record with what identifies it.
struct Identified<'r> {
    id: String,
    source: String,
    record: &'r Record,
    time: UnixMicros,
}

impl Identified<'_> {
    fn event(&self, limits: &Limits) -> Result<Event, EventError> {
        let time = self.time.to_string();
        Draft {
            id: &self.id,
            source: &self.source,
            event_type: EVENT_TYPE,
            time: Some(&time),
            data: &self.record.json,
        }
        .event(limits)
    }
}

/// The id is the content's digest and which of several equal records of the request it is. A record that
/// says no time is another one whenever it comes.
fn made<'r>(
    record: &'r Record,
    seen: &mut HashMap<blake3::Hash, u32>,
    now: UnixMicros,
) -> Identified<'r> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(record.service.as_deref().unwrap_or_default().as_bytes());
    hasher.update(&[0]);
    hasher.update(record.json.as_bytes());
    if record.time.is_none() {
        hasher.update(RecordId::new(now).uuid().as_bytes());
    }
    let digest = hasher.finalize();
    let nth = seen.entry(digest).or_insert(0);
    *nth += 1;
    let id = match *nth {
        1 => digest.to_hex().to_string(),
        nth => format!("{}-{nth}", digest.to_hex()),
    };
    let service = record.service.as_deref().filter(|name| !name.is_empty());
    Identified {
        id,
        source: format!("/otlp/{}", segment(service.unwrap_or("unknown_service"))),
        record,
        time: record.time.map_or(now, UnixMicros),
    }
}

/// Records that were not accepted, and why the first of them.
#[derive(Debug, Default)]
struct Rejected {
    count: u64,
    first: String,
}

impl Rejected {
    fn add(&mut self, count: u64, why: &str) {
        if self.count == 0 {
            self.first = why.to_owned();
        }
        self.count += count;
    }
}

/// Appends what is acceptable. The intake takes all or nothing, so what it refuses is left out, and the
/// rest is given again.
async fn store(
    api: &IntakeApi,
    mut items: Vec<Item>,
    rejected: &mut Rejected,
) -> Result<(), Problem> {
    // What a check refuses alone is out after the first round, conflicts after the second.
    for _ in 0..4 {
        if items.is_empty() {
            return Ok(());
        }
        let receipt = api
            .intake
            .accept(items.clone())
            .await
            .map_err(not_appended)?;
        if receipt.stored {
            return Ok(());
        }
        items = left(items, &receipt, rejected);
    }
    Err(not_appended(AppendError::Unavailable(
        "other senders send the same records".to_owned(),
    )))
}

fn left(items: Vec<Item>, receipt: &Receipt, rejected: &mut Rejected) -> Vec<Item> {
    let mut out = Vec::new();
    for (item, result) in items.into_iter().zip(&receipt.results) {
        if matches!(
            result.status,
            ResultStatus::Rejected | ResultStatus::Conflict
        ) {
            let why = result.error.as_ref().map_or("", |error| &error.detail);
            rejected.add(1, why);
        } else {
            out.push(item);
        }
    }
    out
}

/// `ExportLogsServiceResponse`, in the form of the request.
fn answer(form: Form, rejected: &Rejected) -> Response {
    let (kind, body) = match form {
        Form::Json => {
            let body = if rejected.count == 0 {
                json!({})
            } else {
                json!({ "partialSuccess": {
                    "rejectedLogRecords": rejected.count.to_string(),
                    "errorMessage": rejected.first,
                }})
            };
            ("application/json", body.to_string().into_bytes())
        }
        Form::Protobuf => ("application/x-protobuf", partial(rejected)),
    };
    let kind = HeaderValue::from_static(kind);
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// `partial_success = 1 { rejected_log_records = 1, error_message = 2 }`.
fn partial(rejected: &Rejected) -> Vec<u8> {
    if rejected.count == 0 {
        return Vec::new();
    }
    let message: String = rejected.first.chars().take(500).collect();
    let mut inner = vec![1 << 3];
    varint(rejected.count, &mut inner);
    inner.push(2 << 3 | 2);
    varint(message.len() as u64, &mut inner);
    inner.extend(message.as_bytes());
    let mut out = vec![1 << 3 | 2];
    varint(inner.len() as u64, &mut out);
    out.extend(inner);
    out
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(n & 0x7f).unwrap_or_default();
        n >>= 7;
        if n == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}
