//! Questions that other crates ask without SQL.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::ScalarValue;
use datafusion::prelude::{DataFrame, Expr, col, lit};
use sealwright_core::{Cursor, TenantId, TenantScope, UnixMicros};
use sealwright_events::{Search, StoredEvent};
use sealwright_terms::Phrase;

use crate::error::{LakeError, Result};
use crate::files::DataFile;
use crate::query::{EVENT_COLUMNS, LONGEST_QUERY_SECONDS, Scoped};
use crate::rows::stored_events;
use crate::table::{Lake, Snapshot};
use crate::udf;

/// Memory of one question in bytes.
const MEMORY: usize = 512 << 20;
/// Most events of one page.
pub const LARGEST_PAGE: usize = 10_000;

/// Which events. Every condition that is given must hold; the default is all events of the scope.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of one of these types, each exact.
    pub types: Vec<String>,
    /// Of this tenant. A tenant outside of the scope has no events.
    pub tenant: Option<TenantId>,
    /// From this `time` on (included).
    pub from: Option<UnixMicros>,
    /// Until this `time` (not included).
    pub to: Option<UnixMicros>,
    /// With this `source`.
    pub source: Option<String>,
    /// With this `id`.
    pub id: Option<String>,
    /// With this `subject`.
    pub subject: Option<String>,
    /// With each of these in its JSON.
    pub texts: Vec<Phrase>,
    /// Within these offsets, the end not included.
    pub offsets: Option<Range<u64>>,
    /// At one of these offsets.
    pub at: Option<BTreeSet<u64>>,
}

/// In which order pages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As the events were accepted.
    #[default]
    OldestFirst,
    /// The last accepted first.
    NewestFirst,
}

/// A page of events.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The events, by offset.
    pub events: Vec<StoredEvent>,
    /// Continues after the last event; `None` when there are no more in the lake.
    pub next: Option<Cursor>,
    /// The first offset that the lake did not hold; events from there on are in the log only.
    pub next_offset: u64,
}

fn text(value: &str) -> Expr {
    lit(ScalarValue::Utf8View(Some(value.to_owned())))
}

fn moment(value: UnixMicros) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(value.0),
        Some("UTC".into()),
    ))
}

fn offset(value: u64) -> Expr {
    lit(i64::try_from(value).unwrap_or(i64::MAX))
}

impl EventFilter {
    /// What a search looks for, but for its scope.
    pub(crate) fn of(search: &Search) -> Self {
        Self {
            types: search.types.clone(),
            from: Some(search.from),
            to: Some(search.to),
            source: search.source.clone(),
            id: search.id.clone(),
            subject: search.subject.clone(),
            texts: search.texts.clone(),
            ..Self::default()
        }
    }

    fn apply(&self, mut rows: DataFrame) -> Result<DataFrame> {
        let mut conditions = Vec::new();
        match self.types.as_slice() {
            [] => {}
            [one] => conditions.push(col("type").eq(text(one))),
            many => {
                conditions.push(col("type").in_list(many.iter().map(|t| text(t)).collect(), false))
            }
        }
        if let Some(tenant) = self.tenant {
            conditions.push(col("tenant_id").eq(text(&tenant.to_string())));
        }
        if let Some(from) = self.from {
            conditions.push(col("time").gt_eq(moment(from)));
        }
        if let Some(to) = self.to {
            conditions.push(col("time").lt(moment(to)));
        }
        for (name, value) in [
            ("source", &self.source),
            ("id", &self.id),
            ("subject", &self.subject),
        ] {
            if let Some(value) = value {
                conditions.push(col(name).eq(text(value)));
            }
        }
        for phrase in &self.texts {
            conditions.push(udf::holds(phrase.clone()).call(vec![col("json")]));
        }
        if let Some(offsets) = &self.offsets {
            conditions.push(col("offset").gt_eq(offset(offsets.start)));
            conditions.push(col("offset").lt(offset(offsets.end)));
        }
        if let Some(at) = &self.at {
            // The bounds prune files; the list alone would too, but only while it is short.
            let (Some(first), Some(last)) = (at.first(), at.last()) else {
                return Ok(rows.filter(lit(false))?);
            };
            conditions.push(col("offset").gt_eq(offset(*first)));
            conditions.push(col("offset").lt_eq(offset(*last)));
            conditions.push(col("offset").in_list(at.iter().map(|o| offset(*o)).collect(), false));
        }
        for condition in conditions {
            rows = rows.filter(condition)?;
        }
        Ok(rows)
    }
}

