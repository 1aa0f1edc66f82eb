//! From matches to alerts, within the transaction that moves the consumer's cursor.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use sealwright_core::clock::{DAY, HOUR};
use sealwright_core::{Clock, Digest, TenantId, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::{Outbox, Phase};
use sealwright_store::Tx;
use serde_json::json;

use super::SiemError;
use super::fields::MOST_ENTITIES;
use super::respond::RespondService;
use super::ruleset::Active;
use super::tell;
use crate::model::{
    Alert, AlertBody, AlertEvent, AlertId, AlertState, Entity, Incident, IncidentId, IncidentState,
    Matched, Suppression, Window,
};
use crate::store::{alert as rows, incident, remember, suppression};

/// Events that one alert keeps; the rest is counted.
pub const MOST_EVENTS: usize = 500;
/// Alerts that one tenant may get within an hour; further matches of a rule become one alert for the rule.
pub const MOST_ALERTS: u64 = 1_000;
/// How far apart alerts may be to belong to one incident.
const TOGETHER: i64 = DAY;

/// Matches that are one alert.
#[derive(Debug, Clone)]
pub struct Match {
    /// Whose.
    pub tenant: TenantId,
    /// The rule.
    pub rule: Active,
    /// Rule and group: what makes two matches the same alert.
    pub key: String,
    /// How many matches.
    pub count: u64,
    /// When the first event happened.
    pub first: UnixMicros,
    /// When the last event happened.
    pub last: UnixMicros,
    /// Whom it is about.
    pub entities: Vec<Entity>,
    /// What held for the last event.
    pub matched: Vec<Matched>,
    /// The window, of a correlation.
    pub window: Option<Window>,
    /// The events, as far as they are kept.
    pub events: Vec<AlertEvent>,
    /// How many events there were.
    pub events_total: u64,
}

/// What became of matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// A new alert.
    New(AlertId),
    /// An alert that was there.
    Counted(AlertId),
    /// Nothing: a suppression covers it.
    Suppressed,
}

/// What is known once for all matches of a transaction.
#[derive(Debug, Default)]
pub struct Batch {
    suppressions: BTreeMap<TenantId, Vec<Suppression>>,
    raised: BTreeMap<TenantId, u64>,
    /// Alerts that are new.
    pub new: Vec<(TenantId, AlertId)>,
}

/// Raises alerts.
#[derive(Debug, Clone)]
pub struct Raiser {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    respond: Option<RespondService>,
    outbox: Option<Arc<dyn Outbox>>,
}

