//! OTLP logs in their binary form (`opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`), read
//! into the JSON form that [`super::otlp::logs`] takes. Unknown fields are passed over, as protobuf asks.

use crate::json;

/// Deepest nesting of values.
const MAX_DEPTH: usize = 32;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {byte}: {detail}")]
pub struct Malformed {
    /// Where.
    pub byte: usize,
    /// What.
    pub detail: &'static str,
}

type Read<T> = Result<T, Malformed>;

/// A message, and where it begins in the request.
#[derive(Clone, Copy)]
struct Message<'a> {
    bytes: &'a [u8],
    base: usize,
}

/// The value of a field.
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(Message<'a>),
}

impl<'a> Message<'a> {
    fn fail<T>(&self, at: usize, detail: &'static str) -> Read<T> {
        Err(Malformed {
            byte: self.base + at,
            detail,
        })
    }

    fn varint(&self, at: &mut usize) -> Read<u64> {
        let mut out = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(*at) else {
                return self.fail(*at, "a number is cut off");
            };
            *at += 1;
            out |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(out);
            }
        }
        self.fail(*at, "a number is longer than 64 bits")
    }

    fn take(&self, at: &mut usize, length: usize) -> Read<&'a [u8]> {
        let end = at.checked_add(length);
        let Some(bytes) = end.and_then(|end| self.bytes.get(*at..end)) else {
            return self.fail(*at, "a field is longer than what is left");
        };
        *at += length;
        Ok(bytes)
    }

    /// Calls `f` with the number and value of each field.
    fn fields(self, mut f: impl FnMut(u64, Value<'a>) -> Read<()>) -> Read<()> {
        let mut at = 0;
        while at < self.bytes.len() {
            let start = at;
            let key = self.varint(&mut at)?;
            let value = match key & 7 {
                0 => Value::Varint(self.varint(&mut at)?),
                1 => {
                    let bytes = self.take(&mut at, 8)?;
                    Value::Fixed64(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
                }
                2 => {
                    let length = self.varint(&mut at)?;
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let base = self.base + at;
                    let bytes = self.take(&mut at, length)?;
                    Value::Bytes(Message { bytes, base })
                }
                5 => {
                    self.take(&mut at, 4)?;
                    Value::Fixed32
                }
                _ => return self.fail(start, "not a field of protobuf 3"),
            };
            if key >> 3 == 0 {
                return self.fail(start, "a field has the number 0");
            }
            f(key >> 3, value)?;
        }
        Ok(())
    }

    fn text(&self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes).or_else(|e| self.fail(e.valid_up_to(), "not UTF-8"))
    }
}

/// The members of an object or list, as they are written.
struct Members(String);

impl Members {
    fn new(open: char) -> Self {
        Self(String::from(open))
    }

    fn next(&mut self) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        &mut self.0
    }

    fn raw(&mut self, name: &str, value: &str) {
        let out = self.next();
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        out.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        let mut quoted = String::with_capacity(value.len() + 2);
        json::quote(value, &mut quoted);
        self.raw(name, &quoted);
    }

    fn close(mut self, close: char) -> String {
        self.0.push(close);
        self.0
    }
}

/// A request in its JSON form.
///
/// # Errors
/// [`Malformed`], with the byte.
pub fn to_json(request: &[u8]) -> Read<String> {
    let whole = Message {
        bytes: request,
        base: 0,
    };
    let mut resources = Members::new('[');
    whole.fields(|number, value| {
        if let (1, Value::Bytes(message)) = (number, value) {
            let made = resource_logs(message)?;
            resources.next().push_str(&made);
        }
        Ok(())
    })?;
    Ok(format!("{{\"resourceLogs\":{}}}", resources.close(']')))
}

