//! Why a rule matched an event, or why it did not.

use std::fmt::Write as _;

use serde::Serialize;

use crate::logsource::EventSource;
use crate::model::{Condition, Item, Link, Rule, Selection};
use crate::naive::{self, Event};
use crate::value;

/// A condition with its answer, down to the values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// `and`, `or`, `not`, the name of a search identifier, or a field with its modifiers.
    pub what: String,
    /// Whether it holds.
    pub holds: bool,
    /// What the rule asks for, of a field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// Those of the wanted values that matched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<String>,
    /// What the event has, of a field; `None` when the field is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<String>>,
    /// The parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Step>,
}

/// The answer for one rule and one event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Whether the rule matches.
    pub matches: bool,
    /// Set when the rule is not for events of this log source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logsource: Option<String>,
    /// Placeholders that are not resolved; such a rule never matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placeholders: Vec<String>,
    /// Additions that do not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additions: Vec<String>,
    /// The condition.
    pub condition: Step,
}

const LONGEST: usize = 200;

/// Explains a rule on an event.
pub fn explain(rule: &Rule, event: &Event<'_>, source: &EventSource) -> Explanation {
    let mut placeholders = Vec::new();
    for (_, s) in &rule.detections {
        crate::model::each_item(s, &mut |i| {
            placeholders.extend(i.values.iter().flat_map(|v| v.placeholders.iter().cloned()));
        });
    }
    placeholders.sort_unstable();
    placeholders.dedup();
    let logsource = (!source.admits(&rule.logsource)).then(|| {
        let l = &rule.logsource;
        let part =
            |key: &str, rule: &Option<String>, event: &Option<Vec<String>>| match (rule, event) {
                (Some(r), Some(e)) if !e.contains(r) => Some(format!(
                    "the rule is for {key} {r}, the event is of {}",
                    e.join(", ")
                )),
                _ => None,
            };
        [
            part("product", &l.product, &source.product),
            part("category", &l.category, &source.category),
            part("service", &l.service, &source.service),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
    });
    let mut additions = Vec::new();
    if !naive::extension(rule, event) {
        let ext = &rule.extension;
        if let Some(h) = &ext.hours {
            match event.time {
                None => additions.push("hours: the event has no time".to_owned()),
                Some(t) if !h.allows(t) => {
                    let side = if h.inside { "outside" } else { "inside" };
                    additions.push(format!("hours: the event is {side} the hours of the rule"));
                }
                Some(_) => {}
            }
        }
        if let Some(o) = &ext.older_than {
            let days = o.age / 86_400_000_000;
            additions.push(format!("older-than: `{}` is not {days} days old", o.field));
        }
    }
    let condition = condition(&rule.condition, rule, event);
    Explanation {
        matches: condition.holds
            && logsource.is_none()
            && placeholders.is_empty()
            && naive::extension(rule, event),
        logsource,
        placeholders,
        additions,
        condition,
    }
}

fn step(what: impl Into<String>, holds: bool, parts: Vec<Step>) -> Step {
    Step {
        what: what.into(),
        holds,
        wanted: Vec::new(),
        matched: Vec::new(),
        found: None,
        parts,
    }
}

fn condition(c: &Condition, rule: &Rule, event: &Event<'_>) -> Step {
    let all = |l: &[Condition]| {
        l.iter()
            .map(|c| condition(c, rule, event))
            .collect::<Vec<_>>()
    };
    match c {
        Condition::Id(i) => {
            let (name, s) = &rule.detections[*i];
            let mut inner = selection(s, event);
            if inner.parts.is_empty() || inner.what == "and" || inner.what == "or" {
                if inner.parts.is_empty() {
                    inner = step("", inner.holds, vec![inner]);
                }
                inner.what.clone_from(name);
                inner
            } else {
                step(name, inner.holds, vec![inner])
            }
        }
        Condition::And(l) => {
            let parts = all(l);
            step("and", parts.iter().all(|p| p.holds), parts)
        }
        Condition::Or(l) => {
            let parts = all(l);
            step("or", parts.iter().any(|p| p.holds), parts)
        }
        Condition::Not(c) => {
            let inner = condition(c, rule, event);
            step("not", !inner.holds, vec![inner])
        }
    }
}

fn selection(s: &Selection, event: &Event<'_>) -> Step {
    match s {
        Selection::Group(link, members) => {
            let parts: Vec<Step> = members.iter().map(|m| selection(m, event)).collect();
            match link {
                Link::All => step("and", parts.iter().all(|p| p.holds), parts),
                Link::Any => step("or", parts.iter().any(|p| p.holds), parts),
            }
        }
        Selection::Item(i) => item(i, event),
    }
}

fn item(i: &Item, event: &Event<'_>) -> Step {
    let mut what = i.field.clone().unwrap_or_else(|| "keywords".to_owned());
    for m in &i.modifiers {
        let _ = write!(what, "|{}", m.name());
    }
    let mut out = step(what, naive::item(i, event), Vec::new());
    out.wanted = i.values.iter().map(|v| v.source.clone()).collect();
    for v in &i.values {
        let single = Item {
            values: vec![v.clone()],
            negated: false,
            ..i.clone()
        };
        if naive::item(&single, event) {
            out.matched.push(v.source.clone());
        }
    }
    if let Some(field) = &i.field {
        let found = value::lookup(event.fields, field);
        out.found = found.present.then(|| {
            found
                .values
                .iter()
                .map(|v| short(v.text().unwrap_or("null")))
                .collect()
        });
    }
    out
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((i, _)) => format!("{}…", &text[..i]),
        None => text.to_owned(),
    }
}

impl Explanation {
    /// The shortest account: what holds the rule back, or what made it match, one line each.
    pub fn reasons(&self) -> Vec<String> {
        let mut out: Vec<String> = self.logsource.iter().cloned().collect();
        if !self.placeholders.is_empty() {
            out.push(format!(
                "unresolved placeholders: {}",
                self.placeholders.join(", ")
            ));
        }
        out.extend(self.additions.iter().cloned());
        if self.matches || !self.condition.holds {
            blame(&self.condition, self.condition.holds, "", &mut out);
        }
        out
    }
}

/// The leaves that decide why a step is `answer`.
fn blame(s: &Step, answer: bool, name: &str, out: &mut Vec<String>) {
    let name = match s.what.as_str() {
        "and" | "or" | "not" | "" => name.to_owned(),
        other if s.parts.is_empty() => {
            let has = match &s.found {
                None if other.starts_with("keywords") => "",
                None => ", the field is missing",
                Some(_) => "",
            };
            let found = s
                .found
                .as_ref()
                .map_or(String::new(), |f| format!(", found {f:?}"));
            let (verb, values) = if s.matched.is_empty() {
                ("none of", &s.wanted)
            } else if s.holds {
                ("matched", &s.matched)
            } else {
                ("matched only", &s.matched)
            };
            let shown: Vec<String> = values.iter().take(5).map(|v| short(v)).collect();
            let more = if values.len() > 5 { ", …" } else { "" };
            out.push(format!(
                "{name}: {other} {verb} {shown:?}{more}{found}{has}"
            ));
            return;
        }
        other => other.to_owned(),
    };
    for p in &s.parts {
        if s.what == "not" {
            blame(p, !answer, &name, out);
        } else if p.holds == answer {
            blame(p, answer, &name, out);
        }
    }
}
