//! Hunting: looking for stored events.

mod condition;
pub mod query;
mod terms;

pub use terms::FieldTerms;

pub(super) use condition::{RuleSieve, sieve_for};

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_events::{EventSearch, Facets, Question, Search, StoredEvent};
use sealwright_sigma::Limits;
use sealwright_sigma::collection::Collection;
use sealwright_sigma::compiled::{Matcher, Options, RuleSet};
use sealwright_sigma::logsource::EventSource;
use sealwright_terms::{Condition, Phrase};

use super::SiemError;
use super::fields;
use super::normalise::{native, needs_ecs, normalise};
use super::ruleset::SOURCE_FIELDS;

/// Most events that one hunt looks at one by one.
pub const MOST_SCANNED: usize = 200_000;
/// Values of one facet.
const MOST_VALUES: usize = 10;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Hunt {
    /// The query, see [`query`].
    pub query: String,
    /// A Sigma rule, as text; events must match it too.
    pub rule: Option<String>,
    /// Whose events.
    pub scope: TenantScope,
    /// From when (included).
    pub from: UnixMicros,
    /// Until when (not included).
    pub to: UnixMicros,
    /// Only events with a smaller offset: continues a page.
    pub below: Option<u64>,
    /// Events on the page.
    pub limit: usize,
}

/// An event that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The event as it is stored.
    pub event: StoredEvent,
    /// What people look at first.
    pub summary: BTreeMap<String, String>,
}

/// What a hunt found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The page, the last accepted first.
    pub hits: Vec<Hit>,
    /// Continues after the page, or after what was looked at; `None` when there are no more.
    pub next: Option<u64>,
    /// Events that were looked at one by one, because the index does not decide about them.
    pub scanned: usize,
    /// Whether the counts are of the whole span. Of the events that must be looked at one by one they are of those below
    /// where the page begins, and where that is too many, of the latest.
    pub complete: bool,
    /// How many were found.
    pub total: u64,
    /// Buckets of time: (start, count).
    pub histogram: Vec<(UnixMicros, u64)>,
    /// Width of a bucket in microseconds.
    pub width: i64,
    /// Of how many of the latest the facets are.
    pub faceted: u64,
    /// For each facet its most frequent values.
    pub facets: BTreeMap<String, Vec<(String, u64)>>,
}

/// Looks for stored events.
#[derive(Clone)]
pub struct Hunter {
    search: Arc<dyn EventSearch>,
}

impl std::fmt::Debug for Hunter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hunter").finish_non_exhaustive()
    }
}

/// Sigma rules as a filter: an event passes that matches each text's rules (one of them).
struct Filter {
    sets: Vec<Arc<RuleSet>>,
    /// Whether a field is asked for that the source of an event may not have itself, or a log source.
    whole: bool,
}

impl Filter {
    fn new(texts: &[(&str, String)]) -> Result<Self, SiemError> {
        let mut sets = Vec::new();
        for (name, text) in texts {
            let mut collection = Collection::default();
            collection.add(name, text, &Limits::default(), &Default::default());
            collection.finish(&[]);
            if !collection.errors.is_empty() {
                let faults = collection.errors.iter().map(ToString::to_string).collect();
                return Err(SiemError::Faults(faults));
            }
            if collection.rules.is_empty() {
                return Err(SiemError::Invalid(format!(
                    "{name}: there is no rule in it"
                )));
            }
            let options = Options {
                source_fields: SOURCE_FIELDS.map(str::to_owned),
                ..Options::default()
            };
            sets.push(Arc::new(RuleSet::new(collection.rules, options)));
        }
        let sourced = |set: &RuleSet| {
            let mut sources = set.rules().iter().map(|r| &r.logsource);
            sources.any(|s| s.product.is_some() || s.category.is_some() || s.service.is_some())
        };
        let whole = sets.iter().any(|set| sourced(set) || needs_ecs(set));
        Ok(Self { sets, whole })
    }

    fn matchers(&self) -> Vec<Matcher> {
        let sets = self.sets.iter().cloned();
        sets.map(|set| Matcher::new(set, EventSource::UNKNOWN))
            .collect()
    }

    fn conditions(&self) -> impl Iterator<Item = Condition> {
        self.sets
            .iter()
            .map(|set| condition::of_rules(set.rules().iter()))
    }
}

/// Looks at events one by one.
struct Looking {
    matchers: Vec<Matcher>,
    whole: bool,
    without: Vec<Phrase>,
}

impl Looking {
    fn passes(&mut self, event: &StoredEvent, json: &str) -> bool {
        self.matchers.iter_mut().all(|matcher| {
            matcher
                .matches_at(json, Some(event.time.0))
                .is_ok_and(|matched| !matched.is_empty())
        })
    }

