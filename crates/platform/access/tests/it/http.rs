use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::middleware::from_fn_with_state;
use http_body_util::BodyExt as _;
use sealwright_access::{NewKey, Policies, Principal, api, http};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{PASSWORD, World, worlds};

fn app(world: &World) -> Router {
    let (router, document) = api::router().split_for_parts();
    assert!(document.paths.paths.contains_key("/api/access/keys/{key}"));
    router
        .layer(from_fn_with_state(world.access.clone(), http::authenticate))
        .with_state(world.access.clone())
}

struct Call<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
    body: Option<Value>,
}

fn call<'a>(method: &'a str, path: &'a str) -> Call<'a> {
    Call {
        method,
        path,
        headers: Vec::new(),
        body: None,
    }
}

impl<'a> Call<'a> {
    fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
    async fn send(self, app: &Router) -> (StatusCode, Response<()>, Value) {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let body = match self.body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        let response = app
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (parts.status, Response::from_parts(parts, ()), value)
    }
}

async fn admin_key(world: &World) -> String {
    let new = NewKey {
        scopes: vec!["*".to_owned()],
        ..NewKey::default()
    };
    let created = world
        .access
        .create_key(&Principal::local(), new)
        .await
        .unwrap();
    format!("Bearer {}", created.key.unwrap())
}

#[tokio::test]
async fn creating_twice_with_one_idempotency_key_creates_once() {
    for world in worlds().await {
        let (app, key) = (app(&world), admin_key(&world).await);
        let create = |body: Value, idem: &'static str| {
            call("POST", "/api/access/tenants")
                .with("authorization", key.clone())
                .with("idempotency-key", idem)
                .json(body)
        };
        let (status, response, first) = create(json!({"slug": "acme"}), "one").send(&app).await;
        assert_eq!(status, StatusCode::CREATED, "{first}");
        assert_eq!(response.headers()[header::ETAG], "\"1\"");
        let (status, response, again) = create(json!({"slug": "acme"}), "one").send(&app).await;
        assert_eq!((status, &again), (StatusCode::OK, &first));
        assert_eq!(response.headers()["idempotency-replayed"], "true");
        let (status, _, problem) = create(json!({"slug": "other"}), "one").send(&app).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            problem["type"],
            "urn:sealwright:problem:idempotency-key-reused"
        );
        let (status, _, _) = create(json!({"slug": "acme"}), "two").send(&app).await;
        assert_eq!(status, StatusCode::CONFLICT);
        // A key's secret is not repeated.
        let post = || {
            call("POST", "/api/access/keys")
                .with("authorization", key.clone())
                .with("idempotency-key", "k")
                .json(json!({"tenant": "acme", "scopes": ["ingest"]}))
        };
        let (_, response, first) = post().send(&app).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(first["key"].as_str().unwrap().starts_with("swk_"));
        let (_, _, again) = post().send(&app).await;
        assert_eq!(again["id"], first["id"]);
        assert_eq!(again.get("key"), None);
    }
}

#[tokio::test]
async fn updates_need_the_version_that_was_read() {
    for world in worlds().await {
        let (app, key) = (app(&world), admin_key(&world).await);
        world
            .access
            .ensure_tenant(&Principal::local(), "acme")
            .await
            .unwrap();
        let patch = || {
            call("PATCH", "/api/access/tenants/acme")
                .with("authorization", key.clone())
                .json(json!({"state": "suspended"}))
        };
        assert_eq!(
            patch().send(&app).await.0,
            StatusCode::PRECONDITION_REQUIRED
        );
        let (status, _, _) = patch().with("if-match", "\"7\"").send(&app).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED);
        let (status, _, body) = patch().with("if-match", "\"1\"").send(&app).await;
        assert_eq!(
            (status, &body["state"]),
            (StatusCode::OK, &json!("suspended"))
        );
    }
}

