//! HTTP: `/api/jobs/jobs` and `/api/jobs/runs`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::Principal;
use sealwright_core::{Page, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::JobsError;
use crate::model::{JobInfo, Run, RunFilter, RunState};
use crate::service::JobsService;

type Result<T> = std::result::Result<T, JobsError>;

/// The routes, to be merged into the server's router; `sealwright_access::http::authenticate` must be
/// layered around them.
pub fn router() -> OpenApiRouter<JobsService> {
    OpenApiRouter::new()
        .routes(routes!(jobs))
        .routes(routes!(runs, start))
        .routes(routes!(run))
        .routes(routes!(cancel))
        .routes(routes!(resume))
}

/// The jobs, their schedules and last runs. Needs `jobs:read`.
#[utoipa::path(get, path = "/api/jobs/jobs", tag = "jobs", responses((status = 200, body = [JobInfo])))]
async fn jobs(State(service): State<JobsService>, by: Principal) -> Result<Json<Vec<JobInfo>>> {
    Ok(Json(service.jobs(&by).await?))
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    /// Of this job.
    job: Option<String>,
    /// In this state.
    state: Option<RunState>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Runs, newest first. Needs `jobs:read`.
#[utoipa::path(get, path = "/api/jobs/runs", tag = "jobs", params(RunsQuery),
    responses((status = 200, body = Page<Run>)))]
async fn runs(
    State(service): State<JobsService>,
    by: Principal,
    query: std::result::Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Json<Page<Run>>> {
    let Query(query) = query.map_err(|bad| Problem::bad_request(bad.body_text()))?;
    let filter = RunFilter {
        job: query.job,
        state: query.state,
        cursor: query.cursor,
        limit: query.limit,
    };
    Ok(Json(service.runs(&by, &filter).await?))
}

/// A run to start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// The job's name.
    job: String,
}

/// Asks for a run now. Needs `jobs:write`; takes `Idempotency-Key`.
#[utoipa::path(post, path = "/api/jobs/runs", tag = "jobs", request_body = NewRun,
    responses((status = 202, body = Run), (status = 404)))]
async fn start(
    State(service): State<JobsService>,
    by: Principal,
    headers: HeaderMap,
    body: std::result::Result<Json<NewRun>, JsonRejection>,
) -> Result<Response> {
    let Json(new) = body.map_err(|bad| Problem::bad_request(bad.body_text()))?;
    let request = headers
        .get("idempotency-key")
        .map(|value| {
            let text = value.to_str().unwrap_or("");
            if (1..=255).contains(&text.len()) {
                Ok(text)
            } else {
                Err(Problem::bad_request(
                    "Idempotency-Key must have 1 to 255 visible ASCII characters",
                ))
            }
        })
        .transpose()?;
    let (run, repeated) = service.run_now(&by, &new.job, request).await?;
    let status = if repeated {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let location = [(header::LOCATION, format!("/api/jobs/runs/{}", run.id))];
    Ok((status, location, Json(run)).into_response())
}

/// One run. Needs `jobs:read`.
#[utoipa::path(get, path = "/api/jobs/runs/{run}", tag = "jobs", params(("run" = String, Path)),
    responses((status = 200, body = Run), (status = 404)))]
async fn run(
    State(service): State<JobsService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<Run>> {
    Ok(Json(service.run(&by, &id).await?))
}

/// Asks a run to stop. Needs `jobs:write`.
#[utoipa::path(post, path = "/api/jobs/runs/{run}/cancel", tag = "jobs", params(("run" = String, Path)),
    responses((status = 202, body = Run), (status = 404), (status = 409)))]
async fn cancel(
    State(service): State<JobsService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let run = service.cancel(&by, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}

/// Puts a failed or cancelled run back in the queue; it begins at its checkpoint. Needs `jobs:write`.
#[utoipa::path(post, path = "/api/jobs/runs/{run}/resume", tag = "jobs", params(("run" = String, Path)),
    responses((status = 202, body = Run), (status = 404), (status = 409)))]
async fn resume(
    State(service): State<JobsService>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response> {
    let run = service.resume(&by, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(run)).into_response())
}
