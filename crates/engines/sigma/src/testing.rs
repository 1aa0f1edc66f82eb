//! Tests of rules, beside the rules: `NAME.test.yml` for `NAME.yml`.
//!
//! ```yaml
//! rules: [failed-logins.yml]        # beside this file; without it, the file of the same name
//! base: {event.category: authentication, user.name: ada}
//! tests:
//!   - name: fires at the fifth failure
//!     fires: 1                      # alerts in all; 0 for a near miss
//!     overrides: {failed-logins: {threshold: 5}}
//!     events:
//!       - {at: 0s, repeat: 5, every: 10s, set: {event.outcome: failure, source.ip: '8.8.8.${n}'}}
//!       - {at: 5m, tenant: other, set: {event.outcome: failure}}
//!       - {at: 6m, source: aws.cloudtrail, raw: {eventName: ConsoleLogin}}
//! ```
//!
//! `at` and `every` are numbers with `us`, `ms`, `s`, `m`, `h` or `d`, counted from `start` (an RFC 3339 time;
//! Wednesday 2026-11-25T12:00:00Z unless the file or the test says otherwise). `${n}` in a text is
//! the number of the repetition, from 0. `raw` is an event of a source as it comes in; the caller
//! normalises it. Events are taken in the order of their times, each tenant by itself.
//!
//! Counted are alerts of correlations and matches of rules, those left out that only serve a
//! correlation.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::annotations::{Overrides, to_json};
use crate::collection::Collection;
use crate::compiled::{Matcher, Options, RuleSet};
use crate::correlation::EventId;
use crate::correlation::engine::{Arrival, Engine, Settings};
use crate::error::{Error, Position, Result};
use crate::logsource::{EventSource, STATED};
use crate::yaml::{self, Kind, Limits, Node};

/// Most events of one test.
pub const MAX_EVENTS: usize = 100_000;

/// The tests of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// Files of the rules, beside this one; empty for the file of the same name.
    pub rules: Vec<String>,
    /// The tests.
    pub tests: Vec<Test>,
}

/// A test.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// What it holds.
    pub name: String,
    /// Alerts in all.
    pub fires: usize,
    /// Values of tunables.
    pub overrides: Overrides,
    /// Events in the order of their times.
    pub events: Vec<TestEvent>,
    /// Where it stands.
    pub at: Position,
}

/// An event of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestEvent {
    /// Its time in microseconds since 1970 (UTC).
    pub time: i64,
    /// Whose event it is.
    pub tenant: String,
    /// The source of a raw event.
    pub source: Option<String>,
    /// Whether it must be normalised.
    pub raw: bool,
    /// The event.
    pub event: Json,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The test's name.
    pub name: String,
    /// Alerts that were expected.
    pub expected: usize,
    /// What fired: (rule or correlation, tenant, time in microseconds).
    pub fired: Vec<(String, String, i64)>,
    /// Why the test could not be run.
    pub error: Option<String>,
}

impl Outcome {
    /// Whether it ended as expected.
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.fired.len() == self.expected
    }
}

/// 2026-11-25T12:00:00Z, a Wednesday.
const START: i64 = 1_795_608_000_000_000;

/// Reads a file of tests.
///
/// # Errors
/// Where the file is not of the form above.
pub fn parse(file: &str, text: &str) -> std::result::Result<Suite, Error> {
    read(text).map_err(|e| e.in_file(file))
}

fn read(text: &str) -> Result<Suite> {
    let documents = yaml::read(
        text,
        &Limits {
            bytes: 4 << 20,
            ..Limits::default()
        },
    )?;
    let [node] = documents.as_slice() else {
        let at = Position { line: 1, column: 1 };
        return Err(Error::new(at, "a file of tests is one document"));
    };
    known(node, &["rules", "base", "start", "tests"])?;
    let rules = node
        .get("rules")
        .map_or(Ok(Vec::new()), |n| crate::parse::texts(n, "rules"))?;
    let base = object(node.get("base"))?;
    let start = start(node)?.unwrap_or(START);
    let Some(Node {
        kind: Kind::List(list),
        ..
    }) = node.get("tests")
    else {
        return Err(Error::new(node.at, "there is no list of `tests`"));
    };
    let tests = list
        .iter()
        .map(|n| test(n, &base, start))
        .collect::<Result<_>>()?;
    Ok(Suite { rules, tests })
}

