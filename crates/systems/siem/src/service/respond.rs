//! Response: what is done about an alert.
//!
//! An action is a row from the moment it is asked for. Doing it is tried until it is done or refused; it is
//! undone when its time is over or somebody says so. Every step is in the alert's history and in the
//! ledger.

use std::sync::Arc;

use sealwright_act::{Act, ActError, Kind, Order};
use sealwright_core::clock::{DAY, HOUR};
use sealwright_core::{Clock, Digest, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::{Store, StoreError, Tx};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::SiemError;
use crate::model::{Action, ActionId, ActionState, Alert, Entity};
use crate::store::{action as rows, remember};

/// How often a failing action is tried.
const ATTEMPTS: i64 = 10;
/// The longest time that an action may hold.
pub const LONGEST: i64 = 366 * DAY;
/// How long an action holds when nothing else is said.
pub const USUAL: i64 = 24 * HOUR;

/// An action that is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of its kind.
    pub kind: String,
    /// To what; the alert's only entity of the kind's target when empty.
    pub target: String,
    /// How long it holds, in microseconds; `None` until somebody undoes it.
    pub holds: Option<i64>,
    /// Only says what would be done.
    pub dry_run: bool,
    /// Whether somebody else must approve it first.
    pub approval: bool,
}

/// Does what is asked for about alerts.
#[derive(Clone)]
pub struct RespondService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    actors: Arc<Vec<Arc<dyn Act>>>,
}

impl std::fmt::Debug for RespondService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RespondService")
            .field("actors", &self.actors.len())
            .finish_non_exhaustive()
    }
}

