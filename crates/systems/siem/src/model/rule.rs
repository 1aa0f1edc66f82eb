//! Rules: what they are, and what is set for them.

use std::collections::BTreeMap;

use sealwright_core::Digest;
use sealwright_sigma::annotations::Tunable;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

super::states! {
    /// How bad it is; the levels of Sigma.
    Severity {
        /// Worth knowing.
        Informational = "informational",
        /// Look at it some day.
        Low = "low",
        /// Look at it today.
        Medium = "medium",
        /// Look at it within the hour.
        High = "high",
        /// Look at it now.
        Critical = "critical",
    }
}

impl Severity {
    /// The number in the database; a higher one is worse.
    pub const fn number(self) -> i64 {
        match self {
            Self::Informational => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Critical => 4,
        }
    }

    /// The severity of a number; what is out of range is the nearest.
    pub const fn of_number(number: i64) -> Self {
        match number {
            ..=0 => Self::Informational,
            1 => Self::Low,
            2 => Self::Medium,
            3 => Self::High,
            _ => Self::Critical,
        }
    }

    /// Reads Sigma's `level`; a rule without one is of medium severity.
    pub fn of_level(level: Option<&str>) -> Self {
        level
            .and_then(|text| text.parse().ok())
            .unwrap_or(Self::Medium)
    }

    /// How urgent it is: `P0` to `P3`.
    pub const fn priority(self) -> &'static str {
        match self {
            Self::Critical => "P0",
            Self::High => "P1",
            Self::Medium => "P2",
            Self::Low | Self::Informational => "P3",
        }
    }

    /// How long an alert may wait for an answer, in microseconds: 15 minutes, 1, 4 or 24 hours.
    pub const fn answer_within(self) -> i64 {
        use sealwright_core::clock::{HOUR, MINUTE};
        match self {
            Self::Critical => 15 * MINUTE,
            Self::High => HOUR,
            Self::Medium => 4 * HOUR,
            Self::Low | Self::Informational => 24 * HOUR,
        }
    }

    /// What an alert adds to the risk of its entities: 1, 5, 15, 40 or 80 points.
    pub const fn weight(self) -> i64 {
        match self {
            Self::Informational => 1,
            Self::Low => 5,
            Self::Medium => 15,
            Self::High => 40,
            Self::Critical => 80,
        }
    }

    /// `severity_id` of OCSF 1.
    pub const fn ocsf(self) -> u8 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::Critical => 5,
        }
    }
}

super::states! {
    /// What kind of rule it is.
    RuleKind {
        /// One event is enough.
        Rule = "rule",
        /// Several events together.
        Correlation = "correlation",
    }
}

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its name, as in messages.
    pub name: String,
    /// Its text.
    pub text: String,
    /// SHA-256 of the text.
    pub digest: Digest,
    /// Whether the program comes with it.
    pub floor: bool,
}

/// A rule as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RuleInfo {
    /// `id` of the rule; its name or title where it has none.
    pub id: String,
    /// The title.
    pub title: String,
    /// What kind it is: `rule`, or the type of the correlation.
    pub kind: String,
    /// The author, kept in every alert as the rules' licence asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The licence, where the rule names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What it looks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How bad a match is.
    pub severity: Severity,
    /// Tags, such as `attack.t1110.003`.
    pub tags: Vec<String>,
    /// What else may look like it.
    pub falsepositives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Its file.
    pub file: String,
    /// SHA-256 of the file's text.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Whether matches become alerts.
    pub enabled: bool,
    /// Whether it only serves correlations.
    pub internal: bool,
    /// Whether the program comes with it.
    pub floor: bool,
    /// The threshold, of a correlation that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// The window in seconds, of a correlation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timespan: Option<i64>,
    /// What groups its events, of a correlation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Placeholders without values: such a rule never matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<String>,
    /// The family that it belongs to, such as `authentication`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Criteria for which an alert, or the rule being on, is evidence: `CC6.1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What it asks for when it fires. Nothing is done because of it alone: that is a setting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
    /// Values that may be set, as they are now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunables: Vec<Tuned>,
    /// Ids of what a correlation counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// A value of a rule that may be set.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Tuned {
    /// Its name.
    pub name: String,
    /// What it means.
    pub about: String,
    /// The value in use.
    pub value: serde_json::Value,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
}

/// A value of a tunable as people write it: JSON, or else a text.
pub fn tuned_value(text: &str) -> serde_json::Value {
    let text = text.trim();
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
}

impl From<&Tunable> for Tuned {
    fn from(tunable: &Tunable) -> Self {
        Self {
            name: tunable.name.clone(),
            about: tunable.doc.clone(),
            value: tunable.value.clone(),
            minimum: tunable.minimum,
            maximum: tunable.maximum,
        }
    }
}

/// What is set for a rule, for one tenant or for all: only what differs from the rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// Whether matches become alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Another severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Another threshold, of a correlation: a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// Another window, of a correlation: `5m`, `1h`, `7d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timespan: Option<String>,
    /// Events with one of these values in a field do not match: field to values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exclude: BTreeMap<String, Vec<String>>,
    /// Values of placeholders: name to values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// Other values of the rule's tunables: name to value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tunables: BTreeMap<String, serde_json::Value>,
    /// Actions that an alert of the rule leads to, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
}

impl Setting {
    /// This setting, with what `narrower` says in its place.
    #[must_use]
    pub fn with(mut self, narrower: &Self) -> Self {
        self.enabled = narrower.enabled.or(self.enabled);
        self.severity = narrower.severity.or(self.severity);
        self.threshold = narrower.threshold.clone().or(self.threshold);
        self.timespan = narrower.timespan.clone().or(self.timespan);
        self.actions = narrower.actions.clone().or(self.actions);
        self.exclude.extend(narrower.exclude.clone());
        self.placeholders.extend(narrower.placeholders.clone());
        self.tunables.extend(narrower.tunables.clone());
        self
    }
}