impl Raiser {
    /// Raises alerts, and seals each in the ledger.
    pub fn new(ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ledger,
            clock,
            respond: None,
            outbox: None,
        }
    }

    /// The same, and tells of each new alert and of each that becomes worse.
    #[must_use]
    pub fn telling(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    async fn tell(&self, tx: &mut Tx, alert: &Alert, what: &str) -> Result<(), SiemError> {
        if let Some(outbox) = &self.outbox {
            let message = tell::message(alert, Phase::Trigger, what);
            outbox.enqueue(tx, &message).await?;
        }
        Ok(())
    }

    /// The same, and asks for the actions that settings of rules name.
    #[must_use]
    pub fn with_response(mut self, respond: RespondService) -> Self {
        self.respond = Some(respond);
        self
    }

    /// The present.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// To be called after the commit.
    pub fn committed(&self) {
        self.ledger.nudge();
    }

    /// Makes an alert of matches, counts them in the one that is there, or leaves them suppressed.
    ///
    /// # Errors
    /// From the state or the ledger; the transaction must then be dropped.
    pub async fn raise(
        &self,
        tx: &mut Tx,
        batch: &mut Batch,
        mut found: Match,
    ) -> Result<Raised, SiemError> {
        let now = self.clock.now();
        found.entities.sort();
        found.entities.dedup();
        found.entities.truncate(MOST_ENTITIES);
        if let Some(id) = self.suppressed(tx, batch, &found, now).await? {
            suppression::hit(tx, id, found.count, found.last).await?;
            metrics::counter!("sealwright_siem_suppressed_total").increment(found.count);
            return Ok(Raised::Suppressed);
        }
        if let Some(there) = rows::open_of(tx, found.tenant, &found.key).await? {
            self.count(tx, &there, &found, now).await?;
            return Ok(Raised::Counted(there.id));
        }
        let raised = match batch.raised.get(&found.tenant) {
            Some(raised) => *raised,
            None => rows::raised_since(tx, found.tenant, now.plus(-HOUR)).await?,
        };
        batch.raised.insert(found.tenant, raised + 1);
        if raised >= MOST_ALERTS {
            // A flood of one tenant: what is new is one alert for its rule, so that neither people nor
            // the state drown in it.
            found.key = format!("{} (flood)", found.rule.reference.id);
            metrics::counter!("sealwright_siem_flooded_total").increment(found.count);
            if let Some(there) = rows::open_of(tx, found.tenant, &found.key).await? {
                self.count(tx, &there, &found, now).await?;
                return Ok(Raised::Counted(there.id));
            }
        }
        let id = self.open(tx, &found, now).await?;
        batch.new.push((found.tenant, id));
        Ok(Raised::New(id))
    }

    async fn suppressed(
        &self,
        tx: &mut Tx,
        batch: &mut Batch,
        found: &Match,
        now: UnixMicros,
    ) -> Result<Option<crate::model::SuppressionId>, SiemError> {
        if let Entry::Vacant(slot) = batch.suppressions.entry(found.tenant) {
            slot.insert(suppression::holding(tx, found.tenant, now).await?);
        }
        let covering = batch.suppressions.get(&found.tenant).and_then(|list| {
            list.iter().find(|s| {
                s.covers(
                    &found.rule.reference.id,
                    found.rule.severity,
                    &found.entities,
                )
            })
        });
        Ok(covering.map(|s| s.id))
    }

    async fn count(
        &self,
        tx: &mut Tx,
        there: &Alert,
        found: &Match,
        now: UnixMicros,
    ) -> Result<(), SiemError> {
        rows::count_in(tx, there.id, found.count, found.first, found.last, now).await?;
        let most = i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX);
        rows::add_events(tx, there.id, &found.events, most).await?;
        rows::add_entities(tx, there.id, found.tenant, &found.entities, found.last).await?;
        if found.rule.severity > there.severity {
            let due = there.created_at.plus(found.rule.severity.answer_within());
            let worse = Alert {
                severity: found.rule.severity,
                due_at: due.min(there.due_at),
                updated_at: now,
                revision: there.revision + 1,
                ..there.clone()
            };
            rows::update(tx, &worse, there.revision).await?;
            let detail = format!("from {} to {}", there.severity, found.rule.severity);
            remember(
                tx,
                &there.id.to_string(),
                now,
                "system:siem",
                "severity-raised",
                &detail,
            )
            .await?;
            self.tell(tx, &worse, &format!("Its severity rose {detail}."))
                .await?;
        }
        metrics::counter!("sealwright_siem_matches_total").increment(found.count);
        Ok(())
    }

    async fn open(
        &self,
        tx: &mut Tx,
        found: &Match,
        now: UnixMicros,
    ) -> Result<AlertId, SiemError> {
        let id = AlertId::new(now);
        let body = AlertBody {
            version: 1,
            rule: found.rule.reference.as_ref().clone(),
            entities: found.entities.clone(),
            matched: found.matched.clone(),
            window: found.window.clone(),
            events: found.events.iter().map(|e| (e.offset, e.digest)).collect(),
            events_total: found.events_total,
        };
        let sealed = Alert::sealed(id, found.tenant, &found.key, now, &body);
        let digest = Digest::of(&sealed);
        let entry = EntryDraft::new("system:siem", "siem.alert.raise", id.to_string())
            .tenant(found.tenant)
            .after(digest)
            .details(json!({
                "rule": found.rule.reference.id,
                "rule_digest": found.rule.reference.digest,
                "severity": found.rule.severity.name(),
                "events": found.events_total,
            }));
        let entry = self.ledger.record(tx, &entry).await?;
        let severity = found.rule.severity;
        let alert = Alert {
            id,
            tenant: found.tenant,
            dedup_key: found.key.clone(),
            severity,
            state: AlertState::Open,
            verdict: None,
            owner: None,
            matches: found.count,
            first_at: found.first,
            last_at: found.last,
            created_at: now,
            updated_at: now,
            acknowledged_at: None,
            closed_at: None,
            due_at: now.plus(severity.answer_within()),
            escalated_at: None,
            incident: None,
            revision: 1,
            body,
            digest,
            ledger_entry: Some(entry.to_string()),
        };
        let text = serde_json::to_string(&alert.body)
            .map_err(|error| SiemError::Invalid(error.to_string()))?;
        rows::insert(tx, &alert, &text).await?;
        let most = i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX);
        rows::add_events(tx, id, &found.events, most).await?;
        rows::add_entities(tx, id, found.tenant, &found.entities, found.last).await?;
        let detail = format!("{} by rule {}", severity, found.rule.reference.id);
        remember(tx, &id.to_string(), now, "system:siem", "raised", &detail).await?;
        self.group(tx, &alert, now).await?;
        let description = alert.body.rule.description.clone().unwrap_or_default();
        self.tell(tx, &alert, description.trim()).await?;
        if let Some(respond) = &self.respond {
            respond.automatic(tx, &alert, &found.rule.actions).await?;
        }
        metrics::counter!("sealwright_siem_matches_total").increment(found.count);
        metrics::counter!("sealwright_siem_alerts_total", "severity" => severity.name())
            .increment(1);
        Ok(id)
    }

    /// Alerts of different rules about the same entity within a day are one incident.
    async fn group(&self, tx: &mut Tx, alert: &Alert, now: UnixMicros) -> Result<(), SiemError> {
        let since = alert.last_at.plus(-TOGETHER);
        let mut others: BTreeMap<AlertId, rows::Neighbour> = BTreeMap::new();
        // A host may serve everybody: it says too little about what belongs together.
        let telling = alert.body.entities.iter().filter(|e| e.kind != "host");
        let mut shared = None;
        for entity in telling {
            for other in rows::neighbours(tx, alert.tenant, entity, since).await? {
                if other.id != alert.id && other.rule_id != alert.body.rule.id {
                    shared.get_or_insert_with(|| entity.clone());
                    others.insert(other.id, other);
                }
            }
        }
        let Some(entity) = shared else { return Ok(()) };
        let joined: Option<IncidentId> = others.values().find_map(|other| other.incident);
        if let Some(id) = joined
            && let Some(there) = incident::find_in(tx, alert.tenant, id).await?
            && there.state == IncidentState::Open
        {
            let worse = Incident {
                severity: there.severity.max(alert.severity),
                updated_at: now,
                revision: there.revision + 1,
                ..there.clone()
            };
            incident::update(tx, &worse, there.revision).await?;
            rows::join_incident(tx, alert.id, id).await?;
            let detail = format!("{} ({})", alert.id, alert.body.rule.title);
            remember(
                tx,
                &id.to_string(),
                now,
                "system:siem",
                "alert-joined",
                &detail,
            )
            .await?;
            return Ok(());
        }
        let severity = others
            .values()
            .map(|other| other.severity)
            .max()
            .unwrap_or(alert.severity)
            .max(alert.severity);
        let opened = Incident {
            id: IncidentId::new(now),
            tenant: alert.tenant,
            title: format!(
                "{} {}: {} and more",
                entity.kind, entity.value, alert.body.rule.title
            ),
            state: IncidentState::Open,
            severity,
            owner: None,
            created_at: now,
            updated_at: now,
            closed_at: None,
            revision: 1,
        };
        incident::insert(tx, &opened).await?;
        for id in others
            .values()
            .filter(|o| o.incident.is_none())
            .map(|o| o.id)
        {
            rows::join_incident(tx, id, opened.id).await?;
        }
        rows::join_incident(tx, alert.id, opened.id).await?;
        let detail = format!(
            "{} alerts about {} {}",
            others.len() + 1,
            entity.kind,
            entity.value
        );
        remember(
            tx,
            &opened.id.to_string(),
            now,
            "system:siem",
            "opened",
            &detail,
        )
        .await?;
        let entry = EntryDraft::new("system:siem", "siem.incident.open", opened.id.to_string())
            .tenant(alert.tenant)
            .details(json!({ "alerts": others.keys().map(ToString::to_string)
                .chain([alert.id.to_string()]).collect::<Vec<_>>() }));
        self.ledger.record(tx, &entry).await?;
        Ok(())
    }
}
