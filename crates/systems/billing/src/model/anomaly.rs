//! Anomalies: usage out of the ordinary, with everything that was known when it was found.

use std::fmt;
use std::str::FromStr;

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use sealwright_forecast::{DeviationRule, Severity};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Grain;

/// The kind of [`AnomalyId`].
#[derive(Debug)]
pub enum AnomalyKind {}

impl IdKind for AnomalyKind {
    const PREFIX: &'static str = "ano";
}

/// An anomaly.
pub type AnomalyId = Id<AnomalyKind>;

/// Where an anomaly stands: open → acknowledged / dismissed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnomalyState {
    /// Nobody has looked at it.
    Open,
    /// Somebody has, and it is one.
    Acknowledged,
    /// It is none, or does not matter.
    Dismissed,
}

impl AnomalyState {
    /// All, in the order of an anomaly's life.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Dismissed];

    /// The name in the store, in paths and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Dismissed => "dismissed",
        }
    }
}

impl fmt::Display for AnomalyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AnomalyState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| {
                format!("`{text}` is not a state of an anomaly: open, acknowledged or dismissed")
            })
    }
}

/// What found it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorName {
    /// So many standard deviations over a window of days.
    DeviationRule,
    /// Hours against their hour of the week, with a budget of false alarms.
    Seasonal,
}

impl DetectorName {
    /// The name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviationRule => "deviation-rule",
            Self::Seasonal => "seasonal",
        }
    }
}

impl FromStr for DetectorName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::DeviationRule, Self::Seasonal]
            .into_iter()
            .find(|name| name.name() == text)
            .ok_or_else(|| format!("`{text}` is not a detector: deviation-rule or seasonal"))
    }
}

/// How anomalies are looked for in a tenant's usage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnomalySettings {
    /// Whether they are looked for at all.
    pub enabled: bool,
    /// The rule for days.
    pub rule: DeviationRule,
    /// Whether hours are compared with their hour of the week, too.
    pub seasonal: bool,
    /// Expected false alarms a meter and 30 days of the seasonal detector.
    pub false_alarms_a_month: f64,
}

impl Default for AnomalySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            rule: DeviationRule::default(),
            seasonal: true,
            false_alarms_a_month: 1.0,
        }
    }
}

/// A value of the history that an anomaly was judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPoint {
    /// The start of its day or hour, in microseconds since 1970.
    #[schema(value_type = i64)]
    pub at: UnixMicros,
    /// The exact value; null when it is unknown.
    pub value: Option<String>,
}

/// What was known when an anomaly was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnomalyBody {
    /// The exact value.
    pub value: String,
    /// The meter's unit.
    pub unit: String,
    /// Whether the day was not over: the value was already too high.
    pub partial: bool,
    /// What was expected.
    pub expected: f64,
    /// The lowest value that would not have been an anomaly.
    pub low: f64,
    /// The highest value that would not have been an anomaly.
    pub high: f64,
    /// In standard deviations (rule), or as odds: the negative natural logarithm of its probability
    /// (seasonal). Absent when all values before it were zero.
    pub deviation: Option<f64>,
    /// Why it is one, in words.
    pub why: String,
    /// The values that it was judged by, oldest first.
    pub history: Vec<HistoryPoint>,
    /// The settings that it was judged by.
    pub settings: AnomalySettings,
    /// What was said when its state was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An anomaly as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// Its id.
    pub id: AnomalyId,
    /// Whose usage.
    pub tenant: TenantId,
    /// The meter's key.
    pub meter: String,
    /// A day or an hour.
    pub grain: Grain,
    /// Its start.
    pub at: UnixMicros,
    /// What found it.
    pub detector: DetectorName,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AnomalyState,
    /// Grows with each change; the ETag.
    pub revision: i64,
    /// What was known.
    pub body: AnomalyBody,
    /// When it was found.
    pub found_at: UnixMicros,
    /// When it was changed last.
    pub updated_at: UnixMicros,
    /// Who changed it last.
    pub updated_by: String,
    /// The ledger entry of its last change.
    pub ledger_entry: Option<String>,
}
