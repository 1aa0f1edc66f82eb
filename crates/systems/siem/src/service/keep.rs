//! Actions that detection does itself: an incident is opened, evidence is kept.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_act::{Act, ActError, Done, Kind, Order};
use sealwright_core::{Clock, Digest, TenantScope, UnixMicros};
use sealwright_events::{EventLog, History, HistoryQuery, ReadLimit, StoredEvent};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::{Store, StoreError};
use serde_json::{Value, json};

use super::SiemError;
use crate::model::{Alert, AlertEvent, Incident, IncidentId, IncidentState};
use crate::store::{alert as alerts, evidence, incident, remember};

/// The longest bundle in bytes: what does not fit is named in it.
const LARGEST: usize = 32 << 20;

const KINDS: &[Kind] = &[
    Kind {
        name: "open-incident",
        about: "Opens an incident for the alert, unless it belongs to one",
        target: "alert",
        undoable: false,
    },
    Kind {
        name: "preserve-evidence",
        about: "Keeps the alert's events whole, beyond the time that events are kept for",
        target: "alert",
        undoable: false,
    },
];

/// Opens incidents and keeps evidence.
#[derive(Clone)]
pub struct KeepActs {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    log: Arc<dyn EventLog>,
    history: Arc<dyn History>,
}

impl std::fmt::Debug for KeepActs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeepActs").finish_non_exhaustive()
    }
}

fn failed(error: impl std::fmt::Display) -> ActError {
    ActError::Failed(error.to_string())
}

impl KeepActs {
    /// Works on the alerts in `store`; their events are read from `log`, and from `history` when they have left
    /// it.
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        log: Arc<dyn EventLog>,
        history: Arc<dyn History>,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            log,
            history,
        }
    }

    async fn alert(&self, order: &Order) -> Result<Alert, ActError> {
        let id = order
            .target
            .parse()
            .map_err(|_| ActError::Refused(format!("{} is no alert", order.target)))?;
        alerts::find(&self.store, TenantScope::One(order.tenant), id)
            .await
            .map_err(failed)?
            .ok_or_else(|| ActError::Refused(format!("there is no alert {id}")))
    }

    async fn open(&self, alert: &Alert) -> Result<String, SiemError> {
        if let Some(there) = alert.incident {
            return Ok(format!("it belongs to the incident {there}"));
        }
        let now = self.clock.now();
        let opened = Incident {
            id: IncidentId::new(now),
            tenant: alert.tenant,
            title: alert.body.rule.title.clone(),
            state: IncidentState::Open,
            severity: alert.severity,
            owner: None,
            created_at: now,
            updated_at: now,
            closed_at: None,
            revision: 1,
        };
        let mut tx = self.store.begin().await?;
        incident::insert(&mut tx, &opened).await?;
        alerts::join_incident(&mut tx, alert.id, opened.id).await?;
        let subject = opened.id.to_string();
        let detail = format!("for {} ({})", alert.id, alert.body.rule.title);
        remember(&mut tx, &subject, now, "system:siem", "opened", &detail).await?;
        let entry = EntryDraft::new("system:siem", "siem.incident.open", subject)
            .tenant(alert.tenant)
            .details(json!({ "alerts": [alert.id.to_string()] }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(format!("opened the incident {}", opened.id))
    }

    /// The event as it was received.
    async fn event(&self, alert: &Alert, event: &AlertEvent) -> Option<StoredEvent> {
        let limit = ReadLimit {
            events: 1,
            bytes: 1,
        };
        let read = self.log.read(event.offset, limit).await.unwrap_or_default();
        let same =
            |found: &StoredEvent| found.offset == event.offset && found.tenant == alert.tenant;
        if let Some(found) = read.into_iter().find(same) {
            return Some(found);
        }
        let query = HistoryQuery {
            tenant: alert.tenant,
            event_types: Vec::new(),
            from: Some(event.time),
            to: event.time.plus(1),
            below_offset: event.offset + 1,
        };
        let page = self.history.page(&query, event.offset, 1).await;
        page.unwrap_or_default().into_iter().find(same)
    }

    async fn bundle(&self, alert: &Alert, now: UnixMicros) -> Result<Value, SiemError> {
        let (mut kept, mut missing, mut size) = (Vec::new(), Vec::new(), 0);
        for event in alerts::events(&self.store, alert.id).await? {
            let found = self.event(alert, &event).await;
            let whole = found
                .filter(|found| {
                    size += found.json.len();
                    size <= LARGEST && Digest::of(&found.json) == event.digest
                })
                .and_then(|found| String::from_utf8(found.json.to_vec()).ok());
            let named = json!({
                "offset": event.offset, "source": event.source, "id": event.id,
                "type": event.event_type, "digest": event.digest,
            });
            match whole {
                // As text: its bytes are what the digest is of.
                Some(text) => {
                    let mut named = named;
                    named["event"] = Value::String(text);
                    kept.push(named);
                }
                None => missing.push(named),
            }
        }
        Ok(json!({
            "version": 1,
            "kept_at": now.to_string(),
            "alert": serde_json::from_slice::<Value>(&alert.sealed_bytes()).unwrap_or_default(),
            "alert_digest": alert.digest,
            "ledger_entry": alert.ledger_entry,
            "events": kept,
            "missing": missing,
        }))
    }

    async fn keep(&self, alert: &Alert) -> Result<String, SiemError> {
        let now = self.clock.now();
        let bundle = self.bundle(alert, now).await?;
        let count = |name: &str| bundle[name].as_array().map_or(0, Vec::len);
        let (kept, missing) = (count("events"), count("missing"));
        let text = bundle.to_string();
        let digest = Digest::of(text.as_bytes());
        let mut tx = self.store.begin().await?;
        let new = evidence::insert(&mut tx, alert, now, &digest.to_string(), &text).await?;
        if !new {
            tx.rollback().await?;
            return Ok("its events were kept before".to_owned());
        }
        let entry = EntryDraft::new("system:siem", "siem.evidence.keep", alert.id.to_string())
            .tenant(alert.tenant)
            .after(digest)
            .details(json!({ "events": kept, "missing": missing }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(match missing {
            0 => format!("{kept} events are kept, SHA-256 {digest}"),
            missing => {
                format!("{kept} events are kept and {missing} are not to be had, SHA-256 {digest}")
            }
        })
    }
}

fn tell(error: SiemError) -> ActError {
    match error {
        SiemError::Store(StoreError::Constraint(why)) => ActError::Failed(why),
        other => failed(other),
    }
}

#[async_trait]
impl Act for KeepActs {
    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    async fn look(&self, order: &Order) -> Result<String, ActError> {
        let alert = self.alert(order).await?;
        if order.kind == "open-incident" {
            return Ok(match alert.incident {
                Some(there) => format!("nothing: it belongs to the incident {there}"),
                None => format!("open an incident for {}", alert.id),
            });
        }
        let events = alerts::events(&self.store, alert.id)
            .await
            .map_err(failed)?;
        Ok(format!("keep {} events", events.len()))
    }

    async fn act(&self, order: &Order) -> Result<Done, ActError> {
        let alert = self.alert(order).await?;
        let detail = match order.kind.as_str() {
            "open-incident" => self.open(&alert).await,
            _ => self.keep(&alert).await,
        };
        Ok(Done {
            detail: detail.map_err(tell)?,
            undo: None,
        })
    }

    async fn undo(&self, order: &Order, _undo: &str) -> Result<String, ActError> {
        Err(ActError::Refused(format!(
            "{} cannot be undone",
            order.kind
        )))
    }
}
