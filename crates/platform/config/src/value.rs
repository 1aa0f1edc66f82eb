//! Types of values that configuration files write as text.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de};

/// A length of time: a whole number and a unit: `ms`, `s`, `m`, `h`, `d` (24 hours) or `w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(i64);

const UNITS: [(&str, i64); 6] = [
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60 * 1_000_000),
    ("h", 3_600 * 1_000_000),
    ("d", 86_400 * 1_000_000),
    ("w", 7 * 86_400 * 1_000_000),
];

impl Length {
    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The standard library's form.
    pub const fn std(self) -> std::time::Duration {
        // Never negative: the text has no sign.
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }
}

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(at);
        let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
        match (digits.parse::<i64>(), unit) {
            (Ok(count), Some((_, micros))) => count
                .checked_mul(*micros)
                .map(Self)
                .ok_or_else(|| format!("`{text}` is too long")),
            _ => Err(format!(
                "`{text}` is not a length of time such as 500ms, 30s, 15m, 8h, 7d or 2w"
            )),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days are the largest unit that is shown: `7d` stays `7d`.
        let (name, micros) = UNITS[..5]
            .iter()
            .rev()
            .find(|(_, micros)| self.0 % micros == 0 && self.0 != 0)
            .unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", self.0 / micros)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Text that never shows in debug output, tables or errors.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself: for the one place that uses it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "********" })
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl FromStr for LogFormat {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not one of auto, text, json")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_read_and_show_the_same() {
        for text in ["500ms", "30s", "15m", "8h", "7d", "14d", "0ms"] {
            assert_eq!(text.parse::<Length>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "h",
            "5",
            "-5s",
            "5 years",
            "99999999999999999999s",
            "9999999999999w",
        ] {
            assert!(bad.parse::<Length>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "\\PC{0,20}") {
            let _ = text.parse::<Length>();
        }
    }

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "********");
    }
}
