//! Alerts: who works on them, what they were.

use std::sync::Arc;

use sealwright_core::clock::DAY;
use sealwright_core::{Clock, Digest, TenantId, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::{Outbox, Phase};
use sealwright_store::{Store, StoreError, Tx};
use serde_json::json;

use super::SiemError;
use super::tell;
use crate::model::{
    Alert, AlertEvent, AlertId, AlertState, Entity, HistoryEntry, Severity, Verdict,
};
use crate::store::alert::{self as rows, Filter, Load, Means};
use crate::store::remember;

/// Longest note in characters.
const LONGEST_NOTE: usize = 4_000;
/// How far back alerts count for the risk of an entity.
pub const RISK_WINDOW: i64 = 7 * DAY;

/// What is done to an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody works on it now.
    Acknowledge,
    /// It was decided.
    Close(Verdict),
    /// It is worked on again.
    Reopen,
    /// Somebody else works on it; nobody when empty.
    Assign(Option<String>),
    /// A note, without any other change.
    Note,
}

/// The risk of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// Whose.
    pub tenant: TenantId,
    /// Whom.
    pub entity: Entity,
    /// Points: the weights of its alerts of the last seven days, false positives and what is benign left
    /// out.
    pub points: i64,
    /// Alerts by severity, informational first.
    pub alerts: [u64; 5],
}

/// Works on alerts.
#[derive(Debug, Clone)]
pub struct AlertService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    outbox: Option<Arc<dyn Outbox>>,
}

