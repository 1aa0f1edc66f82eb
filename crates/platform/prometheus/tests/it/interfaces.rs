//! The same over HTTP, in the console, on the command line, and by the schedule.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::{Extension, Router};
use clap::Parser;
use sealwright_access::{Principal, Role, Unrecorded};
use sealwright_core::UnixMicros;
use sealwright_jobs::{Job, JobsService, RunState, Runner};
use sealwright_prometheus::cli::{Output, PrometheusCommand, run};
use sealwright_prometheus::pages::PrometheusPages;
use sealwright_prometheus::{PullJob, api, pages};
use sealwright_web::Nav;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{NOON, Say, T0, World, worlds};

const ACME: &[(&str, &str)] = &[("__name__", "requests_total"), ("tenant", "acme")];

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
        let pages = pages::router(Arc::new(PrometheusPages {
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

    async fn send(&self, method: &str, path: &str, tag: &str, kind: &str, body: String) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind);
        if !tag.is_empty() {
            request = request.header(header::IF_MATCH, tag);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let text = |name| {
            let value = response.headers().get(name);
            value.map_or(String::new(), |v| v.to_str().unwrap().to_owned())
        };
        let (status, tag, to) = (
            response.status(),
            text(header::ETAG),
            text(header::LOCATION),
        );
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        Answer {
            status,
            tag,
            to,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn json(&self, method: &str, path: &str, tag: &str, body: &Value) -> Answer {
        self.send(method, path, tag, "application/json", body.to_string())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "text/plain", String::new())
            .await
    }

    async fn form(&self, path: &str, body: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        self.send("POST", path, "", kind, body.to_owned()).await
    }
}

fn as_role(role: Role) -> Principal {
    Principal {
        roles: vec![role],
        ..Principal::local()
    }
}

fn body(world: &World) -> Value {
    json!({
        "name": "requests", "url": world.fake.url(), "kind": "counter", "expression": "requests_total",
        "interval_seconds": 60, "delay_seconds": 0, "tenant_label": "tenant", "event_type": "acme.requests.v1",
        "credential": {"kind": "bearer", "token": "canary-7f3a91"}, "from": NOON,
    })
}

#[tokio::test]
async fn over_http() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11"), (90, "2")]);
        let client = Client::new(&world, Principal::local());
        let made = client
            .json("POST", "/api/prometheus/sources", "", &body(&world))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        assert!(!made.body.contains("canary"), "{}", made.body);
        assert_eq!(made.json()["state"], "active");
        assert_eq!(made.json()["definition"]["tenant"]["label"], "tenant");
        let path = made.to.clone();
        let id = made.json()["id"].as_str().unwrap().parse().unwrap();
        world.clock.set(UnixMicros((T0 + 120) * 1_000_000));
        world.puller.pull(id, 9, &|| true).await.unwrap();
        let one = client.get(&path).await;
        assert_eq!((one.tag.as_str(), one.status), ("\"1\"", StatusCode::OK));
        assert_eq!(one.json()["lag_seconds"], 0);
        assert_eq!(one.json()["totals"]["resets"], 1);
        assert_eq!(one.json()["done_through"], "2026-11-25T12:02:00Z");
        let windows = client.get(&format!("{path}/windows?limit=1")).await.json();
        assert_eq!(windows["items"][0]["state"], "done");
        let next = windows["next"].as_str().unwrap();
        let windows = client.get(&format!("{path}/windows?cursor={next}")).await;
        assert_eq!(windows.json()["items"][0]["end"], "2026-11-25T12:01:00Z");
        assert_eq!(client.get(&format!("{path}/quiet")).await.json(), json!([]));
        let list = client.get("/api/prometheus/sources").await.json();
        assert_eq!(list["items"][0]["totals"]["events"], 2);
        let change = json!({"delay_seconds": 30});
        let late = client.json("PATCH", &path, "\"7\"", &change).await;
        assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
        let changed = client.json("PATCH", &path, &one.tag, &change).await;
        assert_eq!(changed.json()["delay_seconds"], 30);
        let back = json!({"to": NOON});
        let back = client
            .json("POST", &format!("{path}/rewind"), "", &back)
            .await;
        assert_eq!(back.json()["done_through"], NOON);
        let retry = client
            .json("POST", &format!("{path}/retry"), "", &json!({}))
            .await;
        assert_eq!(retry.status, StatusCode::OK);
        // What is wrong is a problem that names the place and repeats no secret.
        let mut wrong = body(&world);
        wrong["interval_seconds"] = json!("canary-7f3a91");
        let answer = client
            .json("POST", "/api/prometheus/sources", "", &wrong)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(!answer.body.contains("canary"), "{}", answer.body);
        wrong["interval_seconds"] = json!(7);
        let answer = client
            .json("POST", "/api/prometheus/sources", "", &wrong)
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.json()["pointer"], "/interval_seconds");
        // An operator sees and does not decide.
        let operator = Client::new(&world, as_role(Role::Operator));
        assert_eq!(operator.get(&path).await.status, StatusCode::OK);
        let refused = operator.json("DELETE", &path, "", &json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let member = Client::new(&world, as_role(Role::Member));
        assert_eq!(member.get(&path).await.status, StatusCode::FORBIDDEN);
        let gone = client.json("DELETE", &path, "", &json!({})).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        assert_eq!(client.get(&path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn in_the_console() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11"), (290, "2")]);
        let client = Client::new(&world, Principal::local());
        let list = "/console/prometheus/sources";
        let empty = client.get(list).await;
        assert!(empty.body.contains("No source yet."), "{}", empty.body);
        let form = format!(
            "name=%3Cb%3Erequests&url={}&kind=counter&take=last&expression=requests_total&interval_seconds=60\
             &delay_seconds=0&tenant_label=tenant&event_type=acme.requests.v1&from={NOON}\
             &credential=bearer&secret=canary-7f3a91",
            world.fake.url()
        );
        let wrong = client
            .form(
                list,
                &form.replace("interval_seconds=60", "interval_seconds=61"),
            )
            .await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.body.contains("a day must be a multiple of it"));
        assert!(!wrong.body.contains("canary"), "a secret is not sent back");
        let made = client.form(list, &form).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
        let path = made.to.clone();
        let twice = client.form(list, &form).await;
        assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(twice.body.contains("already"), "{}", twice.body);
        let id = path.rsplit('/').next().unwrap().parse().unwrap();
        world.clock.set(UnixMicros((T0 + 180) * 1_000_000));
        world.puller.pull(id, 9, &|| true).await.unwrap();
        let one = client.get(&path).await.body;
        for said in [
            "&#60;b&#62;requests",
            "empty",
            "unknown",
            "2 windows without a sample",
            "prs_",
        ] {
            assert!(one.contains(said), "{said}: {one}");
        }
        assert!(!one.contains("canary") && !one.contains("<b>requests"));
        // Why it fails, and since when.
        world.fake.say([Say::With(503, Vec::new(), String::new())]);
        world.clock.set(UnixMicros((T0 + 300) * 1_000_000));
        world.puller.pull(id, 9, &|| true).await.unwrap();
        let one = client.get(&path).await.body;
        assert!(
            one.contains("status 503") && one.contains("attempts: 1"),
            "{one}"
        );
        let all = client.get(list).await.body;
        assert!(
            all.contains("failing") && all.contains("status 503"),
            "{all}"
        );
        let csv = client
            .get(&format!("{path}?table=windows&format=csv"))
            .await
            .body;
        assert!(csv.lines().count() == 4 && csv.contains("done"), "{csv}");
        for (action, form, to) in [
            ("disable", "", path.as_str()),
            ("enable", "", path.as_str()),
            ("retry", "", path.as_str()),
            ("rewind", "to=2026-11-25T12:00:00Z", path.as_str()),
            ("delete", "", list),
        ] {
            if action == "rewind" {
                let wrong = client.form(&format!("{path}/rewind"), "to=soon").await;
                assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
                assert!(wrong.body.contains("RFC 3339"), "{}", wrong.body);
            }
            let done = client.form(&format!("{path}/{action}"), form).await;
            assert_eq!(
                (done.status, done.to.as_str()),
                (StatusCode::SEE_OTHER, to),
                "{action}"
            );
        }
        assert_eq!(client.get(&path).await.status, StatusCode::NOT_FOUND);
        // Who may not write sees no form and is refused when posting all the same.
        let auditor = Client::new(&world, as_role(Role::Auditor));
        assert!(!auditor.get(list).await.body.contains("New source"));
        assert_eq!(
            auditor.form(list, &form).await.status,
            StatusCode::FORBIDDEN
        );
        assert_eq!(
            auditor.form(&format!("{list}/x/nothing"), "").await.status,
            StatusCode::NOT_FOUND
        );
    }
}

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: PrometheusCommand,
}

