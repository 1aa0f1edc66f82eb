//! Incidents: alerts that belong together.

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};

use super::Severity;

/// The kind of [`IncidentId`].
#[derive(Debug)]
pub enum IncidentIdKind {}

impl IdKind for IncidentIdKind {
    const PREFIX: &'static str = "inc";
}

/// The id of an incident.
pub type IncidentId = Id<IncidentIdKind>;

super::states! {
    /// Where an incident stands.
    IncidentState {
        /// It is worked on.
        Open = "open",
        /// It is over.
        Closed = "closed",
    }
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The id.
    pub id: IncidentId,
    /// Whose.
    pub tenant: TenantId,
    /// What people call it.
    pub title: String,
    /// Where it stands.
    pub state: IncidentState,
    /// The highest severity of its alerts.
    pub severity: Severity,
    /// Who leads it.
    pub owner: Option<String>,
    /// When it was opened.
    pub created_at: UnixMicros,
    /// When it last changed.
    pub updated_at: UnixMicros,
    /// When it was closed.
    pub closed_at: Option<UnixMicros>,
    /// Grows with each change.
    pub revision: i64,
}
