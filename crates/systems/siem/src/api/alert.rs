//! `/api/siem/alerts`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use sealwright_access::{Action, Principal};
use sealwright_core::{Page, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Siem, input};
use crate::model::{
    Alert, AlertBody, AlertEvent, AlertId, AlertState, Entity, HistoryEntry, IncidentId, Severity,
    Verdict,
};
use crate::service::alert::Change;
use crate::store::alert::Filter;

/// An alert without its events and history.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertSummary {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The rule's id.
    rule_id: String,
    /// The rule's title.
    title: String,
    /// The rule's author, which its licence asks to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_author: Option<String>,
    /// How bad it is.
    severity: Severity,
    /// How urgent: P0 to P3.
    priority: &'static str,
    /// Where it stands.
    state: AlertState,
    /// What it was, once it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    /// Who works on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// How often it matched.
    matches: u64,
    /// Time of its first event, RFC 3339.
    first_at: String,
    /// Time of its last event, RFC 3339.
    last_at: String,
    /// When it was raised, RFC 3339.
    created_at: String,
    /// Until when it shall be answered, RFC 3339.
    due_at: String,
    /// When it was escalated, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    escalated_at: Option<String>,
    /// When it was closed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    /// Its incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<String>,
    /// Whom it is about.
    entities: Vec<Entity>,
    /// Grows with each change; the ETag.
    revision: i64,
    /// SHA-256 of what is sealed in the ledger.
    digest: String,
    /// The ledger entry of its raising.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<String>,
}

impl AlertSummary {
    /// An alert as lists show it.
    pub fn of(siem: &Siem, alert: &Alert) -> Self {
        let time = |at: Option<sealwright_core::UnixMicros>| at.map(|at| at.to_string());
        Self {
            id: alert.id.to_string(),
            tenant: siem.slug(alert.tenant),
            rule_id: alert.body.rule.id.clone(),
            title: alert.body.rule.title.clone(),
            rule_author: alert.body.rule.author.clone(),
            severity: alert.severity,
            priority: alert.severity.priority(),
            state: alert.state,
            verdict: alert.verdict,
            owner: alert.owner.clone(),
            matches: alert.matches,
            first_at: alert.first_at.to_string(),
            last_at: alert.last_at.to_string(),
            created_at: alert.created_at.to_string(),
            due_at: alert.due_at.to_string(),
            escalated_at: time(alert.escalated_at),
            closed_at: time(alert.closed_at),
            incident: alert.incident.map(|id| id.to_string()),
            entities: alert.body.entities.clone(),
            revision: alert.revision,
            digest: alert.digest.to_string(),
            ledger_entry: alert.ledger_entry.clone(),
        }
    }
}

/// An alert with everything about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholeAlert {
    #[serde(flatten)]
    summary: AlertSummary,
    /// What it says: the rule, what held, the window, the events' digests.
    body: AlertBody,
    /// Its events, as far as they are kept.
    events: Vec<AlertEvent>,
    /// What happened to it.
    history: Vec<HistoryEntry>,
}

/// An alert with everything about it.
///
/// # Errors
/// From the state.
pub async fn whole(siem: &Siem, alert: &Alert) -> Result<WholeAlert, Problem> {
    Ok(WholeAlert {
        summary: AlertSummary::of(siem, alert),
        body: alert.body.clone(),
        events: siem.alerts.events(alert).await?,
        history: siem.alerts.history(alert).await?,
    })
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// Only this state.
    state: Option<AlertState>,
    /// With `true` only those that are not closed.
    open: Option<bool>,
    /// Only this severity and worse.
    severity: Option<Severity>,
    /// Only of this rule.
    rule: Option<String>,
    /// Only of this incident.
    incident: Option<String>,
    /// Only about this entity, as `kind:value`.
    entity: Option<String>,
    /// Only raised from this moment on.
    from: Option<String>,
    /// Only raised before this moment.
    to: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    limit: Option<u32>,
}

/// An entity as `kind:value`.
pub(super) fn entity(text: &str) -> Result<Entity, Problem> {
    let (kind, value) = text.split_once(':').ok_or_else(|| {
        Problem::bad_request(format!("`{text}` is no entity; write kind:value, user:ada"))
    })?;
    Ok(Entity {
        kind: kind.to_owned(),
        value: value.to_owned(),
    })
}

/// Alerts, newest first. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/alerts", tag = "siem", params(ListQuery),
    responses((status = 200, body = Page<AlertSummary>), (status = 400), (status = 404)))]
pub(super) async fn list(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page<AlertSummary>>, Problem> {
    by.require(Action::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let limit = query.limit.unwrap_or(50).clamp(1, 500);
    let moment = |name: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| input::moment(name, text))
            .transpose()
    };
    let incident: Option<IncidentId> = query
        .incident
        .as_deref()
        .map(|text| input::id("incident", text))
        .transpose()?;
    let after: Option<AlertId> = query
        .cursor
        .as_deref()
        .map(|text| {
            text.parse().map_err(|_| {
                Problem::bad_request("the cursor is not one of this list; start without one")
            })
        })
        .transpose()?;
    let filter = Filter {
        state: query.state,
        open: query.open.unwrap_or(false),
        severity: query.severity,
        rule: query.rule,
        incident,
        entity: query.entity.as_deref().map(entity).transpose()?,
        from: moment("from", &query.from)?,
        to: moment("to", &query.to)?,
        after,
        limit: limit + 1,
    };
    let mut alerts = siem.alerts.list(scope, &filter).await?;
    let more = alerts.len() > limit as usize;
    alerts.truncate(limit as usize);
    Ok(Json(Page {
        next: alerts
            .last()
            .filter(|_| more)
            .map(|last| last.id.to_string()),
        items: alerts
            .iter()
            .map(|alert| AlertSummary::of(&siem, alert))
            .collect(),
    }))
}

