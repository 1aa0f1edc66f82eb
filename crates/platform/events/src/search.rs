//! Looking for stored events.

use async_trait::async_trait;
use sealwright_core::{TenantScope, UnixMicros};

use crate::{HistoryError, StoredEvent};

/// Which stored events are looked for. Every condition that is given must hold.
#[derive(Debug, Clone)]
pub struct Search {
    /// Whose.
    pub scope: TenantScope,
    /// Of one of these types, each exact.
    pub types: Vec<String>,
    /// With this source.
    pub source: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// With this subject.
    pub subject: Option<String>,
    /// With each of these texts somewhere in the event's JSON, whatever the case.
    pub texts: Vec<String>,
    /// That happened from this moment on.
    pub from: UnixMicros,
    /// That happened before this moment.
    pub to: UnixMicros,
}

/// Stored events, found by what they are.
#[async_trait]
pub trait EventSearch: Send + Sync {
    /// At most `limit` events, the last accepted first; only those with an offset below `below`, when it
    /// is given.
    async fn newest(
        &self,
        search: &Search,
        below: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError>;

    /// How many happened in each bucket of `width` microseconds that has some: (start, count).
    async fn histogram(
        &self,
        search: &Search,
        width: i64,
    ) -> Result<Vec<(UnixMicros, u64)>, HistoryError>;
}
