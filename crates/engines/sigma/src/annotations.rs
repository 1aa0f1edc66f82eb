//! What this crate adds to the description of a rule or correlation, under `x-sealwright`:
//!
//! ```yaml
//! x-sealwright:
//!   family: authentication
//!   evidence: [CC6.1, CC6.6]
//!   actions:
//!     - alert
//!     - block-address: 1h
//!   tunables:
//!     threshold: {sets: /correlation/condition/gte, minimum: 2, doc: failed logins}
//!     window: {sets: /correlation/timespan, doc: length of the window}
//! ```
//!
//! A *tunable* names a value of the document by its JSON Pointer (RFC 6901). The document stays a valid
//! Sigma rule with its defaults in place; who uses it may give another value ([`Overrides`]) without
//! touching the file. The value is of the kind of the default (a list may stand for one text), within
//! its bounds, and is put in place before the document is read, so that it is checked like any other.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::parse::texts;
use crate::yaml::{Key, Kind, Node, Number};

/// Keys under `x-sealwright` that this module reads.
pub(crate) const KEYS: [&str; 4] = ["family", "evidence", "actions", "tunables"];

/// Values of tunables: by id or name of the document, then by name of the tunable.
pub type Overrides = BTreeMap<String, BTreeMap<String, Json>>;

/// What is asked for when a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// An alert; always.
    Alert,
    /// No traffic from the address for a time.
    BlockAddress,
    /// The API key is no longer accepted.
    SuspendKey,
    /// The session ends.
    SuspendSession,
    /// The tenant's access stops.
    SuspendTenant,
    /// Fewer requests are accepted.
    Throttle,
    /// An incident is opened.
    Incident,
    /// The next login needs a second factor.
    RequireMfa,
    /// Somebody writes down why.
    RequireJustification,
    /// A legal hold keeps what concerns the alert.
    PreserveEvidence,
    /// The administrators are told.
    NotifyAdmin,
    /// The tenant is told.
    NotifyTenant,
    /// The data-protection officer is told.
    NotifyDpo,
}

const ACTIONS: [(&str, ActionKind); 13] = [
    ("alert", ActionKind::Alert),
    ("block-address", ActionKind::BlockAddress),
    ("suspend-key", ActionKind::SuspendKey),
    ("suspend-session", ActionKind::SuspendSession),
    ("suspend-tenant", ActionKind::SuspendTenant),
    ("throttle", ActionKind::Throttle),
    ("incident", ActionKind::Incident),
    ("require-mfa", ActionKind::RequireMfa),
    ("require-justification", ActionKind::RequireJustification),
    ("preserve-evidence", ActionKind::PreserveEvidence),
    ("notify-admin", ActionKind::NotifyAdmin),
    ("notify-tenant", ActionKind::NotifyTenant),
    ("notify-dpo", ActionKind::NotifyDpo),
];

impl ActionKind {
    /// The name in rules.
    pub fn name(self) -> &'static str {
        ACTIONS
            .iter()
            .find(|(_, k)| *k == self)
            .map_or("alert", |(n, _)| n)
    }

    /// The action of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|(n, _)| *n == name).map(|(_, k)| *k)
    }
}

/// An action of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// What is asked for.
    pub kind: ActionKind,
    /// For how long, in microseconds; `None` until it is undone.
    pub duration: Option<i64>,
}

/// A value that may be set without editing the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunable {
    /// Its name.
    pub name: String,
    /// Where it stands (RFC 6901); at several places it is the same value.
    pub pointers: Vec<String>,
    /// What it means.
    pub doc: String,
    /// The value in use.
    pub value: Json,
    /// Least number.
    pub minimum: Option<i64>,
    /// Greatest number.
    pub maximum: Option<i64>,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Family of rules, for example `authentication`.
    pub family: Option<String>,
    /// Criteria for which an alert, or the rule being on, is evidence, for example `CC6.1`.
    pub evidence: Vec<String>,
    /// What is asked for when it fires.
    pub actions: Vec<Action>,
    /// What may be set.
    pub tunables: Vec<Tunable>,
}

