//! Many literals in one pass.
//!
//! Of each literal the four bytes that are rarest among all literals stand for it. A text is
//! passed four bytes at a time through a bit table; where a bit is set, the literals that have
//! these four bytes are compared in place. Next to an automaton of all literals this needs no
//! state that does not fit into the first cache level, and on texts where nothing is found, which
//! are nearly all, it does next to nothing. Literals of fewer than four bytes go through an
//! automaton.

use aho_corasick::automaton::{Automaton as _, OverlappingState};
use aho_corasick::nfa::contiguous;
use aho_corasick::{Anchored, BuildError, Input, MatchKind};
use rustc_hash::FxHashMap;

const GRAM: usize = 4;

#[derive(Debug)]
pub(crate) struct Literals {
    /// Bit table over hashed grams.
    bits: Box<[u64]>,
    shift: u32,
    /// Gram to range of `places`.
    grams: FxHashMap<u32, (u32, u32)>,
    places: Vec<Place>,
    texts: Vec<Box<[u8]>>,
    short: Option<Box<Short>>,
    shortest: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    literal: u32,
    /// Where in the literal the gram is.
    offset: u32,
}

#[derive(Debug)]
struct Short {
    automaton: contiguous::NFA,
    ids: Vec<u32>,
}

#[inline]
fn hash(gram: u32, shift: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

#[inline]
fn gram(w: &[u8]) -> u32 {
    u32::from_le_bytes([w[0], w[1], w[2], w[3]])
}

/// For each literal of a rule set the four bytes that stand for it; found once, used by all plans.
#[derive(Debug, Default)]
pub(crate) struct Grams {
    counts: FxHashMap<u32, u32>,
    best: FxHashMap<Box<str>, Option<u32>>,
}

impl Grams {
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut out = Self::default();
        for t in texts.clone() {
            for w in t.as_bytes().windows(GRAM) {
                *out.counts.entry(gram(w)).or_default() += 1;
            }
        }
        for t in texts {
            if !out.best.contains_key(t) {
                out.best.insert(t.into(), out.rarest(t));
            }
        }
        out
    }

    fn rarest(&self, text: &str) -> Option<u32> {
        let windows = text.as_bytes().windows(GRAM).enumerate();
        let count = |w| self.counts.get(&gram(w)).copied().unwrap_or(0);
        let best = windows.min_by_key(|(i, w)| (count(w) + commonness(w), *i))?;
        u32::try_from(best.0).ok()
    }

    /// Where in a literal its gram is; `None` for shorter ones.
    fn offset(&self, text: &str) -> Option<u32> {
        self.best
            .get(text)
            .copied()
            .unwrap_or_else(|| self.rarest(text))
    }
}

impl Literals {
    /// Literals are known by their index.
    pub(crate) fn new(texts: &[&str], known: &Grams) -> Result<Self, BuildError> {
        let mut chosen: Vec<(u32, Place)> = Vec::new();
        let (mut short_texts, mut short_ids) = (Vec::new(), Vec::new());
        for (id, t) in texts.iter().enumerate() {
            let literal = u32::try_from(id).unwrap_or(u32::MAX);
            match known.offset(t) {
                Some(offset) => {
                    let w = &t.as_bytes()[offset as usize..offset as usize + GRAM];
                    chosen.push((gram(w), Place { literal, offset }));
                }
                None => {
                    short_texts.push(*t);
                    short_ids.push(literal);
                }
            }
        }
        chosen.sort_unstable_by_key(|(g, p)| (*g, p.literal));
        // About 32 bits for each gram, between 512 bytes and 64 KiB.
        let log = (chosen.len() * 32)
            .next_power_of_two()
            .clamp(1 << 12, 1 << 19)
            .trailing_zeros();
        let shift = 32 - log;
        let mut bits = vec![0_u64; 1 << (log - 6)].into_boxed_slice();
        let mut grams: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
        let mut places = Vec::with_capacity(chosen.len());
        for (g, p) in chosen {
            let h = hash(g, shift);
            bits[h >> 6] |= 1 << (h & 63);
            let at = u32::try_from(places.len()).unwrap_or(u32::MAX);
            grams.entry(g).or_insert((at, at)).1 = at + 1;
            places.push(p);
        }
        let short = if short_texts.is_empty() {
            None
        } else {
            let automaton = contiguous::Builder::new()
                .match_kind(MatchKind::Standard)
                .build(&short_texts)?;
            Some(Box::new(Short {
                automaton,
                ids: short_ids,
            }))
        };
        Ok(Self {
            bits,
            shift,
            grams,
            places,
            texts: texts.iter().map(|t| t.as_bytes().into()).collect(),
            short,
            shortest: texts.iter().map(|t| t.len()).min().unwrap_or(0),
        })
    }

    /// Calls a function with every literal that a text contains; one may come several times.
    #[inline]
    pub(crate) fn visit(&self, text: &str, mut found: impl FnMut(u32)) {
        let bytes = text.as_bytes();
        if bytes.len() < self.shortest {
            return;
        }
        if !self.places.is_empty() {
            for (i, w) in bytes.windows(GRAM).enumerate() {
                let g = gram(w);
                let h = hash(g, self.shift);
                if self.bits[h >> 6] >> (h & 63) & 1 == 1 {
                    self.check(bytes, i, g, &mut found);
                }
            }
        }
        if let Some(short) = &self.short {
            let input = Input::new(text).anchored(Anchored::No);
            let mut state = OverlappingState::start();
            while short
                .automaton
                .try_find_overlapping(&input, &mut state)
                .is_ok()
            {
                let Some(m) = state.get_match() else { break };
                found(short.ids[m.pattern().as_usize()]);
            }
        }
    }

    #[cold]
    fn check(&self, bytes: &[u8], at: usize, gram: u32, found: &mut impl FnMut(u32)) {
        let Some((start, end)) = self.grams.get(&gram) else {
            return;
        };
        for p in &self.places[*start as usize..*end as usize] {
            let literal = &self.texts[p.literal as usize];
            if let Some(from) = at.checked_sub(p.offset as usize)
                && bytes.get(from..from + literal.len()) == Some(literal)
            {
                found(p.literal);
            }
        }
    }
}

/// Grams of running text and of paths are common in events, however rare in rules.
fn commonness(w: &[u8]) -> u32 {
    const FREQUENT: &[u8] = b"etaoinsrl\\.:- 0";
    let frequent = w.iter().filter(|b| FREQUENT.contains(b)).count();
    let plain = w.iter().filter(|b| b.is_ascii_lowercase()).count();
    u32::try_from(frequent * 2 + plain / 4).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_is_there(
            texts in proptest::collection::btree_set("[ab.é]{1,7}", 1..12),
            text in "[ab.é]{0,40}",
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut found = Vec::new();
            let grams = Grams::new(texts.iter().copied());
            Literals::new(&texts, &grams).unwrap().visit(&text, |l| found.push(l as usize));
            found.sort_unstable();
            found.dedup();
            let expected: Vec<usize> =
                (0..texts.len()).filter(|i| text.contains(texts[*i])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
