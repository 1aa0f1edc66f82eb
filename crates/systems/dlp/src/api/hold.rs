//! `/api/dlp/holds`: legal holds.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DlpApi, input};
use crate::model::hold::{Matter, MatterScope, MatterState, MatterStep, Protection};
use crate::service::hold::NewMatter;
use crate::store::hold::HoldRow;

/// A matter: why something must stay.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MatterAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// What people call it.
    name: String,
    /// Why.
    reason: String,
    /// Who leads it.
    owner: String,
    /// Whose data is asked for.
    custodian: String,
    /// What it covers.
    scope: MatterScope,
    /// Where it is; it holds in every state but `released`.
    state: MatterState,
    /// Who opened it.
    opened_by: String,
    /// When, RFC 3339.
    opened_at: String,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// Who asked for the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    release_asked_by: Option<String>,
    /// Who released it.
    #[serde(skip_serializing_if = "Option::is_none")]
    released_by: Option<String>,
    /// Grows with each change.
    revision: i64,
    /// The versions that it holds; on the page of one matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held: Vec<HeldVersion>,
}

/// A version that a matter holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldVersion {
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// The version.
    version: String,
    /// `object-lock`: the store refuses to delete it. `tag-only`: a tag marks it, and only this program heeds it. `ledger-only`: the
    /// store can show nothing, and only the hold ledger of this program says so.
    protection: Protection,
    /// wanted, held, failed or released.
    state: String,
    /// What went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
    /// When the store was asked last, RFC 3339.
    checked_at: String,
}

impl MatterAnswer {
    fn of(matter: &Matter, held: &[HoldRow], api: &DlpApi) -> Self {
        Self {
            id: matter.id.to_string(),
            tenant: api.slug(matter.tenant),
            name: matter.name.clone(),
            reason: matter.reason.clone(),
            owner: matter.owner.clone(),
            custodian: matter.custodian.clone(),
            scope: matter.scope.clone(),
            state: matter.state,
            opened_by: matter.opened_by.clone(),
            opened_at: matter.opened_at.to_string(),
            approved_by: matter.approved_by.clone(),
            release_asked_by: matter.release_asked_by.clone(),
            released_by: matter.released_by.clone(),
            revision: matter.revision,
            held: held
                .iter()
                .map(|row| HeldVersion {
                    bucket: row.object.bucket.clone(),
                    key: row.object.key.clone(),
                    version: row.object.version.clone(),
                    protection: row.protection,
                    state: row.state.clone(),
                    problem: row.problem.clone(),
                    checked_at: row.checked_at.to_string(),
                })
                .collect(),
        }
    }
}

/// The matters, newest first. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/holds", tag = "dlp",
    responses((status = 200, body = [MatterAnswer])))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<MatterAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.holds.list(by.tenants).await?;
    Ok(Json(
        all.iter()
            .map(|one| MatterAnswer::of(one, &[], &api))
            .collect(),
    ))
}

/// A matter to open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MatterInput {
    /// The tenant, by slug or id; the caller's own when absent.
    tenant: Option<String>,
    /// What people call it.
    name: String,
    /// Why.
    reason: String,
    /// Who leads it.
    owner: String,
    /// Whose data is asked for.
    custodian: String,
    /// What it covers: every condition that is given has to hold.
    #[serde(default)]
    scope: MatterScope,
}

/// Opens a matter. From the answer on this program deletes nothing that it covers; the store is told within
/// the minute, or by `sealwright dlp hold apply`. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/holds", tag = "dlp", request_body = MatterInput,
    responses((status = 201, body = MatterAnswer), (status = 404), (status = 422)))]
pub(super) async fn open(
    State(api): State<DlpApi>,
    by: Principal,
    body: Bytes,
) -> Result<(StatusCode, Json<MatterAnswer>), Problem> {
    by.require(Action::DlpWrite)?;
    let wanted: MatterInput = input::json(&body)?;
    let new = NewMatter {
        tenant: input::one_tenant(&by, &api.directory, wanted.tenant.as_deref())?,
        name: wanted.name,
        reason: wanted.reason,
        owner: wanted.owner,
        custodian: wanted.custodian,
        scope: wanted.scope,
    };
    let matter = api.dlp.holds.open(new, &by.actor()).await?;
    Ok((
        StatusCode::CREATED,
        Json(MatterAnswer::of(&matter, &[], &api)),
    ))
}

/// One matter and the versions that it holds. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/holds/{id}", tag = "dlp", params(("id" = String, Path)),
    responses((status = 200, body = MatterAnswer), (status = 404)))]
pub(super) async fn show(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<MatterAnswer>, Problem> {
    by.require(Action::DlpRead)?;
    let (matter, held) = api
        .dlp
        .holds
        .find(by.tenants, input::id("matter", &id)?)
        .await?;
    Ok(Json(MatterAnswer::of(&matter, &held, &api)))
}

/// Takes a step: `approve`, `ask-release`, `keep-holding` or `release`. Approval and release take another person
/// than the step before. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/holds/{id}/{step}", tag = "dlp",
    params(("id" = String, Path), ("step" = String, Path)),
    responses((status = 200, body = MatterAnswer), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn step(
    State(api): State<DlpApi>,
    by: Principal,
    Path((id, step)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<MatterAnswer>, Problem> {
    by.require(Action::DlpWrite)?;
    let step = match step.as_str() {
        "approve" => MatterStep::Approve,
        "ask-release" => MatterStep::AskRelease,
        "keep-holding" => MatterStep::KeepHolding,
        "release" => MatterStep::Release,
        _ => return Err(Problem::not_found("a matter has no such step")),
    };
    let matter = api
        .dlp
        .holds
        .step(
            by.tenants,
            input::id("matter", &id)?,
            step,
            input::if_match(&headers)?,
            &by.actor(),
        )
        .await?;
    Ok(Json(MatterAnswer::of(&matter, &[], &api)))
}
