//! Acceptance: from parsed events to durable ones.

use std::collections::HashMap;
use std::sync::Arc;

use sealwright_cloudevents::{Event, EventError, Limits};
use sealwright_core::clock::{DAY, MINUTE};
use sealwright_core::{Clock, TenantId, UnixMicros};
use sealwright_events::{Admit, Incoming, Rejection};
use tokio::sync::{mpsc, oneshot};

use crate::log::{AppendError, IntakeLog};
use crate::model::{BatchOutcome, NewEvent, Status};
use crate::receipt::{EventFault, EventResult, Receipt, ResultStatus};
use crate::turn::{Lanes, Turn, Turns};

/// What is accepted, and how it is grouped.
#[derive(Debug, Clone)]
pub struct IntakeOptions {
    /// Limits of the parser.
    pub limits: Limits,
    /// Bytes of a request's body, as sent.
    pub body_bytes: usize,
    /// Bytes of a request's body, after decompression.
    pub decompressed_bytes: usize,
    /// How far an event's time may be ahead of the server's clock, in microseconds.
    pub ahead: i64,
    /// How old an event's time may be, in microseconds.
    pub behind: i64,
    /// A commit is closed when it has this many events.
    pub group_events: usize,
    /// Batches that may wait for a commit; further requests wait before they are queued.
    pub queue: usize,
}

impl Default for IntakeOptions {
    /// 8 MiB a request and 64 MiB decompressed, 5 minutes ahead, 35 days behind.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            body_bytes: 8 << 20,
            decompressed_bytes: 64 << 20,
            ahead: 5 * MINUTE,
            behind: 35 * DAY,
            group_events: 20_000,
            queue: 1_024,
        }
    }
}

/// An event of a request.
#[derive(Debug, Clone)]
pub enum Item {
    /// It could be read, and its tenant is known.
    Valid(TenantId, Event),
    /// It could be read, and something else is wrong.
    Refused(Event, Rejection),
    /// It could not be read.
    Unreadable(EventError),
}

/// How [`Intake::append_events`] appends.
#[derive(Debug, Clone, Copy, Default)]
pub struct AppendOptions {
    /// Accept events of any age: for imports, which say so. The bound on the future stays.
    pub accept_history: bool,
}

struct Job {
    events: Vec<NewEvent>,
    reply: oneshot::Sender<Result<BatchOutcome, AppendError>>,
}