fn known(node: &Node, keys: &[&str]) -> Result<()> {
    for (key, _) in node.as_map("this")? {
        if !keys.contains(&&*key.text) {
            return Err(
                Error::new(key.at, format!("there is no `{}` here", key.text))
                    .hint(format!("known are {}", keys.join(", "))),
            );
        }
    }
    Ok(())
}

fn object(node: Option<&Node>) -> Result<Map<String, Json>> {
    let Some(node) = node else {
        return Ok(Map::new());
    };
    match to_json(node) {
        Json::Object(m) => Ok(m),
        _ => Err(Error::new(node.at, "expected a map of fields")),
    }
}

fn start(node: &Node) -> Result<Option<i64>> {
    let Some(n) = node.get("start") else {
        return Ok(None);
    };
    let text = n.scalar_text().unwrap_or_default();
    crate::time::instant(&text)
        .map(Some)
        .ok_or_else(|| Error::new(n.at, format!("`{text}` is not a time")))
}

fn span(node: Option<&Node>) -> Result<i64> {
    let Some(node) = node else { return Ok(0) };
    let text = node.scalar_text().unwrap_or_default();
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let micros = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" | "" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => 0,
    };
    number
        .parse::<i64>()
        .ok()
        .filter(|_| micros > 0)
        .and_then(|n| n.checked_mul(micros))
        .ok_or_else(|| Error::new(node.at, format!("`{text}` is not a time from the start")))
}

fn test(node: &Node, base: &Map<String, Json>, start_of_file: i64) -> Result<Test> {
    known(
        node,
        &["name", "fires", "start", "base", "overrides", "events"],
    )?;
    let name = node
        .get("name")
        .and_then(Node::scalar_text)
        .unwrap_or_default();
    let fires = node
        .get("fires")
        .and_then(Node::scalar_text)
        .and_then(|t| t.parse().ok());
    let Some(fires) = fires else {
        return Err(Error::new(node.at, "a test says how often it `fires`"));
    };
    let from = start(node)?.unwrap_or(start_of_file);
    let mut own = base.clone();
    own.extend(object(node.get("base"))?);
    let mut overrides = Overrides::new();
    for (rule, values) in object(node.get("overrides"))? {
        if let Json::Object(values) = values {
            overrides.insert(rule, values.into_iter().collect());
        }
    }
    let Some(Node {
        kind: Kind::List(list),
        ..
    }) = node.get("events")
    else {
        return Err(Error::new(node.at, "there is no list of `events`"));
    };
    let mut events = Vec::new();
    for n in list {
        expand(n, &own, from, &mut events)?;
    }
    events.sort_by_key(|e: &TestEvent| e.time);
    Ok(Test {
        name,
        fires,
        overrides,
        events,
        at: node.at,
    })
}

fn expand(
    node: &Node,
    base: &Map<String, Json>,
    start: i64,
    out: &mut Vec<TestEvent>,
) -> Result<()> {
    known(
        node,
        &["at", "repeat", "every", "tenant", "source", "set", "raw"],
    )?;
    let (at, every) = (span(node.get("at"))?, span(node.get("every"))?);
    let text = |k: &str| node.get(k).and_then(Node::scalar_text);
    let repeat: usize = text("repeat")
        .map_or(Ok(1), |t| t.parse())
        .map_err(|_| Error::new(node.at, "`repeat` is a number"))?;
    let raw = node.get("raw").is_some();
    let event = if raw {
        object(node.get("raw"))?
    } else {
        let mut event = base.clone();
        event.extend(object(node.get("set"))?);
        event
    };
    for n in 0..repeat {
        if out.len() >= MAX_EVENTS {
            return Err(Error::new(
                node.at,
                format!("more than {MAX_EVENTS} events"),
            ));
        }
        let n_micros = i64::try_from(n).unwrap_or(i64::MAX).saturating_mul(every);
        let mut event = Json::Object(event.clone());
        number(&mut event, &n.to_string());
        out.push(TestEvent {
            time: start.saturating_add(at).saturating_add(n_micros),
            tenant: text("tenant").unwrap_or_default(),
            source: text("source"),
            raw,
            event,
        });
    }
    Ok(())
}

