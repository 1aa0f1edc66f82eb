//! After finalising: paid, overdue, void.

use sealwright_core::{Digest, TenantScope};
use sealwright_ledger::EntryDraft;
use serde_json::json;

use super::InvoiceService;
use super::draft::sealed;
use crate::model::{Invoice, InvoiceId, InvoiceState};
use crate::service::BillingError;
use crate::store::invoice as rows;

impl InvoiceService {
    /// Marks an invoice as paid; `reference` is the payment's, for the record.
    ///
    /// # Errors
    /// [`BillingError::State`] when it is not open, [`BillingError::Stale`].
    pub async fn pay(
        &self,
        scope: TenantScope,
        id: InvoiceId,
        revision: Option<i64>,
        reference: &str,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        self.settle(scope, id, revision, InvoiceState::Paid, reference, actor)
            .await
    }

    /// Withdraws an invoice; its period may be invoiced again.
    ///
    /// # Errors
    /// [`BillingError::State`] when it is not open, [`BillingError::Stale`], [`BillingError::Invalid`] without
    /// a reason.
    pub async fn void(
        &self,
        scope: TenantScope,
        id: InvoiceId,
        revision: Option<i64>,
        reason: &str,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        if reason.trim().is_empty() {
            return Err(BillingError::Invalid(
                "a void invoice needs a reason".to_owned(),
            ));
        }
        self.settle(scope, id, revision, InvoiceState::Void, reason, actor)
            .await
    }

    /// Marks every finalised invoice whose due date has passed; returns how many.
    ///
    /// # Errors
    /// From the state; those that were marked before it stay marked.
    pub async fn mark_overdue(&self, actor: &str) -> Result<u64, BillingError> {
        let mut marked = 0;
        for invoice in rows::past_due(&self.store, self.clock.now()).await? {
            let id = invoice.document.id;
            let scope = TenantScope::One(invoice.tenant);
            let seen = Some(invoice.revision);
            match self
                .settle(
                    scope,
                    id,
                    seen,
                    InvoiceState::Overdue,
                    "due date passed",
                    actor,
                )
                .await
            {
                Ok(_) => marked += 1,
                // Paid or voided at this very moment: no longer ours to mark.
                Err(BillingError::Stale { .. } | BillingError::State { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(marked)
    }

    async fn settle(
        &self,
        scope: TenantScope,
        id: InvoiceId,
        revision: Option<i64>,
        next: InvoiceState,
        reason: &str,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        let invoice = self.find(scope, id).await?;
        if let Some(seen) = revision.filter(|seen| *seen != invoice.revision) {
            return Err(BillingError::Stale { seen });
        }
        if !invoice.state.may_become(next) {
            return Err(BillingError::State {
                from: invoice.state,
                to: next,
            });
        }
        let seen = invoice.revision;
        let before = state_digest(&invoice);
        let settled = matches!(next, InvoiceState::Paid | InvoiceState::Void);
        let changed = Invoice {
            state: next,
            revision: seen + 1,
            settled_at: settled.then(|| self.clock.now()),
            ..invoice
        };
        let (text, _) = sealed(&changed.document)?;
        let entry = EntryDraft::new(
            actor,
            format!("billing.invoice.{}", verb(next)),
            id.to_string(),
        )
        .tenant(changed.tenant)
        .before(before)
        .after(state_digest(&changed))
        .details(json!({ "reason": reason, "number": changed.document.number }));
        let mut tx = self.store.begin().await?;
        rows::update(&mut tx, &changed, &text, seen).await?;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(changed)
    }
}

/// The document never changes after finalising; what changes is its state beside it.
fn state_digest(invoice: &Invoice) -> Digest {
    Digest::of_json(&json!({ "document": invoice.digest, "state": invoice.state.name() }))
}

const fn verb(state: InvoiceState) -> &'static str {
    match state {
        InvoiceState::Paid => "pay",
        InvoiceState::Void => "void",
        InvoiceState::Overdue => "mark-overdue",
        InvoiceState::Draft => "draft",
        InvoiceState::Finalised => "finalise",
    }
}
