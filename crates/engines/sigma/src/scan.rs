//! A strict JSON scanner over one event. It checks the grammar (RFC 8259) and skips quickly; what
//! is kept is decided by the caller ([`crate::flat`]).

use memchr::memchr2;

/// Why an event was refused: the byte offset and the reason. Such an event belongs into the dead
/// letters; it has no influence on its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct EventError {
    /// Offset in bytes.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// Nesting of an event.
pub const MAX_DEPTH: usize = 64;

pub(crate) type Scan<T> = Result<T, EventError>;

pub(crate) struct Scanner<'a> {
    pub(crate) text: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    /// Whether there is any control character at all; mostly there is none, and then strings need
    /// not be looked through for them.
    controls: bool,
    /// Whether a string so far had a `\\u` escape.
    pub(crate) unicode: bool,
}

/// The inside of a string as it is written, and whether it has escapes.
#[derive(Clone, Copy)]
pub(crate) struct RawStr {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let controls = bytes
            .chunks(64)
            .any(|c| c.iter().fold(false, |any, b| any | (*b < 0x20)));
        Self {
            text,
            bytes,
            at: 0,
            controls,
            unicode: false,
        }
    }

    pub(crate) fn fail<T>(&self, reason: &'static str) -> Scan<T> {
        Err(EventError {
            offset: self.at,
            reason,
        })
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn expect(&mut self, byte: u8, reason: &'static str) -> Scan<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            self.fail(reason)
        }
    }

    /// A string, from its opening quote.
    #[inline]
    pub(crate) fn string(&mut self) -> Scan<RawStr> {
        self.expect(b'"', "expected a string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(i) = memchr2(b'"', b'\\', &self.bytes[self.at..]) else {
                return self.fail("a string does not end");
            };
            self.at += i;
            if self.bytes[self.at] == b'"' {
                break;
            }
            escaped = true;
            match self.bytes.get(self.at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                Some(b'u') => {
                    let hex = self.bytes.get(self.at + 2..self.at + 6);
                    if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                        return self.fail("an escape is not \\u and four hexadecimal digits");
                    }
                    self.at += 6;
                    self.unicode = true;
                }
                _ => return self.fail("an unknown escape"),
            }
        }
        let end = self.at;
        if self.controls && self.bytes[start..end].iter().any(|b| *b < 0x20) {
            return self.fail("a control character in a string");
        }
        self.at += 1;
        Ok(RawStr {
            start,
            end,
            escaped,
        })
    }

    /// A number; gives its start.
    pub(crate) fn number(&mut self) -> Scan<usize> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail("expected a value"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(start)
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Scan<()> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return self.fail("expected a digit");
        }
        self.digits();
        Ok(())
    }

    pub(crate) fn word(&mut self, word: &'static [u8]) -> Scan<()> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.fail("expected a value")
        }
    }
}

/// Resolves the escapes of a string that the scanner has passed. A surrogate without its partner
/// becomes U+FFFD.
pub(crate) fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..i]);
        let kind = rest.as_bytes().get(i + 1).copied().unwrap_or(b'\\');
        let mut used = i + 2;
        match kind {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let unit = hex4(rest, used);
                used += 4;
                let mut c = char::from_u32(unit);
                if (0xD800..0xDC00).contains(&unit) && rest[used..].starts_with("\\u") {
                    let low = hex4(rest, used + 2);
                    if (0xDC00..0xE000).contains(&low) {
                        c = char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
                        used += 6;
                    }
                }
                out.push(c.unwrap_or('\u{FFFD}'));
            }
            other => out.push(char::from(other)),
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
}

fn hex4(text: &str, at: usize) -> u32 {
    text.get(at..at + 4)
        .and_then(|h| u32::from_str_radix(h, 16).ok())
        .unwrap_or(0xFFFD)
}
