//! Retro-hunt: rules over stored history, with exactly what the stream would have found.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_core::{TenantId, UnixMicros, on_all_processors};
use sealwright_events::{History, HistoryError, HistoryQuery, Sifted, StoredEvent};
use sealwright_sigma::compiled::Matcher;
use sealwright_sigma::correlation::engine::Taken;
use serde::Serialize;
use utoipa::ToSchema;

use super::SiemError;
use super::build::Builder;
use super::detect::{Detector, Finding, Observed, Terms, matcher};
use super::hunt::sift_for;
use super::normalise::normalise;
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
    let mut detector = Detector::new(Arc::clone(&ruleset), terms)?;
    let mut matcher = matcher(&ruleset);
    let mut report = Report::default();
    let mut alerts: BTreeMap<String, WouldBe> = BTreeMap::new();
    let mut latest = UnixMicros(i64::MIN);
    let mut sieve = history
        .sift(&query, &sift_for(ruleset.set.rules().iter()))
        .await?;
    let mut page = sieve.next().await?;
    while !page.is_empty() {
        // While rules are matched, the next page is read.
        let more = report.events + (page.len() as u64) < MOST_EVENTS;
        let next = async {
            if more {
                sieve.next().await
            } else {
                Ok(Vec::new())
            }
        };
        let (seen, next) = tokio::join!(matched(&ruleset, page), next);
        let (events, matters) = seen?;
        let mut found = Vec::new();
        for (event, matters) in events.iter().zip(matters) {
            latest = latest.max(observed(event).received);
            match offer(&mut detector, &mut matcher, event, matters, &mut found) {
                Ok(late) => report.late += u64::from(late),
                Err(_) => report.refused += 1,
            }
            report.events += 1;
        }
        detector.take_journal();
        let whole: Vec<StoredEvent> = events.into_iter().filter_map(whole).collect();
        collect(
            &ruleset,
            span.tenant,
            found,
            &whole,
            &mut report,
            &mut alerts,
        )
        .await?;
        report.cut = report.events >= MOST_EVENTS;
        page = next?;
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

fn whole(event: Sifted) -> Option<StoredEvent> {
    match event {
        Sifted::Whole(event) => Some(event),
        Sifted::Passed(_) => None,
    }
}

/// Which events some rule matches, or cannot be evaluated, found on all processors. Which rules match an event depends on
/// nothing but the event; only what follows from it goes in order.
async fn matched(
    ruleset: &Arc<Ruleset>,
    page: Vec<Sifted>,
) -> Result<(Vec<Sifted>, Vec<bool>), SiemError> {
    const SHARE: usize = 500;
    let ruleset = Arc::clone(ruleset);
    let work = move || {
        let shares: Vec<&[Sifted]> = page.chunks(SHARE).collect();
        let matters = on_all_processors(&shares, |share| {
            let mut matcher = matcher(&ruleset);
            let one = |event: &Sifted| match event {
                Sifted::Whole(event) => matters(&mut matcher, event),
                Sifted::Passed(_) => false,
            };
            share.iter().map(one).collect::<Vec<bool>>()
        });
        let matters = matters.concat();
        (page, matters)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| HistoryError(error.to_string()).into())
}

fn matters(matcher: &mut Matcher, event: &StoredEvent) -> bool {
    let nothing = normalise(event).is_ok_and(|normalised| {
        matcher
            .matches_at(&normalised.json, Some(event.time.0))
            .is_ok_and(<[usize]>::is_empty)
    });
    !nothing
}

fn offer(
    detector: &mut Detector,
    matcher: &mut Matcher,
    event: &Sifted,
    matters: bool,
    found: &mut Vec<Finding>,
) -> Result<bool, String> {
    let mut observed = observed(event);
    let offered = match event {
        Sifted::Whole(event) if matters => {
            let normalised = normalise(event).map_err(|error| error.to_string())?;
            observed.json = &normalised.json;
            detector.offer(matcher, &observed, found)?
        }
        _ => detector.pass_by(matcher, &observed, found),
    };
    Ok(offered.taken == Taken::Late)
}

/// An event without its fields.
fn observed(event: &Sifted) -> Observed<'_> {
    let (offset, source, time, received) = match event {
        Sifted::Whole(event) => (event.offset, &*event.source, event.time, event.received_at),
        Sifted::Passed(passed) => (
            passed.offset,
            &*passed.source,
            passed.time,
            passed.received_at,
        ),
    };
    Observed {
        offset,
        source,
        time,
        received,
        json: "",
    }
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
