//! `/api/dlp/policies`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sealwright_access::{Action, Principal, TenantDirectory};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{DlpApi, input};
use crate::model::policy::{
    self, Original, Policy, PolicyAction, PolicyId, PolicyMode, PolicyScope,
};
use crate::service::policy::NewPolicy;

/// A policy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyAnswer {
    /// The id.
    id: String,
    /// The tenant's slug; absent for the installation's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// The bucket; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// The class; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    /// The severity.
    severity: &'static str,
    /// What is done.
    action: PolicyAction,
    /// What becomes of the version that a redacted or encrypted one takes the place of.
    original: Original,
    /// Whether people are told at once.
    alert: bool,
    /// Whether it is done, or only said.
    mode: PolicyMode,
    /// Grows with each change; the ETag.
    revision: i64,
    /// When it was changed last, RFC 3339.
    changed_at: String,
    /// By whom.
    changed_by: String,
}

impl PolicyAnswer {
    fn of(policy: &Policy, directory: &TenantDirectory) -> Self {
        Self {
            id: policy.id.to_string(),
            tenant: policy.scope.tenant.map(|id| {
                directory
                    .get(id)
                    .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
            }),
            bucket: policy.scope.bucket.clone(),
            class: policy.scope.class.map(|class| class.as_str()),
            severity: policy.scope.severity.as_str(),
            action: policy.action,
            original: policy.original,
            alert: policy.alert,
            mode: policy.mode,
            revision: policy.revision,
            changed_at: policy.changed_at.to_string(),
            changed_by: policy.changed_by.clone(),
        }
    }
}

/// Which policies.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyQuery {
    /// The tenant, by slug or id; every tenant in scope when absent.
    tenant: Option<String>,
}

/// The policies that hold, the installation's own among them. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/policies", tag = "dlp", params(PolicyQuery),
    responses((status = 200, body = [PolicyAnswer]), (status = 404)))]
pub(super) async fn list(
    State(api): State<DlpApi>,
    by: Principal,
    query: Result<Query<PolicyQuery>, QueryRejection>,
) -> Result<Json<Vec<PolicyAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &api.directory, query.tenant.as_deref())?;
    let all = api.dlp.policies.list(scope).await?;
    Ok(Json(
        all.iter()
            .map(|policy| PolicyAnswer::of(policy, &api.directory))
            .collect(),
    ))
}

/// A policy to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyInput {
    /// The tenant, by slug or id; absent for the installation's own, which needs credentials for all tenants.
    tenant: Option<String>,
    /// The bucket; absent for all.
    bucket: Option<String>,
    /// The class; absent for all.
    class: Option<String>,
    /// The severity: critical, high, medium or low.
    severity: String,
    /// What is done.
    action: PolicyAction,
    /// What becomes of the version that a redacted or encrypted one takes the place of; `quarantine` when absent.
    #[serde(default)]
    original: Original,
    /// Whether people are told at once.
    #[serde(default)]
    alert: bool,
    /// Whether it is done, or only said. A new policy begins as a dry run.
    mode: PolicyMode,
}

/// Sets what is done about findings of one severity. `If-Match` with the revision guards against changes by
/// others. Needs `dlp:write`.
#[utoipa::path(put, path = "/api/dlp/policies", tag = "dlp", request_body = PolicyInput,
    responses((status = 200, body = PolicyAnswer), (status = 404), (status = 412), (status = 422)))]
pub(super) async fn set(
    State(api): State<DlpApi>,
    by: Principal,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::DlpWrite)?;
    let wanted: PolicyInput = input::json(&body)?;
    let tenant = match &wanted.tenant {
        Some(name) => Some(input::tenant(&by, &api.directory, name)?),
        None => by.tenants.tenant(),
    };
    let class = wanted
        .class
        .as_deref()
        .map(policy::class)
        .transpose()
        .map_err(Problem::invalid)?;
    let new = NewPolicy {
        scope: PolicyScope {
            tenant,
            bucket: wanted.bucket,
            class,
            severity: policy::severity(&wanted.severity).map_err(Problem::invalid)?,
        },
        action: wanted.action,
        original: wanted.original,
        alert: wanted.alert,
        mode: wanted.mode,
    };
    let policy = api
        .dlp
        .policies
        .set(new, input::if_match(&headers)?, &by.actor())
        .await?;
    let etag = [(header::ETAG, format!("\"{}\"", policy.revision))];
    Ok((etag, Json(PolicyAnswer::of(&policy, &api.directory))).into_response())
}

/// Takes a policy away; what is wider holds again. Needs `dlp:write`.
#[utoipa::path(delete, path = "/api/dlp/policies/{id}", tag = "dlp", params(("id" = String, Path)),
    responses((status = 204), (status = 404)))]
pub(super) async fn remove(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    by.require(Action::DlpWrite)?;
    let id: PolicyId = id
        .parse()
        .map_err(|_| Problem::not_found(format!("there is no policy `{id}`")))?;
    api.dlp.policies.remove(by.tenants, id, &by.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