impl RespondService {
    /// Does what `actors` can do.
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        actors: Vec<Arc<dyn Act>>,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            actors: Arc::new(actors),
        }
    }

    /// The kinds of actions that there are.
    pub fn kinds(&self) -> Vec<Kind> {
        self.actors
            .iter()
            .flat_map(|actor| actor.kinds().iter().copied())
            .collect()
    }

    fn actor(&self, kind: &str) -> Option<(&Arc<dyn Act>, Kind)> {
        self.actors.iter().find_map(|actor| {
            let found = actor.kinds().iter().find(|k| k.name == kind)?;
            Some((actor, *found))
        })
    }

    /// Actions of an alert, oldest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn of_alert(&self, alert: &Alert) -> Result<Vec<Action>, SiemError> {
        Ok(rows::of_alert(&self.store, alert.id).await?)
    }

    /// Actions in a scope, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(
        &self,
        scope: TenantScope,
        state: Option<ActionState>,
    ) -> Result<Vec<Action>, SiemError> {
        Ok(rows::list(&self.store, scope, state).await?)
    }

    /// One action.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], also for one outside of the scope.
    pub async fn find(&self, scope: TenantScope, id: ActionId) -> Result<Action, SiemError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| SiemError::NotFound(format!("the action {id}")))
    }

    /// Asks for an action about an alert. It is done soon after, or when somebody else has approved it.
    ///
    /// # Errors
    /// [`SiemError::Invalid`] for a kind that there is not, or a target that the alert is not about.
    pub async fn ask(
        &self,
        alert: &Alert,
        entities: &[Entity],
        wanted: &Wanted,
        by: &str,
    ) -> Result<Action, SiemError> {
        let action = self.make(alert, entities, wanted, by)?;
        let mut tx = self.store.begin().await?;
        self.put(&mut tx, alert, &action, by).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(action)
    }

    fn make(
        &self,
        alert: &Alert,
        entities: &[Entity],
        wanted: &Wanted,
        by: &str,
    ) -> Result<Action, SiemError> {
        let Some((_, kind)) = self.actor(&wanted.kind) else {
            let known: Vec<&str> = self.kinds().iter().map(|k| k.name).collect();
            return Err(SiemError::Invalid(format!(
                "there is no action `{}`; there are {}",
                wanted.kind,
                known.join(", ")
            )));
        };
        let target = target(kind, alert, entities, &wanted.target)?;
        if wanted
            .holds
            .is_some_and(|holds| !(1..=LONGEST).contains(&holds))
        {
            return Err(SiemError::Invalid(
                "an action holds for at most 366 days".to_owned(),
            ));
        }
        let now = self.clock.now();
        Ok(Action {
            id: ActionId::new(now),
            tenant: alert.tenant,
            alert: alert.id,
            kind: kind.name.to_owned(),
            target,
            state: if wanted.approval && !wanted.dry_run {
                ActionState::WaitsForApproval
            } else {
                ActionState::Due
            },
            dry_run: wanted.dry_run,
            requested_at: now,
            requested_by: by.to_owned(),
            approved_at: None,
            approved_by: None,
            done_at: None,
            // Counted anew from the doing; until then it says how long.
            expires_at: wanted
                .holds
                .filter(|_| kind.undoable)
                .map(|holds| now.plus(holds)),
            ended_at: None,
            detail: String::new(),
            undo: String::new(),
            attempts: 0,
            revision: 1,
        })
    }

    async fn put(
        &self,
        tx: &mut Tx,
        alert: &Alert,
        action: &Action,
        by: &str,
    ) -> Result<(), SiemError> {
        let entry = EntryDraft::new(by, "siem.action.ask", action.id.to_string())
            .tenant(alert.tenant)
            .after(digest(action))
            .details(json!({
                "alert": alert.id.to_string(), "kind": action.kind, "target": action.target,
            }));
        rows::insert(tx, action).await?;
        let words = format!("{} {}", action.kind, action.target);
        let (subject, now) = (alert.id.to_string(), action.requested_at);
        remember(tx, &subject, now, by, "action-asked", &words).await?;
        self.ledger.record(tx, &entry).await?;
        Ok(())
    }

    /// Asks for the actions that a rule's setting names, in the transaction that raises its alert. One that
    /// has no target, or that nothing here can do, is said in the alert's history.
    ///
    /// # Errors
    /// From the state or the ledger; the transaction must then be dropped.
    pub async fn automatic(
        &self,
        tx: &mut Tx,
        alert: &Alert,
        names: &[String],
    ) -> Result<(), SiemError> {
        for name in names {
            let by = format!("rule:{}", alert.body.rule.id);
            let made = automatic(name)
                .and_then(|wanted| self.make(alert, &alert.body.entities, &wanted, &by));
            match made {
                Ok(action) => self.put(tx, alert, &action, &by).await?,
                Err(why) => {
                    let (subject, now) = (alert.id.to_string(), self.clock.now());
                    let words = format!("{name}: {why}");
                    remember(tx, &subject, now, &by, "action-not-asked", &words).await?;
                }
            }
        }
        Ok(())
    }

    /// Approves an action, or refuses to. Who asked for it cannot approve it.
    ///
    /// # Errors
    /// [`SiemError::State`] when it does not wait for approval.
    pub async fn decide(
        &self,
        scope: TenantScope,
        id: ActionId,
        approve: bool,
        by: &str,
    ) -> Result<Action, SiemError> {
        let action = self.find(scope, id).await?;
        if action.state != ActionState::WaitsForApproval {
            return Err(SiemError::State(format!(
                "the action is {}, so there is nothing to approve",
                action.state
            )));
        }
        if approve && action.requested_by == by {
            return Err(SiemError::State(
                "who asked for an action cannot approve it; somebody else must".to_owned(),
            ));
        }
        let now = self.clock.now();
        let mut next = action.clone();
        let word = if approve {
            next.state = ActionState::Due;
            next.approved_at = Some(now);
            next.approved_by = Some(by.to_owned());
            "approve"
        } else {
            next.state = ActionState::Refused;
            next.ended_at = Some(now);
            "refuse"
        };
        self.write(&action, next, word, by).await
    }

    /// Says that an action shall be undone.
    ///
    /// # Errors
    /// [`SiemError::State`] when it was not done, or cannot be undone.
    pub async fn undo(
        &self,
        scope: TenantScope,
        id: ActionId,
        by: &str,
    ) -> Result<Action, SiemError> {
        let action = self.find(scope, id).await?;
        if action.state != ActionState::Done || action.undo.is_empty() {
            return Err(SiemError::State(format!(
                "the action is {} and cannot be undone",
                action.state
            )));
        }
        let mut next = action.clone();
        next.state = ActionState::UndoDue;
        self.write(&action, next, "undo", by).await
    }

    /// Does what is due, and undoes what shall be undone or whose time is over. Says how many steps were
    /// taken. To be called every second or so.
    ///
    /// # Errors
    /// From the state.
    pub async fn work(&self) -> Result<usize, SiemError> {
        let mut steps = 0;
        for action in rows::pending(&self.store, self.clock.now()).await? {
            match self.step(&action).await {
                Ok(()) => steps += 1,
                // Somebody else was first.
                Err(SiemError::Store(StoreError::Contended)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(steps)
    }

    /// Works until `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
            if let Err(error) = self.work().await {
                tracing::error!(%error, "response will try again");
            }
        }
    }

    async fn step(&self, action: &Action) -> Result<(), SiemError> {
        let mut next = action.clone();
        let order = Order {
            id: action.id.to_string(),
            kind: action.kind.clone(),
            tenant: action.tenant,
            target: action.target.clone(),
            reason: format!("alert {}", action.alert),
            again: action.attempts > 0,
        };
        let now = self.clock.now();
        let Some((actor, _)) = self.actor(&action.kind) else {
            next.state = ActionState::Failed;
            next.detail = "nothing in this installation can do it".to_owned();
            return self
                .write(action, next, "fail", "system:siem")
                .await
                .map(|_| ());
        };
        next.attempts += 1;
        // Before anything is done it is known that it may have been: a crash between the doing and the
        // writing does not lose what is needed to undo it.
        let begun = Action {
            attempts: next.attempts,
            revision: action.revision + 1,
            ..action.clone()
        };
        let mut tx = self.store.begin().await?;
        rows::update(&mut tx, &begun, action.revision).await?;
        tx.commit().await?;
        let action = &begun;
        let word = if action.state == ActionState::Due {
            let result = if action.dry_run {
                actor.look(&order).await.map(|detail| sealwright_act::Done {
                    detail: format!("would have: {detail}"),
                    undo: None,
                })
            } else {
                actor.act(&order).await
            };
            match result {
                Ok(done) => {
                    next.state = ActionState::Done;
                    next.done_at = Some(now);
                    next.expires_at = action
                        .expires_at
                        .filter(|_| done.undo.is_some())
                        .map(|at| now.plus(at.since(action.requested_at)));
                    next.undo = done.undo.unwrap_or_default();
                    next.detail = done.detail;
                    "done"
                }
                Err(error) => failed(&mut next, &error, ActionState::Failed, now),
            }
        } else {
            let expired = action.state == ActionState::Done;
            match actor.undo(&order, &action.undo).await {
                Ok(detail) => {
                    next.state = if expired {
                        ActionState::Expired
                    } else {
                        ActionState::Undone
                    };
                    next.ended_at = Some(now);
                    next.detail = detail;
                    "undone"
                }
                Err(error) => failed(&mut next, &error, ActionState::Failed, now),
            }
        };
        self.write(action, next, word, "system:siem")
            .await
            .map(|_| ())
    }

    async fn write(
        &self,
        before: &Action,
        mut next: Action,
        word: &'static str,
        by: &str,
    ) -> Result<Action, SiemError> {
        let now = self.clock.now();
        next.revision = before.revision + 1;
        let entry = EntryDraft::new(by, format!("siem.action.{word}"), next.id.to_string())
            .tenant(next.tenant)
            .before(digest(before))
            .after(digest(&next))
            .details(json!({ "detail": next.detail, "alert": next.alert.to_string() }));
        let mut tx = self.store.begin().await?;
        rows::update(&mut tx, &next, before.revision).await?;
        let words = if next.detail.is_empty() {
            format!("{} {}", next.kind, next.target)
        } else {
            format!("{} {}: {}", next.kind, next.target, next.detail)
        };
        let subject = next.alert.to_string();
        remember(
            &mut tx,
            &subject,
            now,
            by,
            &format!("action-{word}"),
            &words,
        )
        .await?;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        metrics::counter!("sealwright_siem_actions_total", "step" => word).increment(1);
        Ok(next)
    }
}

