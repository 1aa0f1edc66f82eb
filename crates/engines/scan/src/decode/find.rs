//! Finds encoded runs in a text and scans what they decode to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Ratio, View};
use crate::engine::Scanner;
use crate::engine::blocks::{self, BLOCK};
use crate::finding::{Finding, Fingerprint, Value};
use crate::scan::Source;

/// Shortest run that is worth decoding.
const MIN_RUN: usize = 20;
/// Longest encoded run that is decoded.
const MAX_RUN: usize = 16 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Base64,
    Hex,
    Percent,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal",
            Self::Percent => "percent encoding",
        }
    }
}

/// Scans everything that is encoded in `text`, `depth` encodings deep. Findings are reported at
/// the bytes of `text` that they were decoded from.
pub(crate) fn scan_encoded(
    scanner: &Scanner,
    source: &Source,
    text: &[u8],
    depth: u8,
    findings: &mut Vec<Finding>,
) {
    let mut extra = Vec::new();
    runs(text, |code, start, end| {
        if extra.len() + findings.len() >= scanner.options.max_findings {
            return;
        }
        let Some(view) = decode(code, text, start, end) else {
            return;
        };
        if code == Code::Base64 {
            unwrap_secret(scanner, findings, &view, start, end);
        }
        for hit in deep(scanner, source, view, depth, code.name()) {
            extra.extend(scanner.findings(source, text, &hit.0, Some((&hit.1, &hit.2))));
        }
    });
    merge(findings, extra);
}

/// A password that stands in base64 is the decoded one, as in a Kubernetes Secret.
fn unwrap_secret(
    scanner: &Scanner,
    findings: &mut [Finding],
    view: &View,
    start: usize,
    end: usize,
) {
    let plain = view.bytes.iter().all(|b| (0x21..0x7f).contains(b));
    if !plain || view.bytes.len() > 128 {
        return;
    }
    let place = (start as u64, end as u64);
    for f in findings {
        if matches!(f.detector.as_ref(), "assigned-secret" | "kubernetes-secret")
            && f.start == place.0
            && f.end >= place.1
            && f.end <= place.1 + 2
        {
            f.fingerprint = scanner
                .options
                .key
                .fingerprint(&f.detector, f.class, &view.bytes);
            f.value = scanner.options.keep_values.then(|| Value::new(&view.bytes));
            f.reasons.push("decoded from base64".to_owned());
        }
    }
}

/// Scans a view of a document and reports where it came from.
pub(crate) fn through(
    scanner: &Scanner,
    source: &Source,
    text: &[u8],
    view: View,
    how: &str,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (hits, view, how) in deep(scanner, source, view, scanner.options.decode_depth + 1, how) {
        found.extend(scanner.findings(source, text, &hits, Some((&view, &how))));
    }
    found
}

/// Adds findings that say something that the known ones do not.
pub(crate) fn merge(findings: &mut Vec<Finding>, extra: Vec<Finding>) {
    if extra.is_empty() {
        return;
    }
    let mut known: HashMap<Fingerprint, Vec<(u64, u64)>> = HashMap::new();
    let mut places: HashSet<(u64, u64, Arc<str>)> = HashSet::new();
    for f in findings.iter() {
        known
            .entry(f.fingerprint)
            .or_default()
            .push((f.start, f.end));
        places.insert((f.start, f.end, f.detector.clone()));
    }
    let mut new = Vec::new();
    for f in extra {
        let seen = known
            .get(&f.fingerprint)
            .is_some_and(|v| v.iter().any(|(s, e)| *s < f.end && f.start < *e));
        if seen || !places.insert((f.start, f.end, f.detector.clone())) {
            continue;
        }
        known
            .entry(f.fingerprint)
            .or_default()
            .push((f.start, f.end));
        new.push(f);
    }
    // What was decoded says more than the run that it was decoded from, unless that run is a
    // token with a form of its own.
    if findings.len().saturating_mul(new.len()) < 4_000_000 {
        findings.retain(|f| {
            f.detector.as_ref() != "assigned-secret"
                || !new.iter().any(|n| f.start <= n.start && n.end <= f.end)
        });
    }
    findings.extend(new);
}

type Level = (Vec<crate::engine::Hit>, View, String);

/// Hits of a view and of the views inside it, all mapped to the same origin.
fn deep(scanner: &Scanner, source: &Source, view: View, depth: u8, how: &str) -> Vec<Level> {
    let hits = scanner.hits(&source.path, &view.bytes);
    let mut levels = Vec::new();
    if depth > 1 {
        runs(&view.bytes, |code, start, end| {
            if let Some(inner) = decode(code, &view.bytes, start, end) {
                // The inner run as a whole stands where the outer one says.
                let (from, to) = view.origin(start, end);
                let mut moved = View::default();
                moved.push(&inner.bytes, from, Ratio::Point);
                moved.finish(to);
                levels.extend(deep(
                    scanner,
                    source,
                    moved,
                    depth - 1,
                    &format!("{how}, {}", code.name()),
                ));
            }
        });
    }
    if !hits.is_empty() {
        levels.push((hits, view, how.to_owned()));
    }
    levels
}