fn number(value: &mut Json, n: &str) {
    match value {
        Json::String(s) if s.contains("${n}") => *s = s.replace("${n}", n),
        Json::Array(l) => l.iter_mut().for_each(|v| number(v, n)),
        Json::Object(m) => m.values_mut().for_each(|v| number(v, n)),
        _ => {}
    }
}

/// Runs tests over rules given as (file, text). `normalise` turns raw events into what rules are
/// written for.
pub fn run(
    suite: &Suite,
    rules: &[(&str, &str)],
    normalise: &mut dyn FnMut(&TestEvent) -> std::result::Result<Json, String>,
) -> Vec<Outcome> {
    suite
        .tests
        .iter()
        .map(|t| {
            let result = one(t, rules, normalise);
            let (fired, error) = match result {
                Ok(fired) => (fired, None),
                Err(e) => (Vec::new(), Some(e)),
            };
            Outcome {
                name: t.name.clone(),
                expected: t.fires,
                fired,
                error,
            }
        })
        .collect()
}

type Fired = Vec<(String, String, i64)>;

fn one(
    test: &Test,
    rules: &[(&str, &str)],
    normalise: &mut dyn FnMut(&TestEvent) -> std::result::Result<Json, String>,
) -> std::result::Result<Fired, String> {
    let mut collection = Collection::with_overrides(test.overrides.clone());
    for (file, text) in rules {
        collection.add(file, text, &Limits::default(), &BTreeMap::new());
    }
    collection.finish(&[]);
    if let Some(e) = collection.errors.first() {
        return Err(e.to_string());
    }
    for name in test.overrides.keys() {
        let is =
            |m: &crate::model::Meta| m.id.as_ref() == Some(name) || m.name.as_ref() == Some(name);
        let there = collection.rules.iter().any(|r| is(&r.meta))
            || collection.correlations.iter().any(|c| is(&c.meta));
        if !there {
            return Err(format!("there is no rule `{name}` to override"));
        }
    }
    let shown = collection.shown();
    let options = Options {
        source_fields: STATED.map(str::to_owned),
        extra_fields: Engine::fields(&collection),
        ..Options::default()
    };
    let set = Arc::new(RuleSet::new(collection.rules.clone(), options));
    if let Some(u) = set.unresolved().first() {
        return Err(format!(
            "unresolved placeholders: {}",
            u.placeholders.join(", ")
        ));
    }
    let mut matcher = Matcher::new(Arc::clone(&set), EventSource::UNKNOWN);
    let settings = Settings {
        lateness: 0,
        skew: i64::MAX,
        ..Settings::default()
    };
    let mut engines: BTreeMap<&str, Engine> = BTreeMap::new();
    let mut fired = Fired::new();
    for (i, e) in test.events.iter().enumerate() {
        let event = if e.raw {
            normalise(e)?
        } else {
            e.event.clone()
        };
        let text = event.to_string();
        let matched = matcher
            .matches_at(&text, Some(e.time))
            .map_err(|e| e.to_string())?
            .to_vec();
        for rule in &matched {
            if shown.rules[*rule] {
                fired.push((
                    collection.rules[*rule].meta.key().to_owned(),
                    e.tenant.clone(),
                    e.time,
                ));
            }
        }
        if !engines.contains_key(e.tenant.as_str()) {
            engines.insert(&e.tenant, Engine::new(&collection, settings.clone())?);
        }
        let Some(engine) = engines.get_mut(e.tenant.as_str()) else {
            continue;
        };
        let arrival = Arrival {
            source: "test",
            time: e.time,
            id: EventId(0, i as u64),
            now: None,
        };
        engine.observe(&arrival, &matched, |name| {
            set.field(name)
                .map(|f| matcher.texts(&text, f))
                .unwrap_or_default()
        });
    }
    for (tenant, mut engine) in engines {
        for a in engine.finish() {
            if !shown.correlations[a.correlation] {
                continue;
            }
            let key = collection.correlations[a.correlation].meta.key().to_owned();
            fired.push((key, tenant.to_owned(), a.time));
        }
    }
    Ok(fired)
}
