//! Predicates: a field and what its values are compared with, shared by all rules.

use std::net::IpAddr;

use memchr::memmem::Finder;
use rustc_hash::FxHashMap;

use crate::flat::{FieldId, FieldTable, Flat};
use crate::fold::fold;
use crate::model::{
    Compare, Condition, Item, Link, Network, Place, Rule, Selection, Test, TimePart,
};
use crate::pattern::{Glob, Part, Pattern};
use crate::value::{Leaf, refers};
use crate::yaml::Number;

/// Which values a predicate looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Field(FieldId),
    /// Every value of the event.
    Keyword,
}

#[derive(Debug)]
pub(crate) enum Op {
    Equal {
        text: Box<str>,
        cased: bool,
    },
    Start {
        text: Box<str>,
        cased: bool,
    },
    End {
        text: Box<str>,
        cased: bool,
    },
    Inside {
        text: Box<str>,
        cased: bool,
        finder: Box<Finder<'static>>,
    },
    /// `longest` is the longest plain piece, folded.
    Glob {
        glob: Glob,
        longest: Box<str>,
    },
    Number(Number, Box<str>),
    Bool(bool),
    Regex(regex::Regex),
    Cidr(Network),
    Compare(Compare, Number),
    Time {
        part: TimePart,
        compare: Compare,
        value: i64,
    },
    Null,
    Exists,
    FieldRef {
        field: FieldId,
        place: Place,
        cased: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Pred {
    pub(crate) scope: Scope,
    pub(crate) op: Op,
}

/// A rule over predicates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Pred(u32),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
}

impl Expr {
    pub(crate) fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

#[derive(Hash, PartialEq, Eq)]
struct Key(Scope, &'static str, Box<str>);

/// Collects predicates; equal ones are one.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) preds: Vec<Pred>,
    index: FxHashMap<Key, u32>,
}

impl Builder {
    pub(crate) fn rule(&mut self, rule: &Rule, fields: &mut FieldTable) -> Expr {
        let selections: Vec<Expr> = rule
            .detections
            .iter()
            .map(|(_, s)| self.selection(s, fields))
            .collect();
        condition(&rule.condition, &selections)
    }

    fn selection(&mut self, s: &Selection, fields: &mut FieldTable) -> Expr {
        match s {
            Selection::Group(link, members) => group(
                *link,
                members.iter().map(|m| self.selection(m, fields)).collect(),
            ),
            Selection::Item(item) => self.item(item, fields),
        }
    }

    fn item(&mut self, item: &Item, fields: &mut FieldTable) -> Expr {
        let scope = match &item.field {
            Some(f) => Scope::Field(fields.intern(f)),
            None => Scope::Keyword,
        };
        let values = item
            .values
            .iter()
            .map(|v| {
                let tests = v
                    .tests
                    .iter()
                    .map(|t| self.test(scope, t, fields))
                    .collect();
                group(Link::Any, tests)
            })
            .collect();
        let joined = group(item.link, values);
        if item.negated {
            let exists = Expr::Pred(self.add(scope, "exists", "", || Op::Exists));
            return Expr::And(vec![exists, joined.not()]);
        }
        joined
    }

    fn add(
        &mut self,
        scope: Scope,
        tag: &'static str,
        detail: &str,
        op: impl FnOnce() -> Op,
    ) -> u32 {
        let preds = &mut self.preds;
        *self
            .index
            .entry(Key(scope, tag, detail.into()))
            .or_insert_with(|| {
                preds.push(Pred { scope, op: op() });
                u32::try_from(preds.len() - 1).unwrap_or(u32::MAX)
            })
    }

