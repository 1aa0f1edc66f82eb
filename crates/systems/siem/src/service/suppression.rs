//! Suppressions: alerts that are not wanted for a time.

use std::sync::Arc;

use sealwright_core::clock::DAY;
use sealwright_core::{Clock, Digest, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::Store;
use serde_json::json;

use super::SiemError;
use crate::model::{Alert, Entity, Suppression, SuppressionId};
use crate::store::{alert, remember, suppression as rows};

/// The longest time that a suppression may hold.
pub const LONGEST: i64 = 366 * DAY;

/// Keeps suppressions.
#[derive(Debug, Clone)]
pub struct SuppressionService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
}

impl SuppressionService {
    /// Keeps them in `store`.
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            ledger,
            clock,
        }
    }

    /// Suppressions, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Suppression>, SiemError> {
        Ok(rows::list(&self.store, scope).await?)
    }

    /// One suppression.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], also for one outside of the scope.
    pub async fn find(
        &self,
        scope: TenantScope,
        id: SuppressionId,
    ) -> Result<Suppression, SiemError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| SiemError::NotFound(format!("the suppression {id}")))
    }

    /// Suppresses what an alert says, for the rule or (with `entity`) for the rule about one of the alert's
    /// entities, until `ends_at`. It covers nothing worse than the alert, and nothing about entities that
    /// the alert does not know.
    ///
    /// # Errors
    /// [`SiemError::Invalid`] without a reason, with an end that is past or more than a year away, or
    /// with an entity that is not of the alert.
    pub async fn of_alert(
        &self,
        of: &Alert,
        entity: Option<Entity>,
        ends_at: UnixMicros,
        reason: &str,
        actor: &str,
    ) -> Result<Suppression, SiemError> {
        let now = self.clock.now();
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > 1_000 {
            return Err(SiemError::Invalid(
                "a suppression needs a reason of at most 1000 characters".to_owned(),
            ));
        }
        if ends_at <= now || ends_at.since(now) > LONGEST {
            return Err(SiemError::Invalid(format!(
                "a suppression ends after now and within 366 days; {ends_at} does not"
            )));
        }
        let known = alert::entities(&self.store, of.id).await?;
        if let Some(entity) = &entity
            && !known.contains(entity)
        {
            return Err(SiemError::Invalid(format!(
                "the alert is not about {} {}",
                entity.kind, entity.value
            )));
        }
        let made = Suppression {
            id: SuppressionId::new(now),
            tenant: of.tenant,
            rule_id: of.body.rule.id.clone(),
            entity,
            severity: of.severity,
            known,
            reason: reason.to_owned(),
            owner: actor.to_owned(),
            created_at: now,
            ends_at,
            ended_at: None,
            hits: 0,
            last_hit: None,
            revision: 1,
        };
        let entry = EntryDraft::new(actor, "siem.suppression.create", made.id.to_string())
            .tenant(made.tenant)
            .after(digest(&made))
            .details(
                json!({ "rule": made.rule_id, "reason": made.reason, "alert": of.id.to_string() }),
            );
        let mut tx = self.store.begin().await?;
        rows::insert(&mut tx, &made).await?;
        let detail = format!("until {ends_at}: {reason}");
        remember(
            &mut tx,
            &made.id.to_string(),
            now,
            actor,
            "created",
            &detail,
        )
        .await?;
        let told = format!("{} {detail}", made.id);
        remember(&mut tx, &of.id.to_string(), now, actor, "suppressed", &told).await?;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(made)
    }

    /// Ends a suppression before its time.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], [`SiemError::Stale`], [`SiemError::State`] when it has ended.
    pub async fn end(
        &self,
        scope: TenantScope,
        id: SuppressionId,
        revision: Option<i64>,
        actor: &str,
    ) -> Result<Suppression, SiemError> {
        let there = self.find(scope, id).await?;
        if let Some(seen) = revision.filter(|seen| *seen != there.revision) {
            return Err(SiemError::Stale { seen });
        }
        let now = self.clock.now();
        if !there.holds(now) {
            return Err(SiemError::State("the suppression has ended".to_owned()));
        }
        let next = Suppression {
            ended_at: Some(now),
            revision: there.revision + 1,
            ..there.clone()
        };
        let entry = EntryDraft::new(actor, "siem.suppression.end", id.to_string())
            .tenant(there.tenant)
            .before(digest(&there))
            .after(digest(&next));
        let mut tx = self.store.begin().await?;
        rows::end(&mut tx, id, there.revision, now).await?;
        remember(&mut tx, &id.to_string(), now, actor, "ended", "").await?;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(next)
    }
}

fn digest(s: &Suppression) -> Digest {
    Digest::of_json(&json!({
        "id": s.id.to_string(),
        "rule": s.rule_id,
        "severity": s.severity.name(),
        "reason": s.reason,
        "ends_at": s.ends_at.to_string(),
        "ended_at": s.ended_at.map(|at| at.to_string()),
    }))
}
