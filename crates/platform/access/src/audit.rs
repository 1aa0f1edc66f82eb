//! The record of every change, written inside the transaction that makes it.

use futures::future::BoxFuture;
use sealwright_core::{Digest, TenantId, UnixMicros};
use sealwright_store::{StoreError, Tx};
use serde::Serialize;
use serde_json::Value;

use crate::principal::Principal;

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// `user`, `key` or `system`.
    pub kind: &'static str,
    /// The id of the user or key; `local` for the command line on the data folder.
    pub id: String,
    /// A name for people, e.g. the e-mail address.
    pub name: String,
}

impl From<&Principal> for Actor {
    fn from(value: &Principal) -> Self {
        Self {
            kind: value.kind.as_str(),
            id: value.id.clone(),
            name: value.name.clone(),
        }
    }
}

/// One change: who, what, when, and the subject's state before and after. The states hold no secrets;
/// what is recorded of them are their digests ([`AuditAction::before_digest`]) or the states
/// themselves, as the recorder decides.
#[derive(Debug, Clone, Serialize)]
pub struct AuditAction {
    /// When.
    pub at: UnixMicros,
    /// Who.
    pub actor: Actor,
    /// What, dotted: `access.key.create`.
    pub action: &'static str,
    /// Whose data, where it belongs to one tenant.
    pub tenant: Option<TenantId>,
    /// The id of what was changed.
    pub subject: String,
    /// Its state before; absent for a creation.
    pub before: Option<Value>,
    /// Its state after; absent for a deletion.
    pub after: Option<Value>,
}

impl AuditAction {
    /// SHA-256 of the canonical JSON of the state before.
    pub fn before_digest(&self) -> Option<Digest> {
        self.before.as_ref().map(Digest::of_json)
    }

    /// SHA-256 of the canonical JSON of the state after.
    pub fn after_digest(&self) -> Option<Digest> {
        self.after.as_ref().map(Digest::of_json)
    }
}

/// Where changes are recorded. The implementation writes into `tx`, so that the change and its record
/// are both kept or both lost.
pub trait Audit: Send + Sync + std::fmt::Debug {
    /// Records `action`.
    ///
    /// # Errors
    /// What the store said; the caller's transaction is then rolled back.
    fn record<'a>(
        &'a self,
        tx: &'a mut Tx,
        action: AuditAction,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Records nothing: for tools and tests that have no ledger. A server is wired to the ledger.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unrecorded;

impl Audit for Unrecorded {
    fn record<'a>(
        &'a self,
        _tx: &'a mut Tx,
        _action: AuditAction,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}
