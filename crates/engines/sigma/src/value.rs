//! Values of an event and the tests on them: the reference semantics.

use std::net::IpAddr;

use serde_json::Value as Json;

use crate::fold::fold;
use crate::model::{Place, Test};
use crate::time;
use crate::yaml::Number;

/// One value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leaf<'a> {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, as it is written in the event.
    Number(&'a str),
    /// Text.
    Text(&'a str),
}

impl<'a> Leaf<'a> {
    /// The text that patterns are compared with; null has none.
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(t) | Self::Text(t) => Some(t),
        }
    }

    /// The number: of a number, or of text that is one.
    pub fn number(self) -> Option<Number> {
        match self {
            Self::Number(t) | Self::Text(t) => Number::parse(t),
            _ => None,
        }
    }
}

/// What an event has under a field name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found<'a> {
    /// Whether the field is there, be it null, an empty list or an object.
    pub present: bool,
    /// Its values; a list gives its members.
    pub values: Vec<Leaf<'a>>,
}

/// Looks a field up. A dot goes into an object; a key that has dots itself is found as well; a
/// list stands for each of its members.
pub fn lookup<'a>(event: &'a Json, field: &str) -> Found<'a> {
    let mut found = Found::default();
    descend(event, field, &mut found);
    found
}

fn descend<'a>(value: &'a Json, path: &str, found: &mut Found<'a>) {
    match value {
        Json::Object(map) if !path.contains('.') => {
            if let Some(child) = map.get(path) {
                found.present = true;
                leaves(child, found);
            }
        }
        Json::Object(map) => {
            for (key, child) in map {
                if let Some(rest) = path.strip_prefix(key.as_str()) {
                    if rest.is_empty() {
                        found.present = true;
                        leaves(child, found);
                    } else if let Some(rest) = rest.strip_prefix('.') {
                        descend(child, rest, found);
                    }
                }
            }
        }
        Json::Array(list) => list.iter().for_each(|v| descend(v, path, found)),
        _ => {}
    }
}

fn leaves<'a>(value: &'a Json, found: &mut Found<'a>) {
    match value {
        Json::Array(list) => list.iter().for_each(|v| leaves(v, found)),
        Json::Object(_) => {}
        Json::Null => found.values.push(Leaf::Null),
        Json::Bool(b) => found.values.push(Leaf::Bool(*b)),
        Json::Number(n) => found.values.push(Leaf::Number(n.as_str())),
        Json::String(s) => found.values.push(Leaf::Text(s)),
    }
}

/// Calls a function with every scalar of an event, for keywords.
pub fn each_leaf<'a>(value: &'a Json, f: &mut impl FnMut(Leaf<'a>)) {
    match value {
        Json::Array(list) => list.iter().for_each(|v| each_leaf(v, f)),
        Json::Object(map) => map.values().for_each(|v| each_leaf(v, f)),
        Json::Null => {}
        Json::Bool(b) => f(Leaf::Bool(*b)),
        Json::Number(n) => f(Leaf::Number(n.as_str())),
        Json::String(s) => f(Leaf::Text(s)),
    }
}

/// Whether a field passes a test. `other` gives the field of a reference.
pub fn test<'a>(test: &Test, found: &Found<'a>, other: &dyn Fn(&str) -> Found<'a>) -> bool {
    match test {
        Test::Exists(wanted) => found.present == *wanted,
        Test::Null => !found.present || found.values.contains(&Leaf::Null),
        Test::FieldRef {
            field,
            place,
            cased,
        } => {
            let other = other(field);
            found.values.iter().any(|a| {
                other.values.iter().any(|b| match (a.text(), b.text()) {
                    (Some(a), Some(b)) => refers(a, b, *place, *cased),
                    _ => false,
                })
            })
        }
        _ => found.values.iter().any(|v| test_leaf(test, *v)),
    }
}

/// Compares a value with that of a referenced field.
pub fn refers(a: &str, b: &str, place: Place, cased: bool) -> bool {
    let (a, b) = if cased {
        (a.to_owned(), b.to_owned())
    } else {
        (fold(a), fold(b))
    };
    match place {
        Place::Whole => a == b,
        Place::Start => a.starts_with(&b),
        Place::End => a.ends_with(&b),
        Place::Inside => a.contains(&b),
    }
}

/// Whether one value passes a test that needs nothing else.
pub fn test_leaf(test: &Test, leaf: Leaf<'_>) -> bool {
    match test {
        Test::Text { pattern, cased } => leaf.text().is_some_and(|t| pattern.matches(t, *cased)),
        Test::Number(n, text) => match leaf {
            Leaf::Number(t) => {
                t == text
                    || Number::parse(t)
                        .and_then(|v| v.compare(*n))
                        .is_some_and(|o| o.is_eq())
            }
            _ => leaf.text() == Some(text),
        },
        Test::Bool(b) => match leaf {
            Leaf::Bool(v) => v == *b,
            Leaf::Text(t) => fold(t) == if *b { "true" } else { "false" },
            _ => false,
        },
        Test::Regex(r) => leaf.text().is_some_and(|t| r.regex.is_match(t)),
        Test::Cidr(net) => leaf
            .text()
            .and_then(|t| t.trim().parse::<IpAddr>().ok())
            .is_some_and(|a| net.contains(a)),
        Test::Compare(c, n) => leaf.number().is_some_and(|v| c.holds(v, *n)),
        Test::Time {
            part,
            compare,
            value,
        } => leaf
            .text()
            .and_then(|t| time::part(t, *part))
            .is_some_and(|v| compare.holds(Number::Int(v), Number::Int(*value))),
        Test::Null => leaf == Leaf::Null,
        Test::Exists(_) | Test::FieldRef { .. } => false,
    }
}
