//! OTLP logs: both forms, tenants, retries, partial success, bad input.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use sealwright_events::{ReadLimit, StoredEvent};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{NOW, app_on, logs, read_all, tenant};

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

async fn send(
    app: &Router,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::post("/v1/logs");
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", "Bearer one");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).unwrap();
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, bytes.to_vec())
}

fn nanos(seconds: i64) -> String {
    ((NOW.0 + seconds * 1_000_000) * 1_000).to_string()
}

fn record(text: &str, seconds: i64) -> Value {
    json!({"timeUnixNano": nanos(seconds), "severityNumber": 9, "body": {"stringValue": text}})
}

fn request(records: &[Value]) -> String {
    json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop api"}}]},
        "scopeLogs": [{"logRecords": records}],
    }]})
    .to_string()
}

fn data(event: &StoredEvent) -> Value {
    let event: Value = serde_json::from_slice(&event.json).unwrap();
    event["data"].clone()
}

/// A field of protobuf with bytes; short ones.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    assert!(bytes.len() < 128);
    out.extend(bytes);
    out
}

fn binary(text: &str, seconds: i64) -> Vec<u8> {
    let mut record = vec![1 << 3 | 1];
    record.extend(nanos(seconds).parse::<u64>().unwrap().to_le_bytes());
    record.extend(field(5, &field(1, text.as_bytes())));
    field(1, &field(2, &field(2, &record)))
}

#[tokio::test]
async fn records_become_events_in_both_forms() {
    for test in logs().await {
        let app = app_on(test.log.clone());
        let body = request(&[record("one", 0), record("two", 1)]);
        let (status, headers, answer) = send(&app, &[JSON], body.clone()).await;
        assert_eq!(
            (status.as_u16(), &*answer),
            (200, &b"{}"[..]),
            "{}",
            test.name
        );
        assert_eq!(headers["content-type"], "application/json");
        let (status, headers, answer) = send(&app, &[PROTOBUF], binary("three", 2)).await;
        assert_eq!((status.as_u16(), answer.len()), (200, 0));
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let events = read_all(test.log.as_ref(), ReadLimit::default()).await;
        assert_eq!(events.len(), 3);
        assert!(
            events
                .iter()
                .all(|e| e.event_type == "otel.log" && e.tenant == tenant(1))
        );
        assert_eq!(events[0].source, "/otlp/shop%20api");
        assert_eq!(events[2].source, "/otlp/unknown_service");
        assert_eq!(data(&events[0])["message"], "one");
        assert_eq!(data(&events[0])["service.name"], "shop api");
        assert_eq!(events[1].time.since(NOW), 1_000_000);
        assert_eq!(data(&events[2])["message"], "three");
    }
}

#[tokio::test]
async fn a_request_that_is_sent_again_changes_nothing() {
    let test = logs().await.remove(0);
    let app = app_on(test.log.clone());
    // Two that are equal are two, in each of the attempts.
    let body = request(&[record("same", 0), record("same", 0), record("other", 0)]);
    for _ in 0..3 {
        assert_eq!(send(&app, &[JSON], body.clone()).await.0, 200);
    }
    let count = || async {
        read_all(test.log.as_ref(), ReadLimit::default())
            .await
            .len()
    };
    assert_eq!(count().await, 3);
    // What says no time cannot be known again: each is a new one.
    let untimed = request(&[json!({"body": {"stringValue": "same"}})]);
    for _ in 0..2 {
        assert_eq!(send(&app, &[JSON], untimed.clone()).await.0, 200);
    }
    assert_eq!(count().await, 5);
}

