//! Where accepted events go: two logs with one promise.

mod file;
mod filter;
mod hold;
mod ids;
pub(crate) mod kept;
pub(crate) mod replace;
pub(crate) mod segment;

use async_trait::async_trait;
use sealwright_core::UnixMicros;
use sealwright_events::EventLog;

pub use file::{FileLog, FileLogOptions};
pub use hold::{LogCopy, LogHold, LogPart};

use crate::model::{BatchOutcome, NewEvent};

/// Why nothing of a group was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// No room. Nothing was stored; sending again is safe.
    #[error("the disk that holds the log is full; nothing was stored")]
    DiskFull,
    /// The write failed. Nothing was acknowledged; sending again is safe.
    #[error("the log cannot be written: {0}")]
    Unavailable(String),
    /// What follows the log is behind, and so much of the same tenant waits already. Nothing was stored; sending again is safe.
    #[error("more of this tenant's events wait than are let in; nothing was stored")]
    Later,
}

impl From<std::io::Error> for AppendError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// What may leave the log.
#[derive(Debug, Clone, Copy)]
pub struct TrimTo {
    /// Only events before this offset: the lowest cursor of all consumers.
    pub passed: u64,
    /// Only events that were received before this moment.
    pub received_before: UnixMicros,
    /// Identities that were received before this moment are forgotten: at least 35 days ago.
    pub forget_before: UnixMicros,
    /// Also end the segment that is being written, so that it can leave whole. For erasure; a log that
    /// keeps batches one by one has no need of it.
    pub close_segment: bool,
}

/// A log that can be appended to. Both implementations pass the same conformance suite.
#[async_trait]
pub trait IntakeLog: EventLog {
    /// Decides on each batch in order and makes what is accepted durable, all batches in one commit.
    /// When it returns an error, nothing was stored as far as any reader will ever see, and the same
    /// batches may be sent again.
    ///
    /// # Errors
    /// See [`AppendError`].
    async fn commit(
        &self,
        received_at: UnixMicros,
        batches: Vec<Vec<NewEvent>>,
    ) -> Result<Vec<BatchOutcome>, AppendError>;

    /// Lets old events and identities go. Returns the first offset that is left.
    ///
    /// # Errors
    /// See [`AppendError`]; what was not removed stays readable.
    async fn trim(&self, to: TrimTo) -> Result<u64, AppendError>;
}

/// Places where a test may let a write fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultPoint {
    /// Before the blocks are written.
    BeforeWrite,
    /// In the middle of the blocks: the first half is in the file.
    HalfWritten,
    /// After the blocks are written, before they are durable.
    BeforeSync,
    /// After they are durable, before anybody is told.
    AfterSync,
    /// Before the identities of a run are put into the index.
    BeforeRun,
    /// After they are in the index, before the index says so.
    AfterRun,
}

/// Decides whether a write fails; the logs ask it at each [`FaultPoint`].
pub trait Faults: Send + Sync + std::fmt::Debug {
    /// An error lets the write fail with it.
    ///
    /// # Errors
    /// When the write is to fail.
    fn at(&self, point: FaultPoint) -> std::io::Result<()>;
}

/// Nothing fails by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn at(&self, _point: FaultPoint) -> std::io::Result<()> {
        Ok(())
    }
}
