//! `/api/siem/actions` and the actions of an alert.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sealwright_access::{Action as May, Principal};
use sealwright_core::Problem;
use sealwright_core::clock::HOUR;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Siem, input};
use crate::model::{Action, ActionId, ActionState, AlertId};
use crate::service::respond::Wanted;

/// An action.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionAnswer {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// The alert that it is about.
    alert: String,
    /// What is done.
    kind: String,
    /// To what.
    target: String,
    /// Where it stands.
    state: ActionState,
    /// Only says what would be done.
    dry_run: bool,
    /// Who asked for it.
    requested_by: String,
    /// RFC 3339.
    requested_at: String,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_at: Option<String>,
    /// When it is undone by itself, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Whether it can be undone now.
    undoable: bool,
    /// What happened, in words.
    detail: String,
}

impl ActionAnswer {
    /// An action as it goes out.
    pub fn of(siem: &Siem, action: &Action) -> Self {
        Self {
            id: action.id.to_string(),
            tenant: siem.slug(action.tenant),
            alert: action.alert.to_string(),
            kind: action.kind.clone(),
            target: action.target.clone(),
            state: action.state,
            dry_run: action.dry_run,
            requested_by: action.requested_by.clone(),
            requested_at: action.requested_at.to_string(),
            approved_by: action.approved_by.clone(),
            done_at: action.done_at.map(|at| at.to_string()),
            expires_at: action.expires_at.map(|at| at.to_string()),
            undoable: action.state == ActionState::Done && !action.undo.is_empty(),
            detail: action.detail.clone(),
        }
    }
}

/// Which actions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// Only this state.
    state: Option<ActionState>,
}

/// Actions, newest first. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/actions", tag = "siem", params(ListQuery),
    responses((status = 200, body = [ActionAnswer]), (status = 404)))]
pub(super) async fn list(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Vec<ActionAnswer>>, Problem> {
    by.require(May::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let found = siem.respond.list(scope, query.state).await?;
    Ok(Json(
        found.iter().map(|a| ActionAnswer::of(&siem, a)).collect(),
    ))
}

/// An action that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// `disable-user`, `block-address`, `preserve-evidence` and so on: those that docs/siem.md lists.
    kind: String,
    /// To which of the alert's entities; the only one of its kind when absent.
    #[serde(default)]
    target: String,
    /// For how many hours; until it is undone when absent.
    hours: Option<i64>,
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
    /// Somebody else must approve it first.
    #[serde(default)]
    approval: bool,
}

/// Asks for an action about an alert. Needs `siem:write` and `access:admin`, as it changes who may do what.
#[utoipa::path(post, path = "/api/siem/alerts/{id}/actions", tag = "siem",
    params(("id" = String, Path)), request_body = Ask,
    responses((status = 201, body = ActionAnswer), (status = 404), (status = 422)))]
pub(super) async fn ask(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(May::SiemWrite)?;
    let ask: Ask = input::json(&body)?;
    if !ask.dry_run {
        by.require(May::AccessAdmin)?;
    }
    let id: AlertId = input::id("alert", &id)?;
    let alert = siem.alerts.find(by.tenants, id).await?;
    let entities = siem.alerts.entities(&alert).await?;
    let wanted = Wanted {
        kind: ask.kind,
        target: ask.target,
        holds: ask.hours.map(|hours| hours.saturating_mul(HOUR)),
        dry_run: ask.dry_run,
        approval: ask.approval,
    };
    let action = siem
        .respond
        .ask(&alert, &entities, &wanted, &by.actor())
        .await?;
    Ok((StatusCode::CREATED, Json(ActionAnswer::of(&siem, &action))).into_response())
}

/// Approves (`approve`), refuses (`refuse`) or undoes (`undo`) an action. Needs `siem:write` and
/// `access:admin`. Who asked for an action cannot approve it.
#[utoipa::path(post, path = "/api/siem/actions/{id}/{step}", tag = "siem",
    params(("id" = String, Path), ("step" = String, Path)),
    responses((status = 200, body = ActionAnswer), (status = 404), (status = 409)))]
pub(super) async fn step(
    State(siem): State<Siem>,
    by: Principal,
    Path((id, step)): Path<(String, String)>,
) -> Result<Json<ActionAnswer>, Problem> {
    by.require(May::SiemWrite)?;
    by.require(May::AccessAdmin)?;
    let id: ActionId = input::id("action", &id)?;
    let (respond, actor) = (&siem.respond, by.actor());
    let action = match step.as_str() {
        "approve" => respond.decide(by.tenants, id, true, &actor).await?,
        "refuse" => respond.decide(by.tenants, id, false, &actor).await?,
        "undo" => respond.undo(by.tenants, id, &actor).await?,
        other => {
            return Err(Problem::not_found(format!("an action has no step {other}")));
        }
    };
    Ok(Json(ActionAnswer::of(&siem, &action)))
}
