//! A plan: the witnesses of the rules that are for one kind of event, as hash tables and
//! automata by field.

use rustc_hash::FxHashMap;

use super::literals::{Grams, Literals};
use super::witness::Atom;
use crate::flat::Flat;
use crate::yaml::Number;

/// A range of [`Plan::lists`].
#[derive(Debug, Clone, Copy, Default)]
struct List {
    start: u32,
    end: u32,
}

#[derive(Debug, Default)]
struct FieldIndex {
    equal: FxHashMap<Box<str>, List>,
    tail: FxHashMap<Box<str>, List>,
    literals: Option<Searched>,
    present: List,
}

#[derive(Debug)]
struct Searched {
    literals: Literals,
    lists: Vec<List>,
}

impl Searched {
    #[inline]
    fn visit(&self, text: &str, mut f: impl FnMut(List)) {
        self.literals.visit(text, |l| f(self.lists[l as usize]));
    }
}

/// Keywords are in any value of an event. Most events have none of them: the event's text as a
/// whole is searched first, for pieces of the keywords that no JSON writer escapes.
#[derive(Debug)]
struct Keywords {
    searched: Searched,
    /// Pieces; `None` when some keyword has no piece that is long enough.
    pieces: Option<Literals>,
}

/// Rules by witness.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// By field id; most fields have none.
    fields: Vec<Option<Box<FieldIndex>>>,
    keywords: Option<Keywords>,
    lists: Vec<u32>,
    /// Rules without a witness.
    always: Vec<u32>,
}

#[derive(Default)]
struct Draft<'a> {
    equal: FxHashMap<&'a str, Vec<u32>>,
    tail: FxHashMap<&'a str, Vec<u32>>,
    literal: FxHashMap<&'a str, Vec<u32>>,
    present: Vec<u32>,
}

impl Plan {
    /// Builds a plan from (rule, atoms); no atoms means always.
    pub(crate) fn build<'a>(
        rules: impl Iterator<Item = (u32, Option<&'a [Atom]>)>,
        grams: &Grams,
    ) -> Self {
        let mut plan = Self::default();
        let mut drafts: std::collections::BTreeMap<u32, Draft<'a>> = Default::default();
        let mut keywords: FxHashMap<&'a str, Vec<u32>> = FxHashMap::default();
        for (rule, atoms) in rules {
            let Some(atoms) = atoms else {
                plan.always.push(rule);
                continue;
            };
            for atom in atoms {
                let list = match atom {
                    Atom::Equal(f, t) => drafts.entry(*f).or_default().equal.entry(t).or_default(),
                    Atom::Tail(f, t) => drafts.entry(*f).or_default().tail.entry(t).or_default(),
                    Atom::Literal(f, t) => {
                        drafts.entry(*f).or_default().literal.entry(t).or_default()
                    }
                    Atom::Present(f) => &mut drafts.entry(*f).or_default().present,
                    Atom::Keyword(t) => keywords.entry(t).or_default(),
                };
                if list.last() != Some(&rule) {
                    list.push(rule);
                }
            }
        }
        for (field, draft) in drafts {
            let field = field as usize;
            if plan.fields.len() <= field {
                plan.fields.resize_with(field + 1, || None);
            }
            let index = FieldIndex {
                equal: plan.table(draft.equal),
                tail: plan.table(draft.tail),
                literals: plan.literals(draft.literal, grams),
                present: plan.list(&draft.present),
            };
            plan.fields[field] = Some(Box::new(index));
        }
        let pieces: Option<Vec<&str>> = keywords
            .keys()
            .map(|k| {
                let escaped = |c: char| c < ' ' || matches!(c, '"' | '\\' | '/' | '\u{7f}');
                k.split(escaped)
                    .max_by_key(|p| p.len())
                    .filter(|p| p.len() >= 4)
            })
            .collect();
        let pieces = pieces.map(|mut p| {
            p.sort_unstable();
            p.dedup();
            p
        });
        plan.keywords = plan.literals(keywords, grams).map(|searched| Keywords {
            searched,
            pieces: pieces.and_then(|p| Literals::new(&p, grams).ok()),
        });
        plan
    }

