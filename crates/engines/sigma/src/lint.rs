//! Advice on rules that load.

use std::collections::HashSet;

use crate::error::Position;
use crate::model::{Condition, Filter, Item, Meta, Rule, Selection, Test, each_item};
use crate::modifier::Modifier;
use crate::pattern::Part;

/// A piece of advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Name of the check.
    pub check: &'static str,
    /// Where.
    pub at: Position,
    /// What, and what to do.
    pub message: String,
}

/// All checks and what they look for.
pub const CHECKS: [(&str, &str); 17] = [
    ("title-length", "a title of more than 256 characters"),
    ("id", "a missing id, or one that is no UUID"),
    ("status", "a status that the specification does not know"),
    ("date", "a date that is not YYYY-MM-DD"),
    ("level", "a missing level"),
    ("author", "a missing author, which alerts should carry"),
    (
        "tag",
        "a tag without a namespace, or a malformed ATT&CK tag",
    ),
    (
        "logsource-empty",
        "a log source without product, category and service",
    ),
    (
        "unused",
        "a search identifier that the condition does not use",
    ),
    (
        "all-of-them",
        "`all of them`, which keeps users from adding filters",
    ),
    ("null-in-list", "null among other values"),
    ("duplicate-value", "a value that is listed twice"),
    ("wildcard-only", "a value of only `*`; use `exists: true`"),
    (
        "redundant-wildcard",
        "a wildcard that the modifier already implies",
    ),
    (
        "plain-regex",
        "a regular expression without any metacharacter",
    ),
    (
        "unindexed",
        "a condition that must be evaluated on every event",
    ),
    (
        "filter-positive",
        "a filter whose condition does not negate: it keeps only what it names",
    ),
];

/// Advice on a rule.
pub fn rule(r: &Rule) -> Vec<Advice> {
    let mut out = Vec::new();
    meta(&r.meta, r.at, &mut out);
    let mut say = |check, at, message: String| out.push(Advice { check, at, message });
    if r.meta.level.is_none() {
        say("level", r.at, "there is no `level`".to_owned());
    }
    let l = &r.logsource;
    if l.product.is_none() && l.category.is_none() && l.service.is_none() {
        say(
            "logsource-empty",
            r.at,
            "the rule is for every event of every source".to_owned(),
        );
    }
    let mut used = HashSet::new();
    ids(&r.condition, &mut used);
    for (i, (name, _)) in r.detections.iter().enumerate() {
        if !used.contains(&i) && !name.starts_with("_filter ") {
            say(
                "unused",
                r.at,
                format!("the condition does not use `{name}`"),
            );
        }
    }
    if r.condition_text.to_lowercase().contains("all of them") {
        say(
            "all-of-them",
            r.at,
            "write `all of selection*` instead of `all of them`".to_owned(),
        );
    }
    if always(&r.condition, r) {
        say(
            "unindexed",
            r.at,
            "nothing that must be present is named, so every event costs an evaluation".to_owned(),
        );
    }
    for (_, s) in &r.detections {
        each_item(s, &mut |i| item(i, &mut out));
    }
    out
}

/// Advice on a filter.
pub fn filter(f: &Filter) -> Vec<Advice> {
    let mut out = Vec::new();
    meta(&f.meta, f.at, &mut out);
    if !has_not(&f.condition) {
        out.push(Advice {
            check: "filter-positive",
            at: f.at,
            message: "the filter's condition is joined to the rule's by `and`: only what it \
                      matches still fires; write `not …` to leave something out"
                .to_owned(),
        });
    }
    for (_, s) in &f.detections {
        each_item(s, &mut |i| item(i, &mut out));
    }
    out
}