/// Accepts events. Cheap to clone; when all clones are gone, what was queued is still committed.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Job>,
    checks: Arc<[Arc<dyn Admit>]>,
    clock: Arc<dyn Clock>,
    options: Arc<IntakeOptions>,
    turns: Turns,
    lanes: Lanes,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Intake {
    /// Starts the task that commits to `log`. `checks` are asked in order for each event; give the
    /// catalogue ([`sealwright_events::Catalogue`]) among them. Must be called inside a tokio runtime.
    pub fn start(
        log: Arc<dyn IntakeLog>,
        checks: Vec<Arc<dyn Admit>>,
        clock: Arc<dyn Clock>,
        options: IntakeOptions,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(options.queue.max(1));
        tokio::spawn(write(log, Arc::clone(&clock), jobs, options.group_events));
        Self {
            queue,
            checks: checks.into(),
            clock,
            options: Arc::new(options),
            turns: Turns::default(),
            lanes: Lanes::default(),
        }
    }

    /// Whose large bodies are read.
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Whose events are let in next. Nobody waits before [`crate::turn::follow`] looks after it.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// The options that it was started with.
    pub fn options(&self) -> &IntakeOptions {
        &self.options
    }

    /// The present, as events are measured by it.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// Accepts the events of one request: all of them, or none. It returns when they are durable. While what follows the
    /// log is behind, it waits for the turn of their tenant; the tenant with most of the events, where they are of several.
    ///
    /// # Errors
    /// [`AppendError`]: nothing was stored, or it cannot be told; sending again is safe in any case.
    pub async fn accept(&self, items: Vec<Item>) -> Result<Receipt, AppendError> {
        let turns = Some(&self.turns);
        self.accept_with(items, AppendOptions::default(), turns)
            .await
    }

    /// Appends events that did not come over HTTP: imports, the demo, this program's own. The same
    /// rules hold (all or none; duplicates change nothing), except for those that `options` lifts, and nobody waits.
    ///
    /// # Errors
    /// See [`Intake::accept`].
    pub async fn append_events(
        &self,
        tenant: TenantId,
        events: &[Event],
        options: AppendOptions,
    ) -> Result<Receipt, AppendError> {
        let items = events
            .iter()
            .map(|event| Item::Valid(tenant, event.clone()))
            .collect();
        self.accept_with(items, options, None).await
    }

    async fn accept_with(
        &self,
        items: Vec<Item>,
        options: AppendOptions,
        turns: Option<&Turns>,
    ) -> Result<Receipt, AppendError> {
        let now = self.clock.now();
        let mut faults: Vec<Option<EventFault>> = Vec::with_capacity(items.len());
        let mut ids: Vec<Option<String>> = Vec::with_capacity(items.len());
        let mut events = Vec::with_capacity(items.len());
        for item in items {
            let (id, fault) = match item {
                Item::Unreadable(error) => (None, Some(EventFault::from(error))),
                Item::Refused(event, rejection) => (
                    Some(event.id().to_owned()),
                    Some(EventFault::from(rejection)),
                ),
                Item::Valid(tenant, event) => {
                    let id = Some(event.id().to_owned());
                    match self.check(tenant, &event, now, options) {
                        Err(rejection) => (id, Some(EventFault::from(rejection))),
                        Ok(unless_known) => {
                            let mut new = NewEvent::new(tenant, event);
                            new.unless_known = unless_known;
                            events.push(new);
                            (id, None)
                        }
                    }
                }
            };
            ids.push(id);
            faults.push(fault);
        }
        if faults.iter().any(Option::is_some) {
            let statuses = faults.into_iter().map(|fault| match fault {
                Some(fault) => (ResultStatus::Rejected, None, Some(fault)),
                None => (ResultStatus::NotStored, None, None),
            });
            return Ok(receipt(false, ids, statuses));
        }
        let outcome = if events.is_empty() {
            BatchOutcome {
                stored: true,
                statuses: Vec::new(),
            }
        } else {
            let turn = match turns {
                Some(turns) => Some(turn(turns, &events).await?),
                None => None,
            };
            let outcome = self.append(events).await?;
            if let Some(turn) = turn {
                let stored = outcome.statuses.iter().filter_map(|status| match status {
                    Status::Accepted { offset } => Some(offset + 1),
                    _ => None,
                });
                turn.stored(stored.clone().count() as u64, stored.max().unwrap_or(0));
            }
            outcome
        };
        let statuses = outcome.statuses.into_iter().map(|status| match status {
            Status::Accepted { offset } => (ResultStatus::Accepted, Some(offset), None),
            Status::Duplicate { offset } => (ResultStatus::Duplicate, Some(offset), None),
            Status::Conflict {
                offset,
                stored,
                sent,
            } => (
                ResultStatus::Conflict,
                offset,
                Some(EventFault::conflict(offset, stored, sent)),
            ),
            Status::Rejected(rejection) => (
                ResultStatus::Rejected,
                None,
                Some(EventFault::from(rejection)),
            ),
            Status::NotStored => (ResultStatus::NotStored, None, None),
        });
        Ok(receipt(outcome.stored, ids, statuses))
    }

    async fn append(&self, events: Vec<NewEvent>) -> Result<BatchOutcome, AppendError> {
        let gone = || AppendError::Unavailable("the server is stopping".to_owned());
        let (reply, answer) = oneshot::channel();
        let job = Job { events, reply };
        self.queue.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// `Ok(Some(_))`: acceptable only if it is known already.
    fn check(
        &self,
        tenant: TenantId,
        event: &Event,
        now: UnixMicros,
        options: AppendOptions,
    ) -> Result<Option<Rejection>, Rejection> {
        let time = event.time_micros().map_or(now, UnixMicros);
        let mut unless_known = None;
        let reject = |code, detail| Rejection {
            code,
            pointer: "/time".to_owned(),
            detail,
        };
        if time.since(now) > self.options.ahead {
            return Err(reject(
                "time-ahead",
                format!(
                    "{time} is more than {} minutes ahead of the server's clock ({now}); check the sender's clock",
                    self.options.ahead / MINUTE
                ),
            ));
        }
        if now.since(time) > self.options.behind && !options.accept_history {
            unless_known = Some(reject(
                "time-behind",
                format!(
                    "{time} is more than {} days before the server's clock ({now}); import older events from a file",
                    self.options.behind / DAY
                ),
            ));
        }
        let incoming = Incoming {
            tenant,
            event_type: event.event_type(),
            time,
            json: event.json().as_bytes(),
        };
        for check in self.checks.iter() {
            check.admit(&incoming)?;
        }
        Ok(unless_known)
    }
}

/// The turn of the tenant that has most of the events.
async fn turn(turns: &Turns, events: &[NewEvent]) -> Result<Turn, AppendError> {
    let mut of: HashMap<TenantId, u64> = HashMap::new();
    for event in events {
        *of.entry(event.tenant).or_insert(0) += 1;
    }
    let Some((tenant, _)) = of
        .into_iter()
        .max_by_key(|(tenant, count)| (*count, *tenant))
    else {
        return Err(AppendError::Unavailable("there are no events".to_owned()));
    };
    let turn = turns.take(tenant, events.len() as u64).await;
    turn.inspect_err(|_| metrics::counter!("sealwright_intake_later_total").increment(1))
}

fn receipt(
    stored: bool,
    ids: Vec<Option<String>>,
    statuses: impl Iterator<Item = (ResultStatus, Option<u64>, Option<EventFault>)>,
) -> Receipt {
    let mut receipt = Receipt {
        stored,
        accepted: 0,
        duplicates: 0,
        results: Vec::with_capacity(ids.len()),
    };
    let (mut rejected, mut conflicts) = (0u64, 0u64);
    for (index, (id, (status, offset, error))) in ids.into_iter().zip(statuses).enumerate() {
        match status {
            ResultStatus::Accepted => receipt.accepted += 1,
            ResultStatus::Duplicate => receipt.duplicates += 1,
            ResultStatus::Rejected => rejected += 1,
            ResultStatus::Conflict => conflicts += 1,
            ResultStatus::NotStored => {}
        }
        receipt.results.push(EventResult {
            index,
            id,
            status,
            offset,
            error,
        });
    }
    for (result, count) in [
        ("accepted", receipt.accepted),
        ("duplicate", receipt.duplicates),
        ("rejected", rejected),
        ("conflict", conflicts),
    ] {
        if count > 0 {
            metrics::counter!("sealwright_intake_events_total", "result" => result)
                .increment(count);
        }
    }
    receipt
}

/// Commits what waits, as much as there is at once: under load a sync serves many requests.
async fn write(
    log: Arc<dyn IntakeLog>,
    clock: Arc<dyn Clock>,
    mut jobs: mpsc::Receiver<Job>,
    group_events: usize,
) {
    while let Some(first) = jobs.recv().await {
        let mut count = first.events.len();
        let (mut batches, mut replies) = (vec![first.events], vec![first.reply]);
        while count < group_events {
            let Ok(job) = jobs.try_recv() else { break };
            count += job.events.len();
            batches.push(job.events);
            replies.push(job.reply);
        }
        let start = std::time::Instant::now();
        metrics::histogram!("sealwright_intake_group_events").record(count as f64);
        match log.commit(clock.now(), batches).await {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // A sender that has gone away learns of it when it sends again.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a commit to the log failed");
                metrics::counter!("sealwright_intake_commit_errors_total").increment(1);
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
        metrics::histogram!("sealwright_intake_commit_seconds")
            .record(start.elapsed().as_secs_f64());
    }
}
