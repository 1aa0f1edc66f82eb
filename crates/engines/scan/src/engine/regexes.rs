//! Detectors with a pattern of their own: compiled when the first literal of theirs is met, and run
//! only on the bytes around it.

use std::sync::OnceLock;

use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, util::captures::Captures};

use regex_syntax::hir::{Hir, HirKind, Look};

use crate::detector::{Allow, Detector, DetectorError};
use crate::engine::grams::{self, Plan, Run};

/// Longest match that is looked for when a pattern sets no bound itself.
const UNBOUNDED: usize = 16_384;
/// Longest distance from the start of a match to its literal that is looked at.
const REACH: usize = 1_024;

/// Compiles with the rules of all detectors: bytes, ASCII classes.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    meta::Builder::new()
        .configure(
            meta::Config::new()
                .utf8_empty(false)
                .nfa_size_limit(Some(16 << 20))
                .hybrid_cache_capacity(512 << 10)
                .onepass_size_limit(Some(256 << 10)),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build(pattern)
        .map_err(|e| {
            e.syntax_error()
                .map_or_else(|| e.to_string(), ToString::to_string)
        })
}

/// A pattern compiled on first use.
#[derive(Debug)]
pub(crate) struct Lazy {
    pattern: Box<str>,
    regex: OnceLock<Option<Regex>>,
}

impl Lazy {
    pub(crate) fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
            regex: OnceLock::new(),
        }
    }

    fn get(&self) -> Option<&Regex> {
        self.regex
            .get_or_init(|| compile(&self.pattern).ok())
            .as_ref()
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.get().is_some_and(|r| r.is_match(text))
    }
}

/// An allow-list with its patterns.
#[derive(Debug)]
pub(crate) struct CompiledAllow {
    patterns: Vec<Lazy>,
    words: Vec<Vec<u8>>,
    paths: Vec<Lazy>,
    target: Target,
    all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

impl CompiledAllow {
    fn new(id: &str, allow: &Allow) -> Result<Self, DetectorError> {
        Ok(Self {
            patterns: allow.patterns.iter().map(|p| Lazy::new(p)).collect(),
            words: allow.words.iter().map(|w| w.clone().into_bytes()).collect(),
            paths: allow.paths.iter().map(|p| Lazy::new(p)).collect(),
            target: match allow.target.as_deref() {
                None | Some("secret") => Target::Secret,
                Some("match") => Target::Match,
                Some("line") => Target::Line,
                Some(other) => {
                    return Err(DetectorError::invalid(
                        id,
                        format!("allow target {other:?} is not one of secret, match, line"),
                    ));
                }
            },
            all: allow.all,
        })
    }

    pub(crate) fn allows(&self, path: &str, secret: &[u8], whole: &[u8], line: &[u8]) -> bool {
        let target = match self.target {
            Target::Secret => secret,
            Target::Match => whole,
            Target::Line => line,
        };
        let by_pattern = || self.patterns.iter().any(|p| p.is_match(target));
        let by_word = || {
            self.words
                .iter()
                .any(|w| super::filter::contains(secret, w))
        };
        let by_path = || self.paths.iter().any(|p| p.is_match(path.as_bytes()));
        if self.all {
            (self.patterns.is_empty() || by_pattern())
                && (self.words.is_empty() || by_word())
                && (self.paths.is_empty() || by_path())
        } else {
            by_pattern() || by_word() || by_path()
        }
    }
}

/// A detector's pattern, ready to be tried.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Lazy,
    max_len: usize,
    /// What every match holds; looked for before the pattern is tried.
    run: Option<Run>,
    /// Matches begin at the edge of a word.
    bound: bool,
    pub(crate) group: Option<usize>,
    pub(crate) allow: Vec<CompiledAllow>,
    pub(crate) path: Option<Lazy>,
}

/// A match: the whole and the value in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched {
    pub(crate) whole: (usize, usize),
    pub(crate) value: (usize, usize),
}

impl Pattern {
    /// Reads the pattern and plans its literals.
    pub(crate) fn new(detector: &Detector, pattern: &str) -> Result<(Self, Plan), DetectorError> {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(64)
            .build()
            .parse(pattern)
            .map_err(|e| DetectorError::invalid(&detector.id, e))?;
        let plan = grams::plan(&hir).map_err(|e| DetectorError::invalid(&detector.id, e))?;
        let allow = detector
            .allow
            .iter()
            .map(|a| CompiledAllow::new(&detector.id, a))
            .collect::<Result<_, _>>()?;
        Ok((
            Self {
                regex: Lazy::new(pattern),
                bound: begins_at_edge(&hir),
                run: grams::required_run(&hir),
                max_len: plan.max_len.unwrap_or(UNBOUNDED).clamp(4, 65_536),
                group: detector.group,
                allow,
                path: detector.path.as_deref().map(Lazy::new),
            },
            plan,
        ))
    }

