//! Each request: an id, a span, a duration.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::propagation::Extractor;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request, in its extensions and in the answer's `x-request-id`. It is the caller's,
/// where that is 1 to 64 letters, digits, `-`, `_` or `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// One less in flight, also when the client goes away and the handler is dropped.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!("sealwright_http_requests_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("sealwright_http_requests_in_flight").decrement(1.0);
    }
}

/// Axum middleware: `router.layer(axum::middleware::from_fn(request))`, outermost.
pub async fn request(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = given(request.headers()).unwrap_or_else(fresh);
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.name = format!("{method} {route}"),
        method,
        route,
        request_id = id,
        status = tracing::field::Empty,
    );
    let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract(&Headers(request.headers()))
    });
    // Without traces there is nothing to belong to.
    let _ = span.set_parent(parent);
    let in_flight = InFlight::begin();
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(in_flight);
    let status = response.status().as_u16();
    span.record("status", status);
    let seconds = begun.elapsed().as_secs_f64();
    metrics::histogram!(
        "sealwright_http_request_seconds",
        "method" => known_method(&method),
        "route" => route,
        "status" => status.to_string(),
    )
    .record(seconds);
    span.in_scope(|| {
        if status >= 500 {
            tracing::error!(status, seconds, "answered");
        } else {
            tracing::debug!(status, seconds, "answered");
        }
    });
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// Clients may invent methods; labels must not grow with them.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

fn given(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let good = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    good.then(|| text.to_owned())
}

fn fresh() -> String {
    let mut random = [0u8; 12];
    if getrandom::fill(&mut random).is_err() {
        return "unknown".to_owned();
    }
    hex::encode(random)
}
