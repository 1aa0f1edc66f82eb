//! Enqueuing, in the caller's own transaction.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use sealwright_core::{Clock, UnixMicros};
use sealwright_store::{StoreError, Tx};
use tokio::sync::Notify;

use crate::message::{Message, MessageId};
use crate::store;

/// Where systems put their messages. [`Notifier`] is the real one; [`Unsent`] is for tools and tests
/// without these tables.
pub trait Outbox: Send + Sync + fmt::Debug {
    /// Puts `message` into the outbox within `tx`: it is sent if, and only if, the transaction commits.
    /// A message with [`Message::once`] that is there already is left alone, and its id is given.
    ///
    /// # Errors
    /// What the store said; the caller's transaction is then rolled back.
    fn enqueue<'a>(
        &'a self,
        tx: &'a mut Tx,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<MessageId, StoreError>>;
}

/// The outbox of an installation, whose migrations ([`crate::COMPONENT`]) are applied. Cheap to clone; all
/// clones wake the same workers.
#[derive(Clone)]
pub struct Notifier {
    clock: Arc<dyn Clock>,
    pub(crate) wake: Arc<Notify>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

impl Notifier {
    /// An outbox with the installation's clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            wake: Arc::default(),
        }
    }

    /// Lets a worker of this process look now instead of within a second: for callers that have committed.
    pub fn nudge(&self) {
        self.wake.notify_one();
    }
}

impl Outbox for Notifier {
    fn enqueue<'a>(
        &'a self,
        tx: &'a mut Tx,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<MessageId, StoreError>> {
        Box::pin(async move {
            let id = store::enqueue(tx, message, self.clock.now()).await?;
            metrics::counter!("sealwright_notify_messages_total", "severity" => message.severity.as_str())
                .increment(1);
            self.nudge();
            Ok(id)
        })
    }
}

/// Keeps nothing and tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsent;

impl Outbox for Unsent {
    fn enqueue<'a>(
        &'a self,
        _tx: &'a mut Tx,
        _message: &'a Message,
    ) -> BoxFuture<'a, Result<MessageId, StoreError>> {
        Box::pin(async { Ok(MessageId::new(UnixMicros(0))) })
    }
}
