//! `/api/dlp/scans` and `/api/dlp/objects`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use sealwright_access::{Action, Principal};
use sealwright_core::{Cursor, Page, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{DlpApi, input};
use crate::model::finding::{Counts, Covered, Outcome, Scan, ScanState};
use crate::model::object::ObjectId;

/// Scans of a page.
const SCANS: u32 = 100;
/// Lines of the coverage ledger of a page.
const LINES: u32 = 200;

/// A scan of a place.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScanAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The place.
    place: String,
    /// Which detectors looked.
    detector_set: String,
    /// Where it is.
    state: ScanState,
    /// What it has done; the outcomes add up to `listed`.
    counts: Counts,
    /// Whether they do.
    reconciles: bool,
    /// When it began, RFC 3339.
    started_at: String,
    /// Who began it.
    started_by: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
}

impl ScanAnswer {
    fn of(scan: &Scan, api: &DlpApi) -> Self {
        Self {
            id: scan.id.to_string(),
            tenant: api.slug(scan.tenant),
            place: scan.place.to_string(),
            detector_set: scan.detector_set.clone(),
            state: scan.state,
            counts: scan.counts,
            reconciles: scan.counts.reconciles(),
            started_at: scan.started_at.to_string(),
            started_by: scan.started_by.clone(),
            ended_at: scan.ended_at.map(|at| at.to_string()),
            problem: scan.problem.clone(),
        }
    }
}

/// The newest scans. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/scans", tag = "dlp",
    responses((status = 200, body = [ScanAnswer])))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<ScanAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.scans.list(by.tenants, SCANS).await?;
    Ok(Json(
        all.iter().map(|one| ScanAnswer::of(one, &api)).collect(),
    ))
}

/// One scan. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/scans/{id}", tag = "dlp", params(("id" = String, Path)),
    responses((status = 200, body = ScanAnswer), (status = 404)))]
pub(super) async fn show(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<ScanAnswer>, Problem> {
    by.require(Action::DlpRead)?;
    let scan = api
        .dlp
        .scans
        .find(by.tenants, input::id("scan", &id)?)
        .await?;
    Ok(Json(ScanAnswer::of(&scan, &api)))
}

/// A line of the coverage ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CoverageLine {
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// The version.
    version: String,
    /// The tenant's slug.
    tenant: String,
    /// Bytes.
    size: i64,
    /// How the last look at it ended.
    outcome: Outcome,
    /// What was not looked at, and why.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// Findings in it.
    findings: i64,
    /// Which detectors looked.
    detector_set: String,
    /// When, RFC 3339.
    scanned_at: String,
}

impl CoverageLine {
    fn of(line: &Covered, api: &DlpApi) -> Self {
        Self {
            bucket: line.id.bucket.clone(),
            key: line.id.key.clone(),
            version: line.id.version.clone(),
            tenant: api.slug(line.tenant),
            size: line.size,
            outcome: line.outcome,
            reason: line.reason.clone(),
            findings: line.findings,
            detector_set: line.detector_set.clone(),
            scanned_at: line.scanned_at.to_string(),
        }
    }
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CoverageQuery {
    /// scanned, partly or unscannable.
    outcome: Option<String>,
    /// The cursor of the page before.
    cursor: Option<String>,
}

/// The coverage ledger: how the last look at each version ended. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/objects", tag = "dlp", params(CoverageQuery),
    responses((status = 200, body = Page<CoverageLine>)))]
pub(super) async fn coverage(
    State(api): State<DlpApi>,
    by: Principal,
    query: Result<Query<CoverageQuery>, QueryRejection>,
) -> Result<Json<Page<CoverageLine>>, Problem> {
    by.require(Action::DlpRead)?;
    let query = input::query(query)?;
    let outcome = query
        .outcome
        .map(|text| text.parse::<Outcome>())
        .transpose()
        .map_err(Problem::bad_request)?;
    let after: Option<ObjectId> = query
        .cursor
        .as_deref()
        .map(|text| {
            Cursor::decode(text)
                .and_then(|cursor| serde_json::from_str(&cursor.0).ok())
                .ok_or_else(|| Problem::bad_request("`cursor` is not one of this list"))
        })
        .transpose()?;
    let mut lines = api
        .dlp
        .findings
        .coverage(by.tenants, outcome, after.as_ref(), LINES + 1)
        .await?;
    let more = lines.len() > LINES as usize;
    lines.truncate(LINES as usize);
    let next = lines
        .last()
        .filter(|_| more)
        .and_then(|last| serde_json::to_string(&last.id).ok())
        .map(|text| Cursor(text).encode());
    let items = lines
        .iter()
        .map(|line| CoverageLine::of(line, &api))
        .collect();
    Ok(Json(Page { items, next }))
}
