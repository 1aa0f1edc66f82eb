//! Claiming runs and working on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealwright_core::UnixMicros;
use sealwright_core::clock::SECOND;
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::context::RunContext;
use crate::error::{JobError, JobsError};
use crate::job::Job;
use crate::model::{Run, RunState};
use crate::service::{JobsService, lock};
use crate::store::{self, End};

type Result<T> = std::result::Result<T, JobsError>;

/// How long a job that was asked to stop may take to do so.
const GRACE: Duration = Duration::from_secs(15);
/// How often a process looks for due slots and for runs that others queued.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LONGEST_ERROR: usize = 2_000;

/// Works on runs, in the name of one process.
#[derive(Debug, Clone)]
pub struct Runner {
    service: JobsService,
    holder: String,
}

enum Ended {
    Returned(std::result::Result<Value, JobError>),
    Panicked(String),
    TimedOut,
    /// Asked to stop, and did not within the grace.
    Aborted,
    Lost,
}

/// Who asked a run to stop.
#[derive(Clone, Copy)]
struct Asked {
    cancelled: bool,
    stopping: bool,
}

impl Runner {
    /// A runner that calls itself `holder` (host and process) in the rows.
    pub fn new(service: JobsService, holder: impl Into<String>) -> Self {
        Self {
            service,
            holder: holder.into(),
        }
    }