/// As long as a question may take.
pub(crate) async fn limited<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(Duration::from_secs(LONGEST_QUERY_SECONDS), work)
        .await
        .map_err(|_| LakeError::Limit {
            limit: format!("{LONGEST_QUERY_SECONDS} seconds"),
        })?
}

impl Lake {
    /// A page of at most `limit` events (and at most [`LARGEST_PAGE`]) by offset, which continues at
    /// `cursor`. Events that are not yet in the lake are not in it: see [`EventPage::next_offset`].
    ///
    /// # Errors
    /// [`LakeError::Invalid`] for a cursor that is none; [`LakeError::Limit`]; [`LakeError::Damaged`].
    pub async fn events_of(
        &self,
        scope: TenantScope,
        filter: &EventFilter,
        order: Order,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<EventPage> {
        let limit = limit.clamp(1, LARGEST_PAGE);
        let (snapshot, _reader) = self.read().await?;
        let next_offset = self.next_offset();
        let page = self.page_of(snapshot, None, scope, filter, order, cursor, limit);
        let (events, more) = limited(page).await?;
        Ok(EventPage {
            next: events
                .last()
                .filter(|_| more)
                .map(|e| Cursor(e.offset.to_string())),
            events,
            next_offset,
        })
    }

    /// A page of the events of a state, or of some of its files, and whether there are more.
    #[expect(clippy::too_many_arguments, reason = "each says where or which")]
    pub(crate) async fn page_of(
        &self,
        snapshot: Arc<Snapshot>,
        files: Option<Vec<DataFile>>,
        scope: TenantScope,
        filter: &EventFilter,
        order: Order,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<(Vec<StoredEvent>, bool)> {
        let scoped = Scoped::of_files(self, snapshot, files, scope, MEMORY)?;
        let mut rows = filter.apply(scoped.rows())?;
        if let Some(cursor) = cursor {
            let after = cursor.0.parse::<u64>().map_err(|_| {
                LakeError::Invalid("the cursor is not one of a list of events".to_owned())
            })?;
            rows = rows.filter(match order {
                Order::OldestFirst => col("offset").gt(offset(after)),
                Order::NewestFirst => col("offset").lt(offset(after)),
            })?;
        }
        let rows = rows
            .select(EVENT_COLUMNS.map(col).to_vec())?
            .sort(vec![col("offset").sort(order == Order::OldestFirst, false)])?
            .limit(0, Some(limit + 1))?;
        let batches = Box::pin(rows.collect()).await?;
        let mut events = Vec::with_capacity(limit + 1);
        for batch in &batches {
            events.extend(stored_events(batch)?);
        }
        let more = events.len() > limit;
        events.truncate(limit);
        Ok((events, more))
    }

    /// How many events the lake holds of those that `filter` lets through.
    ///
    /// # Errors
    /// [`LakeError::Limit`]; [`LakeError::Damaged`].
    pub async fn count(&self, scope: TenantScope, filter: &EventFilter) -> Result<u64> {
        let (snapshot, _reader) = self.read().await?;
        let scoped = Scoped::new(self, snapshot, scope, MEMORY)?;
        let rows = filter.apply(scoped.rows())?;
        let count = limited(async { Ok(Box::pin(rows.count()).await?) }).await?;
        Ok(count as u64)
    }
}
