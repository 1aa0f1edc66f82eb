//! Texts and documents without what was found in them.
//!
//! [`text`] takes plain text, CSV, JSON and XML; [`Redactor::document`] tells the form by the first
//! bytes and also rewrites office documents, archives and PDF. Nothing is covered up: values leave
//! every part, stream and revision, and what comes out is scanned again before it is given back.

mod office;
mod pdf;
mod restore;
mod sheets;

use std::collections::BTreeMap;

use crate::decode::View;
use crate::document::{self, Kind, Limits, Outcome};
use crate::engine::Scanner;
use crate::finding::Finding;
use crate::scan::Source;

pub use restore::{RestoreKey, Restored, restore, restore_document};

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

/// A text or document after redaction.
#[derive(Debug, Clone)]
pub struct Redacted {
    /// The text.
    pub bytes: Vec<u8>,
    /// How many places were replaced, by detector.
    pub replaced: BTreeMap<String, u64>,
}

impl Redacted {
    fn unchanged(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            replaced: BTreeMap::new(),
        }
    }

    fn count(&mut self, detector: &str) {
        *self.replaced.entry(detector.to_owned()).or_default() += 1;
    }

    fn count_all(&mut self, other: BTreeMap<String, u64>) {
        for (detector, n) in other {
            *self.replaced.entry(detector).or_default() += n;
        }
    }
}

/// Why a text or document could not be redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedactError {
    /// After some rounds the text still shows findings.
    #[error("{left} findings are left after {rounds} rounds; withhold the document instead")]
    NotClean {
        /// Findings that are left.
        left: usize,
        /// Rounds that were made.
        rounds: u32,
    },
    /// The form is not one that can be written again.
    #[error("{what} cannot be rewritten without its values; withhold the document instead")]
    Unsupported {
        /// The form, and the part that has it.
        what: String,
    },
    /// Some of the document could not be looked at, so nobody can say that it is clean.
    #[error("the document was not looked at as a whole ({reason}); withhold it instead")]
    NotWhole {
        /// What was not looked at, and why.
        reason: String,
    },
    /// The document could not be read or written.
    #[error("the document could not be rewritten: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
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
    Redactor::new(scanner, style).text(source, bytes)
}

/// Takes values out of documents.
#[derive(Debug, Clone)]
pub struct Redactor<'s> {
    scanner: &'s Scanner,
    style: Style,
    key: Option<RestoreKey>,
    limits: Limits,
}

impl<'s> Redactor<'s> {
    /// For good: nothing of a value is kept.
    #[must_use]
    pub fn new(scanner: &'s Scanner, style: Style) -> Self {
        Self {
            scanner,
            style,
            key: None,
            limits: Limits::default(),
        }
    }

    /// Each value is kept enciphered in its placeholder, and [`restore_document`] brings it back with the
    /// same key. Whoever calls that writes it to the audit trail. Texts, office documents and archives are
    /// written so; forms into which nothing comes back (PDF, wide text) are refused.
    #[must_use]
    pub fn reversible(scanner: &'s Scanner, key: RestoreKey) -> Self {
        Self {
            key: Some(key),
            ..Self::new(scanner, Style::Placeholder)
        }
    }

    /// How far containers are opened; see [`Limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes everything that is found out of a document of any form that can be written again:
    /// text in UTF-8 and UTF-16, CSV, JSON, XML, HTML, RTF, DOCX, XLSX, PPTX, ODT, zip and PDF. A
    /// document in which nothing is found comes back as it was.
    ///
    /// # Errors
    /// When the form cannot be written again, when some of the document could not be looked at
    /// (encrypted, cut off, a picture of text), or when findings are left.
    pub fn document(&self, path: &str, bytes: &[u8]) -> Result<Redacted, RedactError> {
        let report = document::scan(self.scanner, path, bytes, &self.limits);
        match &report.outcome {
            Outcome::Scanned => {}
            Outcome::Partly { reason } | Outcome::Unscannable { reason } => {
                return Err(RedactError::NotWhole {
                    reason: reason.clone(),
                });
            }
        }
        if report.findings.is_empty() {
            return Ok(Redacted::unchanged(bytes));
        }
        if self.key.is_some() && !restore::is_reversible(report.kind) {
            return Err(RedactError::Unsupported {
                what: format!("values do not come back into {}: it", report.kind.as_str()),
            });
        }
        let out = match report.kind {
            Kind::Text | Kind::Xml | Kind::Html | Kind::Rtf | Kind::Mail => {
                if let Some(inner) = report.findings.iter().find_map(|f| f.inner.as_ref()) {
                    return Err(RedactError::Unsupported {
                        what: format!("{} with {inner} in it", report.kind.as_str()),
                    });
                }
                self.text(&Source::file(path), bytes)?
            }
            Kind::Utf16Le | Kind::Utf16Be => self.wide(path, bytes, report.kind)?,
            Kind::Zip => office::redact(self, path, bytes)?,
            Kind::Pdf => pdf::redact(self, path, bytes)?,
            kind => {
                return Err(RedactError::Unsupported {
                    what: kind.as_str().to_owned(),
                });
            }
        };
        let after = document::scan(self.scanner, path, &out.bytes, &self.limits);
        if !after.findings.is_empty() {
            return Err(RedactError::NotClean {
                left: after.findings.len(),
                rounds: ROUNDS,
            });
        }
        if after.outcome != Outcome::Scanned {
            return Err(RedactError::Damaged {
                reason: "what was written does not read as a whole".to_owned(),
            });
        }
        Ok(out)
    }

