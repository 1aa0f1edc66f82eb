//! Group commit: many callers, one append.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::TileLog;
use super::tile_log::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES};
use crate::error::{LedgerError, Result};

/// Where an entry went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its index in the tree.
    pub index: u64,
    /// The size of the signed checkpoint that covers it.
    pub size: u64,
}

/// How long an acknowledged entry waits at most for readers to see it.
const UNPUBLISHED: Duration = Duration::from_millis(10);

struct Request {
    entry: Vec<u8>,
    answer: oneshot::Sender<Result<Appended, String>>,
}

/// A handle for appending from many tasks. Entries that arrive while a commit is under way share
/// the next one, so the cost of syncing is paid once for all of them. Likewise commits share a
/// publication: tiles and checkpoint file follow an acknowledgement within 10 ms.
#[derive(Debug, Clone)]
pub struct Appender {
    requests: mpsc::Sender<Request>,
}

impl Appender {
    /// Moves the tree to a thread of its own. At most `queue` entries wait; callers beyond that
    /// are held back. The thread ends, and the tree is released, when every handle was dropped.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(log: TileLog, queue: usize) -> Result<Self> {
        let (requests, incoming) = mpsc::channel(queue.max(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|e| LedgerError::Task(e.to_string()))?;
        std::thread::Builder::new()
            .name("ledger-append".to_owned())
            .spawn(move || runtime.block_on(run(log, incoming)))
            .map_err(|e| LedgerError::Task(e.to_string()))?;
        Ok(Self { requests })
    }

    /// Appends one entry and waits until it is on disk, with a signed checkpoint that covers it.
    ///
    /// # Errors
    /// [`LedgerError::TooLarge`] for an entry above 65,535 bytes; otherwise the cause why its
    /// commit failed.
    pub async fn append(&self, entry: Vec<u8>) -> Result<Appended> {
        if entry.len() > sealwright_merkle::bundle::MAX_ENTRY_LEN {
            let len = entry.len();
            let error = sealwright_merkle::bundle::EntryTooLong { len };
            return Err(LedgerError::TooLarge(error.to_string()));
        }
        let ended = || LedgerError::Stopped("the append thread ended".to_owned());
        let (answer, result) = oneshot::channel();
        self.requests
            .send(Request { entry, answer })
            .await
            .map_err(|_| ended())?;
        result
            .await
            .map_err(|_| ended())?
            .map_err(LedgerError::Stopped)
    }
}

async fn run(mut log: TileLog, mut incoming: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    // When the oldest commit that readers do not see must be published.
    let mut due = None;
    loop {
        let first = match due {
            None => incoming.recv().await,
            Some(at) => match timeout_at(at, incoming.recv()).await {
                Ok(first) => first,
                Err(_) => {
                    publish(&mut log);
                    due = None;
                    continue;
                }
            },
        };
        let Some(first) = first else { return };
        if due.is_some_and(|at| at <= Instant::now()) {
            publish(&mut log);
            due = None;
        }
        let mut bytes = first.entry.len();
        batch.push(first);
        // The longest entry may still join, hence the room that is left.
        while batch.len() < MAX_BATCH_ENTRIES && bytes < MAX_BATCH_BYTES / 2 {
            let Ok(next) = incoming.try_recv() else { break };
            bytes += next.entry.len();
            batch.push(next);
        }
        let entries: Vec<&[u8]> = batch
            .iter()
            .map(|request| request.entry.as_slice())
            .collect();
        match log.commit(&entries) {
            Ok(indices) => {
                let size = indices.end;
                due = due.or_else(|| Some(Instant::now() + UNPUBLISHED));
                for (index, request) in indices.zip(batch.drain(..)) {
                    // A caller that went away does not need its answer.
                    let _ = request.answer.send(Ok(Appended { index, size }));
                }
            }
            Err(error) => {
                let cause = error.to_string();
                for request in batch.drain(..) {
                    let _ = request.answer.send(Err(cause.clone()));
                }
            }
        }
    }
}

/// A failure is the next append's: what was acknowledged is in the journal, and publishing is tried
/// again with it.
fn publish(log: &mut TileLog) {
    if let Err(error) = log.publish() {
        tracing::error!(%error, "the ledger could not publish its checkpoint");
    }
}
