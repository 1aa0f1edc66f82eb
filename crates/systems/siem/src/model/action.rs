//! Actions that alerts lead to.

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};

use super::AlertId;

/// The kind of [`ActionId`].
#[derive(Debug)]
pub enum ActionIdKind {}

impl IdKind for ActionIdKind {
    const PREFIX: &'static str = "act";
}

/// The id of an action.
pub type ActionId = Id<ActionIdKind>;

super::states! {
    /// Where an action stands.
    ActionState {
        /// Somebody must approve it first.
        WaitsForApproval = "waits-for-approval",
        /// It is about to be done.
        Due = "due",
        /// It was done and holds.
        Done = "done",
        /// It could not be done; the detail says why.
        Failed = "failed",
        /// Somebody did not approve it.
        Refused = "refused",
        /// It shall be undone.
        UndoDue = "undo-due",
        /// It was undone by somebody.
        Undone = "undone",
        /// It was undone because its time was over.
        Expired = "expired",
    }
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The id.
    pub id: ActionId,
    /// Whose.
    pub tenant: TenantId,
    /// The alert that led to it.
    pub alert: AlertId,
    /// What is done: `suspend-key`, `block-address` …
    pub kind: String,
    /// To what.
    pub target: String,
    /// Where it stands.
    pub state: ActionState,
    /// Only says what would be done.
    pub dry_run: bool,
    /// When it was asked for.
    pub requested_at: UnixMicros,
    /// By whom: the rule's setting, or a person.
    pub requested_by: String,
    /// When it was approved.
    pub approved_at: Option<UnixMicros>,
    /// By whom.
    pub approved_by: Option<String>,
    /// When it was done.
    pub done_at: Option<UnixMicros>,
    /// When it is undone by itself.
    pub expires_at: Option<UnixMicros>,
    /// When it was undone or given up.
    pub ended_at: Option<UnixMicros>,
    /// What happened, in words.
    pub detail: String,
    /// What is needed to undo it.
    pub undo: String,
    /// Attempts so far.
    pub attempts: i64,
    /// Grows with each change.
    pub revision: i64,
}
