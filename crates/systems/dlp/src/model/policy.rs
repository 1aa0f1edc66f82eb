//! What is done about a finding: by severity and class, for a tenant and a bucket.

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use sealwright_scan::{Class, Severity};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of [`PolicyId`].
#[derive(Debug)]
pub enum PolicyKind {}

impl IdKind for PolicyKind {
    const PREFIX: &'static str = "pol";
}

/// The id of a policy.
pub type PolicyId = Id<PolicyKind>;

/// What is done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyAction {
    /// It is noted, nothing more.
    Audit,
    /// The object is replaced by one without the values.
    Redact,
    /// The object must be encrypted at rest.
    Encrypt,
    /// The object is taken away until somebody has looked at it.
    Quarantine,
}

impl PolicyAction {
    /// Every action, from the mildest to the strictest.
    pub const ALL: [Self; 4] = [Self::Audit, Self::Redact, Self::Encrypt, Self::Quarantine];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Redact => "redact",
            Self::Encrypt => "encrypt",
            Self::Quarantine => "quarantine",
        }
    }
}

/// Whether a policy acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyMode {
    /// It says what it would do.
    DryRun,
    /// It does it.
    Enforce,
}

impl PolicyMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::DryRun, Self::Enforce];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Enforce => "enforce",
        }
    }
}

/// What becomes of the version that a redacted or encrypted one takes the place of. Nothing becomes of it while
/// something holds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = PolicyOriginal)]
pub enum Original {
    /// It stays, as an older version.
    Keep,
    /// It goes into quarantine, where the place has one; else it stays.
    #[default]
    Quarantine,
    /// It is erased.
    Erase,
}

impl Original {
    /// Every fate.
    pub const ALL: [Self; 3] = [Self::Keep, Self::Quarantine, Self::Erase];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Quarantine => "quarantine",
            Self::Erase => "erase",
        }
    }
}

macro_rules! by_name {
    ($($type:ty, $what:literal);* $(;)?) => {$(
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::std::str::FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|one| one.as_str()).collect();
                    let text: String = text.chars().take(40).collect();
                    format!("`{text}` is no {}; give one of {}", $what, names.join(", "))
                })
            }
        }
    )*};
}

pub(crate) use by_name;

by_name! {
    PolicyAction, "action";
    PolicyMode, "mode";
    Original, "fate of an original";
}

/// The class of a word.
///
/// # Errors
/// The words that there are.
pub fn class(text: &str) -> Result<Class, String> {
    CLASSES
        .into_iter()
        .find(|class| class.as_str() == text)
        .ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("`{text}` is no class; give one of pii, financial, health, secret, technical")
        })
}

/// Every class.
pub const CLASSES: [Class; 5] = [
    Class::Pii,
    Class::Financial,
    Class::Health,
    Class::Secret,
    Class::Technical,
];

/// Every severity, the worst first.
pub const SEVERITIES: [Severity; 4] = [
    Severity::Critical,
    Severity::High,
    Severity::Medium,
    Severity::Low,
];

/// The severity of a word.
///
/// # Errors
/// The words that there are.
pub fn severity(text: &str) -> Result<Severity, String> {
    SEVERITIES
        .into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("`{text}` is no severity; give one of critical, high, medium, low")
        })
}

/// Where a policy holds: the narrower of two wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyScope {
    /// One tenant; every tenant when absent.
    pub tenant: Option<TenantId>,
    /// One bucket; every bucket when absent.
    pub bucket: Option<String>,
    /// One class; every class when absent.
    pub class: Option<Class>,
    /// The severity.
    pub severity: Severity,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Where it holds.
    pub scope: PolicyScope,
    /// What is done.
    pub action: PolicyAction,
    /// What becomes of the version that a redacted or encrypted one takes the place of.
    pub original: Original,
    /// Whether people are told at once.
    pub alert: bool,
    /// Whether it is done, or only said.
    pub mode: PolicyMode,
    /// Grows with each change.
    pub revision: i64,
    /// When it was changed last.
    pub changed_at: UnixMicros,
    /// By whom.
    pub changed_by: String,
}

