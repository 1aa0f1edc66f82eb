//! `/api/siem/rules` and `/api/siem/rule-files`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use sealwright_access::{Action, Principal};
use sealwright_core::{Problem, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Siem, input};
use crate::model::{RuleInfo, Setting};

/// For whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    /// As it is for this tenant, by slug or id; for all without settings of their own when absent.
    tenant: Option<String>,
}

fn tenant(siem: &Siem, by: &Principal, name: Option<&str>) -> Result<Option<TenantId>, Problem> {
    match name {
        Some(name) => input::tenant(by, &siem.directory, name).map(Some),
        None => Ok(by.tenants.tenant()),
    }
}

/// Rules, and what could not be loaded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rules {
    /// The rules.
    rules: Vec<RuleInfo>,
    /// Faults of files and settings, with their places.
    errors: Vec<String>,
}

/// All rules, as they are for a tenant. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/rules", tag = "siem", params(TenantQuery),
    responses((status = 200, body = Rules), (status = 404)))]
pub(super) async fn list(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<TenantQuery>, QueryRejection>,
) -> Result<Json<Rules>, Problem> {
    by.require(Action::SiemRead)?;
    let of = tenant(&siem, &by, input::query(query)?.tenant.as_deref())?;
    let (rules, errors) = siem.rules.list(of).await?;
    Ok(Json(Rules { rules, errors }))
}

/// What is set for a rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingOf {
    /// For which tenant, by slug; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// What is set.
    setting: Setting,
    /// Grows with each change; the ETag.
    revision: i64,
}

/// A rule with its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WholeRule {
    #[serde(flatten)]
    info: RuleInfo,
    /// The file that it is in.
    text: String,
    /// What is set for it.
    settings: Vec<SettingOf>,
}

/// One rule with its text and settings. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/rules/{id}", tag = "siem",
    params(("id" = String, Path), TenantQuery),
    responses((status = 200, body = WholeRule), (status = 404)))]
pub(super) async fn show(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    query: Result<Query<TenantQuery>, QueryRejection>,
) -> Result<Json<WholeRule>, Problem> {
    by.require(Action::SiemRead)?;
    let of = tenant(&siem, &by, input::query(query)?.tenant.as_deref())?;
    let (info, text) = siem.rules.find(of, &id).await?;
    let settings = siem.rules.settings(by.tenants, &id).await?;
    Ok(Json(WholeRule {
        info,
        text,
        settings: settings
            .into_iter()
            .map(|kept| SettingOf {
                tenant: kept.tenant.map(|id| siem.slug(id)),
                setting: kept.setting,
                revision: kept.revision,
            })
            .collect(),
    }))
}

/// Sets what shall differ from a rule, for one tenant or for all. Needs `siem:write`, and credentials for
/// all tenants where no tenant is named.
#[utoipa::path(put, path = "/api/siem/rules/{id}/setting", tag = "siem",
    params(("id" = String, Path), TenantQuery), request_body = Setting,
    responses((status = 200, body = SettingOf), (status = 404), (status = 412), (status = 422)))]
pub(super) async fn set(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    query: Result<Query<TenantQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::SiemWrite)?;
    let of = tenant(&siem, &by, input::query(query)?.tenant.as_deref())?;
    if of.is_none() {
        by.require_all_tenants()?;
    }
    let setting: Setting = input::json(&body)?;
    let seen = input::if_match(&headers)?;
    let kept = siem
        .rules
        .set(of, &id, seen, |_| setting, &by.actor())
        .await?;
    let answer = SettingOf {
        tenant: kept.tenant.map(|id| siem.slug(id)),
        setting: kept.setting,
        revision: kept.revision,
    };
    Ok(input::tagged(&answer, kept.revision))
}

/// What adding a file led to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FilePut {
    /// Its name.
    name: String,
    /// What its author should know.
    warnings: Vec<String>,
}

/// Adds a file of Sigma rules (YAML), or puts it in the place of the one of its name. Needs `siem:write` and
/// credentials for all tenants.
#[utoipa::path(put, path = "/api/siem/rule-files/{name}", tag = "siem",
    params(("name" = String, Path)), request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = FilePut), (status = 422, description = "Every fault with its place")))]
pub(super) async fn put_file(
    State(siem): State<Siem>,
    by: Principal,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<FilePut>, Problem> {
    by.require(Action::SiemWrite)?;
    by.require_all_tenants()?;
    let text = std::str::from_utf8(&body).map_err(|error| {
        Problem::bad_request(format!("byte {}: not UTF-8", error.valid_up_to()))
    })?;
    let warnings = siem.rules.put_file(&name, text, &by.actor()).await?;
    Ok(Json(FilePut { name, warnings }))
}

/// Removes one of the installation's own rule files. Needs `siem:write` and credentials for all tenants.
#[utoipa::path(delete, path = "/api/siem/rule-files/{name}", tag = "siem",
    params(("name" = String, Path)), responses((status = 204), (status = 404)))]
pub(super) async fn remove_file(
    State(siem): State<Siem>,
    by: Principal,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    by.require(Action::SiemWrite)?;
    by.require_all_tenants()?;
    siem.rules.remove_file(&name, &by.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
