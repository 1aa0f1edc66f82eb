//! The reference evaluator: a rule against an event, as the specification reads, without any
//! index. The compiled rule set ([`crate::compiled`]) must agree with it on every pair.

use serde_json::Value as Json;

use crate::model::{Condition, Item, Link, Rule, Selection, Value};
use crate::value::{self, Found, Leaf};

/// An event with what is known beside its fields.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The fields.
    pub fields: &'a Json,
    /// When it happened, in microseconds UTC; only the additions `hours` and `older-than` ask.
    pub time: Option<i64>,
}

impl<'a> Event<'a> {
    /// An event without a time.
    pub fn new(fields: &'a Json) -> Self {
        Self { fields, time: None }
    }
}

/// Whether a rule matches. Log sources are not looked at.
pub fn matches(rule: &Rule, event: &Event<'_>) -> bool {
    condition(&rule.condition, rule, event) && extension(rule, event)
}

/// Whether the additions of a rule hold. An unknown time, or a field that holds no date, does not.
pub fn extension(rule: &Rule, event: &Event<'_>) -> bool {
    let hours = rule.extension.hours.as_ref();
    let old = rule.extension.older_than.as_ref();
    hours.is_none_or(|h| event.time.is_some_and(|t| h.allows(t)))
        && old.is_none_or(|o| {
            let Some(now) = event.time else { return false };
            value::lookup(event.fields, &o.field)
                .values
                .iter()
                .filter_map(|v| v.text().and_then(crate::time::instant))
                .any(|then| now.saturating_sub(then) >= o.age)
        })
}

fn condition(c: &Condition, rule: &Rule, event: &Event<'_>) -> bool {
    match c {
        Condition::Id(i) => selection(&rule.detections[*i].1, event),
        Condition::And(l) => l.iter().all(|c| condition(c, rule, event)),
        Condition::Or(l) => l.iter().any(|c| condition(c, rule, event)),
        Condition::Not(c) => !condition(c, rule, event),
    }
}

/// Whether a selection matches.
pub fn selection(s: &Selection, event: &Event<'_>) -> bool {
    match s {
        Selection::Group(Link::All, l) => l.iter().all(|s| selection(s, event)),
        Selection::Group(Link::Any, l) => l.iter().any(|s| selection(s, event)),
        Selection::Item(i) => item(i, event),
    }
}

/// Whether an item matches.
pub fn item(item: &Item, event: &Event<'_>) -> bool {
    let Some(field) = &item.field else {
        return joined(item, |v| keyword(v, event.fields));
    };
    let found = value::lookup(event.fields, field);
    if item.negated && !found.present {
        return false;
    }
    joined(item, |v| field_value(v, &found, event)) != item.negated
}

fn joined(item: &Item, f: impl FnMut(&Value) -> bool) -> bool {
    match item.link {
        Link::Any => item.values.iter().any(f),
        Link::All => item.values.iter().all(f),
    }
}

fn field_value(v: &Value, found: &Found<'_>, event: &Event<'_>) -> bool {
    v.tests
        .iter()
        .any(|t| value::test(t, found, &|f| value::lookup(event.fields, f)))
}

/// Whether a keyword is in any value of the event.
fn keyword(v: &Value, event: &Json) -> bool {
    let mut hit = false;
    value::each_leaf(event, &mut |leaf: Leaf<'_>| {
        hit = hit || v.tests.iter().any(|t| value::test_leaf(t, leaf));
    });
    hit
}