    fn look(&mut self, event: &StoredEvent) -> Option<Facets> {
        if !self.without.is_empty() {
            let lower = String::from_utf8_lossy(&event.json).to_lowercase();
            if self.without.iter().any(|phrase| phrase.is_in(&lower)) {
                return None;
            }
        }
        // Mapping costs more than looking: what the filter can decide without, it does.
        if !self.whole && native(event).is_ok_and(|native| !self.passes(event, native)) {
            return None;
        }
        let mut facets = match normalise(event) {
            Ok(normalised) => {
                if self.whole && !self.passes(event, &normalised.json) {
                    return None;
                }
                normalised
                    .value()
                    .map(|value| fields::summary(&value))
                    .unwrap_or_default()
            }
            // It has no fields: no rule matches it.
            Err(_) if self.matchers.is_empty() => Facets::new(),
            Err(_) => return None,
        };
        facets.remove("what");
        facets.insert("type".to_owned(), event.event_type.clone());
        facets.insert("source".to_owned(), event.source.clone());
        Some(facets)
    }
}

/// A width that cuts a span into at most 60 buckets, in whole seconds.
pub fn width_of(from: UnixMicros, to: UnixMicros) -> i64 {
    const STEPS: [i64; 12] = [
        1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 86_400, 604_800, 2_592_000,
    ];
    let span = to.since(from).max(1) / 1_000_000;
    let seconds = STEPS
        .into_iter()
        .find(|step| span / step <= 60)
        .unwrap_or(2_592_000);
    seconds * 1_000_000
}

impl Hunter {
    /// Looks in stored events.
    pub fn new(search: Arc<dyn EventSearch>) -> Self {
        Self { search }
    }

    /// Looks for events.
    ///
    /// # Errors
    /// [`SiemError::Invalid`] with the column of what is wrong with the query; from the stored events.
    pub async fn hunt(&self, hunt: &Hunt) -> Result<Found, SiemError> {
        let parsed = query::parse(&hunt.query)
            .map_err(|error| SiemError::Invalid(format!("query: {error}")))?;
        let mut search = Search {
            scope: hunt.scope,
            types: Vec::new(),
            source: None,
            id: None,
            subject: None,
            texts: parsed.texts,
            from: hunt.from,
            to: hunt.to,
        };
        for (attribute, value) in parsed.attributes {
            let slot = match attribute.as_str() {
                "type" => {
                    search.types.push(value);
                    continue;
                }
                "source" => &mut search.source,
                "id" => &mut search.id,
                _ => &mut search.subject,
            };
            if slot.replace(value).is_some() {
                return Err(SiemError::Invalid(format!(
                    "query: an event has one {attribute}; ask for one"
                )));
            }
        }
        let mut rules: Vec<(&str, String)> = Vec::new();
        if let Some(rule) = parsed.rule {
            rules.push(("query", rule.to_string()));
        }
        if let Some(text) = &hunt.rule {
            rules.push(("rule", text.clone()));
        }
        let question = self.question(hunt, search, &rules, parsed.without)?;
        let answer = self.search.ask(&question).await?;
        let hits = answer.events.into_iter().map(|event| Hit {
            summary: summary(&event),
            event,
        });
        Ok(Found {
            hits: hits.collect(),
            next: answer.next,
            scanned: answer.looked_at,
            complete: answer.complete,
            total: answer.total,
            histogram: answer.buckets.into_iter().collect(),
            width: question.width,
            faceted: answer.faceted,
            facets: answer
                .facets
                .into_iter()
                .map(|(name, values)| {
                    let mut values: Vec<(String, u64)> = values.into_iter().collect();
                    values.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
                    values.truncate(MOST_VALUES);
                    (name, values)
                })
                .collect(),
        })
    }

    fn question(
        &self,
        hunt: &Hunt,
        search: Search,
        rules: &[(&str, String)],
        without: Vec<Phrase>,
    ) -> Result<Question, SiemError> {
        let filter = Filter::new(rules)?;
        let mut conditions: Vec<Condition> = without
            .iter()
            .map(|phrase| Condition::Not(Box::new(Condition::Phrase(phrase.clone()))))
            .collect();
        conditions.extend(filter.conditions());
        let filter = Arc::new(filter);
        Ok(Question {
            width: width_of(search.from, search.to),
            search,
            condition: Condition::All(conditions),
            look: Arc::new(move || {
                let mut looking = Looking {
                    matchers: filter.matchers(),
                    whole: filter.whole,
                    without: without.clone(),
                };
                Box::new(move |event| looking.look(event))
            }),
            below: hunt.below,
            limit: hunt.limit.clamp(1, 1_000),
            most: MOST_SCANNED,
        })
    }
}

fn summary(event: &StoredEvent) -> BTreeMap<String, String> {
    let value = normalise(event).and_then(|normalised| normalised.value());
    value
        .map(|value| fields::summary(&value))
        .unwrap_or_default()
}
