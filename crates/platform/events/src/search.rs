//! Looking for stored events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::{TenantScope, UnixMicros};
use sealwright_terms::{Builder, Condition, Phrase};

use crate::{HistoryError, StoredEvent};

/// Which stored events are looked for. Every condition that is given must hold.
#[derive(Debug, Clone)]
pub struct Search {
    /// Whose.
    pub scope: TenantScope,
    /// Of one of these types, each exact.
    pub types: Vec<String>,
    /// With this source.
    pub source: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// With this subject.
    pub subject: Option<String>,
    /// With each of these in the event's JSON.
    pub texts: Vec<Phrase>,
    /// That happened from this moment on.
    pub from: UnixMicros,
    /// That happened before this moment.
    pub to: UnixMicros,
}

impl Search {
    /// Whether an event is looked for.
    pub fn holds(&self, event: &StoredEvent) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == value
        };
        self.scope.allows(event.tenant)
            && (self.from..self.to).contains(&event.time)
            && (self.types.is_empty() || self.types.contains(&event.event_type))
            && is(&self.source, Some(&event.source))
            && is(&self.id, Some(&event.id))
            && is(&self.subject, event.subject.as_deref())
            && (self.texts.is_empty() || {
                let lower = String::from_utf8_lossy(&event.json).to_lowercase();
                self.texts.iter().all(|phrase| phrase.is_in(&lower))
            })
    }
}

/// What lists show beside an event's attributes, by name: the values that are counted as facets.
pub type Facets = BTreeMap<String, String>;

/// Looks at an event: `None` when it is not looked for.
pub type Look = Box<dyn FnMut(&StoredEvent) -> Option<Facets> + Send>;

/// A question about stored events.
#[derive(Clone)]
pub struct Question {
    /// Which events.
    pub search: Search,
    /// What else must hold of them, as the terms of [`EventTerms`] can say it.
    pub condition: Condition,
    /// Makes what decides about an event where its terms do not: it must agree with the condition.
    pub look: Arc<dyn Fn() -> Look + Send + Sync>,
    /// Width of the buckets in which events are counted by their time, in microseconds.
    pub width: i64,
    /// Only events with a smaller offset are on the page; all are counted.
    pub below: Option<u64>,
    /// Events on the page.
    pub limit: usize,
    /// Most events that are looked at one by one.
    pub most: usize,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("search", &self.search)
            .field("condition", &self.condition)
            .finish_non_exhaustive()
    }
}

/// What is found.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The page, the last accepted first.
    pub events: Vec<StoredEvent>,
    /// Continues after the page, or after what was looked at; `None` when there are no more.
    pub next: Option<u64>,
    /// How many there are, as far as is known.
    pub total: u64,
    /// How many by time: start of the bucket and count, those with some.
    pub buckets: BTreeMap<UnixMicros, u64>,
    /// For each facet how many have each value.
    pub facets: BTreeMap<String, BTreeMap<String, u64>>,
    /// Of how many of the latest events the facets are.
    pub faceted: u64,
    /// Events that were looked at one by one.
    pub looked_at: usize,
    /// Whether all events are counted; otherwise the latest only.
    pub complete: bool,
}

impl Answer {
    /// Counts events that happened in one bucket.
    pub fn count(&mut self, time: UnixMicros, width: i64, events: u64) {
        let start = UnixMicros(time.0.div_euclid(width) * width);
        *self.buckets.entry(start).or_insert(0) += events;
        self.total += events;
    }

    /// Counts the facets of an event.
    pub fn facet(&mut self, facets: Facets) {
        for (name, value) in facets {
            *self
                .facets
                .entry(name)
                .or_default()
                .entry(value)
                .or_insert(0) += 1;
        }
        self.faceted += 1;
    }

    /// Answers by looking at every event: what every other way of answering is held to. Events come with the last accepted
    /// first.
    pub fn by_looking(question: &Question, events: impl Iterator<Item = StoredEvent>) -> Self {
        let mut answer = Self {
            complete: true,
            ..Self::default()
        };
        let mut look = (question.look)();
        for event in events.filter(|event| question.search.holds(event)) {
            if answer.looked_at == question.most {
                answer.complete = false;
                answer.next = answer.next.or(Some(event.offset + 1));
                break;
            }
            answer.looked_at += 1;
            let Some(facets) = look(&event) else { continue };
            answer.count(event.time, question.width, 1);
            answer.facet(facets);
            if question.below.is_some_and(|below| event.offset >= below) {
                continue;
            }
            if answer.events.len() < question.limit {
                answer.events.push(event);
            } else {
                answer.next = answer.events.last().map(|last| last.offset);
            }
        }
        answer
    }
}

/// Stored events, found by what they are.
#[async_trait]
pub trait EventSearch: Send + Sync {
    /// Answers a question.
    async fn ask(&self, question: &Question) -> Result<Answer, HistoryError>;
}

/// Terms by which stored events are found.
pub trait EventTerms: Send + Sync {
    /// Changes whenever the same event would give other terms.
    fn version(&self) -> String;

    /// Adds the terms of an event to its row, and its facets as values ([`Builder::value`]) under their names; names of other values
    /// begin with a control character ([`is_facet`]). False when terms
    /// do not say all about it: then it is looked at whenever it may be looked for.
    fn add(&self, event: &StoredEvent, to: &mut Builder) -> bool;
}

/// Whether values of this name are counted as a facet.
pub fn is_facet(name: &str) -> bool {
    !name.starts_with(char::is_control)
}
