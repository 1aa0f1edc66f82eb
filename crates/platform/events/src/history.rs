//! Stored events, long after they left the log.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::{TenantId, UnixMicros};
use sealwright_terms::Condition;

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

/// A stored event, as far as it matters to a condition.
#[derive(Debug, Clone)]
pub enum Sifted {
    /// The condition may hold for it.
    Whole(StoredEvent),
    /// The condition does not hold for it.
    Passed(Passed),
}

/// What is told of an event for which a condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Its place in the log.
    pub offset: u64,
    /// When it happened.
    pub time: UnixMicros,
    /// When it was received.
    pub received_at: UnixMicros,
    /// Where it came from.
    pub source: Arc<str>,
}

/// Goes through stored events.
#[async_trait]
pub trait Sift: Send {
    /// The next events, in order; none when there are no more.
    async fn next(&mut self) -> Result<Vec<Sifted>, HistoryError>;
}

/// Events of a page that is read by a [`Sift`] that looks at each.
const PAGE: usize = 10_000;

/// Sifts out nothing.
struct EachPage<'a, H: ?Sized> {
    history: &'a H,
    query: HistoryQuery,
    start: u64,
}

#[async_trait]
impl<H: History + ?Sized> Sift for EachPage<'_, H> {
    async fn next(&mut self) -> Result<Vec<Sifted>, HistoryError> {
        let page = self.history.page(&self.query, self.start, PAGE).await?;
        if let Some(last) = page.last() {
            self.start = last.offset + 1;
        }
        Ok(page.into_iter().map(Sifted::Whole).collect())
    }
}

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

    /// All events of a query in order, those whole for which `condition` may hold. A history with an index of terms does not
    /// read the others.
    async fn sift<'a>(
        &'a self,
        query: &HistoryQuery,
        condition: &Condition,
    ) -> Result<Box<dyn Sift + 'a>, HistoryError> {
        let _ = condition;
        Ok(Box::new(EachPage {
            history: self,
            query: query.clone(),
            start: 0,
        }))
    }
}
