//! The example gateway in front of an upstream, against the real check.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use sealwright_access::recent::RecentKeys;
use sealwright_access::{NewKey, Principal, recent};
use sealwright_billing::api::{BillingApi, check_router};
use sealwright_billing::model::budget::{BudgetTerms, Measure};
use sealwright_core::Clock as _;
use sealwright_store::testing::sqlite;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::office::Office;

struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn listen(router: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

/// Status and body of a request.
async fn send(port: u16, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (status, body.to_owned())
}

async fn ask(port: u16, tenant: &str) -> (u16, String) {
    let text = format!(
        "GET /hello HTTP/1.1\r\nhost: x\r\nx-tenant: {tenant}\r\nconnection: close\r\n\r\n"
    );
    send(port, &text).await
}

fn start(url: &str, key: &str, upstream: u16, unreachable: &str) -> Option<(Gateway, u16)> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../examples/gateway/gateway.py"
    );
    let child = Command::new("python3")
        .args([
            script,
            "--upstream",
            &format!("http://127.0.0.1:{upstream}"),
        ])
        .args(["--listen", "127.0.0.1:0", "--when-unreachable", unreachable])
        .env("SEALWRIGHT_URL", url)
        .env("SEALWRIGHT_KEY", key)
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: the gateway example (no python3)");
        return None;
    };
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    let gateway = Gateway(child);
    BufReader::new(out).read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    Some((gateway, port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_runs_into_its_budget() {
    let office = Office::open(sqlite().await, "2026-11-15T12:00:00Z").await;
    let terms = BudgetTerms::new(Measure::Meter("database.queries".into()), "1000", None);
    let set = office.budgets.set(office.acme, terms, None, "user:o");
    set.await.unwrap();
    office.watch().round(true).await.unwrap();
    let new = NewKey {
        tenant: None,
        name: None,
        scopes: vec!["billing:read".to_owned()],
        expires_at: None,
    };
    let made = office
        .access
        .create_key(&Principal::local(), new)
        .await
        .unwrap();
    let key = made.key.unwrap();
    let api = BillingApi {
        usage: office.usage.clone(),
        books: office.books.clone(),
        invoices: office.invoices.clone(),
        budgets: office.budgets.clone(),
        anomalies: office.anomalies.clone(),
        directory: office.access.directory().clone(),
        clock: std::sync::Arc::new(office.clock.clone()),
    };
    let (router, _) = check_router().with_state(api).split_for_parts();
    let recent_keys = RecentKeys::new(office.access.clone());
    let router = router.layer(from_fn_with_state(recent_keys, recent::authenticate));
    let port = listen(router).await;
    let upstream = listen(Router::new().route("/hello", get(|| async { "hello" }))).await;
    let url = format!("http://127.0.0.1:{port}");
    let Some((_gateway, gate)) = start(&url, &key, upstream, "stop") else {
        return;
    };
    assert_eq!(ask(gate, "acme").await, (200, "hello".to_owned()));
    assert_eq!(ask(gate, "hooli").await.0, 200);
    assert_eq!(ask(gate, "nobody").await.0, 402);
    assert_eq!(ask(gate, "../x").await.0, 400);

    let now = office.clock.now();
    for (more, status) in [(960, 429), (80, 429), (10, 402)] {
        office.queries(office.acme, now, more);
        office.meter().await;
        office.watch().round(false).await.unwrap();
        let (got, body) = ask(gate, "acme").await;
        assert_eq!(got, status, "{body}");
        assert!(body.contains("of 1000 query used"), "{body}");
    }
    assert_eq!(ask(gate, "hooli").await.0, 200);

    // Requests without a key, with another body, for another tenant.
    let head = |path: &str, key: &str, body: &str| {
        format!(
            "POST /api/billing/budgets/{path}/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(send(port, &head("acme", "swk_x", "")).await.0, 401);
    assert_eq!(send(port, &head("nobody", &key, "")).await.0, 404);
    assert_eq!(
        send(port, &head("acme", &key, "{\"amount\":\"NaN\"}"))
            .await
            .0,
        400
    );
    assert_eq!(
        send(port, &head("acme", &key, "{\"amount\":\"-1\"}"))
            .await
            .0,
        400
    );
    assert_eq!(
        send(port, &head("acme", &key, "{\"amuont\":\"1\"}"))
            .await
            .0,
        400
    );
    let (status, body) = send(
        port,
        &head(
            "acme",
            &key,
            "{\"quantities\":{\"database.queries\":\"5\"}}",
        ),
    )
    .await;
    assert_eq!(status, 200);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["decision"], "stop");
    assert_eq!(
        (&body["used"], &body["headroom"]),
        (&"1050".into(), &"0".into())
    );
    assert!(body["as_of"].is_string() && body["known"] == true);

    // A key of another tenant does not see this one.
    let new = NewKey {
        tenant: Some("hooli".to_owned()),
        name: None,
        scopes: vec!["billing:read".to_owned()],
        expires_at: None,
    };
    let theirs = office
        .access
        .create_key(&Principal::local(), new)
        .await
        .unwrap();
    let theirs = theirs.key.unwrap();
    assert_eq!(send(port, &head("acme", &theirs, "")).await.0, 404);
    assert_eq!(send(port, &head("hooli", &theirs, "")).await.0, 200);

    // Where nothing answers, the gateway's own policy decides.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://127.0.0.1:{}", dead.local_addr().unwrap().port());
    drop(dead);
    for (policy, status) in [("stop", 402), ("allow", 200)] {
        let Some((_gateway, gate)) = start(&nowhere, &key, upstream, policy) else {
            return;
        };
        assert_eq!(ask(gate, "acme").await.0, status, "{policy}");
    }
}
