//! From findings to what alerts say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sealwright_core::{TenantId, UnixMicros};
use sealwright_events::{EventLog, ReadLimit, StoredEvent};
use sealwright_sigma::collection::Target;
use sealwright_sigma::correlation::engine::Alert as Fired;
use sealwright_sigma::explain::{Step, explain};
use sealwright_sigma::logsource::EventSource;
use sealwright_sigma::naive::Event;
use serde_json::Value;

use super::SiemError;
use super::detect::Finding;
use super::fields;
use super::normalise::normalise;
use super::raise::Match;
use super::ruleset::{Active, Ruleset, condition};
use crate::model::{AlertEvent, Entity, Matched, Window};

/// Events of one window that an alert keeps: the last ones.
pub(super) const MOST_WINDOW: usize = 100;
/// Events of one key and batch that an alert keeps.
const MOST_BATCH: usize = 100;
/// Lines of what matched.
const MOST_LINES: usize = 24;

/// Puts the findings of one tenant in a batch together by rule and group.
pub struct Builder<'a> {
    tenant: TenantId,
    ruleset: Arc<Ruleset>,
    events: &'a [StoredEvent],
    log: Option<&'a dyn EventLog>,
    /// Fields by offset; `None` for an event that cannot be had any more.
    seen: HashMap<u64, Option<Arc<Seen>>>,
    matches: BTreeMap<String, Match>,
}

struct Seen {
    event: StoredEvent,
    fields: Value,
}

impl std::fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl<'a> Builder<'a> {
    /// A builder over the events of a batch. Earlier events of windows are read from `log`, where there is
    /// one.
    pub fn new(
        tenant: TenantId,
        ruleset: Arc<Ruleset>,
        events: &'a [StoredEvent],
        log: Option<&'a dyn EventLog>,
    ) -> Self {
        Self {
            tenant,
            ruleset,
            events,
            log,
            seen: HashMap::new(),
            matches: BTreeMap::new(),
        }
    }

    /// Adds a finding.
    ///
    /// # Errors
    /// None yet: what cannot be read is left out.
    pub async fn add(&mut self, finding: Finding) -> Result<(), SiemError> {
        match finding {
            Finding::Rule { rule, offset } => self.rule(rule, offset).await,
            Finding::Correlation(fired) => self.correlation(&fired).await,
        }
    }

    /// The matches, by rule and group.
    pub fn finish(self) -> Vec<Match> {
        self.matches.into_values().collect()
    }

    /// The event at an offset: of this batch, or from the log.
    async fn see(&mut self, offset: u64) -> Result<Option<Arc<Seen>>, SiemError> {
        if let Some(seen) = self.seen.get(&offset) {
            return Ok(seen.clone());
        }
        // A batch of the log is dense; a page of one tenant's history is not.
        let here = self
            .events
            .binary_search_by_key(&offset, |event| event.offset)
            .ok()
            .and_then(|index| self.events.get(index));
        let event = match here {
            Some(event) => Some(event.clone()),
            None => {
                let limit = ReadLimit {
                    events: 1,
                    bytes: 1,
                };
                // An event that has left the log is known by its offset only.
                let read = match self.log {
                    Some(log) => log.read(offset, limit).await.unwrap_or_default(),
                    None => Vec::new(),
                };
                read.into_iter().find(|e| e.offset == offset)
            }
        };
        let seen = event.and_then(|event| {
            let fields = normalise(&event).ok()?.value().ok()?;
            Some(Arc::new(Seen { event, fields }))
        });
        self.seen.insert(offset, seen.clone());
        Ok(seen)
    }

    async fn rule(&mut self, rule: usize, offset: u64) -> Result<(), SiemError> {
        let Some(active) = self.ruleset.rules.get(rule).cloned() else {
            return Ok(());
        };
        let Some(seen) = self.see(offset).await? else {
            return Ok(());
        };
        let entities = fields::entities(&seen.fields);
        let key = alert_key(&active, &fields::about(&seen.fields, &seen.event));
        let event = alert_event(&seen);
        let matched = self.why(rule, &seen);
        let at = seen.event.time;
        self.merge(Match {
            tenant: self.tenant,
            rule: active,
            key,
            count: 1,
            first: at,
            last: at,
            entities,
            matched,
            window: None,
            events: vec![event],
            events_total: 1,
        });
        Ok(())
    }

