//! Windows, one after the other: asked for, made into events, put into the log, ticked off.
//!
//! A window goes through two transactions. The first keeps its events and where the next window begins; then the
//! events go into the log, which takes an event once by its id; the second moves the source on. A crash in between,
//! or a second process, repeats the same events, and nothing is counted twice or left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_cloudevents::{Event, Limits, parse_event};
use sealwright_core::clock::{DAY, HOUR, MINUTE};
use sealwright_core::{TenantId, UnixMicros};
use sealwright_events::{EventSink, SinkError};
use serde::Serialize;

use crate::client::Client;
use crate::error::{PrometheusError, PullError, line};
use crate::event::{self, Made};
use crate::model::{Source, SourceId, WindowRow, WindowState};
use crate::service::PrometheusService;
use crate::store;

/// A series is remembered for so long after its last sample. When it comes back later, it is a new one.
pub(crate) const REMEMBERED: i64 = 7 * DAY;
/// Events of one append.
const CHUNK: usize = 1_000;
/// Behind by more than this, the server is asked how long it keeps samples.
const LONG_BEHIND: i64 = HOUR;
/// How often others may move the source under a pull before it leaves it to them.
const MOST_MOVED: u32 = 20;
/// The longest pause after failures.
const LONGEST_PAUSE: i64 = 15 * MINUTE;

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Windows that were decided.
    pub windows: u32,
    /// Events that are in the log now.
    pub events: u64,
    /// Whether nothing is due any more.
    pub caught_up: bool,
    /// Why it stopped before that.
    pub error: Option<String>,
}

/// Asks servers. Cheap to clone.
#[derive(Clone)]
pub struct Puller {
    service: PrometheusService,
    sink: Arc<dyn EventSink>,
}

impl std::fmt::Debug for Puller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Puller").finish_non_exhaustive()
    }
}

enum Step {
    /// A window, or a stretch of lost ones, was decided.
    Decided(u64),
    /// Somebody else moved the source: look again.
    Moved,
    /// Nothing is due.
    Idle,
}

/// What one pull knows of the server.
#[derive(Default)]
struct Asked {
    retention: Option<Option<i64>>,
}

impl Puller {
    /// Pulls into `sink`.
    pub fn new(service: PrometheusService, sink: Arc<dyn EventSink>) -> Self {
        Self { service, sink }
    }

    /// The use cases behind it.
    pub const fn service(&self) -> &PrometheusService {
        &self.service
    }