fn resource_logs(message: Message<'_>) -> Read<String> {
    let mut out = Members::new('{');
    let mut scopes = Members::new('[');
    message.fields(|number, value| {
        match (number, value) {
            (1, Value::Bytes(resource)) => {
                let attributes = key_values(resource, 1, 0)?;
                out.raw("resource", &format!("{{\"attributes\":{attributes}}}"));
            }
            (2, Value::Bytes(scope)) => {
                let made = scope_logs(scope)?;
                scopes.next().push_str(&made);
            }
            _ => {}
        }
        Ok(())
    })?;
    out.raw("scopeLogs", &scopes.close(']'));
    Ok(out.close('}'))
}

fn scope_logs(message: Message<'_>) -> Read<String> {
    let mut out = Members::new('{');
    let mut records = Members::new('[');
    message.fields(|number, value| {
        match (number, value) {
            (1, Value::Bytes(scope)) => {
                let mut made = Members::new('{');
                scope.fields(|number, value| {
                    if let (1, Value::Bytes(name)) = (number, value) {
                        made.text("name", name.text()?);
                    }
                    Ok(())
                })?;
                out.raw("scope", &made.close('}'));
            }
            (2, Value::Bytes(record)) => {
                let made = log_record(record)?;
                records.next().push_str(&made);
            }
            _ => {}
        }
        Ok(())
    })?;
    out.raw("logRecords", &records.close(']'));
    Ok(out.close('}'))
}

fn log_record(message: Message<'_>) -> Read<String> {
    let mut out = Members::new('{');
    let mut attributes = Members::new('[');
    message.fields(|number, value| {
        match (number, value) {
            (1, Value::Fixed64(n)) => out.raw("timeUnixNano", &format!("\"{n}\"")),
            (11, Value::Fixed64(n)) => out.raw("observedTimeUnixNano", &format!("\"{n}\"")),
            (2, Value::Varint(n)) => out.raw("severityNumber", &n.to_string()),
            (3, Value::Bytes(text)) => out.text("severityText", text.text()?),
            (5, Value::Bytes(any)) => {
                let made = any_value(any, 0)?;
                out.raw("body", &made);
            }
            (6, Value::Bytes(pair)) => {
                let made = key_value(pair, 0)?;
                attributes.next().push_str(&made);
            }
            (9, Value::Bytes(id)) => out.text("traceId", &hex(id.bytes)),
            (10, Value::Bytes(id)) => out.text("spanId", &hex(id.bytes)),
            (12, Value::Bytes(name)) => out.text("eventName", name.text()?),
            _ => {}
        }
        Ok(())
    })?;
    out.raw("attributes", &attributes.close(']'));
    Ok(out.close('}'))
}

/// All fields of a number as a list of pairs.
fn key_values(message: Message<'_>, number: u64, depth: usize) -> Read<String> {
    let mut out = Members::new('[');
    message.fields(|n, value| {
        if let Value::Bytes(pair) = value
            && n == number
        {
            let made = key_value(pair, depth)?;
            out.next().push_str(&made);
        }
        Ok(())
    })?;
    Ok(out.close(']'))
}

