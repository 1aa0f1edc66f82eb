//! `/api/siem/suppressions`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Siem, alert, input};
use crate::model::{AlertId, Entity, Severity, Suppression, SuppressionId};

/// A suppression.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuppressionSummary {
    /// The id.
    id: String,
    /// The tenant's slug.
    tenant: String,
    /// Of which rule.
    rule_id: String,
    /// Only about this entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Entity>,
    /// The worst severity that it covers.
    severity: Severity,
    /// The entities that were known when it was made; any other breaks it.
    known: Vec<Entity>,
    /// Why.
    reason: String,
    /// Who answers for it.
    owner: String,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    ends_at: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Whether it holds now.
    holds: bool,
    /// Matches that became no alerts.
    hits: u64,
    /// Grows with each change; the ETag.
    revision: i64,
}

impl SuppressionSummary {
    /// A suppression as lists show it.
    pub fn of(siem: &Siem, s: &Suppression) -> Self {
        Self {
            id: s.id.to_string(),
            tenant: siem.slug(s.tenant),
            rule_id: s.rule_id.clone(),
            entity: s.entity.clone(),
            severity: s.severity,
            known: s.known.clone(),
            reason: s.reason.clone(),
            owner: s.owner.clone(),
            created_at: s.created_at.to_string(),
            ends_at: s.ends_at.to_string(),
            ended_at: s.ended_at.map(|at| at.to_string()),
            holds: s.holds(siem.clock.now()),
            hits: s.hits,
            revision: s.revision,
        }
    }
}

/// Which suppressions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
}

/// Suppressions, newest first. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/suppressions", tag = "siem", params(ListQuery),
    responses((status = 200, body = [SuppressionSummary]), (status = 404)))]
pub(super) async fn list(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Vec<SuppressionSummary>>, Problem> {
    by.require(Action::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let found = siem.suppressions.list(scope).await?;
    Ok(Json(
        found
            .iter()
            .map(|s| SuppressionSummary::of(&siem, s))
            .collect(),
    ))
}

/// What shall be suppressed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSuppression {
    /// The alert that is not wanted again: its rule, severity and entities are what is covered.
    alert: String,
    /// Only about this one of its entities, as `kind:value`.
    entity: Option<String>,
    /// Until when: RFC 3339 or a day; within 366 days.
    until: String,
    /// Why.
    reason: String,
}

/// Suppresses what an alert says for a time. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/suppressions", tag = "siem", request_body = NewSuppression,
    responses((status = 201, body = SuppressionSummary), (status = 404), (status = 422)))]
pub(super) async fn create(
    State(siem): State<Siem>,
    by: Principal,
    body: Bytes,
) -> Result<Response, Problem> {
    by.require(Action::SiemWrite)?;
    let new: NewSuppression = input::json(&body)?;
    let id: AlertId = input::id("alert", &new.alert)?;
    let of = siem.alerts.find(by.tenants, id).await?;
    let entity = new.entity.as_deref().map(alert::entity).transpose()?;
    let until = input::moment("until", &new.until)?;
    let made = siem
        .suppressions
        .of_alert(&of, entity, until, &new.reason, &by.actor())
        .await?;
    let answer = input::tagged(&SuppressionSummary::of(&siem, &made), made.revision);
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Ends a suppression before its time. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/suppressions/{id}/end", tag = "siem",
    params(("id" = String, Path)),
    responses((status = 200, body = SuppressionSummary), (status = 404), (status = 409), (status = 412)))]
pub(super) async fn end(
    State(siem): State<Siem>,
    by: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    by.require(Action::SiemWrite)?;
    let id: SuppressionId = input::id("suppression", &id)?;
    let seen = input::if_match(&headers)?;
    let ended = siem
        .suppressions
        .end(by.tenants, id, seen, &by.actor())
        .await?;
    Ok(input::tagged(
        &SuppressionSummary::of(&siem, &ended),
        ended.revision,
    ))
}
