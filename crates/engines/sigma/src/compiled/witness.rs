//! Witnesses: a small set of cheap observations of which at least one is made on every event that
//! a rule matches.
//!
//! **Invariant (over-approximation).** For every rule and event: if the rule matches, one of its
//! atoms is observed. The proof goes along the expression: of a conjunction any one member's set
//! will do, of a disjunction the union of all, of a negation there is none. Atoms of text are folded
//! on both sides, and folding goes character by character, so whatever holds without folding holds
//! with it. A rule without a witness is always checked. The differential tests compare the
//! compiled set with the plain evaluator on generated and on real events.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::pred::{Expr, Op, Pred, Scope};
use crate::flat::FieldId;
use crate::fold::{fold, fold_char};
use crate::yaml::Number;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Atom {
    /// The folded value is this.
    Equal(FieldId, Box<str>),
    /// The folded value's part behind the last separator is this.
    Tail(FieldId, Box<str>),
    /// The folded value contains this.
    Literal(FieldId, Box<str>),
    /// The field is there.
    Present(FieldId),
    /// The folded text of some value contains this.
    Keyword(Box<str>),
}

pub(crate) struct Witness {
    pub(crate) atoms: Vec<Atom>,
    cost: f64,
}

/// The cheapest witness of an expression.
pub(crate) fn witness(expr: &Expr, preds: &[Pred]) -> Option<Witness> {
    match expr {
        Expr::Pred(p) => pred(&preds[*p as usize]),
        Expr::And(l) => l
            .iter()
            .filter_map(|e| witness(e, preds))
            .min_by(|a, b| a.cost.total_cmp(&b.cost)),
        Expr::Or(l) => {
            let mut all = Witness {
                atoms: Vec::new(),
                cost: 0.0,
            };
            for e in l {
                let w = witness(e, preds)?;
                all.cost += w.cost;
                for a in w.atoms {
                    if !all.atoms.contains(&a) {
                        all.atoms.push(a);
                    }
                }
            }
            Some(all)
        }
        // Negations are pushed down as far as they go.
        Expr::Not(inner) => match &**inner {
            Expr::Not(e) => witness(e, preds),
            Expr::And(l) => witness(&Expr::Or(l.iter().cloned().map(Expr::not).collect()), preds),
            Expr::Or(l) => witness(
                &Expr::And(l.iter().cloned().map(Expr::not).collect()),
                preds,
            ),
            Expr::Pred(p) => match preds[*p as usize] {
                // Not null: the field is there.
                Pred {
                    scope: Scope::Field(f),
                    op: Op::Null,
                } => Some(single(Atom::Present(f), PRESENT)),
                _ => None,
            },
        },
    }
}

const PRESENT: f64 = 600.0;

fn single(atom: Atom, cost: f64) -> Witness {
    Witness {
        atoms: vec![atom],
        cost,
    }
}

fn pred(p: &Pred) -> Option<Witness> {
    let field = match p.scope {
        Scope::Field(f) => f,
        Scope::Keyword => return keyword(&p.op),
    };
    let present = || Some(single(Atom::Present(field), PRESENT));
    match &p.op {
        Op::Equal { text, .. } => {
            let text: Box<str> = fold(text).into();
            let cost = equal_cost(&text);
            Some(single(Atom::Equal(field, text), cost))
        }
        Op::End { text, .. } => {
            let text = fold(text);
            match text.rfind(['\\', '/']) {
                Some(i) if i + 1 < text.len() => {
                    let tail = &text[i + 1..];
                    let cost = if COMMON_TAILS.contains(&tail) {
                        60.0
                    } else {
                        3.0
                    };
                    Some(single(Atom::Tail(field, tail.into()), cost))
                }
                _ => literal(field, &text).or_else(present),
            }
        }
        Op::Start { text, .. } | Op::Inside { text, .. } => {
            literal(field, &fold(text)).or_else(present)
        }
        Op::Glob { longest, .. } => literal(field, longest).or_else(present),
        Op::Number(Number::Int(n), text) if n.unsigned_abs() < 1 << 53 => {
            Some(single(Atom::Equal(field, text.clone()), equal_cost(text)))
        }
        Op::Bool(b) => {
            let text = if *b { "true" } else { "false" };
            Some(single(Atom::Equal(field, text.into()), 150.0))
        }
        Op::Regex(r) => {
            let Some(all) = required_of(r.as_str()) else {
                return present();
            };
            let cost = all.iter().map(|l| literal_cost(l)).sum();
            let atoms = all
                .into_iter()
                .map(|l| Atom::Literal(field, l.into()))
                .collect();
            Some(Witness { atoms, cost })
        }
        Op::Number(..)
        | Op::Cidr(_)
        | Op::Compare(..)
        | Op::Time { .. }
        | Op::Exists
        | Op::FieldRef { .. } => present(),
        Op::Null => None,
    }
}

