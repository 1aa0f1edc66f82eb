//! The check of an event against its type's fields, over its canonical text.

use rust_decimal::Decimal;
use sealwright_cloudevents::{parse_time, view};

use super::{EventType, Field, FieldKind, event_type};
use crate::{Admit, Incoming, Rejection};

/// Refuses events of a known type whose `data` breaks the catalogue. It reads the text in place: no
/// tree is built, and events of other types cost one comparison for each known type.
#[derive(Debug, Clone, Copy, Default)]
pub struct Catalogue;

impl Admit for Catalogue {
    fn admit(&self, event: &Incoming<'_>) -> Result<(), Rejection> {
        // All known types have this beginning.
        if !event.event_type.starts_with("sealwright.") {
            return Ok(());
        }
        event_type(event.event_type).map_or(Ok(()), |known| check(known, event.json))
    }
}

fn rejection(code: &'static str, field: &str, detail: String) -> Rejection {
    Rejection {
        code,
        pointer: if field.is_empty() {
            "/data".to_owned()
        } else {
            format!("/data/{field}")
        },
        detail,
    }
}

fn check(known: &EventType, json: &[u8]) -> Result<(), Rejection> {
    let data = view::member(json, "data").filter(|d| d.first() == Some(&b'{'));
    let Some(data) = data else {
        return Err(rejection(
            "invalid-data",
            "",
            format!("an event of type {} has an object as its data", known.name),
        ));
    };
    let mut found = 0usize;
    for member in view::members(data) {
        let field = known
            .fields
            .iter()
            .find(|f| f.name.as_bytes() == member.name);
        let Some(field) = field else { continue };
        if member.value == b"null" && !field.required {
            continue;
        }
        check_value(field, member.value)?;
        found += usize::from(field.required);
    }
    // Names are unique in canonical text, so that counting finds what is missing.
    if found < known.fields.iter().filter(|f| f.required).count() {
        let missing = known
            .fields
            .iter()
            .filter(|f| f.required)
            .find(|f| view::member(data, f.name).is_none());
        if let Some(field) = missing {
            return Err(rejection(
                "missing-field",
                field.name,
                format!("`{}` is required: {}", field.name, field.doc),
            ));
        }
    }
    Ok(())
}

/// Whether a string's canonical text stands for a control character. Canonical text escapes quote, backslash
/// and what is below U+0020, and nothing else.
fn has_control(inside: &str) -> bool {
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && !matches!(chars.next(), Some('"' | '\\'));
        if escaped || c.is_control() {
            return true;
        }
    }
    false
}

fn check_value(field: &Field, raw: &[u8]) -> Result<(), Rejection> {
    let wrong = |detail: String| Err(rejection("invalid-field", field.name, detail));
    let text = std::str::from_utf8(raw).unwrap_or_default();
    let number = matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    let inside = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match field.kind {
        FieldKind::Quantity | FieldKind::Count if !number => {
            wrong("this is a JSON number (not text, not null)".to_owned())
        }
        // −0 is zero, and is written differently by mistake only.
        FieldKind::Quantity | FieldKind::Count if text.starts_with('-') => {
            wrong(format!("{text} is negative; usage is zero or more"))
        }
        FieldKind::Count => match text.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(_) => wrong(format!("{text} is not a whole number up to 2^63 − 1")),
        },
        FieldKind::Quantity => {
            let exact = Decimal::from_str_exact(text)
                .or_else(|_| Decimal::from_scientific(text))
                .is_ok();
            if exact {
                Ok(())
            } else {
                Err(rejection(
                    "number-out-of-range",
                    field.name,
                    format!("{text} does not fit a decimal of 28 digits"),
                ))
            }
        }
        FieldKind::Text(longest) => match inside {
            Some(inside) if inside.is_empty() || inside.len() > longest => {
                wrong(format!("this text has 1 to {longest} bytes"))
            }
            Some(inside) if has_control(inside) => {
                wrong("this text holds a control character, such as a line break".to_owned())
            }
            Some(_) => Ok(()),
            None => wrong("this is text".to_owned()),
        },
        FieldKind::Time => match inside.map(parse_time) {
            Some(Ok(_)) => Ok(()),
            Some(Err(detail)) => wrong(detail.to_owned()),
            None => wrong("this is a time as text (RFC 3339)".to_owned()),
        },
        FieldKind::OneOf(words) => match inside {
            Some(inside) if words.contains(&inside) => Ok(()),
            _ => wrong(format!("this is one of: {}", words.join(", "))),
        },
        FieldKind::Digest => match inside {
            Some(inside)
                if inside.len() == 64
                    && inside
                        .bytes()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) =>
            {
                Ok(())
            }
            _ => wrong("this is SHA-256 as 64 lower-case hexadecimal digits".to_owned()),
        },
    }
}
