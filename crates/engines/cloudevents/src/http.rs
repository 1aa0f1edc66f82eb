//! The HTTP protocol binding 1.0.2: which content mode a request is in, and its events.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attribute::{check_name, check_text};
use crate::error::{ErrorCode, EventError, RequestError};
use crate::event::{Event, too_large};
use crate::json::{Canonical, push_string, skip_element};
use crate::limits::Limits;
use crate::media::{MediaType, quoted_string};

/// How a request carries events (HTTP protocol binding 1.0.2, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in `ce-` headers, the payload as the body (3.1).
    Binary,
    /// One event as JSON: `application/cloudevents+json` (3.2).
    Structured,
    /// A JSON array of events: `application/cloudevents-batch+json` (3.3).
    Batch,
    /// One structured event a line: `application/x-ndjson`. Not part of the binding.
    Lines,
}

/// What a request holds: each event by itself, valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The content mode.
    pub mode: Mode,
    /// The events in the order of the request.
    pub events: Vec<Result<Event, EventError>>,
}

/// The media types that [`parse_request`] takes besides binary mode.
pub const ACCEPTED_TYPES: [&str; 3] = [
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-ndjson",
];

/// Reads the events of an HTTP request. `headers` are names (of any case) with their values; those that
/// are neither `content-type` nor begin with `ce-` are ignored. `body` is without content coding.
///
/// One event's error leaves the others of a batch readable; it stands in its event's place.
///
/// # Errors
/// When there are no events to look at: see [`RequestError`].
pub fn parse_request<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    body: &[u8],
    limits: &Limits,
) -> Result<Parsed, RequestError> {
    let mut content_type: Option<&[u8]> = None;
    let mut attributes: Vec<(String, &[u8])> = Vec::new();
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("content-type") {
            content_type = Some(value);
        } else if name
            .get(..3)
            .is_some_and(|head| head.eq_ignore_ascii_case("ce-"))
        {
            attributes.push((name[3..].to_ascii_lowercase(), value));
        }
    }
    let unsupported = |found: &str| {
        RequestError::UnsupportedMediaType(format!(
            "{found}; send {}, or the attributes as ce- headers (binary mode)",
            ACCEPTED_TYPES.join(", ")
        ))
    };
    let media = content_type
        .map(|raw| {
            std::str::from_utf8(raw)
                .map_err(|_| "the content type is not text".to_owned())
                .and_then(MediaType::parse)
        })
        .transpose()
        .map_err(|e| unsupported(&e))?;
    let essence = media.as_ref().map_or("", |m| m.essence.as_str());
    let mode = match essence {
        "application/cloudevents+json" => Mode::Structured,
        "application/cloudevents-batch+json" => Mode::Batch,
        "application/x-ndjson" | "application/ndjson" => Mode::Lines,
        other if other.starts_with("application/cloudevents") => {
            return Err(unsupported(&format!(
                "the event format `{other}` is not read here"
            )));
        }
        _ if !attributes.is_empty() => Mode::Binary,
        "" => return Err(unsupported("the request has no content type")),
        other => {
            return Err(unsupported(&format!(
                "`{other}` does not carry CloudEvents"
            )));
        }
    };
    if mode != Mode::Binary && media.as_ref().is_some_and(|m| !m.is_utf8()) {
        return Err(RequestError::UnsupportedMediaType(
            "JSON is exchanged in UTF-8 (RFC 8259 section 8.1); leave the charset out or send utf-8"
                .to_owned(),
        ));
    }
    let events = match mode {
        Mode::Binary => vec![binary(
            &attributes,
            content_type,
            media.as_ref(),
            body,
            limits,
        )],
        Mode::Structured => vec![parse_event(body, limits)],
        Mode::Batch => parse_batch(body, limits)?,
        Mode::Lines => parse_lines(body, limits)?,
    };
    Ok(Parsed { mode, events })
}

/// Reads one event in the JSON event format.
///
/// # Errors
/// What is wrong with it, located.
pub fn parse_event(text: &[u8], limits: &Limits) -> Result<Event, EventError> {
    // White space around the event does not count, and need not be looked through either.
    if text.len() > limits.event_bytes.saturating_mul(2) {
        return Err(too_large(text.len(), limits.event_bytes, 0));
    }
    let mut scanner = Canonical::new(text, limits.depth, "");
    scanner.skip_space();
    let event = Event::scan(&mut scanner, limits)?;
    scanner.end()?;
    Ok(event)
}

/// Reads a JSON array of events.
///
/// # Errors
/// When it is not an array, or has more events than the limit.
pub fn parse_batch(
    text: &[u8],
    limits: &Limits,
) -> Result<Vec<Result<Event, EventError>>, RequestError> {
    let mut scanner = Canonical::new(text, limits.depth, "");
    scanner.skip_space();
    if scanner.peek() != Some(b'[') {
        return Err(RequestError::Malformed(scanner.error(
            ErrorCode::InvalidJson,
            scanner.pos,
            "a batch is a JSON array of events",
        )));
    }
    scanner.pos += 1;
    let mut events = Vec::new();
    scanner.skip_space();
    if scanner.peek() == Some(b']') {
        scanner.pos += 1;
        scanner.end().map_err(RequestError::Malformed)?;
        return Ok(events);
    }
    loop {
        scanner.skip_space();
        let start = scanner.pos;
        scanner.restart(start);
        if events.len() == limits.batch_events {
            return Err(RequestError::TooManyEvents {
                limit: limits.batch_events,
            });
        }
        let event = Event::scan(&mut scanner, limits);
        if event.is_err() {
            scanner.restart(skip_element(text, start));
        }
        events.push(event);
        scanner.restart(scanner.pos);
        scanner.skip_space();
        match scanner.peek() {
            Some(b',') => scanner.pos += 1,
            Some(b']') => break,
            _ => {
                let found = scanner.error(
                    ErrorCode::InvalidJson,
                    scanner.pos,
                    format!(
                        "after event {} of the batch comes neither `,` nor `]`",
                        events.len() - 1
                    ),
                );
                return Err(RequestError::Malformed(found));
            }
        }
    }
    scanner.pos += 1;
    scanner.end().map_err(RequestError::Malformed)?;
    Ok(events)
}