    fn test(&mut self, scope: Scope, test: &Test, fields: &mut FieldTable) -> Expr {
        let id = match test {
            Test::Text { pattern, cased } => return Expr::Pred(self.text(scope, pattern, *cased)),
            Test::Number(n, text) => self.add(scope, "number", text, || {
                Op::Number(*n, text.as_str().into())
            }),
            Test::Bool(b) => self.add(scope, "bool", if *b { "1" } else { "" }, || Op::Bool(*b)),
            Test::Null => self.add(scope, "null", "", || Op::Null),
            Test::Regex(r) => self.add(scope, "re", &r.source, || Op::Regex(r.regex.clone())),
            Test::Cidr(n) => self.add(scope, "cidr", &format!("{n:?}"), || Op::Cidr(*n)),
            Test::Compare(c, n) => self.add(scope, "compare", &format!("{c:?}{n:?}"), || {
                Op::Compare(*c, *n)
            }),
            Test::Exists(b) => {
                let exists = Expr::Pred(self.add(scope, "exists", "", || Op::Exists));
                return if *b { exists } else { exists.not() };
            }
            Test::FieldRef {
                field,
                place,
                cased,
            } => {
                let field = fields.intern(field);
                self.add(scope, "ref", &format!("{field} {place:?} {cased}"), || {
                    Op::FieldRef {
                        field,
                        place: *place,
                        cased: *cased,
                    }
                })
            }
            Test::Time {
                part,
                compare,
                value,
            } => self.add(
                scope,
                "time",
                &format!("{part:?}{compare:?}{value}"),
                || Op::Time {
                    part: *part,
                    compare: *compare,
                    value: *value,
                },
            ),
        };
        Expr::Pred(id)
    }

