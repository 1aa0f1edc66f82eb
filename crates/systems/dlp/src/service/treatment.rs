//! Treatments: what a policy says about an object is written as a new version, read back, and only then the original
//! is dealt with. Each step is done, then noted; after a crash it is done again, and doing it twice is the same as once.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::{Clock, Digest, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_scan::document::{self, Limits, Outcome};
use sealwright_scan::redact::{Redacted, Redactor, Style};
use sealwright_store::{Store, Tx};
use serde_json::json;

use super::bucket::{BucketError, Buckets, Description, Listed};
use super::detect::Detection;
use super::hold::{Deleted, HoldService};
use super::place::PlaceService;
use super::quarantine::QuarantineService;
use super::{DlpError, tell};
use crate::model::finding::{FindingState, Place};
use crate::model::object::{ObjectId, TAG_HELD};
use crate::model::policy::{Original, PolicyAction};
use crate::model::quarantine::{QuarantineId, QuarantineStep};
use crate::model::treatment::{TAG_TREATMENT, Treatment, TreatmentId, TreatmentStep};
use crate::store::{finding as findings, treatment as rows};

/// The largest object that is redacted: it has to be in memory, more than once.
pub const MOST_BYTES: u64 = 64 << 20;

/// Writes objects anew.
#[derive(Debug, Clone)]
pub struct TreatmentService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    buckets: Arc<dyn Buckets>,
    outbox: Arc<dyn Outbox>,
    detection: Detection,
    holds: HoldService,
    places: PlaceService,
    quarantine: QuarantineService,
}

/// What a treatment does.
#[derive(Debug, Clone)]
pub struct NewTreatment {
    /// The version.
    pub source: ObjectId,
    /// [`PolicyAction::Redact`] or [`PolicyAction::Encrypt`].
    pub action: PolicyAction,
    /// What becomes of the version then.
    pub original: Original,
    /// Why.
    pub reason: String,
}

/// What treatments work with.
#[derive(Debug, Clone)]
pub struct TreatmentParts {
    /// The state.
    pub store: Store,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The object store.
    pub buckets: Arc<dyn Buckets>,
    /// Tells people.
    pub outbox: Arc<dyn Outbox>,
    /// Scanners.
    pub detection: Detection,
    /// Asked before anything goes.
    pub holds: HoldService,
    /// Takes originals away.
    pub quarantine: QuarantineService,
}

/// Where a step leads.
enum Next {
    /// To the next step.
    Step(TreatmentStep),
    /// Something has to be waited for.
    Wait(String),
    /// It ends here, for a reason.
    End(TreatmentStep, String),
}

impl TreatmentService {
    /// Works with these parts.
    #[must_use]
    pub fn new(parts: TreatmentParts) -> Self {
        let (store, ledger, clock) = (parts.store, parts.ledger, parts.clock);
        Self {
            places: PlaceService::new(store.clone(), Arc::clone(&ledger), Arc::clone(&clock)),
            store,
            ledger,
            clock,
            buckets: parts.buckets,
            outbox: parts.outbox,
            detection: parts.detection,
            holds: parts.holds,
            quarantine: parts.quarantine,
        }
    }

