use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use clap::Parser;
use sealwright_access::{Principal, Scopes};
use sealwright_jobs::cli::{JobsCommand, Output, run};
use sealwright_jobs::{CatchUp, api};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::support::{Act, World, worlds};

async fn call(app: &Router, method: &str, path: &str, body: Option<&str>) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request
            .header("content-type", "application/json")
            .header("idempotency-key", "one");
    }
    let body = body.map_or_else(Body::empty, |text| Body::from(text.to_owned()));
    let response = app
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

fn app(world: &World, scopes: &str) -> Router {
    let (router, _) = api::router().split_for_parts();
    let by = Principal {
        scopes: Some(Scopes::parse([scopes]).unwrap()),
        ..Principal::system("test")
    };
    router
        .with_state(world.service.clone())
        .layer(Extension(by))
}

#[tokio::test]
async fn over_http() {
    for world in worlds(Act::Succeed, Some("0 * * * *"), CatchUp::Once).await {
        let app = app(&world, "*");
        world.service.tick().await.unwrap();
        let (_, jobs) = call(&app, "GET", "/api/jobs/jobs", None).await;
        assert_eq!(jobs[0]["next_slot"], "2026-11-23T11:00:00Z");
        let start = r#"{"job":"test.job"}"#;
        let (status, run) = call(&app, "POST", "/api/jobs/runs", Some(start)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{run}");
        let (status, again) = call(&app, "POST", "/api/jobs/runs", Some(start)).await;
        assert_eq!(
            (status, &again["id"]),
            (StatusCode::OK, &run["id"]),
            "one key, one run"
        );
        let id = run["id"].as_str().unwrap();
        let (status, _) = call(&app, "POST", &format!("/api/jobs/runs/{id}/cancel"), None).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let (status, problem) =
            call(&app, "POST", &format!("/api/jobs/runs/{id}/cancel"), None).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
        let (_, runs) = call(&app, "GET", "/api/jobs/runs?state=cancelled", None).await;
        assert_eq!(runs["items"][0]["id"], run["id"]);
        for (path, want) in [
            ("/api/jobs/runs/run_x", StatusCode::NOT_FOUND),
            ("/api/jobs/runs?colour=red", StatusCode::BAD_REQUEST),
            (
                "/api/jobs/runs?cursor=%21",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            assert_eq!(call(&app, "GET", path, None).await.0, want, "{path}");
        }
        let reader = self::app(&world, "jobs:read");
        let (status, _) = call(&reader, "POST", "/api/jobs/runs", Some(start)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: JobsCommand,
}

#[tokio::test]
async fn on_the_command_line() {
    for world in worlds(Act::Succeed, None, CatchUp::Once).await {
        let call = async |json: bool, line: &str| {
            let args = std::iter::once("jobs").chain(line.split_whitespace());
            let command = Line::try_parse_from(args).unwrap().command;
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut output = Output {
                out: &mut out,
                err: &mut err,
                json,
            };
            let stop = CancellationToken::new();
            let good = run(&world.service, command, &mut output, &stop).await;
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (good.map_err(|e| e.to_string()), text(out), text(err))
        };
        let (good, out, _) = call(true, "run test.job").await;
        assert_eq!(good, Ok(true));
        let ran: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(ran["state"], "done");
        assert_eq!(ran["cause"], "local");
        world.clock.advance(1_000_000);
        *world.job.act.lock().unwrap() = Act::Fail;
        let (good, _, err) = call(false, "run test.job").await;
        assert_eq!(good, Ok(false), "the answer is no");
        assert!(err.contains("error: never"), "{err}");
        let (_, out, _) = call(false, "history --state failed").await;
        assert_eq!(out.lines().count(), 2, "{out}");
        let (_, out, _) = call(false, "list").await;
        assert!(out.contains("test.job") && out.contains("failed"), "{out}");
        let (bad, _, _) = call(false, "run no.job").await;
        assert_eq!(bad, Err("there is no job no.job".to_owned()));
    }
}
