//! Which bytes a pattern cannot do without: every pattern is reduced to sets of four-byte grams of
//! which one occurs in each of its matches, so that one pass over the text can serve all patterns.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use regex_syntax::hir::{Class, Hir, HirKind};

/// Most ways through a pattern that are told apart before a part of it is taken as a gap.
const MAX_PATHS: usize = 256;
/// Most four-byte grams that one way may need.
const MAX_GRAMS: usize = 2_600;
/// Most copies of a repeated part that are written out.
const MAX_UNROLL: u32 = 12;
/// Bytes are compared without regard to this bit, which folds the case of letters.
pub(crate) const FOLD: u8 = 0x20;

/// A set of bytes, folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set([u64; 4]);

impl Set {
    const EMPTY: Self = Self([0; 4]);
    /// All bytes that folding leaves: those with the folded bit set.
    const ANY: Self = Self([
        0xffff_ffff_0000_0000,
        0xffff_ffff_0000_0000,
        0xffff_ffff_0000_0000,
        0xffff_ffff_0000_0000,
    ]);

    fn insert(&mut self, byte: u8) {
        let byte = byte | FOLD;
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Whether the set has the byte, folded.
    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        let byte = byte | FOLD;
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// The only byte of the set.
    pub(crate) fn only(&self) -> Option<u8> {
        (self.len() == 1).then(|| self.iter().next()).flatten()
    }

    fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..4_usize).flat_map(|w| {
            let mut word = self.0[w];
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros();
                    word &= word - 1;
                    (w * 64) as u8 + bit as u8
                })
            })
        })
    }

    fn weight(&self) -> f64 {
        if *self == Self::ANY {
            return 1.0;
        }
        self.iter().map(frequency).sum()
    }
}

#[derive(Clone)]
enum Unit {
    One(Set),
    Gap(usize, Option<usize>),
}

/// A gram and where in a match it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gram {
    /// The folded bytes.
    pub bytes: [u8; 4],
    /// Fewest bytes of a match before the gram.
    pub min_before: usize,
    /// Most bytes before it; `None` when there is no bound.
    pub max_before: Option<usize>,
    /// What the bytes around the gram have to be, one set a byte.
    pub around: Arc<[Set]>,
    /// Where that begins, counted from the gram's first byte.
    pub around_at: isize,
}

/// What the prefilter needs to know about a pattern.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// One of these occurs in each match.
    pub grams: Vec<Gram>,
    /// Most bytes of a match; `None` when there is no bound.
    pub max_len: Option<usize>,
}

/// Plans a pattern. `Err` says why no gram can be had.
pub(crate) fn plan(hir: &Hir) -> Result<Plan, String> {
    let mut grams: Vec<Gram> = Vec::new();
    for path in expand(hir) {
        best(&path, &mut grams)?;
    }
    grams.sort_by_key(|g| (g.bytes, g.around.len()));
    grams.dedup();
    Ok(Plan {
        grams,
        max_len: hir.properties().maximum_len(),
    })
}

fn gap(hir: &Hir) -> Vec<Vec<Unit>> {
    let p = hir.properties();
    vec![vec![Unit::Gap(
        p.minimum_len().unwrap_or(0),
        p.maximum_len(),
    )]]
}

fn expand(hir: &Hir) -> Vec<Vec<Unit>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![vec![]],
        HirKind::Literal(lit) => vec![
            lit.0
                .iter()
                .map(|b| {
                    let mut set = Set::EMPTY;
                    set.insert(*b);
                    Unit::One(set)
                })
                .collect(),
        ],
        HirKind::Class(Class::Bytes(class)) => {
            let mut set = Set::EMPTY;
            for range in class.ranges() {
                for byte in range.start()..=range.end() {
                    set.insert(byte);
                }
            }
            vec![vec![Unit::One(set)]]
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut set = Set::EMPTY;
            for range in class.ranges() {
                if range.end() as u32 > 127 {
                    return gap(hir);
                }
                for c in range.start()..=range.end() {
                    set.insert(c as u8);
                }
            }
            vec![vec![Unit::One(set)]]
        }
        HirKind::Capture(c) => expand(&c.sub),
        HirKind::Repetition(rep) => {
            let sub = expand(&rep.sub);
            if rep.min == 0 {
                if rep.max == Some(1) && sub.len() <= 4 {
                    let mut out = vec![vec![]];
                    out.extend(sub);
                    return out;
                }
                return gap(hir);
            }
            // Some copies at each end, what is left of them in between.
            let most = if sub.len() == 1 { MAX_UNROLL } else { 4 };
            let copies = rep.min.min(most);
            let inner = rep.sub.properties();
            let between = (rep.max != Some(copies)).then(|| {
                let min = (rep.min - copies) as usize * inner.minimum_len().unwrap_or(0);
                let max = rep
                    .max
                    .and_then(|m| inner.maximum_len().map(|one| (m - copies) as usize * one));
                vec![vec![Unit::Gap(min, max)]]
            });
            let mut out = vec![vec![]];
            for copy in 0..copies {
                if copy == copies.div_ceil(2)
                    && let Some(between) = &between
                {
                    out = product(out, between).unwrap_or_else(|same| same);
                }
                match product(out, &sub) {
                    Ok(next) => out = next,
                    Err(_) => return gap(hir),
                }
            }
            if copies == 1
                && let Some(between) = &between
            {
                out = product(out, between).unwrap_or_else(|same| same);
            }
            out
        }
        HirKind::Concat(parts) => {
            let mut out = vec![vec![]];
            for part in parts {
                let next = expand(part);
                out = match product(out, &next) {
                    Ok(next) => next,
                    Err(out) => product(out, &gap(part)).unwrap_or_else(|same| same),
                };
            }
            out
        }
        HirKind::Alternation(parts) => {
            let mut out = Vec::new();
            for part in parts {
                out.extend(expand(part));
                if out.len() > MAX_PATHS {
                    return gap(hir);
                }
            }
            out
        }
    }
}

