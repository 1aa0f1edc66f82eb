//! A look at a policy file before it is parsed: where its policies are, and that none is large or deep enough to
//! exhaust the parser's stack. The parser recurses over brackets, and what it makes is as deep as a chain of
//! operators is long.

use std::ops::Range;

/// The deepest nesting of brackets.
pub(super) const DEEPEST: usize = 32;
/// The most tokens of one policy.
pub(super) const MOST_TOKENS: usize = 1_000;

/// Where something is, in bytes, and what is wrong with it.
pub(super) type Wrong = (usize, String);

/// The policies of a file: each from its first character to its semicolon.
pub(super) fn policies(text: &str) -> Result<Vec<Range<usize>>, Wrong> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = None;
    let (mut at, mut depth, mut tokens) = (0, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let next = match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = line_end(bytes, at);
                continue;
            }
            _ if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' => string_end(bytes, at)?,
            _ if is_word(byte) => word_end(bytes, at),
            _ => at + 1,
        };
        let first = *start.get_or_insert(at);
        tokens += 1;
        if tokens > MOST_TOKENS {
            let detail =
                format!("a policy has more than {MOST_TOKENS} words and signs; make several");
            return Err((first, detail));
        }
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err((at, format!("brackets are nested deeper than {DEEPEST}")));
                }
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => {
                found.push(first..next);
                start = None;
                tokens = 0;
            }
            _ => {}
        }
        at = next;
    }
    if let Some(first) = start {
        // Not ended: the parser says what it misses.
        found.push(first..bytes.len());
    }
    Ok(found)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.iter().skip(from);
    from + rest.take_while(|byte| is_word(**byte)).count()
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.iter().skip(from);
    from + rest
        .take_while(|byte| !matches!(byte, b'\n' | b'\r'))
        .count()
}

/// Behind the closing quote. What the parser would not take for a text ends the scan: it would go on inside of it.
fn string_end(bytes: &[u8], from: usize) -> Result<usize, Wrong> {
    let mut at = from + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok(at + 1),
            b'\n' | b'\r' => break,
            b'\\' if !matches!(bytes.get(at + 1), Some(b'\n' | b'\r') | None) => at += 2,
            b'\\' => break,
            _ => at += 1,
        }
    }
    Err((
        from,
        "a text begins here and does not end on its line".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn policies_are_found_outside_of_texts_and_comments() {
        let text = "// forbid;\n@id(\"a;\\\"(\") forbid(principal, action, resource);\n\n  permit (x) when { \"}\" } ; rest";
        let found = policies(text).unwrap();
        let parts: Vec<_> = found.into_iter().map(|range| &text[range]).collect();
        assert_eq!(
            parts,
            [
                "@id(\"a;\\\"(\") forbid(principal, action, resource);",
                "permit (x) when { \"}\" } ;",
                "rest"
            ]
        );
    }

    #[test]
    fn what_is_deep_long_or_open_is_refused_with_its_place() {
        let deep = format!("forbid{}", "(".repeat(20_000));
        assert_eq!(policies(&deep).unwrap_err().0, "forbid".len() + DEEPEST);
        let hidden = format!("\"{}\" // {}\n;", "(".repeat(20_000), "[".repeat(20_000));
        assert_eq!(policies(&hidden).unwrap().len(), 1);
        let long = format!("x;\n{}", "1+".repeat(MOST_TOKENS));
        assert_eq!(policies(&long).unwrap_err().0, 3);
        assert_eq!(policies("a \"b\nc\"").unwrap_err().0, 2);
        assert_eq!(policies("a \"b\\").unwrap_err().0, 2);
    }
}