    #[allow(clippy::cast_possible_truncation)]
    fn list(&mut self, rules: &[u32]) -> List {
        let start = self.lists.len() as u32;
        self.lists.extend_from_slice(rules);
        List {
            start,
            end: self.lists.len() as u32,
        }
    }

    fn table(&mut self, draft: FxHashMap<&str, Vec<u32>>) -> FxHashMap<Box<str>, List> {
        draft
            .into_iter()
            .map(|(t, r)| (t.into(), self.list(&r)))
            .collect()
    }

    fn literals(&mut self, draft: FxHashMap<&str, Vec<u32>>, grams: &Grams) -> Option<Searched> {
        let mut sorted: Vec<(&str, Vec<u32>)> = draft.into_iter().collect();
        sorted.sort_unstable();
        let texts: Vec<&str> = sorted.iter().map(|(t, _)| *t).collect();
        match Literals::new(&texts, grams) {
            _ if texts.is_empty() => None,
            Ok(literals) => {
                let lists = sorted.iter().map(|(_, r)| self.list(r)).collect();
                Some(Searched { literals, lists })
            }
            // Too large to build: every rule is always checked, which is slower and still right.
            Err(_) => {
                self.always.extend(sorted.into_iter().flat_map(|(_, r)| r));
                self.always.sort_unstable();
                self.always.dedup();
                None
            }
        }
    }

    /// Calls a function with every rule that may match; a rule may come several times.
    pub(crate) fn candidates(&self, flat: &mut Flat, json: &str, mut found: impl FnMut(u32)) {
        self.always.iter().for_each(|r| found(*r));
        let lists = &self.lists;
        let mut mark = |l: List| {
            lists[l.start as usize..l.end as usize]
                .iter()
                .for_each(|r| found(*r));
        };
        for i in 0..flat.touched().len() {
            let field = flat.touched()[i];
            let Some(Some(index)) = self.fields.get(field as usize) else {
                continue;
            };
            mark(index.present);
            let mut at = flat.first(field);
            while let Some(e) = at {
                at = flat.next(e);
                if !flat.fold(json, e) {
                    continue;
                }
                let text = flat.folded(e);
                if !index.equal.is_empty() {
                    if let Some(l) = index.equal.get(text) {
                        mark(*l);
                    }
                    if flat.is_number(e)
                        && let Some(other) = canonical(text)
                        && let Some(l) = index.equal.get(other.as_str())
                    {
                        mark(*l);
                    }
                }
                if !index.tail.is_empty()
                    && let Some(i) = memchr::memrchr2(b'\\', b'/', text.as_bytes())
                    && let Some(l) = index.tail.get(&text[i + 1..])
                {
                    mark(*l);
                }
                if let Some(literals) = &index.literals {
                    literals.visit(text, &mut mark);
                }
            }
        }
        if let Some(keywords) = &self.keywords {
            if let Some(pieces) = &keywords.pieces
                && let Some(raw) = flat.folded_raw(json)
            {
                let mut hit = false;
                pieces.visit(raw, |_| hit = true);
                if !hit {
                    return;
                }
            }
            for e in 0..flat.len() {
                if flat.fold(json, e) {
                    keywords.searched.visit(flat.folded(e), &mut mark);
                }
            }
        }
    }
}

/// The integer that a number such as `5.0` or `5e0` is; `None` when its text already says it.
fn canonical(text: &str) -> Option<String> {
    if text.bytes().all(|b| b.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    match Number::parse(text)? {
        Number::Int(i) => Some(i.to_string()),
        #[allow(clippy::cast_possible_truncation)]
        Number::Float(f) if f.fract() == 0.0 && f.abs() < 9.1e15 => Some((f as i64).to_string()),
        Number::Float(_) => None,
    }
}