#[tokio::test]
async fn records_that_cannot_be_accepted_are_rejected_alone() {
    let test = logs().await.remove(0);
    let app = app_on(test.log.clone());
    let records = [
        record("good", 0),
        record("from the future", 86_400),
        record("too old", -86_400 * 400),
        // Two members of one name are no event.
        json!({"timeUnixNano": nanos(0), "body": {"stringValue": "{\"a\":1,\"a\":2}"}}),
        record("good, too", 1),
    ];
    let (status, _, answer) = send(&app, &[JSON], request(&records)).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        answer["partialSuccess"]["rejectedLogRecords"], "3",
        "{answer}"
    );
    assert_ne!(answer["partialSuccess"]["errorMessage"], "");
    let events = read_all(test.log.as_ref(), ReadLimit::default()).await;
    let texts: Vec<Value> = events.iter().map(|e| data(e)["message"].clone()).collect();
    assert_eq!(texts, ["good", "good, too"]);
    let (status, _, answer) = send(&app, &[PROTOBUF], binary("future", 86_400)).await;
    assert_eq!(status, 200);
    assert_eq!(answer[..1], [1 << 3 | 2]);
    assert_eq!(answer[2..4], [1 << 3, 1], "one was rejected");
}

#[tokio::test]
async fn the_key_decides_the_tenant_and_the_header_names_it_for_keys_of_all() {
    let test = logs().await.remove(0);
    let app = app_on(test.log.clone());
    let body = || request(&[record("x", 0)]);
    for (headers, expected) in [
        (vec![JSON, ("authorization", "Bearer nobody")], 401),
        (vec![JSON, ("authorization", "Bearer read")], 403),
        (vec![JSON, ("authorization", "Bearer all")], 422),
        (
            vec![
                JSON,
                ("authorization", "Bearer all"),
                ("x-sealwright-tenant", "nowhere"),
            ],
            422,
        ),
        (vec![JSON, ("x-sealwright-tenant", "umbrella")], 422),
        (vec![("content-type", "text/plain")], 415),
        (vec![JSON, ("content-encoding", "br")], 415),
    ] {
        let (status, headers_back, _) = send(&app, &headers, body()).await;
        assert_eq!(status.as_u16(), expected, "{headers:?}");
        assert_eq!(headers_back["content-type"], "application/problem+json");
    }
    let all = [
        JSON,
        ("authorization", "Bearer all"),
        ("x-sealwright-tenant", "umbrella"),
    ];
    assert_eq!(send(&app, &all, body()).await.0, 200);
    let events = read_all(test.log.as_ref(), ReadLimit::default()).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].tenant, tenant(2));
}

#[tokio::test]
async fn bad_bodies_are_refused_with_their_place_and_store_nothing() {
    let test = logs().await.remove(0);
    let app = app_on(test.log.clone());
    let deep = format!("{}{}", "{\"resourceLogs\":[".repeat(500), "]}".repeat(500));
    let many = request(&vec![json!({}); 10_001]);
    for (kind, body, status, words) in [
        (JSON, b"{".to_vec(), 400, "line 1"),
        (JSON, b"\xff\xfe".to_vec(), 400, "not UTF-8"),
        (JSON, deep.into_bytes(), 400, "nested"),
        (JSON, b"[]".to_vec(), 400, "object"),
        (JSON, many.into_bytes(), 413, "10001"),
        (
            PROTOBUF,
            b"\x0a\xff\xff\xff\xff\x0f".to_vec(),
            400,
            "byte 6",
        ),
        (PROTOBUF, vec![0xff; 64], 400, "byte 10"),
        (PROTOBUF, binary("x", 0)[..19].to_vec(), 400, "byte"),
    ] {
        let (found, _, answer) = send(&app, &[kind], body).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(found.as_u16(), status, "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
    let bomb = zstd::encode_all(std::io::repeat(b' ').take(80 << 20), 3).unwrap();
    let (status, _, _) = send(&app, &[JSON, ("content-encoding", "zstd")], bomb).await;
    assert_eq!(status, 413);
    assert!(
        read_all(test.log.as_ref(), ReadLimit::default())
            .await
            .is_empty()
    );
    // Nothing at all is a request without records.
    assert_eq!(send(&app, &[PROTOBUF], Vec::new()).await.0, 200);
}

use std::io::Read as _;