fn key_value(message: Message<'_>, depth: usize) -> Read<String> {
    let mut out = Members::new('{');
    message.fields(|number, value| {
        match (number, value) {
            (1, Value::Bytes(key)) => out.text("key", key.text()?),
            (2, Value::Bytes(any)) => {
                let made = any_value(any, depth)?;
                out.raw("value", &made);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(out.close('}'))
}

fn any_value(message: Message<'_>, depth: usize) -> Read<String> {
    if depth >= MAX_DEPTH {
        return message.fail(0, "values are nested too deeply");
    }
    let mut out = Members::new('{');
    message.fields(|number, value| {
        // The last of a `oneof` counts.
        let mut made = Members::new('{');
        match (number, value) {
            (1, Value::Bytes(text)) => made.text("stringValue", text.text()?),
            (2, Value::Varint(n)) => made.raw("boolValue", if n == 0 { "false" } else { "true" }),
            (3, Value::Varint(n)) => made.raw("intValue", &format!("\"{}\"", n.cast_signed())),
            (4, Value::Fixed64(n)) => {
                let number = f64::from_bits(n);
                let text = if number.is_finite() {
                    format!("{number:?}")
                } else {
                    format!("\"{number}\"")
                };
                made.raw("doubleValue", &text);
            }
            (5, Value::Bytes(list)) => {
                let mut values = Members::new('[');
                list.fields(|number, value| {
                    if let (1, Value::Bytes(any)) = (number, value) {
                        let one = any_value(any, depth + 1)?;
                        values.next().push_str(&one);
                    }
                    Ok(())
                })?;
                made.raw(
                    "arrayValue",
                    &format!("{{\"values\":{}}}", values.close(']')),
                );
            }
            (6, Value::Bytes(list)) => {
                let pairs = key_values(list, 1, depth + 1)?;
                made.raw("kvlistValue", &format!("{{\"values\":{pairs}}}"));
            }
            (7, Value::Bytes(bytes)) => made.text("bytesValue", &base64(bytes.bytes)),
            _ => return Ok(()),
        }
        out = made;
        Ok(())
    })?;
    Ok(out.close('}'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            if i > chunk.len() {
                out.push('=');
            } else {
                let letter = (word >> (18 - 6 * i)) & 63;
                out.push(char::from(LETTERS[letter as usize]));
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{base64, to_json};

    /// A field with bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend(bytes);
        out
    }

    fn request(record: &[u8]) -> Vec<u8> {
        let resource = field(
            1,
            &field(
                1,
                &[field(1, b"service.name"), field(2, &field(1, b"api"))].concat(),
            ),
        );
        let scope = field(2, &[field(1, &field(1, b"lib")), field(2, record)].concat());
        field(1, &[resource, scope].concat())
    }

    #[test]
    fn a_request_is_read_as_its_json() {
        let mut record = vec![1 << 3 | 1];
        record.extend(1_795_640_820_000_000_001_u64.to_le_bytes());
        record.extend([2 << 3, 17]);
        record.extend(field(5, &field(1, "gr\u{fc}n \"x\"".as_bytes())));
        let mut int = vec![3 << 3];
        int.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        record.extend(field(6, &[field(1, b"n"), field(2, &int)].concat()));
        let list = field(1, &field(7, b"\x00\x01"));
        record.extend(field(
            6,
            &[field(1, b"l"), field(2, &field(5, &list))].concat(),
        ));
        record.extend(field(9, &[0xab; 16]));
        // A field that is not known here.
        record.extend([15 << 3 | 5, 1, 2, 3, 4]);
        assert_eq!(
            to_json(&request(&record)).unwrap(),
            "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"api\"}}]},\
             \"scopeLogs\":[{\"scope\":{\"name\":\"lib\"},\"logRecords\":[{\"timeUnixNano\":\"1795640820000000001\",\
             \"severityNumber\":17,\"body\":{\"stringValue\":\"gr\u{fc}n \\\"x\\\"\"},\"traceId\":\"abababababababababababababababab\",\
             \"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"-1\"}},\
             {\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"bytesValue\":\"AAE=\"}]}}}]}]}]}]}"
        );
        assert_eq!(to_json(b"").unwrap(), "{\"resourceLogs\":[]}");
        assert_eq!(base64(b"abcd"), "YWJjZA==");
    }

    #[test]
    fn what_is_malformed_is_named_with_its_byte() {
        for (bytes, byte) in [
            (&[0x0a, 0x05, 0x00][..], 2),
            (&[0x0b][..], 0),
            (&[0x00, 0x00][..], 0),
            (&[0x80][..], 1),
            (&[0xff; 12][..], 10),
            (&[0x09, 1, 2][..], 1),
        ] {
            assert_eq!(to_json(bytes).unwrap_err().byte, byte, "{bytes:?}");
        }
        let bad = request(&field(3, b"\xff"));
        assert_eq!(to_json(&bad).unwrap_err().detail, "not UTF-8");
        let mut deep = field(1, b"x");
        for _ in 0..100 {
            deep = field(5, &field(1, &deep));
        }
        let deep = to_json(&request(&field(5, &deep))).unwrap_err();
        assert_eq!(deep.detail, "values are nested too deeply");
    }
}
