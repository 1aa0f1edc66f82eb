//! From a match of a pattern to a finding: entropy, placeholders, allow-lists, the text around.

use super::filter;
use super::regexes::Matched;
use super::{Hit, Ready, Why};
use crate::detector::Class;

/// Words that allow the findings of their line.
const ALLOW: [&[u8]; 5] = [
    b"sealwright:allow",
    b"gitleaks:allow",
    b"kingfisher:ignore",
    b"pragma: allowlist secret",
    b"betterleaks:allow",
];

/// The line around a place, at most 512 bytes to each side.
pub(super) fn line(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    let floor = start.saturating_sub(512);
    let from = memchr::memrchr(b'\n', &text[floor..start]).map_or(floor, |i| floor + i + 1);
    let ceil = text.len().min(end + 512);
    let to = memchr::memchr(b'\n', &text[end..ceil]).map_or(ceil, |i| end + i);
    (from, to)
}

/// Drops hits whose line says so.
pub(super) fn inline_allow(text: &[u8], hits: &mut Vec<Hit>) {
    hits.retain(|h| {
        let (from, to) = line(text, h.start, h.end);
        let around = &text[from..to];
        !ALLOW
            .iter()
            .any(|w| memchr::memmem::find(around, w).is_some())
    });
}

/// How sure a match of a pattern is; `None` when it is nothing.
pub(super) fn secret(ready: &Ready, path: &str, text: &[u8], m: &Matched) -> Option<(f32, Why)> {
    let d = &ready.detector;
    let value = &text[m.value.0..m.value.1];
    let mut why = Why::default();
    if let Some(min) = d.entropy {
        if filter::entropy(value) <= min {
            return None;
        }
        why.entropy = true;
    }
    if let Some(pattern) = &ready.pattern
        && !pattern.allow.is_empty()
    {
        let (from, to) = line(text, m.whole.0, m.whole.1);
        let whole = &text[m.whole.0..m.whole.1];
        if pattern
            .allow
            .iter()
            .any(|a| a.allows(path, value, whole, &text[from..to]))
        {
            return None;
        }
    }
    if d.class != Class::Secret {
        return Some((d.confidence, why));
    }
    let harmless = if d.generic {
        filter::harmless_generic(value)
    } else {
        filter::harmless(value)
    };
    // A form of its own makes an example worth naming, far below the default threshold; where only
    // words make a value a secret, an example is nothing.
    let mut ceiling = 1.0;
    if let Some(reason) = harmless {
        if d.generic || !filter::doubtful(reason) {
            return None;
        }
        why.note = Some("looks like an example");
        ceiling = EXAMPLE;
    }
    if let Some(check) = ready.check {
        if !check(value) {
            return None;
        }
        why.check_digit = true;
    }
    let mut confidence = d.confidence;
    if d.near {
        let (delta, assigned) = surroundings(text, m, value);
        confidence = (confidence + delta).clamp(0.02, 0.95);
        why.assigned = assigned;
    }
    Some((confidence.min(ceiling), why))
}

/// Confidence of a value in an issuer's form that is an example by its letters.
const EXAMPLE: f32 = 0.3;

const TELLING: [&[u8]; 16] = [
    b"private", b"access", b"key", b"token", b"secret", b"passw", b"auth", b"cred", b"pat",
    b"bearer", b"pwd", b"api", b"sid", b"license", b"webhook", b"dsn",
];

/// For a word and a value that merely stand near each other: what is between and around them.
fn surroundings(text: &[u8], m: &Matched, value: &[u8]) -> (f32, bool) {
    let (from, _) = line(text, m.value.0, m.value.1);
    let before = &text[from.max(m.value.0.saturating_sub(96))..m.value.0];
    let gap = &text[m.whole.0.min(m.value.0)..m.value.0];
    let trimmed: &[u8] = {
        let mut t = before;
        while let [
            rest @ ..,
            b' ' | b'"' | b'\'' | b'`' | b'\t' | b'(' | b'\\' | b'[',
        ] = t
        {
            t = rest;
        }
        t
    };
    let assigned = matches!(trimmed.last(), Some(b'=' | b':' | b'>' | b',' | b'('))
        || before.last() == Some(&b'(')
        || trimmed.to_ascii_lowercase().ends_with(b"bearer")
        || trimmed.to_ascii_lowercase().ends_with(b"token");
    let telling = TELLING.iter().any(|w| filter::contains(before, w));
    let mut delta = 0.0;
    if assigned {
        delta += 0.2;
    }
    if telling {
        delta += 0.2;
    }
    if gap.contains(&b'\n') {
        delta -= 0.2;
    }
    if filter::harmless_generic(value).is_some() {
        delta -= 0.05;
    }
    if filter::called_a_hash(before) && (filter::hash_form(value) || filter::uuid_form(value)) {
        delta -= 0.6;
    }
    // A name in words is no token, and a part of a longer run of such characters is cut at random.
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 && filter::wordiness(value) > 0.45 {
        delta -= 0.4;
    } else if value.len() >= 16 && digits == 0 && !value.iter().any(u8::is_ascii_uppercase) {
        delta -= 0.25;
    }
    let next = text.get(m.value.1).copied().unwrap_or(b' ');
    let previous = if m.value.0 == 0 {
        b' '
    } else {
        text[m.value.0 - 1]
    };
    let cut_right = m.whole.1 == m.value.1
        && matches!(next, b'.' | b'/' | b'(' | b'-' | b'+')
        && !value.ends_with(b"=");
    let cut_left = matches!(previous, b'/' | b'+') && !assigned
        || matches!(previous, b'.' | b'-')
            && crate::builtin::tail_of_identifier(text, m.value.0 - 1);
    if cut_right || cut_left {
        delta -= 0.3;
    }
    (delta, assigned)
}
