//! Actions: what one part of the program can do for another that asks for it.
//!
//! Detection decides that something shall be done; who can do it is wired by the binary. An action can be
//! looked at before it is done, is done at least once (so doing it twice changes nothing more), and says
//! what is needed to undo it, where that is possible.
//!
//! Architecture invariant: this crate knows no system and does nothing itself.

use async_trait::async_trait;
use sealwright_core::TenantId;

/// A kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name: `disable-user`.
    pub name: &'static str,
    /// What it does, in words.
    pub about: &'static str,
    /// What it is done to: the kind of entity (`user`, `key`), or `tenant`.
    pub target: &'static str,
    /// Whether it can be undone.
    pub undoable: bool,
}

/// An action that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id; the same order has the same id however often it is tried.
    pub id: String,
    /// The name of its kind.
    pub kind: String,
    /// For which tenant.
    pub tenant: TenantId,
    /// To what it is done.
    pub target: String,
    /// Why, in words.
    pub reason: String,
    /// Whether it was tried before: what is done already may have been done by that.
    pub again: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What happened, in words.
    pub detail: String,
    /// What [`Act::undo`] needs; `None` when there is nothing to undo.
    pub undo: Option<String>,
}

/// Why an action could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// It cannot be done, now or later; the text says why.
    #[error("{0}")]
    Refused(String),
    /// It could not be done now; it may be tried again.
    #[error("{0}")]
    Failed(String),
}

/// Somebody who can do actions.
#[async_trait]
pub trait Act: Send + Sync {
    /// The kinds that it can do.
    fn kinds(&self) -> &'static [Kind];

    /// What would happen, without doing it.
    ///
    /// # Errors
    /// Why it could not be done.
    async fn look(&self, order: &Order) -> Result<String, ActError>;

    /// Does it. Doing it again changes nothing more.
    ///
    /// # Errors
    /// Why it could not be done.
    async fn act(&self, order: &Order) -> Result<Done, ActError>;

    /// Undoes it; `undo` is what [`Act::act`] gave. Undoing it again changes nothing more.
    ///
    /// # Errors
    /// Why it could not be undone.
    async fn undo(&self, order: &Order, undo: &str) -> Result<String, ActError>;
}
