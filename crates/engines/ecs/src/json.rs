//! JSON as text: checked once, then walked in place. Nothing is copied until it is written.

use std::borrow::Cow;

use crate::Refusal;

/// Deepest nesting of an event.
pub const MAX_DEPTH: usize = 60;

/// Checks that a text is one JSON object, nested no deeper than [`MAX_DEPTH`], whose texts are
/// Unicode. After this the functions below cannot meet anything unexpected.
pub(crate) fn check(text: &str) -> Result<(), Refusal> {
    let bytes = text.as_bytes();
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::NotAnObject);
    }
    let mut depth = 0_usize;
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        match b {
            b'"' => i = string_end(bytes, i),
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Refusal::TooDeep { byte: i });
                }
                i += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                i += 1;
            }
            _ => i += 1,
        }
    }
    let syntax = |e: serde_json::Error| Refusal::Syntax {
        line: e.line(),
        column: e.column(),
        detail: e.to_string(),
    };
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(syntax)?;
    // A half of a surrogate pair is grammatical JSON and no text.
    let finder = memchr::memmem::find(bytes, b"\\ud").or(memchr::memmem::find(bytes, b"\\uD"));
    if finder.is_some() {
        serde_json::from_str::<serde_json::Value>(text).map_err(syntax)?;
    }
    Ok(())
}

/// Index behind the string that starts at `i`.
pub(crate) fn string_end(bytes: &[u8], i: usize) -> usize {
    let mut i = i + 1;
    loop {
        let Some(rest) = bytes.get(i..) else {
            return bytes.len();
        };
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return bytes.len(),
            Some(n) if rest[n] == b'"' => return i + n + 1,
            Some(n) => i += n + 2,
        }
    }
}

/// A place in checked JSON.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    i: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut c = Self { text, i: 0 };
        c.space();
        c
    }

    pub(crate) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.i).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.i += 1;
        }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.i).unwrap_or_default()
    }

    /// The value here as text; the cursor goes behind it.
    pub(crate) fn value(&mut self) -> &'a str {
        let start = self.i;
        let bytes = self.text.as_bytes();
        match self.peek() {
            b'"' => self.i = string_end(bytes, self.i),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                while let Some(b) = bytes.get(self.i) {
                    match b {
                        b'"' => {
                            self.i = string_end(bytes, self.i);
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.i += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                while let Some(b) = bytes.get(self.i) {
                    if matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') {
                        break;
                    }
                    self.i += 1;
                }
            }
        }
        let out = self.since(start);
        self.space();
        out
    }

    /// Into the object or list here; false when it is empty (the cursor is then behind it).
    pub(crate) fn enter(&mut self) -> bool {
        self.i += 1;
        self.space();
        if matches!(self.peek(), b'}' | b']' | 0) {
            self.leave();
            return false;
        }
        true
    }

    /// After a member: true when another one follows; otherwise the cursor is behind the container.
    pub(crate) fn more(&mut self) -> bool {
        if self.peek() == b',' {
            self.i += 1;
            self.space();
            return true;
        }
        self.leave();
        false
    }

    fn leave(&mut self) {
        self.i += 1;
        self.space();
    }

    /// The name of the member here, with its quotes; the cursor goes to its value.
    pub(crate) fn key(&mut self) -> &'a str {
        let start = self.i;
        self.i = string_end(self.text.as_bytes(), self.i);
        let out = self.since(start);
        self.space();
        self.i += 1;
        self.space();
        out
    }
}

/// Calls a function with name (without quotes, as written) and value of each member of an object.
pub(crate) fn members<'a>(object: &'a str, mut f: impl FnMut(&'a str, &'a str)) {
    let mut c = Cursor::new(object);
    if c.peek() != b'{' || !c.enter() {
        return;
    }
    loop {
        let key = unquoted(c.key());
        let value = c.value();
        f(key, value);
        if !c.more() {
            return;
        }
    }
}

/// The elements of a list; nothing for other values.
pub(crate) fn elements(list: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut c = Cursor::new(list);
    if c.peek() != b'[' || !c.enter() {
        return out;
    }
    loop {
        out.push(c.value());
        if !c.more() {
            return out;
        }
    }
}

/// The first member of this name (ASCII case does not matter).
pub(crate) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    members(object, |k, v| {
        if found.is_none() && k.eq_ignore_ascii_case(name) {
            found = Some(v);
        }
    });
    found
}

/// Follows names through objects, and numbers through lists.
pub(crate) fn path<'a>(object: &'a str, path: &str) -> Option<&'a str> {
    let mut here = object;
    for name in path.split('.') {
        here = match name.parse::<usize>() {
            Ok(n) if here.starts_with('[') => elements(here).get(n).copied()?,
            _ => member(here, name)?,
        };
    }
    Some(here)
}

pub(crate) fn unquoted(raw: &str) -> &str {
    raw.strip_prefix('"')
        .and_then(|r| r.strip_suffix('"'))
        .unwrap_or(raw)
}

/// The text of a string token; `None` for other values.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// The text of a string, number or boolean; `None` for null and containers.
pub(crate) fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => string(raw),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// Appends a text as a string token.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        let escape = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[from..i]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{b:04x}"));
        } else {
            out.push_str(escape);
        }
        from = i + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn walks_and_quotes() {
        let text = r#" { "a" : [1, {"b": "x\"y"}, null ], "C":{} ,"d":-1.5e3 } "#;
        check(text).unwrap();
        let text = text.trim();
        assert_eq!(path(text, "a.1.b"), Some(r#""x\"y""#));
        assert_eq!(string(r#""x\"y""#).unwrap(), "x\"y");
        assert_eq!(member(text, "c"), Some("{}"));
        assert_eq!(path(text, "d"), Some("-1.5e3"));
        assert_eq!(path(text, "a.7"), None);
        let mut out = String::new();
        quote("a\u{1}\n\"ä", &mut out);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\u{1}\n\"ä");
    }

    #[test]
    fn refuses_what_is_no_event() {
        assert!(matches!(check("[1]"), Err(Refusal::NotAnObject)));
        let deep = "{\"a\":".repeat(10_000);
        assert!(matches!(check(&deep), Err(Refusal::TooDeep { .. })));
        for bad in [
            "{\"a\":NaN}",
            "{\"a\":1",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1} x",
        ] {
            assert!(matches!(check(bad), Err(Refusal::Syntax { .. })), "{bad}");
        }
        check("{\"a\":\"\\ud83d\\ude00\"}").unwrap();
    }
}
