//! Requests for erasure, and the certificate of what came of them.

use sealwright_core::{Digest, TenantId, TenantScope, canonical_json};
use sealwright_ledger::{EntryDraft, EntryProof};
use serde_json::{Value, json};

use super::DlpError;
use super::retention::RetentionService;
use crate::model::object::TAG_PERSON;
use crate::model::plan::{Erasure, ErasureId, PlanState};
use crate::store::{quarantine as quarantines, retention as rows};
use crate::verify::{CERTIFICATE, ENTRY_ACTION};

impl RetentionService {
    /// The requests of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn erasures(&self, scope: TenantScope) -> Result<Vec<Erasure>, DlpError> {
        Ok(rows::erasures(self.parts().0, scope).await?)
    }

    /// One request.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn erasure(&self, scope: TenantScope, id: ErasureId) -> Result<Erasure, DlpError> {
        rows::erasure(self.parts().0, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the request {id}")))
    }

    /// Enters a person's request. What it leads to is a plan: [`Self::draft`] with its id.
    ///
    /// # Errors
    /// [`DlpError::Invalid`].
    pub async fn ask_erasure(
        &self,
        tenant: TenantId,
        person: &str,
        reason: &str,
        actor: &str,
    ) -> Result<Erasure, DlpError> {
        let (store, ledger, clock) = self.parts();
        if person.is_empty() || person.len() > 256 || reason.trim().is_empty() {
            return Err(DlpError::Invalid(
                "give the person's pseudonymous id (as in the tag sealwright-person) and a reason"
                    .to_owned(),
            ));
        }
        let now = clock.now();
        let one = Erasure {
            id: ErasureId::new(now),
            tenant,
            person: person.to_owned(),
            reason: reason.to_owned(),
            asked_by: actor.to_owned(),
            asked_at: now,
            state: "open".to_owned(),
            certificate: String::new(),
            ledger_entry: String::new(),
            closed_at: None,
        };
        let mut tx = store.begin().await?;
        rows::put_erasure(&mut tx, &one).await?;
        let entry = EntryDraft::new(actor, "dlp.erasure.ask", one.id.to_string())
            .tenant(tenant)
            .details(json!({ "person": person, "reason": reason }));
        ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        ledger.nudge();
        Ok(one)
    }

    /// Closes a request once its plan was run and nothing of the person's is left, and writes the
    /// certificate, whose digest is in the ledger in the same transaction.
    ///
    /// # Errors
    /// [`DlpError::Conflict`] while versions are left, with the reasons.
    pub async fn close_erasure(
        &self,
        scope: TenantScope,
        id: ErasureId,
        actor: &str,
    ) -> Result<Erasure, DlpError> {
        let (store, ledger, clock) = self.parts();
        let mut one = self.erasure(scope, id).await?;
        if one.state != "open" {
            return Err(DlpError::Conflict("the request is closed".to_owned()));
        }
        let mut lines: Vec<Value> = Vec::new();
        let mut ran = false;
        for plan in self.plans(TenantScope::One(one.tenant), 1_000).await? {
            if plan.erasure != Some(one.id) || plan.state != PlanState::Applied {
                continue;
            }
            ran = true;
            for item in rows::items(store, scope, plan.id).await? {
                if matches!(item.result.as_str(), "erased" | "marker-removed") {
                    lines.push(json!({
                        "bucket": item.id.bucket, "key": item.id.key, "version": item.id.version,
                        "etag": item.etag, "size": item.size, "result": item.result,
                        "at": item.done_at.map(|at| at.to_string()), "plan": plan.id,
                    }));
                }
            }
        }
        if !ran {
            return Err(DlpError::Conflict(
                "no plan of this request was run yet".to_owned(),
            ));
        }
        let mut left: Vec<String> = self
            .look(one.tenant)
            .await?
            .into_iter()
            .filter(|looked| !looked.listed.marker)
            .filter(|looked| {
                // Tags that cannot be read may be the person's.
                looked
                    .facts
                    .tag(TAG_PERSON)
                    .map_or(true, |tag| tag == Some(one.person.as_str()))
            })
            .map(|looked| looked.facts.id.to_string())
            .collect();
        // What was taken away is the person's all the same: it is released or it stays, and is said to be there.
        let away = quarantines::there(store, one.tenant).await?;
        left.extend(
            away.iter()
                .filter(|away| away.tags.get(TAG_PERSON) == Some(&one.person))
                .map(|away| away.copy.to_string()),
        );
        if !left.is_empty() {
            let some: Vec<_> = left.iter().take(5).cloned().collect();
            return Err(DlpError::Conflict(format!(
                "{} versions of the person's are still here, such as {}; the plan says why",
                left.len(),
                some.join(", ")
            )));
        }
        let now = clock.now();
        let certificate = json!({
            "certificate": CERTIFICATE,
            "erasure": one.id,
            "tenant": one.tenant,
            "person": one.person,
            "asked_at": one.asked_at.to_string(),
            "closed_at": now.to_string(),
            "versions": lines.iter().filter(|line| line["result"] == "erased").count(),
            "markers": lines.iter().filter(|line| line["result"] == "marker-removed").count(),
            "lines": lines,
        });
        let bytes = canonical_json(&certificate);
        one.certificate =
            String::from_utf8(bytes).map_err(|error| DlpError::Internal(error.to_string()))?;
        one.state = "closed".to_owned();
        one.closed_at = Some(now);
        let mut tx = store.begin().await?;
        let entry = EntryDraft::new(actor, ENTRY_ACTION, one.id.to_string())
            .tenant(one.tenant)
            .after(Digest::of(one.certificate.as_bytes()));
        let entry = ledger.record(&mut tx, &entry).await?;
        one.ledger_entry = entry.to_string();
        rows::put_erasure(&mut tx, &one).await?;
        tx.commit().await?;
        ledger.nudge();
        Ok(one)
    }

    /// The certificate of a closed request with its proof, as a file that `sealwright verify` checks.
    ///
    /// # Errors
    /// [`DlpError::Conflict`] while it is open, or its entry has no place in the ledger yet.
    pub async fn certificate(&self, scope: TenantScope, id: ErasureId) -> Result<Value, DlpError> {
        let (_, ledger, _) = self.parts();
        let one = self.erasure(scope, id).await?;
        if one.certificate.is_empty() {
            return Err(DlpError::Conflict("the request is open".to_owned()));
        }
        let entry = one
            .ledger_entry
            .parse()
            .map_err(|_| DlpError::Internal("the ledger's entry is damaged".to_owned()))?;
        let proof: EntryProof = ledger.prove(scope, entry).await?;
        let body: Value = serde_json::from_str(&one.certificate)
            .map_err(|error| DlpError::Internal(error.to_string()))?;
        Ok(json!({ "certificate": body, "proof": proof }))
    }
}