    /// The treatments of a scope, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope, limit: u32) -> Result<Vec<Treatment>, DlpError> {
        Ok(rows::list(&self.store, scope, limit).await?)
    }

    /// One treatment.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn find(&self, scope: TenantScope, id: TreatmentId) -> Result<Treatment, DlpError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the treatment {id}")))
    }

    /// Notes that a version of a place is to be written anew; [`Self::advance`] does it. A version is treated
    /// once: what came of it before is given.
    ///
    /// # Errors
    /// [`DlpError::Invalid`] for another action; [`DlpError::NotFound`].
    pub async fn want(
        &self,
        place: &Place,
        new: NewTreatment,
        actor: &str,
    ) -> Result<Treatment, DlpError> {
        if !matches!(new.action, PolicyAction::Redact | PolicyAction::Encrypt) {
            return Err(DlpError::Invalid(format!(
                "objects are written anew to redact or to encrypt, not to {}",
                new.action
            )));
        }
        let head = self
            .buckets
            .head(&new.source)
            .await?
            .ok_or_else(|| DlpError::NotFound(new.source.to_string()))?;
        let now = self.clock.now();
        let one = Treatment {
            id: TreatmentId::new(now),
            tenant: place.tenant,
            place: place.id,
            source: new.source,
            etag: head.etag,
            action: new.action,
            original: new.original,
            new_version: String::new(),
            sha256: String::new(),
            replaced: std::collections::BTreeMap::new(),
            step: TreatmentStep::Wanted,
            reason: new.reason,
            problem: String::new(),
            begun_by: actor.to_owned(),
            begun_at: now,
            changed_at: now,
        };
        let mut tx = self.store.begin().await?;
        tx.lock("dlp_treatment").await?;
        if let Some(before) = rows::of_object(&mut tx, &one.source).await? {
            return Ok(before);
        }
        self.note(tx, &one, actor).await?;
        Ok(one)
    }

    async fn note(&self, mut tx: Tx, one: &Treatment, actor: &str) -> Result<(), DlpError> {
        rows::put(&mut tx, one).await?;
        let action = format!("dlp.treatment.{}", one.step);
        let entry = EntryDraft::new(actor, action, one.id.to_string())
            .tenant(one.tenant)
            .details(json!({
                "object": one.source.to_string(), "action": one.action, "original": one.original,
                "new_version": one.new_version, "sha256": one.sha256, "replaced": one.replaced,
                "reason": one.reason, "problem": one.problem,
            }));
        self.ledger.record(&mut tx, &entry).await?;
        if matches!(one.step, TreatmentStep::Done | TreatmentStep::Refused) {
            self.outbox.enqueue(&mut tx, &tell::treated(one)).await?;
        }
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }

    /// Takes up everything that is under way; gives how many reached an end, and what waits.
    ///
    /// # Errors
    /// From the state.
    pub async fn resume(&self, actor: &str) -> Result<(u64, Vec<String>), DlpError> {
        let (mut ended, mut waiting) = (0, Vec::new());
        for one in rows::under_way(&self.store).await? {
            let id = one.id;
            match self.advance(one, actor).await {
                Ok(after) if after.step.is_under_way() => {
                    waiting.push(format!("{}: {}", after.id, after.problem));
                }
                Ok(_) => ended += 1,
                Err(DlpError::Store(error)) => return Err(error.into()),
                Err(error) => waiting.push(format!("{id}: {error}")),
            }
        }
        Ok((ended, waiting))
    }

    /// Goes on until it ends, or something has to be waited for.
    ///
    /// # Errors
    /// What the store or the state said; the row stands at the last step that is true.
    pub async fn advance(&self, mut one: Treatment, actor: &str) -> Result<Treatment, DlpError> {
        while one.step.is_under_way() {
            let next = match one.step {
                TreatmentStep::Wanted => self.write(&mut one, actor).await,
                TreatmentStep::Written => self.verify(&one).await,
                _ => self.settle(&mut one, actor).await,
            };
            match next {
                Ok(Next::Step(step)) => {
                    one.step = step;
                    one.problem.clear();
                }
                Ok(Next::End(step, why)) => {
                    one.step = step;
                    one.problem = why;
                }
                Ok(Next::Wait(why)) => {
                    one.problem = why;
                    self.remember(&one).await?;
                    return Ok(one);
                }
                Err(error) => {
                    one.problem = error.to_string();
                    self.remember(&one).await?;
                    return Err(error);
                }
            }
            one.changed_at = self.clock.now();
            let mut tx = self.store.begin().await?;
            let gone = one.step == TreatmentStep::Done && one.original != Original::Keep;
            if gone && !one.problem.starts_with(STAYS) {
                self.resolve(&mut tx, &one, actor).await?;
            }
            self.note(tx, &one, actor).await?;
        }
        Ok(one)
    }

    async fn remember(&self, one: &Treatment) -> Result<(), DlpError> {
        let mut tx = self.store.begin().await?;
        rows::put(&mut tx, one).await?;
        Ok(tx.commit().await?)
    }

    /// Nobody has to look any more at what was found in a version that is gone.
    async fn resolve(&self, tx: &mut Tx, one: &Treatment, actor: &str) -> Result<(), DlpError> {
        let scope = TenantScope::One(one.tenant);
        for mut finding in findings::of_object_in(tx, scope, &one.source).await? {
            if finding.state == FindingState::Open {
                finding.state = FindingState::Resolved;
                finding.note = format!("{}: {}", one.action, one.id);
                finding.changed_by = actor.to_owned();
                findings::decide(tx, &finding).await?;
            }
        }
        Ok(())
    }

    /// Writes the new version.
    async fn write(&self, one: &mut Treatment, actor: &str) -> Result<Next, DlpError> {
        let superseded = |why: &str| Ok(Next::End(TreatmentStep::Superseded, why.to_owned()));
        let head = match self.buckets.head(&one.source).await? {
            Some(head) if head.etag == one.etag => head,
            Some(_) => return superseded("it was written over since"),
            None => return superseded("it is gone"),
        };
        if !self.buckets.abilities(&one.source.bucket).await?.versions {
            let why = "the bucket keeps no versions: to write it anew would destroy the original";
            return Ok(Next::End(TreatmentStep::Refused, why.to_owned()));
        }
        if one.action == PolicyAction::Encrypt && head.encryption.is_some() {
            one.original = Original::Keep;
            let why = "it is encrypted at rest already".to_owned();
            return Ok(Next::End(TreatmentStep::Done, why));
        }
        let before = self.versions(&one.source).await?;
        let mark = one.id.to_string();
        for listed in before.iter().filter(|listed| !listed.marker) {
            // Written before a crash.
            let tags = self.buckets.tags(&listed.id).await?;
            if tags.get(TAG_TREATMENT) == Some(&mark) {
                let hash = self
                    .bytes(&listed.id)
                    .await?
                    .map(|bytes| Digest::of(&bytes));
                one.sha256 = hash.map_or_else(String::new, |hash| hash.to_string());
                one.new_version = listed.id.version.clone();
                return self.in_order(one, actor).await;
            }
        }
        if !before
            .iter()
            .any(|listed| listed.latest && listed.id == one.source)
        {
            return self.older(one, actor).await;
        }
        let mut tags = self.buckets.tags(&one.source).await?;
        tags.remove(TAG_HELD);
        tags.insert(TAG_TREATMENT.to_owned(), mark);
        let refused = |why: String| Ok(Next::End(TreatmentStep::Refused, why));
        let written = if one.action == PolicyAction::Encrypt {
            let (bucket, key) = (&one.source.bucket, &one.source.key);
            self.buckets
                .copy_encrypted(&one.source, bucket, key, &tags)
                .await?
        } else {
            let Some(bytes) = self.bytes(&one.source).await? else {
                return refused(format!("it has more than {} MiB", MOST_BYTES >> 20));
            };
            let clean = match self.redact(one, bytes).await? {
                Ok(clean) if clean.replaced.is_empty() => {
                    return superseded("nothing is found in it any more");
                }
                Ok(clean) => clean,
                Err(why) => return refused(why),
            };
            one.sha256 = Digest::of(&clean.bytes).to_string();
            one.replaced = clean.replaced;
            let body = Bytes::from(clean.bytes);
            match self
                .buckets
                .replace(&one.source, &head, body.clone(), &tags)
                .await
            {
                Ok(written) => written,
                Err(BucketError::Changed(_)) => {
                    // Some stores refuse every condition on a bucket with versions. Then it is asked here, and
                    // what somebody wrote in between is found out afterwards.
                    let latest = self.versions(&one.source).await?;
                    if !latest
                        .iter()
                        .any(|listed| listed.latest && listed.id == one.source)
                    {
                        return superseded("it was written over since");
                    }
                    let about = Description::from(&head);
                    let (bucket, key) = (&one.source.bucket, &one.source.key);
                    self.buckets
                        .put_as(bucket, key, body, &tags, &about)
                        .await?
                }
                Err(error) => return Err(error.into()),
            }
        };
        one.new_version = written.version;
        self.in_order(one, actor).await
    }

    /// Nobody else wrote the key between the question and the writing: what we wrote would hide that. It is taken
    /// back then.
    async fn in_order(&self, one: &Treatment, actor: &str) -> Result<Next, DlpError> {
        let versions = self.versions(&one.source).await?;
        let ours = one.written();
        let place = versions.iter().position(|listed| listed.id == ours);
        let below = place.and_then(|at| versions.get(at + 1));
        if below.is_some_and(|listed| listed.id == one.source) {
            return Ok(Next::Step(TreatmentStep::Written));
        }
        let Some(listed) = place.and_then(|at| versions.get(at)) else {
            return Err(DlpError::Conflict(format!("{ours} is not listed")));
        };
        let why = json!({ "treatment": one.id, "why": "the key was written meanwhile" });
        let deleted = self
            .holds
            .delete_unless_held(one.tenant, &ours, &listed.etag, why, actor)
            .await?;
        Ok(match deleted {
            Deleted::Kept(held) => {
                Next::Wait(format!("{ours} has to go and stays while held: {held:?}"))
            }
            _ => Next::End(
                TreatmentStep::Superseded,
                "the key was written meanwhile".to_owned(),
            ),
        })
    }

    /// A version that is no longer what readers get is not written anew: the new one would be. It goes into
    /// quarantine where the policy says so.
    async fn older(&self, one: &mut Treatment, actor: &str) -> Result<Next, DlpError> {
        let place = self.place(one).await?;
        let why = if one.original == Original::Quarantine && !place.quarantine.is_empty() {
            let (quarantine, _) = self.take(one, &place, actor).await?;
            format!("an older version: {quarantine}")
        } else {
            "an older version; to write it anew would bring it back".to_owned()
        };
        Ok(Next::End(TreatmentStep::Superseded, why))
    }

    async fn place(&self, one: &Treatment) -> Result<Place, DlpError> {
        let scope = TenantScope::One(one.tenant);
        self.places.find(scope, one.place).await
    }

    /// Hands the source to the quarantine, which goes on by itself; whether it is gone by now.
    async fn take(
        &self,
        one: &Treatment,
        place: &Place,
        actor: &str,
    ) -> Result<(QuarantineId, bool), DlpError> {
        let reason = format!("the original of {}: {}", one.id, one.reason);
        let wanted = self
            .quarantine
            .want(place, &one.source, &reason, actor)
            .await?;
        let id = wanted.id;
        match self.quarantine.advance(wanted, actor).await {
            Ok(after) => Ok((id, after.step >= QuarantineStep::Quarantined)),
            Err(DlpError::Store(error)) => Err(error.into()),
            // It stands at its last step with the reason, and is taken up again.
            Err(error) => {
                tracing::warn!(%error, "a quarantine could not go on");
                Ok((id, false))
            }
        }
    }

    /// Reads the new version back.
    async fn verify(&self, one: &Treatment) -> Result<Next, DlpError> {
        let ours = one.written();
        let Some(head) = self.buckets.head(&ours).await? else {
            return Ok(Next::End(
                TreatmentStep::Superseded,
                "what was written is gone".to_owned(),
            ));
        };
        if one.action == PolicyAction::Encrypt {
            if head.encryption.is_none() {
                return Err(DlpError::Conflict(format!(
                    "{ours}: the store took the encryption and does not show it"
                )));
            }
            let (a, b) = (self.hash(&one.source).await?, self.hash(&ours).await?);
            if a != b {
                return Err(DlpError::Conflict(format!("{ours} has other bytes")));
            }
            return Ok(Next::Step(TreatmentStep::Verified));
        }
        let bytes = self.bytes(&ours).await?.unwrap_or_default();
        if Digest::of(&bytes).to_string() != one.sha256 {
            return Err(DlpError::Conflict(format!("{ours} has other bytes")));
        }
        let scanner = self.detection.scanner(one.tenant).await?;
        let name = one.source.key.clone();
        let report = tokio::task::spawn_blocking(move || {
            document::scan(&scanner, &name, &bytes, &Limits::default())
        })
        .await
        .map_err(|error| DlpError::Internal(error.to_string()))?;
        if report.outcome != Outcome::Scanned || !report.findings.is_empty() {
            return Err(DlpError::Conflict(format!("{ours} does not scan clean")));
        }
        Ok(Next::Step(TreatmentStep::Verified))
    }

    /// Deals with the original.
    async fn settle(&self, one: &mut Treatment, actor: &str) -> Result<Next, DlpError> {
        let done = |why: String| Ok(Next::End(TreatmentStep::Done, why));
        match one.original {
            Original::Keep => done(format!("{STAYS} as an older version")),
            Original::Quarantine => {
                let place = self.place(one).await?;
                if place.quarantine.is_empty() {
                    return done(format!("{STAYS}: the place has no quarantine bucket"));
                }
                match self.take(one, &place, actor).await {
                    Ok((id, true)) => done(format!("the original is taken away: {id}")),
                    Ok((id, false)) => done(format!("{STAYS} until its quarantine ends: {id}")),
                    Err(DlpError::NotFound(_)) => done("the original is gone".to_owned()),
                    Err(error) => Err(error),
                }
            }
            Original::Erase => {
                let why = json!({ "treatment": one.id, "original": "erase" });
                let deleted = self
                    .holds
                    .delete_unless_held(one.tenant, &one.source, &one.etag, why, actor)
                    .await?;
                match deleted {
                    Deleted::Gone => done("the original is erased".to_owned()),
                    Deleted::Absent => done("the original is gone".to_owned()),
                    Deleted::Kept(held) => Ok(Next::Wait(format!(
                        "the original stays until nothing holds it: {held:?}"
                    ))),
                    Deleted::Changed => Err(DlpError::Conflict(
                        "the original was written over".to_owned(),
                    )),
                }
            }
        }
    }

    /// Takes the values out; the reason when that is not possible.
    async fn redact(
        &self,
        one: &Treatment,
        bytes: Vec<u8>,
    ) -> Result<Result<Redacted, String>, DlpError> {
        let scanner = self.detection.scanner(one.tenant).await?;
        let name = one.source.key.clone();
        tokio::task::spawn_blocking(move || {
            Redactor::new(&scanner, Style::Placeholder)
                .document(&name, &bytes)
                .map_err(|error| error.to_string())
        })
        .await
        .map_err(|error| DlpError::Internal(error.to_string()))
    }

    /// Every version and marker of the key, newest first.
    async fn versions(&self, id: &ObjectId) -> Result<Vec<Listed>, DlpError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .buckets
                .list(&id.bucket, &id.key, from.as_ref())
                .await?;
            let beyond = page.versions.iter().any(|one| one.id.key > id.key);
            all.extend(page.versions.into_iter().filter(|one| one.id.key == id.key));
            from = page.next;
            if from.is_none() || beyond {
                break;
            }
        }
        // Markers are listed apart from versions; what was written in one second keeps the store's order.
        all.sort_by_key(|one| (!one.latest, std::cmp::Reverse(one.written)));
        Ok(all)
    }

    /// The bytes of a version; `None` when there are too many.
    async fn bytes(&self, id: &ObjectId) -> Result<Option<Vec<u8>>, BucketError> {
        let mut chunks = self.buckets.get(id).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = chunks.try_next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > MOST_BYTES {
                return Ok(None);
            }
        }
        Ok(Some(bytes))
    }

    async fn hash(&self, id: &ObjectId) -> Result<Digest, BucketError> {
        super::quarantine::hash(self.buckets.as_ref(), id).await
    }
}

/// How the end of a treatment begins whose original is where it was.
const STAYS: &str = "the original stays";