    /// Tries the pattern around a literal: the match has to begin between the two distances before
    /// `at`, and not before `floor`, where the last one ended. `budget` bounds the bytes spent in vain over one text.
    pub(crate) fn try_at(
        &self,
        text: &[u8],
        at: usize,
        floor: usize,
        (min_before, max_before): (u32, u32),
        budget: &mut usize,
    ) -> Option<Matched> {
        let hi = at
            .checked_sub(min_before as usize)
            .filter(|hi| *hi >= floor)?;
        if self.bound && min_before == max_before && hi > 0 {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if word(text[hi - 1]) && word(text[hi]) {
                return None;
            }
        }
        let lo = at
            .saturating_sub((max_before as usize).min(REACH + min_before as usize))
            .max(floor);
        let reach = if *budget == 0 {
            self.max_len.min(512)
        } else {
            self.max_len
        };
        let end = text.len().min(hi.saturating_add(reach));
        if let Some(run) = &self.run
            && !run.within(&text[lo..end.max(lo)])
        {
            return None;
        }
        let regex = self.regex.get()?;
        let anchored = if lo == hi {
            Anchored::Yes
        } else {
            Anchored::No
        };
        let input = Input::new(text).span(lo..end.max(lo)).anchored(anchored);
        if !regex.is_match(input.clone()) {
            *budget = budget.saturating_sub(end - lo);
            return None;
        }
        let mut captures: Captures = regex.create_captures();
        regex.search_captures(&input, &mut captures);
        let Some(whole) = captures.get_match() else {
            *budget = budget.saturating_sub(end - lo);
            return None;
        };
        if whole.start() > hi {
            *budget = budget.saturating_sub(end - lo);
            return None;
        }
        let span = match self.group {
            Some(group) => captures.get_group(group)?,
            None => (1..captures.group_len())
                .find_map(|g| captures.get_group(g).filter(|s| !s.is_empty()))
                .unwrap_or(whole.span()),
        };
        Some(Matched {
            whole: (whole.start(), whole.end()),
            value: (span.start, span.end),
        })
    }
}

fn begins_at_edge(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Look(look) => matches!(
            look,
            Look::WordAscii | Look::WordStartAscii | Look::WordStartHalfAscii
        ),
        HirKind::Capture(c) => begins_at_edge(&c.sub),
        HirKind::Concat(parts) => parts.first().is_some_and(begins_at_edge),
        HirKind::Alternation(parts) => parts.iter().all(begins_at_edge),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::detector;
    use crate::engine::prefilter::Prefilter;

    fn files(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, out);
            } else if path.extension().is_some_and(|e| e == "toml") {
                out.push(path);
            }
        }
    }

    const NOISE: &str =
        "let line = config.token.secret(\"access\") / 0x00ff; // key: data, less float\n";

    /// What the pattern alone finds in the whole text, against what grams, runs and windows leave
    /// of the text for it.
    #[test]
    fn agrees_with_the_pattern_over_the_whole_text() {
        let mut paths = Vec::new();
        files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("detectors"),
            &mut paths,
        );
        paths.sort();
        let detectors = paths
            .iter()
            .flat_map(|p| detector::parse("", &std::fs::read_to_string(p).unwrap()).unwrap());
        // Patterns take long to compile without optimisation: one in some of them then.
        let step = if cfg!(debug_assertions) { 12 } else { 1 };
        let mut wrong = Vec::new();
        let mut seen = 0;
        for d in detectors.filter(|d| d.pattern.is_some()).step_by(step) {
            let text = d.pattern.as_deref().unwrap();
            let (pattern, plan) = Pattern::new(&d, text).unwrap();
            let filter = Prefilter::new(&[(0, plan)]);
            let regex = compile(text).unwrap();
            for example in d.positives.iter().chain(&d.negatives) {
                let example = detector::unbroken(example);
                for text in [
                    example.clone(),
                    format!("{}{example}\n{NOISE}", NOISE.repeat(3)),
                    format!("{NOISE}{example} {example}{NOISE}"),
                ] {
                    let text = text.as_bytes();
                    let mut naive: BTreeSet<(usize, usize)> = BTreeSet::new();
                    for m in regex.find_iter(text) {
                        naive.insert((m.start(), m.end()));
                    }
                    let (mut found, mut done, mut budget) = (BTreeSet::new(), 0, usize::MAX);
                    filter.scan(text, |at, entry| {
                        if at < done {
                            return;
                        }
                        let before = (entry.min_before, entry.max_before);
                        if let Some(m) = pattern.try_at(text, at, done, before, &mut budget)
                            && m.whole.1 > done
                        {
                            done = m.whole.1.max(at + 1);
                            found.insert(m.whole);
                        }
                    });
                    seen += naive.len();
                    // A window that begins late may cut what a lazy gap before the value takes,
                    // never where a match ends.
                    let ends = |s: &BTreeSet<(usize, usize)>| -> BTreeSet<usize> {
                        s.iter().map(|m| m.1).collect()
                    };
                    if !ends(&naive).is_subset(&ends(&found)) {
                        wrong.push(format!("{}: {naive:?} but {found:?}", d.id));
                    }
                }
            }
        }
        assert!(seen > 300, "{seen}");
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    }
}
