//! Policies: what is done about findings.

use std::sync::Arc;

use sealwright_core::{Clock, Digest, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::{Store, StoreError};
use serde_json::{Value, json};

use super::DlpError;
use crate::model::{Original, Policy, PolicyAction, PolicyId, PolicyMode, PolicyScope};
use crate::store::policy as rows;

/// Keeps policies.
#[derive(Debug, Clone)]
pub struct PolicyService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
}

/// What a policy is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// Where it holds.
    pub scope: PolicyScope,
    /// What is done.
    pub action: PolicyAction,
    /// What becomes of the version that a redacted or encrypted one takes the place of.
    pub original: Original,
    /// Whether people are told at once.
    pub alert: bool,
    /// Whether it is done, or only said.
    pub mode: PolicyMode,
}

impl PolicyService {
    /// Keeps them in `store`.
    #[must_use]
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            ledger,
            clock,
        }
    }

    /// The policies that hold in a scope, the installation's among them.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Policy>, DlpError> {
        Ok(rows::list(&self.store, scope).await?)
    }

    /// Sets the policy for a place. A new one begins as a dry run, whatever was asked for: it can be
    /// enforced once it has been seen. `revision` is the one that the caller saw, where there is one.
    ///
    /// # Errors
    /// [`DlpError::Stale`]; [`DlpError::Invalid`] for a new policy that is to act at once.
    pub async fn set(
        &self,
        new: NewPolicy,
        revision: Option<i64>,
        actor: &str,
    ) -> Result<Policy, DlpError> {
        if new.scope.bucket.as_ref().is_some_and(|bucket| {
            bucket.is_empty() || bucket.len() > 255 || bucket.chars().any(char::is_control)
        }) {
            return Err(DlpError::Invalid(
                "`bucket` must have 1 to 255 characters".to_owned(),
            ));
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let before = rows::at(&mut tx, &new.scope).await?;
        if let Some(seen) = revision
            && before.as_ref().map_or(0, |policy| policy.revision) != seen
        {
            return Err(DlpError::Stale { seen });
        }
        if before.is_none() && new.mode == PolicyMode::Enforce {
            return Err(DlpError::Invalid(
                "a new policy begins as a dry run; look at what it would do, then set it to enforce"
                    .to_owned(),
            ));
        }
        let policy = Policy {
            id: before
                .as_ref()
                .map_or_else(|| PolicyId::new(now), |policy| policy.id),
            scope: new.scope,
            action: new.action,
            original: new.original,
            alert: new.alert,
            mode: new.mode,
            revision: before.as_ref().map_or(1, |policy| policy.revision + 1),
            changed_at: now,
            changed_by: actor.to_owned(),
        };
        rows::put(&mut tx, &policy).await?;
        let mut entry = EntryDraft::new(actor, "dlp.policy.set", policy.id.to_string())
            .after(Digest::of_json(&state(&policy)))
            .details(state(&policy));
        entry.tenant = policy.scope.tenant;
        entry.before = before
            .as_ref()
            .map(|before| Digest::of_json(&state(before)));
        self.ledger.record(&mut tx, &entry).await?;
        match tx.commit().await {
            Err(StoreError::Constraint(_)) => return Err(DlpError::Store(StoreError::Contended)),
            other => other?,
        }
        self.ledger.nudge();
        Ok(policy)
    }

    /// Takes a policy away; what is wider holds again.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn remove(
        &self,
        scope: TenantScope,
        id: PolicyId,
        actor: &str,
    ) -> Result<Policy, DlpError> {
        let mut tx = self.store.begin().await?;
        let policy = rows::find(&mut tx, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the policy {id}")))?;
        rows::delete(&mut tx, id).await?;
        let mut entry = EntryDraft::new(actor, "dlp.policy.remove", id.to_string())
            .before(Digest::of_json(&state(&policy)))
            .details(state(&policy));
        entry.tenant = policy.scope.tenant;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(policy)
    }
}

fn state(policy: &Policy) -> Value {
    json!({
        "id": policy.id,
        "tenant": policy.scope.tenant,
        "bucket": policy.scope.bucket,
        "class": policy.scope.class,
        "severity": policy.scope.severity,
        "action": policy.action,
        "original": policy.original,
        "alert": policy.alert,
        "mode": policy.mode,
        "revision": policy.revision,
    })
}
