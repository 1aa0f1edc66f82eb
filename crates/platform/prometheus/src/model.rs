//! Sources, what they count, and what became of their windows.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// The kind of [`SourceId`].
#[derive(Debug)]
pub enum SourceIdKind {}
impl IdKind for SourceIdKind {
    const PREFIX: &'static str = "prs";
}
/// What is asked of a server.
pub type SourceId = Id<SourceIdKind>;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident as $schema:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
        #[serde(rename_all = "lowercase")]
        #[schema(as = $schema)]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|item| item.as_str() == text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|item| item.as_str()).collect();
                    format!("is not one of {}", all.join(", "))
                })
            }
        }
    };
}

words! {
    /// What is counted.
    Kind as PrometheusKind {
        /// The growth of each counter in each window, from raw samples.
        Counter = "counter",
        /// The level of each gauge in each window, from raw samples.
        Gauge = "gauge",
        /// What a PromQL expression is at the end of each window, by Prometheus's own arithmetic.
        Expression = "expression",
    }
}

words! {
    /// Which level of a gauge stands for a window.
    Take as PrometheusTake {
        /// The last one.
        Last = "last",
        /// The mean of the samples.
        Mean = "mean",
        /// The largest.
        Max = "max",
        /// The smallest.
        Min = "min",
    }
}

words! {
    /// What the server is shown.
    CredentialKind as PrometheusCredentialKind {
        /// Nothing.
        None = "none",
        /// A token (`Authorization: Bearer`).
        Bearer = "bearer",
        /// A name and a password (`Authorization: Basic`).
        Basic = "basic",
    }
}

words! {
    /// What became of a window.
    WindowState as PrometheusWindowState {
        /// Its events are made and on their way into the log.
        Taken = "taken",
        /// Its events are in the log.
        Done = "done",
        /// No series had a sample in it: nothing is known, and nothing was counted.
        Empty = "empty",
        /// It was over before it could be asked for, longer ago than the server keeps samples or the source
        /// catches up: nothing is known of it.
        Lost = "lost",
    }
}

words! {
    /// How a source stands.
    State as PrometheusState {
        /// It is asked, and nothing is in the way.
        Active = "active",
        /// The last attempt failed; it goes on by itself.
        Failing = "failing",
        /// It was not asked for longer than two windows and its delay; it catches up.
        Behind = "behind",
        /// Switched off.
        Disabled = "disabled",
    }
}

/// Whose usage it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PrometheusTenant)]
pub enum TenantOf {
    /// The tenant whose slug or id is the value of this label.
    Label(String),
    /// This one.
    #[schema(value_type = String)]
    Fixed(TenantId),
}

/// What is counted, and the event that it becomes. It never changes: another count is another source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PrometheusDefinition)]
pub struct Definition {
    /// What is counted.
    pub kind: Kind,
    /// A selector; for the kind `expression` any expression that yields a vector.
    pub expression: String,
    /// Of a gauge: which level stands for a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take: Option<Take>,
    /// The length of a window in seconds.
    pub interval_seconds: u32,
    /// Whose it is.
    pub tenant: TenantOf,
    /// The `type` of the events.
    pub event_type: String,
    /// The member of the events' data that holds the number.
    pub value_field: String,
    /// What the number is multiplied by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub factor: Option<Decimal>,
    /// Further members of the data, each with the label that it is taken from.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Further members of the data, each with its text.
    #[serde(default)]
    pub fixed: BTreeMap<String, String>,
}

impl Definition {
    /// The length of a window in microseconds.
    pub fn interval(&self) -> i64 {
        i64::from(self.interval_seconds) * sealwright_core::clock::SECOND
    }