pub(crate) fn read(node: &Node) -> Result<Annotations> {
    let mut out = Annotations::default();
    let Some(ext) = node.get("x-sealwright") else {
        return Ok(out);
    };
    out.family = ext.get("family").and_then(Node::scalar_text);
    if let Some(n) = ext.get("evidence") {
        out.evidence = texts(n, "evidence")?;
    }
    if let Some(n) = ext.get("actions") {
        let Kind::List(list) = &n.kind else {
            return Err(Error::new(n.at, "`actions` must be a list"));
        };
        out.actions = list.iter().map(action).collect::<Result<_>>()?;
    }
    for t in declared(node)? {
        let first = t.pointers.first().and_then(|p| at(node, p));
        let value = first.map_or(Json::Null, to_json);
        out.tunables.push(Tunable { value, ..t });
    }
    Ok(out)
}

fn action(node: &Node) -> Result<Action> {
    let (name, duration) = match &node.kind {
        Kind::Map(m) if m.len() == 1 => {
            let (key, value) = &m[0];
            let text = value.scalar_text().unwrap_or_default();
            let span = crate::time::timespan(&text).ok_or_else(|| {
                Error::new(value.at, format!("`{text}` is not a timespan"))
                    .hint("write a number and s, m, h, d or w")
            })?;
            (key.text.clone(), Some(span))
        }
        _ => (node.scalar_text().unwrap_or_default(), None),
    };
    let kind = ActionKind::from_name(&name).ok_or_else(|| {
        let known: Vec<&str> = ACTIONS.iter().map(|(n, _)| *n).collect();
        Error::new(node.at, format!("there is no action `{name}`"))
            .hint(format!("known are {}", known.join(", ")))
    })?;
    Ok(Action { kind, duration })
}

fn declared(node: &Node) -> Result<Vec<Tunable>> {
    let Some(map) = node.get("x-sealwright").and_then(|x| x.get("tunables")) else {
        return Ok(Vec::new());
    };
    let mut out = Vec::new();
    for (key, value) in map.as_map("`tunables`")? {
        let text = |k: &str| value.get(k).and_then(Node::scalar_text);
        let pointers = value
            .get("sets")
            .map_or(Ok(Vec::new()), |n| texts(n, "sets"))?;
        if pointers.is_empty() {
            return Err(Error::new(value.at, "a tunable needs `sets`")
                .hint("write the JSON pointer of the value, for example /correlation/timespan"));
        }
        if let Some(pointer) = pointers.iter().find(|p| at(node, p).is_none()) {
            return Err(Error::new(
                value.at,
                format!("there is nothing at `{pointer}`"),
            ));
        }
        let bound = |k: &str| text(k).and_then(|t| t.parse::<i64>().ok());
        out.push(Tunable {
            name: key.text.clone(),
            pointers,
            doc: text("doc").unwrap_or_default(),
            value: Json::Null,
            minimum: bound("minimum"),
            maximum: bound("maximum"),
        });
    }
    Ok(out)
}

fn parts(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer
        .split('/')
        .skip(1)
        .map(|p| p.replace("~1", "/").replace("~0", "~"))
}

fn at<'a>(node: &'a Node, pointer: &str) -> Option<&'a Node> {
    if !pointer.starts_with('/') {
        return None;
    }
    parts(pointer).try_fold(node, |n, part| match &n.kind {
        Kind::List(l) => l.get(part.parse::<usize>().ok()?),
        _ => n.get(&part),
    })
}

fn at_mut<'a>(node: &'a mut Node, pointer: &str) -> Option<&'a mut Node> {
    let mut here = node;
    for part in parts(pointer) {
        here = match &mut here.kind {
            Kind::List(l) => l.get_mut(part.parse::<usize>().ok()?)?,
            Kind::Map(m) => m.iter_mut().find(|(k, _)| k.text == part).map(|(_, v)| v)?,
            _ => return None,
        };
    }
    Some(here)
}