#[inline]
fn is_base64(b: u8) -> bool {
    BASE64[usize::from(b)]
}

/// Both alphabets of base64.
static BASE64: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] =
            (b as u8).is_ascii_alphanumeric() || matches!(b as u8, b'+' | b'/' | b'-' | b'_');
        b += 1;
    }
    table
};

/// Where the first stretch of base64's letters begins that is long enough to be decoded.
fn next_run(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // Letters at the end of the block before.
    let mut carried = 0;
    while let Some(block) = blocks::block(text, at) {
        let letters = blocks::mask(block, |b| {
            blocks::alphanumeric(b) | (b == b'+') | (b == b'/') | (b == b'-') | (b == b'_')
        });
        if carried + letters.trailing_ones() as usize >= MIN_RUN {
            return Some(at - carried);
        }
        // A bit is left where so many stand in a row from there on.
        let mut row = letters;
        for step in [1, 2, 4, 8, 4] {
            row &= row >> step;
        }
        const { assert!(MIN_RUN == 1 + 1 + 2 + 4 + 8 + 4) }
        if row != 0 {
            return Some(at + row.trailing_zeros() as usize);
        }
        carried = letters.leading_ones() as usize;
        at += BLOCK;
    }
    at -= carried;
    // From the far end of each stretch: its last byte that is none of the alphabet is where the
    // next stretch begins.
    while let Some(stretch) = text.get(at..at + MIN_RUN) {
        match stretch.iter().rposition(|b| !is_base64(*b)) {
            None => return Some(at),
            Some(last) => at += last + 1,
        }
    }
    None
}

/// Calls `found` with every run that may be encoded.
fn runs(text: &[u8], mut found: impl FnMut(Code, usize, usize)) {
    let mut i = 0;
    let n = text.len();
    while let Some(start) = next_run(text, i) {
        let mut end = start + MIN_RUN;
        while end < n && is_base64(text[end]) {
            end += 1;
        }
        let (code, last) = classify(text, start, end);
        if let Some(code) = code
            && last - start <= MAX_RUN
        {
            found(code, start, last);
        }
        i = last.max(end);
    }
    percent_runs(text, &mut found);
}

/// Tells what a run is and, for base64 in lines, where its last line ends.
fn classify(text: &[u8], start: usize, end: usize) -> (Option<Code>, usize) {
    let run = &text[start..end];
    if run.iter().all(u8::is_ascii_hexdigit) {
        let even = run.len().is_multiple_of(2) && run.len() >= 24;
        return (even.then_some(Code::Hex), end);
    }
    let mut end = end;
    // Lines of the same length, as MIME and PEM wrap them.
    if (56..=80).contains(&run.len()) && run.len().is_multiple_of(4) {
        let width = run.len();
        loop {
            let mut next = end;
            while next < text.len() && matches!(text[next], b'\r' | b'\n' | b' ') && next - end < 8
            {
                next += 1;
            }
            if next == end {
                break;
            }
            let line = text[next..]
                .iter()
                .take(width)
                .take_while(|b| is_base64(**b))
                .count();
            let more = text.get(next + line).is_some_and(|b| is_base64(*b));
            if line == 0 || more || text[next..].starts_with(b"--") {
                break;
            }
            end = next + line;
            if line < width {
                break;
            }
        }
    }
    let mixed = run.iter().any(u8::is_ascii_lowercase) && run.iter().any(u8::is_ascii_uppercase)
        || run.iter().any(u8::is_ascii_digit);
    (mixed.then_some(Code::Base64), end)
}

fn percent_runs(text: &[u8], found: &mut impl FnMut(Code, usize, usize)) {
    let mut done = 0;
    for at in memchr::memchr_iter(b'%', text) {
        if at < done {
            continue;
        }
        let hex = |i: usize| text.get(i).is_some_and(u8::is_ascii_hexdigit);
        if !hex(at + 1) || !hex(at + 2) {
            continue;
        }
        let part = |b: u8| b > b' ' && !b"\"'<>`{}|\\^".contains(&b);
        let mut start = at;
        while start > done && at - start < 256 && part(text[start - 1]) {
            start -= 1;
        }
        let mut end = at;
        while end < text.len() && end - at < 65_536 && part(text[end]) {
            end += 1;
        }
        found(Code::Percent, start, end);
        done = end;
    }
}

/// Decodes a run; `None` when what comes out is not text.
fn decode(code: Code, text: &[u8], start: usize, end: usize) -> Option<View> {
    let run = &text[start..end];
    if hopeless(code, run) {
        return None;
    }
    let mut view = View::default();
    match code {
        Code::Hex => {
            let bytes: Vec<u8> = run
                .chunks_exact(2)
                .map(|p| nibble(p[0]) << 4 | nibble(p[1]))
                .collect();
            view.push(&bytes, start, Ratio::Double);
        }
        Code::Base64 => base64(run, start, &mut view),
        Code::Percent => percent(run, start, &mut view),
    }
    view.finish(end);
    texty(&view.bytes).then_some(view)
}

