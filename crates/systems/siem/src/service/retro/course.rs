//! What follows from the matches of rules, in the order of the log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sealwright_core::UnixMicros;
use sealwright_core::clock::DAY;
use sealwright_events::HistoryError;
use sealwright_sigma::correlation::engine::{Alert as Fired, Taken};

use super::super::SiemError;
use super::super::build::{MOST_WINDOW, alert_key, group_text};
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
    /// Matches by day since 1970 (UTC) and rule.
    days: HashMap<(i64, Which), u64>,
    /// Alerts by rule and what they are about: looked up for each match, so that nothing is made for one but its numbers.
    alerts: HashMap<Which, HashMap<String, WouldBe>>,
    report: Report,
}

/// A rule or a correlation, by its place in the rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    Rule(usize),
    Correlation(usize),
}

/// One match of a rule or a correlation.
struct Match<'a> {
    which: Which,
    about: Cow<'a, str>,
    first: UnixMicros,
    last: UnixMicros,
    events: Vec<u64>,
}

impl Which {
    fn of(self, ruleset: &Ruleset) -> Option<&Active> {
        match self {
            Self::Rule(rule) => ruleset.rules.get(rule),
            Self::Correlation(correlation) => ruleset.correlations.get(correlation),
        }
    }
}

impl Course {
    pub(super) fn new(detector: Detector) -> Self {
        Self {
            detector,
            latest: UnixMicros(i64::MIN),
            found: Vec::new(),
            days: HashMap::new(),
            alerts: HashMap::new(),
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
        let mut findings = std::mem::take(&mut self.found);
        for finding in findings.drain(..) {
            let found = match &finding {
                Finding::Rule { rule, .. } => of_rule(*rule, event),
                Finding::Correlation(fired) => of_correlation(&ruleset, fired),
            };
            if let Some(found) = found {
                self.add(&ruleset, found);
            }
        }
        self.found = findings;
    }

    fn add(&mut self, ruleset: &Ruleset, found: Match<'_>) {
        let Some(rule) = found.which.of(ruleset) else {
            return;
        };
        let day = found.last.0.div_euclid(DAY);
        *self.days.entry((day, found.which)).or_insert(0) += 1;
        let alerts = self.alerts.entry(found.which).or_default();
        if let Some(there) = alerts.get_mut(&*found.about) {
            there.matches += 1;
            there.first_at = there.first_at.min(found.first);
            there.last_at = there.last_at.max(found.last);
            there.events = found.events;
            return;
        }
        let alert = WouldBe {
            rule_id: rule.reference.id.clone(),
            title: rule.reference.title.clone(),
            severity: rule.severity,
            key: alert_key(rule, &found.about),
            matches: 1,
            first_at: found.first,
            last_at: found.last,
            events: found.events,
        };
        alerts.insert(found.about.into_owned(), alert);
    }

    /// The present has passed since: what waited for lateness has long been judged.
    pub(super) fn finish(mut self, terms: Terms) -> Report {
        if self.latest.0 != i64::MIN {
            let after = terms.lateness.saturating_add(terms.idle);
            let now = self.latest.plus(after.saturating_add(AFTER));
            self.detector.tick(now, &mut self.found);
            self.count(None);
        }
        let ruleset = self.detector.ruleset();
        for ((day, which), matches) in self.days {
            let Some(rule) = which.of(ruleset) else {
                continue;
            };
            let day = UnixMicros(day.saturating_mul(DAY)).timestamp();
            let day = day.strftime("%Y-%m-%d").to_string();
            let counts = self.report.days.entry(day).or_default();
            *counts.entry(rule.reference.id.clone()).or_insert(0) += matches;
        }
        self.report.alerts = self
            .alerts
            .into_values()
            .flat_map(HashMap::into_values)
            .collect();
        self.report
            .alerts
            .sort_by(|a, b| (a.first_at, &a.key).cmp(&(b.first_at, &b.key)));
        self.report
    }
}

fn of_rule(rule: usize, event: Option<&Judged>) -> Option<Match<'_>> {
    let event = event?;
    let Verdict::Matched(matched) = &event.verdict else {
        return None;
    };
    Some(Match {
        which: Which::Rule(rule),
        about: matched.about.as_deref()?.into(),
        first: event.time,
        last: event.time,
        events: vec![event.offset],
    })
}

fn of_correlation<'a>(ruleset: &Ruleset, fired: &'a Fired) -> Option<Match<'a>> {
    let rule = ruleset.correlations.get(fired.correlation)?;
    let skip = fired.events.len().saturating_sub(MOST_WINDOW);
    rule.raises.then(|| Match {
        which: Which::Correlation(fired.correlation),
        about: group_text(fired).into(),
        first: UnixMicros(fired.start),
        last: UnixMicros(fired.time),
        events: fired.events.iter().skip(skip).map(|id| id.1).collect(),
    })
}
