//! Retro-hunt: rules over stored history, with exactly what the stream would have found.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_core::{TenantId, UnixMicros};
use sealwright_events::{History, HistoryQuery, StoredEvent};
use serde::Serialize;
use utoipa::ToSchema;

use super::SiemError;
use super::build::Builder;
use super::detect::{Detector, Finding, Observed, Terms, matcher};
use super::normalise::normalise;
use super::ruleset::Ruleset;
use crate::model::Severity;

/// Most events of one retro-hunt.
pub const MOST_EVENTS: u64 = 20_000_000;
const PAGE: usize = 5_000;

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
    let mut detector = Detector::new(Arc::clone(&ruleset), terms)?;
    let mut matcher = matcher(&ruleset);
    let mut report = Report::default();
    let mut alerts: BTreeMap<String, WouldBe> = BTreeMap::new();
    let mut start = 0;
    let mut latest = UnixMicros(i64::MIN);
    loop {
        let page = history.page(&query, start, PAGE).await?;
        let Some(last) = page.last().map(|event| event.offset) else {
            break;
        };
        let mut found = Vec::new();
        for event in &page {
            latest = latest.max(event.received_at);
            match offer(&mut detector, &mut matcher, event, &mut found) {
                Ok(late) => report.late += u64::from(late),
                Err(_) => report.refused += 1,
            }
            report.events += 1;
        }
        detector.take_journal();
        collect(
            &ruleset,
            span.tenant,
            found,
            &page,
            &mut report,
            &mut alerts,
        )
        .await?;
        start = last + 1;
        if report.events >= MOST_EVENTS {
            report.cut = true;
            break;
        }
        tokio::task::yield_now().await;
    }
    // The present has passed since: what waited for lateness has long been judged.
    if latest.0 != i64::MIN {
        let mut found = Vec::new();
        let after = terms
            .lateness
            .saturating_add(terms.idle)
            .saturating_add(2_000_000);
        detector.tick(latest.plus(after), &mut found);
        collect(&ruleset, span.tenant, found, &[], &mut report, &mut alerts).await?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let events = report.events.max(1) as f64;
    report.per_event = report.seconds * 1e6 / events;
    report.alerts = alerts.into_values().collect();
    report
        .alerts
        .sort_by(|a, b| (a.first_at, &a.key).cmp(&(b.first_at, &b.key)));
    Ok(report)
}

fn offer(
    detector: &mut Detector,
    matcher: &mut sealwright_sigma::compiled::Matcher,
    event: &StoredEvent,
    found: &mut Vec<Finding>,
) -> Result<bool, String> {
    let normalised = normalise(event).map_err(|error| error.to_string())?;
    let observed = Observed {
        offset: event.offset,
        source: &event.source,
        time: event.time,
        received: event.received_at,
        json: &normalised.json,
    };
    let offered = detector.offer(matcher, &observed, found)?;
    Ok(offered.taken == sealwright_sigma::correlation::engine::Taken::Late)
}

async fn collect(
    ruleset: &Arc<Ruleset>,
    tenant: TenantId,
    found: Vec<Finding>,
    page: &[StoredEvent],
    report: &mut Report,
    alerts: &mut BTreeMap<String, WouldBe>,
) -> Result<(), SiemError> {
    let mut builder = Builder::new(tenant, Arc::clone(ruleset), page, None);
    for finding in found {
        builder.add(finding).await?;
    }
    for m in builder.finish() {
        let day = m.last.timestamp().strftime("%Y-%m-%d").to_string();
        let rule = m.rule.reference.id.clone();
        *report
            .days
            .entry(day)
            .or_default()
            .entry(rule.clone())
            .or_insert(0) += m.count;
        let events: Vec<u64> = m.events.iter().map(|event| event.offset).collect();
        match alerts.get_mut(&m.key) {
            Some(there) => {
                there.matches += m.count;
                there.first_at = there.first_at.min(m.first);
                there.last_at = there.last_at.max(m.last);
                there.events = events;
            }
            None => {
                alerts.insert(
                    m.key.clone(),
                    WouldBe {
                        rule_id: rule,
                        title: m.rule.reference.title.clone(),
                        severity: m.rule.severity,
                        key: m.key,
                        matches: m.count,
                        first_at: m.first,
                        last_at: m.last,
                        events,
                    },
                );
            }
        }
    }
    Ok(())
}
