//! Who may do what, and the record of what policies of the installation refused.

use sealwright_store::as_system;

use super::{AccessService, Result};
use crate::audit::AuditAction;
use crate::policy::Matrix;
use crate::principal::Principal;
use crate::role::Action;

impl AccessService {
    /// Who may do what, here.
    ///
    /// # Errors
    /// [`AccessError::Refused`](crate::AccessError::Refused) without `access:read`.
    pub fn matrix(&self, by: &Principal) -> Result<Matrix> {
        by.require(Action::AccessRead)?;
        Ok(Matrix::of(&self.policies))
    }

    /// Records what was refused since the last time: who, which action, which policy; each once an hour.
    ///
    /// # Errors
    /// What the store said; what could not be recorded is lost.
    pub async fn record_refusals(&self) -> Result<()> {
        let now = self.now();
        let refusals = self.policies.take_refusals(now);
        if refusals.is_empty() {
            return Ok(());
        }
        // Other requests' refusals may be among them.
        as_system(async {
            let mut tx = self.store.begin().await?;
            for refusal in refusals {
                let action = AuditAction {
                    at: now,
                    actor: refusal.actor,
                    action: "access.policy.refuse",
                    tenant: refusal.tenant,
                    subject: refusal.policy,
                    before: None,
                    after: Some(serde_json::json!({"action": refusal.action.as_str()})),
                };
                self.audit.record(&mut tx, action).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}
