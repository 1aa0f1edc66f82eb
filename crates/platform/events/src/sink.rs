//! Where imports write events.

use async_trait::async_trait;
use sealwright_cloudevents::Event;
use sealwright_core::TenantId;

/// Takes events into the log, whatever their age: all of a batch or nothing; duplicates change nothing.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Appends a batch; it is durable when this returns.
    ///
    /// # Errors
    /// [`SinkError`]
    async fn append(&self, tenant: TenantId, events: &[Event]) -> Result<Appended, SinkError>;
}

/// What became of a batch that was appended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Events that were new.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
}

/// Why a batch was not appended. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// These events of the batch are refused, by index, with the reason.
    #[error("{} events were refused", .0.len())]
    Refused(Vec<(usize, String)>),
    /// The log could not be written; trying again is safe.
    #[error("{0}")]
    Failed(String),
}
