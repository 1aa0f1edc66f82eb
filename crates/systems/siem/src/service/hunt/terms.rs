//! The terms of events: what the lake finds them by.

use std::net::IpAddr;

use sealwright_events::{EventTerms, Facets, StoredEvent, facet_field};
use sealwright_sigma::fold::fold;
use sealwright_sigma::scan::MAX_DEPTH;
use sealwright_sigma::value::Leaf;
use sealwright_terms::{Builder, Order};
use serde_json::Value;

use crate::service::fields;
use crate::service::normalise::{normalise, normaliser};

/// Rows that have fields at all. The names of fields do not begin so.
pub(super) const FIELDS: &str = "\u{3}fields";
/// The way in which terms are made of fields.
const VERSION: u32 = 2;

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
                to.term(&facet_field(name), value);
            }
            to.term(&facet_field("type"), &event.event_type);
            to.term(&facet_field("source"), &event.source);
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
        to.present(FIELDS);
        object(&value, &mut String::new(), 0, to)
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
