//! The job that forgets old runs.

use async_trait::async_trait;
use sealwright_core::clock::DAY;
use sealwright_store::Store;
use serde_json::{Value, json};

use crate::context::RunContext;
use crate::error::JobError;
use crate::job::{CatchUp, Job, JobSpec};
use crate::schedule::Schedule;
use crate::store;

/// Forgets runs that ended long ago, except the newest of each job.
#[derive(Debug)]
pub struct PruneHistory {
    spec: JobSpec,
    store: Store,
    days: i64,
}

impl PruneHistory {
    /// Keeps runs for `days` after their end.
    pub fn new(store: Store, days: i64, schedule: Schedule) -> Self {
        Self {
            spec: JobSpec::new("jobs.prune", "Forgets runs that ended long ago.")
                .scheduled(schedule, CatchUp::Once),
            store,
            days,
        }
    }
}

#[async_trait]
impl Job for PruneHistory {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let before = context.now().plus(-self.days * DAY);
        let forgotten = store::prune(&self.store, before).await?;
        Ok(json!({ "forgotten": forgotten }))
    }
}
