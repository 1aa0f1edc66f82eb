//! The endpoint: modes, keys, tenants, quotas, answers.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{TestLog, app_on, logs, tenant};

pub(crate) const ONE: &str = "application/cloudevents+json";
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

pub(crate) async fn send(
    app: &Router,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::post("/api/events");
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", "Bearer one");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app
        .clone()
        .oneshot(request.body(body.into()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&bytes)));
    (parts.status, parts.headers, value)
}

pub(crate) fn one(id: &str, more: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"com.example.t"{more}}}"#)
}

async fn app() -> (TestLog, Router) {
    let test = logs().await.remove(0);
    let app = app_on(test.log.clone());
    (test, app)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_content_mode_is_accepted_on_every_log() {
    for test in logs().await {
        let app = app_on(test.log.clone());
        let (status, headers, body) = send(&app, &[("content-type", ONE)], one("1", "")).await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(
            body,
            json!({"accepted": 1, "duplicates": 0, "results": [
                {"index": 0, "id": "1", "status": "accepted", "offset": 0}]})
        );
        let binary = [
            ("ce-specversion", "1.0"),
            ("ce-id", "2"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
            ("content-type", "application/json"),
        ];
        assert_eq!(send(&app, &binary, r#"{"n": 1}"#).await.0, 202);
        let batch = format!("[{},{}]", one("1", ""), one("3", ""));
        let (_, _, body) = send(&app, &[("content-type", BATCH)], batch.clone()).await;
        assert_eq!(
            body["results"][0],
            json!({"index": 0, "id": "1", "status": "duplicate", "offset": 0})
        );
        assert_eq!(
            (&body["accepted"], &body["duplicates"]),
            (&json!(1), &json!(1))
        );
        let lines = [
            ("content-type", "application/x-ndjson"),
            ("content-encoding", "gzip"),
        ];
        let body = gzip(format!("{}\n{}\n", one("4", ""), one("5", "")).as_bytes());
        assert_eq!(send(&app, &lines, body).await.2["accepted"], 2);
        let packed = zstd::bulk::compress(batch.as_bytes(), 3).unwrap();
        let zstd = [("content-type", BATCH), ("content-encoding", "zstd")];
        assert_eq!(
            send(&app, &zstd, packed).await.2["duplicates"],
            2,
            "{}",
            test.name
        );
        let (status, _, body) = send(&app, &[("content-type", BATCH)], "[]").await;
        assert_eq!((status.as_u16(), &body["accepted"]), (202, &json!(0)));
        assert_eq!(test.log.head().await.unwrap(), 5);
    }
}

#[tokio::test]
async fn a_conflict_names_both_digests_and_stores_nothing() {
    let (test, app) = app().await;
    let header = [("content-type", BATCH)];
    send(&app, &header, format!("[{}]", one("1", r#","data":1"#))).await;
    let batch = format!("[{},{}]", one("2", ""), one("1", r#","data":2"#));
    let (status, headers, body) = send(&app, &header, batch).await;
    assert_eq!(status, 409);
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(body["type"], "urn:sealwright:problem:event-conflict");
    assert_eq!(body["results"][0]["status"], "not_stored");
    let conflict = &body["results"][1];
    assert_eq!(
        (&conflict["status"], &conflict["offset"]),
        (&json!("conflict"), &json!(0))
    );
    let (stored, sent) = (
        &conflict["error"]["stored_digest"],
        &conflict["error"]["sent_digest"],
    );
    assert_eq!(stored.as_str().unwrap().len(), 64);
    assert_ne!(stored, sent);
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains(sent.as_str().unwrap())
    );
    assert_eq!(test.log.head().await.unwrap(), 1);
    // The other tenant's event of the same id is another event.
    let two = [("content-type", ONE), ("authorization", "Bearer two")];
    assert_eq!(send(&app, &two, one("1", r#","data":2"#)).await.0, 202);
}

#[tokio::test]
async fn keys_decide_whose_event_it_is() {
    let (test, app) = app().await;
    let with = |key: &'static str| [("content-type", ONE), ("authorization", key)];
    let (status, headers, body) = send(&app, &with("Bearer revoked"), one("1", "")).await;
    assert_eq!((status.as_u16(), &body["status"]), (401, &json!(401)));
    assert_eq!(headers["www-authenticate"], "Bearer");
    assert_eq!(send(&app, &with("Bearer read"), one("1", "")).await.0, 403);
    let acme = || one("1", r#","tenant":"acme""#);
    assert_eq!(send(&app, &with("Bearer one"), acme()).await.0, 202);
    // Another tenant and one that is not there look the same.
    let mut details = Vec::new();
    for name in ["umbrella", "nobody"] {
        let text = one("2", &format!(r#","tenant":"{name}""#));
        let (status, _, body) = send(&app, &with("Bearer one"), text).await;
        assert_eq!(status, 422);
        assert_eq!(body["results"][0]["error"]["code"], "unknown-tenant");
        assert_eq!(body["results"][0]["error"]["pointer"], "/tenant");
        details.push(body["detail"].clone());
    }
    assert_eq!(details[0], details[1]);
    let all = with("Bearer all");
    assert_eq!(
        send(&app, &all, one("3", "")).await.2["results"][0]["error"]["code"],
        "missing-tenant"
    );
    assert_eq!(
        send(&app, &all, one("3", r#","tenant":"nobody""#)).await.0,
        422
    );
    assert_eq!(
        send(&app, &all, one("3", r#","tenant":"umbrella""#))
            .await
            .0,
        202
    );
    let by_id = one("4", &format!(r#","tenant":"{}""#, tenant(2)));
    assert_eq!(send(&app, &all, by_id).await.0, 202);
    let events = test.log.read(0, Default::default()).await.unwrap();
    let tenants: Vec<_> = events.iter().map(|e| e.tenant).collect();
    assert_eq!(tenants, [tenant(1), tenant(2), tenant(2)]);
}

#[tokio::test]
async fn quotas_are_shown_and_kept() {
    let (test, app) = app().await;
    let header = [("content-type", BATCH), ("authorization", "Bearer two")];
    let two = format!("[{},{}]", one("1", ""), one("2", ""));
    let (status, headers, _) = send(&app, &header, two.clone()).await;
    assert_eq!(status, 202);
    assert_eq!(headers["ratelimit-policy"], "\"events\";q=3;w=60");
    assert_eq!(headers["ratelimit"], "\"events\";r=1;t=17");
    let (status, headers, body) = send(&app, &header, two).await;
    assert_eq!(status, 429);
    assert_eq!(headers["retry-after"], "17");
    assert_eq!(headers["ratelimit"], "\"events\";r=1;t=17");
    assert_eq!(body["type"], "urn:sealwright:problem:quota-exceeded");
    assert_eq!(test.log.head().await.unwrap(), 2);
}

#[tokio::test]
async fn the_description_names_the_path_and_every_answer() {
    let test = logs().await.remove(0);
    let intake = sealwright_intake::Intake::start(
        test.log.clone(),
        vec![],
        std::sync::Arc::new(sealwright_core::SystemClock),
        Default::default(),
    );
    let api = sealwright_intake::api::IntakeApi {
        intake,
        authenticate: std::sync::Arc::new(crate::support::Keys),
        tenants: std::sync::Arc::new(crate::support::Tenants),
        quotas: std::sync::Arc::new(sealwright_intake::NoQuotas),
    };
    let (_, description) = sealwright_intake::api::openapi_router(api).split_for_parts();
    let value = serde_json::to_value(description).unwrap();
    let post = &value["paths"]["/api/events"]["post"];
    for status in [202, 400, 401, 403, 409, 413, 415, 422, 429, 503] {
        assert!(
            post["responses"][status.to_string()].is_object(),
            "{status}"
        );
    }
}
