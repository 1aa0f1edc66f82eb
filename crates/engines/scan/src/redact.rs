//! Texts without what was found in them.

use std::collections::BTreeMap;

use crate::engine::Scanner;
use crate::finding::Finding;
use crate::scan::Source;

/// What stands in place of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The kind of value: `[us.ssn]`.
    Placeholder,
    /// The kind and the start of the fingerprint, so that equal values stay equal:
    /// `[us.ssn:3f9a2c]`.
    Pseudonym,
    /// As long as the value and of the same form: letters become `X`, digits `0`, other
    /// characters stay. What the text was valid as, it stays valid as.
    FormatPreserving,
}

/// A text after redaction.
#[derive(Debug, Clone)]
pub struct Redacted {
    /// The text.
    pub bytes: Vec<u8>,
    /// How many places were replaced, by detector.
    pub replaced: BTreeMap<String, u64>,
}

/// Why a text could not be redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// After some rounds the text still shows findings.
    #[error("{left} findings are left after {rounds} rounds; withhold the document instead")]
    NotClean {
        /// Findings that are left.
        left: usize,
        /// Rounds that were made.
        rounds: u32,
    },
}

/// Most rounds: what a replacement brings together may be a finding itself.
const ROUNDS: u32 = 4;

/// Replaces everything that the scanner finds in plain text, CSV, JSON or XML. The result is
/// scanned again until nothing is found; placeholders hold no character that these forms escape.
///
/// # Errors
/// When findings are left after some rounds, as happens when a detector matches the placeholder.
pub fn text(
    scanner: &Scanner,
    source: &Source,
    bytes: &[u8],
    style: Style,
) -> Result<Redacted, RedactError> {
    let mut out = Redacted {
        bytes: bytes.to_vec(),
        replaced: BTreeMap::new(),
    };
    for round in 0..ROUNDS {
        let found = all(scanner, source, &out.bytes);
        if found.is_empty() {
            return Ok(out);
        }
        // What a form-preserving replacement leaves recognisable is named instead.
        let style = if round == 0 {
            style
        } else {
            Style::Placeholder
        };
        out.bytes = replace(&out.bytes, &found, style, &mut out.replaced);
    }
    let left = all(scanner, source, &out.bytes).len();
    if left == 0 {
        return Ok(out);
    }
    Err(RedactError::NotClean {
        left,
        rounds: ROUNDS,
    })
}

/// Findings of the bytes and of their markup and escapes.
fn all(scanner: &Scanner, source: &Source, bytes: &[u8]) -> Vec<Finding> {
    let report = crate::document::scan(
        scanner,
        &source.path,
        bytes,
        &crate::document::Limits::default(),
    );
    report
        .findings
        .into_iter()
        .filter(|f| f.inner.is_none())
        .collect()
}

fn replace(
    bytes: &[u8],
    found: &[Finding],
    style: Style,
    replaced: &mut BTreeMap<String, u64>,
) -> Vec<u8> {
    let mut places: Vec<(usize, usize, &Finding)> = found
        .iter()
        .map(|f| (f.start as usize, f.end as usize, f))
        .collect();
    places.sort_by_key(|p| (p.0, std::cmp::Reverse(p.1)));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for (start, end, finding) in places {
        let (start, end) = (start.max(at), end.min(bytes.len()));
        if start >= end {
            continue;
        }
        out.extend_from_slice(&bytes[at..start]);
        let value = &bytes[start..end];
        // Tags inside a value stay, or the document would not be one any more.
        if value.contains(&b'<') {
            let mut inside = false;
            let mut named = false;
            for b in value {
                match b {
                    b'<' => inside = true,
                    b'>' if inside => {
                        inside = false;
                        out.push(*b);
                        continue;
                    }
                    _ => {}
                }
                if inside {
                    out.push(*b);
                } else if !named {
                    named = true;
                    out.extend(stand_in(value, finding, Style::Placeholder));
                }
            }
        } else {
            out.extend(stand_in(value, finding, style));
        }
        *replaced.entry(finding.detector.to_string()).or_default() += 1;
        at = end;
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

fn stand_in(value: &[u8], finding: &Finding, style: Style) -> Vec<u8> {
    match style {
        Style::Placeholder => format!("[{}]", finding.detector).into_bytes(),
        Style::Pseudonym => {
            let short = finding.fingerprint.to_string();
            format!("[{}:{}]", finding.detector, &short[..6]).into_bytes()
        }
        Style::FormatPreserving => value
            .iter()
            .map(|b| match b {
                b'0'..=b'9' => b'0',
                b'A'..=b'Z' => b'X',
                b'a'..=b'z' => b'x',
                128.. => b'x',
                other => *other,
            })
            .collect(),
    }
}
