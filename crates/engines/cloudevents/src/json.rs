//! One pass over JSON text that checks it strictly (RFC 8259) and writes its canonical form.
//!
//! The canonical form is RFC 8785 except that numbers keep their source text (an exponent is written with
//! `e` and its sign: `1E5` is `1e+5`): members sorted by
//! UTF-16 code units, no white space, minimal escapes. Members are written as they come; an object whose
//! members came in another order is put right when it ends, so that sorted input costs one copy.

use std::cmp::Ordering;

use crate::error::{ErrorCode, EventError};
use crate::stops;

/// Longest text of a number. Everything that a meter can count fits in far less.
const NUMBER_BYTES: usize = 128;
/// Names that serde_json gives a meaning of its own: an object with such a member would not read back as
/// the object that it is.
const RESERVED_PREFIX: &[u8] = b"\"$serde_json::private::";

#[derive(Clone, Copy)]
enum Segment {
    /// A member's name as it stands in `out`, with its quotes.
    Key(usize, usize),
    Index(usize),
}

/// A member as it stands in `out`: `"name":value,`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) start: usize,
    pub(crate) key_end: usize,
    /// Behind the comma.
    pub(crate) end: usize,
    /// Where the name begins in the input.
    pub(crate) at: usize,
    /// The name is ASCII without escapes: its bytes compare as its characters do.
    plain: bool,
}

/// The scanner and what it has written. Its buffers are used again for the next event.
pub(crate) struct Canonical<'i> {
    input: &'i [u8],
    pub(crate) pos: usize,
    depth_limit: usize,
    prefix: &'static str,
    pub(crate) out: Vec<u8>,
    pub(crate) members: Vec<Member>,
    path: Vec<Segment>,
    scratch: Vec<u8>,
}

type Scan<T> = Result<T, EventError>;

impl<'i> Canonical<'i> {
    pub(crate) fn new(input: &'i [u8], depth_limit: usize, prefix: &'static str) -> Self {
        Self {
            input,
            pos: 0,
            depth_limit,
            prefix,
            out: Vec::with_capacity(512),
            members: Vec::with_capacity(32),
            path: Vec::with_capacity(16),
            scratch: Vec::new(),
        }
    }

    /// Forgets what was written, keeping the place in the input.
    pub(crate) fn restart(&mut self, pos: usize) {
        self.pos = pos;
        self.out.clear();
        self.members.clear();
        self.path.clear();
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.input.get(self.pos).copied()
    }

    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    /// The event object: leaves its members (with their places in `out`) in `members`.
    pub(crate) fn event(&mut self) -> Scan<()> {
        if self.peek() != Some(b'{') {
            return Err(self.error(
                ErrorCode::InvalidJson,
                self.pos,
                "an event is a JSON object",
            ));
        }
        self.object(1)
    }

    /// Any value, at nesting `depth` (1 for the outermost).
    pub(crate) fn value(&mut self, depth: usize) -> Scan<()> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Scan<()> {
        self.skip_space();
        if self.pos == self.input.len() {
            return Ok(());
        }
        self.path.clear();
        Err(self.unexpected("the end"))
    }

    pub(crate) fn error(
        &self,
        code: ErrorCode,
        offset: usize,
        detail: impl Into<String>,
    ) -> EventError {
        let mut pointer = self.prefix.to_owned();
        for segment in &self.path {
            match *segment {
                // No name was read yet.
                Segment::Key(_, 0) => {}
                Segment::Key(start, end) => {
                    pointer.push('/');
                    let name = unescape(&self.out[start + 1..end - 1]);
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                }
                Segment::Index(index) => {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                }
            }
        }
        // A name may be as long as the event; an error is not.
        if pointer.len() > 256 {
            let cut = (0..=256)
                .rev()
                .find(|&i| pointer.is_char_boundary(i))
                .unwrap_or(0);
            pointer.truncate(cut);
            pointer.push('…');
        }
        EventError {
            code,
            pointer,
            offset: Some(offset),
            detail: detail.into(),
        }
    }

    fn unexpected(&self, wanted: &str) -> EventError {
        let rest = &self.input[self.pos.min(self.input.len())..];
        for word in ["NaN", "Infinity", "-Infinity"] {
            if rest.starts_with(word.as_bytes()) {
                return self.error(
                    ErrorCode::NumberOutOfRange,
                    self.pos,
                    format!("{word} is not a number in JSON; leave the member out or send null"),
                );
            }
        }
        let found = match rest.first() {
            None => "the text ends".to_owned(),
            Some(byte @ 0x20..=0x7e) => format!("found `{}`", char::from(*byte)),
            Some(byte) => format!("found byte 0x{byte:02x}"),
        };
        self.error(
            ErrorCode::InvalidJson,
            self.pos,
            format!("expected {wanted}, {found}"),
        )
    }

    fn too_deep(&self) -> EventError {
        self.error(
            ErrorCode::TooDeep,
            self.pos,
            format!("nested deeper than {} levels", self.depth_limit),
        )
    }

