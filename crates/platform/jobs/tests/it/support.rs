use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sealwright_access::Unrecorded;
use sealwright_core::{ManualClock, UnixMicros};
use sealwright_jobs::{
    COMPONENT, CatchUp, Job, JobError, JobSpec, JobsService, RunContext, Runner, Schedule,
};
use sealwright_store::testing::{TestStore, both};
use serde_json::{Value, json};

/// What a test job does.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Act {
    Succeed,
    FailAgain,
    Fail,
    Panic,
    /// Four steps with a checkpoint after each; asks to be waited for before the third.
    Steps,
    /// Waits until it is told to stop.
    Wait,
}

pub(crate) struct TestJob {
    pub(crate) spec: JobSpec,
    pub(crate) act: Mutex<Act>,
    pub(crate) begun: AtomicUsize,
    pub(crate) slots: Mutex<Vec<UnixMicros>>,
    pub(crate) steps: Mutex<Vec<i64>>,
    pub(crate) ready: AtomicBool,
}

#[async_trait]
impl Job for TestJob {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.slots.lock().unwrap().push(context.slot());
        let act = *self.act.lock().unwrap();
        match act {
            Act::Succeed => Ok(json!({"ok": true})),
            Act::FailAgain => Err(JobError::Again("not yet".to_owned())),
            Act::Fail => Err(JobError::Failed("never".to_owned())),
            Act::Panic => panic!("boom"),
            Act::Wait => {
                context.stopped().await;
                context.check()?;
                Ok(Value::Null)
            }
            Act::Steps => {
                let from = context.checkpoint().map_or(0, |v| v.as_i64().unwrap());
                for step in from..4 {
                    if step == 2 && from == 0 {
                        context.stopped().await;
                    }
                    context.check()?;
                    self.steps.lock().unwrap().push(step);
                    context.save(&json!(step + 1)).await?;
                    context.progress(step + 1, Some(4), "stepping").await?;
                }
                Ok(json!(4))
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) clock: ManualClock,
    pub(crate) job: Arc<TestJob>,
    pub(crate) service: JobsService,
}

impl World {
    /// A second process on the same database.
    pub(crate) fn other(&self) -> JobsService {
        let jobs = [Arc::clone(&self.job) as Arc<dyn Job>];
        let clock = Arc::new(self.clock.clone());
        JobsService::new(self.store.store.clone(), clock, Arc::new(Unrecorded), jobs).unwrap()
    }

    pub(crate) fn runner(&self, holder: &str) -> Runner {
        Runner::new(self.service.clone(), holder)
    }
}

pub(crate) fn at(text: &str) -> UnixMicros {
    UnixMicros::parse_rfc3339(text).unwrap()
}

pub(crate) async fn worlds(act: Act, cron: Option<&str>, catch_up: CatchUp) -> Vec<World> {
    let mut worlds = Vec::new();
    for store in both().await {
        let store = store.migrated(&[COMPONENT]).await;
        let mut spec = JobSpec::new("test.job", "A job of the tests.");
        spec.lease = Duration::from_millis(600);
        if let Some(cron) = cron {
            spec = spec.scheduled(Schedule::parse(cron, "Europe/Berlin").unwrap(), catch_up);
        }
        let job = Arc::new(TestJob {
            spec,
            act: Mutex::new(act),
            begun: AtomicUsize::new(0),
            slots: Mutex::default(),
            steps: Mutex::default(),
            ready: AtomicBool::new(true),
        });
        let clock = ManualClock::new(at("2026-11-23T10:00:00Z"));
        let service = JobsService::new(
            store.store.clone(),
            Arc::new(clock.clone()),
            Arc::new(Unrecorded),
            [Arc::clone(&job) as Arc<dyn Job>],
        )
        .unwrap();
        worlds.push(World {
            store,
            clock,
            job,
            service,
        });
    }
    worlds
}

/// Waits, in real time, until `probe` holds.
pub(crate) async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if probe().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited ten seconds for: {what}");
}
