//! JSON into the document tree: RFC 8259, duplicate keys refused (RFC 7493 section 2.3).

use std::collections::HashSet;

use super::{Key, MAX_DEPTH, Node, Syntax, Value};
use crate::problem::Position;

pub(super) fn parse(text: &str) -> Result<Node, Syntax> {
    let mut p = Parser {
        text,
        bytes: text.as_bytes(),
        i: 0,
        line: 1,
        line_start: 0,
    };
    p.space();
    let node = p.value(0)?;
    p.space();
    if p.i < p.bytes.len() {
        return Err(p.error("there is more text after the end of the JSON value"));
    }
    Ok(node)
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    i: usize,
    line: u32,
    line_start: usize,
}

impl Parser<'_> {
    fn at(&self) -> Position {
        let before = self.text.get(self.line_start..self.i).unwrap_or("");
        Position {
            line: self.line,
            column: Position::column_after(before),
        }
    }

    fn error(&self, message: &str) -> Syntax {
        Syntax {
            at: self.at(),
            message: message.to_owned(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.i).copied()
    }

    fn space(&mut self) {
        while let Some(b @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.i += 1;
            if b == b'\n' {
                self.line += 1;
                self.line_start = self.i;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Syntax> {
        let at = self.at();
        if depth > MAX_DEPTH {
            return Err(self.error(&format!("more than {MAX_DEPTH} levels of nesting")));
        }
        let value = match self.peek() {
            Some(b'{') => self.table(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ if self.word("true") => Value::Bool(true),
            _ if self.word("false") => Value::Bool(false),
            _ if self.word("null") => Value::Null,
            Some(_) if self.word("NaN") || self.word("Infinity") => {
                return Err(Syntax {
                    at,
                    message: "NaN and Infinity are not JSON numbers".to_owned(),
                });
            }
            Some(_) => return Err(self.error("expected a JSON value")),
            None => return Err(self.error("the text ends where a JSON value should be")),
        };
        Ok(Node { at, value })
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self
            .bytes
            .get(self.i..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if found {
            self.i += word.len();
        }
        found
    }

    fn table(&mut self, depth: usize) -> Result<Value, Syntax> {
        self.i += 1;
        let mut fields = Vec::new();
        let mut seen = HashSet::new();
        self.space();
        if self.word("}") {
            return Ok(Value::Table(fields));
        }
        loop {
            self.space();
            let at = self.at();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let name = self.string()?;
            if !seen.insert(name.clone()) {
                return Err(Syntax {
                    at,
                    message: format!("duplicate key `{name}`: remove one of them"),
                });
            }
            self.space();
            if !self.word(":") {
                return Err(self.error("expected `:` after the key"));
            }
            self.space();
            fields.push((Key { at, name }, self.value(depth + 1)?));
            self.space();
            if self.word("}") {
                return Ok(Value::Table(fields));
            }
            if !self.word(",") {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Syntax> {
        self.i += 1;
        let mut items = Vec::new();
        self.space();
        if self.word("]") {
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            if self.word("]") {
                return Ok(Value::Array(items));
            }
            if !self.word(",") {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, Syntax> {
        let start = self.i;
        let digits = |p: &mut Self| {
            let from = p.i;
            while matches!(p.peek(), Some(b'0'..=b'9')) {
                p.i += 1;
            }
            p.i - from
        };
        self.word("-");
        let zero = self.peek() == Some(b'0');
        let count = digits(self);
        if count == 0 || (zero && count > 1) {
            return Err(self.error("a number needs digits and no leading zero"));
        }
        if self.word(".") && digits(self) == 0 {
            return Err(self.error("a number needs digits after the point"));
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.i += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.i += 1;
            }
            if digits(self) == 0 {
                return Err(self.error("a number needs digits in its exponent"));
            }
        }
        Ok(Value::Number(
            self.text.get(start..self.i).unwrap_or("").to_owned(),
        ))
    }

    fn string(&mut self) -> Result<String, Syntax> {
        self.i += 1;
        let mut out = String::new();
        loop {
            let start = self.i;
            while matches!(self.peek(), Some(b) if b != b'"' && b != b'\\' && b >= 0x20) {
                self.i += 1;
            }
            out.push_str(self.text.get(start..self.i).unwrap_or(""));
            match self.peek() {
                Some(b'"') => {
                    self.i += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.error("a control character must be escaped")),
                None => return Err(self.error("the string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Syntax> {
        self.i += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.i += 1;
                return self.unicode();
            }
            _ => return Err(self.error("unknown escape in a string")),
        };
        self.i += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, Syntax> {
        let first = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !self.word("\\u") {
                return Err(self.error("a lone surrogate is not a character"));
            }
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error("a lone surrogate is not a character"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("a lone surrogate is not a character"))
    }

    fn hex4(&mut self) -> Result<u32, Syntax> {
        let digits = self.text.get(self.i..self.i + 4).unwrap_or("");
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(self.error("`\\u` needs four hexadecimal digits"));
        }
        self.i += 4;
        u32::from_str_radix(digits, 16)
            .map_err(|_| self.error("`\\u` needs four hexadecimal digits"))
    }
}