/// Puts the values of overrides in their places.
pub(crate) fn tune(node: &mut Node, overrides: &Overrides) -> Result<()> {
    if overrides.is_empty() {
        return Ok(());
    }
    let text = |k: &str| node.get(k).and_then(Node::scalar_text);
    let found = [text("id"), text("name")];
    let given: Vec<(&String, &Json)> = found
        .iter()
        .flatten()
        .filter_map(|k| overrides.get(k))
        .flatten()
        .collect();
    if given.is_empty() {
        return Ok(());
    }
    let tunables = declared(node)?;
    for (name, value) in given {
        let Some(t) = tunables.iter().find(|t| t.name == *name) else {
            let known: Vec<&str> = tunables.iter().map(|t| t.name.as_str()).collect();
            return Err(Error::new(node.at, format!("there is no tunable `{name}`"))
                .hint(format!("known are: {}", known.join(", "))));
        };
        for pointer in &t.pointers {
            if let Some(place) = at_mut(node, pointer) {
                *place = fit(t, value, place)?;
            }
        }
    }
    Ok(())
}

/// The value of an override in the place of a default.
fn fit(t: &Tunable, value: &Json, place: &Node) -> Result<Node> {
    let refuse = |why: String| Error::new(place.at, format!("tunable `{}`: {why}", t.name));
    let new = from_json(value, place, 0).map_err(refuse)?;
    let same = std::mem::discriminant(&new.kind) == std::mem::discriminant(&place.kind);
    let lists = matches!(
        (&place.kind, &new.kind),
        (Kind::Text(_) | Kind::Number(..), Kind::List(_))
            | (Kind::List(_), Kind::Text(_) | Kind::Number(..))
    );
    if !same && !lists {
        return Err(refuse(format!(
            "the default is {}, this is {}",
            place.type_name(),
            new.type_name()
        )));
    }
    if let Kind::Number(_, n) = &new.kind {
        #[allow(clippy::cast_precision_loss)]
        let outside = t.minimum.is_some_and(|m| n.as_f64() < m as f64)
            || t.maximum.is_some_and(|m| n.as_f64() > m as f64);
        if outside {
            let bound = |b: Option<i64>| b.map_or("…".to_owned(), |b| b.to_string());
            return Err(refuse(format!(
                "{value} is not within {} to {}",
                bound(t.minimum),
                bound(t.maximum)
            )));
        }
    }
    Ok(new)
}

fn from_json(value: &Json, place: &Node, depth: usize) -> std::result::Result<Node, String> {
    let kind = match value {
        Json::Null => Kind::Null,
        Json::Bool(b) => Kind::Bool(*b),
        Json::Number(n) => {
            let text = n.to_string();
            let number = Number::parse(&text).ok_or("no number")?;
            Kind::Number(text, number)
        }
        Json::String(s) => Kind::Text(s.clone()),
        Json::Array(l) if depth == 0 && l.len() <= 10_000 => Kind::List(
            l.iter()
                .map(|v| from_json(v, place, 1))
                .collect::<std::result::Result<_, _>>()?,
        ),
        _ => {
            return Err("a value is a number, a text, a truth value or a list of these".to_owned());
        }
    };
    Ok(Node { at: place.at, kind })
}

/// A node as JSON; of keys that differ in nothing but their kind the last counts.
pub(crate) fn to_json(node: &Node) -> Json {
    match &node.kind {
        Kind::Null => Json::Null,
        Kind::Bool(b) => Json::Bool(*b),
        Kind::Number(text, n) => serde_json::from_str(text)
            .ok()
            .or_else(|| match n {
                Number::Int(i) => Some(Json::from(*i)),
                Number::Float(f) => serde_json::Number::from_f64(*f).map(Json::Number),
            })
            .unwrap_or(Json::Null),
        Kind::Text(t) => Json::String(t.clone()),
        Kind::List(l) => Json::Array(l.iter().map(to_json).collect()),
        Kind::Map(m) => Json::Object(
            m.iter()
                .map(|(Key { text, .. }, v)| (text.clone(), to_json(v)))
                .collect(),
        ),
    }
}
