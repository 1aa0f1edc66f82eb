//! What is known and accepted: baselines and allow lists.

use std::collections::HashSet;

use globset::{Glob, GlobMatcher};
use sealwright_core::UnixMicros;
use sealwright_core::clock::DAY;
use sealwright_scan::Finding;
use serde::Deserialize;

/// Most entries of an allow list, and most lines of a baseline.
pub const MOST_ENTRIES: usize = 1_000_000;

/// Why a file of accepted findings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{place}: {why}")]
pub struct AllowError {
    file: String,
    place: String,
    why: String,
}

impl AllowError {
    fn new(file: &str, place: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            place: place.to_string(),
            why: why.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    allow: Vec<toml::Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    reason: String,
    until: String,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    detector: Option<String>,
    #[serde(default)]
    path: Option<String>,
}

/// One accepted kind of finding, until a day.
#[derive(Debug, Clone)]
pub struct Allow {
    /// Why it is accepted.
    pub reason: String,
    /// The last day, as written.
    pub until: String,
    ends: UnixMicros,
    fingerprint: Option<String>,
    detector: Option<String>,
    path: Option<GlobMatcher>,
}

impl Allow {
    fn covers(&self, finding: &Finding) -> bool {
        self.fingerprint
            .as_ref()
            .is_none_or(|f| *f == finding.fingerprint.to_string())
            && self
                .detector
                .as_ref()
                .is_none_or(|d| *d == *finding.detector)
            && self
                .path
                .as_ref()
                .is_none_or(|p| p.is_match(finding.path.as_ref()))
    }
}

/// Accepted findings, each with a reason and a last day. Read from TOML:
///
/// ```toml
/// [[allow]]
/// fingerprint = "0f3c…"      # and, or instead: detector, path (a glob)
/// reason = "Key of the sandbox, revoked"
/// until = "2027-03-31"
/// ```
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    entries: Vec<Allow>,
}

impl AllowList {
    /// Reads the text of a list; `file` is named in errors.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse(file: &str, text: &str) -> Result<Self, AllowError> {
        let parsed: File = toml::from_str(text).map_err(|error| {
            let place = error
                .span()
                .map_or(String::new(), |span| place(text, span.start));
            AllowError::new(file, place, error.message())
        })?;
        if parsed.allow.len() > MOST_ENTRIES {
            let why = format!("{} entries, at most {MOST_ENTRIES}", parsed.allow.len());
            return Err(AllowError::new(file, "", why));
        }
        let mut entries = Vec::with_capacity(parsed.allow.len());
        for spanned in parsed.allow {
            let at = place(text, spanned.span().start);
            let fail = |why: String| AllowError::new(file, &at, why);
            let entry = spanned.into_inner();
            if entry.reason.trim().is_empty() {
                return Err(fail(
                    "`reason` is empty; say why this is accepted".to_owned(),
                ));
            }
            if entry.fingerprint.is_none() && entry.detector.is_none() && entry.path.is_none() {
                return Err(fail(
                    "accepts everything; name a fingerprint, a detector or a path".to_owned(),
                ));
            }
            let start =
                UnixMicros::parse_rfc3339(&format!("{}T00:00:00Z", entry.until)).map_err(|_| {
                    fail(format!(
                        "`until` is `{}`; give a day, such as 2027-03-31",
                        entry.until
                    ))
                })?;
            let path = match entry.path {
                None => None,
                Some(glob) => Some(
                    Glob::new(&glob)
                        .map_err(|error| fail(format!("`path`: {error}")))?
                        .compile_matcher(),
                ),
            };
            entries.push(Allow {
                reason: entry.reason,
                until: entry.until,
                ends: start.plus(DAY),
                fingerprint: entry.fingerprint,
                detector: entry.detector,
                path,
            });
        }
        Ok(Self { entries })
    }

    /// Whether a finding is accepted at a moment. The last day counts as a whole, in UTC.
    #[must_use]
    pub fn covers(&self, finding: &Finding, now: UnixMicros) -> bool {
        self.entries
            .iter()
            .any(|entry| now < entry.ends && entry.covers(finding))
    }

    /// Entries whose last day is over: they accept nothing any more.
    pub fn ended(&self, now: UnixMicros) -> impl Iterator<Item = &Allow> {
        self.entries.iter().filter(move |entry| now >= entry.ends)
    }
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    format!(":{line}:{column}")
}

/// The findings of an earlier scan, which are not news: its JSON lines, of which detector and fingerprint
/// count. A value that moved is still known; the same value found by another detector is not.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    known: HashSet<(String, String)>,
}

#[derive(Deserialize)]
struct Line {
    detector: String,
    fingerprint: String,
}

impl Baseline {
    /// Reads the JSON lines of a scan.
    ///
    /// # Errors
    /// The first line that is none, with its number.
    pub fn parse(file: &str, text: &str) -> Result<Self, AllowError> {
        let mut known = HashSet::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let line: Line = serde_json::from_str(line).map_err(|error| {
                let place = format!(":{}:{}", number + 1, error.column());
                AllowError::new(
                    file,
                    place,
                    format!("not a finding of `dlp scan --output json`: {error}"),
                )
            })?;
            known.insert((line.detector, line.fingerprint));
            if known.len() > MOST_ENTRIES {
                let why = format!("more than {MOST_ENTRIES} findings");
                return Err(AllowError::new(file, format!(":{}", number + 1), why));
            }
        }
        Ok(Self { known })
    }

    /// Whether it was found before.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        !self.known.is_empty()
            && self.known.contains(&(
                finding.detector.to_string(),
                finding.fingerprint.to_string(),
            ))
    }

    /// How many different values are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn faults_of_allow_lists_are_located() {
        let fault = |text: &str| AllowList::parse("a.toml", text).unwrap_err().to_string();
        assert!(fault("x = 1").starts_with("a.toml:1:1: "));
        assert_eq!(
            fault("\n[[allow]]\nreason = \"r\"\nuntil = \"2027-01-01\"\n"),
            "a.toml:2:1: accepts everything; name a fingerprint, a detector or a path"
        );
        assert!(
            fault("[[allow]]\nreason = \"r\"\nuntil = \"soon\"\ndetector = \"iban\"\n")
                .contains("give a day")
        );
    }

    #[test]
    fn a_baseline_names_the_line_that_is_none() {
        let good = r#"{"detector":"iban","fingerprint":"00"}"#;
        let error = Baseline::parse("b", &format!("{good}\n\nnope")).unwrap_err();
        assert!(error.to_string().starts_with("b:3:"), "{error}");
        assert_eq!(Baseline::parse("b", good).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[\\[allow\\]\\]\n)?\\PC{0,60}") {
            let _ = AllowList::parse("x", &text);
            let _ = Baseline::parse("x", &text);
        }
    }
}
