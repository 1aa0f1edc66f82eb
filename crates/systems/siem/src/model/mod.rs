//! Types and states.

mod action;
mod alert;
mod incident;
mod rule;
mod suppression;

pub use action::{Action, ActionId, ActionState};
pub use alert::{
    Alert, AlertBody, AlertEvent, AlertId, AlertState, Entity, HistoryEntry, Matched, RuleRef,
    Verdict, Window,
};
pub use incident::{Incident, IncidentId, IncidentState};
pub use rule::{RuleFile, RuleInfo, RuleKind, Setting, Severity, Tuned, tuned_value};
pub use suppression::{Suppression, SuppressionId};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize,
            serde::Deserialize, utoipa::ToSchema, clap::ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }
        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The name, as in JSON and the database.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => {
                        let short: String = other.chars().take(40).collect();
                        Err(format!("`{short}` is not one of {}", [$($text),*].join(", ")))
                    }
                }
            }
        }
    };
}
pub(crate) use states;
