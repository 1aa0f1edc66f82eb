//! Budgets and anomalies over HTTP: who may, what is refused, what another tenant sees.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use sealwright_access::{Principal, PrincipalKind, Role};
use sealwright_billing::api::{BillingApi, router};
use sealwright_core::TenantScope;
use sealwright_core::clock::{DAY, HOUR};
use sealwright_store::testing::sqlite;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::office::{Office, at};

const NOW: &str = "2026-11-15T12:20:00Z";

fn api(office: &Office, role: Role, tenants: TenantScope) -> Router {
    let state = BillingApi {
        usage: office.usage.clone(),
        books: office.books.clone(),
        invoices: office.invoices.clone(),
        budgets: office.budgets.clone(),
        anomalies: office.anomalies.clone(),
        directory: office.access.directory().clone(),
        clock: std::sync::Arc::new(office.clock.clone()),
    };
    let by = Principal {
        kind: PrincipalKind::User,
        id: "usr_test".to_owned(),
        name: "t@example.com".to_owned(),
        roles: vec![role],
        tenants,
        scopes: None,
        policies: Default::default(),
    };
    let (router, _) = router().with_state(state).split_for_parts();
    router.layer(Extension(by))
}

async fn send(
    router: &Router,
    method: &str,
    path: &str,
    tag: Option<&str>,
    body: &str,
) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 22)
        .await
        .unwrap();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

#[tokio::test]
async fn budgets_are_set_read_and_removed_by_those_who_may() {
    let office = Office::open(sqlite().await, NOW).await;
    let owner = api(&office, Role::Owner, TenantScope::All);
    let path = "/api/billing/budgets/acme";
    let terms = json!({ "measure": "meter:database.queries", "limit": "1000" }).to_string();
    let (status, set) = send(&owner, "PUT", path, Some("\"0\""), &terms).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    assert_eq!(set["terms"]["alerts"], json!([80, 90, 100]));
    assert_eq!(
        (&set["terms"]["throttle"], &set["terms"]["stop"]),
        (&json!(95), &json!(105))
    );
    let stale = send(&owner, "PUT", path, Some("\"0\""), &terms).await;
    assert_eq!(stale.0, StatusCode::PRECONDITION_FAILED);
    for (body, status) in [
        ("{", StatusCode::BAD_REQUEST),
        (
            r#"{"measure":"money","limit":"1"}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            r#"{"measure":"amount","limit":"1"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            r#"{"measure":"amount","limit":"NaN","currency":"USD"}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            r#"{"measure":"amount","limit":"1","currency":"USD","colour":1}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            r#"{"measure":"meter:no.meter","limit":"1"}"#,
            StatusCode::NOT_FOUND,
        ),
    ] {
        let (got, answer) = send(&owner, "PUT", path, None, body).await;
        assert_eq!(got, status, "{body}: {answer}");
    }
    office.queries(office.acme, at(NOW).plus(-HOUR), 910);
    office.meter().await;
    let (status, whole) = send(&owner, "GET", path, None, "").await;
    assert_eq!(status, StatusCode::OK);
    let budget = &whole["budgets"][0];
    assert_eq!(
        (&budget["used"], &budget["headroom"]),
        (&json!("910"), &json!("90"))
    );
    assert_eq!(budget["projection"], Value::Null);
    assert!(
        budget["projection_unknown"]
            .as_str()
            .unwrap()
            .contains("7 days")
    );
    assert_eq!(whole["crossings"].as_array().unwrap().len(), 2);

    let member = api(&office, Role::Member, TenantScope::One(office.acme));
    assert_eq!(send(&member, "GET", path, None, "").await.0, StatusCode::OK);
    assert_eq!(
        send(&member, "PUT", path, None, &terms).await.0,
        StatusCode::FORBIDDEN
    );
    let other = api(&office, Role::Owner, TenantScope::One(office.hooli));
    let one = format!("{path}/meter:database.queries");
    for (method, path, body) in [
        ("GET", path, ""),
        ("PUT", path, terms.as_str()),
        ("DELETE", one.as_str(), ""),
        ("GET", "/api/billing/anomaly-settings/acme", ""),
        ("PUT", "/api/billing/anomaly-settings/acme", "{}"),
        ("GET", "/api/billing/anomalies?tenant=acme", ""),
        (
            "POST",
            "/api/billing/anomalies/evaluate",
            r#"{"tenant":"acme"}"#,
        ),
    ] {
        let (got, _) = send(&other, method, path, None, body).await;
        assert_eq!(got, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let (_, theirs) = send(&other, "GET", "/api/billing/budgets", None, "").await;
    assert_eq!(theirs, json!([]));
    assert_eq!(
        send(&member, "DELETE", &one, None, "").await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        send(&owner, "DELETE", &one, None, "").await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        send(&owner, "DELETE", &one, None, "").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn anomalies_are_listed_shown_and_decided() {
    let office = Office::open(sqlite().await, NOW).await;
    for day in 1..=35 {
        let time = at(NOW).floor_day().plus(9 * HOUR - day * DAY);
        let count = if day == 1 {
            90_000
        } else {
            10_000 + (day * 71).rem_euclid(200)
        };
        office.queries(office.acme, time, count);
    }
    office.meter().await;
    let owner = api(&office, Role::Owner, TenantScope::All);
    let (status, report) = send(&owner, "POST", "/api/billing/anomalies/evaluate", None, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(report["found"].as_u64().unwrap() >= 1, "{report}");
    let path = "/api/billing/anomalies?tenant=acme&state=open&limit=1";
    let (_, page) = send(&owner, "GET", path, None, "").await;
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(page["items"][0]["history"].is_null());
    let one = format!("/api/billing/anomalies/{id}");
    let (_, whole) = send(&owner, "GET", &one, None, "").await;
    assert!(whole["history"].as_array().unwrap().len() >= 30, "{whole}");
    assert_eq!(whole["settings"]["rule"]["warning"], json!(2.5));
    let decided = r#"{"state":"dismissed","note":"a test"}"#;
    assert_eq!(
        send(&owner, "POST", &one, Some("\"7\""), decided).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    let auditor = api(&office, Role::Auditor, TenantScope::All);
    assert_eq!(
        send(&auditor, "POST", &one, None, decided).await.0,
        StatusCode::FORBIDDEN
    );
    let other = api(&office, Role::Owner, TenantScope::One(office.hooli));
    assert_eq!(
        send(&other, "GET", &one, None, "").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        send(&other, "POST", &one, None, decided).await.0,
        StatusCode::NOT_FOUND
    );
    let (status, after) = send(&owner, "POST", &one, None, decided).await;
    assert_eq!(
        (status, &after["state"]),
        (StatusCode::OK, &json!("dismissed"))
    );
    assert_eq!(
        send(&owner, "GET", "/api/billing/anomalies/ano_x", None, "")
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        send(&owner, "GET", "/api/billing/anomalies?cursor=x", None, "")
            .await
            .0,
        StatusCode::BAD_REQUEST
    );

    let settings = "/api/billing/anomaly-settings/acme";
    let bad = r#"{"false_alarms_a_month":0}"#;
    assert_eq!(
        send(&owner, "PUT", settings, None, bad).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let good = r#"{"false_alarms_a_month":0.5}"#;
    assert_eq!(
        send(&owner, "PUT", settings, None, good).await.0,
        StatusCode::OK
    );
    let (_, there) = send(&owner, "GET", settings, None, "").await;
    assert_eq!(there["false_alarms_a_month"], json!(0.5));
    assert_eq!(there["rule"]["window"], json!(30));
}