async fn line(world: &World, json: bool, args: &[&str]) -> (bool, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut secret = || Ok("canary-7f3a91\n".to_owned());
    let command = Line::try_parse_from([&["prometheus"], args].concat())
        .unwrap()
        .command;
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json,
        secret: &mut secret,
    };
    let done = run(&world.service, Some(&world.puller), command, &mut output).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match done {
        Ok(yes) => (yes, text(out), text(err)),
        Err(error) => (false, text(out), error.to_string()),
    }
}

#[tokio::test]
async fn on_the_command_line() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        let url = world.fake.url();
        let create = [
            "source",
            "create",
            "--name",
            "requests",
            "--url",
            &url,
            "--kind",
            "counter",
            "--expression",
            "requests_total",
            "--tenant-label",
            "tenant",
            "--event-type",
            "acme.requests.v1",
            "--interval-seconds",
            "60",
            "--delay-seconds",
            "0",
            "--from",
            NOON,
            "--credential",
            "basic",
            "--username",
            "reader",
            "--fixed",
            "region=eu",
        ];
        let (yes, id, _) = line(&world, false, &create).await;
        let id = id.trim();
        assert!(yes && id.starts_with("prs_"), "{id}");
        world.clock.set(UnixMicros((T0 + 60) * 1_000_000));
        world.fake.say([Say::With(500, Vec::new(), String::new())]);
        let (yes, _, said) = line(&world, false, &["source", "pull", id]).await;
        assert!(!yes && said.contains("status 500"), "{said}");
        let (yes, out, _) = line(&world, false, &["source", "pull", id]).await;
        assert!(yes);
        assert_eq!(out, "1 windows, 1 events\n");
        assert!(world.fake.got()[0].authorization.starts_with("Basic "));
        let (_, out, _) = line(&world, false, &["source", "list"]).await;
        assert!(
            out.contains(id) && out.contains("active") && !out.contains("canary"),
            "{out}"
        );
        let (_, out, _) = line(&world, true, &["source", "windows", id]).await;
        let rows: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(rows["items"][0]["events"], 1);
        let (_, out, _) = line(&world, true, &["source", "show", id]).await;
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shown["totals"]["events"], 1);
        let (_, out, _) = line(&world, true, &["source", "quiet", id]).await;
        assert!(out.contains("\"items\":[]"), "{out}");
        let (yes, _, _) = line(&world, false, &["source", "rewind", id, "--to", NOON]).await;
        assert!(yes);
        for (verb, said) in [("disable", "disabled"), ("enable", "failing")] {
            let (_, out, _) = line(&world, false, &["source", verb, id]).await;
            let state = out.trim().rsplit(' ').next().unwrap().to_owned();
            assert!(state == said || state == "active", "{out}");
        }
        let (yes, out, _) = line(&world, false, &["source", "reseal"]).await;
        assert!(yes && out.starts_with("0 "), "{out}");
        assert!(line(&world, false, &["source", "delete", id]).await.0);
        let (yes, _, error) = line(&world, false, &["source", "show", id]).await;
        assert!(!yes && error.contains("there is no source"), "{error}");
    }
}