    /// Decides the windows of a source that are due, at most `most` of them, while `go_on` says so. Why a window
    /// could not be had is kept with the source, which then pauses, and is told.
    ///
    /// # Errors
    /// What the store said, and [`PrometheusError::NotFound`].
    pub async fn pull(
        &self,
        id: SourceId,
        most: u32,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Pulled, PrometheusError> {
        let mut pulled = Pulled::default();
        let mut asked = Asked::default();
        let mut moved = 0;
        while pulled.windows < most && moved < MOST_MOVED && go_on() {
            let source = store::read_source(&self.service.store, id)
                .await?
                .ok_or_else(|| PrometheusError::NotFound {
                    kind: "source",
                    id: id.to_string(),
                })?;
            match self.step(&source, &mut asked).await {
                Ok(Step::Decided(events)) => {
                    pulled.windows += 1;
                    pulled.events += events;
                }
                Ok(Step::Moved) => moved += 1,
                Ok(Step::Idle) => {
                    pulled.caught_up = true;
                    break;
                }
                Err(PullError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    pulled.error = Some(self.failed(&source, &error).await?);
                    break;
                }
            }
        }
        if let Some(source) = store::read_source(&self.service.store, id).await? {
            // A metric of seconds; a day of microseconds is far from where a double loses them.
            #[allow(clippy::cast_precision_loss)]
            let lag = source.lag(self.service.now()) as f64 / 1e6;
            metrics::gauge!("sealwright_prometheus_lag_seconds", "source" => source.name).set(lag);
        }
        Ok(pulled)
    }

    async fn failed(&self, source: &Source, error: &PullError) -> Result<String, PrometheusError> {
        let now = self.service.now();
        let mut text = line(&error.to_string(), 600);
        if let Ok(Some(header)) = self.service.header(source) {
            text = header.clean(&text);
        }
        let doublings = u32::try_from(source.failures.clamp(0, 5)).unwrap_or_default();
        let pause = (MINUTE << doublings).min(LONGEST_PAUSE);
        metrics::counter!("sealwright_prometheus_failures_total", "source" => source.name.clone())
            .increment(1);
        tracing::warn!(source = %source.id, error = %text, "a window of Prometheus could not be had");
        store::failed(
            &self.service.store,
            source.id,
            &text,
            now,
            now.plus(pause - MINUTE / 2),
        )
        .await?;
        Ok(text)
    }

    async fn step(&self, source: &Source, asked: &mut Asked) -> Result<Step, PullError> {
        if !source.enabled {
            return Ok(Step::Idle);
        }
        if let Some((row, batch)) = store::taken_window(&self.service.store, source.id).await? {
            return self.finish(source, row, &batch).await;
        }
        let interval = source.definition.interval();
        let now = self.service.now();
        let end = source.done_through.plus(interval);
        if end.plus(source.delay) > now {
            return Ok(Step::Idle);
        }
        let client = Client {
            egress: &self.service.egress,
            base: &source.url,
            credential: self.service.header(source)?,
            limits: self.service.limits,
        };
        let mut back = source.catch_up;
        if now.since(end) > LONG_BEHIND.max(source.delay + interval) {
            if asked.retention.is_none() {
                asked.retention = Some(client.retention(now).await);
            }
            back = asked
                .retention
                .flatten()
                .map_or(back, |kept| kept.min(back));
        }
        // The first window of which all is kept.
        let oldest = source.definition.floor(now.plus(interval - 1 - back));
        if source.done_through < oldest {
            return self.lose(source, oldest).await;
        }
        let answer = client.window(&source.definition, end, now).await?;
        let known = store::known(&self.service.store, source.id).await?;
        let made = event::make(source, &self.service.directory, &known, answer, end, now)?;
        self.take(source, made).await
    }

    /// Passes over windows that nobody can ask for any more.
    async fn lose(&self, source: &Source, to: UnixMicros) -> Result<Step, PullError> {
        let now = self.service.now();
        let mut row = WindowRow::new(source.done_through, to, WindowState::Lost, now);
        let windows = to.since(source.done_through) / source.definition.interval().max(1);
        row.problem(format!(
            "{windows} windows were not asked for while the server had them; what was used in them is not known"
        ));
        let mut tx = self.service.store.begin().await?;
        if !still(&mut tx, source).await? {
            return Ok(Step::Moved);
        }
        store::insert_window(&mut tx, source.id, &row, None).await?;
        let way = (source.done_through, to);
        if store::advance(&mut tx, source.id, way, now, now).await? == 0 {
            return Ok(Step::Moved);
        }
        tx.commit().await?;
        tracing::warn!(source = %source.id, from = %row.start, to = %row.end, "windows of Prometheus are lost");
        count(WindowState::Lost);
        Ok(Step::Decided(0))
    }

    /// The first transaction: what was made of the window is kept.
    async fn take(&self, source: &Source, mut made: Made) -> Result<Step, PullError> {
        let now = self.service.now();
        let end = made.row.end;
        let mut tx = self.service.store.begin().await?;
        if !still(&mut tx, source).await? {
            return Ok(Step::Moved);
        }
        store::put_series(&mut tx, source.id, &made.kept).await?;
        store::prune_series(&mut tx, source.id, end.plus(-REMEMBERED)).await?;
        let decided = made.batch.is_empty();
        if decided && made.row.state == WindowState::Taken {
            made.row.state = WindowState::Done;
        }
        let batch = serde_json::to_string(&made.batch)
            .map_err(|error| PullError::Malformed(error.to_string()))?;
        let batch = (!decided).then_some(batch.as_str());
        store::insert_window(&mut tx, source.id, &made.row, batch).await?;
        if decided {
            let way = (source.done_through, end);
            if store::advance(&mut tx, source.id, way, now, next_try(source, end)).await? == 0 {
                return Ok(Step::Moved);
            }
        }
        tx.commit().await?;
        if decided {
            count(made.row.state);
            return Ok(Step::Decided(0));
        }
        match batch {
            Some(batch) => self.finish(source, made.row, batch).await,
            None => Ok(Step::Moved),
        }
    }

    /// The events of a window go into the log; then the second transaction moves the source on.
    async fn finish(
        &self,
        source: &Source,
        mut row: WindowRow,
        batch: &str,
    ) -> Result<Step, PullError> {
        let batch: Vec<(TenantId, String)> = serde_json::from_str(batch)
            .map_err(|error| PullError::Malformed(format!("of what was kept: {error}")))?;
        let mut groups: BTreeMap<TenantId, Vec<Event>> = BTreeMap::new();
        for (tenant, json) in &batch {
            let event = parse_event(json.as_bytes(), &Limits::default())
                .map_err(|error| PullError::Malformed(format!("of what was kept: {error}")))?;
            groups.entry(*tenant).or_default().push(event);
        }
        row.events = 0;
        for (tenant, events) in groups {
            for chunk in events.chunks(CHUNK) {
                self.append(tenant, chunk.to_vec(), &mut row).await?;
            }
        }
        let now = self.service.now();
        (row.state, row.at) = (WindowState::Done, now);
        let mut tx = self.service.store.begin().await?;
        if store::lock_source(&mut tx, source.id).await?.is_none() {
            return Ok(Step::Moved);
        }
        if store::close_window(&mut tx, source.id, &row).await? == 0 {
            return Ok(Step::Moved);
        }
        let way = (row.start, row.end);
        if store::advance(&mut tx, source.id, way, now, next_try(source, row.end)).await? == 0 {
            return Ok(Step::Moved);
        }
        tx.commit().await?;
        count(WindowState::Done);
        Ok(Step::Decided(u64::try_from(row.events).unwrap_or_default()))
    }

    /// Appends; events that are refused are left out, and said.
    async fn append(
        &self,
        tenant: TenantId,
        mut events: Vec<Event>,
        row: &mut WindowRow,
    ) -> Result<(), PullError> {
        while !events.is_empty() {
            match self.sink.append(tenant, &events).await {
                Ok(_) => {
                    row.events += i64::try_from(events.len()).unwrap_or(i64::MAX);
                    return Ok(());
                }
                Err(SinkError::Failed(detail)) => return Err(PullError::Sink(line(&detail, 300))),
                Err(SinkError::Refused(refused)) => {
                    let before = events.len();
                    let mut at = 0;
                    events.retain(|_| {
                        at += 1;
                        !refused.iter().any(|(index, _)| index + 1 == at)
                    });
                    if events.len() == before {
                        return Err(PullError::Sink(
                            "it was refused without a reason".to_owned(),
                        ));
                    }
                    row.refused += i64::try_from(before - events.len()).unwrap_or(i64::MAX);
                    for (_, detail) in refused {
                        row.problem(format!("an event was refused: {}", line(&detail, 300)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the source still is where the window was asked for, with no window on its way.
async fn still(tx: &mut sealwright_store::Tx, source: &Source) -> Result<bool, PullError> {
    let Some(now) = store::lock_source(tx, source.id).await? else {
        return Ok(false);
    };
    Ok(now.done_through == source.done_through && !store::has_taken(tx, source.id).await?)
}

/// When the window after the one that ends at `end` is due.
fn next_try(source: &Source, end: UnixMicros) -> UnixMicros {
    end.plus(source.definition.interval() + source.delay)
}

fn count(state: WindowState) {
    metrics::counter!("sealwright_prometheus_windows_total", "state" => state.as_str())
        .increment(1);
}