fn keyword(op: &Op) -> Option<Witness> {
    let all = match op {
        Op::Equal { text, .. }
        | Op::Start { text, .. }
        | Op::End { text, .. }
        | Op::Inside { text, .. } => vec![fold(text)],
        Op::Glob { longest, .. } => vec![longest.to_string()],
        Op::Regex(r) => required_of(r.as_str())?,
        _ => return None,
    };
    if all.iter().any(String::is_empty) {
        return None;
    }
    // All values of the event are searched, hence the factor.
    let cost = all.iter().map(|l| 8.0 * literal_cost(l)).sum();
    Some(Witness {
        atoms: all.into_iter().map(|l| Atom::Keyword(l.into())).collect(),
        cost,
    })
}

fn literal(field: FieldId, text: &str) -> Option<Witness> {
    (!text.is_empty()).then(|| single(Atom::Literal(field, text.into()), literal_cost(text)))
}

/// Names of programs that many events carry.
const COMMON_TAILS: [&str; 14] = [
    "cmd.exe",
    "powershell.exe",
    "pwsh.exe",
    "svchost.exe",
    "rundll32.exe",
    "explorer.exe",
    "services.exe",
    "lsass.exe",
    "wmiprvse.exe",
    "conhost.exe",
    "regsvr32.exe",
    "kernel32.dll",
    "ntdll.dll",
    "net.exe",
];

/// Texts that say next to nothing.
const COMMON: [&str; 16] = [
    "\\windows\\",
    "c:\\windows\\",
    "\\system32\\",
    "c:\\windows\\system32\\",
    "c:\\",
    ".exe",
    "http",
    "https://",
    "\\software\\",
    "\\microsoft\\windows\\currentversion\\",
    "hklm\\",
    "\\currentversion\\",
    "\\users\\",
    "c:\\users\\",
    "powershell",
    "system",
];

fn equal_cost(text: &str) -> f64 {
    match text.len() {
        0..=2 => 80.0,
        3..=4 => 20.0,
        5..=7 => 12.0,
        _ => 4.0,
    }
}

fn literal_cost(text: &str) -> f64 {
    if COMMON.contains(&text) {
        return 250.0;
    }
    match text.len() {
        0..=1 => 500.0,
        2 => 300.0,
        3 => 90.0,
        4 => 40.0,
        5 => 20.0,
        6..=7 => 10.0,
        8..=11 => 6.0,
        _ => 5.0,
    }
}

/// Folded texts of which every match of a regular expression contains one.
fn required_of(source: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(source).ok()?;
    required(&hir).filter(|l| l.len() <= 64 && l.iter().all(|t| t.len() >= 2))
}

fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => single_char(hir).map(|c| vec![c]),
        HirKind::Literal(l) => Some(vec![fold(std::str::from_utf8(&l.0).ok()?)]),
        HirKind::Capture(c) => required(&c.sub),
        HirKind::Repetition(r) if r.min >= 1 => required(&r.sub),
        HirKind::Repetition(_) => None,
        HirKind::Alternation(l) => {
            let mut all = Vec::new();
            for h in l {
                all.extend(required(h)?);
            }
            Some(all)
        }
        HirKind::Concat(l) => {
            let mut best: Option<Vec<String>> = None;
            let mut better = |candidate: Vec<String>| {
                let weakest = |v: &[String]| v.iter().map(String::len).min().unwrap_or(0);
                if best.as_deref().is_none_or(|b| {
                    let (new, old) = (weakest(&candidate), weakest(b));
                    new > old || (new == old && candidate.len() < b.len())
                }) {
                    best = Some(candidate);
                }
            };
            let mut run = String::new();
            for h in l {
                let piece = match h.kind() {
                    HirKind::Literal(l) => std::str::from_utf8(&l.0).ok().map(fold),
                    _ => single_char(h),
                };
                match piece {
                    Some(t) => run.push_str(&t),
                    None => {
                        if !run.is_empty() {
                            better(vec![std::mem::take(&mut run)]);
                        }
                        if let Some(inner) = required(h) {
                            better(inner);
                        }
                    }
                }
            }
            if !run.is_empty() {
                better(vec![run]);
            }
            best
        }
    }
}

/// A class whose members all fold to one character stands for it.
fn single_char(hir: &Hir) -> Option<String> {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
        return None;
    };
    let mut folded = None;
    let mut n = 0;
    for c in class.iter().flat_map(|r| r.start()..=r.end()) {
        n += 1;
        if n > 8 || *folded.get_or_insert(fold_char(c)) != fold_char(c) {
            return None;
        }
    }
    folded.map(String::from)
}
