//! `/api/siem/incidents`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sealwright_access::{Action, Principal};
use sealwright_core::{Page, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alert::AlertSummary;
use super::{Siem, input};
use crate::model::{HistoryEntry, Incident, IncidentId, IncidentState, Severity};
use crate::service::incident::Change;
use crate::store::alert::Filter;

/// An incident.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentSummary {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// What people call it.
    title: String,
    /// Where it stands.
    state: IncidentState,
    /// The highest severity of its alerts.
    severity: Severity,
    /// Who leads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    /// Grows with each change; the ETag.
    revision: i64,
}

impl IncidentSummary {
    /// An incident as lists show it.
    pub fn of(siem: &Siem, incident: &Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            tenant: siem.slug(incident.tenant),
            title: incident.title.clone(),
            state: incident.state,
            severity: incident.severity,
            owner: incident.owner.clone(),
            created_at: incident.created_at.to_string(),
            updated_at: incident.updated_at.to_string(),
            closed_at: incident.closed_at.map(|at| at.to_string()),
            revision: incident.revision,
        }
    }
}

/// An incident with its alerts and history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WholeIncident {
    #[serde(flatten)]
    summary: IncidentSummary,
    /// Its alerts, newest first.
    alerts: Vec<AlertSummary>,
    /// What happened to it.
    history: Vec<HistoryEntry>,
}

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// Only this state.
    state: Option<IncidentState>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// Incidents, newest first. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/incidents", tag = "siem", params(ListQuery),
    responses((status = 200, body = Page<IncidentSummary>), (status = 400), (status = 404)))]
pub(super) async fn list(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page<IncidentSummary>>, Problem> {
    by.require(Action::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let after = query
        .cursor
        .as_deref()
        .map(|text| input::id("cursor", text))
        .transpose()?;
    let mut found = siem
        .incidents
        .list(scope, query.state, after, limit + 1)
        .await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    Ok(Json(Page {
        next: found
            .last()
            .filter(|_| more)
            .map(|last| last.id.to_string()),
        items: found
            .iter()
            .map(|one| IncidentSummary::of(&siem, one))
            .collect(),
    }))
}

/// One incident with its alerts. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/incidents/{id}", tag = "siem", params(("id" = String, Path)),
    responses((status = 200, body = WholeIncident), (status = 404)))]
pub(super) async fn show(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    by.require(Action::SiemRead)?;
    let id: IncidentId = input::id("incident", &id)?;
    let incident = siem.incidents.find(by.tenants, id).await?;
    let filter = Filter {
        incident: Some(id),
        limit: 500,
        ..Filter::default()
    };
    let alerts = siem.alerts.list(by.tenants, &filter).await?;
    let whole = WholeIncident {
        summary: IncidentSummary::of(&siem, &incident),
        alerts: alerts
            .iter()
            .map(|alert| AlertSummary::of(&siem, alert))
            .collect(),
        history: siem.incidents.history(&incident).await?,
    };
    Ok(input::tagged(&whole, incident.revision))
}

/// What is done to an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    /// `close`, `reopen`, `assign`, `rename` or `note`.
    action: String,
    /// The owner or the title.
    value: Option<String>,
    /// Words for people.
    #[serde(default)]
    note: String,
}

/// Closes, reopens, assigns, renames an incident, or adds a note. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/incidents/{id}/changes", tag = "siem",
    params(("id" = String, Path)), request_body = ChangeBody,
    responses((status = 200, body = IncidentSummary), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn change(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::SiemWrite)?;
    let body: ChangeBody = input::json(&body)?;
    let id: IncidentId = input::id("incident", &id)?;
    let change = match body.action.as_str() {
        "close" => Change::Close,
        "reopen" => Change::Reopen,
        "assign" => Change::Assign(body.value),
        "rename" => Change::Rename(body.value.unwrap_or_default()),
        "note" => Change::Note,
        other => {
            return Err(Problem::invalid(format!(
                "`action` is `{other}`; it is one of close, reopen, assign, rename, note"
            )));
        }
    };
    let seen = input::if_match(&headers)?;
    let changed = siem
        .incidents
        .change(by.tenants, id, seen, &change, &body.note, &by.actor())
        .await?;
    Ok(input::tagged(
        &IncidentSummary::of(&siem, &changed),
        changed.revision,
    ))
}
