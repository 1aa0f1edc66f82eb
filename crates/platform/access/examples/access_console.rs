//! The pages of access with something on them, on `localhost`, where browsers allow passkeys without TLS:
//!
//! ```text
//! cargo run -p sealwright-access --example access_console -- 8096
//! node tests/browser/passkeys.mjs --link LINK --out DIR
//! ```
//!
//! It prints the link of the first owner.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use sealwright_access::{
    AccessPolicy, AccessService, COMPONENT, Policies, Unrecorded, http, pages,
};
use sealwright_core::SystemClock;
use sealwright_web::commands::Commands;
use sealwright_web::{Chrome, Fragment, Group, Nav, NavItem, PageUrl};

const OWN: &[u8] = b"@id(\"erasure-by-people\")
@reason(\"erasing is decided by two people\")
forbid (principal is Key, action == Action::\"lake:erase\", resource);
";

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8096".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let store = sealwright_store::testing::sqlite().await;
    let store = store.migrated(&[COMPONENT]).await;
    let access = AccessService::new(
        store.store.clone(),
        Arc::new(SystemClock),
        Arc::new(Unrecorded),
        AccessPolicy::default(),
    )
    .with_passkeys(&base)
    .with_policies(Policies::from_texts([("policies/own.cedar", OWN)]).unwrap());
    access.load().await.unwrap();
    let token = access.first_link().await.unwrap().unwrap();
    let nav = Nav::new()
        .item(NavItem::new(Group::Top, "Today", "/console"))
        .item(NavItem::new(Group::Customers, "Access", "/console/access"));
    let app = pages::router(access.clone(), Arc::new(nav.clone()))
        .route(
            "/console",
            get(|| async { Redirect::to("/console/access") }),
        )
        .route(
            sealwright_web::commands::PATH,
            get(move |url: PageUrl| async move {
                let chrome = Chrome::new(url, nav);
                Fragment::new(&Commands::new(&chrome, &[]))
            }),
        )
        .layer(from_fn_with_state(access, http::authenticate))
        .merge(sealwright_web::assets::router())
        .merge(sealwright_web::theme::router());
    let policy = sealwright_web::headers::Policy { tls: false };
    let app: Router = sealwright_web::headers::secure(app, policy);
    println!("{base}/welcome/{token}");
    axum::serve(listener, app).await.unwrap();
}
