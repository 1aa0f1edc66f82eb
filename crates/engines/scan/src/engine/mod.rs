//! The scanner: all detectors over one text.

pub(crate) mod blocks;
pub(crate) mod context;
pub mod filter;
pub(crate) mod grams;
mod judge;
mod overlap;
mod prefilter;
pub(crate) mod regexes;
mod shapes;

use std::sync::Arc;

use crate::builtin::{self, Builtin};
use crate::detector::{self, Class, Detector, DetectorError};
use crate::finding::FingerprintKey;
use crate::validate::{self, Check};
use context::{Around, Columns, Nearness};
use prefilter::{Entry, Prefilter};
use regexes::Pattern;
use shapes::Shapes;

/// How a scanner decides and what it keeps.
#[derive(Debug, Clone)]
pub struct Options {
    /// Findings below this confidence are dropped. 0.5 is the operating point that the detectors
    /// are tuned for; lower finds more and errs more.
    pub min_confidence: f32,
    /// Key of the fingerprints.
    pub key: FingerprintKey,
    /// Keep the values in the findings. Off unless somebody has asked to see them.
    pub keep_values: bool,
    /// How many encodings inside one another are opened (base64, hexadecimal, percent).
    pub decode_depth: u8,
    /// Leave out lines that say `sealwright:allow`, `gitleaks:allow` and the like.
    pub inline_allow: bool,
    /// Report all detectors that agree on the same bytes, not only the surest.
    pub overlaps: bool,
    /// Most findings of one text; more end the text early.
    pub max_findings: usize,
}

impl Options {
    /// The usual decisions with a key.
    #[must_use]
    pub fn new(key: FingerprintKey) -> Self {
        Self {
            min_confidence: 0.5,
            key,
            keep_values: false,
            decode_depth: 3,
            inline_allow: true,
            overlaps: false,
            max_findings: 1_000_000,
        }
    }
}

/// A detector made ready.
#[derive(Debug)]
pub(crate) struct Ready {
    pub id: Arc<str>,
    pub title: Arc<str>,
    pub detector: Detector,
    pub check: Option<Check>,
    pub pattern: Option<Pattern>,
}

/// All detectors over one text, in one pass each for literals, numbers and addresses. It can be
/// shared by threads.
#[derive(Debug)]
pub struct Scanner {
    pub(crate) ready: Vec<Ready>,
    pub(crate) options: Options,
    prefilter: Prefilter,
    shapes: Shapes,
    builtins: builtin::Set,
}

/// A place before it is named: which detector, where, how sure.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub detector: u32,
    pub start: usize,
    pub end: usize,
    pub confidence: f32,
    pub why: Why,
}

/// Reasons of a confidence, small enough to be made for every candidate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Why {
    pub check_digit: bool,
    pub entropy: bool,
    pub field: Option<u16>,
    pub line: Option<u16>,
    pub assigned: bool,
    pub note: Option<&'static str>,
}

impl Why {
    pub(crate) fn words(&self, detector: &Detector) -> Vec<String> {
        let mut out = vec!["form".to_owned()];
        let word = |i: u16| {
            detector
                .context
                .get(usize::from(i))
                .cloned()
                .unwrap_or_default()
        };
        if self.check_digit {
            out.push("check digits".to_owned());
        }
        if self.entropy {
            out.push("entropy".to_owned());
        }
        if let Some(i) = self.field {
            out.push(format!("named {:?}", word(i)));
        }
        if let Some(i) = self.line {
            out.push(format!("near {:?}", word(i)));
        }
        if self.assigned {
            out.push("assigned to a telling name".to_owned());
        }
        out.extend(self.note.map(str::to_owned));
        out
    }
}

impl Scanner {
    /// A scanner with the detectors that come with the program.
    ///
    /// # Errors
    /// See [`Scanner::new`].
    pub fn builtin(options: Options) -> Result<Self, DetectorError> {
        Self::new(detector::builtin()?, options)
    }