/// Whether the first bytes alone show that what comes out is no text: a name in a program is soon
/// told from base64, without decoding it to the end. Says nothing that [`texty`] would not say.
fn hopeless(code: Code, run: &[u8]) -> bool {
    let mut head = [0_u8; 24];
    let mut n = 0;
    let most = match code {
        Code::Percent => return false,
        Code::Hex => {
            for pair in run.chunks_exact(2).take(head.len()) {
                head[n] = nibble(pair[0]) << 4 | nibble(pair[1]);
                n += 1;
            }
            run.len() / 2
        }
        Code::Base64 => {
            let (mut buffer, mut bits) = (0_u32, 0);
            for b in run {
                let Some(six) = six(*b) else { continue };
                buffer = buffer << 6 | u32::from(six);
                bits += 6;
                if bits >= 8 {
                    bits -= 8;
                    head[n] = (buffer >> bits) as u8;
                    n += 1;
                    if n == head.len() {
                        break;
                    }
                }
            }
            run.len() * 3 / 4 + 1
        }
    };
    let most = most.min(TEXTY);
    let head = &head[..n];
    let odd = head.iter().filter(|b| odd(**b)).count();
    if odd * 50 > most {
        return true;
    }
    let high = head.iter().filter(|b| **b >= 0x80).count();
    high * 4 > most && std::str::from_utf8(head).is_err_and(|e| e.error_len().is_some())
}

/// The value of a letter of base64, of either alphabet.
fn six(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

fn nibble(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        _ => (b | 0x20).wrapping_sub(b'a') + 10,
    }
}

fn base64(run: &[u8], start: usize, view: &mut View) {
    let mut group = [0_u8; 4];
    let mut n = 0;
    let mut from = start;
    for (i, b) in run.iter().enumerate() {
        let Some(six) = six(*b) else { continue };
        if n == 0 {
            from = start + i;
        }
        group[n] = six;
        n += 1;
        if n == 4 {
            let bytes = [
                group[0] << 2 | group[1] >> 4,
                group[1] << 4 | group[2] >> 2,
                group[2] << 6 | group[3],
            ];
            push_base64(view, &bytes, from);
            n = 0;
        }
    }
    match n {
        2 => push_base64(view, &[group[0] << 2 | group[1] >> 4], from),
        3 => push_base64(
            view,
            &[group[0] << 2 | group[1] >> 4, group[1] << 4 | group[2] >> 2],
            from,
        ),
        _ => {}
    }
}

fn push_base64(view: &mut View, bytes: &[u8], from: usize) {
    let at = view.bytes.len();
    let go_on = view.steps.last().is_some_and(|(v, o, r)| {
        *r == Ratio::Base64 && (at - v).is_multiple_of(3) && o + (at - v) / 3 * 4 == from
    });
    if go_on {
        view.bytes.extend_from_slice(bytes);
    } else {
        view.push(bytes, from, Ratio::Base64);
    }
}

fn percent(run: &[u8], start: usize, view: &mut View) {
    let mut i = 0;
    while i < run.len() {
        if run[i] == b'%'
            && i + 2 < run.len()
            && run[i + 1].is_ascii_hexdigit()
            && run[i + 2].is_ascii_hexdigit()
        {
            view.push(
                &[nibble(run[i + 1]) << 4 | nibble(run[i + 2])],
                start + i,
                Ratio::Point,
            );
            i += 3;
        } else {
            let b = if run[i] == b'+' { b' ' } else { run[i] };
            view.push(&[b], start + i, Ratio::Same);
            i += 1;
        }
    }
}

/// Bytes by which [`texty`] judges.
const TEXTY: usize = 4_096;

/// A control character that text does not have.
fn odd(b: u8) -> bool {
    b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t') || b == 0x7f
}

/// Mostly printable: what a person or a program wrote.
fn texty(bytes: &[u8]) -> bool {
    if bytes.len() < 8 {
        return false;
    }
    let head = &bytes[..bytes.len().min(TEXTY)];
    let strange = head.iter().filter(|b| odd(**b)).count();
    let high = head.iter().filter(|b| **b >= 0x80).count();
    strange * 50 <= head.len() && (high * 4 <= head.len() || std::str::from_utf8(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(text: &[u8], from: usize) -> Option<usize> {
        (from..text.len()).find(|at| {
            (*at == from || !is_base64(text[at - 1]))
                && text[*at..].iter().take_while(|b| is_base64(**b)).count() >= MIN_RUN
        })
    }

    proptest::proptest! {
        #[test]
        fn blocks_find_the_runs_that_bytes_show(
            text in "([A-Za-z0-9+/_-]{0,24}[ =.\u{e9}]{0,2}){0,14}",
            from in 0_usize..80,
        ) {
            let text = text.as_bytes();
            let from = from.min(text.len());
            proptest::prop_assert_eq!(next_run(text, from), naive(text, from));
        }
    }
}
