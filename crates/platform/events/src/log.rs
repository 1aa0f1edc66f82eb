//! The log as its consumers see it.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::StoredEvent;

/// How much one read may return.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// At most this many events.
    pub events: usize,
    /// At most about this many bytes of event JSON; at least one event is returned.
    pub bytes: usize,
}

impl Default for ReadLimit {
    fn default() -> Self {
        Self {
            events: 10_000,
            bytes: 16 << 20,
        }
    }
}

/// An error of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Events before `earliest` have left the log (they are in the lake).
    #[error("the log starts at {earliest}; offset {wanted} has left it")]
    Gone {
        /// The offset that was asked for.
        wanted: u64,
        /// The first offset that is still there.
        earliest: u64,
    },
    /// The log's files or rows are damaged at a known place.
    #[error("the log is damaged at {place}: {detail}")]
    Corrupt {
        /// File or row.
        place: String,
        /// What does not fit.
        detail: String,
    },
    /// The log cannot be read now.
    #[error("the log cannot be read: {0}")]
    Unavailable(String),
}

/// A durable, dense, ordered sequence of accepted events.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The events from `from` on, in order and without gaps; empty when `from` is the head.
    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<StoredEvent>, LogError>;

    /// The offset that the next event will get.
    async fn head(&self) -> Result<u64, LogError>;

    /// The first offset that is still in the log.
    async fn earliest(&self) -> Result<u64, LogError>;

    /// Changes whenever the head has moved (in this process or, after a delay, in another one).
    fn watch(&self) -> watch::Receiver<u64>;
}