    /// A scanner with these detectors, a tenant's own among them.
    ///
    /// # Errors
    /// When a detector's pattern, shape, validator or scanner cannot be used; the error names it.
    pub fn new(detectors: Vec<Detector>, options: Options) -> Result<Self, DetectorError> {
        let mut ready = Vec::with_capacity(detectors.len());
        let mut plans = Vec::new();
        let mut shapes = Shapes::new();
        let mut builtins = builtin::Set::default();
        for (i, detector) in detectors.into_iter().enumerate() {
            let owner = u32::try_from(i)
                .map_err(|_| DetectorError::invalid(&detector.id, "too many detectors"))?;
            let check = match detector.validator.as_deref() {
                None => None,
                Some(name) => Some(validate::by_name(name).ok_or_else(|| {
                    DetectorError::invalid(&detector.id, format!("no validator {name:?}"))
                })?),
            };
            let mut pattern = None;
            if let Some(text) = &detector.pattern {
                let (p, plan) = Pattern::new(&detector, text)?;
                plans.push((owner, plan));
                pattern = Some(p);
            }
            for shape in &detector.shapes {
                shapes.add(&detector.id, shape, owner)?;
            }
            if let Some(name) = &detector.scan {
                let builtin = Builtin::by_name(name).ok_or_else(|| {
                    DetectorError::invalid(&detector.id, format!("no built-in scanner {name:?}"))
                })?;
                builtins.add(builtin, owner);
            }
            if detector.pattern.is_none() && detector.shapes.is_empty() && detector.scan.is_none() {
                return Err(DetectorError::invalid(
                    &detector.id,
                    "needs a pattern, shapes or the name of a built-in scanner",
                ));
            }
            ready.push(Ready {
                id: detector.id.as_str().into(),
                title: detector.title.as_str().into(),
                check,
                pattern,
                detector,
            });
        }
        plans.extend(builtins.plans()?);
        Ok(Self {
            prefilter: Prefilter::new(&plans),
            shapes,
            builtins,
            ready,
            options,
        })
    }

    /// The detectors that are on.
    pub fn detectors(&self) -> impl Iterator<Item = &Detector> {
        self.ready.iter().map(|r| &r.detector)
    }

    /// What the scanner was told.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// All hits in a text, best ones only where they overlap, in order.
    pub(crate) fn hits(&self, path: &str, text: &[u8]) -> Vec<Hit> {
        let columns = Columns::of(text);
        self.hits_with(path, text, columns.as_ref())
    }

    pub(crate) fn hits_with(&self, path: &str, text: &[u8], columns: Option<&Columns>) -> Vec<Hit> {
        let mut pass = Pass {
            scanner: self,
            path,
            text,
            columns,
            done: Vec::new(),
            spent: Vec::new(),
            place: None,
            program: None,
            around: ((usize::MAX, 0), Around::default()),
            hits: Vec::new(),
        };
        self.prefilter
            .scan(text, |at, entry| pass.literal(at, entry));
        shapes::tokens_with_digits(text, |start, end| pass.token(start, end));
        if let Some(owner) = self.builtins.owner(Builtin::Email) {
            builtin::email::scan(text, |s, e, c| pass.plain(owner, s, e, c));
        }
        let (v6, mac) = (
            self.builtins.owner(Builtin::Ipv6),
            self.builtins.owner(Builtin::Mac),
        );
        if v6.is_some() || mac.is_some() {
            builtin::net::scan_colons(text, |is_mac, s, e, c| {
                if let Some(owner) = if is_mac { mac } else { v6 } {
                    pass.plain(owner, s, e, c);
                }
            });
        }
        let mut hits = pass.hits;
        hits.retain(|h| h.confidence >= self.options.min_confidence);
        if self.options.inline_allow {
            judge::inline_allow(text, &mut hits);
        }
        overlap::resolve(self, &mut hits);
        hits.truncate(self.options.max_findings);
        hits
    }
}