    fn literal(&mut self, word: &'static [u8]) -> Scan<()> {
        if !self.input[self.pos..].starts_with(word) {
            return Err(self.unexpected("true, false or null"));
        }
        self.pos += word.len();
        self.out.extend_from_slice(word);
        Ok(())
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.pos;
        while let Some(b'0'..=b'9') = self.peek() {
            self.pos += 1;
        }
        if self.pos == start {
            return Err(self.unexpected("a digit"));
        }
        Ok(())
    }

    fn number(&mut self) -> Scan<()> {
        let start = self.pos;
        let mut exponent = None;
        if self.peek() == Some(b'-') {
            if self.input[self.pos..].starts_with(b"-I") {
                return Err(self.unexpected("a number"));
            }
            self.pos += 1;
        }
        if self.peek() == Some(b'0') {
            self.pos += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return Err(self.error(
                    ErrorCode::InvalidJson,
                    start,
                    "a number does not begin with 0 and another digit",
                ));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            exponent = Some(self.pos);
            self.pos += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.pos += 1;
            }
            self.digits()?;
        }
        let text = &self.input[start..self.pos];
        if text.len() > NUMBER_BYTES {
            return Err(self.error(
                ErrorCode::NumberOutOfRange,
                start,
                format!("a number of more than {NUMBER_BYTES} characters"),
            ));
        }
        // Without an exponent, 128 characters cannot leave the range of a double.
        let Some(mark) = exponent else {
            self.out.extend_from_slice(text);
            return Ok(());
        };
        let finite = std::str::from_utf8(text)
            .ok()
            .and_then(|t| t.parse::<f64>().ok())
            .is_some_and(f64::is_finite);
        if !finite {
            return Err(self.error(
                ErrorCode::NumberOutOfRange,
                start,
                format!(
                    "{} is outside of the range of numbers (about ±1.8e308)",
                    String::from_utf8_lossy(text)
                ),
            ));
        }
        // serde_json, which the platform's trees come from, writes every exponent with `e` and a sign.
        self.out.extend_from_slice(&self.input[start..mark]);
        self.out.push(b'e');
        if !matches!(self.input[mark + 1], b'+' | b'-') {
            self.out.push(b'+');
        }
        self.out.extend_from_slice(&self.input[mark + 1..self.pos]);
        Ok(())
    }

    /// Writes the string in canonical form, with its quotes; whether it is plain ASCII without escapes.
    fn string(&mut self) -> Scan<bool> {
        self.out.push(b'"');
        self.pos += 1;
        let mut run = self.pos;
        let mut plain = true;
        loop {
            self.pos += stops::plain(self.input.get(self.pos..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.out.extend_from_slice(&self.input[run..self.pos]);
                    self.out.push(b'"');
                    self.pos += 1;
                    return Ok(plain);
                }
                Some(b'\\') => {
                    self.out.extend_from_slice(&self.input[run..self.pos]);
                    plain = false;
                    let c = self.escape()?;
                    push_char(c, &mut self.out);
                    run = self.pos;
                }
                Some(0x80..) => {
                    plain = false;
                    let start = self.pos;
                    while let Some(0x80..) = self.peek() {
                        self.pos += 1;
                    }
                    if let Err(bad) = std::str::from_utf8(&self.input[start..self.pos]) {
                        return Err(self.error(
                            ErrorCode::InvalidUtf8,
                            start + bad.valid_up_to(),
                            "these bytes are not UTF-8",
                        ));
                    }
                }
                Some(byte) => {
                    return Err(self.error(
                        ErrorCode::InvalidJson,
                        self.pos,
                        format!("a control character (0x{byte:02x}) in a string is written \\u{byte:04x}"),
                    ));
                }
                None => return Err(self.unexpected("the string's closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Scan<char> {
        let start = self.pos;
        self.pos += 1;
        let byte = self.peek();
        self.pos += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex4(start)?;
                let lone = |this: &Self| {
                    this.error(
                        ErrorCode::LoneSurrogate,
                        start,
                        format!(
                            "\\u{first:04x} is half of a surrogate pair without the other half"
                        ),
                    )
                };
                match first {
                    0xd800..=0xdbff => {
                        if !self.input[self.pos.min(self.input.len())..].starts_with(b"\\u") {
                            return Err(lone(self));
                        }
                        self.pos += 2;
                        let second = self.hex4(start)?;
                        if !(0xdc00..=0xdfff).contains(&second) {
                            return Err(lone(self));
                        }
                        let point = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        char::from_u32(point).ok_or_else(|| lone(self))?
                    }
                    _ => char::from_u32(first).ok_or_else(|| lone(self))?,
                }
            }
            _ => {
                return Err(self.error(
                    ErrorCode::InvalidJson,
                    start,
                    "a backslash is followed by one of \" \\ / b f n r t u",
                ));
            }
        })
    }

    fn hex4(&mut self, start: usize) -> Scan<u32> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error(
                    ErrorCode::InvalidJson,
                    start,
                    "\\u is followed by four hexadecimal digits",
                ));
            };
            value = value * 16 + digit;
            self.pos += 1;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Scan<()> {
        if depth > self.depth_limit {
            return Err(self.too_deep());
        }
        self.pos += 1;
        self.out.push(b'[');
        self.skip_space();
        if self.peek() == Some(b']') {
            self.pos += 1;
            self.out.push(b']');
            return Ok(());
        }
        let level = self.path.len();
        self.path.push(Segment::Index(0));
        let mut index = 0;
        loop {
            self.path[level] = Segment::Index(index);
            self.skip_space();
            self.value(depth + 1)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.out.push(b','),
                Some(b']') => break,
                _ => return Err(self.unexpected("`,` or `]`")),
            }
            self.pos += 1;
            index += 1;
        }
        self.pos += 1;
        self.path.truncate(level);
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Scan<()> {
        if depth > self.depth_limit {
            return Err(self.too_deep());
        }
        self.pos += 1;
        self.out.push(b'{');
        let body = self.out.len();
        let first = self.members.len();
        let level = self.path.len();
        let mut sorted = true;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.pos += 1;
            self.out.push(b'}');
            return Ok(());
        }
        self.path.push(Segment::Key(0, 0));
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                self.path[level] = Segment::Key(0, 0);
                return Err(self.unexpected("a member's name in quotes"));
            }
            let (at, start) = (self.pos, self.out.len());
            let plain = self.string()?;
            let key_end = self.out.len();
            self.path[level] = Segment::Key(start, key_end);
            if self.out[start..].starts_with(RESERVED_PREFIX) {
                return Err(self.error(
                    ErrorCode::InvalidJson,
                    at,
                    "names that begin with `$serde_json::private::` are reserved",
                ));
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.pos += 1;
            self.out.push(b':');
            self.skip_space();
            self.value(depth + 1)?;
            self.out.push(b',');
            let member = Member {
                start,
                key_end,
                end: self.out.len(),
                at,
                plain,
            };
            if self.members.len() > first {
                let before = self.members[self.members.len() - 1];
                sorted &= compare(&self.out, &before, &member) == Ordering::Less;
            }
            self.members.push(member);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.pos += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
        self.pos += 1;
        if !sorted {
            self.sort(first, body, level)?;
        }
        self.path.truncate(level);
        // The comma of the last member.
        self.out.pop();
        self.out.push(b'}');
        if depth > 1 {
            self.members.truncate(first);
        }
        Ok(())
    }

    fn sort(&mut self, first: usize, body: usize, level: usize) -> Scan<()> {
        let out = &self.out;
        self.members[first..].sort_by(|a, b| compare(out, a, b));
        for i in first + 1..self.members.len() {
            let (a, b) = (self.members[i - 1], self.members[i]);
            if compare(&self.out, &a, &b) == Ordering::Equal {
                self.path[level] = Segment::Key(b.start, b.key_end);
                return Err(self.error(
                    ErrorCode::DuplicateMember,
                    a.at.max(b.at),
                    "the object has two members of this name",
                ));
            }
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.out[body..]);
        let mut to = body;
        for member in &mut self.members[first..] {
            let length = member.end - member.start;
            let from = member.start - body;
            self.out[to..to + length].copy_from_slice(&self.scratch[from..from + length]);
            member.key_end = to + (member.key_end - member.start);
            member.start = to;
            to += length;
            member.end = to;
        }
        Ok(())
    }
}

