//! Hunting: looking for stored events.

pub mod query;

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_core::{TenantScope, UnixMicros};
use sealwright_events::{EventSearch, Search, StoredEvent};
use sealwright_sigma::Limits;
use sealwright_sigma::collection::Collection;
use sealwright_sigma::compiled::{Matcher, Options, RuleSet};
use sealwright_sigma::logsource::EventSource;

use super::SiemError;
use super::fields;
use super::normalise::{native, needs_ecs, normalise};
use super::ruleset::SOURCE_FIELDS;

/// Most events that one hunt looks at.
pub const MOST_SCANNED: usize = 200_000;
/// Events that are read at a time.
const PAGE: usize = 5_000;
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
    /// Events that were looked at.
    pub scanned: usize,
    /// Whether all events of the span, below where the page begins, were looked at; otherwise the counts are of the latest
    /// of them only.
    pub complete: bool,
    /// How many were found, as far as was looked.
    pub total: u64,
    /// Buckets of time: (start, count).
    pub histogram: Vec<(UnixMicros, u64)>,
    /// Width of a bucket in microseconds.
    pub width: i64,
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
    matchers: Vec<Matcher>,
    /// Whether a field is asked for that the source of an event may not have itself, or a log source.
    whole: bool,
}

impl Filter {
    fn new(texts: &[(&str, String)]) -> Result<Self, SiemError> {
        let mut matchers = Vec::new();
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
            let set = Arc::new(RuleSet::new(collection.rules, options));
            matchers.push(Matcher::new(set, EventSource::UNKNOWN));
        }
        let sourced = |m: &Matcher| {
            let mut sources = m.rule_set().rules().iter().map(|r| &r.logsource);
            sources.any(|s| s.product.is_some() || s.category.is_some() || s.service.is_some())
        };
        let whole = matchers
            .iter()
            .any(|m| sourced(m) || needs_ecs(m.rule_set()));
        Ok(Self { matchers, whole })
    }

    fn passes(&mut self, event: &StoredEvent, json: &str) -> bool {
        self.matchers.iter_mut().all(|matcher| {
            matcher
                .matches_at(json, Some(event.time.0))
                .is_ok_and(|matched| !matched.is_empty())
        })
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
        let without: Vec<String> = parsed.without.iter().map(|t| t.to_lowercase()).collect();
        let mut filter = Filter::new(&rules)?;
        let width = width_of(hunt.from, hunt.to);
        let mut found = Found {
            width,
            ..Found::default()
        };
        let exact = rules.is_empty() && without.is_empty();
        if exact {
            found.histogram = self.search.histogram(&search, width).await?;
            found.total = found.histogram.iter().map(|(_, n)| n).sum();
        }
        self.scan(hunt, &search, &without, &mut filter, exact, &mut found)
            .await?;
        Ok(found)
    }

    async fn scan(
        &self,
        hunt: &Hunt,
        search: &Search,
        without: &[String],
        filter: &mut Filter,
        exact: bool,
        found: &mut Found,
    ) -> Result<(), SiemError> {
        let mut below = hunt.below;
        let mut buckets: BTreeMap<i64, u64> = BTreeMap::new();
        let mut facets: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        // What the store counts exactly needs no look at every event: enough for the page and its facets.
        let most = if exact { PAGE } else { MOST_SCANNED };
        let limit = hunt.limit.clamp(1, 1_000);
        let mut more = false;
        loop {
            let events = self.search.newest(search, below, PAGE).await?;
            let last = events.last().map(|event| event.offset);
            let whole = events.len() < PAGE;
            for event in events {
                found.scanned += 1;
                let lower = || String::from_utf8_lossy(&event.json).to_lowercase();
                if !without.is_empty() {
                    let json = lower();
                    if without.iter().any(|text| json.contains(text.as_str())) {
                        continue;
                    }
                }
                // Mapping costs more than looking: what the filter can decide without, it does.
                if !filter.whole
                    && native(&event).is_ok_and(|native| !filter.passes(&event, native))
                {
                    continue;
                }
                let Ok(normalised) = normalise(&event) else {
                    if exact {
                        push(found, event, BTreeMap::new(), limit, &mut more);
                    }
                    continue;
                };
                if filter.whole && !filter.passes(&event, &normalised.json) {
                    continue;
                }
                *buckets
                    .entry(event.time.0.div_euclid(found.width))
                    .or_insert(0) += 1;
                let summary = normalised
                    .value()
                    .map(|value| fields::summary(&value))
                    .unwrap_or_default();
                for (name, value) in summary.iter().filter(|(name, _)| *name != "what") {
                    *facets
                        .entry(name.clone())
                        .or_default()
                        .entry(value.clone())
                        .or_insert(0) += 1;
                }
                for (name, value) in [("type", &event.event_type), ("source", &event.source)] {
                    *facets
                        .entry(name.to_owned())
                        .or_default()
                        .entry(value.clone())
                        .or_insert(0) += 1;
                }
                push(found, event, summary, limit, &mut more);
            }
            found.complete = whole;
            below = last;
            if whole || found.scanned >= most {
                break;
            }
        }
        found.next = if more {
            found.hits.last().map(|hit| hit.event.offset)
        } else if found.complete {
            None
        } else {
            // What was looked at holds no more: the next page looks at what is older.
            below
        };
        if !exact {
            found.total = buckets.values().sum();
            found.histogram = buckets
                .into_iter()
                .map(|(bucket, n)| (UnixMicros(bucket * found.width), n))
                .collect();
        }
        found.facets = facets
            .into_iter()
            .map(|(name, values)| {
                let mut values: Vec<(String, u64)> = values.into_iter().collect();
                values.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
                values.truncate(MOST_VALUES);
                (name, values)
            })
            .collect();
        Ok(())
    }
}

fn push(
    found: &mut Found,
    event: StoredEvent,
    summary: BTreeMap<String, String>,
    limit: usize,
    more: &mut bool,
) {
    if found.hits.len() < limit {
        found.hits.push(Hit { event, summary });
    } else {
        *more = true;
    }
}
