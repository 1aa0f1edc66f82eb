//! Quarantine: copy, verify, restrict, remove; and back again. Each step is done, then noted; after a crash
//! it is done again, and doing it twice is the same as once.

use std::sync::Arc;

use futures::TryStreamExt as _;
use sealwright_core::{Clock, Digest, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_store::Store;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::bucket::{BucketError, Buckets, Tags};
use super::hold::{Deleted, HoldService, Protected};
use super::{DlpError, tell};
use crate::model::finding::Place;
use crate::model::object::{Facts, ObjectId, TAG_HELD, address};
use crate::model::quarantine::{Quarantine, QuarantineId, QuarantineStep, TAG_QUARANTINE};
use crate::store::quarantine as rows;

/// Takes objects away and gives them back.
#[derive(Debug, Clone)]
pub struct QuarantineService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    buckets: Arc<dyn Buckets>,
    outbox: Arc<dyn Outbox>,
    holds: HoldService,
}

/// What the gate held.
pub(super) struct Admitted<'a> {
    pub id: QuarantineId,
    pub place: &'a Place,
    /// Where it would have gone; it has no version.
    pub source: ObjectId,
    pub tags: &'a Tags,
    pub copy: ObjectId,
    pub sha256: Digest,
    pub reason: String,
    pub actor: &'a str,
}