/// Reads one event a line; empty lines are skipped. Offsets count from the start of `text`.
///
/// # Errors
/// When there are more events than the limit.
pub fn parse_lines(
    text: &[u8],
    limits: &Limits,
) -> Result<Vec<Result<Event, EventError>>, RequestError> {
    let mut events = Vec::new();
    let mut start = 0;
    for line in text.split(|b| *b == b'\n') {
        if !line.iter().all(u8::is_ascii_whitespace) {
            if events.len() == limits.batch_events {
                return Err(RequestError::TooManyEvents {
                    limit: limits.batch_events,
                });
            }
            events.push(parse_event(line, limits).map_err(|mut error| {
                error.offset = error.offset.map(|offset| offset + start);
                error
            }));
        }
        start += line.len() + 1;
    }
    Ok(events)
}

/// Section 3.1.3: quoted strings are unescaped, then one round of percent-decoding.
fn header_value(raw: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(raw)
        .map_err(|_| "the header is not UTF-8; percent-encode it".to_owned())?
        .trim_matches([' ', '\t']);
    let unquoted;
    let text = if let Some(inside) = text.strip_prefix('"') {
        match quoted_string(inside) {
            Some((value, "")) => {
                unquoted = value;
                &unquoted
            }
            _ => return Err("the quoted string does not end where the header ends".to_owned()),
        }
    } else {
        text
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |i: usize| rest.get(i).and_then(|b| char::from(*b).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(
                "`%` is followed by two hexadecimal digits (percent-encode it as %25)".to_owned(),
            );
        };
        bytes.push((high * 16 + low) as u8);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| "the percent-encoded bytes are not UTF-8".to_owned())
}

fn binary(
    headers: &[(String, &[u8])],
    content_type: Option<&[u8]>,
    media: Option<&MediaType>,
    body: &[u8],
    limits: &Limits,
) -> Result<Event, EventError> {
    if body.len() > limits.event_bytes {
        return Err(too_large(body.len(), limits.event_bytes, 0));
    }
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut put = |name: &str, text: Result<String, String>| {
        let wrong = |detail: String| EventError {
            code: ErrorCode::InvalidAttribute,
            pointer: format!("/{}", name.chars().take(64).collect::<String>()),
            offset: None,
            detail,
        };
        check_name(name).map_err(wrong)?;
        let text = text.map_err(wrong)?;
        check_text(&text).map_err(wrong)?;
        let mut value = Vec::with_capacity(text.len() + 2);
        push_string(&text, &mut value);
        if values.insert(name.to_owned(), value).is_some() {
            return Err(wrong(format!("the header ce-{name} is there twice")));
        }
        Ok(())
    };
    for (name, raw) in headers {
        if name == "datacontenttype" || name == "data" {
            return Err(EventError {
                code: ErrorCode::InvalidAttribute,
                pointer: format!("/{name}"),
                offset: None,
                detail: "in binary mode this is the content-type header or the body".to_owned(),
            });
        }
        put(name, header_value(raw))?;
    }
    if let Some(raw) = content_type {
        put(
            "datacontenttype",
            std::str::from_utf8(raw)
                .map(|t| t.trim().to_owned())
                .map_err(|e| e.to_string()),
        )?;
    }
    if !body.is_empty() {
        let (name, value) = payload(media, body, limits)?;
        values.insert(name.to_owned(), value);
    }
    let mut text = vec![b'{'];
    for (name, value) in &values {
        if text.len() > 1 {
            text.push(b',');
        }
        text.push(b'"');
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        text.extend_from_slice(value);
    }
    text.push(b'}');
    // Base64 and headers come on top of a body that is within the limit.
    let roomy = Limits {
        event_bytes: usize::MAX / 4,
        depth: limits.depth + 1,
        ..*limits
    };
    let event = parse_event(&text, &roomy).map_err(|mut error| {
        // Offsets in the text made here mean nothing to the sender.
        error.offset = None;
        error
    })?;
    Ok(event)
}

/// The payload as the JSON event format writes it (section 3.1.1 there): JSON as JSON, text as a string,
/// the rest in Base64.
fn payload(
    media: Option<&MediaType>,
    body: &[u8],
    limits: &Limits,
) -> Result<(&'static str, Vec<u8>), EventError> {
    if media.is_some_and(|m| m.is_json() && m.is_utf8()) {
        let mut scanner = Canonical::new(body, limits.depth, "/data");
        scanner.skip_space();
        scanner.value(2)?;
        scanner.end()?;
        return Ok(("data", scanner.out));
    }
    let mut value = Vec::with_capacity(body.len() * 4 / 3 + 8);
    if media.is_some_and(|m| m.is_text() && m.is_utf8())
        && let Ok(text) = std::str::from_utf8(body)
    {
        push_string(text, &mut value);
        return Ok(("data", value));
    }
    value.push(b'"');
    value.extend_from_slice(STANDARD.encode(body).as_bytes());
    value.push(b'"');
    Ok(("data_base64", value))
}
