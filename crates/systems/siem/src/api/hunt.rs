//! `/api/siem/hunt` and `/api/siem/retro`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use sealwright_access::{Action, Principal};
use sealwright_core::{Digest, Problem, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Siem, input};
use crate::model::RuleFile;
use crate::service::SiemError;
use crate::service::hunt::{Found, Hunt};
use crate::service::retro::{self, Report, Span};
use crate::service::ruleset::Ruleset;

/// What is looked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HuntBody {
    /// Terms: `user.name:ada -event.outcome:success "10.0.0."`; all events when it is empty.
    #[serde(default)]
    query: String,
    /// A Sigma rule that events must match too.
    rule: Option<String>,
    /// Only this tenant, by slug or id.
    tenant: Option<String>,
    /// From when: RFC 3339 or a day.
    from: String,
    /// Until when (not included): RFC 3339 or a day.
    to: String,
    /// The `next` of the page before.
    cursor: Option<u64>,
    /// Events on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
}

/// An event that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct HitAnswer {
    /// Its place in the log.
    offset: u64,
    /// The tenant's slug.
    tenant: String,
    /// When it happened, RFC 3339.
    time: String,
    /// Where it came from.
    source: String,
    /// Its id there.
    id: String,
    /// Its type.
    event_type: String,
    /// SHA-256 of the event.
    digest: String,
    /// What people look at first.
    summary: BTreeMap<String, String>,
    /// The whole event.
    event: serde_json::Value,
}

/// What a hunt found.
#[derive(Debug, Serialize, ToSchema)]
pub struct HuntAnswer {
    /// The page, the last accepted first.
    items: Vec<HitAnswer>,
    /// Give this as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// How many were found.
    total: u64,
    /// Events that were looked at one by one, because the index does not decide about them.
    scanned: usize,
    /// Whether the counts are of the whole span; otherwise there may be more.
    complete: bool,
    /// Buckets with some: start (RFC 3339) and count.
    histogram: Vec<(String, u64)>,
    /// Width of a bucket in seconds.
    bucket_seconds: i64,
    /// Of how many of the latest the facets are.
    faceted: u64,
    /// For each facet its most frequent values.
    facets: BTreeMap<String, Vec<(String, u64)>>,
}

impl HuntAnswer {
    /// What was found, as it goes out.
    pub fn of(siem: &Siem, found: Found) -> Self {
        Self {
            items: found
                .hits
                .into_iter()
                .map(|hit| HitAnswer {
                    offset: hit.event.offset,
                    tenant: siem.slug(hit.event.tenant),
                    time: hit.event.time.to_string(),
                    source: hit.event.source.clone(),
                    id: hit.event.id.clone(),
                    event_type: hit.event.event_type.clone(),
                    digest: hit.event.digest.to_string(),
                    summary: hit.summary,
                    event: hit.event.value().unwrap_or_default(),
                })
                .collect(),
            next: found.next,
            total: found.total,
            scanned: found.scanned,
            complete: found.complete,
            histogram: found
                .histogram
                .into_iter()
                .map(|(at, n)| (at.to_string(), n))
                .collect(),
            bucket_seconds: found.width / 1_000_000,
            faceted: found.faceted,
            facets: found.facets,
        }
    }
}

/// Looks for stored events. Needs `siem:read`.
#[utoipa::path(post, path = "/api/siem/hunt", tag = "siem", request_body = HuntBody,
    responses((status = 200, body = HuntAnswer), (status = 404), (status = 422)))]
pub(super) async fn hunt(
    State(siem): State<Siem>,
    by: Principal,
    body: Bytes,
) -> Result<Json<HuntAnswer>, Problem> {
    by.require(Action::SiemRead)?;
    let body: HuntBody = input::json(&body)?;
    let hunt = Hunt {
        query: body.query,
        rule: body.rule,
        scope: input::scope(&by, &siem.directory, body.tenant.as_deref())?,
        from: input::moment("from", &body.from)?,
        to: input::moment("to", &body.to)?,
        below: body.cursor,
        limit: body.limit.unwrap_or(100).clamp(1, 1_000),
    };
    let found = siem.hunter.hunt(&hunt).await?;
    Ok(Json(HuntAnswer::of(&siem, found)))
}

