use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::{Extension, Router};
use sealwright_access::{Principal, Role, Scopes};
use sealwright_notify::pages::NotifyPages;
use sealwright_notify::{Severity, api, pages};
use sealwright_web::Nav;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{CANARY, Say, World, message, staff, worlds};

struct Client {
    app: Router,
}

struct Answer {
    status: StatusCode,
    tag: String,
    to: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

impl Client {
    fn new(world: &World, by: Principal) -> Self {
        let (api, _) = api::router().split_for_parts();
        let pages = pages::router(Arc::new(NotifyPages {
            service: world.service.clone(),
            chrome: Arc::new(Nav::new()),
        }));
        Self {
            app: api
                .with_state(world.service.clone())
                .merge(pages)
                .layer(Extension(by)),
        }
    }

    async fn send(&self, method: &str, path: &str, kind: &str, tag: &str, body: String) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind);
        if !tag.is_empty() {
            request = request.header(header::IF_MATCH, tag);
        }
        let response = self
            .app
            .clone()
            .oneshot(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let text = |name| {
            let value: Option<&header::HeaderValue> = response.headers().get(name);
            value.map_or(String::new(), |v| v.to_str().unwrap().to_owned())
        };
        let (status, tag, to) = (
            response.status(),
            text(header::ETAG),
            text(header::LOCATION),
        );
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 22)
            .await
            .unwrap();
        Answer {
            status,
            tag,
            to,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, "application/json", "", body.to_string())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "text/plain", "", String::new())
            .await
    }

    async fn form(&self, path: &str, body: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        self.send("POST", path, kind, "", body.to_owned()).await
    }
}

fn key(scopes: &str) -> Principal {
    Principal {
        roles: Vec::new(),
        scopes: Some(Scopes::parse([scopes]).unwrap()),
        ..Principal::system("key")
    }
}