/// One run over one text.
struct Pass<'a> {
    scanner: &'a Scanner,
    path: &'a str,
    text: &'a [u8],
    columns: Option<&'a Columns>,
    /// End of the last match of each detector; filled at the first match.
    done: Vec<usize>,
    /// Bytes that each detector has looked at in vain; filled when one has.
    spent: Vec<usize>,
    /// What the file's name says; asked on first use.
    place: Option<builtin::assignment::Place>,
    /// Whether the file is the source of a program; asked on first use.
    program: Option<bool>,
    /// The words around the value that was asked about last.
    around: ((usize, usize), Around),
    hits: Vec<Hit>,
}

impl Pass<'_> {
    fn full(&self) -> bool {
        self.hits.len() >= self.scanner.options.max_findings.saturating_mul(2)
    }

    /// Sets a number of an owner. Most texts need none: room for all is made when one does.
    fn set(&mut self, numbers: impl Fn(&mut Self) -> &mut Vec<usize>, owner: u32, number: usize) {
        let owners = self.scanner.ready.len();
        let numbers = numbers(self);
        numbers.resize(owners, 0);
        if let Some(there) = numbers.get_mut(owner as usize) {
            *there = number;
        }
    }

    fn literal(&mut self, at: usize, entry: &Entry) {
        if self.full() {
            return;
        }
        if entry.owner >= builtin::FIRST_OWNER {
            self.builtin_literal(at, entry);
            return;
        }
        let done = of(&self.done, entry.owner);
        if at < done {
            return;
        }
        let ready = &self.scanner.ready[entry.owner as usize];
        let Some(pattern) = &ready.pattern else {
            return;
        };
        let spent = of(&self.spent, entry.owner);
        let before = (1_000_000 + self.text.len() * 16).saturating_sub(spent);
        let mut budget = before;
        let distances = (entry.min_before, entry.max_before);
        let found = pattern.try_at(self.text, at, done, distances, &mut budget);
        if budget < before {
            self.set(|pass| &mut pass.spent, entry.owner, spent + before - budget);
        }
        let Some(m) = found else {
            return;
        };
        if m.value.1 <= done {
            return;
        }
        if pattern
            .path
            .as_ref()
            .is_some_and(|p| !p.is_match(self.path.as_bytes()))
        {
            return;
        }
        let judged = judge::secret(ready, self.path, self.text, &m);
        if let Some((confidence, mut why)) = judged {
            let mut confidence = confidence;
            if ready.detector.class != Class::Secret {
                if let Some(check) = ready.check {
                    let mut compact = [0_u8; 64];
                    let Some(value) = compacted(&self.text[m.value.0..m.value.1], &mut compact)
                    else {
                        return;
                    };
                    if !check(value) {
                        return;
                    }
                    why.check_digit = true;
                }
                (confidence, why) = self.in_context(ready, m.value, confidence, why);
            }
            self.set(|pass| &mut pass.done, entry.owner, m.whole.1.max(at + 1));
            self.hits.push(Hit {
                detector: entry.owner,
                start: m.value.0,
                end: m.value.1,
                confidence,
                why,
            });
        }
    }

    fn builtin_literal(&mut self, at: usize, entry: &Entry) {
        let Some((builtin, owner)) = self.scanner.builtins.of_entry(entry.owner) else {
            return;
        };
        match builtin {
            Builtin::Assignment => {
                if at < of(&self.done, owner) {
                    return;
                }
                let path = self.path;
                let place = *self
                    .place
                    .get_or_insert_with(|| builtin::assignment::Place::of(path));
                if let Some(found) = builtin::assignment::at(self.text, at, place) {
                    self.set(|pass| &mut pass.done, owner, found.end);
                    self.hits.push(Hit {
                        detector: owner,
                        start: found.start,
                        end: found.end,
                        confidence: found.confidence,
                        why: Why {
                            assigned: true,
                            entropy: found.random,
                            ..Why::default()
                        },
                    });
                }
            }
            Builtin::UrlCredentials => {
                if let Some((start, end, confidence)) = builtin::url::credentials(self.text, at) {
                    self.plain(owner, start, end, confidence);
                }
            }
            _ => {}
        }
    }

    fn plain(&mut self, owner: u32, start: usize, end: usize, confidence: f32) {
        if self.full() {
            return;
        }
        let ready = &self.scanner.ready[owner as usize];
        let (confidence, why) = self.in_context(ready, (start, end), confidence, Why::default());
        self.hits.push(Hit {
            detector: owner,
            start,
            end,
            confidence,
            why,
        });
    }

    fn in_context(
        &mut self,
        ready: &Ready,
        (start, end): (usize, usize),
        base: f32,
        mut why: Why,
    ) -> (f32, Why) {
        let Some(top) = ready.detector.context_confidence else {
            return (base, why);
        };
        if base >= top || ready.detector.context.is_empty() {
            return (base, why);
        }
        // Detectors that share an outline ask about the same value one after the other.
        if self.around.0 != (start, end) {
            self.around = (
                (start, end),
                Around::of(self.text, start, end, self.columns),
            );
        }
        match self.around.1.nearness(self.text, &ready.detector.context) {
            Some((Nearness::Field, i)) => {
                why.field = Some(i as u16);
                (top, why)
            }
            Some((Nearness::Line, i)) => {
                why.line = Some(i as u16);
                (base + (top - base) * 0.4, why)
            }
            None => (base, why),
        }
    }

    /// A token of letters and digits that has a digit.
    fn token(&mut self, start: usize, end: usize) {
        let text = self.text;
        let len = end - start;
        if self.full() {
            return;
        }
        let before = if start == 0 { b'\n' } else { text[start - 1] };
        if self.small(start, end, before) {
            return;
        }
        let b = &self.scanner.builtins;
        if before == b'+' && text[start].is_ascii_digit() {
            if let Some(owner) = b.owner(Builtin::Phone)
                && let Some((s, e, c)) = builtin::phone::international(text, start)
            {
                self.plain(owner, s, e, c);
            }
            return;
        }
        if len <= 3
            && text.get(end) == Some(&b'.')
            && text[start].is_ascii_digit()
            && let Some(owner) = b.owner(Builtin::Ipv4)
            && let Some((s, e, c)) = builtin::net::ipv4(text, start)
        {
            self.plain(owner, s, e, c);
        }
        if len >= 4
            && text[start].is_ascii_alphabetic()
            && let Some(owner) = b.owner(Builtin::Iban)
            && let Some(e) = builtin::iban::at(text, start)
        {
            self.plain(owner, start, e, 0.95);
            return;
        }
        if (26..=35).contains(&len)
            && let Some(owner) = b.owner(Builtin::Bitcoin)
            && builtin::bitcoin::valid(&text[start..end])
        {
            self.plain(owner, start, end, 0.9);
            return;
        }
        if before.is_ascii_alphanumeric() || before == b'_' || len > 40 {
            return;
        }
        if before == b'('
            && let Some(owner) = b.owner(Builtin::Phone)
            && let Some((s, e, c)) = builtin::phone::bracketed(text, start - 1)
        {
            self.plain(owner, s, e, c);
            return;
        }
        // Letters that stand apart before the digits: `HJ 58 35 11 A`, `CHE-103.150.518`.
        if matches!(before, b' ' | b'-' | b'.') && text[start].is_ascii_digit() {
            let letters = text[..start - 1]
                .iter()
                .rev()
                .take(6)
                .take_while(|b| b.is_ascii_uppercase())
                .count();
            if (1..=4).contains(&letters) {
                let from = start - 1 - letters;
                let left = if from == 0 { b'\n' } else { text[from - 1] };
                if !left.is_ascii_alphanumeric() && left != b'_' {
                    self.outlines(from, left);
                }
            }
        }
        self.outlines(start, before);
    }

    /// A token too short to be anything by itself, with nothing joined to it on either side: most
    /// numbers of programs.
    #[inline]
    fn small(&self, start: usize, end: usize, before: u8) -> bool {
        let text = self.text;
        if end - start >= self.scanner.shapes.shortest || matches!(before, b'+' | b'(') {
            return false;
        }
        let next = text.get(end).copied().unwrap_or(b'\n');
        let joined_right = matches!(
            next,
            b' ' | b'-' | b'.' | b'/' | b':' | b'(' | b')' | b'+' | b'*'
        ) && text.get(end + 1).is_some_and(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'(' | b')' | b' ' | b'+' | b'*')
        });
        // Letters that stand apart before the digits.
        let joined_left = matches!(before, b' ' | b'-' | b'.')
            && start >= 2
            && text[start - 2].is_ascii_uppercase();
        !joined_right && !joined_left
    }

    /// Whether the file is the source of a program.
    fn program(&mut self) -> bool {
        let path = self.path;
        *self.program.get_or_insert_with(|| {
            let name = path.rsplit(['/', '!']).next().unwrap_or(path);
            name.rsplit_once('.')
                .is_some_and(|(_, e)| PROGRAMS.iter().any(|p| e.eq_ignore_ascii_case(p)))
        })
    }

    /// Tries the outlines of numbers at the start of a token.
    fn outlines(&mut self, start: usize, before: u8) {
        let text = self.text;
        // Part of a longer number, of a decimal, of an identifier with dashes.
        let joined_left = matches!(before, b'-' | b'.' | b'/' | b':' | b',' | b'+')
            && start >= 2
            && text[start - 2].is_ascii_digit()
            && !(before == b',' && self.columns.is_some())
            || matches!(before, b'$' | b'%' | b'\\');
        let part_of_identifier = before == b'-'
            && start >= 2
            && text[start - 2].is_ascii_alphanumeric()
            && builtin::tail_of_identifier(text, start - 1);
        if joined_left || part_of_identifier {
            return;
        }
        // A negative number, a part of a path.
        let aside = |b: Option<&u8>| b.is_none_or(|b| !b.is_ascii_alphanumeric());
        let negative = before == b'-' && aside(start.checked_sub(2).and_then(|i| text.get(i)));
        let in_path = before == b'/' && !aside(start.checked_sub(2).and_then(|i| text.get(i)));
        let scanner = self.scanner;
        let mut found: Vec<(usize, u32)> = Vec::new();
        scanner.shapes.walk(text, start, |end, owners| {
            let next = text.get(end).copied().unwrap_or(b'\n');
            if next.is_ascii_alphanumeric() || next == b'_' {
                return;
            }
            let after = text.get(end + 1).copied().unwrap_or(b'\n');
            if (matches!(next, b'-' | b'.' | b'/' | b':') && after.is_ascii_alphanumeric())
                && !(next == b'.' && after.is_ascii_uppercase())
            {
                return;
            }
            found.extend(owners.iter().map(|o| (end, *o)));
        });
        for (end, owner) in found {
            let ready = &scanner.ready[owner as usize];
            let d = &ready.detector;
            let best = d.context_confidence.unwrap_or(0.0).max(d.confidence);
            if best < scanner.options.min_confidence {
                continue;
            }
            let mut compact = [0_u8; 64];
            let Some(value) = compacted(&text[start..end], &mut compact) else {
                continue;
            };
            let mut why = Why::default();
            if let Some(check) = ready.check {
                if !check(value) {
                    continue;
                }
                why.check_digit = true;
            }
            let repeated = value.len() > 5 && value.iter().all(|b| *b == value[0]);
            if repeated {
                continue;
            }
            let mut base = d.confidence;
            // Written with the separators of its kind, a number that keeps the rule is meant.
            let separated = value.len() < end - start;
            if separated && why.check_digit {
                base = (base + 0.3).min(base.max(0.85));
            }
            // Lower-case letters are rare in numbers that are issued in capitals.
            if text[start..end].iter().any(u8::is_ascii_lowercase) {
                base *= 0.6;
            }
            if !separated && self.columns.is_none() && in_number_table(text, start, end) {
                base *= 0.5;
            }
            if separated && in_spaced_list(text, start, end) {
                base *= 0.5;
            }
            if !separated && (negative || in_path) {
                continue;
            }
            // A bare number of a program: its check digits may be right by chance, and a word in
            // the name of a constant says little.
            let literal = !separated && self.program() && is_literal(text, start, end);
            if literal {
                base *= 0.5;
            }
            let (mut confidence, why) = self.in_context(ready, (start, end), base, why);
            if literal && ready.check.is_none_or(|_| weak_check(&ready.detector)) {
                confidence *= 0.6;
            }
            self.hits.push(Hit {
                detector: owner,
                start,
                end,
                confidence,
                why,
            });
        }
    }
}

