//! Events that are made of what came in another form.

use crate::json::push_string;
use crate::{Event, EventError, Limits, parse_event};

/// What an event is made of.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The id.
    pub id: &'a str,
    /// A URI reference.
    pub source: &'a str,
    /// The type.
    pub event_type: &'a str,
    /// RFC 3339.
    pub time: Option<&'a str>,
    /// JSON.
    pub data: &'a str,
}

impl Draft<'_> {
    /// The event, checked like any other.
    ///
    /// # Errors
    /// What is wrong with an attribute or the data.
    pub fn event(&self, limits: &Limits) -> Result<Event, EventError> {
        let mut out = br#"{"specversion":"1.0","datacontenttype":"application/json""#.to_vec();
        for (name, value) in [
            ("id", Some(self.id)),
            ("source", Some(self.source)),
            ("type", Some(self.event_type)),
            ("time", self.time),
        ] {
            if let Some(value) = value {
                out.extend(b",\"");
                out.extend(name.as_bytes());
                out.extend(b"\":");
                push_string(value, &mut out);
            }
        }
        out.extend(b",\"data\":");
        out.extend(self.data.as_bytes());
        out.push(b'}');
        parse_event(&out, limits)
    }
}

/// A text as a segment of a URI reference (RFC 3986): what may not stand there is escaped, and it is cut at
/// 200 characters.
pub fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.chars().take(200).collect::<String>().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_stay_what_they_are() {
        let draft = Draft {
            id: "a\"b",
            source: &format!("/x/{}", segment("ü /?")),
            event_type: "t",
            time: Some("2026-11-25T21:00:00Z"),
            data: r#"{"a":1}"#,
        };
        let event = draft.event(&Limits::default()).unwrap();
        assert_eq!((event.id(), event.source()), ("a\"b", "/x/%C3%BC%20%2F%3F"));
        let broken = Draft {
            data: "{}, \"id\": \"other\"",
            ..draft
        };
        assert!(broken.event(&Limits::default()).is_err());
    }
}
