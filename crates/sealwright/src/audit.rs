//! What access and jobs record goes into the ledger.

use std::sync::Arc;

use futures::future::BoxFuture;
use sealwright_access::{Audit, AuditAction};
use sealwright_ledger::{EntryDraft, Ledger, LedgerError};
use sealwright_store::{StoreError, Tx};
use serde_json::json;

/// Writes into the ledger, in the caller's transaction.
#[derive(Debug)]
pub(crate) struct LedgerAudit {
    ledger: Arc<Ledger>,
}

impl LedgerAudit {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }
}

impl Audit for LedgerAudit {
    fn record<'a>(
        &'a self,
        tx: &'a mut Tx,
        action: AuditAction,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let actor = format!("{}:{}", action.actor.kind, action.actor.id);
            let mut draft = EntryDraft::new(actor, action.action, action.subject.clone());
            draft.tenant = action.tenant;
            draft.before = action.before_digest();
            draft.after = action.after_digest();
            draft.details = json!({
                "actor_name": action.actor.name,
                "before": action.before,
                "after": action.after,
            });
            match self.ledger.record(tx, &draft).await {
                Ok(_) => {
                    self.ledger.nudge();
                    Ok(())
                }
                Err(LedgerError::Store(error)) => Err(error),
                Err(error) => Err(StoreError::Constraint(error.to_string())),
            }
        })
    }
}
