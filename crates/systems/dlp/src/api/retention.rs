//! `/api/dlp/retention/…` and `/api/dlp/erasures`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{DlpApi, input};
use crate::model::object::{NO_VERSION, ObjectId};
use crate::model::plan::{Erasure, Plan, PlanItem, PlanState};

/// Rows of a list.
const ROWS: u32 = 200;

/// How long what is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CategoryAnswer {
    /// The name that the tag `sealwright-category` carries.
    id: String,
    /// What people call it.
    title: String,
    /// What a law demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<String>,
    /// When it moves to cold storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
    /// When it has to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<String>,
    /// The maxima of tiers.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    tiers: std::collections::BTreeMap<String, String>,
    /// Why.
    basis: String,
}

/// The retention categories in force, with their legal basis. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/retention/categories", tag = "dlp",
    responses((status = 200, body = [CategoryAnswer])))]
pub(super) async fn categories(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<CategoryAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    Ok(Json(
        api.dlp
            .retention
            .categories()
            .all_at(api.clock.now())
            .map(|one| CategoryAnswer {
                id: one.id.clone(),
                title: one.title.clone(),
                minimum: one.minimum.map(|period| period.to_string()),
                archive: one.archive.map(|period| period.to_string()),
                maximum: one.maximum.map(|period| period.to_string()),
                tiers: one
                    .tiers
                    .iter()
                    .map(|(name, period)| (name.clone(), period.to_string()))
                    .collect(),
                basis: one.basis.clone(),
            })
            .collect(),
    ))
}

/// Which version, and when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyQuery {
    /// The tenant, by slug or id; the caller's own when absent.
    tenant: Option<String>,
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// The version; `null` where the bucket keeps none.
    version: Option<String>,
    /// As of when: RFC 3339 or a day; now when absent.
    as_of: Option<String>,
}

/// Why a version is still here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WhyAnswer {
    /// keep, archive, notify, wait, approve or delete.
    verdict: String,
    /// When it may go at the earliest, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// Why, the weightiest first.
    why: Vec<String>,
}

/// Why a version is still here, and when it would go. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/retention/why", tag = "dlp", params(WhyQuery),
    responses((status = 200, body = WhyAnswer), (status = 404)))]
pub(super) async fn why(
    State(api): State<DlpApi>,
    by: Principal,
    query: Result<Query<WhyQuery>, QueryRejection>,
) -> Result<Json<WhyAnswer>, Problem> {
    by.require(Action::DlpRead)?;
    let query = input::query(query)?;
    let tenant = input::one_tenant(&by, &api.directory, query.tenant.as_deref())?;
    let version = query.version.as_deref().unwrap_or(NO_VERSION);
    let id = ObjectId::new(&query.bucket, &query.key, version);
    // Only what lies in a place of the tenant's is the tenant's.
    let places = api
        .dlp
        .places
        .list(sealwright_core::TenantScope::One(tenant))
        .await?;
    if !places
        .iter()
        .any(|place| place.bucket == id.bucket && id.key.starts_with(&place.prefix))
    {
        return Err(Problem::not_found(format!("{id} was not found")));
    }
    let as_of = match &query.as_of {
        None => api.clock.now(),
        Some(text) => input::moment("as_of", text)?,
    };
    let judged = api.dlp.retention.why(tenant, &id, as_of).await?;
    Ok(Json(WhyAnswer {
        verdict: judged.verdict.as_str().to_owned(),
        due: judged.due.map(|due| due.to_string()),
        why: judged.why,
    }))
}

/// A deletion plan.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlanAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The request for erasure that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    erasure: Option<String>,
    /// The moment that it was made for, RFC 3339.
    as_of: String,
    /// draft, approved or applied.
    state: PlanState,
    /// Versions and markers that were looked at.
    seen: i64,
    /// Versions with no category: they stay, and are not listed.
    uncategorised: i64,
    /// Who made it.
    made_by: String,
    /// When.
    made_at: String,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// When it was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<String>,
    /// Its lines; on the page of one plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<PlanLine>,
}

