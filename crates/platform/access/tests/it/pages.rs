use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::middleware::from_fn_with_state;
use sealwright_access::{Principal, http, pages};
use sealwright_web::Nav;
use tower::ServiceExt as _;

use crate::support::{PASSWORD, World, worlds};

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) to: String,
    pub(crate) cookie: String,
    pub(crate) body: String,
}

pub(crate) struct Browser {
    app: Router,
    cookie: String,
}

impl Browser {
    pub(crate) fn new(world: &World) -> Self {
        let app = pages::router(world.access.clone(), Arc::new(Nav::new()))
            .layer(from_fn_with_state(world.access.clone(), http::authenticate));
        Self {
            app,
            cookie: String::new(),
        }
    }

    pub(crate) async fn go(&mut self, method: &str, path: &str, form: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, &self.cookie)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let text = |name| {
            let value = response.headers().get(name);
            value.map_or(String::new(), |v: &header::HeaderValue| {
                v.to_str().unwrap().to_owned()
            })
        };
        let (status, to, cookie) = (
            response.status(),
            text(header::LOCATION),
            text(header::SET_COOKIE),
        );
        if cookie.starts_with("sealwright_session") {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        Answer {
            status,
            to,
            cookie,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

pub(crate) fn hidden(body: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let at = body
        .find(&start)
        .unwrap_or_else(|| panic!("no field {name} in {body}"));
    body[at + start.len()..]
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn the_first_visit_ends_with_a_key() {
    for world in worlds().await {
        let mut browser = Browser::new(&world);
        let token = world.access.first_link().await.unwrap().unwrap();
        let path = format!("/welcome/{token}");
        assert_eq!(browser.go("GET", &path, "").await.status, StatusCode::OK);
        let form = |again: &str| format!("email=o%40example.org&password={PASSWORD}&again={again}");
        let refused = browser.go("POST", &path, &form("other")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.body.contains("is not the same password"));
        assert!(!refused.body.contains(PASSWORD));
        let done = browser.go("POST", &path, &form(PASSWORD)).await;
        assert_eq!(
            (done.status, done.to.as_str()),
            (StatusCode::SEE_OTHER, "/console")
        );
        let dead = browser.go("GET", &path, "").await;
        assert_eq!(dead.status, StatusCode::UNAUTHORIZED);

        let page = browser.go("GET", "/console/access/keys", "").await;
        assert_eq!(page.status, StatusCode::OK);
        let (csrf, request) = (hidden(&page.body, "csrf"), hidden(&page.body, "request"));
        world
            .access
            .ensure_tenant(&Principal::local(), "acme")
            .await
            .unwrap();
        let form = format!("request={request}&name=ci&tenant=acme&scope=ingest%2C+read");
        let forged = browser.go("POST", "/console/access/keys", &form).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "no token");
        let form = format!("{form}&csrf={csrf}");
        let bad = browser
            .go(
                "POST",
                "/console/access/keys",
                &form.replace("ingest", "nonsense"),
            )
            .await;
        assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            bad.body.contains("unknown scope `nonsense`"),
            "{}",
            bad.body
        );
        let made = browser.go("POST", "/console/access/keys", &form).await;
        let at = made.body.find("swk_").expect("the key is shown");
        let key = &made.body[at..at + 54];
        world.access.authenticate_key(key).await.unwrap();
        // Loading the answer again creates nothing and shows nothing.
        let again = browser.go("POST", "/console/access/keys", &form).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER);
        let list = browser.go("GET", "/console/access/keys", "").await;
        assert!(list.body.contains("Revoke ci") && !list.body.contains(key));
        let id = world
            .access
            .keys(&Principal::local(), &Default::default())
            .await
            .unwrap()
            .items[0]
            .id;
        let path = format!("/console/access/keys/{id}/revoke");
        let revoked = browser.go("POST", &path, &format!("csrf={csrf}")).await;
        assert_eq!(revoked.status, StatusCode::SEE_OTHER);
        assert!(world.access.authenticate_key(key).await.is_err());

        let form = format!("csrf={csrf}&email=a%40example.org&role=auditor");
        let invited = browser.go("POST", "/console/access/users", &form).await;
        assert!(invited.body.contains("/welcome/"), "{}", invited.body);
        let form = format!("csrf={csrf}&slug=BAD+ONE");
        let bad = browser.go("POST", "/console/access/tenants", &form).await;
        assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
        let form = format!("csrf={csrf}&slug=globex");
        let good = browser.go("POST", "/console/access/tenants", &form).await;
        assert_eq!(good.to, "/console/access/tenants");

        let out = browser
            .go("POST", "/console/logout", &format!("csrf={csrf}"))
            .await;
        assert!(out.cookie.contains("Max-Age=0"), "{}", out.cookie);
    }
}

#[tokio::test]
async fn strangers_sign_in_and_come_back() {
    for world in worlds().await {
        world.owner().await;
        let mut browser = Browser::new(&world);
        let away = browser.go("GET", "/console/access/users?limit=5", "").await;
        assert_eq!(away.status, StatusCode::SEE_OTHER);
        let login = browser.go("GET", &away.to, "").await;
        let next = hidden(&login.body, "next").replace("&amp;", "&");
        assert_eq!(next, "/console/access/users?limit=5");
        let wrong = browser
            .go(
                "POST",
                "/login",
                "email=owner%40example.org&password=wrong&next=/console/access/users",
            )
            .await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        assert!(
            wrong.body.contains("owner@example.org"),
            "what was typed stays"
        );
        let form =
            format!("email=owner%40example.org&password={PASSWORD}&next=https://evil.example");
        let good = browser.go("POST", "/login", &form).await;
        assert_eq!(good.to, "/console", "never to another site");
        assert_eq!(
            browser.go("GET", "/console/access/users", "").await.status,
            StatusCode::OK
        );
    }
}
