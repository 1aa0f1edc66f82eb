//! Which bytes a pattern cannot do without: every pattern is reduced to sets of four-byte grams of
//! which one occurs in each of its matches, so that one pass over the text can serve all patterns.

mod run;
mod words;

use std::cmp::Reverse;
use std::sync::Arc;

use regex_syntax::hir::{Class, Hir, HirKind};

pub(crate) use run::{Run, required_run};
use words::{common, frequency};

/// Most ways through a pattern that are told apart before a part of it is taken as a gap.
const MAX_PATHS: usize = 256;
/// Most four-byte grams that one way may need.
const MAX_GRAMS: usize = 2_600;
/// Most that one way may need beside them, for the places that its window begins at every other byte.
const MAX_BESIDE: usize = 20_000;
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

/// Four bytes in a row of which each match of a pattern has one kind, and where in a match they stand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    /// The four bytes: any of these grams.
    pub window: Window,
    /// How far they begin behind the window that the distances are counted from: 0, or a byte to either side. Of
    /// two neighbours one begins at an even place, so that half of the places need no look.
    pub shift: i8,
    /// Fewest bytes of a match before that window.
    pub min_before: usize,
    /// Most bytes before it; `None` when there is no bound.
    pub max_before: Option<usize>,
    /// What the bytes around it have to be, one set a byte.
    pub around: Arc<[Set]>,
    /// Where they begin, counted from these four bytes.
    pub around_at: isize,
}

/// What the prefilter needs to know about a pattern.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// One of those without a shift occurs in each match, and so does, unless `every`, one at an even place.
    pub needs: Vec<Need>,
    /// A window has no neighbour that is narrow enough: every place has to be looked at.
    pub every: bool,
    /// Most bytes of a match; `None` when there is no bound.
    pub max_len: Option<usize>,
}

