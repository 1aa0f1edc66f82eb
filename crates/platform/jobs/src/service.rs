//! The use cases: scheduling, asking for runs, looking, cancelling, resuming.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_access::{Action, Actor, Audit, AuditAction, Principal};
use sealwright_core::clock::DAY;
use sealwright_core::{Clock, Cursor, Digest, Page, UnixMicros};
use sealwright_store::{Store, Tx};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Notify;

use crate::error::JobsError;
use crate::job::{Job, JobSpec};
use crate::model::{JobInfo, Run, RunFilter, RunId, RunState};
use crate::store::{self, End, NewRun};

type Result<T> = std::result::Result<T, JobsError>;

/// What one look at the schedules and leases did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tick {
    /// Runs that were put in the queue for their slots.
    pub queued: u64,
    /// Runs that were taken back from silent holders.
    pub taken_back: u64,
}

/// The registered jobs and their runs. Cheap to clone.
#[derive(Clone)]
pub struct JobsService {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    pub(crate) jobs: Arc<BTreeMap<&'static str, Arc<dyn Job>>>,
    pub(crate) wake: Arc<Notify>,
}

impl std::fmt::Debug for JobsService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobsService")
            .field("jobs", &self.jobs.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl JobsService {
    /// A service over `store`, whose migrations of this crate are applied, with all jobs of this program.
    ///
    /// # Errors
    /// [`JobsError::Twice`] when two have one name.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        audit: Arc<dyn Audit>,
        jobs: impl IntoIterator<Item = Arc<dyn Job>>,
    ) -> Result<Self> {
        let mut map = BTreeMap::new();
        for job in jobs {
            let name = job.spec().name;
            if map.insert(name, job).is_some() {
                return Err(JobsError::Twice(name));
            }
        }
        Ok(Self {
            store,
            clock,
            audit,
            jobs: Arc::new(map),
            wake: Arc::default(),
        })
    }

    pub(crate) fn spec(&self, name: &str) -> Result<&JobSpec> {
        self.jobs
            .get(name)
            .map(|job| job.spec())
            .ok_or_else(|| not_found("job", name))
    }

    /// Puts due slots in the queue and takes runs back from silent holders. Every process may do this at
    /// any time; a slot gets one run.
    ///
    /// # Errors
    /// What the store said.
    pub async fn tick(&self) -> Result<Tick> {
        let now = self.clock.now();
        let mut done = Tick::default();
        let known = store::schedules(&self.store).await?;
        for job in self.jobs.values() {
            let spec = job.spec();
            let Some(schedule) = &spec.schedule else {
                continue;
            };
            let there = known.iter().find(|row| row.name == spec.name);
            let same =
                there.filter(|row| row.cron == schedule.cron() && row.zone == schedule.zone());
            let waiting = same.and_then(|row| row.next_slot).is_some_and(|next| {
                // Nothing to do while the next slot is ahead and no earlier one is.
                schedule.due(spec.catch_up, next, now) == (Vec::new(), Some(next))
            });
            if !waiting {
                done.queued += self.schedule(spec, now).await?;
            }
        }
        for run in store::expired(&self.store, now).await? {
            done.taken_back += self.take_back(&run, now).await?;
        }
        if done != Tick::default() {
            self.wake.notify_waiters();
        }
        Ok(done)
    }

    async fn schedule(&self, spec: &JobSpec, now: UnixMicros) -> Result<u64> {
        let Some(schedule) = &spec.schedule else {
            return Ok(0);
        };
        let mut tx = self.store.begin().await?;
        lock(&mut tx, spec.name).await?;
        let known = store::find_job(&mut tx, spec.name).await?;
        let next = known
            .filter(|row| row.cron == schedule.cron() && row.zone == schedule.zone())
            .and_then(|row| row.next_slot);
        // A new or changed schedule begins with its first slot in the future.
        let (slots, next) = match next {
            Some(next) => schedule.due(spec.catch_up, next, now),
            None => (Vec::new(), schedule.next_after(now)),
        };
        let mut queued = 0;
        for slot in slots {
            let slot_key = format!("slot:{}", slot.0);
            let new = NewRun {
                id: RunId::new(now),
                job: spec.name,
                slot_key: &slot_key,
                slot,
                cause: "schedule",
                now,
            };
            queued += store::insert_run(&mut tx, &new).await?;
        }
        store::put_job(
            &mut tx,
            spec.name,
            schedule.cron(),
            schedule.zone(),
            next,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(queued)
    }

    async fn take_back(&self, run: &Run, now: UnixMicros) -> Result<u64> {
        let holder = run.holder.as_deref().unwrap_or("?");
        let error =
            format!("the process that held it ({holder}) was silent for longer than its lease");
        let state = match self.jobs.get(run.job.as_str()) {
            _ if run.cancel_requested => RunState::Cancelled,
            Some(job) if run.attempt >= i64::from(job.spec().attempts) => RunState::Failed,
            Some(_) => RunState::Queued,
            // A job of another version of this program: a process that knows it takes it back.
            None => return Ok(0),
        };
        let mut tx = self.store.begin().await?;
        let end = End {
            state,
            result: None,
            error: Some(&error),
            not_before: now,
            attempt: run.attempt,
            now,
            only_expired: true,
        };
        let taken = store::end(&mut tx, run.id, run.fence, &end).await?;
        tx.commit().await?;
        if taken > 0 {
            tracing::warn!(job = %run.job, run = %run.id, holder, "took a run back from a silent holder");
        }
        Ok(taken)
    }

    /// Asks for a run now. With a `request` (an `Idempotency-Key`) asking again gives the same run;
    /// `true` says that it was there already.
    ///
    /// # Errors
    /// [`JobsError::NotFound`], [`JobsError::Refused`].
    pub async fn run_now(
        &self,
        by: &Principal,
        name: &str,
        request: Option<&str>,
    ) -> Result<(Run, bool)> {
        by.require(Action::JobsWrite)?;
        by.require_all_tenants()?;
        let spec = self.spec(name)?;
        let now = self.clock.now();
        let id = RunId::new(now);
        let slot_key = match request {
            Some(key) => format!(
                "request:{}",
                Digest::of(format!("{} {key}", by.id).as_bytes())
            ),
            None => format!("run:{id}"),
        };
        let mut tx = self.store.begin().await?;
        let new = NewRun {
            id,
            job: spec.name,
            slot_key: &slot_key,
            slot: now,
            cause: &by.name,
            now,
        };
        let fresh = store::insert_run(&mut tx, &new).await? == 1;
        let run = store::find_by_slot_key(&mut tx, spec.name, &slot_key)
            .await?
            .ok_or_else(|| not_found("run", &id.to_string()))?;
        if fresh {
            self.record(&mut tx, by, "jobs.run.start", None, &run)
                .await?;
        }
        tx.commit().await?;
        self.wake.notify_waiters();
        Ok((run, !fresh))
    }

    /// Asks a run to stop: a queued one is cancelled at once, a running one when its holder hears of it (with
    /// the next heartbeat).
    ///
    /// # Errors
    /// [`JobsError::Conflict`] when it has ended.
    pub async fn cancel(&self, by: &Principal, id: &str) -> Result<Run> {
        self.change(
            by,
            id,
            "jobs.run.cancel",
            "only a queued or running run can be cancelled",
        )
        .await
    }

    /// Puts a failed or cancelled run back in the queue; it begins at its checkpoint.
    ///
    /// # Errors
    /// [`JobsError::Conflict`] when it is in another state.
    pub async fn resume(&self, by: &Principal, id: &str) -> Result<Run> {
        self.change(
            by,
            id,
            "jobs.run.resume",
            "only a failed or cancelled run can be resumed",
        )
        .await
    }

    async fn change(
        &self,
        by: &Principal,
        id: &str,
        action: &'static str,
        otherwise: &str,
    ) -> Result<Run> {
        by.require(Action::JobsWrite)?;
        by.require_all_tenants()?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let before = store::find_run(&mut tx, id)
            .await?
            .ok_or_else(|| not_found("run", id))?;
        let changed = if action == "jobs.run.cancel" {
            store::request_cancel(&mut tx, before.id, now).await?
        } else {
            store::resume(&mut tx, before.id, now).await?
        };
        if changed == 0 {
            return Err(JobsError::Conflict(format!(
                "the run is {}; {otherwise}",
                before.state
            )));
        }
        let after = store::find_run(&mut tx, id)
            .await?
            .ok_or_else(|| not_found("run", id))?;
        self.record(&mut tx, by, action, Some(&before), &after)
            .await?;
        tx.commit().await?;
        self.wake.notify_waiters();
        Ok(after)
    }

    async fn record(
        &self,
        tx: &mut Tx,
        by: &Principal,
        action: &'static str,
        before: Option<&Run>,
        after: &Run,
    ) -> Result<()> {
        let state = |run: &Run| json!({"job": run.job, "state": run.state, "cause": run.cause});
        let action = AuditAction {
            at: self.clock.now(),
            actor: Actor::from(by),
            action,
            tenant: None,
            subject: after.id.to_string(),
            before: before.map(state),
            after: Some(state(after)),
        };
        self.audit.record(tx, action).await?;
        Ok(())
    }

    /// The registered jobs with their next slots and last runs, by name.
    ///
    /// # Errors
    /// [`JobsError::Refused`].
    pub async fn jobs(&self, by: &Principal) -> Result<Vec<JobInfo>> {
        by.require(Action::JobsRead)?;
        by.require_all_tenants()?;
        let known = store::schedules(&self.store).await?;
        let mut infos = Vec::with_capacity(self.jobs.len());
        for job in self.jobs.values() {
            let spec = job.spec();
            let schedule = spec.schedule.as_ref();
            let row = known.iter().find(|row| row.name == spec.name);
            infos.push(JobInfo {
                name: spec.name.to_owned(),
                about: spec.about.to_owned(),
                cron: schedule.map(|s| s.cron().to_owned()),
                zone: schedule.map(|s| s.zone().to_owned()),
                catch_up: spec.catch_up.as_str().to_owned(),
                next_slot: row.and_then(|row| row.next_slot),
                last_run: store::last_run(&self.store, spec.name).await?,
            });
        }
        Ok(infos)
    }

    /// One run.
    ///
    /// # Errors
    /// [`JobsError::NotFound`].
    pub async fn run(&self, by: &Principal, id: &str) -> Result<Run> {
        by.require(Action::JobsRead)?;
        by.require_all_tenants()?;
        store::read_run(&self.store, id)
            .await?
            .ok_or_else(|| not_found("run", id))
    }

    /// The history, newest first.
    ///
    /// # Errors
    /// [`JobsError::Invalid`] for a bad cursor.
    pub async fn runs(&self, by: &Principal, filter: &RunFilter) -> Result<Page<Run>> {
        by.require(Action::JobsRead)?;
        by.require_all_tenants()?;
        let rows = filter.limit.unwrap_or(50).clamp(1, 500) as usize;
        let before = match &filter.cursor {
            None => String::new(),
            Some(text) => {
                Cursor::decode(text)
                    .ok_or_else(|| JobsError::Invalid {
                        field: "cursor",
                        detail: "is not a cursor of this list; start without one".to_owned(),
                    })?
                    .0
            }
        };
        let job = filter.job.as_deref();
        let mut items =
            store::list_runs(&self.store, job, filter.state, &before, rows as i64 + 1).await?;
        let more = items.len() > rows;
        items.truncate(rows);
        let next = more
            .then(|| items.last())
            .flatten()
            .map(|run| Cursor(run.id.to_string()).encode());
        Ok(Page { items, next })
    }

    /// Forgets runs that ended more than `days` ago, except the newest of each job.
    ///
    /// # Errors
    /// What the store said.
    pub async fn prune(&self, days: u32) -> Result<u64> {
        let before = self.clock.now().plus(-i64::from(days) * DAY);
        Ok(store::prune(&self.store, before).await?)
    }
}

pub(crate) async fn lock(tx: &mut Tx, job: &str) -> Result<()> {
    tx.lock(&format!("job {job}")).await?;
    Ok(())
}

pub(crate) fn not_found(kind: &'static str, id: &str) -> JobsError {
    JobsError::NotFound {
        kind,
        id: id.chars().take(80).collect(),
    }
}
