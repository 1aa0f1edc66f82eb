//! What must stay: a register that is asked before stored events are deleted.

use std::any::Any;

use async_trait::async_trait;
use sealwright_core::{TenantId, UnixMicros};

/// Stored events that must stay: every condition that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEvents {
    /// Whose.
    pub tenant: TenantId,
    /// Only events with this subject.
    pub subject: Option<String>,
    /// Only events that happened at or after this.
    pub from: Option<UnixMicros>,
    /// Only events that happened before this.
    pub to: Option<UnixMicros>,
    /// What holds them, for people: the id of a matter.
    pub by: String,
}

impl HeldEvents {
    /// Whether an event is held.
    #[must_use]
    pub fn covers(&self, tenant: TenantId, subject: Option<&str>, time: UnixMicros) -> bool {
        self.tenant == tenant
            && self
                .subject
                .as_deref()
                .is_none_or(|held| subject == Some(held))
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
    }
}

/// An answer. While it lives, nobody begins or ends a hold, so it is kept through a deletion and no longer.
pub struct Holds {
    /// What must stay.
    pub events: Vec<HeldEvents>,
    _guard: Box<dyn Any + Send>,
}

impl Holds {
    /// An answer, and what keeps it true.
    #[must_use]
    pub fn new(events: Vec<HeldEvents>, guard: Box<dyn Any + Send>) -> Self {
        Self {
            events,
            _guard: guard,
        }
    }
}

impl std::fmt::Debug for Holds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holds")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// What must stay is not known, so nothing may go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what must stay is not known: {0}")]
pub struct HoldError(pub String);

/// Knows what must stay. A system that keeps legal holds is one; the program wires it.
#[async_trait]
pub trait HoldRegister: Send + Sync {
    /// What must stay at this moment.
    ///
    /// # Errors
    /// [`HoldError`]: whoever asks deletes nothing then. So it is when the clock shows less than it has shown
    /// before.
    async fn ask(&self) -> Result<Holds, HoldError>;
}
