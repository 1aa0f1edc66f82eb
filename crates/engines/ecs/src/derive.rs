//! What follows from values that were met: lookups, patterns and constants of a mapping.

use crate::convert::{Val, convert};
use crate::json;
use crate::mapping::{Lookup, Mapping, Pattern, Slot};
use crate::schema::{FieldId, schema};
use crate::walk::{Found, Walk};

/// Ranks of what does not come from a field of the event.
const RANK_PATTERN: u16 = 1_000;
const RANK_LOOKUP: u16 = 20_000;

/// What a mapping says of all its events.
pub(crate) fn constants<'a>(found: &mut Vec<Found<'a>>, mapping: &'a Mapping, rank: u16) {
    let before = found.len();
    for (field, value) in &mapping.constants {
        // For lists they are what holds when nothing else was said.
        if schema().get(*field).list && found[..before].iter().any(|f| f.field == *field) {
            continue;
        }
        found.push(Found {
            field: *field,
            rank,
            value: Val::Raw(value),
        });
    }
}

type When = [(Slot, Vec<Box<str>>)];

fn holds(when: &When, slots: &[Option<(u16, &str)>]) -> bool {
    when.iter().all(|(slot, values)| {
        let text = slots
            .get(usize::from(*slot))
            .copied()
            .flatten()
            .and_then(|(_, raw)| json::scalar(raw));
        text.is_some_and(|t| values.iter().any(|v| v.eq_ignore_ascii_case(&t)))
    })
}

/// What follows from values.
pub(crate) fn lookups<'a>(mapping: &'a Mapping, walk: &mut Walk<'a, 'a>) {
    for (i, l) in mapping.lookups.iter().enumerate() {
        if !holds(&l.when, &walk.slots) {
            continue;
        }
        let Lookup {
            slot,
            present,
            absent,
            ..
        } = l;
        let value = walk
            .slots
            .get(usize::from(*slot))
            .copied()
            .flatten()
            .map(|(_, raw)| raw);
        let text = value.and_then(json::scalar).filter(|t| !t.is_empty());
        let is_there =
            text.is_some() || value.is_some_and(|v| v.starts_with(['{', '[']) && v.len() > 2);
        let rank = RANK_LOOKUP + u16::try_from(i).unwrap_or(0);
        let mut put = |set: &'a [(FieldId, Box<str>)]| {
            for (field, value) in set {
                walk.found.push(Found {
                    field: *field,
                    rank,
                    value: Val::Raw(value),
                });
            }
        };
        if let Some(set) = text.as_deref().and_then(|t| l.find(t)) {
            put(set);
        }
        put(if is_there { present } else { absent });
    }
}

/// What follows from texts.
pub(crate) fn patterns<'a>(mapping: &'a Mapping, walk: &mut Walk<'a, 'a>, reference: i64) {
    for (i, p) in mapping.patterns.iter().enumerate() {
        let Pattern {
            slot,
            when,
            has,
            expression,
            groups,
            set,
        } = p;
        if !holds(when, &walk.slots) {
            continue;
        }
        let Some(text) = walk
            .slots
            .get(usize::from(*slot))
            .copied()
            .flatten()
            .and_then(|(_, r)| json::string(r))
        else {
            continue;
        };
        if has.find(text.as_bytes()).is_none() {
            continue;
        }
        let Some(captures) = expression.captures(&text) else {
            continue;
        };
        let rank = RANK_PATTERN + u16::try_from(i).unwrap_or(0);
        for (field, group, steps) in groups {
            let Some(m) = captures.get(*group) else {
                continue;
            };
            let mut raw = String::new();
            json::quote(m.as_str(), &mut raw);
            let found = &mut walk.found;
            convert(&raw, schema().get(*field), steps, reference, &mut |v| {
                let value = Val::Made(v.json().to_owned());
                found.push(Found {
                    field: *field,
                    rank,
                    value,
                });
            });
        }
        for (field, value) in set {
            walk.found.push(Found {
                field: *field,
                rank,
                value: Val::Raw(value),
            });
        }
        // The first that fits says what the line is.
        return;
    }
}
