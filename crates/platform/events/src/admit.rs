//! What a system may say about an event before it is accepted.

use sealwright_core::{TenantId, UnixMicros};

/// An event that was parsed and is about to be accepted.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Whose event.
    pub tenant: TenantId,
    /// The `type` attribute.
    pub event_type: &'a str,
    /// When it happened.
    pub time: UnixMicros,
    /// The whole event as canonical JSON (see [`crate::StoredEvent::json`]).
    pub json: &'a [u8],
}

/// Why an event is refused; it becomes the event's own result in the answer to its sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Rejection {
    /// The stable name of the reason, in kebab-case.
    pub code: &'static str,
    /// Where in the event, as a JSON Pointer (RFC 6901); empty for the event as a whole.
    pub pointer: String,
    /// What is wrong and what to do.
    pub detail: String,
}

/// A check that a system puts in front of acceptance. It must be quick and must not do I/O: it
/// runs for every event, before the event is durable.
pub trait Admit: Send + Sync {
    /// Accepts or refuses the event.
    ///
    /// # Errors
    /// The reason for the refusal.
    fn admit(&self, event: &Incoming<'_>) -> Result<(), Rejection>;
}