/// The number of an owner, 0 before one was set.
#[inline]
fn of(numbers: &[usize], owner: u32) -> usize {
    numbers.get(owner as usize).copied().unwrap_or(0)
}

/// Endings of names of source files.
const PROGRAMS: [&str; 20] = [
    "rs", "c", "h", "cc", "cpp", "hpp", "cxx", "go", "java", "kt", "swift", "js", "mjs", "ts",
    "py", "rb", "php", "cs", "scala", "s",
];

/// Whether a number stands in a program as a number: outside of quotes and comments of its own.
fn is_literal(text: &[u8], start: usize, end: usize) -> bool {
    let before = if start == 0 { b'\n' } else { text[start - 1] };
    let next = text.get(end).copied().unwrap_or(b'\n');
    let quote = |b: u8| matches!(b, b'"' | b'\'' | b'`');
    if quote(before) || quote(next) {
        return false;
    }
    matches!(
        next,
        b',' | b';' | b')' | b']' | b'}' | b'.' | b'\n' | b'\r' | b'U' | b'u' | b'L'
    ) || matches!(before, b'(' | b'[' | b'{' | b'=' | b',')
}

/// A check that one number in ten passes, or more.
fn weak_check(detector: &Detector) -> bool {
    detector.confidence < 0.2
}

