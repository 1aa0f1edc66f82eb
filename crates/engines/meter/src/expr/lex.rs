//! Tokens of expressions.

use super::parse::ExprError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(String),
    Text(String),
    Name(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 16] = [
    "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "(", ")", "[", "]", ",", ".",
];

/// The tokens with their byte offsets.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExprError> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        let start = i;
        match b {
            b' ' | b'\t' | b'\n' | b'\r' => i += 1,
            b'0'..=b'9' => {
                i = number_end(bytes, i);
                out.push((start, Token::Number(slice(text, start, i))));
            }
            b'"' | b'\'' => {
                let (content, end) = string(text, start, b)?;
                i = end;
                out.push((start, Token::Text(content)));
            }
            b if b.is_ascii_alphabetic() || b == b'_' => {
                while bytes
                    .get(i)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                {
                    i += 1;
                }
                out.push((start, Token::Name(slice(text, start, i))));
            }
            _ => {
                let rest = text.get(i..).unwrap_or("");
                let symbol = SYMBOLS.iter().find(|s| rest.starts_with(**s));
                let Some(symbol) = symbol else {
                    let found: String = rest.chars().take(1).collect();
                    return Err(ExprError::at(
                        start,
                        format!("unexpected `{found}`: use and, or, not for logic"),
                    ));
                };
                i += symbol.len();
                out.push((start, Token::Symbol(symbol)));
            }
        }
    }
    Ok(out)
}

fn slice(text: &str, start: usize, end: usize) -> String {
    text.get(start..end).unwrap_or("").to_owned()
}

/// The end of `digits[.digits][e[+-]digits]`; a point that no digit follows is left for a path.
fn number_end(bytes: &[u8], mut i: usize) -> usize {
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    while digit(i) {
        i += 1;
    }
    if bytes.get(i) == Some(&b'.') && digit(i + 1) {
        i += 1;
        while digit(i) {
            i += 1;
        }
    }
    if matches!(bytes.get(i), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(i + 1), Some(b'+' | b'-')));
        if digit(i + 1 + sign) {
            i += 1 + sign;
            while digit(i) {
                i += 1;
            }
        }
    }
    i
}

/// A string in single or double quotes; a backslash takes the next character as it is.
fn string(text: &str, start: usize, quote: u8) -> Result<(String, usize), ExprError> {
    let mut out = String::new();
    let mut chars = text.get(start + 1..).unwrap_or("").char_indices();
    while let Some((at, c)) = chars.next() {
        if c == char::from(quote) {
            return Ok((out, start + 1 + at + 1));
        }
        if c == '\\' {
            match chars.next() {
                Some((_, escaped)) => out.push(escaped),
                None => break,
            }
        } else {
            out.push(c);
        }
    }
    Err(ExprError::at(start, "the string is not closed".to_owned()))
}
