//! Legal holds: matters, what they protect, and the one question before every deletion.

use std::sync::Arc;

use sealwright_core::{Clock, Digest, TenantId, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_store::{Store, Tx};
use serde_json::{Value, json};

use super::bucket::{BucketError, Buckets, Head, Tags};
use super::place::PlaceService;
use super::register::MATTERS;
use super::{DlpError, tell};
use crate::model::finding::Place;
use crate::model::hold::{Matter, MatterId, MatterScope, MatterState, MatterStep, Protection};
use crate::model::object::{Facts, ObjectId, TAG_HELD};
use crate::model::retention::Held;
use crate::store::hold::{self as rows, HoldRow};

/// Keeps matters and protects what they cover.
#[derive(Debug, Clone)]
pub struct HoldService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    buckets: Arc<dyn Buckets>,
    outbox: Arc<dyn Outbox>,
    places: PlaceService,
}

/// A matter to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMatter {
    /// Whose objects.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Who leads it.
    pub owner: String,
    /// Whose data is asked for.
    pub custodian: String,
    /// What it covers.
    pub scope: MatterScope,
}

/// What a walk over the places did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Protected {
    /// Versions that were looked at.
    pub seen: u64,
    /// Versions that are held by the store itself.
    pub object_lock: u64,
    /// Versions that only a tag marks.
    pub tag_only: u64,
    /// Versions that only the hold ledger knows of.
    pub ledger_only: u64,
    /// Versions that could not be protected, with the reason.
    pub failed: Vec<String>,
}

/// What came of a wish to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, and the store says so.
    Gone,
    /// It was not there.
    Absent,
    /// It stays.
    Kept(Held),
    /// It is another object than the one that was meant.
    Changed,
}

