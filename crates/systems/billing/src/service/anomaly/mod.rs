//! Anomalies: found by evaluation, looked at by people.

mod evaluate;
mod words;

use std::sync::Arc;

use sealwright_access::TenantDirectory;
use sealwright_core::{Clock, Digest, TenantId, TenantScope};
use sealwright_forecast::{Cadence, DetectorConfig};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_store::{Store, Tx};
use serde_json::json;

use super::usage::UsageService;
use super::{BillingError, tell};
use crate::model::anomaly::{Anomaly, AnomalyId, AnomalySettings, AnomalyState};
use crate::store::anomaly as rows;
pub use evaluate::{Evaluated, LOOK_BACK_DAYS};
pub use rows::AnomalyFilter;
pub(super) use words::number;

/// The longest note of a person.
const NOTE: usize = 2_000;

/// Finds and keeps anomalies.
#[derive(Clone)]
pub struct AnomalyService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    usage: UsageService,
    directory: TenantDirectory,
    outbox: Option<Arc<dyn Outbox>>,
}

impl std::fmt::Debug for AnomalyService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnomalyService").finish_non_exhaustive()
    }
}

impl AnomalyService {
    /// Puts the service together.
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        usage: UsageService,
        directory: TenantDirectory,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            usage,
            directory,
            outbox: None,
        }
    }

    /// The same, and tells of each anomaly that is found, and what was decided about it.
    #[must_use]
    pub fn telling(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    async fn tell(&self, tx: &mut Tx, anomaly: &Anomaly) -> Result<(), BillingError> {
        if let Some(outbox) = &self.outbox {
            outbox.enqueue(tx, &tell::anomaly(anomaly)).await?;
        }
        Ok(())
    }

    /// Anomalies, the last found first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(
        &self,
        scope: TenantScope,
        filter: &AnomalyFilter,
    ) -> Result<Vec<Anomaly>, BillingError> {
        Ok(rows::list(&self.store, scope, filter).await?)
    }

    /// How many are open.
    ///
    /// # Errors
    /// From the state.
    pub async fn count_open(&self, scope: TenantScope) -> Result<u64, BillingError> {
        Ok(rows::count_open(&self.store, scope).await?)
    }

    /// One anomaly.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when it is not there or not in the scope.
    pub async fn find(&self, scope: TenantScope, id: AnomalyId) -> Result<Anomaly, BillingError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| BillingError::NotFound(format!("the anomaly {id}")))
    }

    /// Acknowledges, dismisses or opens an anomaly again; the same state with no note changes nothing.
    ///
    /// # Errors
    /// [`BillingError::NotFound`], [`BillingError::Stale`], [`BillingError::Invalid`] for a long note.
    pub async fn decide(
        &self,
        scope: TenantScope,
        id: AnomalyId,
        revision: Option<i64>,
        state: AnomalyState,
        note: &str,
        actor: &str,
    ) -> Result<Anomaly, BillingError> {
        let note = note.trim();
        if note.chars().count() > NOTE {
            return Err(BillingError::Invalid(format!(
                "the note has more than {NOTE} characters"
            )));
        }
        let before = self.find(scope, id).await?;
        if let Some(seen) = revision.filter(|seen| *seen != before.revision) {
            return Err(BillingError::Stale { seen });
        }
        if before.state == state && note.is_empty() {
            return Ok(before);
        }
        let mut after = before.clone();
        after.state = state;
        after.body.note = (!note.is_empty()).then(|| note.to_owned());
        self.change(&before, after, verb(state), actor).await
    }

    async fn change(
        &self,
        before: &Anomaly,
        mut after: Anomaly,
        verb: &str,
        actor: &str,
    ) -> Result<Anomaly, BillingError> {
        after.revision = before.revision + 1;
        after.updated_at = self.clock.now();
        actor.clone_into(&mut after.updated_by);
        let entry = EntryDraft::new(
            actor,
            format!("billing.anomaly.{verb}"),
            after.id.to_string(),
        )
        .tenant(after.tenant)
        .before(digest(before))
        .after(digest(&after))
        .details(json!({
            "meter": after.meter, "at": after.at.to_string(), "state": after.state,
            "note": after.body.note,
        }));
        let mut tx = self.store.begin().await?;
        let entry = self.ledger.record(&mut tx, &entry).await?;
        after.ledger_entry = Some(entry.to_string());
        if !rows::update(&mut tx, &after, before.revision).await? {
            tx.rollback().await?;
            return Err(BillingError::Stale {
                seen: before.revision,
            });
        }
        self.tell(&mut tx, &after).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(after)
    }

    /// How anomalies are looked for in a tenant's usage.
    ///
    /// # Errors
    /// From the state.
    pub async fn settings(&self, tenant: TenantId) -> Result<AnomalySettings, BillingError> {
        Ok(rows::settings(&self.store, tenant)
            .await?
            .unwrap_or_default())
    }

    /// Sets how anomalies are looked for in a tenant's usage.
    ///
    /// # Errors
    /// [`BillingError::Invalid`] names the setting that makes no sense.
    pub async fn set_settings(
        &self,
        tenant: TenantId,
        settings: AnomalySettings,
        actor: &str,
    ) -> Result<(), BillingError> {
        let invalid =
            |error: sealwright_forecast::ForecastError| BillingError::Invalid(error.to_string());
        settings.rule.check().map_err(invalid)?;
        detector(&settings).check().map_err(invalid)?;
        let before = self.settings(tenant).await?;
        let value = json!({ "tenant": tenant, "settings": settings });
        let entry = EntryDraft::new(actor, "billing.anomaly.configure", tenant.to_string())
            .tenant(tenant)
            .before(Digest::of_json(
                &json!({ "tenant": tenant, "settings": before }),
            ))
            .after(Digest::of_json(&value))
            .details(value);
        let mut tx = self.store.begin().await?;
        rows::put_settings(&mut tx, tenant, &settings, self.clock.now(), actor).await?;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }
}

/// The seasonal detector's settings: hours, by the hour of the week.
fn detector(settings: &AnomalySettings) -> DetectorConfig {
    DetectorConfig {
        cadence: Cadence::HOURLY,
        false_alarms_a_month: settings.false_alarms_a_month,
    }
}

const fn verb(state: AnomalyState) -> &'static str {
    match state {
        AnomalyState::Open => "open",
        AnomalyState::Acknowledged => "acknowledge",
        AnomalyState::Dismissed => "dismiss",
    }
}

fn digest(anomaly: &Anomaly) -> Digest {
    Digest::of_json(&json!({
        "id": anomaly.id, "revision": anomaly.revision, "state": anomaly.state,
        "severity": anomaly.severity, "body": anomaly.body,
    }))
}