    /// As [`text`], in this redactor's way.
    ///
    /// # Errors
    /// See [`text`].
    pub fn text(&self, source: &Source, bytes: &[u8]) -> Result<Redacted, RedactError> {
        let mut out = Redacted::unchanged(bytes);
        for round in 0..ROUNDS {
            let found = self.all(source, &out.bytes);
            if found.is_empty() {
                return Ok(out);
            }
            let places: Vec<(usize, usize, &Finding)> = found
                .iter()
                .map(|f| (f.start as usize, f.end as usize, f))
                .collect();
            // What a form-preserving replacement leaves recognisable is named instead.
            out.bytes = self.replace(&out.bytes, places, round > 0, &mut out.replaced);
        }
        let left = self.all(source, &out.bytes).len();
        if left == 0 {
            return Ok(out);
        }
        Err(RedactError::NotClean {
            left,
            rounds: ROUNDS,
        })
    }

    /// UTF-16: by way of UTF-8.
    fn wide(&self, path: &str, bytes: &[u8], kind: Kind) -> Result<Redacted, RedactError> {
        let view: View = document::wide(bytes, kind);
        let mut out = self.text(&Source::file(path), &view.bytes)?;
        let text = String::from_utf8_lossy(&out.bytes).into_owned();
        let little = kind == Kind::Utf16Le;
        let mark = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]).then_some(0xfeff_u16);
        out.bytes = mark
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect();
        Ok(out)
    }

    /// Findings of the bytes and of their markup and escapes.
    fn all(&self, source: &Source, bytes: &[u8]) -> Vec<Finding> {
        let report = document::scan(self.scanner, &source.path, bytes, &self.limits);
        report
            .findings
            .into_iter()
            .filter(|f| f.inner.is_none())
            .collect()
    }

    fn replace(
        &self,
        bytes: &[u8],
        mut places: Vec<(usize, usize, &Finding)>,
        named: bool,
        replaced: &mut BTreeMap<String, u64>,
    ) -> Vec<u8> {
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
                let mut said = false;
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
                    } else if !said {
                        said = true;
                        out.extend(self.stand_in(&untagged(value), finding, true));
                    }
                }
            } else {
                out.extend(self.stand_in(value, finding, named));
            }
            *replaced.entry(finding.detector.to_string()).or_default() += 1;
            at = end;
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }

    /// What is written for a value; `named` asks for its kind whatever the style.
    fn stand_in(&self, value: &[u8], finding: &Finding, named: bool) -> Vec<u8> {
        if let Some(key) = &self.key {
            return key.token(&finding.detector, value).into_bytes();
        }
        match self.style {
            Style::Pseudonym if !named => {
                let short = finding.fingerprint.to_string();
                format!("[{}:{}]", finding.detector, &short[..6]).into_bytes()
            }
            Style::FormatPreserving if !named => value
                .iter()
                .map(|b| match b {
                    b'0'..=b'9' => b'0',
                    b'A'..=b'Z' => b'X',
                    b'a'..=b'z' => b'x',
                    128.. => b'x',
                    other => *other,
                })
                .collect(),
            _ => format!("[{}]", finding.detector).into_bytes(),
        }
    }
}

/// The letters between tags.
fn untagged(value: &[u8]) -> Vec<u8> {
    let mut inside = false;
    value
        .iter()
        .copied()
        .filter(|b| {
            let tag = inside || *b == b'<';
            inside = tag && *b != b'>';
            !tag
        })
        .collect()
}