fn meta(m: &Meta, at: Position, out: &mut Vec<Advice>) {
    let mut say = |check, message: String| out.push(Advice { check, at, message });
    if m.title.chars().count() > 256 {
        say(
            "title-length",
            "the title has more than 256 characters".to_owned(),
        );
    }
    match &m.id {
        None => say("id", "there is no `id`; use a random UUID".to_owned()),
        Some(id) if !uuid(id) => say("id", format!("`{id}` is not a UUID")),
        Some(_) => {}
    }
    const STATUS: [&str; 5] = [
        "stable",
        "test",
        "experimental",
        "deprecated",
        "unsupported",
    ];
    if let Some(s) = m.status.as_deref().filter(|s| !STATUS.contains(s)) {
        say(
            "status",
            format!("`{s}` is not one of {}", STATUS.join(", ")),
        );
    }
    for (key, date) in [("date", &m.date), ("modified", &m.modified)] {
        if let Some(d) = date
            && (d.len() != 10 || d.parse::<jiff::civil::Date>().is_err())
        {
            say("date", format!("`{key}: {d}` is not YYYY-MM-DD"));
        }
    }
    if m.author.is_none() {
        say("author", "there is no `author`".to_owned());
    }
    for t in &m.tags {
        let Some((namespace, name)) = t.split_once('.') else {
            say("tag", format!("`{t}` has no namespace, such as `attack.`"));
            continue;
        };
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let technique = name
            .strip_prefix('t')
            .filter(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if namespace == "attack"
            && let Some(rest) = technique
        {
            let (a, b) = rest.split_once('.').unwrap_or((rest, "001"));
            if a.len() != 4 || !digits(a) || b.len() != 3 || !digits(b) {
                say(
                    "tag",
                    format!("`{t}` is not of the form attack.t1234 or attack.t1234.001"),
                );
            }
        }
    }
}

fn uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn ids(c: &Condition, out: &mut HashSet<usize>) {
    match c {
        Condition::Id(i) => {
            out.insert(*i);
        }
        Condition::And(l) | Condition::Or(l) => l.iter().for_each(|c| ids(c, out)),
        Condition::Not(c) => ids(c, out),
    }
}

fn has_not(c: &Condition) -> bool {
    match c {
        Condition::Id(_) => false,
        Condition::Not(_) => true,
        Condition::And(l) | Condition::Or(l) => l.iter().any(has_not),
    }
}

/// Whether the condition can hold for an event that has none of the fields.
fn always(c: &Condition, r: &Rule) -> bool {
    match c {
        Condition::Id(i) => absent(&r.detections[*i].1),
        Condition::Not(c) => !matches!(&**c, Condition::Not(_)),
        Condition::And(l) => l.iter().all(|c| always(c, r)),
        Condition::Or(l) => l.iter().any(|c| always(c, r)),
    }
}

fn absent(s: &Selection) -> bool {
    match s {
        Selection::Group(crate::model::Link::All, l) => l.iter().all(absent),
        Selection::Group(crate::model::Link::Any, l) => l.iter().any(absent),
        Selection::Item(i) => {
            !i.negated
                && i.values
                    .iter()
                    .flat_map(|v| &v.tests)
                    .any(|t| matches!(t, Test::Null | Test::Exists(false)))
        }
    }
}

fn item(i: &Item, out: &mut Vec<Advice>) {
    let name = i.field.as_deref().unwrap_or("keywords");
    let mut say = |check, at, message: String| out.push(Advice { check, at, message });
    let mut seen = HashSet::new();
    for v in &i.values {
        if !seen.insert((&v.source, v.tests.len())) {
            say(
                "duplicate-value",
                v.at,
                format!("`{}` is listed twice under `{name}`", v.source),
            );
        }
        for t in &v.tests {
            match t {
                Test::Null if i.values.len() > 1 => {
                    say(
                        "null-in-list",
                        v.at,
                        "null needs a search identifier of its own".to_owned(),
                    );
                }
                Test::Text { pattern, .. } if pattern.parts() == [Part::Star] => {
                    say(
                        "wildcard-only",
                        v.at,
                        format!("write `{name}|exists: true`"),
                    );
                }
                Test::Regex(r)
                    if r.source.len() > 2
                        && r.source
                            .chars()
                            .all(|c| c.is_alphanumeric() || " _-/:".contains(c)) =>
                {
                    say(
                        "plain-regex",
                        v.at,
                        format!("write `{name}|contains|cased` instead of `re`"),
                    );
                }
                _ => {}
            }
        }
        let star = |m: Modifier, hit: bool| i.modifiers.contains(&m) && hit && v.source.len() > 1;
        let (front, back) = (
            v.source.starts_with('*'),
            v.source.ends_with('*') && !v.source.ends_with("\\*"),
        );
        if star(Modifier::Contains, front || back)
            || star(Modifier::StartsWith, back)
            || star(Modifier::EndsWith, front)
        {
            say(
                "redundant-wildcard",
                v.at,
                format!("the modifier already implies the `*` of `{}`", v.source),
            );
        }
    }
}
