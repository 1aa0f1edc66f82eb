//! The schedule: every minute, whatever is due.

use async_trait::async_trait;
use futures::StreamExt as _;
use sealwright_jobs::{CatchUp, Job, JobError, JobSpec, RunContext, Schedule, ScheduleError};
use serde_json::{Value, json};

use crate::error::PrometheusError;
use crate::pull::{Pulled, Puller};
use crate::store;

/// Sources that are asked at the same time.
const AT_ONCE: usize = 4;
/// Windows of a source in one run, so that one that has much to catch up holds up the others no longer than this.
const MOST_WINDOWS: u32 = 240;

/// `prometheus.pull`: asks the sources that are due, each window by window.
#[derive(Debug)]
pub struct PullJob {
    spec: JobSpec,
    puller: Puller,
}

impl PullJob {
    /// The job.
    ///
    /// # Errors
    /// Never in practice: its schedule is fixed.
    pub fn new(puller: Puller) -> Result<Self, ScheduleError> {
        let spec = JobSpec::new(
            "prometheus.pull",
            "Asks Prometheus for the windows that are over, and makes events of them.",
        )
        .scheduled(Schedule::parse("* * * * *", "UTC")?, CatchUp::Once);
        Ok(Self { spec, puller })
    }
}

#[async_trait]
impl Job for PullJob {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let service = self.puller.service();
        service
            .prune()
            .await
            .map_err(|error| JobError::Again(error.to_string()))?;
        let due = store::due_sources(&service.store, service.now()).await?;
        let sources = due.len();
        let go_on = || context.check().is_ok();
        let go_on: &(dyn Fn() -> bool + Sync) = &go_on;
        let pulls = due.into_iter().map(|source| async move {
            let pulled = self.puller.pull(source.id, MOST_WINDOWS, go_on).await;
            (source, pulled)
        });
        let mut done = futures::stream::iter(pulls).buffer_unordered(AT_ONCE);
        let mut sum = Pulled::default();
        let mut failing = Vec::new();
        while let Some((source, pulled)) = done.next().await {
            match pulled {
                Ok(pulled) => {
                    sum.windows += pulled.windows;
                    sum.events += pulled.events;
                    failing.extend(
                        pulled
                            .error
                            .map(|error| format!("{}: {error}", source.name)),
                    );
                }
                // Deleted while it waited.
                Err(PrometheusError::NotFound { .. }) => {}
                Err(error) => return Err(JobError::Again(error.to_string())),
            }
        }
        drop(done);
        context.check()?;
        // What fails is the source's, and stands with it; the run did what it could.
        Ok(json!({
            "sources": sources, "windows": sum.windows, "events": sum.events, "failing": failing,
        }))
    }
}