/// Plans a pattern. `Err` says why no gram can be had.
pub(crate) fn plan(hir: &Hir) -> Result<Plan, String> {
    let mut groups: Vec<Vec<Chosen>> = Vec::new();
    for way in expand(hir) {
        let way = best(&way)?;
        // What may stand at the same place leans to the same side, so that it is met together and in its order.
        let same = |group: &&mut Vec<Chosen>| group.iter().any(|w| w.window.meets(&way.window));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(way),
            None => groups.push(vec![way]),
        }
    }
    let mut needs: Vec<Need> = Vec::new();
    let mut every = false;
    for group in groups {
        let cost = |side: fn(&Chosen) -> Option<Window>| -> Option<f64> {
            group.iter().map(|way| Some(side(way)?.cost)).sum()
        };
        let (left, right) = (cost(|way| way.left), cost(|way| way.right));
        every |= left.is_none() && right.is_none();
        let leans_right = left.is_none_or(|l| right.is_some_and(|r| r < l));
        for way in &group {
            let sides = [(-1, way.left), (1, way.right)];
            let (shift, beside) = sides[usize::from(leans_right)];
            let both = [Some((0, way.window)), beside.map(|w| (shift, w))];
            for (shift, window) in both.into_iter().flatten() {
                let need = way.need(shift, window);
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
        }
    }
    // Of what stands at one place, the match that begins first is tried first, as the pattern alone would.
    needs.sort_by_key(|n| (Reverse(n.min_before), n.around.len()));
    Ok(Plan {
        needs,
        every,
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

/// Four sets of bytes in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    sets: [Set; 4],
    cost: f64,
}

impl Window {
    /// `None` when it stands for too many grams, or for none.
    fn of(sets: [Set; 4], most: usize) -> Option<Self> {
        let count = sets.iter().fold(1_usize, |n, s| n.saturating_mul(s.len()));
        if count == 0 || count > most {
            return None;
        }
        let mut weight: f64 = sets.iter().map(Set::weight).product();
        if common(&sets) {
            weight += 1e-3;
        }
        // A table entry costs a little too, so that wide windows lose against narrow ones.
        let cost = weight + count as f64 * 5e-7;
        Some(Self { sets, cost })
    }

    /// Whether a gram may be of both.
    fn meets(&self, other: &Self) -> bool {
        let mut pairs = self.sets.iter().zip(&other.sets);
        pairs.all(|(a, b)| a.0.iter().zip(b.0).any(|(a, b)| a & b != 0))
    }

    /// Every gram that it stands for, the first byte lowest.
    pub(crate) fn each(&self, mut gram: impl FnMut(u32)) {
        for a in self.sets[0].iter() {
            for b in self.sets[1].iter() {
                for c in self.sets[2].iter() {
                    for d in self.sets[3].iter() {
                        gram(u32::from_le_bytes([a, b, c, d]));
                    }
                }
            }
        }
    }
}

/// The set of a unit of a way, when it has one.
fn one(path: &[Unit], at: Option<usize>) -> Option<Set> {
    match path.get(at?) {
        Some(Unit::One(set)) => Some(*set),
        _ => None,
    }
}

/// What was chosen of a way through a pattern.
struct Chosen {
    window: Window,
    /// The windows a byte to either side, where they are narrow enough. Any byte stands where the way says nothing.
    left: Option<Window>,
    right: Option<Window>,
    min_before: usize,
    max_before: Option<usize>,
    /// The run of single bytes and sets that the window is part of, and where it begins.
    around: Arc<[Set]>,
    around_at: isize,
}

impl Chosen {
    fn need(&self, shift: i8, window: Window) -> Need {
        Need {
            window,
            shift,
            min_before: self.min_before,
            max_before: self.max_before,
            around: self.around.clone(),
            around_at: self.around_at - isize::from(shift),
        }
    }
}

/// Chooses the rarest window of a way through the pattern.
fn best(path: &[Unit]) -> Result<Chosen, String> {
    let mut choice: Option<(usize, usize, Window)> = None;
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
        if let Some(window) = Window::of(sets, MAX_GRAMS)
            && choice.as_ref().is_none_or(|c| window.cost < c.2.cost)
        {
            choice = Some((at, known, window));
        }
    }
    let Some((at, known, window)) = choice else {
        return Err("no four bytes of it are narrow enough: give it a longer literal".to_owned());
    };
    let [a, b, c, d] = window.sets;
    let before = one(path, at.checked_sub(1)).unwrap_or(Set::ANY);
    let after = one(path, Some(at + 4)).unwrap_or(Set::ANY);
    let (mut min, mut max) = (0_usize, Some(0_usize));
    for unit in &path[..at] {
        let (lo, hi) = match unit {
            Unit::One(_) => (1, Some(1)),
            Unit::Gap(lo, hi) => (*lo, *hi),
        };
        min += lo;
        max = max.zip(hi).map(|(a, b)| a + b);
    }
    let mut from = at;
    while from > 0 && at - from < 24 && one(path, Some(from - 1)).is_some() {
        from -= 1;
    }
    let around: Vec<Set> = (from..at + 24).map_while(|i| one(path, Some(i))).collect();
    Ok(Chosen {
        window,
        left: Window::of([before, a, b, c], MAX_BESIDE),
        right: (known == 4)
            .then(|| Window::of([b, c, d, after], MAX_BESIDE))
            .flatten(),
        min_before: min,
        max_before: max,
        around: around.into(),
        around_at: from as isize - at as isize,
    })
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
        let grams = |need: &Need| {
            let mut grams = Vec::new();
            need.window.each(|gram| grams.push(gram.to_le_bytes()));
            grams
        };
        assert!(!plan.every);
        assert_eq!(plan.needs.len(), 2);
        assert_eq!(grams(&plan.needs[0]), [*b"ghp\x7f"]);
        assert!(plan.needs[0].around.len() > 4);
        // A letter or digit behind it is less than any byte before it.
        assert_eq!((plan.needs[1].shift, plan.needs[1].around_at), (1, -1));
        assert_eq!(grams(&plan.needs[1]).len(), 36);
        assert_eq!(grams(&plan.needs[1])[0], *b"hp\x7f0");
    }

    #[test]
    fn every_way_has_a_gram() {
        let plan = of(r"(?i)\b(?:sc|ext)_(?:[a-z]{2})\.acc").unwrap();
        assert!(plan.needs.iter().all(|n| n.max_before.is_some()));
        assert!(of("[a-z]{20}").is_err());
        assert!(of("(?:abcd)?[a-z0-9]{30}").is_err());
    }
}
