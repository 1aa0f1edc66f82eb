//! Case folding.
//!
//! Sigma compares without regard to case (rules specification, "General": "All values are treated
//! as case-insensitive strings"). The specification does not say which folding; this crate uses
//! Unicode *simple* case folding, one character to one character: `Ä` equals `ä`, `Σ` equals `σ`
//! and `ς`, the Kelvin sign equals `k`; `ß` does not equal `ss`, `İ` and `ı` equal themselves only.
//! It is the folding of `(?i)` in regular expressions, so `f: x` and `f|re|i: ^x$` agree.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// Characters beyond ASCII whose simple folding is not themselves.
static TABLE: LazyLock<FxHashMap<char, char>> = LazyLock::new(|| {
    let mut table = FxHashMap::default();
    for c in '\u{80}'..='\u{1FFFF}' {
        let folded = compute(c);
        if folded != c {
            table.insert(c, folded);
        }
    }
    table
});

fn single(mut it: impl Iterator<Item = char>) -> Option<char> {
    let first = it.next()?;
    it.next().is_none().then_some(first)
}

/// Lower case of upper case joins characters that share an upper case (`ς`, `σ`).
fn compute(c: char) -> char {
    // Both Turkish letters have only language-dependent or full foldings.
    match c {
        'ı' | 'İ' => return c,
        // Canonically equal pairs whose upper case is several characters.
        '\u{1FD3}' => return '\u{390}',
        '\u{1FE3}' => return '\u{3B0}',
        '\u{FB05}' => return '\u{FB06}',
        _ => {}
    }
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

/// The folded form of one character.
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    TABLE.get(&c).copied().unwrap_or(c)
}

/// The folded form of a text. Lengths in bytes may differ.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

/// Appends the folded form of a text.
pub fn fold_into(text: &str, out: &mut String) {
    let mut rest = text;
    loop {
        // Runs of ASCII, which most texts are as a whole, are folded in bulk.
        let (plain, other) = rest.split_at(ascii_prefix(rest.as_bytes()));
        let start = out.len();
        out.push_str(plain);
        out[start..].make_ascii_lowercase();
        let mut chars = other.chars();
        let Some(c) = chars.next() else { return };
        out.push(fold_char(c));
        rest = chars.as_str();
    }
}

fn ascii_prefix(bytes: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = bytes.chunks(BLOCK).take_while(|b| b.is_ascii()).count();
    let start = (blocks * BLOCK).min(bytes.len());
    start
        + bytes[start..]
            .iter()
            .take(BLOCK)
            .take_while(|b| b.is_ascii())
            .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    /// Every class of characters that `(?i)` treats as one has one folded form, and characters of
    /// different classes have different ones.
    #[test]
    fn agrees_with_simple_case_folding_of_regular_expressions() {
        for c in '\0'..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            let members: Vec<char> = class.iter().flat_map(|r| r.start()..=r.end()).collect();
            let folded: Vec<char> = members.iter().copied().map(fold_char).collect();
            assert!(
                folded.iter().all(|f| *f == folded[0]),
                "{members:?} {folded:?}"
            );
            // Letters newer than the tables of `regex-syntax` are alone there.
            let alone = members.len() == 1;
            assert!(
                alone || members.contains(&folded[0]),
                "{c:?} folds to {:?}",
                folded[0]
            );
        }
    }
}
