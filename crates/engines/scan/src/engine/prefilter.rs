//! One pass over the text for the grams of all patterns.

use std::sync::Arc;

use super::grams::{FOLD, Gram, Plan, Set};

/// Bits of a hash: the place in a word, the word, another place.
const HASH: u32 = 24;
const WORDS: usize = 1 << 12;
const FOLD4: u32 = u32::from_ne_bytes([FOLD; 4]);
const FOLD8: u64 = u64::from_ne_bytes([FOLD; 8]);

/// Where a gram leads.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Which pattern, by the caller's number.
    pub owner: u32,
    /// Fewest bytes of a match before the gram.
    pub min_before: u32,
    /// Most bytes before it; `u32::MAX` when there is no bound.
    pub max_before: u32,
    /// The letters that have to stand right before and after the gram, folded: bytes that count
    /// have all bits set in the mask.
    before: (u64, u64),
    after: (u64, u64),
    around: Arc<[Set]>,
    around_at: i32,
}

/// The table of all grams.
#[derive(Debug)]
pub(crate) struct Prefilter {
    /// Two bits of one word for each gram: what passes is there more often than not.
    bitmap: Box<[u64; WORDS]>,
    /// Each gram at the first free place from its own; 0 where there is none, which no folded
    /// gram is. Kept apart from what a gram leads to, so that most looks stay in the cache.
    grams: Box<[u32]>,
    slots: Box<[Slot]>,
    mask: usize,
    shift: u32,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    from: u32,
    to: u32,
}

/// A place in a word, the word and another place, from the low end.
#[inline]
fn hash(gram: u32) -> u32 {
    let product = gram.wrapping_mul(0x9E37_79B1);
    product >> (32 - HASH)
}

#[inline]
fn word(h: u32) -> usize {
    (h >> 6 & (WORDS as u32 - 1)) as usize
}

/// The bits that a gram sets in its word.
#[inline]
fn bits(h: u32) -> u64 {
    1 << (h & 63) | 1 << (h >> 18 & 63)
}

/// The high bits of the product: the low ones would not tell grams apart by their last byte.
#[inline]
fn spread(gram: u32, shift: u32) -> usize {
    (gram.wrapping_mul(0x85EB_CA6B) >> shift) as usize
}

impl Prefilter {
    /// Builds the table of the given plans; a plan's owner is the number beside it.
    pub(crate) fn new(plans: &[(u32, Plan)]) -> Self {
        let mut all: Vec<(u32, u32, &Gram)> = plans
            .iter()
            .flat_map(|(owner, plan)| {
                plan.grams
                    .iter()
                    .map(|g| (u32::from_le_bytes(g.bytes), *owner, g))
            })
            .collect();
        all.sort_by_key(|a| (a.0, a.1));
        let mut bitmap = Box::new([0_u64; WORDS]);
        let mut entries = Vec::with_capacity(all.len());
        let mut runs: Vec<(u32, Slot)> = Vec::new();
        for (gram, owner, g) in all {
            let h = hash(gram);
            bitmap[word(h)] |= bits(h);
            if runs.last().is_none_or(|r| r.0 != gram) {
                let at = entries.len() as u32;
                runs.push((gram, Slot { from: at, to: at }));
            }
            entries.push(Entry {
                owner,
                min_before: u32::try_from(g.min_before).unwrap_or(u32::MAX),
                max_before: g
                    .max_before
                    .and_then(|m| u32::try_from(m).ok())
                    .unwrap_or(u32::MAX),
                before: letters(g, -8),
                after: letters(g, 4),
                around: g.around.clone(),
                around_at: g.around_at as i32,
            });
            if let Some((_, run)) = runs.last_mut() {
                run.to += 1;
            }
        }
        let size = (runs.len() * 3 / 2 + 1).next_power_of_two().max(2);
        let shift = 32 - size.trailing_zeros();
        let mut grams = vec![0_u32; size].into_boxed_slice();
        let mut slots = vec![Slot::default(); size].into_boxed_slice();
        for (gram, run) in runs {
            let mut i = spread(gram, shift);
            while grams[i] != 0 {
                i = (i + 1) & (size - 1);
            }
            grams[i] = gram;
            slots[i] = run;
        }
        Self {
            bitmap,
            grams,
            slots,
            mask: size - 1,
            shift,
            entries,
        }
    }

