//! One event: its attributes and its canonical text.

use crate::attribute::{
    check_media_type, check_name, check_text, check_uri, check_uri_reference, parse_time,
};
use crate::error::{ErrorCode, EventError};
use crate::json::{Canonical, Member, unescape};
use crate::limits::Limits;
use crate::view;

/// An attribute's text: a part of the canonical text where that has no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Part(u32, u32),
    Own(Box<str>),
}

/// A valid event. Its canonical text is the whole of it; equal events have equal text, whatever the
/// content mode or the order of members was that they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    json: String,
    id: Text,
    source: Text,
    kind: Text,
    subject: Option<Text>,
    time: Option<i64>,
    extensions: bool,
}

impl Event {
    /// The event in the JSON event format, in canonical form: RFC 8785, with numbers as they were sent.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Takes the canonical text out.
    pub fn into_json(self) -> String {
        self.json
    }

    /// The `id` attribute.
    pub fn id(&self) -> &str {
        self.text(&self.id)
    }

    /// The `source` attribute, a URI-reference.
    pub fn source(&self) -> &str {
        self.text(&self.source)
    }

    /// The `type` attribute.
    pub fn event_type(&self) -> &str {
        self.text(&self.kind)
    }

    /// The `subject` attribute.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_ref().map(|t| self.text(t))
    }

    /// The `time` attribute in microseconds since the Unix epoch.
    pub const fn time_micros(&self) -> Option<i64> {
        self.time
    }

    /// An extension attribute as text: strings as they are, numbers and truth values as JSON writes them.
    /// Absent and null are the same.
    pub fn extension(&self, name: &str) -> Option<String> {
        if !self.extensions {
            return None;
        }
        let raw = view::member(self.json.as_bytes(), name)?;
        match raw.first() {
            Some(b'n') => None,
            Some(b'"') => Some(unescape(&raw[1..raw.len() - 1])),
            _ => Some(String::from_utf8_lossy(raw).into_owned()),
        }
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        match text {
            Text::Part(from, to) => self
                .json
                .get(*from as usize..*to as usize)
                .unwrap_or_default(),
            Text::Own(text) => text,
        }
    }

    /// Reads the event that begins at the scanner's place.
    pub(crate) fn scan(scanner: &mut Canonical<'_>, limits: &Limits) -> Result<Self, EventError> {
        let start = scanner.pos;
        scanner.event()?;
        let length = scanner.pos - start;
        if length > limits.event_bytes {
            return Err(too_large(length, limits.event_bytes, start));
        }
        let text = std::str::from_utf8(&scanner.out).map_err(|_| EventError {
            code: ErrorCode::InvalidUtf8,
            pointer: String::new(),
            offset: Some(start),
            detail: "the event is not UTF-8".to_owned(),
        })?;
        Attributes {
            text,
            limits,
            start,
        }
        .read(&scanner.members)
    }
}

pub(crate) fn too_large(length: usize, limit: usize, offset: usize) -> EventError {
    EventError {
        code: ErrorCode::TooLarge,
        pointer: String::new(),
        offset: Some(offset),
        detail: format!("the event has {length} bytes; at most {limit} are accepted"),
    }
}

struct Attributes<'a> {
    text: &'a str,
    limits: &'a Limits,
    start: usize,
}