/// The order of RFC 8785 section 3.2.3: by UTF-16 code units of the names.
fn compare(out: &[u8], a: &Member, b: &Member) -> Ordering {
    let (left, right) = (
        &out[a.start + 1..a.key_end - 1],
        &out[b.start + 1..b.key_end - 1],
    );
    if a.plain && b.plain {
        return left.cmp(right);
    }
    unescape(left)
        .encode_utf16()
        .cmp(unescape(right).encode_utf16())
}

/// Reads the inside of a canonical string. Only text that this module wrote comes here, so that
/// anything else is read as it stands.
pub(crate) fn unescape(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if !text.contains('\\') {
        return text.into_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                out.extend(
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32),
                );
            }
            Some(c) => out.push(c),
            None => {}
        }
    }
    out
}

fn push_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\r' => out.extend_from_slice(b"\\r"),
        c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Writes `text` as a canonical JSON string, with its quotes.
pub(crate) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        push_char(c, out);
    }
    out.push(b'"');
}

/// Where the element that begins at `pos` ends, as well as that can be said of text that is not JSON:
/// at the comma or the bracket that is outside of all strings and brackets opened since.
pub(crate) fn skip_element(input: &[u8], mut pos: usize) -> usize {
    let mut depth = 0usize;
    while let Some(&byte) = input.get(pos) {
        match byte {
            b'"' => {
                pos += 1;
                while let Some(&inside) = input.get(pos) {
                    match inside {
                        b'\\' => pos += 1,
                        b'"' => break,
                        _ => {}
                    }
                    pos += 1;
                }
            }
            b'{' | b'[' => depth += 1,
            b',' | b']' | b'}' if depth == 0 => return pos,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        pos += 1;
    }
    input.len()
}
