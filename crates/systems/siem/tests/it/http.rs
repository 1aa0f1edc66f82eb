//! The pages and the HTTP interface over an installation with alerts.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use sealwright_access::http::SessionInfo;
use sealwright_access::{Principal, PrincipalKind, Role, Session, SessionId, UserId};
use sealwright_core::{TenantScope, UnixMicros};
use sealwright_siem::pages::SiemPages;
use sealwright_web::Nav;
use tower::ServiceExt as _;

use crate::support::{World, event, failure, key_made, worlds};

fn owner(tenants: TenantScope) -> Principal {
    Principal {
        kind: PrincipalKind::User,
        id: "usr_test".to_owned(),
        name: "Ada".to_owned(),
        roles: vec![Role::Owner],
        tenants,
        scopes: None,
        policies: Default::default(),
    }
}

fn router(world: &World) -> Router {
    let pages = Arc::new(SiemPages {
        siem: world.siem.clone(),
        chrome: Arc::new(Nav::new()),
    });
    let (api, _) = sealwright_siem::api::router()
        .with_state(world.siem.clone())
        .split_for_parts();
    pages.router().merge(api)
}

async fn call(
    world: &World,
    by: Principal,
    request: Request<Body>,
) -> (StatusCode, String, String) {
    let mut request = request;
    let now = UnixMicros(0);
    request.extensions_mut().insert(by);
    request.extensions_mut().insert(SessionInfo {
        session: Session {
            id: SessionId::new(now),
            user_id: UserId::new(now),
            address: "127.0.0.1".to_owned(),
            agent: "test".to_owned(),
            created_at: now,
            seen_at: now,
            expires_at: now,
        },
        csrf: "token".to_owned(),
    });
    let response = router(world).oneshot(request).await.unwrap();
    let status = response.status();
    let tag = response
        .headers()
        .get(header::ETAG)
        .map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), 1 << 23)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap(), tag)
}

async fn get(world: &World, by: Principal, path: &str) -> (StatusCode, String, String) {
    call(world, by, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn seeded() -> (sealwright_store::testing::TestStore, World) {
    let (store, world) = worlds().await.remove(0);
    for second in 0..5 {
        let user = format!("user-{second}");
        world.log.push(event(
            world.tenant,
            "idp",
            second,
            second,
            &failure(&user, "192.0.2.7"),
        ));
    }
    world
        .log
        .push(event(world.tenant, "idp", 6, 6, &key_made("<script>")));
    world.consume(100).await;
    world.settle(2_000).await;
    (store, world)
}

#[tokio::test]
async fn every_page_answers() {
    let (_store, world) = seeded().await;
    let alerts = world.alerts(world.tenant).await;
    let scope = TenantScope::One(world.tenant);
    let incident = world
        .siem
        .incidents
        .list(scope, None, None, 1)
        .await
        .unwrap()[0]
        .id;
    let mut paths: Vec<String> = [
        "/console/siem",
        "/console/siem/alerts",
        "/console/siem/alerts?state=open&severity=high&entity=address:192.0.2.7",
        "/console/siem/alerts?format=csv",
        "/console/siem/incidents",
        "/console/siem/hunt?range=7d",
        "/console/siem/hunt?q=user.name:",
        "/console/siem/rules",
        "/console/siem/rules/aaaaaaaa-0000-4000-8000-000000000002",
        "/console/siem/sources",
        "/console/siem/suppressions",
        "/api/siem/alerts",
        "/api/siem/incidents",
        "/api/siem/suppressions",
        "/api/siem/rules",
        "/api/siem/sources",
        "/api/siem/late",
        "/api/siem/dead-letters",
        "/api/siem/actions",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.push(format!("/console/siem/incidents/{incident}"));
    paths.push(format!("/api/siem/incidents/{incident}"));
    for alert in &alerts {
        paths.push(format!("/console/siem/alerts/{}", alert.id));
        paths.push(format!("/api/siem/alerts/{}", alert.id));
        paths.push(format!("/api/siem/alerts/{}/ocsf", alert.id));
    }
    for path in &paths {
        let (status, body, _) = get(&world, owner(TenantScope::All), path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        let page = path.starts_with("/console") && !path.contains("format=");
        assert!(
            !(page && body.contains("<script>")),
            "{path}: text became markup"
        );
    }
    let (_, page, _) = get(
        &world,
        owner(TenantScope::All),
        &format!("/console/siem/alerts/{}", alerts[0].id),
    )
    .await;
    assert!(
        page.contains("What matched") && page.contains("Proof"),
        "{page}"
    );
}

#[tokio::test]
async fn another_tenants_ids_do_not_exist() {
    let (_store, world) = seeded().await;
    let alert = world.alerts(world.tenant).await[0].clone();
    let stranger = owner(TenantScope::One(world.other));
    for path in [
        format!("/console/siem/alerts/{}", alert.id),
        format!("/api/siem/alerts/{}", alert.id),
        format!("/api/siem/alerts/{}/ocsf", alert.id),
        format!(
            "/api/siem/incidents/{}",
            alert.incident.map(|id| id.to_string()).unwrap_or_default()
        ),
    ] {
        let (status, ..) = get(&world, stranger.clone(), &path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let (status, body, _) = get(&world, stranger.clone(), "/api/siem/alerts").await;
    assert_eq!((status, body.contains("alr_")), (StatusCode::OK, false));
    let close = Request::post(format!("/api/siem/alerts/{}/close", alert.id))
        .body(Body::from(r#"{"verdict":"true-positive"}"#))
        .unwrap();
    assert_eq!(call(&world, stranger, close).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_change_on_what_was_not_read_is_refused() {
    let (_store, world) = seeded().await;
    let alert = world.alerts(world.tenant).await[0].clone();
    let path = format!("/api/siem/alerts/{}", alert.id);
    let (_, _, tag) = get(&world, owner(TenantScope::All), &path).await;
    let change = |step: &str, body: &'static str| {
        Request::post(format!("{path}/{step}"))
            .header(header::IF_MATCH, tag.clone())
            .body(Body::from(body))
            .unwrap()
    };
    let first = call(&world, owner(TenantScope::All), change("acknowledge", "")).await;
    assert_eq!(first.0, StatusCode::OK, "{}", first.1);
    let second = call(
        &world,
        owner(TenantScope::All),
        change("notes", r#"{"note":"x"}"#),
    )
    .await;
    assert_eq!(second.0, StatusCode::PRECONDITION_FAILED, "{}", second.1);
    let wrong = call(
        &world,
        owner(TenantScope::All),
        change("close", r#"{"verdict":"maybe"}"#),
    )
    .await;
    assert_eq!(wrong.0, StatusCode::BAD_REQUEST, "{}", wrong.1);
}