impl AlertService {
    /// Works on the alerts in `store`.
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            ledger,
            clock,
            outbox: None,
        }
    }

    /// The same, and tells what becomes of alerts.
    #[must_use]
    pub fn telling(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    async fn tell(
        &self,
        tx: &mut Tx,
        alert: &Alert,
        phase: Phase,
        what: &str,
    ) -> Result<(), SiemError> {
        if let Some(outbox) = &self.outbox {
            outbox
                .enqueue(tx, &tell::message(alert, phase, what))
                .await?;
        }
        Ok(())
    }

    /// The ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Alerts, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope, filter: &Filter) -> Result<Vec<Alert>, SiemError> {
        Ok(rows::list(&self.store, scope, filter).await?)
    }

    /// One alert.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], also for one outside of the scope.
    pub async fn find(&self, scope: TenantScope, id: AlertId) -> Result<Alert, SiemError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| SiemError::NotFound(format!("the alert {id}")))
    }

    /// The events that an alert shows.
    ///
    /// # Errors
    /// From the state.
    pub async fn events(&self, alert: &Alert) -> Result<Vec<AlertEvent>, SiemError> {
        Ok(rows::events(&self.store, alert.id).await?)
    }

    /// Whom an alert is about.
    ///
    /// # Errors
    /// From the state.
    pub async fn entities(&self, alert: &Alert) -> Result<Vec<Entity>, SiemError> {
        Ok(rows::entities(&self.store, alert.id).await?)
    }

    /// The evidence that was kept of an alert, as JSON.
    ///
    /// # Errors
    /// [`SiemError::NotFound`] when none was kept.
    pub async fn evidence(&self, alert: &Alert) -> Result<String, SiemError> {
        let scope = TenantScope::One(alert.tenant);
        crate::store::evidence::find(&self.store, scope, alert.id)
            .await?
            .ok_or_else(|| SiemError::NotFound(format!("evidence that was kept of {}", alert.id)))
    }

    /// What happened to an alert.
    ///
    /// # Errors
    /// From the state.
    pub async fn history(&self, alert: &Alert) -> Result<Vec<HistoryEntry>, SiemError> {
        Ok(crate::store::history(&self.store, &alert.id.to_string()).await?)
    }

    /// Alerts of the same rule and group that were closed before.
    ///
    /// # Errors
    /// From the state.
    pub async fn before(&self, alert: &Alert) -> Result<Vec<Alert>, SiemError> {
        let all = rows::closed_of(&self.store, alert.tenant, &alert.dedup_key).await?;
        Ok(all
            .into_iter()
            .filter(|other| other.id != alert.id)
            .collect())
    }

    /// Changes an alert, with a note where there is something to say.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], [`SiemError::Stale`], [`SiemError::State`], [`SiemError::Invalid`].
    pub async fn change(
        &self,
        scope: TenantScope,
        id: AlertId,
        revision: Option<i64>,
        change: &Change,
        note: &str,
        actor: &str,
    ) -> Result<Alert, SiemError> {
        let note = note.trim();
        if note.chars().count() > LONGEST_NOTE {
            return Err(SiemError::Invalid(format!(
                "a note has at most {LONGEST_NOTE} characters"
            )));
        }
        let alert = self.find(scope, id).await?;
        if let Some(seen) = revision.filter(|seen| *seen != alert.revision) {
            return Err(SiemError::Stale { seen });
        }
        let now = self.clock.now();
        let (next, action, words) = apply(&alert, change, note, actor, now)?;
        let detail = match (words.is_empty(), note.is_empty()) {
            (_, true) => words,
            (true, false) => note.to_owned(),
            (false, false) => format!("{words}: {note}"),
        };
        let entry = EntryDraft::new(actor, format!("siem.alert.{action}"), id.to_string())
            .tenant(alert.tenant)
            .before(digest(&alert))
            .after(digest(&next))
            .details(json!({ "detail": detail }));
        let mut tx = self.store.begin().await?;
        match rows::update(&mut tx, &next, alert.revision).await {
            Ok(()) => {}
            Err(StoreError::Constraint(_)) => {
                return Err(SiemError::State(
                    "there is a newer alert of this rule about the same; work on that one"
                        .to_owned(),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        remember(&mut tx, &id.to_string(), now, actor, action, &detail).await?;
        self.ledger.record(&mut tx, &entry).await?;
        let phase = match change {
            Change::Acknowledge => Some(Phase::Acknowledge),
            Change::Close(_) => Some(Phase::Resolve),
            Change::Reopen => Some(Phase::Trigger),
            Change::Assign(_) | Change::Note => None,
        };
        if let Some(phase) = phase {
            self.tell(&mut tx, &next, phase, &format!("{action}: {detail}"))
                .await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(next)
    }

    /// Escalates what nobody answered in time; gives the alerts.
    ///
    /// # Errors
    /// From the state; what was escalated before stays so.
    pub async fn escalate(&self, actor: &str) -> Result<Vec<Alert>, SiemError> {
        let now = self.clock.now();
        let mut done = Vec::new();
        for alert in rows::overdue(&self.store, now).await? {
            let next = Alert {
                escalated_at: Some(now),
                updated_at: now,
                revision: alert.revision + 1,
                ..alert.clone()
            };
            let late = minutes(now.since(alert.due_at));
            let detail = format!(
                "no answer, {late} over its time ({})",
                alert.severity.priority()
            );
            let entry = EntryDraft::new(actor, "siem.alert.escalate", alert.id.to_string())
                .tenant(alert.tenant)
                .before(digest(&alert))
                .after(digest(&next))
                .details(json!({ "detail": detail }));
            let mut tx = self.store.begin().await?;
            match rows::update(&mut tx, &next, alert.revision).await {
                Ok(()) => {}
                // Somebody answered at this very moment.
                Err(StoreError::Contended) => continue,
                Err(error) => return Err(error.into()),
            }
            remember(
                &mut tx,
                &alert.id.to_string(),
                now,
                actor,
                "escalated",
                &detail,
            )
            .await?;
            self.tell(
                &mut tx,
                &next,
                Phase::Trigger,
                &format!("Escalated: {detail}"),
            )
            .await?;
            self.ledger.record(&mut tx, &entry).await?;
            tx.commit().await?;
            metrics::counter!("sealwright_siem_escalated_total").increment(1);
            done.push(next);
        }
        if !done.is_empty() {
            self.ledger.nudge();
        }
        Ok(done)
    }

    /// The risk of entities, the highest first; of one when it is given.
    ///
    /// # Errors
    /// From the state.
    pub async fn risks(
        &self,
        scope: TenantScope,
        entity: Option<&Entity>,
    ) -> Result<Vec<Risk>, SiemError> {
        let since = self.clock.now().plus(-RISK_WINDOW);
        let loads = rows::loads(&self.store, scope, entity, since).await?;
        let mut risks: Vec<Risk> = loads.into_iter().map(risk).collect();
        risks.sort_by(|a, b| (b.points, &a.entity, a.tenant).cmp(&(a.points, &b.entity, b.tenant)));
        Ok(risks)
    }

    /// How alerts of a span stand.
    ///
    /// # Errors
    /// From the state.
    pub async fn counts(
        &self,
        scope: TenantScope,
        from: UnixMicros,
        to: UnixMicros,
    ) -> Result<Vec<(Severity, AlertState, u64)>, SiemError> {
        Ok(rows::counts(&self.store, scope, from, to).await?)
    }

    /// Alerts of a span by bucket and severity.
    ///
    /// # Errors
    /// From the state.
    pub async fn histogram(
        &self,
        scope: TenantScope,
        from: UnixMicros,
        to: UnixMicros,
        width: i64,
    ) -> Result<Vec<(UnixMicros, Severity, u64)>, SiemError> {
        Ok(rows::histogram(&self.store, scope, from, to, width).await?)
    }

    /// Mean times to answer and to close.
    ///
    /// # Errors
    /// From the state.
    pub async fn means(
        &self,
        scope: TenantScope,
        from: UnixMicros,
        to: UnixMicros,
    ) -> Result<Means, SiemError> {
        Ok(rows::means(&self.store, scope, from, to).await?)
    }

    /// Rules by the number of their alerts in a span.
    ///
    /// # Errors
    /// From the state.
    pub async fn by_rule(
        &self,
        scope: TenantScope,
        from: UnixMicros,
        to: UnixMicros,
    ) -> Result<Vec<(String, u64, u64)>, SiemError> {
        Ok(rows::by_rule(&self.store, scope, from, to).await?)
    }
}

fn risk(load: Load) -> Risk {
    let points = load
        .alerts
        .iter()
        .zip(0..)
        .map(|(n, number)| {
            let weight = Severity::of_number(number).weight();
            i64::try_from(*n).unwrap_or(i64::MAX).saturating_mul(weight)
        })
        .fold(0, i64::saturating_add);
    Risk {
        tenant: load.tenant,
        entity: load.entity,
        points,
        alerts: load.alerts,
    }
}

fn minutes(length: i64) -> String {
    format!("{} min", length / sealwright_core::clock::MINUTE)
}

/// The digest of where an alert stands, for the ledger.
fn digest(alert: &Alert) -> Digest {
    Digest::of_json(&json!({
        "alert": alert.digest,
        "state": alert.state.name(),
        "verdict": alert.verdict.map(Verdict::name),
        "owner": alert.owner,
        "severity": alert.severity.name(),
        "matches": alert.matches,
        "escalated": alert.escalated_at.is_some(),
        "revision": alert.revision,
    }))
}

fn apply(
    alert: &Alert,
    change: &Change,
    note: &str,
    actor: &str,
    now: UnixMicros,
) -> Result<(Alert, &'static str, String), SiemError> {
    let mut next = Alert {
        updated_at: now,
        revision: alert.revision + 1,
        ..alert.clone()
    };
    let mut go = |state: AlertState| {
        if alert.state.may_become(state) {
            next.state = state;
            Ok(())
        } else {
            Err(SiemError::State(format!(
                "the alert is {}, so it cannot become {state}",
                alert.state
            )))
        }
    };
    let (action, words) = match change {
        Change::Acknowledge => {
            go(AlertState::Acknowledged)?;
            next.acknowledged_at = next.acknowledged_at.or(Some(now));
            next.owner = next.owner.or_else(|| Some(actor.to_owned()));
            ("acknowledge", String::new())
        }
        Change::Close(verdict) => {
            go(AlertState::Closed)?;
            if note.is_empty() && *verdict != Verdict::TruePositive {
                return Err(SiemError::Invalid(format!(
                    "an alert that is closed as {verdict} needs a note that says why"
                )));
            }
            next.verdict = Some(*verdict);
            next.acknowledged_at = next.acknowledged_at.or(Some(now));
            next.closed_at = Some(now);
            ("close", format!("as {verdict}"))
        }
        Change::Reopen => {
            go(AlertState::Reopened)?;
            next.verdict = None;
            next.closed_at = None;
            next.escalated_at = None;
            next.due_at = now.plus(next.severity.answer_within());
            ("reopen", String::new())
        }
        Change::Assign(owner) => {
            let owner = owner
                .as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty());
            if owner.is_some_and(|text| text.len() > 200 || text.chars().any(char::is_control)) {
                return Err(SiemError::Invalid(
                    "an owner is one line of at most 200 bytes".to_owned(),
                ));
            }
            next.owner = owner.map(str::to_owned);
            let words = owner.map_or_else(|| "to nobody".to_owned(), |owner| format!("to {owner}"));
            ("assign", words)
        }
        Change::Note => {
            if note.is_empty() {
                return Err(SiemError::Invalid("a note has something in it".to_owned()));
            }
            ("note", String::new())
        }
    };
    Ok((next, action, words))
}
