//! `/api/dlp/treatments`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::DlpApi;
use crate::model::policy::{Original, PolicyAction};
use crate::model::treatment::{Treatment, TreatmentStep};

/// Rows of the list.
const ROWS: u32 = 500;

/// An object that was written anew, or is to be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TreatmentAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The version that is treated.
    object: String,
    /// `redact` or `encrypt`.
    action: PolicyAction,
    /// What becomes of that version.
    original: Original,
    /// How far it is.
    step: TreatmentStep,
    /// The version that took its place.
    #[serde(skip_serializing_if = "String::is_empty")]
    new_version: String,
    /// SHA-256 of what was written, where it was redacted.
    #[serde(skip_serializing_if = "String::is_empty")]
    sha256: String,
    /// How many values of which detector went.
    replaced: BTreeMap<String, u64>,
    /// Why.
    reason: String,
    /// What it waits for, what went wrong, or how it ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
    /// Who began it.
    begun_by: String,
    /// When, RFC 3339.
    begun_at: String,
}

impl TreatmentAnswer {
    fn of(one: &Treatment, api: &DlpApi) -> Self {
        Self {
            id: one.id.to_string(),
            tenant: api.slug(one.tenant),
            object: one.source.to_string(),
            action: one.action,
            original: one.original,
            step: one.step,
            new_version: one.new_version.clone(),
            sha256: one.sha256.clone(),
            replaced: one.replaced.clone(),
            reason: one.reason.clone(),
            problem: one.problem.clone(),
            begun_by: one.begun_by.clone(),
            begun_at: one.begun_at.to_string(),
        }
    }
}

/// What enforced policies wrote anew, redacted or encrypted, newest first. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/treatments", tag = "dlp",
    responses((status = 200, body = [TreatmentAnswer])))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<TreatmentAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.treatments.list(by.tenants, ROWS).await?;
    Ok(Json(
        all.iter()
            .map(|one| TreatmentAnswer::of(one, &api))
            .collect(),
    ))
}