fn product(
    mut left: Vec<Vec<Unit>>,
    right: &[Vec<Unit>],
) -> Result<Vec<Vec<Unit>>, Vec<Vec<Unit>>> {
    if left.len() * right.len() > MAX_PATHS {
        return Err(left);
    }
    if let [only] = right {
        for path in &mut left {
            path.extend_from_slice(only);
        }
        return Ok(left);
    }
    let mut out = Vec::with_capacity(left.len() * right.len());
    for a in &left {
        for b in right {
            let mut path = Vec::with_capacity(a.len() + b.len());
            path.extend_from_slice(a);
            path.extend_from_slice(b);
            out.push(path);
        }
    }
    Ok(out)
}

/// A run of bytes that every match holds: so many in a row, all of a set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    set: Set,
    len: usize,
}

impl Run {
    /// Whether there is such a run in the bytes. Each stretch is looked at
    /// from its end, so that most bytes are passed over.
    pub(crate) fn within(&self, text: &[u8]) -> bool {
        let mut from = 0;
        while let Some(stretch) = text.get(from..from + self.len) {
            match stretch.iter().rposition(|b| !self.set.has(*b)) {
                None => return true,
                Some(last) => from += last + 1,
            }
        }
        false
    }

    /// How unlikely it is that other text has one.
    fn rarity(&self) -> f64 {
        -self.set.weight().clamp(1e-6, 0.999).ln() * self.len as f64
    }
}

/// The rarest run that every match of a pattern holds, if it is one of eight bytes or more.
pub(crate) fn required_run(hir: &Hir) -> Option<Run> {
    run_of(hir).filter(|r| r.len >= 8 && r.set.len() < 90)
}

/// The set of a pattern that is one byte long.
fn one_byte(hir: &Hir) -> Option<Set> {
    match hir.kind() {
        HirKind::Class(_) => match expand(hir).as_slice() {
            [path] => match path.as_slice() {
                [Unit::One(set)] => Some(*set),
                _ => None,
            },
            _ => None,
        },
        HirKind::Literal(lit) if lit.0.len() == 1 => {
            let mut set = Set::EMPTY;
            set.insert(lit.0[0]);
            Some(set)
        }
        HirKind::Capture(c) => one_byte(&c.sub),
        _ => None,
    }
}

