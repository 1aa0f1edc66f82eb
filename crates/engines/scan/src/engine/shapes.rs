//! Outlines of numbers, all in one tree that is walked from the start of a token.

use super::blocks::{self, BLOCK};
use crate::detector::DetectorError;

const SYMBOLS: usize = 12;
const NONE: u8 = 11;
/// Most outlines that one `shapes` line may stand for.
const MAX_WAYS: usize = 4_096;

/// The class of each byte.
static SYMBOL: [u8; 256] = symbols();

const fn symbols() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            b'0'..=b'9' => 0,
            b'A'..=b'Z' | b'a'..=b'z' => 1,
            b' ' => 2,
            b'-' => 3,
            b'.' => 4,
            b'/' => 5,
            b':' => 6,
            b'+' => 7,
            b'(' => 8,
            b')' => 9,
            b'*' => 10,
            _ => NONE,
        };
        b += 1;
    }
    table
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Shapes {
    next: Vec<[u16; SYMBOLS]>,
    accept: Vec<Vec<u32>>,
    /// Bytes of the shortest outline, at most those of the shortest address or account number.
    pub(crate) shortest: usize,
}

impl Shapes {
    pub(crate) fn new() -> Self {
        Self {
            next: vec![[0; SYMBOLS]],
            accept: vec![Vec::new()],
            shortest: 7,
        }
    }

    /// Adds an outline of a detector.
    pub(crate) fn add(&mut self, id: &str, shape: &str, owner: u32) -> Result<(), DetectorError> {
        let separators: &[&str] = if shape.contains('_') {
            &["", " ", "-", "."]
        } else {
            &[""]
        };
        for separator in separators {
            let way = shape.replace('_', separator);
            self.shortest = self.shortest.min(way.len());
            let mut ends = vec![0_usize];
            for c in way.bytes() {
                let symbols: &[u8] = match c {
                    b'9' => &[0],
                    b'A' => &[1],
                    b'X' => &[0, 1],
                    _ => match SYMBOL[usize::from(c)] {
                        s @ 2..=10 => {
                            &[[2], [3], [4], [5], [6], [7], [8], [9], [10]][s as usize - 2]
                        }
                        _ => {
                            return Err(DetectorError::invalid(
                                id,
                                format!(
                                    "shape {shape:?} has {:?}; use 9, A, X, _ or one of ` -./:+()*`",
                                    c as char
                                ),
                            ));
                        }
                    },
                };
                let mut following = Vec::new();
                for end in &ends {
                    for s in symbols {
                        following.push(self.step(*end, *s));
                    }
                }
                if following.len() > MAX_WAYS || self.next.len() > 60_000 {
                    return Err(DetectorError::invalid(
                        id,
                        format!("shape {shape:?} has too many ways"),
                    ));
                }
                ends = following;
            }
            for end in ends {
                if !self.accept[end].contains(&owner) {
                    self.accept[end].push(owner);
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, from: usize, symbol: u8) -> usize {
        let to = self.next[from][usize::from(symbol)];
        if to != 0 {
            return usize::from(to);
        }
        let new = self.next.len();
        self.next.push([0; SYMBOLS]);
        self.accept.push(Vec::new());
        self.next[from][usize::from(symbol)] = new as u16;
        new
    }

    /// Walks from `start` and calls `accept` with the end and the owners of each outline.
    #[inline]
    pub(crate) fn walk(&self, text: &[u8], start: usize, mut accept: impl FnMut(usize, &[u32])) {
        let mut node = 0_usize;
        for (i, b) in text[start..].iter().enumerate() {
            node = usize::from(self.next[node][usize::from(SYMBOL[usize::from(*b)])]);
            if node == 0 {
                return;
            }
            let owners = &self.accept[node];
            if !owners.is_empty() {
                accept(start + i + 1, owners);
            }
        }
    }
}

/// Most letters of a token before its first digit that are taken as part of it.
const LETTERS: usize = 32;

/// Calls `token` with the place of every token of letters and digits that has a digit.
#[inline]
pub(crate) fn tokens_with_digits(text: &[u8], mut token: impl FnMut(usize, usize)) {
    let mut at = 0;
    while let Some(block) = blocks::block(text, at) {
        let mut digits = blocks::mask(block, blocks::digit);
        let mut next = at + BLOCK;
        if digits != 0 {
            let others = !blocks::mask(block, blocks::alphanumeric);
            while digits != 0 {
                let first = digits.trailing_zeros();
                let before = others & ((1 << first) - 1);
                let floor = (at + first as usize).saturating_sub(LETTERS);
                // What stands before the first digit and is no other byte is a letter.
                let start = if before == 0 {
                    letters_before(text, at.max(floor), floor)
                } else {
                    (at + BLOCK - before.leading_zeros() as usize).max(floor)
                };
                let after = others >> first;
                if after == 0 {
                    next = token_end(text, next);
                    token(start, next);
                    break;
                }
                let end = first + after.trailing_zeros();
                token(start, at + end as usize);
                digits &= u64::MAX << end;
            }
        }
        at = next;
    }
    while let Some(first) = text
        .get(at..)
        .and_then(|t| t.iter().position(u8::is_ascii_digit))
    {
        let first = at + first;
        let start = letters_before(text, first, first.saturating_sub(LETTERS));
        at = token_end(text, first + 1);
        token(start, at);
    }
}

fn letters_before(text: &[u8], mut start: usize, floor: usize) -> usize {
    while start > floor && text[start - 1].is_ascii_alphabetic() {
        start -= 1;
    }
    start
}

fn token_end(text: &[u8], mut end: usize) -> usize {
    while text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn walks_outlines() {
        let mut shapes = Shapes::new();
        shapes.add("t", "999_99_9999", 7).unwrap();
        shapes.add("t", "AX9", 8).unwrap();
        let mut seen = Vec::new();
        shapes.walk(b"123-45-6789", 0, |end, o| seen.push((end, o.to_vec())));
        assert_eq!(seen, [(11, vec![7])]);
        seen.clear();
        shapes.walk(b"123-45 6789", 0, |end, o| seen.push((end, o.to_vec())));
        assert!(seen.is_empty());
        shapes.walk(b"b22", 0, |end, o| seen.push((end, o.to_vec())));
        assert_eq!(seen, [(3, vec![8])]);
        assert!(shapes.add("t", "9#9", 1).is_err());
    }

    #[test]
    fn finds_every_token() {
        for pad in 0..20 {
            let text = format!("{}ab12 cd {} 7,x9y", "z ".repeat(pad), "q".repeat(pad));
            let mut seen = Vec::new();
            tokens_with_digits(text.as_bytes(), |s, e| seen.push(text[s..e].to_owned()));
            assert_eq!(seen, ["ab12", "7", "x9y"], "{pad}");
        }
    }

    /// One byte after the other.
    fn naive(text: &[u8]) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < text.len() {
            if text[at].is_ascii_digit() {
                let end = token_end(text, at);
                out.push((letters_before(text, at, at.saturating_sub(LETTERS)), end));
                at = end;
            } else {
                at += 1;
            }
        }
        out
    }

    proptest::proptest! {
        #[test]
        fn blocks_find_the_tokens_that_bytes_show(text in "([a-c]{0,45}[0-9]{0,3}[ ._\u{e9}]{0,9}){0,12}") {
            let mut seen = Vec::new();
            tokens_with_digits(text.as_bytes(), |s, e| seen.push((s, e)));
            proptest::prop_assert_eq!(seen, naive(text.as_bytes()));
        }
    }
}