#[tokio::test]
async fn by_the_schedule() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11"), (90, "31")]);
        let good = world.create(&world.counter("good")).await;
        let mut new = world.counter("away");
        new.url = "http://127.0.0.1:9".to_owned();
        let away = world.create(&new).await;
        let job = Arc::new(PullJob::new(world.puller.clone()).unwrap()) as Arc<dyn Job>;
        let clock = Arc::new(world.clock.clone());
        let jobs = JobsService::new(
            world.store.store.clone(),
            clock,
            Arc::new(Unrecorded),
            vec![job],
        );
        let jobs = jobs.unwrap();
        let runner = Runner::new(jobs.clone(), "a test");
        jobs.tick().await.unwrap();
        for minute in 1..=2 {
            world.clock.set(UnixMicros((T0 + minute * 60) * 1_000_000));
            jobs.tick().await.unwrap();
            let runs = runner.drain().await.unwrap();
            assert_eq!(runs.len(), 1);
            assert_eq!(runs[0].state, RunState::Done, "{runs:?}");
            let result = runs[0].result.clone().unwrap();
            assert_eq!(
                (&result["windows"], &result["events"]),
                (&json!(1), &json!(1)),
                "{result}"
            );
            assert!(
                result["failing"][0].as_str().unwrap().starts_with("away: "),
                "{result}"
            );
        }
        assert_eq!(world.log.sum(None).to_string(), "30");
        assert_eq!(world.now(&good).await.failures, 0);
        // It pauses longer each time: the second look came at the end of the first pause.
        assert_eq!(world.now(&away).await.failures, 2);
        world.clock.set(UnixMicros((T0 + 180) * 1_000_000));
        jobs.tick().await.unwrap();
        let runs = runner.drain().await.unwrap();
        assert_eq!(runs[0].result.as_ref().unwrap()["sources"], 1);
        assert_eq!(world.now(&away).await.failures, 2);
    }
}