impl HoldService {
    /// Keeps matters in `store` and protects in `buckets`.
    #[must_use]
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        buckets: Arc<dyn Buckets>,
        outbox: Arc<dyn Outbox>,
    ) -> Self {
        Self {
            places: PlaceService::new(store.clone(), Arc::clone(&ledger), Arc::clone(&clock)),
            store,
            ledger,
            clock,
            buckets,
            outbox,
        }
    }

    /// The matters of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Matter>, DlpError> {
        Ok(rows::list(&self.store, scope).await?)
    }

    /// One matter and the versions that it holds.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn find(
        &self,
        scope: TenantScope,
        id: MatterId,
    ) -> Result<(Matter, Vec<HoldRow>), DlpError> {
        let mut tx = self.store.begin().await?;
        let matter = rows::find(&mut tx, scope, id).await?;
        tx.rollback().await?;
        let matter = matter.ok_or_else(|| DlpError::NotFound(format!("the matter {id}")))?;
        Ok((matter, rows::of_matter(&self.store, scope, id).await?))
    }

    /// How many versions each matter holds, by state.
    ///
    /// # Errors
    /// From the state.
    pub async fn counts(&self, scope: TenantScope) -> Result<Vec<(String, String, i64)>, DlpError> {
        Ok(rows::counts(&self.store, scope).await?)
    }

    /// Opens a matter. From the commit on nothing that it covers is deleted by this program;
    /// [`Self::protect`] then tells the store.
    ///
    /// # Errors
    /// [`DlpError::Invalid`].
    pub async fn open(&self, new: NewMatter, actor: &str) -> Result<Matter, DlpError> {
        for (name, text) in [
            ("name", &new.name),
            ("reason", &new.reason),
            ("owner", &new.owner),
            ("custodian", &new.custodian),
        ] {
            if text.trim().is_empty() || text.len() > 2_000 {
                return Err(DlpError::Invalid(format!(
                    "`{name}` must have 1 to 2,000 bytes"
                )));
            }
        }
        if let (Some(from), Some(to)) = (new.scope.from, new.scope.to)
            && from >= to
        {
            return Err(DlpError::Invalid(
                "`scope`: `from` must be before `to`".to_owned(),
            ));
        }
        let now = self.clock.now();
        let matter = Matter {
            id: MatterId::new(now),
            tenant: new.tenant,
            name: new.name,
            reason: new.reason,
            owner: new.owner,
            custodian: new.custodian,
            scope: new.scope,
            state: MatterState::Opened,
            opened_by: actor.to_owned(),
            opened_at: now,
            approved_by: None,
            release_asked_by: None,
            released_by: None,
            released_at: None,
            revision: 1,
        };
        let mut tx = self.store.begin().await?;
        tx.lock(MATTERS).await?;
        self.alone(&mut tx, matter.tenant).await?;
        rows::put(&mut tx, &matter).await?;
        self.record(&mut tx, None, &matter, "dlp.matter.open", actor)
            .await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(matter)
    }

    /// Takes a step of a matter. `revision` is the one that the caller saw.
    ///
    /// # Errors
    /// [`DlpError::Stale`], [`DlpError::Conflict`].
    pub async fn step(
        &self,
        scope: TenantScope,
        id: MatterId,
        step: MatterStep,
        revision: Option<i64>,
        actor: &str,
    ) -> Result<Matter, DlpError> {
        let mut tx = self.store.begin().await?;
        let before = rows::find(&mut tx, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the matter {id}")))?;
        tx.lock(MATTERS).await?;
        self.alone(&mut tx, before.tenant).await?;
        // Read again: somebody may have come first while the lock was waited for.
        let before = rows::find(&mut tx, scope, id).await?.unwrap_or(before);
        if let Some(seen) = revision.filter(|seen| *seen != before.revision) {
            return Err(DlpError::Stale { seen });
        }
        let mut matter = before.clone();
        matter
            .step(step, actor, self.clock.now())
            .map_err(|error| DlpError::Conflict(error.to_string()))?;
        rows::put(&mut tx, &matter).await?;
        let action = match step {
            MatterStep::Approve => "dlp.matter.approve",
            MatterStep::AskRelease => "dlp.matter.ask-release",
            MatterStep::KeepHolding => "dlp.matter.keep-holding",
            MatterStep::Release => "dlp.matter.release",
        };
        self.record(&mut tx, Some(&before), &matter, action, actor)
            .await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(matter)
    }

    async fn record(
        &self,
        tx: &mut Tx,
        before: Option<&Matter>,
        matter: &Matter,
        action: &str,
        actor: &str,
    ) -> Result<(), DlpError> {
        let state = state(matter);
        let mut entry = EntryDraft::new(actor, action, matter.id.to_string())
            .tenant(matter.tenant)
            .after(Digest::of_json(&state))
            .details(state);
        entry.before = before.map(|before| Digest::of_json(&self::state(before)));
        self.ledger.record(tx, &entry).await?;
        Ok(())
    }

    /// Nobody opens or releases a matter of the tenant, and nobody deletes, beside this transaction.
    async fn alone(&self, tx: &mut Tx, tenant: TenantId) -> Result<(), DlpError> {
        Ok(tx.lock(&format!("dlp_hold {tenant}")).await?)
    }

    /// What the store says of a version, for the rules.
    ///
    /// # Errors
    /// When it gives no answer.
    pub async fn facts(
        &self,
        tenant: TenantId,
        id: &ObjectId,
    ) -> Result<Option<(Facts, Head)>, BucketError> {
        let Some(head) = self.buckets.head(id).await? else {
            return Ok(None);
        };
        // Tags that cannot be read are not the same as none.
        let tags = self.buckets.tags(id).await.ok();
        let facts = Facts {
            id: id.clone(),
            tenant,
            written: head.written,
            tags,
        };
        Ok(Some((facts, head)))
    }

    /// Whether something must stay: the hold ledger is asked, then the store. An error is no "no".
    pub async fn held(&self, facts: &Facts) -> Held {
        let asked = async {
            let mut tx = self.store.begin().await?;
            let held = self.held_in(&mut tx, facts).await?;
            tx.rollback().await?;
            Ok::<_, DlpError>(held)
        };
        match asked.await {
            Ok(Held::No) => self.held_by_store(facts).await,
            Ok(held) => held,
            Err(error) => Held::Unknown(error.to_string()),
        }
    }

    async fn held_in(&self, tx: &mut Tx, facts: &Facts) -> Result<Held, DlpError> {
        let mut ids: Vec<MatterId> = rows::holding(tx, facts.tenant)
            .await?
            .into_iter()
            .filter(|matter| matter.scope.covers(facts))
            .map(|matter| matter.id)
            .collect();
        // What was held once stays held although its tags have changed since.
        let active = rows::holding(tx, facts.tenant).await?;
        for row in rows::of_object(tx, &facts.id).await? {
            if !ids.contains(&row.matter) && active.iter().any(|matter| matter.id == row.matter) {
                ids.push(row.matter);
            }
        }
        Ok(if ids.is_empty() {
            Held::No
        } else {
            Held::Matters(ids)
        })
    }

    async fn held_by_store(&self, facts: &Facts) -> Held {
        match self.buckets.head(&facts.id).await {
            Ok(None) => Held::No,
            Err(error) => Held::Unknown(error.to_string()),
            Ok(Some(head)) if head.legal_hold => Held::Store("it is under a legal hold".to_owned()),
            Ok(Some(head)) => match head.locked {
                Some((mode, until)) if until > self.clock.now() => {
                    Held::Store(format!("{mode:?} lock until {until}"))
                }
                _ => match self.buckets.tags(&facts.id).await {
                    Ok(tags) if tags.contains_key(TAG_HELD) => {
                        Held::Store(format!("it carries the tag {TAG_HELD}"))
                    }
                    Ok(_) => Held::No,
                    Err(error) => Held::Unknown(error.to_string()),
                },
            },
        }
    }

    /// Deletes a version unless something holds it. No matter of the tenant can be opened between the
    /// question and the deletion. `etag` names what is meant: another object at its place stays.
    ///
    /// # Errors
    /// When the state or the store gives no answer; then nothing is known to be gone.
    pub async fn delete_unless_held(
        &self,
        tenant: TenantId,
        id: &ObjectId,
        etag: &str,
        why: Value,
        actor: &str,
    ) -> Result<Deleted, DlpError> {
        let bad = |error: BucketError| DlpError::Bucket(error);
        let mut tx = self.store.begin().await?;
        self.alone(&mut tx, tenant).await?;
        let Some((facts, head)) = self.facts(tenant, id).await.map_err(bad)? else {
            return Ok(Deleted::Absent);
        };
        if head.etag != etag {
            return Ok(Deleted::Changed);
        }
        if facts.tags.is_none() {
            let why = "its tags could not be read".to_owned();
            return Ok(Deleted::Kept(Held::Unknown(why)));
        }
        let held = match self.held_in(&mut tx, &facts).await? {
            Held::No => self.held_by_store(&facts).await,
            held => held,
        };
        if held != Held::No {
            return Ok(Deleted::Kept(held));
        }
        // The intent is in the ledger with the deletion: were it recorded after, a crash could lose it.
        let entry = EntryDraft::new(actor, "dlp.object.delete", subject(id))
            .tenant(tenant)
            .details(json!({
                "object": id.to_string(), "etag": head.etag, "size": head.size, "why": why,
            }));
        self.ledger.record(&mut tx, &entry).await?;
        self.buckets.delete(id).await.map_err(bad)?;
        if self.buckets.head(id).await.map_err(bad)?.is_some() {
            return Err(DlpError::Conflict(format!(
                "{id}: the store took the deletion and still has the version"
            )));
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(Deleted::Gone)
    }

    /// Protects every version that a matter of the scope covers, in every place, and asks the store
    /// whether it does. New objects are protected by the next call.
    ///
    /// # Errors
    /// When a listing or the state cannot be read: then not everything was looked at.
    pub async fn protect(&self, scope: TenantScope, actor: &str) -> Result<Protected, DlpError> {
        let mut done = Protected::default();
        let matters = self.list(scope).await?;
        for place in self.places.list(scope).await? {
            let mine: Vec<&Matter> = matters
                .iter()
                .filter(|matter| matter.tenant == place.tenant && matter.state.holds())
                .filter(|matter| {
                    matter.scope.buckets.is_empty() || matter.scope.buckets.contains(&place.bucket)
                })
                .collect();
            if !mine.is_empty() {
                self.protect_place(&place, &mine, &mut done, actor).await?;
            }
        }
        Ok(done)
    }

    async fn protect_place(
        &self,
        place: &Place,
        matters: &[&Matter],
        done: &mut Protected,
        actor: &str,
    ) -> Result<(), DlpError> {
        let abilities = self.buckets.abilities(&place.bucket).await?;
        let mut from = None;
        loop {
            let page = self
                .buckets
                .list(&place.bucket, &place.prefix, from.as_ref())
                .await?;
            for listed in page.versions.iter().filter(|one| !one.marker) {
                done.seen += 1;
                let tags = self.buckets.tags(&listed.id).await.ok();
                let facts = Facts {
                    id: listed.id.clone(),
                    tenant: place.tenant,
                    written: listed.written,
                    tags,
                };
                let covering: Vec<MatterId> = matters
                    .iter()
                    .filter(|matter| matter.scope.covers(&facts))
                    .map(|matter| matter.id)
                    .collect();
                if !covering.is_empty() {
                    self.protect_object(&facts, &covering, abilities.object_lock, done, actor)
                        .await?;
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Protects one version for some matters; what is held already is asked for again.
    ///
    /// # Errors
    /// From the state.
    pub async fn protect_object(
        &self,
        facts: &Facts,
        matters: &[MatterId],
        object_lock: bool,
        done: &mut Protected,
        actor: &str,
    ) -> Result<(), DlpError> {
        let protection = if object_lock {
            Protection::ObjectLock
        } else if self.buckets.limits(&facts.id.bucket).tags {
            Protection::TagOnly
        } else {
            Protection::LedgerOnly
        };
        let result = match protection {
            Protection::ObjectLock => self.lock(&facts.id, true).await,
            Protection::TagOnly => self.tag(&facts.id, true).await,
            Protection::LedgerOnly => Ok(()),
        };
        let (state, problem) = match &result {
            Ok(()) => ("held", String::new()),
            Err(error) => ("failed", error.to_string()),
        };
        match (&result, protection) {
            (Err(error), _) => done.failed.push(format!("{}: {error}", facts.id)),
            (Ok(()), Protection::ObjectLock) => done.object_lock += 1,
            (Ok(()), Protection::TagOnly) => done.tag_only += 1,
            (Ok(()), Protection::LedgerOnly) => done.ledger_only += 1,
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let before = rows::of_object(&mut tx, &facts.id).await?;
        for matter in matters {
            let row = HoldRow {
                matter: *matter,
                object: facts.id.clone(),
                tenant: facts.tenant,
                protection,
                state: state.to_owned(),
                problem: problem.clone(),
                checked_at: now,
            };
            let same = before.iter().find(|one| one.matter == *matter);
            rows::put_hold(&mut tx, &row).await?;
            if same.is_none_or(|one| one.state != row.state) {
                let entry = EntryDraft::new(actor, "dlp.hold.place", subject(&facts.id))
                    .tenant(facts.tenant)
                    .details(json!({
                        "matter": matter, "object": facts.id.to_string(), "state": state,
                        "protection": protection, "problem": problem,
                    }));
                self.ledger.record(&mut tx, &entry).await?;
            }
        }
        if !problem.is_empty() {
            let message = tell::unprotected(facts.tenant, &facts.id, &problem);
            self.outbox.enqueue(&mut tx, &message).await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }

    /// Takes away a legal hold that a new version has only because it was copied with it: radosgw does that, even
    /// through a bucket without Object Lock, and nobody would ever release it.
    ///
    /// # Errors
    /// When the state or the store gives no answer; then it stays.
    pub async fn free_copied(&self, tenant: TenantId, id: &ObjectId) -> Result<(), DlpError> {
        let mut tx = self.store.begin().await?;
        self.alone(&mut tx, tenant).await?;
        let Some((facts, head)) = self.facts(tenant, id).await? else {
            return Ok(());
        };
        if !head.legal_hold || self.held_in(&mut tx, &facts).await? != Held::No {
            return Ok(());
        }
        let entry = EntryDraft::new("system:hold", "dlp.hold.release", subject(id))
            .tenant(tenant)
            .details(json!({ "object": id.to_string(), "why": "it came with the copy" }));
        self.ledger.record(&mut tx, &entry).await?;
        self.lock(id, false).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }

    /// Sets the store's own hold and asks whether it is there: a store may take the wish and drop it.
    async fn lock(&self, id: &ObjectId, on: bool) -> Result<(), BucketError> {
        let now = self.buckets.head(id).await?;
        if now.is_some_and(|head| head.legal_hold == on) {
            return Ok(());
        }
        self.buckets.set_legal_hold(id, on).await?;
        match self.buckets.head(id).await? {
            Some(head) if head.legal_hold == on => Ok(()),
            Some(_) => Err(BucketError::Unknown {
                what: id.to_string(),
                why: "the store took the legal hold and does not show it".to_owned(),
            }),
            None => Err(BucketError::Missing(id.to_string())),
        }
    }

    async fn tag(&self, id: &ObjectId, on: bool) -> Result<(), BucketError> {
        let mut tags: Tags = self.buckets.tags(id).await?;
        if tags.contains_key(TAG_HELD) == on {
            return Ok(());
        }
        if on {
            tags.insert(TAG_HELD.to_owned(), "yes".to_owned());
        } else {
            tags.remove(TAG_HELD);
        }
        self.buckets.set_tags(id, &tags).await?;
        if self.buckets.tags(id).await?.contains_key(TAG_HELD) == on {
            return Ok(());
        }
        Err(BucketError::Unknown {
            what: id.to_string(),
            why: "the store took the tag and does not show it".to_owned(),
        })
    }

    /// Takes protection away where every matter that held a version is released. It goes on where an
    /// earlier call stopped.
    ///
    /// # Errors
    /// From the state; what the store refuses stays in the hold ledger, and stays held.
    pub async fn unprotect(&self, actor: &str) -> Result<u64, DlpError> {
        let mut freed = 0;
        for row in rows::left_over(&self.store).await? {
            let mut tx = self.store.begin().await?;
            self.alone(&mut tx, row.tenant).await?;
            let facts = match self.facts(row.tenant, &row.object).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(%error, "a hold could not be taken away; it stays");
                    continue;
                }
            };
            let mut after = row.clone();
            after.state = "released".to_owned();
            after.problem.clear();
            after.checked_at = self.clock.now();
            rows::put_hold(&mut tx, &after).await?;
            let holding = match &facts {
                None => Held::No,
                Some((facts, _)) => self.held_in(&mut tx, facts).await?,
            };
            // The protection passes to who holds it still: a matter that was opened since the last walk has no line
            // of its own yet, and with its release nobody would know what to take away.
            if let Held::Matters(others) = &holding {
                let known = rows::of_object(&mut tx, &row.object).await?;
                let new = |id: &&MatterId| !known.iter().any(|one| one.matter == **id);
                for matter in others.iter().filter(new) {
                    let heir = HoldRow {
                        matter: *matter,
                        state: "held".to_owned(),
                        problem: String::new(),
                        checked_at: after.checked_at,
                        ..row.clone()
                    };
                    rows::put_hold(&mut tx, &heir).await?;
                }
            }
            let still = holding != Held::No;
            if facts.is_some() && !still {
                let result = match row.protection {
                    Protection::ObjectLock => self.lock(&row.object, false).await,
                    Protection::TagOnly => self.tag(&row.object, false).await,
                    Protection::LedgerOnly => Ok(()),
                };
                if let Err(error) = result {
                    tracing::warn!(%error, "a hold could not be taken away; it stays");
                    continue;
                }
                freed += 1;
            }
            let entry = EntryDraft::new(actor, "dlp.hold.release", subject(&row.object))
                .tenant(row.tenant)
                .details(json!({
                    "matter": row.matter, "object": row.object.to_string(), "still_held": still,
                }));
            self.ledger.record(&mut tx, &entry).await?;
            tx.commit().await?;
            self.ledger.nudge();
        }
        Ok(freed)
    }

    /// The matters that hold a version now, by the hold ledger.
    ///
    /// # Errors
    /// From the state.
    pub async fn matters_of(&self, facts: &Facts) -> Result<Vec<MatterId>, DlpError> {
        let mut tx = self.store.begin().await?;
        let held = self.held_in(&mut tx, facts).await?;
        tx.rollback().await?;
        Ok(match held {
            Held::Matters(ids) => ids,
            _ => Vec::new(),
        })
    }
}

/// How the public part of the ledger names an object: a digest, since keys may say who it is about.
pub(crate) fn subject(id: &ObjectId) -> String {
    format!("object:{}", Digest::of(id.to_string().as_bytes()))
}

fn state(matter: &Matter) -> Value {
    json!({
        "id": matter.id,
        "name": matter.name,
        "reason": matter.reason,
        "owner": matter.owner,
        "custodian": matter.custodian,
        "scope": matter.scope,
        "state": matter.state,
        "opened_by": matter.opened_by,
        "approved_by": matter.approved_by,
        "release_asked_by": matter.release_asked_by,
        "released_by": matter.released_by,
        "revision": matter.revision,
    })
}
