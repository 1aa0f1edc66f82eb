//! Jobs: scheduled and asked-for work as rows.
//!
//! A [`Job`] is registered in code; its runs are rows that any process may claim under a lease. One slot
//! of a schedule has one run, however many processes there are. A holder that crashes loses its lease,
//! and the run continues elsewhere from its last checkpoint; a holder that only seemed to crash is kept
//! from writing by the run's fencing token.

// A Problem is made once for each refused request; boxing it would only burden every handler.
#![allow(clippy::result_large_err)]

pub mod api;
pub mod cli;
mod context;
mod error;
mod job;
mod model;
pub mod pages;
mod prune;
mod runner;
mod schedule;
mod service;
mod store;

pub use context::RunContext;
pub use error::{JobError, JobsError};
pub use job::{CatchUp, Job, JobSpec};
pub use model::{JobInfo, Run, RunFilter, RunId, RunState};
pub use prune::PruneHistory;
pub use runner::Runner;
pub use schedule::{Schedule, ScheduleError};
pub use service::{JobsService, Tick};

/// The tables of this crate.
pub const COMPONENT: sealwright_store::Component =
    sealwright_store::migrations!("jobs", 1 => "0001_init");
