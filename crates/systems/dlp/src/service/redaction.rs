//! Reversible redaction: values leave a document and come back with a tenant's key, and both are in the ledger
//! before anybody gets the result.

use std::sync::Arc;

use sealwright_core::{Clock, Digest, Id, IdKind, TenantId};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_scan::Scanner;
use sealwright_scan::document::Limits;
use sealwright_scan::redact::{Redacted, Redactor, Restored, restore_document};
use sealwright_store::Store;
use serde_json::{Value, json};

use super::DlpError;
use super::key::KeyService;
use crate::model::finding::ids;

ids! {
    RedactionKind, RedactionId, "rdn", "a reversible redaction, or its way back";
}

/// Takes values out and brings them back.
#[derive(Debug, Clone)]
pub struct RedactionService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    keys: KeyService,
}

/// Which document, for whom, why.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Whose key.
    pub tenant: TenantId,
    /// How the document is called.
    pub name: &'a str,
    /// Why, for the ledger.
    pub reason: &'a str,
    /// Who does it.
    pub actor: &'a str,
}

impl RedactionService {
    /// With the tenants' keys.
    #[must_use]
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>, keys: KeyService) -> Self {
        Self {
            store,
            ledger,
            clock,
            keys,
        }
    }

    /// Takes out what the scanner finds, so that it can come back.
    ///
    /// # Errors
    /// [`DlpError::Invalid`] for a document that cannot be written so, and without a reason.
    pub async fn hide(
        &self,
        about: About<'_>,
        scanner: &Scanner,
        bytes: &[u8],
    ) -> Result<Redacted, DlpError> {
        reason(about)?;
        let key = self.keys.restore(about.tenant).await?;
        let done = Redactor::reversible(scanner, key)
            .document(about.name, bytes)
            .map_err(|error| DlpError::Invalid(format!("{}: {error}", about.name)))?;
        let details = json!({
            "name": about.name, "reason": about.reason, "replaced": done.replaced,
            "before": Digest::of(bytes), "after": Digest::of(&done.bytes),
        });
        self.record(about, "dlp.redaction.hide", details).await?;
        Ok(done)
    }

    /// Brings values back.
    ///
    /// # Errors
    /// [`DlpError::Invalid`] for a document that cannot be read, and without a reason.
    pub async fn restore(&self, about: About<'_>, bytes: &[u8]) -> Result<Restored, DlpError> {
        reason(about)?;
        let key = self.keys.restore(about.tenant).await?;
        let done = restore_document(&key, bytes, &Limits::default())
            .map_err(|error| DlpError::Invalid(format!("{}: {error}", about.name)))?;
        let details = json!({
            "name": about.name, "reason": about.reason, "restored": done.restored,
            "refused": done.refused, "before": Digest::of(bytes), "after": Digest::of(&done.bytes),
        });
        // Whoever gets the values stands in the ledger first.
        self.record(about, "dlp.redaction.restore", details).await?;
        Ok(done)
    }

    async fn record(&self, about: About<'_>, action: &str, details: Value) -> Result<(), DlpError> {
        let id = RedactionId::new(self.clock.now());
        let mut tx = self.store.begin().await?;
        let entry = EntryDraft::new(about.actor, action, id.to_string())
            .tenant(about.tenant)
            .details(details);
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }
}

fn reason(about: About<'_>) -> Result<(), DlpError> {
    if about.reason.trim().is_empty() || about.reason.len() > 2_000 {
        return Err(DlpError::Invalid(
            "say why: the reason has 1 to 2,000 bytes".to_owned(),
        ));
    }
    Ok(())
}
