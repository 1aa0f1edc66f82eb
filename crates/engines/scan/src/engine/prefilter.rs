//! One pass over the text for the grams of all patterns.

use std::sync::Arc;

use super::grams::{FOLD, Need, Plan, Set};

/// Words of the bitmap, and how many bits of a hash name one.
const WORD_BITS: u32 = 16;
const WORDS: usize = 1 << WORD_BITS;
const FOLD4: u32 = u32::from_ne_bytes([FOLD; 4]);
const FOLD8: u64 = u64::from_ne_bytes([FOLD; 8]);
/// Grams that are looked at together.
const LANES: usize = 8;
/// Places on a list.
const LIST: usize = 256;

/// Where a gram leads.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Which pattern, by the caller's number.
    pub owner: u32,
    /// Fewest bytes of a match before the window.
    pub min_before: u32,
    /// Most bytes before it; `u32::MAX` when there is no bound.
    pub max_before: u32,
    /// How far the gram begins behind the window.
    shift: i8,
    near: Near,
    around: Arc<[Set]>,
    /// Where that begins, counted from the gram.
    around_at: i32,
}

/// The letters that have to stand right before and after a gram, folded: bytes that count have all bits set in the
/// mask.
#[derive(Debug, Clone, Copy, Default)]
struct Near {
    before: (u64, u64),
    after: (u64, u64),
}

/// The table of all grams.
#[derive(Debug)]
pub(crate) struct Prefilter {
    /// Two bits of one word for each gram: what passes is there more often than not.
    bitmap: Box<[u32; WORDS]>,
    /// Each gram and its slot at the first free place from its own; 0 where there is none, which no folded gram is.
    table: Box<[(u32, u32)]>,
    /// What grams lead to; the first one to nothing.
    slots: Vec<Slot>,
    /// Entries of the slots, by their numbers.
    lists: Vec<u32>,
    mask: usize,
    shift: u32,
    entries: Vec<Entry>,
    /// Every place has to be looked at, not every other one.
    every: bool,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    from: u32,
    to: u32,
    /// What all of its entries ask for.
    near: Near,
}

impl Slot {
    /// Where grams lead that no pattern has: no text agrees with it.
    const NONE: Self = Self {
        from: 0,
        to: 0,
        near: Near {
            before: (0, 0),
            after: (0, 1),
        },
    };
}

