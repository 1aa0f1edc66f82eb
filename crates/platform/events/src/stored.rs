//! An event as the log keeps it.

use bytes::Bytes;
use sealwright_core::{Digest, TenantId, UnixMicros};

/// An accepted event. `json` is the event in the JSON event format of CloudEvents 1.0, in canonical
/// form (see `sealwright_core::canonical`), so that `digest` is the SHA-256 of exactly these bytes and
/// anybody can compute it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The event's place in the log: 0, 1, 2 … without gaps.
    pub offset: u64,
    /// Whose event; decided by the key that sent it, never by the event alone.
    pub tenant: TenantId,
    /// When it was accepted.
    pub received_at: UnixMicros,
    /// When it happened: the `time` attribute, or `received_at` where the event has none.
    pub time: UnixMicros,
    /// The `id` attribute.
    pub id: String,
    /// The `source` attribute.
    pub source: String,
    /// The `type` attribute.
    pub event_type: String,
    /// The `subject` attribute.
    pub subject: Option<String>,
    /// The whole event as canonical JSON.
    pub json: Bytes,
    /// SHA-256 of `json`.
    pub digest: Digest,
}

impl StoredEvent {
    /// The event as a JSON value: attributes as members, the payload under `data`.
    ///
    /// # Errors
    /// Only when the stored bytes are damaged.
    pub fn value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }
}
