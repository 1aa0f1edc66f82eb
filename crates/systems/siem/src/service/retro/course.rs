//! What follows from the matches of rules, in the order of the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_core::UnixMicros;
use sealwright_events::HistoryError;
use sealwright_sigma::correlation::engine::{Alert as Fired, Taken};

use super::super::SiemError;
use super::super::build::{MOST_WINDOW, correlation_key, rule_key};
use super::super::detect::{Detector, Finding, Terms};
use super::super::ruleset::{Active, Ruleset};
use super::judge::{Judged, Verdict};
use super::{Report, WouldBe};

/// Behind lateness and idleness, in microseconds: the clock ticks in whole seconds.
const AFTER: i64 = 2_000_000;

/// Goes through judged events.
pub(super) struct Course {
    detector: Detector,
    latest: UnixMicros,
    found: Vec<Finding>,
    alerts: BTreeMap<String, WouldBe>,
    report: Report,
}

/// One match of a rule or a correlation.
struct Match<'a> {
    rule: &'a Active,
    key: String,
    first: UnixMicros,
    last: UnixMicros,
    events: Vec<u64>,
}

impl Course {
    pub(super) fn new(detector: Detector) -> Self {
        Self {
            detector,
            latest: UnixMicros(i64::MIN),
            found: Vec::new(),
            alerts: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Takes the next events, on a thread of its own.
    pub(super) async fn go_on(mut self, events: Vec<Judged>) -> Result<Self, SiemError> {
        let work = move || {
            for event in &events {
                self.take(event);
            }
            self
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| HistoryError(error.to_string()).into())
    }

    fn take(&mut self, event: &Judged) {
        let observed = event.observed();
        self.report.events += 1;
        self.latest = self.latest.max(event.received);
        let set = Arc::clone(&self.detector.ruleset().set);
        let (rules, matched) = match &event.verdict {
            Verdict::NoFields => {
                self.report.refused += 1;
                return;
            }
            Verdict::Unreadable => {
                self.report.refused += 1;
                self.detector.refuse(&observed, &mut self.found);
                return self.count(None);
            }
            Verdict::Nothing => (&[][..], None),
            Verdict::Matched(matched) => (&matched.rules[..], Some(matched)),
        };
        let field = |name: &str| {
            let texts = matched.and_then(|m| Some(m.texts(set.field(name)?)));
            texts.unwrap_or_default()
        };
        let found = &mut self.found;
        let offered = self.detector.offer_matched(&observed, rules, field, found);
        self.report.late += u64::from(offered.taken == Taken::Late);
        self.count(Some(event));
    }

    /// Counts what was found at an event.
    fn count(&mut self, event: Option<&Judged>) {
        if self.found.is_empty() {
            return;
        }
        let ruleset = Arc::clone(self.detector.ruleset());
        for finding in std::mem::take(&mut self.found) {
            let found = match &finding {
                Finding::Rule { rule, .. } => of_rule(&ruleset, *rule, event),
                Finding::Correlation(fired) => of_correlation(&ruleset, fired),
            };
            if let Some(found) = found {
                self.add(found);
            }
        }
    }

    fn add(&mut self, found: Match<'_>) {
        let day = found.last.timestamp().strftime("%Y-%m-%d").to_string();
        let rule = &found.rule.reference;
        let counts = self.report.days.entry(day).or_default();
        match counts.get_mut(&rule.id) {
            Some(count) => *count += 1,
            None => {
                counts.insert(rule.id.clone(), 1);
            }
        }
        if let Some(there) = self.alerts.get_mut(&found.key) {
            there.matches += 1;
            there.first_at = there.first_at.min(found.first);
            there.last_at = there.last_at.max(found.last);
            there.events = found.events;
            return;
        }
        let alert = WouldBe {
            rule_id: rule.id.clone(),
            title: rule.title.clone(),
            severity: found.rule.severity,
            key: found.key.clone(),
            matches: 1,
            first_at: found.first,
            last_at: found.last,
            events: found.events,
        };
        self.alerts.insert(found.key, alert);
    }

    /// The present has passed since: what waited for lateness has long been judged.
    pub(super) fn finish(mut self, terms: Terms) -> Report {
        if self.latest.0 != i64::MIN {
            let after = terms.lateness.saturating_add(terms.idle);
            let now = self.latest.plus(after.saturating_add(AFTER));
            self.detector.tick(now, &mut self.found);
            self.count(None);
        }
        self.report.alerts = self.alerts.into_values().collect();
        self.report
            .alerts
            .sort_by(|a, b| (a.first_at, &a.key).cmp(&(b.first_at, &b.key)));
        self.report
    }
}

fn of_rule<'a>(ruleset: &'a Ruleset, rule: usize, event: Option<&Judged>) -> Option<Match<'a>> {
    let (rule, event) = (ruleset.rules.get(rule)?, event?);
    let Verdict::Matched(matched) = &event.verdict else {
        return None;
    };
    Some(Match {
        rule,
        key: rule_key(rule, matched.about.as_deref()?),
        first: event.time,
        last: event.time,
        events: vec![event.offset],
    })
}

fn of_correlation<'a>(ruleset: &'a Ruleset, fired: &Fired) -> Option<Match<'a>> {
    let rule = ruleset.correlations.get(fired.correlation)?;
    let skip = fired.events.len().saturating_sub(MOST_WINDOW);
    rule.raises.then(|| Match {
        rule,
        key: correlation_key(rule, fired),
        first: UnixMicros(fired.start),
        last: UnixMicros(fired.time),
        events: fired.events.iter().skip(skip).map(|id| id.1).collect(),
    })
}
