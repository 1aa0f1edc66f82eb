//! A run of bytes that every match of a pattern holds.

use regex_syntax::hir::{Hir, HirKind};

use super::{Set, Unit, expand};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
}
