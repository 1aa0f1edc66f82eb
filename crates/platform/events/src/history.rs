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

/// What is asked of each event by [`History::sift`].
#[derive(Debug, Clone)]
pub struct Sieve {
    /// What may hold for events of which the rest is told without reading them.
    pub conditions: Vec<Asked>,
    /// Names of values ([`EventTerms`](crate::EventTerms)) that conditions ask for.
    pub values: Vec<String>,
    /// Events for which this may hold are given whole.
    pub whole: Condition,
}

/// One of the conditions of a [`Sieve`].
#[derive(Debug, Clone)]
pub struct Asked {
    /// The condition.
    pub condition: Condition,
    /// Which values are asked for where it holds: places in [`Sieve::values`].
    pub values: Vec<usize>,
}

/// A stored event, as far as it matters to a sieve.
#[derive(Debug, Clone)]
pub enum Sifted {
    /// It is to be looked at: what matters of it is not known otherwise.
    Whole(StoredEvent),
    /// No condition holds for it.
    Passed(Passed),
    /// Some conditions hold for it.
    Known(Known),
}

/// What is told of an event for which no condition holds.
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

/// What is told of an event for which conditions hold, when that is all that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The event.
    pub event: Passed,
    /// Those that hold, ascending: places in [`Sieve::conditions`]. No other holds.
    pub conditions: Arc<[usize]>,
    /// By place in [`Sieve::values`]; what these conditions do not ask for may be left out.
    pub values: Vec<Option<Arc<str>>>,
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

    /// All events of a query in order. A history with an index of terms reads those only of which the index does not say all that
    /// is asked for.
    async fn sift<'a>(
        &'a self,
        query: &HistoryQuery,
        sieve: &Sieve,
    ) -> Result<Box<dyn Sift + 'a>, HistoryError> {
        let _ = sieve;
        Ok(Box::new(EachPage {
            history: self,
            query: query.clone(),
            start: 0,
        }))
    }
}
