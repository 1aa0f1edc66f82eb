//! The console's pages of jobs.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::{Extension, Router};
use sealwright_access::{Principal, Role};
use sealwright_core::TenantScope;
use sealwright_jobs::pages::JobsPages;
use sealwright_jobs::{CatchUp, RunState};
use sealwright_web::{ChromeSource, Nav};
use tower::ServiceExt as _;

use crate::support::{Act, World, worlds};

struct Answer {
    status: StatusCode,
    to: String,
    body: String,
}

fn app(world: &World, by: Option<Principal>) -> Router {
    let pages = Arc::new(JobsPages {
        jobs: world.service.clone(),
        chrome: Arc::new(Nav::new()) as Arc<dyn ChromeSource>,
    });
    match by {
        Some(by) => pages.router().layer(Extension(by)),
        None => pages.router(),
    }
}

fn person(role: Role) -> Principal {
    Principal {
        roles: vec![role],
        scopes: None,
        ..Principal::system("ada")
    }
}

async fn go(app: &Router, method: &str, path: &str, form: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let to = response
        .headers()
        .get(header::LOCATION)
        .map_or(String::new(), |to| to.to_str().unwrap().to_owned());
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    Answer {
        status,
        to,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

fn hidden(body: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let at = body.find(&start).expect("the field is there") + start.len();
    body[at..].split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_run_looked_at_cancelled_and_resumed() {
    for world in worlds(Act::Fail, Some("0 * * * *"), CatchUp::Once).await {
        world.service.tick().await.unwrap();
        let app = app(&world, Some(person(Role::Operator)));
        let list = go(&app, "GET", "/console/jobs", "").await;
        assert_eq!(list.status, StatusCode::OK);
        for text in [
            "/console/jobs/test.job",
            "A job of the tests.",
            "0 * * * * Europe/Berlin",
            "2026-11-23T11:00:00Z",
            "never",
        ] {
            assert!(list.body.contains(text), "{text}: {}", list.body);
        }
        let job = go(&app, "GET", "/console/jobs/test.job", "").await;
        assert!(job.body.contains("It has not run yet."), "{}", job.body);
        let form = format!("request={}", hidden(&job.body, "request"));
        let asked = go(&app, "POST", "/console/jobs/test.job/run", &form).await;
        assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.body);
        let again = go(&app, "POST", "/console/jobs/test.job/run", &form).await;
        assert_eq!(again.to, asked.to, "pressing twice starts one run");

        let run = go(&app, "GET", &asked.to, "").await;
        assert!(run.body.contains("queued") && run.body.contains("/cancel"));
        assert!(
            run.body.contains("data-live"),
            "it refreshes while it goes on"
        );
        world.runner("a").drain().await.unwrap();
        let run = go(&app, "GET", &asked.to, "").await;
        assert!(run.body.contains("failed") && run.body.contains("never"));
        assert!(run.body.contains("/resume") && !run.body.contains("data-live"));

        let resumed = go(&app, "POST", &format!("{}/resume", asked.to), "").await;
        assert_eq!(resumed.to, asked.to);
        let cancelled = go(&app, "POST", &format!("{}/cancel", asked.to), "").await;
        assert_eq!(cancelled.to, asked.to);
        let twice = go(&app, "POST", &format!("{}/cancel", asked.to), "").await;
        assert_eq!(twice.status, StatusCode::CONFLICT);
        assert!(
            twice.body.contains("the run is cancelled"),
            "{}",
            twice.body
        );

        *world.job.act.lock().unwrap() = Act::Succeed;
        go(&app, "POST", &format!("{}/resume", asked.to), "").await;
        world.runner("a").drain().await.unwrap();
        let run = go(&app, "GET", &asked.to, "").await;
        assert!(
            run.body.contains("Result") && run.body.contains("yes"),
            "{}",
            run.body
        );
        let runs = go(&app, "GET", "/console/jobs/runs?state=done", "").await;
        assert!(runs.body.contains(&asked.to), "{}", runs.body);
        let csv = go(&app, "GET", "/console/jobs/runs?export=runs.csv", "").await;
        assert_eq!(csv.status, StatusCode::OK);
        for (path, status) in [
            ("/console/jobs/no.job", StatusCode::NOT_FOUND),
            ("/console/jobs/runs/run_x", StatusCode::NOT_FOUND),
            (
                "/console/jobs/runs?state=red",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            (
                "/console/jobs/runs?cursor=%21",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            assert_eq!(go(&app, "GET", path, "").await.status, status, "{path}");
        }
    }
}

#[tokio::test]
async fn who_may_not_change_sees_no_button_and_is_refused() {
    for world in worlds(Act::Succeed, None, CatchUp::Once).await {
        let owner = person(Role::Owner);
        let (run, _) = world
            .service
            .run_now(&owner, "test.job", None)
            .await
            .unwrap();
        let path = format!("/console/jobs/runs/{}", run.id);

        let auditor = app(&world, Some(person(Role::Auditor)));
        let job = go(&auditor, "GET", "/console/jobs/test.job", "").await;
        assert_eq!(job.status, StatusCode::OK);
        assert!(!job.body.contains("/console/jobs/test.job/run\""));
        let seen = go(&auditor, "GET", &path, "").await;
        assert!(!seen.body.contains("/cancel"), "{}", seen.body);
        for (path, form) in [
            (format!("{path}/cancel"), ""),
            (format!("{path}/resume"), ""),
            ("/console/jobs/test.job/run".to_owned(), "request=x"),
        ] {
            let refused = go(&auditor, "POST", &path, form).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        }

        let member = app(&world, Some(person(Role::Member)));
        let tenant = Principal {
            tenants: TenantScope::One("ten_00000000000000000000000000000001".parse().unwrap()),
            ..person(Role::Operator)
        };
        let tenant = app(&world, Some(tenant));
        for app in [&member, &tenant] {
            for path in ["/console/jobs", "/console/jobs/runs", &path] {
                let refused = go(app, "GET", path, "").await;
                assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
                assert!(!refused.body.contains("test.job"), "{}", refused.body);
            }
        }
        let stranger = go(&app(&world, None), "GET", &path, "").await;
        assert!(stranger.to.starts_with("/login?next="), "{}", stranger.to);

        let after = world
            .service
            .run(&owner, &run.id.to_string())
            .await
            .unwrap();
        assert_eq!(after.state, RunState::Queued, "nothing of it took effect");
    }
}

#[tokio::test]
async fn a_run_waits_for_a_process_that_can_do_it() {
    for world in worlds(Act::Succeed, None, CatchUp::Once).await {
        let owner = person(Role::Owner);
        world
            .service
            .run_now(&owner, "test.job", None)
            .await
            .unwrap();
        world
            .job
            .ready
            .store(false, std::sync::atomic::Ordering::SeqCst);
        assert!(world.runner("a").drain().await.unwrap().is_empty());
        world
            .job
            .ready
            .store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(world.runner("a").drain().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn old_runs_are_forgotten_by_a_job() {
    for world in worlds(Act::Succeed, None, CatchUp::Once).await {
        let owner = person(Role::Owner);
        for _ in 0..3 {
            world
                .service
                .run_now(&owner, "test.job", None)
                .await
                .unwrap();
            world.runner("a").drain().await.unwrap();
            world.clock.advance(1_000_000);
        }
        world.clock.advance(91 * sealwright_core::clock::DAY);
        let prune = sealwright_jobs::PruneHistory::new(
            world.store.store.clone(),
            90,
            sealwright_jobs::Schedule::parse("20 3 * * *", "UTC").unwrap(),
        );
        let service = sealwright_jobs::JobsService::new(
            world.store.store.clone(),
            Arc::new(world.clock.clone()),
            Arc::new(sealwright_access::Unrecorded),
            [Arc::new(prune) as Arc<dyn sealwright_jobs::Job>],
        )
        .unwrap();
        service.run_now(&owner, "jobs.prune", None).await.unwrap();
        let runner = sealwright_jobs::Runner::new(service, "a");
        let ended = runner.drain().await.unwrap();
        assert_eq!(ended[0].result, Some(serde_json::json!({"forgotten": 2})));
    }
}
