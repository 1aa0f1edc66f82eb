//! What a running job is given.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use sealwright_core::{Clock, UnixMicros};
use sealwright_store::{Store, Tx};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::JobError;
use crate::model::{Run, RunId};
use crate::store;

const PROGRESS_EVERY: i64 = 500_000;

/// Progress that was not written yet: done, total, message.
pub(crate) type Untold = Arc<Mutex<Option<(i64, Option<i64>, String)>>>;

/// The run that is being worked on: its slot, checkpoint and progress, and whether to stop.
#[derive(Debug)]
pub struct RunContext {
    store: Store,
    clock: Arc<dyn Clock>,
    run: Run,
    stop: CancellationToken,
    lost: Arc<AtomicBool>,
    told_at: AtomicI64,
    untold: Untold,
}

impl RunContext {
    pub(crate) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        run: Run,
        stop: CancellationToken,
        lost: Arc<AtomicBool>,
    ) -> Self {
        Self {
            store,
            clock,
            run,
            stop,
            lost,
            told_at: AtomicI64::new(i64::MIN),
            untold: Untold::default(),
        }
    }

    pub(crate) fn untold(&self) -> Untold {
        Arc::clone(&self.untold)
    }

    /// The run's id.
    pub const fn run_id(&self) -> RunId {
        self.run.id
    }

    /// The moment that the run is for: work on the time before it, not before the present.
    pub const fn slot(&self) -> UnixMicros {
        self.run.slot
    }

    /// 1 for the first attempt.
    pub const fn attempt(&self) -> i64 {
        self.run.attempt
    }

    /// What an earlier attempt kept last.
    pub const fn checkpoint(&self) -> Option<&Value> {
        self.run.checkpoint.as_ref()
    }

    /// The present.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// To be asked between steps.
    ///
    /// # Errors
    /// [`JobError::Cancelled`] or [`JobError::Lost`], to be returned from the job.
    pub fn check(&self) -> Result<(), JobError> {
        if self.lost.load(Ordering::SeqCst) {
            Err(JobError::Lost)
        } else if self.stop.is_cancelled() {
            Err(JobError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Ends when the run shall stop: for `select!` around long waits.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Shows how far the run is; written at most twice a second, and the last of it at the end.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub async fn progress(
        &self,
        done: i64,
        total: Option<i64>,
        message: &str,
    ) -> Result<(), JobError> {
        self.check()?;
        let now = self.now().0;
        let told = self.told_at.load(Ordering::SeqCst);
        let soon = now.saturating_sub(told) < PROGRESS_EVERY && now >= told;
        let message: String = message.chars().take(200).collect();
        let mut untold = Some((done, total, message.clone()));
        if !soon {
            self.told_at.store(now, Ordering::SeqCst);
            untold = None;
        }
        *self.untold.lock().unwrap_or_else(|e| e.into_inner()) = untold;
        if soon {
            return Ok(());
        }
        let progress = (done, total, message.as_str());
        let told = store::progress(&self.store, self.run.id, self.run.fence, progress);
        self.held(told.await?)
    }

    /// Keeps a checkpoint: where an attempt after a crash, a cancellation or a restart begins.
    ///
    /// # Errors
    /// [`JobError::Lost`] when another process holds the run.
    pub async fn save(&self, checkpoint: &Value) -> Result<(), JobError> {
        let mut tx = self.store.begin().await?;
        self.save_in(&mut tx, checkpoint).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps a checkpoint in the transaction of the step that it closes: both or neither, and neither when
    /// the run is no longer held.
    ///
    /// # Errors
    /// [`JobError::Lost`]; the transaction must then be dropped.
    pub async fn save_in(&self, tx: &mut Tx, checkpoint: &Value) -> Result<(), JobError> {
        let kept = store::checkpoint(tx, self.run.id, self.run.fence, checkpoint).await?;
        self.held(kept)
    }

    /// Lets a transaction pass only while this process holds the run: the fence against a holder that
    /// was away for longer than its lease.
    ///
    /// # Errors
    /// [`JobError::Lost`]; the transaction must then be dropped.
    pub async fn guard(&self, tx: &mut Tx) -> Result<(), JobError> {
        let held = store::guard(tx, self.run.id, self.run.fence).await?;
        self.held(held)
    }

    fn held(&self, rows: u64) -> Result<(), JobError> {
        if rows == 0 {
            self.lost.store(true, Ordering::SeqCst);
            self.stop.cancel();
            return Err(JobError::Lost);
        }
        Ok(())
    }
}
