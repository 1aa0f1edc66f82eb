//! Retro-hunt: rules over stored history, with exactly what the stream would have found.
//!
//! Which rules match an event depends on nothing but the event: that is judged on all processors ([`judge`]), while the
//! next events are read and what follows from those before is worked out in their order ([`course`]). Where the index of stored events
//! says which rules match, and what alerts and correlations need of an event, the event is not read.

mod course;
mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_core::{TenantId, UnixMicros};
use sealwright_events::{History, HistoryQuery};
use serde::Serialize;
use utoipa::ToSchema;

use self::course::Course;
use self::judge::Judge;
use super::SiemError;
use super::detect::{Detector, Terms};
use super::ruleset::Ruleset;
use crate::model::Severity;

/// Most events of one retro-hunt.
pub const MOST_EVENTS: u64 = 20_000_000;

/// Over what a retro-hunt goes.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Whose events.
    pub tenant: TenantId,
    /// From which event time (included); `None` for all.
    pub from: Option<UnixMicros>,
    /// Until which event time (not included).
    pub to: UnixMicros,
}

/// An alert that the stream would have given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WouldBe {
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Rule and group: matches with the same key are one alert.
    pub key: String,
    /// How often it would have matched.
    pub matches: u64,
    /// When its first event happened.
    #[schema(value_type = i64)]
    pub first_at: UnixMicros,
    /// When its last event happened.
    #[schema(value_type = i64)]
    pub last_at: UnixMicros,
    /// The last match's events, by offset.
    pub events: Vec<u64>,
}

/// What a retro-hunt found, and what the rules cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// Events that were evaluated.
    pub events: u64,
    /// Events that could not be.
    pub refused: u64,
    /// Events that came too late for correlations, as they did then.
    pub late: u64,
    /// Seconds of work.
    pub seconds: f64,
    /// Microseconds for an event.
    pub per_event: f64,
    /// Alerts by UTC day (2026-11-22) and rule.
    pub days: BTreeMap<String, BTreeMap<String, u64>>,
    /// The alerts.
    pub alerts: Vec<WouldBe>,
    /// Whether it stopped at its limit of events before the end.
    pub cut: bool,
}

/// Runs rules over the stored events of a tenant, in the order of the log and with the clock of their
/// receipt.
///
/// # Errors
/// From the stored events; when a correlation asks for too much.
pub async fn run(
    history: &dyn History,
    ruleset: Arc<Ruleset>,
    terms: Terms,
    span: Span,
) -> Result<Report, SiemError> {
    let started = std::time::Instant::now();
    let end = history.next_offset().await?;
    let query = HistoryQuery {
        tenant: span.tenant,
        event_types: Vec::new(),
        from: span.from,
        to: span.to,
        below_offset: end,
    };
    let detector = Detector::new(Arc::clone(&ruleset), terms)?.without_journal();
    let judge = Arc::new(Judge::new(&ruleset, &detector));
    let mut course = Course::new(detector);
    let mut sieve = history.sift(&query, judge.sieve()).await?;
    let mut page = sieve.next().await?;
    let mut given = page.len() as u64;
    let mut judged = Vec::new();
    while !page.is_empty() || !judged.is_empty() {
        let more = !page.is_empty() && given < MOST_EVENTS;
        let next = async {
            if more {
                sieve.next().await
            } else {
                Ok(Vec::new())
            }
        };
        let seen = judge::all(Arc::clone(&judge), page);
        let (next, seen, went_on) = tokio::join!(next, seen, course.go_on(judged));
        (page, judged, course) = (next?, seen?, went_on?);
        given += page.len() as u64;
    }
    let mut report = course.finish(terms);
    report.cut = given >= MOST_EVENTS;
    report.seconds = started.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let events = report.events.max(1) as f64;
    report.per_event = report.seconds * 1e6 / events;
    Ok(report)
}
