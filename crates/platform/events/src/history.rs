//! Stored events, long after they left the log.

use async_trait::async_trait;
use sealwright_core::{TenantId, UnixMicros};

use crate::StoredEvent;

/// Which stored events are wanted.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Whose.
    pub tenant: TenantId,
    /// Only these types; empty for all.
    pub event_types: Vec<String>,
    /// Only events that happened at or after this.
    pub from: Option<UnixMicros>,
    /// Only events that happened before this.
    pub to: UnixMicros,
    /// Only events with a smaller offset.
    pub below_offset: u64,
}

/// The history cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("stored events cannot be read: {0}")]
pub struct HistoryError(pub String);

/// Stored events in the order of the log. The lake is one; it lags the log a little.
#[async_trait]
pub trait History: Send + Sync {
    /// All events below this offset are stored.
    async fn next_offset(&self) -> Result<u64, HistoryError>;

    /// Makes everything that the log holds now visible here.
    async fn catch_up(&self) -> Result<(), HistoryError>;

    /// Up to `limit` events with an offset of at least `start`, in order.
    async fn page(
        &self,
        query: &HistoryQuery,
        start: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError>;
}