#[tokio::test]
async fn channels_rules_and_deliveries_over_http() {
    for world in worlds().await {
        let client = Client::new(&world, key("notify:read,notify:write"));
        let url = world.far.url(&format!("/hook?{CANARY}"));
        let new = json!({"name": "hook", "target": {"kind": "webhook", "url": url}, "quiet":
            {"zone": "Europe/Berlin", "from": "22:00", "to": "07:00"}, "per_minute": 60});
        let made = client.json("POST", "/api/notify/channels", new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        assert!(
            made.json()["secret"]
                .as_str()
                .unwrap()
                .starts_with("whsec_")
        );
        assert!(!made.body.contains(CANARY), "{}", made.body);
        let id = made.json()["channel"]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/notify/channels/{id}");
        let got = client.get(&path).await;
        assert_eq!(
            (got.tag.as_str(), got.json()["quiet"]["passes"].as_str()),
            ("\"1\"", Some("critical"))
        );
        let change = json!({"quiet": null, "name": "hooks"}).to_string();
        for (tag, want) in [
            ("\"1\"", StatusCode::OK),
            ("\"1\"", StatusCode::PRECONDITION_FAILED),
            ("1", StatusCode::BAD_REQUEST),
        ] {
            let answer = client
                .send("PATCH", &path, "application/json", tag, change.clone())
                .await;
            assert_eq!(answer.status, want, "{tag}: {}", answer.body);
        }
        assert_eq!(client.get(&path).await.json()["quiet"], Value::Null);

        let rule = json!({"name": "all", "topic": "*", "severity": "warning", "channels": [id]});
        let rule = client.json("POST", "/api/notify/rules", rule).await;
        assert_eq!(rule.status, StatusCode::CREATED, "{}", rule.body);
        world.far.say([Say::Status(500)]);
        world.enqueue(&message("a.b", Severity::Error)).await;
        world.drain().await;
        let list = client
            .get("/api/notify/deliveries?state=pending")
            .await
            .json();
        let delivery = list["items"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(list["items"][0]["attempts"], 1);
        let resend = format!("/api/notify/deliveries/{delivery}/resend");
        assert_eq!(
            client.json("POST", &resend, json!({})).await.status,
            StatusCode::CONFLICT
        );
        world.clock.advance(10_000_000);
        world.drain().await;
        assert_eq!(
            client.json("POST", &resend, json!({})).await.status,
            StatusCode::ACCEPTED
        );
        let test = client
            .json("POST", &format!("{path}/test"), json!({}))
            .await;
        assert_eq!(test.status, StatusCode::ACCEPTED, "{}", test.body);
        let rotated = client
            .json(
                "POST",
                &format!("{path}/rotate"),
                json!({"overlap_seconds": 60}),
            )
            .await;
        assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.body);
        assert_eq!(
            client.json("DELETE", &path, json!({})).await.status,
            StatusCode::CONFLICT
        );
        let rule = format!("/api/notify/rules/{}", rule.json()["id"].as_str().unwrap());
        assert_eq!(
            client.json("DELETE", &rule, json!({})).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            client.json("DELETE", &path, json!({})).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            client
                .get("/api/notify/messages?unmatched=true")
                .await
                .status,
            StatusCode::OK
        );

        for (path, want) in [
            (path.as_str(), StatusCode::NOT_FOUND),
            (rule.as_str(), StatusCode::NOT_FOUND),
            ("/api/notify/channels/nonsense", StatusCode::NOT_FOUND),
            ("/api/notify/deliveries?state=lost", StatusCode::BAD_REQUEST),
            (
                "/api/notify/deliveries?cursor=%21",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            ("/api/notify/channels?colour=red", StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(client.get(path).await.status, want, "{path}");
        }
        // What is wrong with a body is said without repeating it.
        let bad = json!({"name": "x", "target": {"kind": "slack", "webhook_url": {"no": CANARY}}});
        let bad = client.json("POST", "/api/notify/channels", bad).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert!(!bad.body.contains(CANARY), "{}", bad.body);
    }
}

#[tokio::test]
async fn scopes_and_tenants_bound_what_is_seen_and_done() {
    for world in worlds().await {
        let channel = world.everything_to(world.webhook()).await;
        world.enqueue(&message("a.b", Severity::Error)).await;
        world.drain().await;
        let delivery = world.only().await.id;
        let rule = world.service.rules(&staff()).await.unwrap().remove(0).id;
        let reader = Client::new(&world, key("notify:read"));
        let none = Client::new(&world, key("billing:read"));
        let other = Client::new(&world, world.tenant_principal(world.other));
        let new = json!({"name": "x", "target": {"kind": "slack", "webhook_url": "https://example.com/"}});
        assert_eq!(
            reader
                .json("POST", "/api/notify/channels", new)
                .await
                .status,
            StatusCode::FORBIDDEN
        );
        let channel = format!("/api/notify/channels/{}", channel.id);
        let delivery = format!("/api/notify/deliveries/{delivery}");
        let rule = format!("/api/notify/rules/{rule}");
        for path in [&channel, &delivery, &rule] {
            assert_eq!(reader.get(path).await.status, StatusCode::OK, "{path}");
            assert_eq!(none.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
            assert_eq!(
                other.get(path).await.status,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        for path in [
            format!("{channel}/test"),
            format!("{channel}/rotate"),
            format!("{delivery}/resend"),
        ] {
            assert_eq!(
                reader.json("POST", &path, json!({})).await.status,
                StatusCode::FORBIDDEN,
                "{path}"
            );
            assert_eq!(
                other.json("POST", &path, json!({})).await.status,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        for path in [&channel, &rule] {
            assert_eq!(
                other.json("PATCH", path, json!({})).await.status,
                StatusCode::NOT_FOUND
            );
            assert_eq!(
                other.json("DELETE", path, json!({})).await.status,
                StatusCode::NOT_FOUND
            );
        }
        for path in [
            "/api/notify/channels",
            "/api/notify/deliveries",
            "/api/notify/messages",
        ] {
            assert_eq!(other.get(path).await.json()["items"], json!([]), "{path}");
        }
    }
}

#[tokio::test]
async fn a_person_makes_tests_and_resends_by_pages() {
    for world in worlds().await {
        let person = Principal {
            roles: vec![Role::Operator],
            ..Principal::system("pat@example.com")
        };
        let browser = Client::new(&world, person);
        let empty = browser.get("/console/notify/deliveries").await;
        assert_eq!(empty.status, StatusCode::OK);
        assert!(
            empty.body.contains("sealwright notify channel create"),
            "{}",
            empty.body
        );
        for kind in [
            "slack",
            "pagerduty",
            "email",
            "github",
            "webhook",
            "nonsense",
        ] {
            let page = browser
                .get(&format!("/console/notify/channels?kind={kind}"))
                .await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.body.contains("Create channel"));
        }
        // A refused form says what is wrong and does not send the secret back.
        let bad = format!("kind=slack&name=&webhook_url=http%3A%2F%2F10.0.0.1%2F{CANARY}");
        let refused = browser.form("/console/notify/channels", &bad).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            refused.body.contains("must have 1 to 80 characters") && !refused.body.contains(CANARY)
        );
        let slack = format!("http%3A%2F%2F{}%2F{CANARY}", world.far.address);
        let form = format!(
            "kind=slack&name=on-call&webhook_url={slack}&quiet=22:00-07:00+Europe/Berlin&weekends=on"
        );
        let made = browser.form("/console/notify/channels", &form).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
        let channel = made.to;
        let id = channel.rsplit('/').next().unwrap();
        let rule = format!("name=all&topic=*&severity=error&channel_{id}=on");
        let made = browser.form("/console/notify/rules", &rule).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
        let refused = browser
            .form("/console/notify/rules", "name=none&topic=*")
            .await;
        assert!(
            refused.body.contains("must name 1 to 20 channels"),
            "{}",
            refused.body
        );

        world
            .far
            .say([Say::With(404, &[], "no_service".to_owned())]);
        let sent = browser.form(&format!("{channel}/test"), "").await;
        world.drain().await;
        let page = browser.get(&sent.to).await;
        assert!(
            page.body.contains("dead letter") && page.body.contains("no_service"),
            "{}",
            page.body
        );
        let list = browser.get("/console/notify/deliveries?state=dead").await;
        assert!(
            list.body.contains("A test of this channel"),
            "{}",
            list.body
        );
        let again = browser.form(&format!("{}/resend", sent.to), "").await;
        assert_eq!(again.status, StatusCode::SEE_OTHER);
        world.drain().await;
        assert!(browser.get(&sent.to).await.body.contains("sent"));
        for page in [
            channel.as_str(),
            "/console/notify/channels",
            "/console/notify/rules",
        ] {
            let page = browser.get(page).await;
            assert!(page.body.contains("on-call") && !page.body.contains(CANARY));
        }
        // A webhook's secret is in the answer to its form, and nowhere else.
        let hook = format!("kind=webhook&name=hook&signature=v1a&url={slack}");
        let made = browser.form("/console/notify/channels", &hook).await;
        assert_eq!(made.status, StatusCode::OK);
        assert!(made.body.contains("whsk_"));

        let auditor = Principal {
            roles: vec![Role::Auditor],
            ..Principal::system("auditor")
        };
        let auditor = Client::new(&world, auditor);
        let page = auditor.get(&channel).await;
        assert!(page.status == StatusCode::OK && !page.body.contains("Send a test message"));
        assert_eq!(
            auditor.form(&format!("{channel}/test"), "").await.status,
            StatusCode::FORBIDDEN
        );
        let other = Client::new(&world, world.tenant_principal(world.other));
        for path in [&channel, &sent.to] {
            assert_eq!(
                other.get(path).await.status,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }
}
