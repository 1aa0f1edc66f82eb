//! The terms of events: what the lake finds them by.

use std::net::IpAddr;

use sealwright_events::{EventTerms, Facets, StoredEvent};
use sealwright_sigma::fold::fold;
use sealwright_sigma::logsource::STATED;
use sealwright_sigma::scan::MAX_DEPTH;
use sealwright_sigma::value::{Leaf, lookup};
use sealwright_terms::{Builder, Order};
use serde_json::Value;

use crate::service::fields::{self, ENTITIES};
use crate::service::normalise::{normalise, normaliser};

/// Rows that have fields at all. The names of fields do not begin so.
pub(super) const FIELDS: &str = "\u{3}fields";
/// The way in which terms are made of fields.
const VERSION: u32 = 3;

/// Fields by which correlations group events, and whose values they count, of which the index keeps the value itself for
/// each row: what is asked of an event beyond them is read.
const CORRELATED: &[&str] = &[
    "cloud.account.id",
    "cloud.region",
    "destination.ip",
    "event.action",
    "event.outcome",
    "gen_ai.request.model",
    "host.name",
    "sealwright.ai.prompt_hash",
    "sealwright.ai.tokens",
    "sealwright.export.bytes",
    "sealwright.export.format",
    "sealwright.key.id",
    "sealwright.session.id",
    "source.geo.country_iso_code",
    "source.ip",
    "url.path",
    "user.email",
    "user.id",
    "user.name",
    "user.target.name",
    "user_agent.original",
];

/// The name under which the text of a field is kept for each row; `None` when it is not.
pub(super) fn kept_field(field: &str) -> Option<String> {
    CORRELATED.contains(&field).then(|| kept_name(field))
}

fn kept_name(field: &str) -> String {
    format!("\u{3}{field}")
}

/// The names of the values that say whom an event is about: kinds of entities, the first of them first.
pub(super) fn kept_entities() -> impl Iterator<Item = &'static str> {
    ENTITIES.iter().map(|(kind, _)| *kind)
}

/// Whether an event states a log source in other letters than those of ASCII: then it is not compared with a rule's here.
pub(super) const ODD_SOURCE: &str = "\u{3}odd source";

/// An event's fields, those of ECS beside those of its source, as the terms of the lake.
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldTerms;

impl EventTerms for FieldTerms {
    fn version(&self) -> String {
        let mapping = normaliser().map_or(0, |_| sealwright_ecs::VERSION);
        format!("{VERSION}.{mapping}")
    }

    fn add(&self, event: &StoredEvent, to: &mut Builder) -> bool {
        let facets = |to: &mut Builder, values: &Facets| {
            for (name, value) in values.iter().filter(|(name, _)| *name != "what") {
                to.value(name, value);
            }
            to.value("type", &event.event_type);
            to.value("source", &event.source);
        };
        // What has no fields is found by none.
        let Ok(normalised) = normalise(event) else {
            facets(to, &Facets::new());
            return true;
        };
        let Ok(value) = normalised.value() else {
            return false;
        };
        facets(to, &fields::summary(&value));
        kept(&value, to);
        to.present(FIELDS);
        object(&value, &mut String::new(), 0, to)
    }
}

/// What is kept of an event so that a retro-hunt need not read it.
fn kept(value: &Value, to: &mut Builder) {
    for field in CORRELATED {
        let found = lookup(value, field);
        let mut texts = found.values.iter().filter_map(|leaf| leaf.text());
        match (texts.next(), texts.next()) {
            (None, _) => {}
            (Some(text), None) => to.value(&kept_name(field), text),
            _ => to.value_unkept(&kept_name(field)),
        }
    }
    let stated = STATED.iter().map(|field| lookup(value, field));
    let mut leaves = stated.flat_map(|found| found.values);
    if leaves.any(|leaf| leaf.text().is_some_and(|text| !text.is_ascii())) {
        to.present(ODD_SOURCE);
    }
}

/// False when it is nested deeper than rules look.
fn object(value: &Value, path: &mut String, depth: usize, to: &mut Builder) -> bool {
    let Value::Object(members) = value else {
        return true;
    };
    if depth + 1 >= MAX_DEPTH {
        return false;
    }
    members.iter().all(|(name, value)| {
        let before = path.len();
        if before > 0 {
            path.push('.');
        }
        path.push_str(name);
        to.present(path);
        let whole = leaves(value, path, depth + 1, to);
        path.truncate(before);
        whole
    })
}

fn leaves(value: &Value, path: &mut String, depth: usize, to: &mut Builder) -> bool {
    match value {
        Value::Array(list) => {
            depth + 1 < MAX_DEPTH && list.iter().all(|one| leaves(one, path, depth + 1, to))
        }
        Value::Object(_) => object(value, path, depth, to),
        Value::Null => true,
        Value::Bool(b) => term(Leaf::Bool(*b), path, to),
        Value::Number(n) => term(Leaf::Number(n.as_str()), path, to),
        Value::String(s) => term(Leaf::Text(s), path, to),
    }
}

fn term(leaf: Leaf<'_>, path: &str, to: &mut Builder) -> bool {
    if let Some(text) = leaf.text() {
        to.term(path, &fold(text));
        if let Ok(address) = text.trim().parse::<IpAddr>() {
            let (order, key) = Order::address(address);
            to.ordered(path, order, key);
        }
    }
    if let Some(number) = leaf.number() {
        to.ordered(path, Order::Number, Order::number(number.as_f64()));
    }
    true
}
