//! Suppressions: alerts that are not wanted for a time.

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};

use super::{Entity, Severity};

/// The kind of [`SuppressionId`].
#[derive(Debug)]
pub enum SuppressionIdKind {}

impl IdKind for SuppressionIdKind {
    const PREFIX: &'static str = "sup";
}

/// The id of a suppression.
pub type SuppressionId = Id<SuppressionIdKind>;

/// A suppression: matches of a rule become no alerts until it ends. A match that is worse than what was
/// suppressed, or that is about an entity that was not known then, becomes one all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// The id.
    pub id: SuppressionId,
    /// Whose alerts.
    pub tenant: TenantId,
    /// Of which rule.
    pub rule_id: String,
    /// Only about this entity.
    pub entity: Option<Entity>,
    /// The worst severity that it covers.
    pub severity: Severity,
    /// The entities that were known when it was made.
    pub known: Vec<Entity>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// When it was made.
    pub created_at: UnixMicros,
    /// Until when it holds.
    pub ends_at: UnixMicros,
    /// When it was ended before its time.
    pub ended_at: Option<UnixMicros>,
    /// Matches that became no alerts.
    pub hits: u64,
    /// The last of them.
    pub last_hit: Option<UnixMicros>,
    /// Grows with each change.
    pub revision: i64,
}

impl Suppression {
    /// Whether it holds at a moment.
    pub fn holds(&self, now: UnixMicros) -> bool {
        self.ended_at.is_none() && now < self.ends_at
    }

    /// Whether a match stays without an alert: it is of this rule (and entity), no worse than what was
    /// suppressed, and about nothing new.
    pub fn covers(&self, rule_id: &str, severity: Severity, entities: &[Entity]) -> bool {
        self.rule_id == rule_id
            && severity <= self.severity
            && self.entity.as_ref().is_none_or(|e| entities.contains(e))
            && entities.iter().all(|e| self.known.contains(e))
    }
}
