//! What stands around an event, and its text.

use std::borrow::Cow;

use crate::json;
use crate::schema::schema;
use crate::walk::Found;

/// A line of text as an event.
pub(crate) fn wrap(line: &str, received: i64) -> String {
    match crate::input::syslog::parse(line, received) {
        Some(message) => message.to_json(),
        None => {
            let mut out = String::from("{\"message\":");
            json::quote(line.trim_end_matches(['\r', '\n']), &mut out);
            out.push('}');
            out
        }
    }
}

/// Fields, sorted, as one object; `free` are members behind them.
pub(crate) fn write(found: &[Found<'_>], free: &str, size: usize) -> String {
    let mut out = String::with_capacity(size + size / 2 + 256);
    out.push('{');
    let mut open: Vec<&str> = Vec::new();
    let mut first = true;
    let mut i = 0;
    while let Some(f) = found.get(i) {
        let field = schema().get(f.field);
        let mut end = i + 1;
        while found.get(end).is_some_and(|n| n.field == f.field) {
            end += 1;
        }
        let mut parts: Vec<&str> = field.name.split('.').collect();
        let leaf = parts.pop().unwrap_or_default();
        let common = open.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        while open.len() > common {
            open.pop();
            out.push('}');
            first = false;
        }
        for part in &parts[common..] {
            if !first {
                out.push(',');
            }
            out.push('"');
            out.push_str(part);
            out.push_str("\":{");
            open.push(part);
            first = true;
        }
        if !first {
            out.push(',');
        }
        first = false;
        out.push('"');
        out.push_str(leaf);
        out.push_str("\":");
        if field.list {
            out.push('[');
            for (n, v) in found[i..end].iter().enumerate() {
                let text = v.value.json();
                if found[i..i + n].iter().any(|o| o.value.json() == text) {
                    continue;
                }
                if n > 0 {
                    out.push(',');
                }
                out.push_str(text);
            }
            out.push(']');
        } else {
            out.push_str(f.value.json());
        }
        i = end;
    }
    for _ in open {
        out.push('}');
        first = false;
    }
    if !free.is_empty() {
        if !first {
            out.push(',');
        }
        out.push_str(free);
    }
    out.push('}');
    out
}

/// The attributes of a CloudEvent.
pub(crate) struct Envelope<'a> {
    pub(crate) kind: String,
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) time: Option<Cow<'a, str>>,
    pub(crate) data: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn of(event: &'a str) -> Option<Self> {
        let (mut version, mut kind, mut id, mut time, mut data) = (None, None, None, None, None);
        json::members(event, |k, v| match k {
            "specversion" => version = json::string(v),
            "type" => kind = json::string(v),
            "id" => id = json::string(v),
            "time" => time = json::string(v),
            "data" => data = Some(v),
            _ => {}
        });
        version.filter(|v| v.starts_with("1."))?;
        Some(Self {
            kind: kind?.into_owned(),
            id,
            time,
            data,
        })
    }
}
