//! Looking into canonical text without building a tree.
//!
//! These functions are for text that [`crate::Event::json`] returned. On other text they answer
//! something, or `None`, and never panic.

use memchr::memchr2;

/// A member of an object: the name as it is written between its quotes, and the value's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberView<'a> {
    /// The name, with JSON's escapes where it has any.
    pub name: &'a [u8],
    /// The value's canonical text.
    pub value: &'a [u8],
}

/// The members of the object `text`, in order; none when it is not an object.
pub fn members(text: &[u8]) -> Members<'_> {
    let rest = match text.first() {
        Some(b'{') => &text[1..],
        _ => &[],
    };
    Members { rest }
}

/// The value of the member `name` of the object `text`.
pub fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(text)
        .find(|m| m.name == name.as_bytes())
        .map(|m| m.value)
}

/// See [`members`].
#[derive(Debug, Clone)]
pub struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = MemberView<'a>;

    fn next(&mut self) -> Option<MemberView<'a>> {
        if self.rest.first() != Some(&b'"') {
            return None;
        }
        let key_end = string_end(self.rest)?;
        let after = self.rest.get(key_end..)?;
        if after.first() != Some(&b':') {
            return None;
        }
        let value = &after[1..];
        let end = value_end(value)?;
        let found = MemberView {
            name: &self.rest[1..key_end - 1],
            value: &value[..end],
        };
        self.rest = match value.get(end) {
            Some(b',') => &value[end + 1..],
            _ => &[],
        };
        Some(found)
    }
}

/// Behind the closing quote of the string that `text` begins with.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut i = 1;
    loop {
        i += memchr2(b'"', b'\\', text.get(i..)?)?;
        match text.get(i)? {
            b'"' => return Some(i + 1),
            // The backslash and what it escapes.
            _ => i += 2,
        }
    }
}

fn value_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut i = 0;
    while let Some(&byte) = text.get(i) {
        match byte {
            b'"' => {
                i += string_end(&text[i..])?;
                if depth == 0 {
                    return Some(i);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b',' if depth == 0 => return Some(i),
            b'}' | b']' => {
                if depth == 0 {
                    return Some(i);
                }
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
    (i > 0 && depth == 0).then_some(i)
}
