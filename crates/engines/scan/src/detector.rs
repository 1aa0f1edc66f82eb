//! What a detector is, and how its file is read.

use serde::{Deserialize, Serialize};

/// What kind of data a detector looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Says who a person is or how to reach them.
    Pii,
    /// Money: cards, accounts, tax numbers of businesses.
    Financial,
    /// Health insurance and care.
    Health,
    /// Gives access: keys, tokens, passwords.
    Secret,
    /// Points at machines: addresses of networks and devices.
    Technical,
}

impl Class {
    /// The word that files and reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Financial => "financial",
            Self::Health => "health",
            Self::Secret => "secret",
            Self::Technical => "technical",
        }
    }
}

/// How much harm the value does in the wrong hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a line in the audit trail.
    Low,
    /// Should be masked.
    Medium,
    /// Must be encrypted and reported.
    High,
    /// Must be held at once.
    Critical,
}

impl Severity {
    /// The word that files and reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Values that a detector must not report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Regular expressions tried on what `target` names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// What the patterns are tried on: `secret` (default), `match` or `line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Words that make a value harmless when it contains one of them, in any case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Regular expressions of file names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// All of patterns, words and paths have to agree, not one of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// One kind of value to look for: data, not code. A detector has a `pattern`, or `shapes`, or the
/// name of a built-in scanner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Stable name, `<country or issuer>.<what>`.
    pub id: String,
    /// What a person is told that was found.
    pub title: String,
    /// The kind of data.
    pub class: Class,
    /// The harm.
    pub severity: Severity,
    /// How sure a match is without any context, 0 to 1.
    pub confidence: f32,
    /// How sure a match is when a context word stands by it; as `confidence` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_confidence: Option<f32>,
    /// Regular expression over bytes (ASCII classes). The first group that took part is the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Which group is the value, when it is not the first that took part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// Outlines: `9` digit, `A` letter, `X` either, `_` nothing or one separator that is the same
    /// all through; everything else stands for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<String>,
    /// The name of a built-in scanner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    /// Words of which one has to occur in the text at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Words near the value that make it more likely, lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// The name of a check on the value, as a check digit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<String>,
    /// Shannon entropy in bits per byte that the value has to exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f32>,
    /// The file's name has to match this regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A word and a value stand near each other with no more said: needs more to be believed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
    /// Gives way to any other detector that reports the same bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generic: bool,
    /// What is harmless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allow>,
    /// ISO 3166 code of the country that issues the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Ids of rules of other tools that this one stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Texts in which the detector has to report something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positives: Vec<String>,
    /// Texts in which it has to report nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub negatives: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    detector: Vec<Detector>,
}

/// Why detectors could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// The file is not of the form that it has to be of; the text says where.
    #[error("{file}: {why}")]
    Syntax {
        /// Name of the file.
        file: String,
        /// What is wrong, with line and column where the parser knows them.
        why: String,
    },
    /// One detector makes no sense.
    #[error("detector {id}: {why}")]
    Invalid {
        /// The detector.
        id: String,
        /// What is wrong and what to do.
        why: String,
    },
}

impl DetectorError {
    pub(crate) fn invalid(id: &str, why: impl std::fmt::Display) -> Self {
        Self::Invalid {
            id: id.to_owned(),
            why: why.to_string(),
        }
    }
}

/// The mark that breaks an example in the files, so that no file holds a whole token.
pub const BREAK: char = '¦';

/// Reads detectors from the text of a TOML file; `file` is named in errors.
///
/// # Errors
/// When the text is not such a file.
pub fn parse(file: &str, text: &str) -> Result<Vec<Detector>, DetectorError> {
    let file: File = toml::from_str(text).map_err(|e| DetectorError::Syntax {
        file: file.to_owned(),
        why: e.to_string(),
    })?;
    Ok(file.detector)
}

/// An example as it is meant, without the marks that break it.
#[must_use]
pub fn unbroken(example: &str) -> String {
    example.replace(BREAK, "")
}

/// An example with marks inside every run that could be taken for a token.
#[must_use]
pub fn broken(example: &str) -> String {
    let mut out = String::with_capacity(example.len() + example.len() / 4);
    let mut run = 0;
    for c in example.chars() {
        if c.is_ascii_alphanumeric() || "+/=_-.~:".contains(c) {
            run += 1;
            if run % 7 == 0 {
                out.push(BREAK);
            }
        } else {
            run = 0;
        }
        out.push(c);
    }
    out
}

/// The detectors that come with the program, without their examples.
///
/// # Errors
/// When the embedded data is damaged, which a test of this crate excludes.
pub fn builtin() -> Result<Vec<Detector>, DetectorError> {
    serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/detectors.json"))).map_err(|e| {
        DetectorError::Syntax {
            file: "embedded detectors".to_owned(),
            why: e.to_string(),
        }
    })
}
