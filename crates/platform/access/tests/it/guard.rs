//! What is held back of a tenant, and of no other.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use sealwright_access::guard::{self, Held};
use sealwright_access::{AccessError, NewKey, NewTenant, Principal, http};
use sealwright_core::clock::MINUTE;
use sealwright_core::{TenantId, TenantScope};
use tower::ServiceExt as _;

use crate::support::{World, worlds};

const BAD: &str = "198.51.100.7";
const GOOD: &str = "198.51.100.8";

fn app(world: &World) -> Router {
    Router::new()
        .route("/x", get(|_: Principal| async { "seen" }))
        .layer(from_fn_with_state(world.access.clone(), guard::enforce))
        .layer(from_fn_with_state(world.access.clone(), http::authenticate))
}

async fn ask(app: &Router, key: &str, from: &str) -> StatusCode {
    let address = SocketAddr::new(from.parse().unwrap(), 50_000);
    let request = Request::get("/x")
        .header("authorization", format!("Bearer {key}"))
        .extension(ConnectInfo(address))
        .body(Body::empty())
        .unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

async fn tenant(world: &World, slug: &str) -> (TenantId, String) {
    let by = Principal::local();
    let new = NewTenant {
        slug: slug.to_owned(),
        ..NewTenant::default()
    };
    let tenant = world.access.create_tenant(&by, new).await.unwrap();
    (tenant.id, key(world, Some(slug)).await)
}

async fn key(world: &World, tenant: Option<&str>) -> String {
    let new = NewKey {
        tenant: tenant.map(str::to_owned),
        scopes: vec!["*".to_owned()],
        ..NewKey::default()
    };
    let made = world.access.create_key(&Principal::local(), new).await;
    made.unwrap().key.unwrap()
}

fn address(text: &str) -> Held {
    Held::Address(text.parse::<IpAddr>().unwrap())
}

#[tokio::test]
async fn an_address_is_blocked_for_one_tenant_until_it_is_released() {
    for world in worlds().await {
        let app = app(&world);
        let by = Principal::system("siem");
        let (acme, acme_key) = tenant(&world, "acme").await;
        let (_, other_key) = tenant(&world, "other").await;
        let all_key = key(&world, None).await;
        // As a socket that takes both families says it.
        let mapped = format!("::ffff:{BAD}");
        let held = world
            .access
            .hold(&by, "act_1", acme, address(&mapped), "an attack")
            .await
            .unwrap();
        assert_eq!(held.held, address(BAD));
        assert_eq!(ask(&app, &acme_key, BAD).await, 403);
        assert_eq!(ask(&app, &acme_key, &mapped).await, 403);
        assert_eq!(ask(&app, &acme_key, GOOD).await, 200);
        assert_eq!(ask(&app, &other_key, BAD).await, 200, "another tenant");
        assert_eq!(ask(&app, &all_key, BAD).await, 200, "who runs it");
        // Asked for twice is once, and another order holds it, too.
        for id in ["act_1", "act_2"] {
            let again = world.access.hold(&by, id, acme, address(BAD), "again");
            again.await.unwrap();
        }
        assert!(world.access.release(&by, "act_1").await.unwrap());
        assert_eq!(
            ask(&app, &acme_key, BAD).await,
            403,
            "the other order holds"
        );
        assert_eq!(
            world
                .access
                .held(TenantScope::One(acme))
                .await
                .unwrap()
                .len(),
            1
        );
        assert!(world.access.release(&by, "act_2").await.unwrap());
        assert!(!world.access.release(&by, "act_2").await.unwrap());
        assert_eq!(ask(&app, &acme_key, BAD).await, 200);
        let records = world.records().await;
        let of = |name: &str| records.iter().filter(|r| *r == name).count();
        assert_eq!(of("access.guard.hold"), 2);
        assert_eq!(of("access.guard.release"), 2);
    }
}

#[tokio::test]
async fn an_address_of_everybody_is_not_blocked() {
    let world = worlds().await.remove(0);
    let (acme, _) = tenant(&world, "acme").await;
    for text in ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.1"] {
        let by = Principal::system("siem");
        let refused = world
            .access
            .hold(&by, "act_1", acme, address(text), "x")
            .await;
        assert!(
            matches!(refused, Err(AccessError::Invalid { .. })),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_tenant_is_throttled_minute_by_minute_and_others_are_not() {
    for world in worlds().await {
        let app = app(&world);
        let by = Principal::system("siem");
        let (acme, acme_key) = tenant(&world, "acme").await;
        let (_, other_key) = tenant(&world, "other").await;
        for (id, limit) in [("act_1", 5), ("act_2", 3)] {
            let held = Held::PerMinute(limit);
            world.access.hold(&by, id, acme, held, "x").await.unwrap();
        }
        assert_eq!(world.access.held_to(acme), Some(3), "the lowest counts");
        for _ in 0..2 {
            for n in 0..5 {
                let expected = if n < 3 { 200 } else { 429 };
                assert_eq!(ask(&app, &acme_key, GOOD).await, expected, "{n}");
                assert_eq!(ask(&app, &other_key, GOOD).await, 200);
            }
            world.clock.advance(MINUTE);
        }
        world.access.release(&by, "act_2").await.unwrap();
        world.access.release(&by, "act_1").await.unwrap();
        for _ in 0..9 {
            assert_eq!(ask(&app, &acme_key, GOOD).await, 200);
        }
    }
}
