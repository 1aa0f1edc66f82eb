//! `/api/dlp/quarantine`.

use axum::Json;
use axum::extract::{Path, State};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::{DlpApi, input};
use crate::model::quarantine::{Quarantine, QuarantineStep};

/// Rows of the list.
const ROWS: u32 = 500;

/// An object in quarantine, or on its way there or back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The version that was taken.
    object: String,
    /// How far it is.
    step: QuarantineStep,
    /// Why it was taken.
    reason: String,
    /// What it waits for, or what went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
    /// SHA-256 of the bytes, once it was verified.
    #[serde(skip_serializing_if = "String::is_empty")]
    sha256: String,
    /// Who took it.
    begun_by: String,
    /// When, RFC 3339.
    begun_at: String,
    /// Who asked for the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    release_asked_by: Option<String>,
    /// Who released it.
    #[serde(skip_serializing_if = "Option::is_none")]
    released_by: Option<String>,
}

impl QuarantineAnswer {
    fn of(one: &Quarantine, api: &DlpApi) -> Self {
        Self {
            id: one.id.to_string(),
            tenant: api.slug(one.tenant),
            object: one.source.to_string(),
            step: one.step,
            reason: one.reason.clone(),
            problem: one.problem.clone(),
            sha256: one.sha256.clone(),
            begun_by: one.begun_by.clone(),
            begun_at: one.begun_at.to_string(),
            release_asked_by: one.release_asked_by.clone(),
            released_by: one.released_by.clone(),
        }
    }
}

/// What was taken away, newest first. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/quarantine", tag = "dlp",
    responses((status = 200, body = [QuarantineAnswer])))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<QuarantineAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.quarantine.list(by.tenants, ROWS).await?;
    Ok(Json(
        all.iter()
            .map(|one| QuarantineAnswer::of(one, &api))
            .collect(),
    ))
}

/// Takes a step: `ask-release`, then by another person `release`. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/quarantine/{id}/{step}", tag = "dlp",
    params(("id" = String, Path), ("step" = String, Path)),
    responses((status = 200, body = QuarantineAnswer), (status = 404), (status = 409)))]
pub(super) async fn step(
    State(api): State<DlpApi>,
    by: Principal,
    Path((id, step)): Path<(String, String)>,
) -> Result<Json<QuarantineAnswer>, Problem> {
    by.require(Action::DlpWrite)?;
    let id = input::id("quarantine", &id)?;
    let actor = by.actor();
    let service = &api.dlp.quarantine;
    let one = match step.as_str() {
        "ask-release" => service.ask_release(by.tenants, id, &actor).await?,
        "release" => service.release(by.tenants, id, &actor).await?,
        _ => return Err(Problem::not_found("a quarantine has no such step")),
    };
    Ok(Json(QuarantineAnswer::of(&one, &api)))
}