fn failed(
    next: &mut Action,
    error: &ActError,
    end: ActionState,
    now: sealwright_core::UnixMicros,
) -> &'static str {
    next.detail = error.to_string();
    if matches!(error, ActError::Refused(_)) || next.attempts >= ATTEMPTS {
        next.state = end;
        next.ended_at = Some(now);
        "fail"
    } else {
        "retry"
    }
}

/// Reads an action of a rule's setting: `disable-user`, with `:approval` (which is also meant without),
/// `:now` or `:dry-run`. It holds for a day, or for the time behind its name: `block-address 1h:now`.
///
/// # Errors
/// [`SiemError::Invalid`] for another form.
pub fn automatic(text: &str) -> Result<Wanted, SiemError> {
    let (what, how) = text.split_once(':').unwrap_or((text, "approval"));
    if !["approval", "now", "dry-run"].contains(&how) {
        return Err(SiemError::Invalid(format!(
            "`{text}`: behind the action stands `:approval`, `:now` or `:dry-run`"
        )));
    }
    let (kind, holds) = match what.trim().split_once(' ') {
        None => (what.trim(), USUAL),
        Some((kind, span)) => {
            let holds = sealwright_sigma::time::timespan(span.trim())
                .filter(|holds| (1..=LONGEST).contains(holds))
                .ok_or_else(|| {
                    SiemError::Invalid(format!(
                        "`{text}`: `{span}` is no time to hold for; write 30m, 1h or 7d, at most 366d"
                    ))
                })?;
            (kind, holds)
        }
    };
    Ok(Wanted {
        kind: kind.to_owned(),
        target: String::new(),
        holds: Some(holds),
        dry_run: how == "dry-run",
        approval: how == "approval",
    })
}