impl QuarantineService {
    /// Works on `buckets`, asking `holds` before anything goes.
    #[must_use]
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        buckets: Arc<dyn Buckets>,
        outbox: Arc<dyn Outbox>,
        holds: HoldService,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            buckets,
            outbox,
            holds,
        }
    }

    /// The quarantines of a scope, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope, limit: u32) -> Result<Vec<Quarantine>, DlpError> {
        Ok(rows::list(&self.store, scope, limit).await?)
    }

    /// One quarantine.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn find(&self, scope: TenantScope, id: QuarantineId) -> Result<Quarantine, DlpError> {
        let mut tx = self.store.begin().await?;
        let found = rows::find(&mut tx, scope, id).await?;
        tx.rollback().await?;
        found.ok_or_else(|| DlpError::NotFound(format!("the quarantine {id}")))
    }

    /// Notes that a version of a place is to be taken away; [`Self::advance`] does it. A version that is
    /// on its way already is not taken twice.
    ///
    /// # Errors
    /// [`DlpError::Invalid`] when the place has no quarantine bucket.
    pub async fn want(
        &self,
        place: &Place,
        source: &ObjectId,
        reason: &str,
        actor: &str,
    ) -> Result<Quarantine, DlpError> {
        if place.quarantine.is_empty() {
            return Err(DlpError::Invalid(format!(
                "the place {} has no quarantine bucket",
                address(&place.bucket, &place.prefix)
            )));
        }
        let head = self
            .buckets
            .head(source)
            .await?
            .ok_or_else(|| DlpError::NotFound(source.to_string()))?;
        let tags = self.buckets.tags(source).await?;
        let now = self.clock.now();
        let id = QuarantineId::new(now);
        let long = format!("{id}/{}", source.key);
        let key = if long.len() <= 1_024 {
            long
        } else {
            id.to_string()
        };
        let one = Quarantine {
            id,
            tenant: place.tenant,
            source: source.clone(),
            etag: head.etag,
            tags,
            copy: ObjectId::new(&place.quarantine, &key, ""),
            back_version: String::new(),
            sha256: String::new(),
            step: QuarantineStep::Wanted,
            reason: reason.to_owned(),
            problem: String::new(),
            begun_by: actor.to_owned(),
            begun_at: now,
            release_asked_by: None,
            released_by: None,
            changed_at: now,
        };
        let mut tx = self.store.begin().await?;
        tx.lock("dlp_quarantine").await?;
        if let Some(before) = rows::of_object(&mut tx, source).await? {
            return Ok(before);
        }
        self.note(tx, &one, actor).await?;
        Ok(one)
    }

    /// Takes in what the gate held: there never was a version at its place, and its copy is here already.
    ///
    /// # Errors
    /// From the state.
    pub(super) async fn admit(&self, held: Admitted<'_>) -> Result<(), DlpError> {
        let now = self.clock.now();
        let one = Quarantine {
            id: held.id,
            tenant: held.place.tenant,
            source: held.source,
            etag: String::new(),
            tags: held.tags.clone(),
            copy: held.copy,
            back_version: String::new(),
            sha256: held.sha256.to_string(),
            step: QuarantineStep::Quarantined,
            reason: held.reason,
            problem: String::new(),
            begun_by: held.actor.to_owned(),
            begun_at: now,
            release_asked_by: None,
            released_by: None,
            changed_at: now,
        };
        let tx = self.store.begin().await?;
        self.note(tx, &one, held.actor).await
    }

    async fn note(
        &self,
        mut tx: sealwright_store::Tx,
        one: &Quarantine,
        actor: &str,
    ) -> Result<(), DlpError> {
        rows::put(&mut tx, one).await?;
        let action = format!("dlp.quarantine.{}", one.step);
        let entry = EntryDraft::new(actor, action, one.id.to_string())
            .tenant(one.tenant)
            .details(json!({
                "object": one.source.to_string(), "copy": one.copy.to_string(),
                "sha256": one.sha256, "reason": one.reason,
            }));
        self.ledger.record(&mut tx, &entry).await?;
        if matches!(
            one.step,
            QuarantineStep::Quarantined | QuarantineStep::Released
        ) {
            self.outbox
                .enqueue(&mut tx, &tell::quarantined(one))
                .await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }

    /// Asks for the release.
    ///
    /// # Errors
    /// [`DlpError::Conflict`] when it is not in quarantine.
    pub async fn ask_release(
        &self,
        scope: TenantScope,
        id: QuarantineId,
        actor: &str,
    ) -> Result<Quarantine, DlpError> {
        self.people(scope, id, QuarantineStep::Quarantined, actor, |one| {
            one.step = QuarantineStep::ReleaseAsked;
            one.release_asked_by = Some(actor.to_owned());
            Ok(())
        })
        .await
    }

    /// Releases it: another person than who asked. [`Self::advance`] then brings it back.
    ///
    /// # Errors
    /// [`DlpError::Conflict`].
    pub async fn release(
        &self,
        scope: TenantScope,
        id: QuarantineId,
        actor: &str,
    ) -> Result<Quarantine, DlpError> {
        self.people(scope, id, QuarantineStep::ReleaseAsked, actor, |one| {
            if one.release_asked_by.as_deref() == Some(actor) {
                return Err(DlpError::Conflict(format!(
                    "{actor} asked for the release; it takes a second person"
                )));
            }
            one.step = QuarantineStep::Releasing;
            one.released_by = Some(actor.to_owned());
            Ok(())
        })
        .await
    }

    async fn people(
        &self,
        scope: TenantScope,
        id: QuarantineId,
        from: QuarantineStep,
        actor: &str,
        change: impl FnOnce(&mut Quarantine) -> Result<(), DlpError>,
    ) -> Result<Quarantine, DlpError> {
        let mut tx = self.store.begin().await?;
        tx.lock("dlp_quarantine").await?;
        let mut one = rows::find(&mut tx, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the quarantine {id}")))?;
        if one.step != from {
            return Err(DlpError::Conflict(format!(
                "it is {}; that is possible when it is {from}",
                one.step
            )));
        }
        change(&mut one)?;
        one.changed_at = self.clock.now();
        self.note(tx, &one, actor).await?;
        Ok(one)
    }

    /// Takes up everything that is under way; gives how many reached an end, and what waits.
    ///
    /// # Errors
    /// From the state.
    pub async fn resume(&self, actor: &str) -> Result<(u64, Vec<String>), DlpError> {
        let (mut ended, mut waiting) = (0, Vec::new());
        for one in rows::under_way(&self.store).await? {
            match self.advance(one.clone(), actor).await {
                Ok(after) if after.step.is_under_way() => {
                    waiting.push(format!("{}: {}", after.id, after.problem));
                }
                Ok(_) => ended += 1,
                Err(DlpError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    waiting.push(format!("{}: {error}", one.id));
                }
            }
        }
        Ok((ended, waiting))
    }

    /// Goes on until people are needed, or something has to be waited for.
    ///
    /// # Errors
    /// What the store or the state said; the row stands at the last step that is true.
    pub async fn advance(&self, mut one: Quarantine, actor: &str) -> Result<Quarantine, DlpError> {
        while one.step.is_under_way() {
            let before = one.step;
            match self.step(&mut one, actor).await {
                Ok(true) => {
                    one.problem.clear();
                    one.changed_at = self.clock.now();
                    let tx = self.store.begin().await?;
                    self.note(tx, &one, actor).await?;
                }
                Ok(false) => {
                    one.step = before;
                    let mut tx = self.store.begin().await?;
                    rows::put(&mut tx, &one).await?;
                    tx.commit().await?;
                    return Ok(one);
                }
                Err(error) => {
                    one.step = before;
                    one.problem = error.to_string();
                    let mut tx = self.store.begin().await?;
                    rows::put(&mut tx, &one).await?;
                    tx.commit().await?;
                    return Err(error);
                }
            }
        }
        Ok(one)
    }

    /// Does what leads to the next step; `false` when something has to be waited for.
    async fn step(&self, one: &mut Quarantine, actor: &str) -> Result<bool, DlpError> {
        match one.step {
            QuarantineStep::Wanted => {
                self.same(&one.source, &one.etag).await?;
                let mut tags = one.tags.clone();
                tags.remove(TAG_HELD);
                if !self.buckets.limits(&one.copy.bucket).tags {
                    // What cannot be marked afterwards is written with the mark.
                    tags.insert(TAG_QUARANTINE.to_owned(), one.id.to_string());
                }
                let copy = self
                    .buckets
                    .copy(&one.source, &one.copy.bucket, &one.copy.key, &tags)
                    .await?;
                one.copy = copy;
                one.step = QuarantineStep::Copied;
            }
            QuarantineStep::Copied => {
                let (from, to) = (self.hash(&one.source).await?, self.hash(&one.copy).await?);
                if from != to {
                    return Err(DlpError::Conflict(format!(
                        "the copy differs: SHA-256 {} and {}",
                        from.short(),
                        to.short()
                    )));
                }
                one.sha256 = from.to_string();
                one.step = QuarantineStep::Verified;
            }
            QuarantineStep::Verified => {
                let mut tags = one.tags.clone();
                tags.remove(TAG_HELD);
                tags.insert(TAG_QUARANTINE.to_owned(), one.id.to_string());
                if self.buckets.limits(&one.copy.bucket).tags {
                    self.buckets.set_tags(&one.copy, &tags).await?;
                }
                self.carry_holds(one, &one.source.clone(), &one.copy.clone(), actor)
                    .await?;
                one.step = QuarantineStep::Restricted;
            }
            QuarantineStep::Restricted => {
                // Before the source goes the copy is asked for once more.
                self.readable(&one.copy).await?;
                if !self
                    .remove(one, &one.source.clone(), &one.etag.clone(), actor)
                    .await?
                {
                    return Ok(false);
                }
                one.step = QuarantineStep::Quarantined;
            }
            QuarantineStep::Releasing => {
                let mut tags = one.tags.clone();
                tags.remove(TAG_HELD);
                let back = self
                    .buckets
                    .copy(&one.copy, &one.source.bucket, &one.source.key, &tags)
                    .await?;
                one.back_version = back.version;
                one.step = QuarantineStep::CopiedBack;
            }
            QuarantineStep::CopiedBack => {
                let back = back(one);
                let hash = self.hash(&back).await?;
                if hash.to_string() != one.sha256 {
                    return Err(DlpError::Conflict(
                        "what came back is not what was taken".to_owned(),
                    ));
                }
                self.carry_holds(one, &one.copy.clone(), &back, actor)
                    .await?;
                one.step = QuarantineStep::VerifiedBack;
            }
            QuarantineStep::VerifiedBack => {
                self.readable(&back(one)).await?;
                let copy = one.copy.clone();
                let etag = match self.buckets.head(&copy).await? {
                    None => String::new(),
                    Some(head) => head.etag,
                };
                if !self.remove(one, &copy, &etag, actor).await? || !self.clear(one, actor).await? {
                    return Ok(false);
                }
                one.step = QuarantineStep::Released;
            }
            QuarantineStep::Quarantined
            | QuarantineStep::ReleaseAsked
            | QuarantineStep::Released => return Ok(false),
        }
        Ok(true)
    }

    /// The version is there, and is the one that was meant.
    async fn same(&self, id: &ObjectId, etag: &str) -> Result<(), DlpError> {
        match self.buckets.head(id).await? {
            Some(head) if head.etag == etag => Ok(()),
            Some(_) => Err(DlpError::Conflict(format!("{id} was written over since"))),
            None => Err(DlpError::Conflict(format!("{id} is gone"))),
        }
    }

    async fn readable(&self, id: &ObjectId) -> Result<(), DlpError> {
        match self.buckets.head(id).await? {
            Some(_) => Ok(()),
            None => Err(DlpError::Conflict(format!("the copy {id} is not there"))),
        }
    }

    /// Whether it is gone; when something holds it, it stays, and the quarantine waits.
    async fn remove(
        &self,
        one: &mut Quarantine,
        id: &ObjectId,
        etag: &str,
        actor: &str,
    ) -> Result<bool, DlpError> {
        let why = json!({ "quarantine": one.id });
        match self
            .holds
            .delete_unless_held(one.tenant, id, etag, why, actor)
            .await?
        {
            Deleted::Gone | Deleted::Absent => Ok(true),
            Deleted::Kept(held) => {
                one.problem = format!("{id} stays until nothing holds it: {held:?}");
                Ok(false)
            }
            Deleted::Changed => Err(DlpError::Conflict(format!("{id} was written over since"))),
        }
    }

    /// Removes copies that a crash between copying and noting left behind.
    async fn clear(&self, one: &mut Quarantine, actor: &str) -> Result<bool, DlpError> {
        let key = one.copy.key.clone();
        let page = self.buckets.list(&one.copy.bucket, &key, None).await?;
        for left in page.versions {
            if left.id.key == key
                && !left.marker
                && !self.remove(one, &left.id, &left.etag, actor).await?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn hash(&self, id: &ObjectId) -> Result<Digest, BucketError> {
        hash(self.buckets.as_ref(), id).await
    }

    /// Every matter that holds one version holds the other too.
    async fn carry_holds(
        &self,
        one: &Quarantine,
        from: &ObjectId,
        to: &ObjectId,
        actor: &str,
    ) -> Result<(), DlpError> {
        let Some((facts, _)) = self.holds.facts(one.tenant, from).await? else {
            return Ok(());
        };
        let matters = self.holds.matters_of(&facts).await?;
        if matters.is_empty() {
            return self.holds.free_copied(one.tenant, to).await;
        }
        let lock = self.buckets.abilities(&to.bucket).await?.object_lock;
        let copy = Facts {
            id: to.clone(),
            ..facts
        };
        let mut done = Protected::default();
        self.holds
            .protect_object(&copy, &matters, lock, &mut done, actor)
            .await?;
        match done.failed.first() {
            None => Ok(()),
            Some(why) => Err(DlpError::Conflict(format!("the hold of the copy: {why}"))),
        }
    }
}

/// SHA-256 of a version's bytes.
pub(super) async fn hash(buckets: &dyn Buckets, id: &ObjectId) -> Result<Digest, BucketError> {
    let mut chunks = buckets.get(id).await?;
    let mut hasher = Sha256::new();
    while let Some(piece) = chunks.try_next().await? {
        hasher.update(&piece);
    }
    Ok(Digest(hasher.finalize().into()))
}

fn back(one: &Quarantine) -> ObjectId {
    ObjectId::new(&one.source.bucket, &one.source.key, &one.back_version)
}
