//! Policies over HTTP and in the console, on both stores.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::world::{owner, worlds};

fn policy(tenant: Option<&str>, mode: &str) -> Value {
    let mut value =
        json!({ "severity": "critical", "action": "quarantine", "alert": true, "mode": mode });
    if let Some(tenant) = tenant {
        value["tenant"] = tenant.into();
    }
    value
}

#[tokio::test]
async fn a_policy_begins_as_a_dry_run_and_each_change_is_in_the_ledger() {
    for world in worlds().await {
        let set = |body: Value| world.send(owner(), "PUT", "/api/dlp/policies", body);
        let (status, problem) = set(policy(None, "enforce")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let first = policy(None, "dry-run");
        let (status, made) = set(first).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        assert_eq!(made["revision"], 1);
        let (_, changed) = set(policy(None, "enforce")).await;
        assert_eq!(
            (&changed["revision"], &changed["id"]),
            (&2.into(), &made["id"])
        );
        // Who saw the first revision does not change the second.
        let request = Request::put("/api/dlp/policies")
            .header(header::IF_MATCH, "\"1\"")
            .body(Body::from(policy(None, "dry-run").to_string()))
            .unwrap();
        let (status, _) = world.call(owner(), request).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED);
        let path = format!("/api/dlp/policies/{}", made["id"].as_str().unwrap());
        let (status, _) = world.send(owner(), "DELETE", &path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(
            world.recorded().await,
            ["dlp.policy.set", "dlp.policy.set", "dlp.policy.remove"]
        );
    }
}

#[tokio::test]
async fn a_tenant_sees_and_changes_its_own() {
    for world in worlds().await {
        for tenant in [None, Some("acme"), Some("globex")] {
            let body = policy(tenant, "dry-run");
            let (status, _) = world.send(owner(), "PUT", "/api/dlp/policies", body).await;
            assert_eq!(status, StatusCode::OK);
        }
        let (_, text) = world.get(owner(), "/api/dlp/policies").await;
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(all.len(), 3);
        let (_, text) = world.get(world.of_acme(), "/api/dlp/policies").await;
        let mine: Vec<Value> = serde_json::from_str(&text).unwrap();
        let tenants: Vec<_> = mine.iter().map(|one| one["tenant"].as_str()).collect();
        assert_eq!(tenants, [None, Some("acme")]);
        let (status, _) = world
            .get(world.of_acme(), "/api/dlp/policies?tenant=globex")
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let foreign = policy(Some("globex"), "dry-run");
        let (status, _) = world
            .send(world.of_acme(), "PUT", "/api/dlp/policies", foreign)
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        for one in all.iter().filter(|one| one["tenant"] != "acme") {
            let path = format!("/api/dlp/policies/{}", one["id"].as_str().unwrap());
            let (status, _) = world
                .send(world.of_acme(), "DELETE", &path, Value::Null)
                .await;
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
        // Without a tenant it is the caller's own, never the installation's.
        let (_, own) = world
            .send(
                world.of_acme(),
                "PUT",
                "/api/dlp/policies",
                policy(None, "enforce"),
            )
            .await;
        assert_eq!(own["tenant"], "acme");
    }
}

#[tokio::test]
async fn the_pages_show_the_rules_and_set_them() {
    for world in worlds().await {
        let (status, html) = world.get(owner(), "/console/dlp/policies").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("No policy is set."));
        let form = |text: &str| {
            Request::post("/console/dlp/policies/set")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(text.to_owned()))
                .unwrap()
        };
        let good =
            "tenant=acme&bucket=&class=secret&severity=high&action=encrypt&alert=yes&mode=dry-run";
        let (status, _) = world.call(owner(), form(good)).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let bad = good.replace("severity=high", "severity=loud");
        let (status, html) = world.call(owner(), form(&bad)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(html.contains("is no severity"));
        let (status, html) = world.get(owner(), "/console/dlp/detectors?q=iban").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("International bank account number"));
        let (status, _) = world.get(owner(), "/console/dlp/detectors?class=x").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}
