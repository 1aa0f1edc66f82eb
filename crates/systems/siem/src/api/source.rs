//! `/api/siem/sources`, `/api/siem/late` and `/api/siem/dead-letters`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use sealwright_access::{Action, Principal};
use sealwright_core::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Siem, input};
use crate::store::source::Aside;

/// For whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
}

/// A source of events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SourceAnswer {
    /// The tenant's slug.
    tenant: String,
    /// The `source` of its events.
    source: String,
    /// When its last event was received, RFC 3339.
    last_received: String,
    /// The latest time of its events, RFC 3339.
    last_time: String,
    /// From the latest time of its events to their receipt, in seconds.
    lag_seconds: i64,
    /// Events so far.
    events: u64,
    /// Of them too late to be correlated.
    late: u64,
    /// Of them from the future.
    future: u64,
    /// Whether it has been silent for too long.
    silent: bool,
    /// Fields that rules need, and that its events used to carry and carry no more.
    vanished: Vec<String>,
}

/// Sources and how far they are. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/sources", tag = "siem", params(TenantQuery),
    responses((status = 200, body = [SourceAnswer]), (status = 404)))]
pub(super) async fn list(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<TenantQuery>, QueryRejection>,
) -> Result<Json<Vec<SourceAnswer>>, Problem> {
    by.require(Action::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let now = siem.clock.now();
    let sources = siem.sources.list(scope).await?;
    let gone = siem.fields.list(scope).await?;
    let answer = sources.into_iter().map(|s| {
        let gone = gone
            .iter()
            .filter(|g| g.tenant == s.tenant && g.source == s.source);
        let silence = s.silence.unwrap_or_else(|| siem.sources.silence());
        SourceAnswer {
            vanished: gone.map(|g| g.field.clone()).collect(),
            tenant: siem.slug(s.tenant),
            lag_seconds: s.last_received.since(s.last_time).max(0) / 1_000_000,
            silent: now.since(s.last_received) > silence,
            source: s.source,
            last_received: s.last_received.to_string(),
            last_time: s.last_time.to_string(),
            events: s.events,
            late: s.late,
            future: s.future,
        }
    });
    Ok(Json(answer.collect()))
}

/// An event that was put aside.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AsideAnswer {
    /// The tenant's slug.
    tenant: String,
    /// Its place in the log.
    offset: u64,
    /// Where it came from.
    source: String,
    /// Its id there.
    event_id: String,
    /// Its type.
    event_type: String,
    /// When it happened, RFC 3339.
    time: String,
    /// Why it was put aside.
    reason: String,
    /// When it was received or put aside, RFC 3339.
    at: String,
    /// When it was evaluated after all, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed_at: Option<String>,
}

impl AsideAnswer {
    fn of(siem: &Siem, aside: Aside) -> Self {
        Self {
            tenant: siem.slug(aside.tenant),
            offset: aside.offset,
            source: aside.source,
            event_id: aside.event_id,
            event_type: aside.event_type,
            time: aside.time.to_string(),
            reason: aside.reason,
            at: aside.at.to_string(),
            replayed_at: aside.replayed_at.map(|at| at.to_string()),
        }
    }
}

/// Events that matched part of a correlation and came too late for it, the latest 500. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/late", tag = "siem", params(TenantQuery),
    responses((status = 200, body = [AsideAnswer]), (status = 404)))]
pub(super) async fn late(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<TenantQuery>, QueryRejection>,
) -> Result<Json<Vec<AsideAnswer>>, Problem> {
    by.require(Action::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let found = siem.sources.late(scope, 500).await?;
    Ok(Json(
        found
            .into_iter()
            .map(|a| AsideAnswer::of(&siem, a))
            .collect(),
    ))
}

/// Events that could not be evaluated, the latest 500. Needs `siem:read`.
#[utoipa::path(get, path = "/api/siem/dead-letters", tag = "siem", params(TenantQuery),
    responses((status = 200, body = [AsideAnswer]), (status = 404)))]
pub(super) async fn dead_letters(
    State(siem): State<Siem>,
    by: Principal,
    query: Result<Query<TenantQuery>, QueryRejection>,
) -> Result<Json<Vec<AsideAnswer>>, Problem> {
    by.require(Action::SiemRead)?;
    let query = input::query(query)?;
    let scope = input::scope(&by, &siem.directory, query.tenant.as_deref())?;
    let found = siem.sources.dead_letters(scope, false, 500).await?;
    Ok(Json(
        found
            .into_iter()
            .map(|a| AsideAnswer::of(&siem, a))
            .collect(),
    ))
}

/// Evaluates a dead letter again, after what was wrong was put right. Needs `siem:write`.
#[utoipa::path(post, path = "/api/siem/dead-letters/{offset}/replay", tag = "siem",
    params(("offset" = u64, Path)),
    responses((status = 204), (status = 404), (status = 409), (status = 422)))]
pub(super) async fn replay(
    State(siem): State<Siem>,
    by: Principal,
    Path(offset): Path<u64>,
) -> Result<StatusCode, Problem> {
    by.require(Action::SiemWrite)?;
    replay_at(&siem, by.tenants, offset).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Evaluates the dead letter at an offset again.
///
/// # Errors
/// 404 when there is none in the scope, or its event is not stored any more; 422 with the reason.
pub async fn replay_at(
    siem: &Siem,
    scope: sealwright_core::TenantScope,
    offset: u64,
) -> Result<(), Problem> {
    let missing = || Problem::not_found(format!("there is no dead letter at offset {offset}"));
    let dead = siem.sources.dead_letters(scope, false, 10_000).await?;
    let letter = dead
        .into_iter()
        .find(|d| d.offset == offset)
        .ok_or_else(missing)?;
    let query = sealwright_events::HistoryQuery {
        tenant: letter.tenant,
        event_types: Vec::new(),
        from: None,
        to: sealwright_core::UnixMicros(i64::MAX),
        below_offset: offset + 1,
    };
    let events = siem
        .history
        .page(&query, offset, 1)
        .await
        .map_err(crate::service::SiemError::from)?;
    let event = events
        .into_iter()
        .find(|event| event.offset == offset)
        .ok_or_else(|| Problem::not_found("the event is not stored any more, or not yet"))?;
    siem.detection.replay(&event).await?;
    Ok(())
}
