//! Asking: who has a part of a question, and what follows when one of them does not answer.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DesiredTaskCountEvent, DistributedExec, DistributedExt as _, DistributedMetricsFormat,
    RouteTasksEvent, ScaleUpLeafNodeEvent, SessionStateBuilderExt as _,
    rewrite_distributed_plan_with_metrics,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Share;
use super::parts::Among;
use crate::error::{LakeError, Result};

/// The version of the table that a question is about.
pub(super) const VERSION: &str = "x-sealwright-lake-version";
/// Bytes of memory that a question may use in each process.
pub(super) const MEMORY: &str = "x-sealwright-lake-memory";

/// How often a question is shared before it is answered alone.
const TRIES: u32 = 2;
/// How long the others may take to say what they read, once the rows are there.
const REPORTS: Duration = Duration::from_secs(1);

/// One question's way to its answer.
pub(crate) struct Round<'a> {
    share: Option<&'a Share>,
    tries: u32,
    among: Option<Among>,
}

impl<'a> Round<'a> {
    pub(crate) fn first(share: Option<&'a Share>) -> Self {
        let mut round = Self {
            share,
            tries: 0,
            among: None,
        };
        round.choose();
        round
    }

    fn choose(&mut self) {
        self.among = self.share.and_then(|share| {
            let others = share.others();
            if others.is_empty() || self.tries >= TRIES {
                return None;
            }
            let mut urls = others;
            urls.push(share.own.clone());
            // In the same order everywhere, so that a file is read where another process let it be read.
            urls.sort();
            Some(Among {
                urls: urls.into(),
                from_bytes: share.from_bytes,
            })
        });
    }

    /// After a failure: whether the question is to be asked again, by fewer processes. What the question itself is
    /// wrong about fails alone, too, and is said then.
    pub(crate) async fn again(&mut self, error: &LakeError, divided: bool) -> bool {
        let (Some(share), Some(among)) = (self.share, &self.among) else {
            return false;
        };
        if !divided || matches!(error, LakeError::Limit { .. }) {
            return false;
        }
        let others: Vec<_> = among
            .urls
            .iter()
            .filter(|url| **url != share.own)
            .cloned()
            .collect();
        tracing::warn!(%error, "a shared question failed; it is asked again");
        metrics::counter!("sealwright_lake_shared_questions_total", "outcome" => "again")
            .increment(1);
        self.tries += 1;
        if !share.reach.probe(&others, &share.version).await {
            // All of them are well, so it is not known who failed.
            self.tries = TRIES;
        }
        self.choose();
        true
    }

    /// A session for this round.
    pub(crate) fn session(
        &self,
        builder: SessionStateBuilder,
        version: u64,
        memory: usize,
    ) -> Result<SessionState> {
        let (Some(share), Some(among)) = (self.share, &self.among) else {
            return Ok(builder.build());
        };
        let (wanted, divided, routed) = (among.clone(), among.clone(), among.clone());
        let mut with: HeaderMap = HeaderMap::new();
        with.insert(HeaderName::from_static(VERSION), HeaderValue::from(version));
        with.insert(HeaderName::from_static(MEMORY), HeaderValue::from(memory));
        let local = share.worker.to_local_worker_context(share.own.clone());
        let state = builder
            .with_distributed_planner()
            .with_distributed_worker_resolver(among.clone())
            .with_distributed_channel_resolver(share.reach.clone())
            .with_distributed_local_worker_context(local)
            .with_distributed_passthrough_headers(with)?
            .with_distributed_desired_task_count_handler(move |event: DesiredTaskCountEvent<'_>| {
                wanted.wanted(event)
            })
            .with_distributed_scale_up_leaf_node_handler(move |event: ScaleUpLeafNodeEvent<'_>| {
                divided.divided(event)
            })
            .with_distributed_route_tasks_handler(move |event: RouteTasksEvent<'_>| {
                routed.routed(&event)
            });
        Ok(state.build())
    }

    /// Counts an answer that others had parts of. How many processes gave it.
    pub(crate) fn answered(&self, plan: &dyn ExecutionPlan) -> u32 {
        let Some(among) = self.among.as_ref().filter(|_| is_divided(plan)) else {
            return 1;
        };
        metrics::counter!("sealwright_lake_shared_questions_total", "outcome" => "shared")
            .increment(1);
        u32::try_from(among.urls.len()).unwrap_or(u32::MAX)
    }
}

/// Whether a plan has parts for other processes.
pub(crate) fn is_divided(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<DistributedExec>()
}

/// A plan that has run, with what the other processes measured. `None` when they did not say so in time.
pub(crate) async fn measured(plan: Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    if !is_divided(plan.as_ref()) {
        return Some(plan);
    }
    let rewritten =
        rewrite_distributed_plan_with_metrics(plan, DistributedMetricsFormat::Aggregated);
    tokio::time::timeout(REPORTS, rewritten).await.ok()?.ok()
}