#[tokio::test]
async fn bad_credentials_and_bodies_are_problems() {
    for world in worlds().await {
        let (app, key) = (app(&world), admin_key(&world).await);
        let (status, response, _) = call("GET", "/api/access/keys").send(&app).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        for bad in ["Basic x", "Bearer nonsense", &key[..key.len() - 1]] {
            let (status, _, problem) = call("GET", "/api/access/keys")
                .with("authorization", bad)
                .send(&app)
                .await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem}");
        }
        let post = |body| {
            call("POST", "/api/access/tenants")
                .with("authorization", key.clone())
                .json(body)
        };
        let (status, _, problem) = post(json!({"slug": "a", "colour": 1})).send(&app).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains("colour"),
            "{problem}"
        );
        let (status, _, problem) = post(json!({"slug": "A B"})).send(&app).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["pointer"], "/slug");
        let none = call("GET", "/api/access/tenants/nobody").with("authorization", key.clone());
        assert_eq!(none.send(&app).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    for world in worlds().await {
        world.owner().await;
        let app = app(&world);
        let (status, response, body) = call("POST", "/api/access/sessions")
            .json(json!({"email": "owner@example.org", "password": PASSWORD}))
            .send(&app)
            .await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let cookie = response.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let csrf = body["csrf"].as_str().unwrap().to_owned();

        let (status, _, me) = call("GET", "/api/access/sessions/current")
            .with("cookie", cookie.clone())
            .send(&app)
            .await;
        assert_eq!(
            (status, &me["name"]),
            (StatusCode::OK, &json!("owner@example.org"))
        );
        let post = || {
            call("POST", "/api/access/tenants")
                .with("cookie", cookie.clone())
                .json(json!({"slug": "acme"}))
        };
        assert_eq!(post().send(&app).await.0, StatusCode::FORBIDDEN, "no token");
        let (status, _, _) = post().with("x-csrf-token", "0".repeat(64)).send(&app).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "wrong token");
        let cross = post()
            .with("x-csrf-token", csrf.clone())
            .with("sec-fetch-site", "cross-site");
        assert_eq!(
            cross.send(&app).await.0,
            StatusCode::FORBIDDEN,
            "another site"
        );
        let own = post()
            .with("x-csrf-token", csrf.clone())
            .with("sec-fetch-site", "same-origin");
        assert_eq!(own.send(&app).await.0, StatusCode::CREATED);

        let (status, response, _) = call("DELETE", "/api/access/sessions/current")
            .with("cookie", cookie.clone())
            .with("x-csrf-token", csrf)
            .send(&app)
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert!(
            response.headers()[header::SET_COOKIE]
                .to_str()
                .unwrap()
                .contains("Max-Age=0")
        );
        assert_eq!(
            call("GET", "/api/access/keys")
                .with("cookie", cookie)
                .send(&app)
                .await
                .0,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn throttled_sign_ins_say_when_to_come_back() {
    for world in worlds().await {
        let app = app(&world);
        let mut last = (StatusCode::OK, None);
        for _ in 0..6 {
            let (status, response, _) = call("POST", "/api/access/sessions")
                .json(json!({"email": "nobody@example.org", "password": "x"}))
                .send(&app)
                .await;
            last = (status, response.headers().get(header::RETRY_AFTER).cloned());
        }
        assert_eq!(last.0, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(last.1.unwrap(), "60");
    }
}

#[tokio::test]
async fn a_request_that_a_policy_refuses_says_so_and_is_recorded() {
    let text = "@id(\"keys-do-not-administer\") @reason(\"people do\")
        forbid (principal is Key, action == Action::\"access:admin\", resource);";
    let own = Policies::from_texts([("own.cedar", text.as_bytes())]).unwrap();
    for mut world in worlds().await {
        world.access = world.access.with_policies(own.clone());
        let key = admin_key(&world).await;
        let app = app(&world);
        let create = || {
            call("POST", "/api/access/tenants")
                .with("authorization", key.clone())
                .json(json!({"slug": "acme"}))
        };
        for _ in 0..2 {
            let (status, _, problem) = create().send(&app).await;
            assert_eq!(status, StatusCode::FORBIDDEN);
            assert_eq!(problem["type"], "urn:sealwright:problem:forbidden");
            assert_eq!(problem["action"], "access:admin");
            assert_eq!(problem["policy"], "keys-do-not-administer");
            assert_eq!(
                problem["detail"],
                "the policy `keys-do-not-administer` of this installation forbids access:admin: people do"
            );
        }
        // With the answer, not with the next tidying up; and once, however often it is tried.
        let records = world.records().await;
        let refused = records
            .iter()
            .filter(|action| *action == "access.policy.refuse");
        assert_eq!(refused.count(), 1);
        let (status, _, _) = call("GET", "/api/access/tenants")
            .with("authorization", key.clone())
            .send(&app)
            .await;
        assert_eq!(status, StatusCode::OK);
    }
}
