//! `POST /api/dlp/scan`: the upload gate.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{DlpApi, input};
use crate::service::gate::Verdict;

/// Findings that an answer lists.
const MOST_LISTED: usize = 1_000;

/// What is uploaded, and where it would go.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// The tenant, by slug or id; the caller's own when absent.
    tenant: Option<String>,
    /// The file's name.
    #[serde(default)]
    name: String,
    /// The bucket, for policies of one.
    #[serde(default)]
    bucket: String,
}

/// What was found in an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadFinding {
    /// The document inside; absent for the upload itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    inner: Option<String>,
    /// Line of the first byte, from 1.
    line: u64,
    /// Column in bytes, from 1.
    column: u64,
    /// First byte.
    start: u64,
    /// Byte after the last one.
    end: u64,
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
    /// Keyed digest of detector and value, under the tenant's key.
    fingerprint: String,
}

/// What the gate says.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadAnswer {
    /// The id under which it is kept.
    id: String,
    /// pass, encrypt, redact or hold.
    verdict: Verdict,
    /// What the policies that only say so would have said.
    would: Verdict,
    /// scanned, partly or unscannable, and why.
    coverage: String,
    /// SHA-256 of the bytes that were looked at.
    sha256: String,
    /// How long the look took, in microseconds.
    took_us: i64,
    /// How many findings there are.
    count: usize,
    /// The first 1,000 of them; never a value.
    findings: Vec<UploadFinding>,
}

/// Looks at an upload before it is taken: the body is the file. The answer is 200 whatever is found; the
/// verdict says what to do. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/scan", tag = "dlp", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = UploadAnswer), (status = 413), (status = 503,
        description = "No verdict: the caller's own rule for a gate that is down decides")))]
pub(super) async fn look(
    State(api): State<DlpApi>,
    by: Principal,
    query: Result<Query<UploadQuery>, QueryRejection>,
    body: Bytes,
) -> Result<Json<UploadAnswer>, Problem> {
    by.require(Action::DlpWrite)?;
    let query = input::query(query)?;
    let tenant = input::one_tenant(&by, &api.directory, query.tenant.as_deref())?;
    let answer = api
        .dlp
        .gate
        .look(tenant, &query.name, &query.bucket, body, &by.actor())
        .await?;
    let findings = answer
        .findings
        .iter()
        .take(MOST_LISTED)
        .map(|one| UploadFinding {
            inner: one.inner.as_deref().map(str::to_owned),
            line: one.line,
            column: one.column,
            start: one.start,
            end: one.end,
            detector: one.detector.to_string(),
            title: one.title.to_string(),
            class: one.class.as_str(),
            severity: one.severity.as_str(),
            confidence: (f64::from(one.confidence) * 100.0).round() / 100.0,
            fingerprint: one.fingerprint.to_string(),
        })
        .collect();
    Ok(Json(UploadAnswer {
        id: answer.upload.id.to_string(),
        verdict: answer.upload.verdict,
        would: answer.upload.would,
        coverage: answer.upload.coverage,
        sha256: answer.upload.sha256.to_string(),
        took_us: answer.upload.took,
        count: answer.findings.len(),
        findings,
    }))
}