    async fn correlation(&mut self, fired: &Fired) -> Result<(), SiemError> {
        let index = fired.correlation;
        let Some(active) = self.ruleset.correlations.get(index).cloned() else {
            return Ok(());
        };
        if !active.raises {
            return Ok(());
        }
        let mut entities: Vec<Entity> = fired
            .group
            .iter()
            .filter_map(|(field, value)| fields::entity_of(field, value))
            .collect();
        let skip = fired.events.len().saturating_sub(MOST_WINDOW);
        let mut events = Vec::new();
        let mut last = None;
        for id in fired.events.iter().skip(skip) {
            let Some(seen) = self.see(id.1).await? else {
                continue;
            };
            entities.extend(fields::entities(&seen.fields));
            events.push(alert_event(&seen));
            last = Some(seen);
        }
        let window = self.window(index, fired);
        let matched = last
            .map(|seen| self.why_correlated(index, &seen))
            .unwrap_or_default();
        let key = alert_key(&active, &group_text(fired));
        self.merge(Match {
            tenant: self.tenant,
            rule: active,
            key,
            count: 1,
            first: UnixMicros(fired.start),
            last: UnixMicros(fired.time),
            entities,
            matched,
            window,
            events_total: fired.events.len() as u64,
            events,
        });
        Ok(())
    }

    fn merge(&mut self, found: Match) {
        let Some(there) = self.matches.get_mut(&found.key) else {
            self.matches.insert(found.key.clone(), found);
            return;
        };
        there.count += found.count;
        there.first = there.first.min(found.first);
        there.last = there.last.max(found.last);
        there.matched = found.matched;
        there.window = found.window.or(there.window.take());
        there.events_total += found.events_total;
        for entity in found.entities {
            if there.entities.len() < fields::MOST_ENTITIES && !there.entities.contains(&entity) {
                there.entities.push(entity);
            }
        }
        for event in found.events {
            if there.events.len() < MOST_BATCH && !there.events.contains(&event) {
                there.events.push(event);
            }
        }
    }

    fn window(&self, index: usize, fired: &Fired) -> Option<Window> {
        let correlation = self.ruleset.collection.correlations.get(index)?;
        let targets = self.ruleset.collection.targets.get(index)?;
        let title = |active: Option<&Active>| active.map(|a| a.reference.title.clone());
        Some(Window {
            timespan: correlation.timespan,
            start: fired.start,
            end: fired.time,
            condition: condition(correlation),
            measure: fired.measure,
            group: fired.group.clone(),
            rules: targets
                .iter()
                .filter_map(|target| match target {
                    Target::Rule(rule) => title(self.ruleset.rules.get(*rule)),
                    Target::Correlation(c) => title(self.ruleset.correlations.get(*c)),
                })
                .collect(),
        })
    }

    /// What held of a rule for an event.
    fn why(&self, rule: usize, seen: &Seen) -> Vec<Matched> {
        let Some(rule) = self.ruleset.collection.rules.get(rule) else {
            return Vec::new();
        };
        let event = Event {
            fields: &seen.fields,
            time: Some(seen.event.time.0),
        };
        let explanation = explain(rule, &event, &EventSource::UNKNOWN);
        let mut out = Vec::new();
        held(&explanation.condition, &mut out);
        out
    }

    /// What held of the correlation's rules for its last event.
    fn why_correlated(&self, index: usize, seen: &Seen) -> Vec<Matched> {
        let targets = self.ruleset.collection.targets.get(index);
        let mut rules = targets
            .into_iter()
            .flatten()
            .filter_map(|target| match target {
                Target::Rule(rule) => Some(*rule),
                Target::Correlation(_) => None,
            });
        rules
            .find_map(|rule| {
                let why = self.why(rule, seen);
                let matches = self.ruleset.collection.rules.get(rule).is_some_and(|rule| {
                    let event = Event {
                        fields: &seen.fields,
                        time: Some(seen.event.time.0),
                    };
                    sealwright_sigma::naive::matches(rule, &event)
                });
                matches.then_some(why)
            })
            .unwrap_or_default()
    }
}

/// The key of an alert of a rule or a correlation: a second match about the same is the same alert.
pub(super) fn alert_key(rule: &Active, about: &str) -> String {
    format!("{} {about}", rule.reference.id)
}

/// What the alert of a correlation is about: the values of its group.
pub(super) fn group_text(fired: &Fired) -> String {
    let group: Vec<&str> = fired.group.iter().map(|(_, v)| v.as_str()).collect();
    group.join(" ")
}

/// The leaves that hold and count.
fn held(step: &Step, out: &mut Vec<Matched>) {
    if !step.holds || out.len() >= MOST_LINES {
        return;
    }
    if step.what == "not" {
        return;
    }
    if step.parts.is_empty() {
        let values = if step.matched.is_empty() {
            &step.wanted
        } else {
            &step.matched
        };
        out.push(Matched {
            what: step.what.clone(),
            wanted: values.iter().take(8).cloned().collect(),
            found: step.found.iter().flatten().take(8).cloned().collect(),
        });
        return;
    }
    for part in &step.parts {
        held(part, out);
    }
}

fn alert_event(seen: &Seen) -> AlertEvent {
    let event = &seen.event;
    AlertEvent {
        offset: event.offset,
        time: event.time,
        source: event.source.clone(),
        id: event.id.clone(),
        event_type: event.event_type.clone(),
        digest: event.digest,
        summary: fields::summary(&seen.fields),
    }
}
