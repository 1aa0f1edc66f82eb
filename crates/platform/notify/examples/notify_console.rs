//! The pages with something on them, for looking at them in a browser without a server:
//!
//! ```text
//! cargo run -p sealwright-notify --example notify_console -- 8097
//! node tests/browser/check.mjs --base http://127.0.0.1:8097 --paths /console/notify/deliveries,… --out DIR
//! ```
//!
//! Whoever asks is an operator. The channels lead to a port of this program that takes everything, refuses
//! everything, or is busy, as their names say.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Router};
use sealwright_access::{Principal, Role, TenantDirectory, Unrecorded};
use sealwright_core::{Clock as _, SystemClock};
use sealwright_notify::pages::{NotifyPages, router};
use sealwright_notify::{
    Backoff, COMPONENT, Deliverer, Egress, EgressOptions, Given, Message, NewChannel, NewRule,
    NewTarget, Notifier, NotifyOptions, NotifyParts, NotifyService, Outbox as _, Phase, Quiet,
    Severity,
};
use sealwright_secret::KeyRing;
use sealwright_web::{Group, Nav, NavItem};

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8097".to_owned());
    let store = sealwright_store::testing::sqlite().await;
    let store = store
        .migrated(&[sealwright_access::COMPONENT, COMPONENT])
        .await;
    let far = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", far.local_addr().unwrap());
    let answers = Router::new()
        .route("/takes", post(|| async { "ok" }))
        .route(
            "/refuses",
            post(|| async { (StatusCode::NOT_FOUND, "no_service") }),
        )
        .route(
            "/busy/v2/enqueue",
            post(|| async { (StatusCode::SERVICE_UNAVAILABLE, "try again later") }),
        );
    tokio::spawn(async move { axum::serve(far, answers).await.unwrap() });
    let clock = Arc::new(SystemClock);
    let service = NotifyService::new(NotifyParts {
        store: store.store.clone(),
        clock: clock.clone(),
        audit: Arc::new(Unrecorded),
        ring: KeyRing::ephemeral().unwrap(),
        egress: Egress::new(EgressOptions {
            section: "notify",
            private: "loopback".parse().unwrap(),
            timeout: Duration::from_secs(5),
            extra_roots: None,
        }),
        directory: TenantDirectory::default(),
        notifier: Notifier::new(clock),
        options: NotifyOptions {
            public_url: format!("http://127.0.0.1:{port}"),
            backoff: Backoff::default(),
            history_days: 90,
        },
    });
    fill(&service, &store, &address).await;
    let by = Principal {
        roles: vec![Role::Operator],
        ..Principal::system("pat@example.com")
    };
    let nav = Nav::new()
        .item(NavItem::new(Group::Top, "Today", "/console"))
        .item(NavItem::new(
            Group::Customers,
            "Notifications",
            "/console/notify",
        ));
    let pages = router(Arc::new(NotifyPages {
        service,
        chrome: Arc::new(nav),
    }));
    let app = pages
        .layer(Extension(by))
        .merge(sealwright_web::assets::router())
        .merge(sealwright_web::theme::router());
    let policy = sealwright_web::headers::Policy { tls: false };
    let app = sealwright_web::headers::secure(app, policy);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    println!("http://127.0.0.1:{port}/console/notify/deliveries");
    axum::serve(listener, app).await.unwrap();
}

async fn fill(service: &NotifyService, store: &sealwright_store::Store, far: &str) {
    let by = Principal::local();
    let now = SystemClock.now().timestamp();
    let quiet = Quiet {
        zone: "UTC".to_owned(),
        from: now.strftime("%H:%M").to_string().parse().unwrap(),
        to: (now + jiff::SignedDuration::from_hours(8))
            .strftime("%H:%M")
            .to_string()
            .parse()
            .unwrap(),
        days: Vec::new(),
        passes: Severity::Critical,
    };
    let slack = |path: &str| NewTarget::Slack {
        webhook_url: Given::new(format!("{far}{path}")),
    };
    let webhook = NewTarget::Webhook {
        url: Given::new(format!("{far}/takes?token=hidden-value")),
        signature: Some(sealwright_notify::Scheme::V1a),
        secret: None,
    };
    let busy = NewTarget::Pagerduty {
        routing_key: Given::new("R0UT1NGKEY"),
        events_url: Some(format!("{far}/busy")),
    };
    let mut channels = Vec::new();
    for (name, target, quiet) in [
        ("takes everything", webhook, None),
        ("refuses everything", slack("/refuses"), None),
        ("is busy", busy, None),
        ("sleeps", slack("/takes"), Some(quiet)),
    ] {
        let new = NewChannel {
            name: name.to_owned(),
            tenant: None,
            target,
            quiet,
            per_minute: Some(600),
        };
        let made = service.create_channel(&by, new).await.unwrap();
        channels.push(made.channel.id.to_string());
    }
    let rule = NewRule {
        name: "errors and worse".to_owned(),
        tenant: None,
        topic: "*".to_owned(),
        severity: Some(Severity::Warning),
        about: None,
        channels,
    };
    service.create_rule(&by, rule).await.unwrap();
    for (severity, title) in [
        (Severity::Warning, "acme is at 80 % of its budget"),
        (Severity::Error, "acme is at 105 % of its budget: stopped"),
        (Severity::Critical, "Impossible travel of zoe@acme.example"),
    ] {
        let mut tx = store.begin().await.unwrap();
        let message = Message::new("billing.budget", severity, title)
            .body("Used 1,050.00 of 1,000.00 USD.\nRaise the budget or wait for the next month.")
            .field("Used", "1,050.00 USD")
            .incident("2026-11", Phase::Trigger)
            .link("/console/billing/tenants/acme");
        service.notifier().enqueue(&mut tx, &message).await.unwrap();
        tx.commit().await.unwrap();
    }
    let deliverer = Deliverer::new(service.clone(), "example");
    for _ in 0..4 {
        deliverer.drain().await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