async fn find(siem: &Siem, by: &Principal, id: &str) -> Result<Alert, Problem> {
    let id: AlertId = input::id("alert", id)?;
    Ok(siem.alerts.find(by.tenants, id).await?)
}

/// One alert with what it says, its events and its history. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/alerts/{id}", tag = "siem", params(("id" = String, Path)),
    responses((status = 200, body = WholeAlert), (status = 404)))]
pub(super) async fn show(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    by.require(Action::SiemRead)?;
    let alert = find(&siem, &by, &id).await?;
    Ok(input::tagged(&whole(&siem, &alert).await?, alert.revision))
}

/// One alert as an OCSF 1.3 detection finding. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/alerts/{id}/ocsf", tag = "siem", params(("id" = String, Path)),
    responses((status = 200, description = "Class 2004, Detection Finding"), (status = 404)))]
pub(super) async fn ocsf(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, Problem> {
    by.require(Action::SiemRead)?;
    let alert = find(&siem, &by, &id).await?;
    let events = siem.alerts.events(&alert).await?;
    Ok(Json(crate::service::ocsf::finding(
        &alert,
        &events,
        &siem.slug(alert.tenant),
        env!("CARGO_PKG_VERSION"),
    )))
}

/// The events of an alert as they were kept by the action `preserve-evidence`. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/alerts/{id}/evidence", tag = "siem", params(("id" = String, Path)),
    responses((status = 200, description = "The alert as it was sealed, and its events as they were received"), (status = 404)))]
pub(super) async fn evidence(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    by.require(Action::SiemRead)?;
    let alert = find(&siem, &by, &id).await?;
    let text = siem.alerts.evidence(&alert).await?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Words that go with a change.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoteBody {
    /// Why, or what was found.
    note: String,
}

/// How an alert is closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseBody {
    /// What it was.
    verdict: Verdict,
    /// Why; needed for what was no true positive.
    #[serde(default)]
    note: String,
}

/// Who shall work on an alert.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignBody {
    /// Nobody when it is absent.
    owner: Option<String>,
    /// Why.
    #[serde(default)]
    note: String,
}

async fn change(
    siem: &Siem,
    by: &Principal,
    id: &str,
    headers: &HeaderMap,
    change: &Change,
    note: &str,
) -> Result<Response, Problem> {
    by.require(Action::SiemWrite)?;
    let id: AlertId = input::id("alert", id)?;
    let seen = input::if_match(headers)?;
    let alert = siem
        .alerts
        .change(by.tenants, id, seen, change, note, &by.actor())
        .await?;
    Ok(input::tagged(
        &AlertSummary::of(siem, &alert),
        alert.revision,
    ))
}

/// Says that somebody works on an alert. Needs `siem:write`; `If-Match` refuses what has changed since.
#[utoipa::path(post, path = "/api/siem/alerts/{id}/acknowledge", tag = "siem",
    params(("id" = String, Path)), request_body = NoteBody,
    responses((status = 200, body = AlertSummary), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn acknowledge(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: NoteBody = input::json(&body)?;
    change(&siem, &by, &id, &headers, &Change::Acknowledge, &body.note).await
}

/// Closes an alert with a verdict. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/alerts/{id}/close", tag = "siem",
    params(("id" = String, Path)), request_body = CloseBody,
    responses((status = 200, body = AlertSummary), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn close(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: CloseBody = input::json(&body)?;
    let what = Change::Close(body.verdict);
    change(&siem, &by, &id, &headers, &what, &body.note).await
}

/// Works on a closed alert again. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/alerts/{id}/reopen", tag = "siem",
    params(("id" = String, Path)), request_body = NoteBody,
    responses((status = 200, body = AlertSummary), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn reopen(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: NoteBody = input::json(&body)?;
    change(&siem, &by, &id, &headers, &Change::Reopen, &body.note).await
}

/// Gives an alert to somebody. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/alerts/{id}/assign", tag = "siem",
    params(("id" = String, Path)), request_body = AssignBody,
    responses((status = 200, body = AlertSummary), (status = 404), (status = 412)))]
pub(super) async fn assign(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: AssignBody = input::json(&body)?;
    let what = Change::Assign(body.owner);
    change(&siem, &by, &id, &headers, &what, &body.note).await
}

/// Adds a note to an alert. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/alerts/{id}/notes", tag = "siem",
    params(("id" = String, Path)), request_body = NoteBody,
    responses((status = 200, body = AlertSummary), (status = 404), (status = 412)))]
pub(super) async fn note(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: NoteBody = input::json(&body)?;
    change(&siem, &by, &id, &headers, &Change::Note, &body.note).await
}