/// Rules over stored history.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetroBody {
    /// Sigma rules as text; the tenant's own rules when absent.
    rules: Option<String>,
    /// Only this one of the rules, whether or not it is enabled.
    rule: Option<String>,
    /// Whose events, by slug or id.
    tenant: String,
    /// From which event time: RFC 3339 or a day; all when absent.
    from: Option<String>,
    /// Until which event time (not included); now when absent.
    to: Option<String>,
}

/// Runs rules over a tenant's stored events, with exactly the alerts that the stream would have given, a
/// count for each day and what the rules cost. Raises nothing. Needs `siem:read`.
#[utoipa::path(post, path = "/api/siem/retro", tag = "siem", request_body = RetroBody,
    responses((status = 200, body = Report), (status = 404), (status = 422)))]
pub(super) async fn retro(
    State(siem): State<Siem>,
    by: Principal,
    body: Bytes,
) -> Result<Json<Report>, Problem> {
    by.require(Action::SiemRead)?;
    let body: RetroBody = input::json(&body)?;
    let tenant = input::tenant(&by, &siem.directory, &body.tenant)?;
    let moment = |name: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| input::moment(name, text))
            .transpose()
    };
    let span = Span {
        tenant,
        from: moment("from", &body.from)?,
        to: moment("to", &body.to)?.unwrap_or_else(|| siem.clock.now()),
    };
    Ok(Json(
        run(&siem, span, body.rules.as_deref(), body.rule.as_deref()).await?,
    ))
}

/// Runs rules (a text, one rule, or all of the tenant's) over stored history.
///
/// # Errors
/// From the rules and from the stored events.
pub async fn run(
    siem: &Siem,
    span: Span,
    text: Option<&str>,
    rule: Option<&str>,
) -> Result<Report, SiemError> {
    let ruleset = match text {
        Some(text) => Arc::new(of_text(text)?),
        None => siem.rules.compiled(Some(span.tenant)).await?,
    };
    let ruleset = match rule {
        None => ruleset,
        Some(id) => Arc::new(alone(siem, span.tenant, text, id).await?),
    };
    retro::run(siem.history.as_ref(), ruleset, siem.terms, span).await
}

fn of_text(text: &str) -> Result<Ruleset, SiemError> {
    let file = RuleFile {
        name: "rules".to_owned(),
        text: text.to_owned(),
        digest: Digest::of(text.as_bytes()),
        floor: false,
    };
    let ruleset = Ruleset::compile(&[file], &Default::default());
    if ruleset.errors.is_empty() {
        Ok(ruleset)
    } else {
        Err(SiemError::Faults(ruleset.errors))
    }
}

/// One rule by itself, enabled, with everything that it refers to.
async fn alone(
    siem: &Siem,
    tenant: TenantId,
    text: Option<&str>,
    id: &str,
) -> Result<Ruleset, SiemError> {
    let sources = siem.rules.sources().await?;
    let (files, mut settings) = match text {
        Some(text) => (
            Arc::new(vec![RuleFile {
                name: "rules".to_owned(),
                text: text.to_owned(),
                digest: Digest::of(text.as_bytes()),
                floor: false,
            }]),
            Default::default(),
        ),
        None => (
            sources.files.clone(),
            sources.settings(Some(tenant)).clone(),
        ),
    };
    settings.entry(id.to_owned()).or_default().enabled = Some(true);
    let mut ruleset = Ruleset::compile(&files, &settings);
    if !ruleset.infos.iter().any(|info| info.id == id) {
        return Err(SiemError::NotFound(format!("the rule `{id}`")));
    }
    for active in ruleset.rules.iter_mut().chain(&mut ruleset.correlations) {
        active.raises = active.reference.id == id;
    }
    Ok(ruleset)
}
