//! How often bytes and words occur in texts: what a rare window is.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::{FOLD, Set};

/// Words that stand in every program: a window that is a piece of one of them is a poor one.
const COMMON: [&[u8]; 58] = [
    b"access",
    b"private",
    b"secret",
    b"token",
    b"password",
    b"passwd",
    b"api_key",
    b"apikey",
    b"api-key",
    b"api key",
    b"authorization",
    b"client",
    b"account",
    b"string",
    b"value",
    b"name",
    b"type",
    b"public",
    b"static",
    b"const",
    b"return",
    b"function",
    b"https://",
    b"user",
    b"data",
    b"true",
    b"false",
    b"null",
    b"import",
    b"require",
    b"include",
    b"comment",
    b"description",
    b"version",
    b"license",
    b"error",
    b"message",
    b"process",
    b"export",
    b"default",
    b"config",
    b"object",
    b"number",
    b"struct",
    b"print",
    b"server",
    b"service",
    b"email",
    b"identif",
    b"database",
    b"connect",
    b"session",
    b"with",
    b"host=",
    b"storage",
    b"_key",
    b"bearer",
    b"basic",
];

/// Every three bytes of those words.
static COMMON_THREES: LazyLock<HashSet<[u8; 3]>> = LazyLock::new(|| {
    COMMON
        .iter()
        .flat_map(|word| word.windows(3))
        .filter_map(|w| w.first_chunk::<3>())
        .map(|w| w.map(|b| b | FOLD))
        .collect()
});

/// Whether three of the bytes in a row are a piece of such a word, and little else.
pub(super) fn common(sets: &[Set; 4]) -> bool {
    [&sets[..3], &sets[1..]].into_iter().any(|three| {
        let [a, b, c] = three else { return false };
        let small = three.iter().all(|s| s.len() <= 2);
        small
            && a.iter().any(|a| {
                b.iter()
                    .any(|b| c.iter().any(|c| COMMON_THREES.contains(&[a, b, c])))
            })
    })
}

/// How often a folded byte occurs in program text and records, roughly.
pub(super) fn frequency(byte: u8) -> f64 {
    match byte {
        b' ' => 0.15,
        b'e' => 0.075,
        b't' => 0.06,
        b'a' | b'r' | b's' | b'i' | b'n' | b'o' => 0.05,
        b'l' | b'c' | b'd' => 0.03,
        b'u' | b'm' | b'p' | b'f' => 0.023,
        b'g' | b'h' | b'b' | b'y' => 0.015,
        b'w' | b'v' => 0.01,
        b'k' | b'x' => 0.006,
        b'j' | b'q' | b'z' => 0.003,
        b'0'..=b'9' => 0.012,
        b'-' | b'.' | b':' | b'=' | b',' | b'"' | b'\'' | b'/' | 0x7f | b'(' | b')' | b';'
        | b'*' => 0.012,
        b'{' | b'}' | b'|' => 0.006,
        _ => 0.002,
    }
}