/// Whether numbers of the same kind stand on both sides, as in a list with spaces.
fn in_spaced_list(text: &[u8], start: usize, end: usize) -> bool {
    let spaced = memchr::memchr(b' ', &text[start..end]).is_some();
    let digit = |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(u8::is_ascii_digit);
    let left = start > 0 && text[start - 1] == b' ' && digit(start.checked_sub(2));
    let right = text.get(end) == Some(&b' ') && digit(end.checked_add(1));
    spaced && (left || right)
}

/// Whether the value stands in a list of long numbers, as tables of constants are.
fn in_number_table(text: &[u8], start: usize, end: usize) -> bool {
    let blank = |b: &&u8| matches!(**b, b' ' | b'\n' | b'\r' | b'\t');
    let before = &text[start.saturating_sub(64)..start];
    let mut left = before.iter().rev().skip_while(blank);
    let mut right = text[end..text.len().min(end + 64)].iter().skip_while(blank);
    let comma = |b: Option<&u8>| b == Some(&b',');
    let (l, r) = (comma(left.next()), comma(right.next()));
    let digits = |n: usize| n + 3 >= end - start && n >= 8;
    let many_left = l
        && digits(
            left.skip_while(blank)
                .take_while(|b| b.is_ascii_digit())
                .count(),
        );
    let many_right = r
        && digits(
            right
                .skip_while(blank)
                .take_while(|b| b.is_ascii_digit())
                .count(),
        );
    many_left || many_right
}

/// Letters and digits alone, in capitals.
fn compacted<'b>(value: &[u8], buffer: &'b mut [u8; 64]) -> Option<&'b [u8]> {
    let mut n = 0;
    for b in value {
        if b.is_ascii_alphanumeric() || matches!(*b, b'+' | b'*' | b'&') {
            *buffer.get_mut(n)? = b.to_ascii_uppercase();
            n += 1;
        }
    }
    Some(&buffer[..n])
}
