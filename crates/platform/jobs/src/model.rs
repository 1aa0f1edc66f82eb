//! Runs and their states.

use std::fmt;
use std::str::FromStr;

use sealwright_core::{Id, IdKind, UnixMicros};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

/// The kind of [`RunId`].
#[derive(Debug)]
pub enum RunKind {}
impl IdKind for RunKind {
    const PREFIX: &'static str = "run";
}
/// A run of a job.
pub type RunId = Id<RunKind>;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Waits for a process.
    Queued,
    /// A process holds it.
    Running,
    /// Succeeded.
    Done,
    /// Did not succeed, and will not be tried again by itself.
    Failed,
    /// Was stopped on request.
    Cancelled,
}

impl RunState {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [
            Self::Queued,
            Self::Running,
            Self::Done,
            Self::Failed,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| format!("`{text}` is not one of queued, running, done, failed, cancelled"))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn time<S: Serializer>(t: &UnixMicros, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(t)
}

#[allow(clippy::ref_option)]
fn opt_time<S: Serializer>(t: &Option<UnixMicros>, s: S) -> Result<S::Ok, S::Error> {
    match t {
        Some(t) => s.collect_str(t),
        None => s.serialize_none(),
    }
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Run {
    /// `run_…`.
    #[schema(value_type = String)]
    pub id: RunId,
    /// The job's name.
    pub job: String,
    /// The moment that it is for.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub slot: UnixMicros,
    /// `schedule`, or who asked for it.
    pub cause: String,
    /// Where it is.
    pub state: RunState,
    /// Attempts begun.
    pub attempt: i64,
    /// Grows with each claim.
    #[serde(skip)]
    pub fence: i64,
    /// The process that holds it.
    pub holder: Option<String>,
    /// Until when, without a further heartbeat.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_until: Option<UnixMicros>,
    /// Somebody asked for it to stop.
    pub cancel_requested: bool,
    /// Steps done.
    pub done: i64,
    /// Steps in all, where known.
    pub total: Option<i64>,
    /// What it is doing.
    pub message: String,
    /// Where a resumed run begins.
    #[serde(skip)]
    pub checkpoint: Option<Value>,
    /// What it returned.
    pub result: Option<Value>,
    /// Why it (or its last attempt) did not succeed.
    pub error: Option<String>,
    /// When it was put in the queue.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub queued_at: UnixMicros,
    /// When the last attempt began.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<UnixMicros>,
    /// When it ended.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<UnixMicros>,
}

/// A job as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct JobInfo {
    /// The name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// The cron expression; absent when it only runs when asked for.
    pub cron: Option<String>,
    /// The zone of the expression.
    pub zone: Option<String>,
    /// `none`, `once` or `all`.
    pub catch_up: String,
    /// The next slot.
    #[serde(serialize_with = "opt_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_slot: Option<UnixMicros>,
    /// The newest run.
    pub last_run: Option<Run>,
}

/// Which runs, newest first.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this job.
    pub job: Option<String>,
    /// In this state.
    pub state: Option<RunState>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Rows, 1 to 500; 50 when absent.
    pub limit: Option<u32>,
}
