//! How much an anomaly matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far something is from what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// Unlikely to be chance.
    High,
    /// Act now.
    Critical,
}

impl Severity {
    /// All, from the least on.
    pub const ALL: [Self; 3] = [Self::Warning, Self::High, Self::Critical];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == text)
            .ok_or_else(|| format!("`{text}` is not a severity: warning, high or critical"))
    }
}