fn run_of(hir: &Hir) -> Option<Run> {
    if let Some(set) = one_byte(hir) {
        return Some(Run { set, len: 1 });
    }
    match hir.kind() {
        HirKind::Repetition(rep) if rep.min > 0 => match one_byte(&rep.sub) {
            Some(set) => Some(Run {
                set,
                len: rep.min as usize,
            }),
            None => run_of(&rep.sub),
        },
        HirKind::Capture(c) => run_of(&c.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .filter_map(run_of)
            .max_by(|a, b| a.rarity().total_cmp(&b.rarity())),
        HirKind::Alternation(parts) => {
            let mut all: Option<Run> = None;
            for part in parts {
                let run = run_of(part)?;
                all = Some(match all {
                    None => run,
                    Some(a) => Run {
                        set: a.set.union(run.set),
                        len: a.len.min(run.len),
                    },
                });
            }
            all
        }
        _ => None,
    }
}

/// The longest run of single bytes that every way through the pattern has at least.
pub(crate) fn shortest_literal(hir: &Hir) -> usize {
    expand(hir)
        .iter()
        .map(|path| {
            let (mut best, mut run) = (0, 0);
            for unit in path {
                run = match unit {
                    Unit::One(set) if set.len() == 1 => run + 1,
                    _ => 0,
                };
                best = best.max(run);
            }
            best
        })
        .min()
        .unwrap_or(0)
}

/// Adds the grams of the rarest window of a way through the pattern.
fn best(path: &[Unit], grams: &mut Vec<Gram>) -> Result<(), String> {
    let mut choice: Option<(f64, usize)> = None;
    let mut chosen = [Set::EMPTY; 4];
    let weights: Vec<f64> = path
        .iter()
        .map(|u| match u {
            Unit::One(set) => set.weight(),
            Unit::Gap(..) => 1.0,
        })
        .collect();
    for at in 0..path.len() {
        let mut sets = [Set::ANY; 4];
        let mut known = 0;
        for unit in path[at..].iter().take(4) {
            match unit {
                Unit::One(set) => {
                    sets[known] = *set;
                    known += 1;
                }
                Unit::Gap(..) => break,
            }
        }
        // Three known bytes do when any fourth one has to follow.
        let follows: usize = path[at + known..]
            .iter()
            .map(|u| match u {
                Unit::One(_) => 1,
                Unit::Gap(lo, _) => *lo,
            })
            .sum();
        if known < 3 || known + follows < 4 {
            continue;
        }
        let count = sets.iter().fold(1_usize, |n, s| n.saturating_mul(s.len()));
        if count == 0 || count > MAX_GRAMS {
            continue;
        }
        let mut weight: f64 = weights[at..at + known].iter().product();
        if common(&sets) {
            weight += 1e-3;
        }
        // A table entry costs a little too, so that wide windows lose against narrow ones.
        let cost = weight + count as f64 * 5e-7;
        if choice.is_none_or(|(c, _)| cost < c) {
            choice = Some((cost, at));
            chosen = sets;
        }
    }
    let Some((_, at)) = choice else {
        return Err("no four bytes of it are narrow enough: give it a longer literal".to_owned());
    };
    let (mut min, mut max) = (0_usize, Some(0_usize));
    for unit in &path[..at] {
        let (lo, hi) = match unit {
            Unit::One(_) => (1, Some(1)),
            Unit::Gap(lo, hi) => (*lo, *hi),
        };
        min += lo;
        max = max.zip(hi).map(|(a, b)| a + b);
    }
    // The run of single bytes and sets that the window is part of.
    let one = |i: usize| match path.get(i) {
        Some(Unit::One(set)) => Some(*set),
        _ => None,
    };
    let mut from = at;
    while from > 0 && at - from < 24 && one(from - 1).is_some() {
        from -= 1;
    }
    let around: Vec<Set> = (from..at + 24).map_while(one).collect();
    let around: Arc<[Set]> = around.into();
    let around_at = from as isize - at as isize;
    let sets = chosen;
    for a in sets[0].iter() {
        for b in sets[1].iter() {
            for c in sets[2].iter() {
                for d in sets[3].iter() {
                    grams.push(Gram {
                        bytes: [a, b, c, d],
                        min_before: min,
                        max_before: max,
                        around: around.clone(),
                        around_at,
                    });
                }
            }
        }
    }
    Ok(())
}

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
fn common(sets: &[Set; 4]) -> bool {
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
fn frequency(byte: u8) -> f64 {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(pattern: &str) -> Result<Plan, String> {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(pattern)
            .unwrap();
        plan(&hir)
    }

    #[test]
    fn takes_the_rarest_window() {
        let plan = of("ghp_[0-9a-zA-Z]{36}").unwrap();
        assert_eq!(plan.max_len, Some(40));
        assert_eq!(plan.grams.len(), 1);
        assert_eq!(&plan.grams[0].bytes, b"ghp\x7f");
        assert!(plan.grams[0].around.len() > 4);
    }

    #[test]
    fn runs_that_matches_hold() {
        let run = |pattern: &str| {
            let hir = regex_syntax::ParserBuilder::new()
                .unicode(false)
                .utf8(false)
                .build()
                .parse(pattern)
                .unwrap();
            required_run(&hir)
        };
        let r = run(r"(?i)\bline(?:.|[\n\r]){0,32}?\b([a-f0-9]{40})\b").unwrap();
        assert_eq!(r.len, 40);
        for pad in 0..50 {
            let (dash, hex) = ("-".repeat(pad), "a1".repeat(20));
            assert!(r.within(format!("{dash}{hex}").as_bytes()), "{pad}");
            assert!(r.within(format!("{dash}{hex}-b").as_bytes()), "{pad}");
            assert!(r.within(format!("abc{dash}{hex}").as_bytes()) || pad == 0);
            assert!(!r.within(&format!("{dash}{}-{hex}", &hex[1..]).as_bytes()[..pad + 50]));
        }
        assert!(run("(?:abc|[a-z]{9}x)").is_none());
        assert_eq!(run("(?:[0-9]{12}|[a-z]{9})").unwrap().len, 9);
    }

    #[test]
    fn every_way_has_a_gram() {
        let plan = of(r"(?i)\b(?:sc|ext)_(?:[a-z]{2})\.acc").unwrap();
        assert!(plan.grams.iter().all(|g| g.max_before.is_some()));
        assert!(of("[a-z]{20}").is_err());
        assert!(of("(?:abcd)?[a-z0-9]{30}").is_err());
    }
}
