#![allow(clippy::unwrap_used, missing_docs)]
//! One process, one subscriber: the whole set-up is one test.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::middleware::from_fn;
use axum::routing::get;
use sealwright_telemetry::{
    LogStyle, METRICS, Metrics, Options, Otlp, TelemetryError, init, request,
};
use tower::ServiceExt as _;

fn app() -> Router {
    Router::new()
        .route("/welcome/{token}", get(|| async { "hello" }))
        .route(
            "/fault",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .layer(from_fn(request))
}

async fn call(path: &str, id: Option<&str>) -> (StatusCode, String) {
    let mut call = Request::builder().uri(path);
    if let Some(id) = id {
        call = call.header("x-request-id", id);
    }
    let response = app()
        .oneshot(call.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    (response.status(), id)
}

#[tokio::test]
async fn requests_have_ids() {
    assert_eq!(call("/welcome/t", Some("abc-1")).await.1, "abc-1");
    for strange in ["a b", "", &"x".repeat(65)] {
        let (_, id) = call("/welcome/t", Some(strange)).await;
        assert_eq!(id.len(), 24, "{id}");
    }
    assert_ne!(
        call("/welcome/t", None).await.1,
        call("/welcome/t", None).await.1
    );
}

#[test]
fn requests_are_counted_by_route_and_never_by_path() {
    let (recorder, handle) = Metrics::recorder().unwrap();
    metrics::with_local_recorder(&recorder, || {
        handle.describe(METRICS);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            call("/welcome/secret-token", None).await;
            call("/welcome/secret-token", None).await;
            call("/fault", None).await;
            call("/no/such/path", None).await;
        });
    });
    let text = handle.render();
    let count = |labels: &str| {
        let start = format!("sealwright_http_request_seconds_count{{{labels}}} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&start))
            .map(str::to_owned)
    };
    let welcome = r#"method="GET",route="/welcome/{token}",status="200""#;
    assert_eq!(count(welcome).as_deref(), Some("2"), "{text}");
    assert_eq!(
        count(r#"method="GET",route="/fault",status="500""#).as_deref(),
        Some("1")
    );
    assert!(!text.contains("secret-token"));
    assert!(
        !text.contains("no/such/path"),
        "labels do not grow with what clients invent"
    );
    assert!(
        text.contains("sealwright_http_requests_in_flight 0"),
        "{text}"
    );
    assert!(
        text.contains("# HELP sealwright_http_request_seconds Requests by method"),
        "{text}"
    );
}

/// A collector that takes one request and says what it got.
fn collector() -> (String, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut got = Vec::new();
        let mut buffer = [0u8; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            got.extend_from_slice(&buffer[..read]);
        }
        use std::io::Write as _;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        got
    });
    (format!("http://{address}"), thread)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_reach_a_collector() {
    let (endpoint, thread) = collector();
    let options = Options {
        filter: "info".to_owned(),
        style: LogStyle::Json,
        otlp: Some(Otlp {
            endpoint,
            sample_per_mille: 1000,
        }),
        version: "0.0.0-test".to_owned(),
    };
    let telemetry = init(&options).unwrap();
    assert!(matches!(init(&options), Err(TelemetryError::Twice)));
    call("/welcome/secret-token", Some("trace-me")).await;
    tokio::task::spawn_blocking(|| telemetry.shutdown())
        .await
        .unwrap();
    let got = tokio::task::spawn_blocking(|| thread.join().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&got);
    assert!(text.starts_with("POST /v1/traces "), "{text}");
    for want in ["GET /welcome/{token}", "trace-me", "0.0.0-test"] {
        assert!(text.contains(want), "{want} in {text}");
    }
    assert!(!text.contains("secret-token"));
}
