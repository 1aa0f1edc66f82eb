//! Outlines of numbers, all in one tree that is walked from the start of a token.

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

/// Calls `token` with the start of every token of letters and digits that has a digit.
#[inline]
pub(crate) fn tokens_with_digits(text: &[u8], mut token: impl FnMut(usize, usize)) {
    let n = text.len();
    let mut i = 0;
    while i < n {
        // Skip eight bytes at a time while none is a digit.
        while let Some(chunk) = text[i..].first_chunk::<8>() {
            let t = u64::from_le_bytes(*chunk) ^ 0x3030_3030_3030_3030;
            let digits = !((t & 0x7f7f_7f7f_7f7f_7f7f).wrapping_add(0x7676_7676_7676_7676) | t)
                & 0x8080_8080_8080_8080;
            if digits != 0 {
                i += (digits.trailing_zeros() / 8) as usize;
                break;
            }
            i += 8;
        }
        while i < n && !text[i].is_ascii_digit() {
            i += 1;
        }
        if i >= n {
            return;
        }
        let mut start = i;
        let floor = i.saturating_sub(32);
        while start > floor && text[start - 1].is_ascii_alphabetic() {
            start -= 1;
        }
        let mut end = i + 1;
        while end < n && text[end].is_ascii_alphanumeric() {
            end += 1;
        }
        token(start, end);
        i = end;
    }
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
}
