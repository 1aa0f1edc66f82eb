//! `/api/dlp/findings`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use sealwright_access::{Action, Principal};
use sealwright_core::{Page, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{DlpApi, input};
use crate::model::finding::{FindingState, StoredFinding};
use crate::model::policy::{self, PolicyAction, PolicyMode};
use crate::service::finding::FindingDecision;
use crate::store::finding::FindingFilter;

/// Findings of a page.
const ROWS: u32 = 100;

/// A finding: where, what and how sure; never the value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FindingAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// The version.
    version: String,
    /// The document inside; absent for the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    inner: String,
    /// Line of the first byte, from 1.
    line: i64,
    /// Column in bytes, from 1.
    column: i64,
    /// First byte.
    start: i64,
    /// Byte after the last one.
    end: i64,
    /// The detector.
    detector: String,
    /// What it finds.
    title: String,
    /// The class.
    class: &'static str,
    /// The severity.
    severity: &'static str,
    /// How sure, 0 to 1.
    confidence: f64,
    /// Why it is that sure.
    reasons: Vec<String>,
    /// Keyed digest of detector and value, under the tenant's key.
    fingerprint: String,
    /// What the policy said when it was found.
    action: PolicyAction,
    /// Whether that policy acted.
    mode: PolicyMode,
    /// What people make of it.
    state: FindingState,
    /// Who looks after it.
    #[serde(skip_serializing_if = "String::is_empty")]
    owner: String,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    /// Until when it is accepted, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// When it was found first.
    first_seen: String,
    /// When it was found last.
    last_seen: String,
}

impl FindingAnswer {
    fn of(one: &StoredFinding, api: &DlpApi) -> Self {
        Self {
            id: one.id.to_string(),
            tenant: api.slug(one.tenant),
            bucket: one.object.bucket.clone(),
            key: one.object.key.clone(),
            version: one.object.version.clone(),
            inner: one.inner.clone(),
            line: one.line,
            column: one.column,
            start: one.start,
            end: one.end,
            detector: one.detector.clone(),
            title: one.title.clone(),
            class: one.class.as_str(),
            severity: one.severity.as_str(),
            confidence: one.confidence as f64 / 100.0,
            reasons: one.reasons.clone(),
            fingerprint: one.fingerprint.clone(),
            action: one.action,
            mode: one.mode,
            state: one.state,
            owner: one.owner.clone(),
            note: one.note.clone(),
            until: one.until.map(|until| until.to_string()),
            first_seen: one.first_seen.to_string(),
            last_seen: one.last_seen.to_string(),
        }
    }
}

/// Which findings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingQuery {
    /// The tenant, by slug or id.
    tenant: Option<String>,
    /// open, accepted, false-positive or resolved.
    state: Option<String>,
    /// critical, high, medium or low.
    severity: Option<String>,
    /// pii, financial, health, secret or technical.
    class: Option<String>,
    /// Only in this bucket.
    bucket: Option<String>,
    /// Only with this fingerprint: everywhere that one value is.
    fingerprint: Option<String>,
    /// The cursor of the page before.
    cursor: Option<String>,
}

/// Findings, newest first. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/findings", tag = "dlp", params(FindingQuery),
    responses((status = 200, body = Page<FindingAnswer>)))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
    query: Result<Query<FindingQuery>, QueryRejection>,
) -> Result<Json<Page<FindingAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &api.directory, query.tenant.as_deref())?;
    if let Some(text) = &query.severity {
        policy::severity(text).map_err(Problem::bad_request)?;
    }
    if let Some(text) = &query.class {
        policy::class(text).map_err(Problem::bad_request)?;
    }
    let filter = FindingFilter {
        state: query
            .state
            .map(|text| text.parse::<FindingState>())
            .transpose()
            .map_err(Problem::bad_request)?,
        severity: query.severity,
        class: query.class,
        bucket: query.bucket,
        fingerprint: query.fingerprint,
        after: query
            .cursor
            .map(|text| {
                text.parse()
                    .map_err(|_| Problem::bad_request("`cursor` is not one of this list"))
            })
            .transpose()?,
        limit: ROWS + 1,
    };
    let mut found = api.dlp.findings.list(scope, &filter).await?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let next = found.last().filter(|_| more).map(|one| one.id.to_string());
    let items = found
        .iter()
        .map(|one| FindingAnswer::of(one, &api))
        .collect();
    Ok(Json(Page { items, next }))
}

/// One finding. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/findings/{id}", tag = "dlp", params(("id" = String, Path)),
    responses((status = 200, body = FindingAnswer), (status = 404)))]
pub(super) async fn show(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<FindingAnswer>, Problem> {
    by.require(Action::DlpRead)?;
    let id = input::id("finding", &id)?;
    let one = api.dlp.findings.find(by.tenants, id).await?;
    Ok(Json(FindingAnswer::of(&one, &api)))
}

/// What is decided about a finding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionInput {
    /// The state.
    state: FindingState,
    /// Who looks after it.
    #[serde(default)]
    owner: String,
    /// Why; needed for `accepted` and `false-positive`.
    #[serde(default)]
    note: String,
    /// Until when it is accepted: RFC 3339 or a day.
    until: Option<String>,
}

/// Notes what people make of a finding. Needs `dlp:write`.
#[utoipa::path(patch, path = "/api/dlp/findings/{id}", tag = "dlp", params(("id" = String, Path)),
    request_body = DecisionInput,
    responses((status = 200, body = FindingAnswer), (status = 404), (status = 422)))]
pub(super) async fn decide(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<FindingAnswer>, Problem> {
    by.require(Action::DlpWrite)?;
    let id = input::id("finding", &id)?;
    let wanted: DecisionInput = input::json(&body)?;
    let until = wanted
        .until
        .as_deref()
        .map(|text| input::moment("until", text))
        .transpose()?;
    let decision = FindingDecision {
        state: wanted.state,
        owner: wanted.owner,
        note: wanted.note,
        until,
    };
    let one = api
        .dlp
        .findings
        .decide(by.tenants, id, decision, &by.actor())
        .await?;
    Ok(Json(FindingAnswer::of(&one, &api)))
}