/// A line of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlanLine {
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// The version.
    version: String,
    /// Bytes.
    size: i64,
    /// It is a delete marker, which holds no bytes.
    marker: bool,
    /// The category; empty for none.
    category: String,
    /// keep, archive, notify, wait, approve or delete.
    verdict: String,
    /// When it may go at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// Why, the weightiest first.
    why: Vec<String>,
    /// What came of it: erased, marker-removed, absent, told, kept or changed; empty before the plan ran.
    #[serde(skip_serializing_if = "String::is_empty")]
    result: String,
    /// Why it was kept.
    #[serde(skip_serializing_if = "String::is_empty")]
    result_why: String,
}

impl PlanAnswer {
    fn of(plan: &Plan, items: &[PlanItem], api: &DlpApi) -> Self {
        Self {
            id: plan.id.to_string(),
            tenant: api.slug(plan.tenant),
            erasure: plan.erasure.map(|id| id.to_string()),
            as_of: plan.as_of.to_string(),
            state: plan.state,
            seen: plan.seen,
            uncategorised: plan.uncategorised,
            made_by: plan.made_by.clone(),
            made_at: plan.made_at.to_string(),
            approved_by: plan.approved_by.clone(),
            applied_at: plan.applied_at.map(|at| at.to_string()),
            lines: items
                .iter()
                .map(|item| PlanLine {
                    bucket: item.id.bucket.clone(),
                    key: item.id.key.clone(),
                    version: item.id.version.clone(),
                    size: item.size,
                    marker: item.marker,
                    category: item.category.clone(),
                    verdict: item.verdict.clone(),
                    due: item.due.map(|due| due.to_string()),
                    why: item.why.clone(),
                    result: item.result.clone(),
                    result_why: item.result_why.clone(),
                })
                .collect(),
        }
    }
}

/// The newest plans. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/retention/plans", tag = "dlp",
    responses((status = 200, body = [PlanAnswer])))]
pub(super) async fn plans(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<PlanAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.retention.plans(by.tenants, ROWS).await?;
    Ok(Json(
        all.iter()
            .map(|one| PlanAnswer::of(one, &[], &api))
            .collect(),
    ))
}

/// A plan to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanInput {
    /// The tenant, by slug or id; the caller's own when absent.
    tenant: Option<String>,
    /// As of when: RFC 3339 or a day; now when absent.
    as_of: Option<String>,
    /// Only what a request for erasure asks for.
    erasure: Option<String>,
}

/// Makes a plan: what would go at a moment, and why the rest stays. It deletes nothing. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/retention/plans", tag = "dlp", request_body = PlanInput,
    responses((status = 201, body = PlanAnswer), (status = 404), (status = 503)))]
pub(super) async fn draft(
    State(api): State<DlpApi>,
    by: Principal,
    body: Bytes,
) -> Result<(StatusCode, Json<PlanAnswer>), Problem> {
    by.require(Action::DlpWrite)?;
    let wanted: PlanInput = input::json(&body)?;
    let tenant = input::one_tenant(&by, &api.directory, wanted.tenant.as_deref())?;
    let as_of = match &wanted.as_of {
        None => api.clock.now(),
        Some(text) => input::moment("as_of", text)?,
    };
    let erasure = wanted
        .erasure
        .as_deref()
        .map(|text| input::id("request", text))
        .transpose()?;
    let service = &api.dlp.retention;
    let plan = service.draft(tenant, as_of, erasure, &by.actor()).await?;
    let (plan, items) = service.plan(by.tenants, plan.id).await?;
    Ok((
        StatusCode::CREATED,
        Json(PlanAnswer::of(&plan, &items, &api)),
    ))
}

/// One plan with its lines. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/retention/plans/{id}", tag = "dlp", params(("id" = String, Path)),
    responses((status = 200, body = PlanAnswer), (status = 404)))]
pub(super) async fn plan(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<PlanAnswer>, Problem> {
    by.require(Action::DlpRead)?;
    let (plan, items) = api
        .dlp
        .retention
        .plan(by.tenants, input::id("plan", &id)?)
        .await?;
    Ok(Json(PlanAnswer::of(&plan, &items, &api)))
}

/// Takes a step: `announce` tells people, `approve` takes a second person, `apply` deletes what was approved and
/// may still go. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/retention/plans/{id}/{step}", tag = "dlp",
    params(("id" = String, Path), ("step" = String, Path)),
    responses((status = 200, body = PlanAnswer), (status = 404), (status = 409)))]