    fn text(&mut self, scope: Scope, pattern: &Pattern, cased: bool) -> u32 {
        let ready = |t: &str| -> Box<str> { if cased { t.into() } else { fold(t).into() } };
        let tag = |insensitive: &'static str, sensitive: &'static str| {
            if cased { sensitive } else { insensitive }
        };
        match pattern.parts() {
            [] => self.add(scope, tag("eq", "eqc"), "", || Op::Equal {
                text: "".into(),
                cased,
            }),
            [Part::Text(t)] => {
                let text = ready(t);
                self.add(scope, tag("eq", "eqc"), &text.clone(), || Op::Equal {
                    text,
                    cased,
                })
            }
            [Part::Text(t), Part::Star] => {
                let text = ready(t);
                self.add(scope, tag("start", "startc"), &text.clone(), || Op::Start {
                    text,
                    cased,
                })
            }
            [Part::Star, Part::Text(t)] => {
                let text = ready(t);
                self.add(scope, tag("end", "endc"), &text.clone(), || Op::End {
                    text,
                    cased,
                })
            }
            [Part::Star, Part::Text(t), Part::Star] => {
                let text = ready(t);
                self.add(scope, tag("in", "inc"), &text.clone(), || {
                    let finder = Box::new(Finder::new(text.as_bytes()).into_owned());
                    Op::Inside {
                        text,
                        cased,
                        finder,
                    }
                })
            }
            parts => {
                let detail = format!("{parts:?}");
                self.add(scope, tag("glob", "globc"), &detail, || {
                    let longest = parts
                        .iter()
                        .filter_map(|p| {
                            if let Part::Text(t) = p {
                                Some(fold(t))
                            } else {
                                None
                            }
                        })
                        .max_by_key(String::len)
                        .unwrap_or_default();
                    Op::Glob {
                        glob: Glob::new(pattern, cased),
                        longest: longest.into(),
                    }
                })
            }
        }
    }
}

fn condition(c: &Condition, selections: &[Expr]) -> Expr {
    match c {
        Condition::Id(i) => selections[*i].clone(),
        Condition::And(l) => group(
            Link::All,
            l.iter().map(|c| condition(c, selections)).collect(),
        ),
        Condition::Or(l) => group(
            Link::Any,
            l.iter().map(|c| condition(c, selections)).collect(),
        ),
        Condition::Not(c) => condition(c, selections).not(),
    }
}

fn group(link: Link, mut members: Vec<Expr>) -> Expr {
    if members.len() == 1 {
        return members.remove(0);
    }
    let mut flat = Vec::with_capacity(members.len());
    for m in members {
        match (link, m) {
            (Link::All, Expr::And(l)) | (Link::Any, Expr::Or(l)) => flat.extend(l),
            (_, m) => flat.push(m),
        }
    }
    match link {
        Link::All => Expr::And(flat),
        Link::Any => Expr::Or(flat),
    }
}

/// Whether a predicate holds for an event.
pub(crate) fn holds(pred: &Pred, flat: &mut Flat, json: &str) -> bool {
    match pred.scope {
        Scope::Keyword => (0..flat.len()).any(|e| one(&pred.op, flat, json, e)),
        Scope::Field(field) => match &pred.op {
            Op::Exists => flat.present(field),
            Op::Null => {
                let mut at = flat.first(field);
                if at.is_none() {
                    return true;
                }
                while let Some(e) = at {
                    if flat.is_null(e) {
                        return true;
                    }
                    at = flat.next(e);
                }
                false
            }
            Op::FieldRef {
                field: other,
                place,
                cased,
            } => {
                let (a, b) = (flat.texts(json, field), flat.texts(json, *other));
                a.iter()
                    .any(|a| b.iter().any(|b| refers(a, b, *place, *cased)))
            }
            op => {
                let mut at = flat.first(field);
                while let Some(e) = at {
                    if one(op, flat, json, e) {
                        return true;
                    }
                    at = flat.next(e);
                }
                false
            }
        },
    }
}

/// Whether one value passes.
fn one(op: &Op, flat: &mut Flat, json: &str, entry: u32) -> bool {
    if let Op::Equal { cased: false, .. }
    | Op::Start { cased: false, .. }
    | Op::End { cased: false, .. }
    | Op::Inside { cased: false, .. } = op
    {
        if !flat.fold(json, entry) {
            return false;
        }
        return plain(op, flat.folded(entry));
    }
    flat.prepare(json, entry);
    let Some(leaf) = flat.leaf(json, entry) else {
        return false;
    };
    match op {
        Op::Equal { .. } | Op::Start { .. } | Op::End { .. } | Op::Inside { .. } => {
            leaf.text().is_some_and(|t| plain(op, t))
        }
        Op::Glob { glob, .. } => leaf.text().is_some_and(|t| glob.matches(t)),
        Op::Number(n, text) => match leaf {
            Leaf::Number(t) => {
                t == &**text
                    || Number::parse(t)
                        .and_then(|v| v.compare(*n))
                        .is_some_and(|o| o.is_eq())
            }
            _ => leaf.text() == Some(text),
        },
        Op::Bool(b) => match leaf {
            Leaf::Bool(v) => v == *b,
            Leaf::Text(t) => fold(t) == if *b { "true" } else { "false" },
            _ => false,
        },
        Op::Regex(r) => leaf.text().is_some_and(|t| r.is_match(t)),
        Op::Cidr(net) => leaf
            .text()
            .and_then(|t| t.trim().parse::<IpAddr>().ok())
            .is_some_and(|a| net.contains(a)),
        Op::Compare(c, n) => leaf.number().is_some_and(|v| c.holds(v, *n)),
        Op::Time {
            part,
            compare,
            value,
        } => leaf
            .text()
            .and_then(|t| crate::time::part(t, *part))
            .is_some_and(|v| compare.holds(Number::Int(v), Number::Int(*value))),
        Op::Null | Op::Exists | Op::FieldRef { .. } => false,
    }
}

#[inline]
fn plain(op: &Op, text: &str) -> bool {
    match op {
        Op::Equal { text: t, .. } => text == &**t,
        Op::Start { text: t, .. } => text.starts_with(&**t),
        Op::End { text: t, .. } => text.ends_with(&**t),
        Op::Inside {
            text: t, finder, ..
        } => text.len() >= t.len() && finder.find(text.as_bytes()).is_some(),
        _ => false,
    }
}
