//! Incidents: alerts that belong together, worked on as one.

use std::sync::Arc;

use sealwright_core::{Clock, Digest, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::Store;
use serde_json::json;

use super::SiemError;
use crate::model::{HistoryEntry, Incident, IncidentId, IncidentState};
use crate::store::{incident as rows, remember};

/// What is done to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is over.
    Close,
    /// It is worked on again.
    Reopen,
    /// Somebody leads it; nobody when empty.
    Assign(Option<String>),
    /// It is called something else.
    Rename(String),
    /// A note.
    Note,
}

/// Works on incidents.
#[derive(Debug, Clone)]
pub struct IncidentService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
}

impl IncidentService {
    /// Works on the incidents in `store`.
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            ledger,
            clock,
        }
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(
        &self,
        scope: TenantScope,
        state: Option<IncidentState>,
        after: Option<IncidentId>,
        limit: u32,
    ) -> Result<Vec<Incident>, SiemError> {
        Ok(rows::list(&self.store, scope, state, after, limit).await?)
    }

    /// How many are open.
    ///
    /// # Errors
    /// From the state.
    pub async fn open(&self, scope: TenantScope) -> Result<u64, SiemError> {
        Ok(rows::open(&self.store, scope).await?)
    }

    /// One incident.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], also for one outside of the scope.
    pub async fn find(&self, scope: TenantScope, id: IncidentId) -> Result<Incident, SiemError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| SiemError::NotFound(format!("the incident {id}")))
    }

    /// What happened to an incident.
    ///
    /// # Errors
    /// From the state.
    pub async fn history(&self, incident: &Incident) -> Result<Vec<HistoryEntry>, SiemError> {
        Ok(crate::store::history(&self.store, &incident.id.to_string()).await?)
    }

    /// Changes an incident.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], [`SiemError::Stale`], [`SiemError::State`], [`SiemError::Invalid`].
    pub async fn change(
        &self,
        scope: TenantScope,
        id: IncidentId,
        revision: Option<i64>,
        change: &Change,
        note: &str,
        actor: &str,
    ) -> Result<Incident, SiemError> {
        let there = self.find(scope, id).await?;
        if let Some(seen) = revision.filter(|seen| *seen != there.revision) {
            return Err(SiemError::Stale { seen });
        }
        let note = note.trim();
        if note.chars().count() > 4_000 {
            return Err(SiemError::Invalid(
                "a note has at most 4000 characters".to_owned(),
            ));
        }
        let now = self.clock.now();
        let mut next = Incident {
            updated_at: now,
            revision: there.revision + 1,
            ..there.clone()
        };
        let wrong = || SiemError::State(format!("the incident is {} already", there.state));
        let (action, words) = match change {
            Change::Close if there.state == IncidentState::Closed => return Err(wrong()),
            Change::Reopen if there.state == IncidentState::Open => return Err(wrong()),
            Change::Close => {
                next.state = IncidentState::Closed;
                next.closed_at = Some(now);
                ("close", String::new())
            }
            Change::Reopen => {
                next.state = IncidentState::Open;
                next.closed_at = None;
                ("reopen", String::new())
            }
            Change::Assign(owner) => {
                next.owner = owner.clone().filter(|text| !text.trim().is_empty());
                let words = next.owner.as_deref().unwrap_or("nobody");
                ("assign", format!("to {words}"))
            }
            Change::Rename(title) => {
                let title = title.trim();
                if title.is_empty()
                    || title.chars().count() > 200
                    || title.chars().any(char::is_control)
                {
                    return Err(SiemError::Invalid(
                        "a title is one line of 1 to 200 characters".to_owned(),
                    ));
                }
                next.title = title.to_owned();
                ("rename", format!("to {title}"))
            }
            Change::Note if note.is_empty() => {
                return Err(SiemError::Invalid("a note has something in it".to_owned()));
            }
            Change::Note => ("note", String::new()),
        };
        let detail = match (words.is_empty(), note.is_empty()) {
            (_, true) => words,
            (true, false) => note.to_owned(),
            (false, false) => format!("{words}: {note}"),
        };
        let entry = EntryDraft::new(actor, format!("siem.incident.{action}"), id.to_string())
            .tenant(there.tenant)
            .before(digest(&there))
            .after(digest(&next))
            .details(json!({ "detail": detail }));
        let mut tx = self.store.begin().await?;
        rows::update(&mut tx, &next, there.revision).await?;
        remember(&mut tx, &id.to_string(), now, actor, action, &detail).await?;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(next)
    }
}

fn digest(incident: &Incident) -> Digest {
    Digest::of_json(&json!({
        "id": incident.id.to_string(),
        "title": incident.title,
        "state": incident.state.name(),
        "severity": incident.severity.name(),
        "owner": incident.owner,
        "revision": incident.revision,
    }))
}