    /// Schedules and works, `workers` runs at a time, until `stop`. Runs that are going on are then
    /// asked to stop and go back into the queue with their checkpoints.
    pub async fn work(&self, workers: usize, stop: CancellationToken) {
        let mut going = JoinSet::new();
        loop {
            while going.try_join_next().is_some() {}
            if let Err(error) = self.service.tick().await {
                tracing::error!(%error, "the job schedules could not be read");
            }
            while going.len() < workers.max(1) && !stop.is_cancelled() {
                match self.claim().await {
                    Ok(Some((job, run))) => {
                        let (this, stop) = (self.clone(), stop.clone());
                        going.spawn(async move { this.execute(job, run, &stop).await });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "no run could be claimed");
                        break;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.service.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(_) = going.join_next() => {}
            }
        }
        while going.join_next().await.is_some() {}
    }

    /// Works on what is queued now, one run after the other, until nothing is left to claim. Returns how
    /// each run ended.
    ///
    /// # Errors
    /// What the store said.
    pub async fn drain(&self) -> Result<Vec<Run>> {
        let mut ended = Vec::new();
        let stop = CancellationToken::new();
        while let Some((job, run)) = self.claim().await? {
            let id = run.id.to_string();
            self.execute(job, run, &stop).await;
            ended.extend(store::read_run(&self.service.store, &id).await?);
        }
        Ok(ended)
    }

    /// Works on one queued run if it can be claimed; `None` when it cannot.
    ///
    /// # Errors
    /// What the store said.
    pub async fn run_this(&self, id: &str, stop: &CancellationToken) -> Result<Option<Run>> {
        let Some(run) = store::read_run(&self.service.store, id).await? else {
            return Ok(None);
        };
        let Some((job, run)) = self.claim_this(id, &run.job).await? else {
            return Ok(None);
        };
        self.execute(job, run, stop).await;
        Ok(store::read_run(&self.service.store, id).await?)
    }

    async fn claim(&self) -> Result<Option<(Arc<dyn Job>, Run)>> {
        let now = self.service.clock.now();
        for (id, name) in store::queued(&self.service.store, now).await? {
            if let Some(claimed) = self.claim_this(&id, &name).await? {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }

    async fn claim_this(&self, id: &str, name: &str) -> Result<Option<(Arc<dyn Job>, Run)>> {
        let Some(job) = self.service.jobs.get(name).filter(|job| job.ready()) else {
            return Ok(None);
        };
        let job = Arc::clone(job);
        let now = self.service.clock.now();
        let mut tx = self.service.store.begin().await?;
        // Two runs of one job never run at the same time, whoever claims them.
        lock(&mut tx, name).await?;
        let until = now.plus(micros(job.spec().lease));
        let claimed = store::claim(&mut tx, id, &self.holder, now, until).await?;
        tx.commit().await?;
        Ok(claimed.map(|run| (job, run)))
    }

    /// Works on a claimed run and writes how it ended.
    async fn execute(&self, job: Arc<dyn Job>, run: Run, stop: &CancellationToken) {
        let name = job.spec().name;
        let attempts = job.spec().attempts;
        let begun = Instant::now();
        tracing::info!(job = name, run = %run.id, attempt = run.attempt, "run begins");
        let (ended, cancelled) = self.attend(job, &run, stop).await;
        let asked = Asked {
            cancelled,
            stopping: stop.is_cancelled(),
        };
        let state = match self.close(&run, ended, asked, attempts).await {
            Ok(Some(state)) => state.as_str(),
            Ok(None) => "lost",
            Err(error) => {
                tracing::error!(job = name, run = %run.id, %error, "the run's end could not be written");
                "unwritten"
            }
        };
        tracing::info!(job = name, run = %run.id, state, "run ends");
        metrics::counter!("sealwright_job_runs_total", "job" => name, "state" => state)
            .increment(1);
        metrics::histogram!("sealwright_job_run_seconds", "job" => name)
            .record(begun.elapsed().as_secs_f64());
    }

    /// Lets the job work while keeping its lease; whether somebody asked for the run to stop.
    async fn attend(
        &self,
        job: Arc<dyn Job>,
        run: &Run,
        stop: &CancellationToken,
    ) -> (Ended, bool) {
        let (lease, timeout) = (job.spec().lease, job.spec().timeout);
        let token = CancellationToken::new();
        let lost = Arc::new(AtomicBool::new(false));
        let service = &self.service;
        let context = RunContext::new(
            service.store.clone(),
            Arc::clone(&service.clock),
            run.clone(),
            token.clone(),
            Arc::clone(&lost),
        );
        let untold = context.untold();
        // A task of its own: a panic ends the run, not the process.
        let mut work = AbortOnDropHandle::new(tokio::spawn(async move { job.run(&context).await }));
        let mut beats = tokio::time::interval(lease / 3);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = tokio::time::sleep(timeout);
        let grace = tokio::time::sleep(Duration::MAX / 4);
        tokio::pin!(deadline, grace);
        let mut cancelled = false;
        let mut last_beat = Instant::now();
        let lose = || {
            lost.store(true, Ordering::SeqCst);
            token.cancel();
        };
        let ended = loop {
            tokio::select! {
                result = &mut work => break returned(result),
                _ = beats.tick() => {
                    let until = service.clock.now().plus(micros(lease));
                    match store::heartbeat(&service.store, run.id, run.fence, until).await {
                        Ok(Some(asked)) => {
                            last_beat = Instant::now();
                            if asked && !cancelled {
                                cancelled = true;
                                token.cancel();
                                grace.as_mut().reset(Instant::now() + GRACE);
                            }
                        }
                        Ok(None) => { lose(); break Ended::Lost; }
                        Err(error) => {
                            tracing::warn!(run = %run.id, %error, "a heartbeat failed");
                            // Somebody else may hold it by now.
                            if last_beat.elapsed() >= lease { lose(); break Ended::Lost; }
                        }
                    }
                }
                () = &mut deadline => { token.cancel(); break Ended::TimedOut; }
                () = stop.cancelled(), if !token.is_cancelled() => {
                    token.cancel();
                    grace.as_mut().reset(Instant::now() + GRACE);
                }
                () = &mut grace => break Ended::Aborted,
            }
        };
        work.abort();
        let last = untold.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some((done, total, message)) = last {
            let told = (done, total, message.as_str());
            if let Err(error) = store::progress(&service.store, run.id, run.fence, told).await {
                tracing::warn!(run = %run.id, %error, "the last progress could not be written");
            }
        }
        (ended, cancelled)
    }

    /// Writes how an attempt ended; `None` when the run was not ours any more.
    async fn close(
        &self,
        run: &Run,
        ended: Ended,
        asked: Asked,
        attempts: u32,
    ) -> Result<Option<RunState>> {
        let now = self.service.clock.now();
        let mut end = End {
            state: RunState::Failed,
            result: None,
            error: None,
            not_before: now,
            attempt: run.attempt,
            now,
            only_expired: false,
        };
        let again = run.attempt < i64::from(attempts);
        let retry = |end: &mut End<'_>| {
            if asked.cancelled {
                end.state = RunState::Cancelled;
            } else if again {
                end.state = RunState::Queued;
                end.not_before = pause_after(now, run.attempt);
            }
        };
        let result;
        let error;
        match ended {
            Ended::Lost | Ended::Returned(Err(JobError::Lost)) => return Ok(None),
            Ended::Returned(Ok(value)) => {
                result = value;
                end.state = RunState::Done;
                end.result = Some(&result);
            }
            Ended::Aborted | Ended::Returned(Err(JobError::Cancelled)) => {
                if asked.cancelled {
                    end.state = RunState::Cancelled;
                } else if !asked.stopping {
                    end.error = Some("the job stopped although nobody had asked for it");
                } else {
                    // The process is told to stop; that is no fault of the job, and the attempt does not count.
                    end.state = RunState::Queued;
                    end.attempt = run.attempt - 1;
                }
            }
            Ended::Returned(Err(JobError::Failed(text))) => {
                error = cut(&text);
                end.error = Some(&error);
            }
            Ended::Returned(Err(other)) => {
                error = cut(&other.to_string());
                end.error = Some(&error);
                retry(&mut end);
            }
            Ended::TimedOut => {
                end.error = Some("the attempt took longer than the job's timeout");
                retry(&mut end);
            }
            Ended::Panicked(text) => {
                error = cut(&format!("a fault of the program: {text}"));
                end.error = Some(&error);
            }
        }
        let mut tx = self.service.store.begin().await?;
        let written = store::end(&mut tx, run.id, run.fence, &end).await?;
        tx.commit().await?;
        self.service.wake.notify_waiters();
        if let Some(error) = end.error {
            tracing::warn!(job = %run.job, run = %run.id, attempt = run.attempt, error, "an attempt did not succeed");
        }
        Ok((written > 0).then_some(end.state))
    }
}

fn returned(result: std::result::Result<std::result::Result<Value, JobError>, JoinError>) -> Ended {
    match result {
        Ok(result) => Ended::Returned(result),
        Err(error) if error.is_cancelled() => Ended::Aborted,
        Err(error) => {
            let panic = error.into_panic();
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Ended::Panicked(text.unwrap_or_else(|| "it panicked".to_owned()))
        }
    }
}

/// 30 seconds, doubled with each attempt, at most an hour.
fn pause_after(now: UnixMicros, attempt: i64) -> UnixMicros {
    let doublings = attempt.saturating_sub(1).clamp(0, 7) as u32;
    now.plus(((30 * SECOND) << doublings).min(3_600 * SECOND))
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_ERROR).collect()
}