    /// The start of the window that holds `at`, or begins there: windows begin at multiples of their length.
    pub fn floor(&self, at: UnixMicros) -> UnixMicros {
        UnixMicros(at.0 - at.0.rem_euclid(self.interval().max(1)))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn time<S: Serializer>(t: &UnixMicros, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(t)
}

#[allow(clippy::ref_option)]
fn opt_time<S: Serializer>(t: &Option<UnixMicros>, s: S) -> Result<S::Ok, S::Error> {
    match t {
        Some(t) => s.collect_str(t),
        None => s.serialize_none(),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn seconds<S: Serializer>(micros: &i64, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_i64(micros / sealwright_core::clock::SECOND)
}

/// A source.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PrometheusSource)]
pub struct Source {
    /// `prs_…`.
    #[schema(value_type = String)]
    pub id: SourceId,
    /// For people; unique.
    pub name: String,
    /// The server: what stands before `/api/v1/query`.
    pub url: String,
    /// What the server is shown.
    pub credential: CredentialKind,
    /// What is counted.
    pub definition: Definition,
    /// How long after a window's end it is asked for, in seconds.
    #[serde(rename = "delay_seconds", serialize_with = "seconds")]
    pub delay: i64,
    /// How far back windows are asked for, in seconds.
    #[serde(rename = "catch_up_seconds", serialize_with = "seconds")]
    pub catch_up: i64,
    /// Whether it is asked.
    pub enabled: bool,
    /// The end of the last window that was decided.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub done_through: UnixMicros,
    /// Attempts that failed since the last one that did not.
    pub failures: i64,
    /// Since when.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<UnixMicros>,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
    /// When it did.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_error_at: Option<UnixMicros>,
    /// When the last window was decided.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_done_at: Option<UnixMicros>,
    /// Not before then is it asked again.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub next_try_at: UnixMicros,
    /// Grows with each change by a person.
    pub version: i64,
    /// When it was made.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixMicros,
    /// When a person changed it last.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: UnixMicros,
    /// The credential, sealed.
    #[serde(skip)]
    pub sealed: String,
}

impl Source {
    /// From the end of the last window that was decided to `now`, in microseconds.
    pub const fn lag(&self, now: UnixMicros) -> i64 {
        let lag = now.since(self.done_through);
        if lag > 0 { lag } else { 0 }
    }

    /// How it stands.
    pub fn state(&self, now: UnixMicros) -> State {
        if !self.enabled {
            State::Disabled
        } else if self.failures > 0 {
            State::Failing
        } else if self.lag(now) > 2 * self.definition.interval() + self.delay + TICK {
            State::Behind
        } else {
            State::Active
        }
    }
}

/// How often sources are looked at, and a little: below that nobody is behind.
const TICK: i64 = 2 * sealwright_core::clock::MINUTE;

/// What the windows of a source add up to, over the history that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PrometheusTotals)]
pub struct Totals {
    /// Windows whose events are in the log.
    pub windows: i64,
    /// Events in the log.
    pub events: i64,
    /// Counters that began again.
    pub resets: i64,
    /// Windows in which no series had a sample.
    pub empty: i64,
    /// Series that had no sample in a window after having had one in the window before.
    pub vanished: i64,
    /// Stretches of windows that are lost.
    pub lost: i64,
    /// Series of no tenant that is known.
    pub unassigned: i64,
    /// Events that the intake refused.
    pub refused: i64,
}

/// What became of a window. `lost` ones that follow each other are one row.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PrometheusWindow)]
pub struct WindowRow {
    /// Where it begins; a sample at this moment belongs to the window before.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub start: UnixMicros,
    /// Where it ends; a sample at this moment belongs to it.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub end: UnixMicros,
    /// What became of it.
    pub state: WindowState,
    /// Series with a sample in it.
    pub series: i64,
    /// Samples in it.
    pub samples: i64,
    /// Events that were made of it.
    pub events: i64,
    /// Counters that began again.
    pub resets: i64,
    /// Series of which nothing was known before: their growth up to their first sample belongs to no window.
    pub appeared: i64,
    /// Series that had a sample in the window before and none in it.
    pub vanished: i64,
    /// Series that came back after more than a window; a counter's growth over the gap is in its event.
    pub returned: i64,
    /// Series with samples that say nothing: NaN, an infinity, a number that is too large, a histogram.
    pub unreadable: i64,
    /// Series that belong to no tenant that is known; nothing was made of them.
    pub unassigned: i64,
    /// Events that the intake refused, or that an earlier attempt had counted otherwise.
    pub refused: i64,
    /// What a person should know of it, at most 20 lines.
    pub problems: Vec<String>,
    /// When it was decided.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMicros,
}

/// A series that had no sample in the last window that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PrometheusQuietSeries)]
pub struct QuietSeries {
    /// Its name, which follows from the labels.
    pub series: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it had its last sample.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixMicros,
    /// What that said.
    #[schema(value_type = String)]
    pub value: Decimal,
}
