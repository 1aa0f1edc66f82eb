//! Keeps the board up to what is metered.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_events::EventLog;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::BudgetService;
use crate::service::BillingError;

/// Which tenants used something since it was last asked; told by metering after each commit.
#[derive(Debug, Default)]
pub struct Touched {
    tenants: Mutex<HashSet<TenantId>>,
    through: AtomicU64,
    wake: Notify,
}

impl Touched {
    /// These tenants used something, and events below `through` are metered.
    pub fn add(&self, tenants: impl IntoIterator<Item = TenantId>, through: u64) {
        let mut set = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        set.extend(tenants);
        drop(set);
        self.through.fetch_max(through, Ordering::SeqCst);
        self.wake.notify_one();
    }

    fn take(&self) -> HashSet<TenantId> {
        std::mem::take(&mut *self.tenants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The shortest time between two rounds: what comes within it is evaluated together.
const PAUSE: Duration = Duration::from_millis(150);
/// How often it is looked at what other processes metered.
const POLL: Duration = Duration::from_millis(500);
/// How often all budgets are read anew, with what other processes changed.
const ANEW: Duration = Duration::from_secs(5);

/// The task that keeps the board up to date; one in each process that answers checks.
pub struct BudgetWatch {
    service: Arc<BudgetService>,
    log: Arc<dyn EventLog>,
    heads: VecDeque<(UnixMicros, u64)>,
    seen: u64,
    month: Option<UnixMicros>,
}

impl BudgetWatch {
    /// A watch over the budgets of `service`, whose usage comes from `log`.
    pub fn new(service: Arc<BudgetService>, log: Arc<dyn EventLog>) -> Self {
        Self {
            service,
            log,
            heads: VecDeque::new(),
            seen: 0,
            month: None,
        }
    }

    /// Works until it is told to stop. An error is logged and the round repeated; until one succeeds the
    /// board grows stale and says so.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut anew = tokio::time::Instant::now();
        loop {
            let started = tokio::time::Instant::now();
            let all = started >= anew;
            if all {
                anew = started + ANEW;
            }
            if let Err(error) = self.round(all).await {
                tracing::error!(%error, "budgets could not be evaluated");
                anew = started;
            }
            // Evaluation takes at most a quarter of the time, however much is metered.
            let pause = PAUSE.max(3 * started.elapsed());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.service.touched.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// One round: what was used since the last one is counted. With `all` every budget is evaluated.
    ///
    /// # Errors
    /// From the state or the log.
    pub async fn round(&mut self, all: bool) -> Result<(), BillingError> {
        let service = Arc::clone(&self.service);
        let now = service.clock.now();
        let head = self
            .log
            .head()
            .await
            .map_err(|error| BillingError::Lake(error.to_string()))?;
        let metered = service.usage.metered_through().await?;
        let touched = service.touched.take();
        let month = super::super::usage::month_start(now);
        // Another process metered what this one was not told of: then anything may have changed.
        let elsewhere = metered
            > service
                .touched
                .through
                .load(Ordering::SeqCst)
                .max(self.seen);
        let result = if all || elsewhere || self.month != Some(month) || !service.board.read() {
            service.stand(TenantScope::All).await.map(drop)
        } else {
            let mut result = Ok(());
            // Who has no budget is not on the board; a new budget puts its tenant there itself.
            let budgeted = touched
                .iter()
                .filter(|tenant| !service.board.standings(**tenant).is_empty());
            for tenant in budgeted {
                let done = service.stand(TenantScope::One(*tenant)).await.map(drop);
                result = result.and(done);
            }
            result
        };
        if let Err(error) = result {
            service.touched.add(touched, 0);
            return Err(error);
        }
        self.month = Some(month);
        self.seen = self.seen.max(metered);
        self.heads.push_back((now, head));
        let mut as_of = None;
        while let Some((at, head)) = self.heads.front()
            && *head <= metered
        {
            as_of = Some(*at);
            self.heads.pop_front();
        }
        // A consumer that is far behind must not make this grow; the oldest is the one that matters.
        while self.heads.len() > 256 {
            self.heads.pop_back();
        }
        service.board.counted(as_of, metered);
        Ok(())
    }
}
