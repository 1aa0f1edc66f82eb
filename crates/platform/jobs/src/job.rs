//! What a job is.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::context::RunContext;
use crate::error::JobError;
use crate::schedule::Schedule;

/// What happens with slots that nobody ran because no process was there. A slot counts as missed when
/// it is more than two minutes old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// Nothing: the next slot is the next one in the future.
    None,
    /// One run for the latest of them.
    Once,
    /// One run for each of them, oldest first.
    All,
}

impl CatchUp {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

/// A job's name, schedule and limits.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// The stable name, dotted: `lake.compact`.
    pub name: &'static str,
    /// What it does, one sentence.
    pub about: &'static str,
    /// When; `None` for jobs that only run when asked for.
    pub schedule: Option<Schedule>,
    /// What happens with missed slots.
    pub catch_up: CatchUp,
    /// How long a silent holder keeps a run. Heartbeats come three times as often.
    pub lease: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Attempts before a run counts as failed.
    pub attempts: u32,
}

impl JobSpec {
    /// A job that runs when asked for: a lease of a minute, a timeout of an hour, three attempts.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            schedule: None,
            catch_up: CatchUp::Once,
            lease: Duration::from_secs(60),
            timeout: Duration::from_secs(3600),
            attempts: 3,
        }
    }

    /// Gives it a schedule.
    #[must_use]
    pub fn scheduled(mut self, schedule: Schedule, catch_up: CatchUp) -> Self {
        self.schedule = Some(schedule);
        self.catch_up = catch_up;
        self
    }
}

/// Work that can be scheduled, cancelled and resumed.
#[async_trait]
pub trait Job: Send + Sync {
    /// Name, schedule, limits.
    fn spec(&self) -> &JobSpec;

    /// Whether this process can do it now. A run that it cannot do stays in the queue for a process that
    /// can: what needs files that one process owns is done by that one.
    fn ready(&self) -> bool {
        true
    }

    /// Does the work of one run; what it returns is kept as the run's result. A run may be repeated
    /// after a crash: work in steps, keep a checkpoint after each, begin at [`RunContext::checkpoint`],
    /// and write what must not be written twice in transactions that pass [`RunContext::guard`].
    async fn run(&self, context: &RunContext) -> Result<Value, JobError>;
}