/// What is to be done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The action.
    pub action: PolicyAction,
    /// What becomes of the version that a redacted or encrypted one takes the place of.
    pub original: Original,
    /// Whether people are told at once.
    pub alert: bool,
    /// Whether it is done, or only said.
    pub mode: PolicyMode,
    /// The policy that says so; none for the built-in rule.
    pub policy: Option<PolicyId>,
}

/// The rule where no policy is set: critical is quarantined and told at once, high must be encrypted and is
/// told at once, medium is redacted, low is noted. Nothing is done before somebody sets a policy to
/// `enforce`.
#[must_use]
pub const fn built_in(severity: Severity) -> Decision {
    let (action, alert) = match severity {
        Severity::Critical => (PolicyAction::Quarantine, true),
        Severity::High => (PolicyAction::Encrypt, true),
        Severity::Medium => (PolicyAction::Redact, false),
        Severity::Low => (PolicyAction::Audit, false),
    };
    Decision {
        action,
        original: Original::Quarantine,
        alert,
        mode: PolicyMode::DryRun,
        policy: None,
    }
}

/// The decision for a finding. Of the policies that cover it the one for its bucket wins over the one for its
/// class, and one of its tenant over the installation's.
#[must_use]
pub fn decide(
    policies: &[Policy],
    tenant: TenantId,
    bucket: Option<&str>,
    class: Class,
    severity: Severity,
) -> Decision {
    policies
        .iter()
        .filter(|policy| {
            let scope = &policy.scope;
            scope.severity == severity
                && scope.tenant.is_none_or(|id| id == tenant)
                && scope.class.is_none_or(|one| one == class)
                && scope
                    .bucket
                    .as_deref()
                    .is_none_or(|one| Some(one) == bucket)
        })
        .max_by_key(|policy| {
            let scope = &policy.scope;
            (
                scope.tenant.is_some(),
                scope.bucket.is_some(),
                scope.class.is_some(),
            )
        })
        .map_or_else(
            || built_in(severity),
            |policy| Decision {
                action: policy.action,
                original: policy.original,
                alert: policy.alert,
                mode: policy.mode,
                policy: Some(policy.id),
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(tenant: Option<TenantId>, bucket: Option<&str>, class: Option<Class>) -> Policy {
        Policy {
            id: PolicyId::new(UnixMicros(0)),
            scope: PolicyScope {
                tenant,
                bucket: bucket.map(str::to_owned),
                class,
                severity: Severity::High,
            },
            action: PolicyAction::Quarantine,
            original: Original::Quarantine,
            alert: false,
            mode: PolicyMode::Enforce,
            revision: 1,
            changed_at: UnixMicros(0),
            changed_by: String::new(),
        }
    }

    proptest! {
        /// However the list is ordered, the narrowest policy that covers a finding decides.
        #[test]
        fn the_narrowest_wins(order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(), gone in 0_usize..8) {
            let tenant = TenantId::new(UnixMicros(0));
            let all: Vec<Policy> = (0..8)
                .map(|bits: usize| policy(
                    (bits & 4 != 0).then_some(tenant),
                    (bits & 2 != 0).then_some("b"),
                    (bits & 1 != 0).then_some(Class::Pii),
                ))
                .collect();
            let kept: Vec<Policy> = order.iter().filter(|i| **i < gone).map(|i| all[*i].clone()).collect();
            let decision = decide(&kept, tenant, Some("b"), Class::Pii, Severity::High);
            if gone == 0 {
                prop_assert_eq!(decision, built_in(Severity::High));
            } else {
                prop_assert_eq!(decision.policy, Some(all[gone - 1].id));
            }
        }
    }

    #[test]
    fn others_do_not_count() {
        let (mine, other) = (TenantId::new(UnixMicros(0)), TenantId::new(UnixMicros(1)));
        let list = [
            policy(Some(other), None, None),
            policy(None, Some("elsewhere"), None),
        ];
        let decision = decide(&list, mine, Some("b"), Class::Pii, Severity::High);
        assert_eq!(decision, built_in(Severity::High));
        let decision = decide(&list, other, None, Class::Pii, Severity::Low);
        assert_eq!(decision, built_in(Severity::Low));
    }
}
