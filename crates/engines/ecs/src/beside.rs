//! An event as its source wrote it, with what ECS adds beside it.
//!
//! Rules name fields of either: those for one source use the names of that source, others those of ECS.
//! Both are found in one event. A name that the source itself uses means what the source says; only a
//! name that it does not use is one of ECS. So what a rule for a source decides does not change by the
//! event being normalised.

use crate::json;
use crate::mapping::Mapping;
use crate::schema::{FieldId, Kind, schema};
use crate::walk::Found;

/// The fields in which an event beside its source states its log source: product, category, service.
pub const LOGSOURCE_FIELDS: [&str; 3] = [
    "sealwright.logsource.product",
    "sealwright.logsource.category",
    "sealwright.logsource.service",
];

/// Whether events that are normalised can have a field of this name that their source does not use:
/// one of ECS or of this program, or one below a place where a source keeps what is its own.
pub fn provides(name: &str) -> bool {
    if schema().field(name).is_some() {
        return true;
    }
    name.match_indices('.').any(|(at, _)| {
        schema()
            .field(&name[..at])
            .is_some_and(|f| matches!(f.kind, Kind::Object | Kind::GeoPoint))
    })
}

/// Whether an object has a field of a name, as rules look fields up: a dot goes into an object, a key may
/// have the dots itself, and a list stands for each of its members. What is below the field counts as well.
fn has(members: &[(&str, &str)], name: &str) -> bool {
    members.iter().any(|(key, value)| {
        if let Some(rest) = name.strip_prefix(key) {
            return rest.is_empty() || rest.strip_prefix('.').is_some_and(|r| below(value, r));
        }
        // A key below it: an object of this name would be mixed with it.
        key.strip_prefix(name).is_some_and(|r| r.starts_with('.'))
    })
}

fn below(value: &str, name: &str) -> bool {
    match value.as_bytes().first() {
        Some(b'{') => has(&members(value), name),
        Some(b'[') => json::elements(value).into_iter().any(|e| below(e, name)),
        _ => false,
    }
}

fn members(object: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::with_capacity(32);
    json::members(object, |key, value| out.push((key, value)));
    out
}

/// The members of `native`, and behind them the fields of `found` (sorted) that it does not have, each under
/// its whole name; `left` are fields that say nothing new.
pub(crate) fn write(
    native: &str,
    found: &[Found<'_>],
    left: &[FieldId],
    mapping: &Mapping,
) -> String {
    let native = native.trim();
    let top = members(native);
    let mut out = String::with_capacity(2 * native.len() + 512);
    out.push_str(native.strip_suffix('}').unwrap_or("{"));
    let mut first = top.is_empty();
    let mut put = |name: &str, value: &mut dyn FnMut(&mut String)| {
        if has(&top, name) {
            return;
        }
        if !first {
            out.push(',');
        }
        first = false;
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        value(&mut out);
    };
    let mut i = 0;
    while let Some(f) = found.get(i) {
        let same = found[i..].iter().take_while(|o| o.field == f.field).count();
        let values = &found[i..i + same];
        i += same;
        if left.contains(&f.field) {
            continue;
        }
        let field = schema().get(f.field);
        put(&field.name, &mut |out| {
            if !field.list {
                out.push_str(f.value.json());
                return;
            }
            out.push('[');
            for (n, v) in values.iter().enumerate() {
                let text = v.value.json();
                if values[..n].iter().any(|o| o.value.json() == text) {
                    continue;
                }
                if n > 0 {
                    out.push(',');
                }
                out.push_str(text);
            }
            out.push(']');
        });
    }
    for (name, value) in LOGSOURCE_FIELDS.into_iter().zip(&mapping.logsource) {
        if let Some(value) = value {
            put(name, &mut |out| json::quote(value, out));
        }
    }
    out.push('}');
    out
}

/// An object with the log source in front of its members; `None` when there is nothing to state.
pub(crate) fn stated(native: &str, mapping: &Mapping) -> Option<String> {
    let top = members(native);
    let mut out = String::with_capacity(native.len() + 128);
    out.push('{');
    for (name, value) in LOGSOURCE_FIELDS.into_iter().zip(&mapping.logsource) {
        let Some(value) = value.as_ref().filter(|_| !has(&top, name)) else {
            continue;
        };
        if out.len() > 1 {
            out.push(',');
        }
        json::quote(name, &mut out);
        out.push(':');
        json::quote(value, &mut out);
    }
    if out.len() == 1 {
        return None;
    }
    if !top.is_empty() {
        out.push(',');
    }
    out.push_str(native.trim().strip_prefix('{')?);
    Some(out)
}
