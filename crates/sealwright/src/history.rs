//! The lake as systems read it: stored history.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::{TenantScope, UnixMicros};
use sealwright_events::{
    EventLog, EventSearch, History, HistoryError, HistoryQuery, ReadLimit, Search, StoredEvent,
    catch_up,
};
use sealwright_lake::{EventFilter, LARGEST_PAGE, Lake, LakeWriter, Order};

/// History in the lake.
pub(crate) struct LakeHistory {
    lake: Lake,
    writer: Arc<LakeWriter>,
    log: Arc<dyn EventLog>,
}

impl LakeHistory {
    pub(crate) fn new(lake: Lake, writer: Arc<LakeWriter>, log: Arc<dyn EventLog>) -> Self {
        Self { lake, writer, log }
    }
}

fn failed(error: impl std::fmt::Display) -> HistoryError {
    HistoryError(error.to_string())
}

fn filter_of(search: &Search) -> EventFilter {
    EventFilter {
        types: search.types.clone(),
        from: Some(search.from),
        to: Some(search.to),
        source: search.source.clone(),
        id: search.id.clone(),
        subject: search.subject.clone(),
        texts: search.texts.clone(),
        ..EventFilter::default()
    }
}

#[async_trait]
impl EventSearch for LakeHistory {
    async fn newest(
        &self,
        search: &Search,
        below: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError> {
        let filter = EventFilter {
            offsets: below.map(|below| 0..below),
            ..filter_of(search)
        };
        let limit = limit.min(LARGEST_PAGE);
        let page = self
            .lake
            .events_of(search.scope, &filter, Order::NewestFirst, None, limit)
            .await
            .map_err(failed)?;
        Ok(page.events)
    }

    async fn histogram(
        &self,
        search: &Search,
        width: i64,
    ) -> Result<Vec<(UnixMicros, u64)>, HistoryError> {
        let buckets = self
            .lake
            .histogram(search.scope, &filter_of(search), width)
            .await
            .map_err(failed)?;
        let some = buckets.into_iter().filter(|bucket| bucket.count > 0);
        Ok(some.map(|bucket| (bucket.start, bucket.count)).collect())
    }
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
}