/// The high bits of the product, on which all bits of the gram bear: a word, and two places in it.
#[inline]
fn hash(gram: u32) -> u64 {
    u64::from(gram).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[inline]
fn word(h: u64) -> usize {
    (h >> (64 - WORD_BITS)) as usize
}

#[inline]
fn bits(h: u64) -> usize {
    (h >> (56 - WORD_BITS) & 255) as usize
}

/// Pairs of places: a table is quicker than shifting by a number that is not known before.
static BITS: [u32; 256] = {
    let mut pairs = [0; 256];
    let mut i = 0;
    while i < 256 {
        let one = i as u32 % 32;
        // Another of the 31, never the same pair from its other end.
        pairs[i] = 1 << one | 1 << ((one + 1 + i as u32 / 32) % 32);
        i += 1;
    }
    pairs
};

/// The high bits of the product: the low ones would not tell grams apart by their last byte.
#[inline]
fn spread(gram: u32, shift: u32) -> usize {
    (gram.wrapping_mul(0x85EB_CA6B) >> shift) as usize
}

impl Prefilter {
    /// Builds the table of the given plans; a plan's owner is the number beside it.
    pub(crate) fn new(plans: &[(u32, Plan)]) -> Self {
        let every = plans.iter().any(|(_, plan)| plan.every);
        let mut needs: Vec<(u32, &Need)> = plans
            .iter()
            .flat_map(|(owner, plan)| plan.needs.iter().map(|need| (*owner, need)))
            .filter(|(_, need)| need.shift == 0 || !every)
            .collect();
        // Windows that begin before the gram come first: an owner is called in the order of its windows.
        needs.sort_by_key(|(owner, need)| (-need.shift, *owner));
        let entries: Vec<Entry> = needs.iter().map(|(o, n)| Entry::new(*o, n)).collect();
        let mut grams: Vec<(u32, u32)> = Vec::new();
        for (id, (_, need)) in (0..).zip(&needs) {
            need.window.each(|gram| grams.push((gram, id)));
        }
        grams.sort_unstable();
        let mut bitmap = vec![0_u32; WORDS].into_boxed_slice();
        let mut slots = vec![Slot::NONE];
        let mut lists = Vec::new();
        let mut leads: Vec<(u32, u32)> = Vec::new();
        // Most grams lead to one entry alone, and all of a window's do to the same.
        let mut single = vec![0_u32; entries.len()];
        for run in grams.chunk_by(|a, b| a.0 == b.0) {
            let (gram, first) = run[0];
            let h = hash(gram);
            bitmap[word(h)] |= BITS[bits(h)];
            let known = single[first as usize];
            if run.len() == 1 && known != 0 {
                leads.push((gram, known));
                continue;
            }
            let slot = slots.len() as u32;
            if run.len() == 1 {
                single[first as usize] = slot;
            }
            leads.push((gram, slot));
            let from = lists.len() as u32;
            lists.extend(run.iter().map(|(_, id)| *id));
            let near = run[1..]
                .iter()
                .map(|(_, id)| entries[*id as usize].near)
                .fold(entries[first as usize].near, Near::both);
            slots.push(Slot {
                from,
                to: lists.len() as u32,
                near,
            });
        }
        let size = (leads.len() * 3 / 2 + 1).next_power_of_two().max(2);
        let shift = 32 - size.trailing_zeros();
        let mut table = vec![(0, 0); size].into_boxed_slice();
        for (gram, slot) in leads {
            let mut i = spread(gram, shift);
            while table[i].0 != 0 {
                i = (i + 1) & (size - 1);
            }
            table[i] = (gram, slot);
        }
        Self {
            bitmap: bitmap
                .try_into()
                .unwrap_or_else(|_| Box::new([u32::MAX; WORDS])),
            table,
            slots,
            mask: size - 1,
            shift,
            lists,
            entries,
            every,
        }
    }

    /// Calls `hit` with the place of the window for every entry whose literal stands in the text.
    #[inline]
    pub(crate) fn scan(&self, text: &[u8], hit: impl FnMut(usize, &Entry)) {
        if self.every {
            self.walk::<1, { LANES + 3 }>(text, hit);
        } else {
            self.walk::<2, { 2 * LANES + 2 }>(text, hit);
        }
    }

    /// Looks at every `STEP`th place, at some of them together, which reach over `REACH` bytes.
    ///
    /// What passes one look is put on a list, also what does not, where the next one overwrites it: a branch for
    /// each would be guessed wrong more often than the look costs.
    #[inline]
    fn walk<const STEP: usize, const REACH: usize>(
        &self,
        text: &[u8],
        mut hit: impl FnMut(usize, &Entry),
    ) {
        let mut passed = [0_usize; LIST];
        let mut n = 0;
        let mut at = 0;
        while let Some(bytes) = text.get(at..).and_then(|t| t.first_chunk::<REACH>()) {
            for lane in 0..LANES {
                passed[n % LIST] = at + lane * STEP;
                n += usize::from(self.passes(folded(bytes, lane * STEP)));
            }
            at += LANES * STEP;
            if n > LIST - LANES {
                self.look_up(text, &passed[..n.min(LIST)], &mut hit);
                n = 0;
            }
        }
        self.look_up(text, &passed[..n.min(LIST)], &mut hit);
        // The last bytes, as if spaces came after them: what has to be there is compared with the text itself.
        let rest = &text[at.min(text.len())..];
        let mut last = [b' '; 2 * LANES + 8];
        last[..rest.len()].copy_from_slice(rest);
        for i in (0..rest.len()).step_by(STEP) {
            let gram = folded(&last, i);
            if let Some(slot) = self.slot(gram) {
                self.entries(text, at + i, slot, &mut hit);
            }
        }
    }

    #[inline]
    fn passes(&self, gram: u32) -> bool {
        let h = hash(gram);
        let bits = BITS[bits(h)];
        self.bitmap[word(h)] & bits == bits
    }

    #[inline]
    fn slot(&self, gram: u32) -> Option<&Slot> {
        let mut i = spread(gram, self.shift);
        loop {
            let (there, slot) = self.table[i & self.mask];
            if there == gram {
                return self.slots.get(slot as usize);
            }
            if there == 0 {
                return None;
            }
            i += 1;
        }
    }

    fn look_up(&self, text: &[u8], passed: &[usize], hit: &mut impl FnMut(usize, &Entry)) {
        let mut near: [(usize, u32); LIST] = [(0, 0); LIST];
        let mut n = 0;
        for at in passed {
            let mut i = spread(folded(text, *at), self.shift);
            let gram = folded(text, *at);
            let slot = loop {
                let (there, slot) = self.table[i & self.mask];
                if there == gram || there == 0 {
                    break slot;
                }
                i += 1;
            };
            near[n % LIST] = (*at, slot);
            n += usize::from(self.slots[slot as usize].near.stands(text, *at));
        }
        for (at, slot) in &near[..n.min(LIST)] {
            self.entries(text, *at, &self.slots[*slot as usize], hit);
        }
    }

    #[inline]
    fn entries(&self, text: &[u8], at: usize, slot: &Slot, hit: &mut impl FnMut(usize, &Entry)) {
        for id in &self.lists[slot.from as usize..slot.to as usize] {
            let entry = &self.entries[*id as usize];
            if entry.near.stands(text, at)
                && entry.whole_literal(text, at)
                && let Some(window) = at.checked_add_signed(-isize::from(entry.shift))
            {
                hit(window, entry);
            }
        }
    }
}

/// The four bytes at `at`, folded.
#[inline]
fn folded(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk::<4>())
        .map_or(0, |b| u32::from_le_bytes(*b))
        | FOLD4
}