    /// Calls `hit` with the place of the gram for every entry whose literal stands in the text.
    #[inline]
    pub(crate) fn scan(&self, text: &[u8], mut hit: impl FnMut(usize, &Entry)) {
        let n = text.len();
        let mut i = 0;
        while i + 12 <= n {
            let Some(bytes) = text[i..].first_chunk::<12>() else {
                break;
            };
            let low = u64::from_le_bytes([
                bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
            ]) | FOLD8;
            let high = u64::from_le_bytes([
                bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9], bytes[10], bytes[11],
            ]) | FOLD8;
            let grams = [
                low as u32,
                (low >> 8) as u32,
                (low >> 16) as u32,
                (low >> 24) as u32,
                high as u32,
                (high >> 8) as u32,
                (high >> 16) as u32,
                (high >> 24) as u32,
            ];
            let mut found = 0_u32;
            for (k, gram) in grams.iter().enumerate() {
                found |= self.bit(*gram) << k;
            }
            while found != 0 {
                let k = found.trailing_zeros() as usize;
                found &= found - 1;
                self.look_up(text, i + k, grams[k], &mut hit);
            }
            i += 8;
        }
        while i + 4 <= n {
            if let Some(bytes) = text[i..].first_chunk::<4>() {
                let gram = u32::from_le_bytes(*bytes) | FOLD4;
                if self.bit(gram) == 1 {
                    self.look_up(text, i, gram, &mut hit);
                }
            }
            i += 1;
        }
    }

    #[inline]
    fn bit(&self, gram: u32) -> u32 {
        let h = hash(gram);
        let w = self.bitmap[word(h)];
        (w >> (h & 63) & w >> (h >> 18 & 63)) as u32 & 1
    }

    #[inline]
    fn look_up(&self, text: &[u8], at: usize, gram: u32, hit: &mut impl FnMut(usize, &Entry)) {
        let mut i = spread(gram, self.shift);
        loop {
            let there = self.grams[i];
            if there == gram {
                break;
            }
            if there == 0 {
                return;
            }
            i = (i + 1) & self.mask;
        }
        let slot = self.slots[i];
        let before = at.checked_sub(8).and_then(|from| eight(text, from));
        let after = eight(text, at + 4);
        for entry in &self.entries[slot.from as usize..slot.to as usize] {
            if entry.literal_stands(text, at, before, after) {
                hit(at, entry);
            }
        }
    }
}

/// Mask and letters of the eight bytes from `from`, counted from the gram's first byte.
fn letters(gram: &Gram, from: isize) -> (u64, u64) {
    let (mut mask, mut value) = ([0_u8; 8], [0_u8; 8]);
    for i in 0..8 {
        let set = usize::try_from(from + i as isize - gram.around_at)
            .ok()
            .and_then(|n| gram.around.get(n));
        if let Some(b) = set.and_then(Set::only) {
            (mask[i], value[i]) = (0xff, b);
        }
    }
    (u64::from_le_bytes(mask), u64::from_le_bytes(value))
}

fn eight(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..)?.first_chunk::<8>()?) | FOLD8)
}

impl Entry {
    #[inline]
    fn literal_stands(
        &self,
        text: &[u8],
        at: usize,
        before: Option<u64>,
        after: Option<u64>,
    ) -> bool {
        let near =
            |(mask, value): (u64, u64), text: Option<u64>| text.is_none_or(|t| t & mask == value);
        near(self.after, after) && near(self.before, before) && self.whole_literal(text, at)
    }

    fn whole_literal(&self, text: &[u8], at: usize) -> bool {
        let Some(from) = at.checked_add_signed(self.around_at as isize) else {
            return false;
        };
        text.get(from..from + self.around.len())
            .is_some_and(|t| t.iter().zip(self.around.iter()).all(|(t, s)| s.has(*t)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn finds_each_literal_at_each_place() {
        let parse = |p: &str| {
            let hir = regex_syntax::ParserBuilder::new()
                .unicode(false)
                .utf8(false)
                .build()
                .parse(p)
                .unwrap();
            super::super::grams::plan(&hir).unwrap()
        };
        let filter = Prefilter::new(&[(0, parse("ghp_[a-z]{4}")), (1, parse("(?i)adafruit"))]);
        for pad in 0..40 {
            let text = format!("{}GHP_abcd {}AdaFruit", "x".repeat(pad), "-".repeat(pad));
            let mut seen = Vec::new();
            filter.scan(text.as_bytes(), |_, e| seen.push(e.owner));
            assert_eq!(seen, [0, 1], "{pad}");
        }
    }
}
