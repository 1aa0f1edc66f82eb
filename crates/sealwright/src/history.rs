//! The lake as systems read it: stored history.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::TenantScope;
use sealwright_events::{
    EventLog, History, HistoryError, HistoryQuery, ReadLimit, Sieve, Sift, StoredEvent, catch_up,
};
use sealwright_lake::{EventFilter, LARGEST_PAGE, Lake, LakeWriter, Order};

/// History in the lake.
pub(crate) struct LakeHistory {
    lake: Lake,
    writer: Arc<LakeWriter>,
    log: Arc<dyn EventLog>,
}

impl LakeHistory {
    /// The lake itself, which answers questions.
    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    pub(crate) fn new(lake: Lake, writer: Arc<LakeWriter>, log: Arc<dyn EventLog>) -> Self {
        Self { lake, writer, log }
    }
}

fn failed(error: impl std::fmt::Display) -> HistoryError {
    HistoryError(error.to_string())
}

#[async_trait]
impl History for LakeHistory {
    async fn next_offset(&self) -> Result<u64, HistoryError> {
        Ok(self.writer.durable_cursor())
    }

    async fn catch_up(&self) -> Result<(), HistoryError> {
        let head = self.log.head().await.map_err(failed)?;
        // The consumer's own task may be reading the same events: whoever comes first writes them,
        // the other is told and looks again.
        for _ in 0..600 {
            if self.writer.durable_cursor() >= head {
                return Ok(());
            }
            // Another process writes the lake: it does so within seconds. If it has gone, this one does.
            if !self.lake.try_own().await.map_err(failed)? {
                self.lake.refresh().await.map_err(failed)?;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
            if catch_up(
                self.log.as_ref(),
                self.writer.as_ref(),
                ReadLimit::default(),
            )
            .await
            .is_err()
            {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            self.writer.flush().await.map_err(failed)?;
        }
        Err(failed("the lake does not catch up with the log"))
    }

    async fn page(
        &self,
        query: &HistoryQuery,
        start: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError> {
        let filter = EventFilter {
            types: query.event_types.clone(),
            tenant: Some(query.tenant),
            from: query.from,
            to: Some(query.to),
            offsets: Some(start..query.below_offset),
            ..EventFilter::default()
        };
        let scope = TenantScope::One(query.tenant);
        let page = self
            .lake
            .events_of(
                scope,
                &filter,
                Order::OldestFirst,
                None,
                limit.min(LARGEST_PAGE),
            )
            .await
            .map_err(failed)?;
        Ok(page.events)
    }

    async fn sift<'a>(
        &'a self,
        query: &HistoryQuery,
        sieve: &Sieve,
    ) -> Result<Box<dyn Sift + 'a>, HistoryError> {
        Ok(Box::new(self.lake.sift(query, sieve)))
    }
}
