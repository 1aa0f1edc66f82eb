//! Actions, roles, and the scopes of API keys. Which role includes which action stands in `policy/roles.cedar`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $text:literal;)*) => {
        /// Something that needs permission. An API key's scopes are actions or `*`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $variant),* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name, as in an API key's scopes.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

actions! {
    /// Send events to the intake.
    EventsWrite = "events:write";
    /// See meters, usage, plans and invoices.
    BillingRead = "billing:read";
    /// Change plans and prices, import usage, generate and finalise invoices.
    BillingWrite = "billing:write";
    /// Query stored events with SQL.
    LakeRead = "lake:read";
    /// Erase a subject's stored events.
    LakeErase = "lake:erase";
    /// Read the ledger, its entries and proofs.
    LedgerRead = "ledger:read";
    /// See alerts, rules and cases.
    SiemRead = "siem:read";
    /// Change rules, work on alerts and cases.
    SiemWrite = "siem:write";
    /// See findings, holds, quarantine and retention.
    DlpRead = "dlp:read";
    /// Scan, quarantine and release, place and lift holds.
    DlpWrite = "dlp:write";
    /// See jobs and their history.
    JobsRead = "jobs:read";
    /// Start and cancel jobs.
    JobsWrite = "jobs:write";
    /// See channels, rules and deliveries of notifications.
    NotifyRead = "notify:read";
    /// Change channels and rules, test and resend.
    NotifyWrite = "notify:write";
    /// See what Prometheus servers are asked for, and how that stands.
    PrometheusRead = "prometheus:read";
    /// Decide which Prometheus servers are asked, with which credentials, and what is counted of the answers.
    PrometheusWrite = "prometheus:write";
    /// See tenants, users, keys and sessions.
    AccessRead = "access:read";
    /// Create and change tenants, users and keys.
    AccessAdmin = "access:admin";
    /// Create, change and disable owners.
    OwnersAdmin = "owners:admin";
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a user is to the installation or to one tenant.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, and who the other owners are.
    Owner,
    /// Everything except owners.
    Admin,
    /// Runs the systems; does not manage access.
    Operator,
    /// Reads everything, changes nothing.
    Auditor,
    /// Sees usage and invoices.
    Member,
}

impl Role {
    /// Every role, highest first.
    pub const ALL: &'static [Self] = &[
        Self::Owner,
        Self::Admin,
        Self::Operator,
        Self::Auditor,
        Self::Member,
    ];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Member => "member",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "`{text}` is not a role; it is one of owner, admin, operator, auditor, member"
                )
            })
    }
}

/// One scope of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `*`: every action.
    Everything,
    /// One action.
    One(Action),
}

impl Scope {
    /// The text, `*` or the action's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "*",
            Self::One(action) => action.as_str(),
        }
    }
}

/// The actions that a key may have. Who the owners are is a matter of people: no key decides it.
fn scope_actions() -> impl Iterator<Item = Action> {
    Action::ALL
        .iter()
        .copied()
        .filter(|action| *action != Action::OwnersAdmin)
}

/// A scope that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown scope `{0}`; valid scopes are {scopes}, *; \
     and for short: ingest (events:write), read (every :read scope), admin (*)",
    scopes = scope_actions().map(|a| a.as_str()).collect::<Vec<_>>().join(", ")
)]
pub struct ScopeError(pub String);

/// The scopes of an API key; never empty when parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Reads names and their short forms, in any number, separated by commas or white space:
    /// `ingest`, `events`, `intake` and `write` mean `events:write`; `read` every `:read` scope;
    /// `admin` and `all` everything.
    ///
    /// # Errors
    /// [`ScopeError`] for an unknown name, and for no name at all.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scopes = BTreeSet::new();
        let names = names
            .into_iter()
            .flat_map(|text| text.split([',', ' ', '\t', '\n']))
            .filter(|name| !name.is_empty());
        for name in names {
            match name.to_ascii_lowercase().as_str() {
                "*" | "admin" | "all" => {
                    scopes.insert(Scope::Everything);
                }
                "ingest" | "events" | "intake" | "write" => {
                    scopes.insert(Scope::One(Action::EventsWrite));
                }
                "read" => scopes.extend(
                    Action::ALL
                        .iter()
                        .filter(|action| action.as_str().ends_with(":read"))
                        .map(|action| Scope::One(*action)),
                ),
                exact => {
                    let action = scope_actions()
                        .find(|action| action.as_str() == exact)
                        .ok_or_else(|| ScopeError(name.chars().take(64).collect()))?;
                    scopes.insert(Scope::One(action));
                }
            }
        }
        if scopes.is_empty() {
            return Err(ScopeError(String::new()));
        }
        Ok(Self(scopes))
    }

    /// Whether they include `action`.
    pub fn allows(&self, action: Action) -> bool {
        action != Action::OwnersAdmin
            && (self.0.contains(&Scope::Everything) || self.0.contains(&Scope::One(action)))
    }

    /// The names, in a fixed order.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|scope| scope.as_str()).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse([text])
    }
}

impl Serialize for Scopes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn friendly_names_and_unknown_ones() {
        assert_eq!(Scopes::parse(["ingest"]).unwrap().names(), ["events:write"]);
        assert_eq!(Scopes::parse(["admin"]).unwrap().names(), ["*"]);
        let read = Scopes::parse(["read"]).unwrap();
        assert!(read.allows(Action::BillingRead) && !read.allows(Action::BillingWrite));
        let error = Scopes::parse(["billing:reed"]).unwrap_err().to_string();
        assert!(
            error.contains("`billing:reed`") && error.contains("billing:read"),
            "{error}"
        );
        assert!(Scopes::parse([","]).is_err());
        assert!(!Scopes::parse(["*"]).unwrap().allows(Action::OwnersAdmin));
    }
}