/// To what an action is done: the tenant, or an entity that the alert is about.
fn target(
    kind: Kind,
    alert: &Alert,
    entities: &[Entity],
    given: &str,
) -> Result<String, SiemError> {
    match kind.target {
        "tenant" => return Ok(alert.tenant.to_string()),
        "alert" => return Ok(alert.id.to_string()),
        _ => {}
    }
    let fitting: Vec<&Entity> = entities.iter().filter(|e| e.kind == kind.target).collect();
    match (given, fitting.as_slice()) {
        ("", [one]) => Ok(one.value.clone()),
        ("", []) => Err(SiemError::Invalid(format!(
            "the alert is about no {}, so {} has nothing to be done to",
            kind.target, kind.name
        ))),
        ("", _) => Err(SiemError::Invalid(format!(
            "the alert is about several; name the {}",
            kind.target
        ))),
        (given, fitting) if fitting.iter().any(|e| e.value == given) => Ok(given.to_owned()),
        (given, _) => Err(SiemError::Invalid(format!(
            "the alert is not about the {} {given}",
            kind.target
        ))),
    }
}

fn digest(action: &Action) -> Digest {
    Digest::of_json(&json!({
        "id": action.id.to_string(),
        "alert": action.alert.to_string(),
        "kind": action.kind,
        "target": action.target,
        "state": action.state.name(),
        "dry_run": action.dry_run,
        "approved_by": action.approved_by,
        "detail": action.detail,
        "revision": action.revision,
    }))
}