/// Mask and letters of the eight bytes from `from`, counted from the gram's first byte.
fn letters(need: &Need, from: isize) -> (u64, u64) {
    let (mut mask, mut value) = ([0_u8; 8], [0_u8; 8]);
    for i in 0..8 {
        let set = usize::try_from(from + i as isize - need.around_at)
            .ok()
            .and_then(|n| need.around.get(n));
        if let Some(b) = set.and_then(Set::only) {
            (mask[i], value[i]) = (0xff, b);
        }
    }
    (u64::from_le_bytes(mask), u64::from_le_bytes(value))
}

impl Near {
    /// What both ask for.
    fn both(self, other: Self) -> Self {
        let both = |a: (u64, u64), b: (u64, u64)| {
            let mut mask = (a.0 & b.0).to_le_bytes();
            for (byte, differs) in mask.iter_mut().zip((a.1 ^ b.1).to_le_bytes()) {
                if differs != 0 {
                    *byte = 0;
                }
            }
            let mask = u64::from_le_bytes(mask);
            (mask, a.1 & mask)
        };
        Self {
            before: both(self.before, other.before),
            after: both(self.after, other.after),
        }
    }

    /// Whether the text around a gram agrees, as far as there is text.
    #[inline]
    fn stands(&self, text: &[u8], at: usize) -> bool {
        let near = |(mask, value): (u64, u64), from: Option<usize>| {
            let there = from.and_then(|from| text.get(from..)?.first_chunk::<8>());
            there.map_or(value & !mask == 0, |t| {
                (u64::from_le_bytes(*t) | FOLD8) & mask == value
            })
        };
        near(self.after, Some(at + 4)) & near(self.before, at.checked_sub(8))
    }
}