impl Attributes<'_> {
    fn error(
        &self,
        code: ErrorCode,
        name: &str,
        at: usize,
        detail: impl Into<String>,
    ) -> EventError {
        let shown: String = name.chars().take(64).collect();
        EventError {
            code,
            pointer: format!("/{}", shown.replace('~', "~0").replace('/', "~1")),
            offset: Some(at),
            detail: detail.into(),
        }
    }

    fn read(&self, members: &[Member]) -> Result<Event, EventError> {
        let (mut id, mut source, mut kind, mut subject) = (None, None, None, None);
        let (mut version, mut time, mut data) = (false, None, None);
        let mut extensions = 0usize;
        for member in members {
            let name = &self.text[member.start + 1..member.key_end - 1];
            let value = &self.text[member.key_end + 1..member.end - 1];
            let wrong =
                |detail: String| self.error(ErrorCode::InvalidAttribute, name, member.at, detail);
            if name == "data" || name == "data_base64" {
                if let (Some(other), false) = (data, value == "null") {
                    return Err(self.error(
                        ErrorCode::InvalidData,
                        name,
                        member.at,
                        format!("the event has both `{other}` and `{name}`; send one of them"),
                    ));
                }
                if value != "null" {
                    data = Some(name);
                    if name == "data_base64" {
                        self.check_base64(name, member.at, value)?;
                    }
                }
                continue;
            }
            check_name(name).map_err(wrong)?;
            if value == "null" {
                // The JSON event format lets an absent attribute be written as null.
                continue;
            }
            let standard = matches!(
                name,
                "id" | "source"
                    | "specversion"
                    | "type"
                    | "datacontenttype"
                    | "dataschema"
                    | "subject"
                    | "time"
            );
            if !value.starts_with('"') {
                if standard {
                    return Err(wrong("this attribute is a string".to_owned()));
                }
                check_scalar(value).map_err(wrong)?;
                extensions += 1;
                continue;
            }
            if value.len() - 2 > self.limits.attribute_bytes {
                return Err(wrong(format!(
                    "the value has {} bytes; at most {} are accepted",
                    value.len() - 2,
                    self.limits.attribute_bytes
                )));
            }
            let part = if value.contains('\\') {
                Text::Own(unescape(&value.as_bytes()[1..value.len() - 1]).into())
            } else {
                Text::Part((member.key_end + 2) as u32, (member.end - 2) as u32)
            };
            let text = match &part {
                Text::Part(..) => &value[1..value.len() - 1],
                Text::Own(text) => text,
            };
            check_text(text).map_err(wrong)?;
            if standard && text.is_empty() {
                return Err(wrong("the value is empty".to_owned()));
            }
            match name {
                "id" => id = Some(part),
                "source" => {
                    check_uri_reference(text).map_err(wrong)?;
                    source = Some(part);
                }
                "specversion" if text == "1.0" => version = true,
                "specversion" => {
                    return Err(wrong(format!(
                        "version {} is not supported; send 1.0",
                        text.chars().take(20).collect::<String>()
                    )));
                }
                "type" => kind = Some(part),
                "datacontenttype" => check_media_type(text).map_err(wrong)?,
                "dataschema" => check_uri(text).map_err(wrong)?,
                "subject" => subject = Some(part),
                "time" => time = Some(parse_time(text).map_err(|e| wrong(e.to_owned()))?),
                _ => extensions += 1,
            }
        }
        if extensions > self.limits.extensions {
            return Err(EventError {
                code: ErrorCode::TooLarge,
                pointer: String::new(),
                offset: Some(self.start),
                detail: format!(
                    "the event has {extensions} extension attributes; at most {} are accepted",
                    self.limits.extensions
                ),
            });
        }
        let missing = |name: &str| {
            self.error(
                ErrorCode::MissingAttribute,
                name,
                self.start,
                format!("the attribute `{name}` is required"),
            )
        };
        if !version {
            return Err(missing("specversion"));
        }
        Ok(Event {
            id: id.ok_or_else(|| missing("id"))?,
            source: source.ok_or_else(|| missing("source"))?,
            kind: kind.ok_or_else(|| missing("type"))?,
            subject,
            time,
            extensions: extensions > 0,
            json: self.text.to_owned(),
        })
    }

    fn check_base64(&self, name: &str, at: usize, value: &str) -> Result<(), EventError> {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let wrong = |detail: &str| self.error(ErrorCode::InvalidData, name, at, detail);
        let inside = value
            .strip_prefix('"')
            .and_then(|v| v.strip_suffix('"'))
            .ok_or_else(|| wrong("data_base64 is a string"))?;
        STANDARD
            .decode(unescape(inside.as_bytes()))
            .map(drop)
            .map_err(|_| wrong("this is not Base64 (RFC 4648 section 4, with padding)"))
    }
}

/// An extension's value that is no string: a truth value or a 32-bit integer ("Type System").
fn check_scalar(value: &str) -> Result<(), String> {
    match value.as_bytes().first() {
        Some(b't' | b'f') => Ok(()),
        Some(b'{' | b'[') => Err(
            "an attribute is a string, a number or a truth value; structure belongs into `data`"
                .to_owned(),
        ),
        _ if value.parse::<i32>().is_ok() => Ok(()),
        _ => Err(
            "a number in an attribute is an integer of 32 bits; send others as strings".to_owned(),
        ),
    }
}