pub(super) async fn step(
    State(api): State<DlpApi>,
    by: Principal,
    Path((id, step)): Path<(String, String)>,
) -> Result<Json<PlanAnswer>, Problem> {
    by.require(Action::DlpWrite)?;
    let id = input::id("plan", &id)?;
    let actor = by.actor();
    let service = &api.dlp.retention;
    match step.as_str() {
        "announce" => {
            service.announce(by.tenants, id, &actor).await?;
        }
        "approve" => {
            service.approve(by.tenants, id, &actor).await?;
        }
        "apply" => {
            service.apply(by.tenants, id, &actor).await?;
        }
        _ => return Err(Problem::not_found("a plan has no such step")),
    }
    let (plan, items) = service.plan(by.tenants, id).await?;
    Ok(Json(PlanAnswer::of(&plan, &items, &api)))
}

/// A request for erasure.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErasureAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The person, by the pseudonymous id that tags carry.
    person: String,
    /// Why.
    reason: String,
    /// Who entered it.
    asked_by: String,
    /// When, RFC 3339.
    asked_at: String,
    /// open or closed.
    state: String,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
}

impl ErasureAnswer {
    fn of(one: &Erasure, api: &DlpApi) -> Self {
        Self {
            id: one.id.to_string(),
            tenant: api.slug(one.tenant),
            person: one.person.clone(),
            reason: one.reason.clone(),
            asked_by: one.asked_by.clone(),
            asked_at: one.asked_at.to_string(),
            state: one.state.clone(),
            closed_at: one.closed_at.map(|at| at.to_string()),
        }
    }
}

/// The requests for erasure, newest first. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/erasures", tag = "dlp",
    responses((status = 200, body = [ErasureAnswer])))]
pub(super) async fn erasures(
    State(api): State<DlpApi>,
    by: Principal,
) -> Result<Json<Vec<ErasureAnswer>>, Problem> {
    by.require(Action::DlpRead)?;
    let all = api.dlp.retention.erasures(by.tenants).await?;
    Ok(Json(
        all.iter().map(|one| ErasureAnswer::of(one, &api)).collect(),
    ))
}

/// A request to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErasureInput {
    /// The tenant, by slug or id; the caller's own when absent.
    tenant: Option<String>,
    /// The person, by the pseudonymous id that the tag `sealwright-person` carries.
    person: String,
    /// Why.
    reason: String,
}

/// Enters a person's request. A plan with its id then says what would go. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/erasures", tag = "dlp", request_body = ErasureInput,
    responses((status = 201, body = ErasureAnswer), (status = 422)))]
pub(super) async fn ask(
    State(api): State<DlpApi>,
    by: Principal,
    body: Bytes,
) -> Result<(StatusCode, Json<ErasureAnswer>), Problem> {
    by.require(Action::DlpWrite)?;
    let wanted: ErasureInput = input::json(&body)?;
    let tenant = input::one_tenant(&by, &api.directory, wanted.tenant.as_deref())?;
    let one = api
        .dlp
        .retention
        .ask_erasure(tenant, &wanted.person, &wanted.reason, &by.actor())
        .await?;
    Ok((StatusCode::CREATED, Json(ErasureAnswer::of(&one, &api))))
}

/// Closes a request once nothing of the person's is left, and writes the certificate. Needs `dlp:write`.
#[utoipa::path(post, path = "/api/dlp/erasures/{id}/close", tag = "dlp", params(("id" = String, Path)),
    responses((status = 200, body = ErasureAnswer), (status = 404), (status = 409)))]
pub(super) async fn close(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<ErasureAnswer>, Problem> {
    by.require(Action::DlpWrite)?;
    let id = input::id("request", &id)?;
    let one = api
        .dlp
        .retention
        .close_erasure(by.tenants, id, &by.actor())
        .await?;
    Ok(Json(ErasureAnswer::of(&one, &api)))
}

/// The certificate with its proof, for `sealwright verify`. Needs `dlp:read`.
#[utoipa::path(get, path = "/api/dlp/erasures/{id}/certificate", tag = "dlp",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404), (status = 409)))]
pub(super) async fn certificate(
    State(api): State<DlpApi>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    by.require(Action::DlpRead)?;
    let id = input::id("request", &id)?;
    Ok(Json(api.dlp.retention.certificate(by.tenants, id).await?))
}