impl Entry {
    fn new(owner: u32, need: &Need) -> Self {
        let distance = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            owner,
            min_before: distance(need.min_before),
            max_before: need.max_before.map_or(u32::MAX, distance),
            shift: need.shift,
            near: Near {
                before: letters(need, -8),
                after: letters(need, 4),
            },
            around: need.around.clone(),
            around_at: need.around_at as i32,
        }
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

    /// Every place at which a window and what is around it stands, by looking at each.
    fn naive(plans: &[(u32, Plan)], text: &[u8]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for (owner, need) in plans
            .iter()
            .flat_map(|(o, p)| p.needs.iter().map(|n| (*o, n)))
        {
            if need.shift != 0 {
                continue;
            }
            let mut grams = Vec::new();
            need.window.each(|gram| grams.push(gram));
            let entry = Entry::new(owner, need);
            for at in 0..text.len() {
                let mut four = [b' '; 4];
                let there = &text[at..text.len().min(at + 4)];
                four[..there.len()].copy_from_slice(there);
                if grams.contains(&folded(&four, 0)) && entry.whole_literal(text, at) {
                    found.push((at, owner));
                }
            }
        }
        found.sort_unstable();
        found
    }

    fn by(filter: &Prefilter, text: &[u8]) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        let mut last = std::collections::HashMap::new();
        filter.scan(text, |at, entry| {
            assert!(
                last.insert(entry.owner, at)
                    .is_none_or(|before| before <= at)
            );
            found.push((at, entry.owner));
        });
        found.sort_unstable();
        found
    }

    const PATTERNS: [&str; 14] = [
        "ghp_[a-z]{4}",
        "(?i)adafruit",
        "abcd",
        "[0-9]abc.",
        "(?s)://.",
        "(?i)pass[=:\"' ]|pwd(?s:.)",
        "ey[A-Za-z0-9_-]{17}",
        "s\\.[a-z0-9]{24}",
        "(?i)okta(?:.|[\\n\\r]){0,32}?[0-9a-f]{6}",
        "[a-z]{3}[0-9]{3}q~",
        "xoxb-|xapp-|aws",
        "(?:key|token)[:=][0-9]{3}x",
        "zzzzzzzz",
        "=[0-9]{3}=",
    ];

    fn plans(every: bool) -> Vec<(u32, Plan)> {
        let plan = |p: &&str| {
            let hir = regex_syntax::ParserBuilder::new()
                .unicode(false)
                .utf8(false)
                .build()
                .parse(p)
                .unwrap();
            let mut plan = super::super::grams::plan(&hir);
            if let Ok(plan) = &mut plan {
                plan.every |= every;
            }
            plan.ok()
        };
        (0..).zip(PATTERNS.iter().filter_map(plan)).collect()
    }

    proptest::proptest! {
        /// What half of the looks find is what looking everywhere finds, in the order of the windows.
        #[test]
        fn half_of_the_looks_miss_nothing(
            pieces in proptest::collection::vec("[a-z0-9_.:/=\"~A-Z -]{0,9}|ghp_abcd|AdaFruit|abcd|7abcx|://|pass=|pwd|eyJhbGciOiJIUzI1NiIsIn|s\\.abcdefghijklmnopqrstuvwx|okta|abc123q~|aws|key:123x|zzzzzzzzz|=123=", 0..40),
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..6),
        ) {
            let mut text = pieces.concat().into_bytes();
            text.extend(bytes);
            let (half, all) = (plans(false), plans(true));
            proptest::prop_assert!(half.len() > 11 && !half.iter().any(|(_, p)| p.every));
            let wanted = naive(&half, &text);
            proptest::prop_assert_eq!(&by(&Prefilter::new(&half), &text), &wanted);
            proptest::prop_assert_eq!(&by(&Prefilter::new(&all), &text), &wanted);
        }
    }
}
