//! Uploads through the gate: what is let through is written, what is held is kept in quarantine, and parts are put
//! aside until all of them were looked at as one object.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::clock::DAY;
use sealwright_core::{Clock, Digest, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_scan::document::Limits;
use sealwright_scan::redact::{Redactor, Style};
use sealwright_store::Store;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::DlpError;
use super::bucket::{Buckets, Description, Parts, Tags};
use super::detect::Detection;
use super::gate::{Answer, GateService, Given, MOST_BYTES, UploadId, Verdict};
use super::hold::{Deleted, HoldService};
use super::place::PlaceService;
use super::quarantine::{Admitted, QuarantineService};
use crate::model::finding::{Place, PlaceId};
use crate::model::object::{ObjectId, TAG_HELD};
use crate::model::policy::by_name;
use crate::model::quarantine::{QuarantineId, TAG_QUARANTINE};
use crate::model::treatment::TAG_TREATMENT;
use crate::store::multipart as rows;

/// The tag of what was let through although the gate gave no answer.
pub const TAG_UNSCANNED: &str = "sealwright-unscanned";
/// Parts of one object.
pub const MOST_PARTS: i32 = 10_000;
/// The largest object: what was put aside is copied in one call.
const MOST_OBJECT: u64 = 5_000_000_000;
/// How long parts wait for their end.
const PATIENCE: i64 = 7 * DAY;

/// What happens to uploads while the gate gives no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenDown {
    /// They are refused; whoever brings them tries again.
    #[default]
    Refuse,
    /// They are let through with a mark, and the next scan looks at them.
    Pass,
}

impl WhenDown {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Refuse, Self::Pass];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Pass => "pass",
        }
    }
}

by_name! { WhenDown, "rule for a gate that is down"; }

/// An object in parts that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// Its id, which is the upload id of whoever brings it.
    pub id: UploadId,
    /// The place that it goes to.
    pub place: PlaceId,
    /// Whose.
    pub tenant: sealwright_core::TenantId,
    /// Where it goes.
    pub bucket: String,
    /// Under which key.
    pub key: String,
    /// Where it is put aside; the version is empty before the parts are one object.
    pub staged: ObjectId,
    /// How the store calls the parts.
    pub name: String,
    /// What is said of it.
    pub about: Description,
    /// Its tags.
    pub tags: Tags,
    /// Who began it.
    pub begun_by: String,
    /// When.
    pub begun_at: UnixMicros,
}

impl Multipart {
    fn parts(&self) -> Parts<'_> {
        Parts {
            bucket: &self.staged.bucket,
            key: &self.staged.key,
            name: &self.name,
        }
    }
}

/// Where an upload goes, and what is said of it.
#[derive(Debug, Clone, Default)]
pub struct NewUpload {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Media type, headers, metadata.
    pub about: Description,
    /// Tags.
    pub tags: Tags,
}

/// How an upload ended.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What the gate said; none when it gave no answer.
    pub verdict: Option<Verdict>,
    /// The version that was written.
    pub object: ObjectId,
    /// Its ETag, without quotes.
    pub etag: String,
}

/// Takes uploads.
#[derive(Debug, Clone)]
pub struct UploadService {
    parts: UploadParts,
    places: PlaceService,
}

/// What uploads work with.
#[derive(Debug, Clone)]
pub struct UploadParts {
    /// The state.
    pub store: Store,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The object store.
    pub buckets: Arc<dyn Buckets>,
    /// Looks at them.
    pub gate: GateService,
    /// Scanners, for those that are redacted.
    pub detection: Detection,
    /// Asked before what was put aside goes.
    pub holds: HoldService,
    /// Keeps what is held.
    pub quarantine: QuarantineService,
    /// What happens when the gate gives no answer.
    pub down: WhenDown,
}

impl UploadService {
    /// Works with these parts.
    #[must_use]
    pub fn new(parts: UploadParts) -> Self {
        let (store, ledger) = (parts.store.clone(), Arc::clone(&parts.ledger));
        Self {
            places: PlaceService::new(store, ledger, Arc::clone(&parts.clock)),
            parts,
        }
    }

    /// The place that a key belongs to. Another tenant's is one that does not exist.
    async fn place(&self, scope: TenantScope, bucket: &str, key: &str) -> Result<Place, DlpError> {
        if key.is_empty() || key.len() > 1_000 || key.chars().any(char::is_control) {
            return Err(DlpError::Invalid(
                "a key has 1 to 1,000 bytes and no control characters".to_owned(),
            ));
        }
        self.places
            .list(scope)
            .await?
            .into_iter()
            .find(|place| place.bucket == bucket && key.starts_with(&place.prefix))
            .ok_or_else(|| DlpError::NotFound(format!("a place for s3://{bucket}/{key}")))
    }

    fn checked(tags: &Tags) -> Result<(), DlpError> {
        let ours = [TAG_HELD, TAG_QUARANTINE, TAG_TREATMENT, TAG_UNSCANNED];
        match tags.keys().find(|name| ours.contains(&name.as_str())) {
            Some(name) => Err(DlpError::Invalid(format!("the tag {name} is ours"))),
            None => Ok(()),
        }
    }

    /// Takes an object in one piece.
    ///
    /// # Errors
    /// [`DlpError::Forbidden`] when it is held; [`DlpError::Unanswered`] when the gate gives no answer and such
    /// uploads are refused.
    pub async fn put(
        &self,
        scope: TenantScope,
        new: &NewUpload,
        body: Bytes,
        by: &str,
    ) -> Result<Taken, DlpError> {
        let place = self.place(scope, &new.bucket, &new.key).await?;
        Self::checked(&new.tags)?;
        let parts = &self.parts;
        let looked = parts
            .gate
            .look(place.tenant, &new.key, &new.bucket, body.clone(), by)
            .await;
        let Some(answer) = self.heard(looked, &place, new, by).await? else {
            return self.write(new, body, false, true, None).await;
        };
        let verdict = answer.upload.verdict;
        match verdict {
            Verdict::Pass => self.write(new, body, false, false, Some(verdict)).await,
            Verdict::Encrypt => self.write(new, body, true, false, Some(verdict)).await,
            Verdict::Redact => match self.redacted(&place, new, body.clone()).await? {
                Ok(clean) => self.write(new, clean, false, false, Some(verdict)).await,
                Err(why) => Err(self
                    .hold_bytes(&place, new, body, &answer, &why, by)
                    .await?),
            },
            Verdict::Hold => {
                let why = words(&answer);
                Err(self
                    .hold_bytes(&place, new, body, &answer, &why, by)
                    .await?)
            }
        }
    }

    /// What the gate said; `None` when it said nothing and uploads are let through then, which is in the ledger
    /// before.
    async fn heard(
        &self,
        looked: Result<Answer, DlpError>,
        place: &Place,
        new: &NewUpload,
        by: &str,
    ) -> Result<Option<Answer>, DlpError> {
        let why = match looked {
            Ok(answer) => return Ok(Some(answer)),
            Err(DlpError::Unanswered(why)) => why,
            Err(error) => return Err(error),
        };
        let parts = &self.parts;
        let passes = parts.down == WhenDown::Pass;
        let action = if passes {
            "dlp.upload.let-through"
        } else {
            "dlp.upload.refuse"
        };
        let id = UploadId::new(parts.clock.now());
        let mut tx = parts.store.begin().await?;
        let entry = EntryDraft::new(by, action, id.to_string())
            .tenant(place.tenant)
            .details(json!({ "bucket": new.bucket, "key": new.key, "why": why }));
        parts.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        parts.ledger.nudge();
        if passes {
            Ok(None)
        } else {
            Err(DlpError::Unanswered(why))
        }
    }

    async fn write(
        &self,
        new: &NewUpload,
        body: Bytes,
        encrypted: bool,
        unscanned: bool,
        verdict: Option<Verdict>,
    ) -> Result<Taken, DlpError> {
        let about = Description {
            encrypted,
            ..new.about.clone()
        };
        let object = self
            .parts
            .buckets
            .put_as(&new.bucket, &new.key, body, &tags(new, unscanned), &about)
            .await?;
        self.taken(object, encrypted, verdict).await
    }

    /// The store is asked whether it has what it took.
    async fn taken(
        &self,
        object: ObjectId,
        encrypted: bool,
        verdict: Option<Verdict>,
    ) -> Result<Taken, DlpError> {
        let head = self.parts.buckets.head(&object).await?.ok_or_else(|| {
            DlpError::Conflict(format!("{object}: the store took it and does not have it"))
        })?;
        if encrypted && head.encryption.is_none() {
            // In the clear it must not stay; it is minutes old, and nobody was told that it is there.
            self.parts.buckets.delete(&object).await?;
            return Err(DlpError::Conflict(format!(
                "{object}: the store took the encryption and does not show it"
            )));
        }
        Ok(Taken {
            verdict,
            object,
            etag: head.etag,
        })
    }

    async fn redacted(
        &self,
        place: &Place,
        new: &NewUpload,
        body: Bytes,
    ) -> Result<Result<Bytes, String>, DlpError> {
        let scanner = self.parts.detection.scanner(place.tenant).await?;
        let name = new.key.clone();
        tokio::task::spawn_blocking(move || {
            Redactor::new(&scanner, Style::Placeholder)
                .limits(Limits::default())
                .document(&name, &body)
                .map(|clean| Bytes::from(clean.bytes))
                .map_err(|error| error.to_string())
        })
        .await
        .map_err(|error| DlpError::Internal(error.to_string()))
    }

    /// Keeps what is held in quarantine, from where a second person lets it go to its place.
    async fn hold_bytes(
        &self,
        place: &Place,
        new: &NewUpload,
        body: Bytes,
        answer: &Answer,
        why: &str,
        by: &str,
    ) -> Result<DlpError, DlpError> {
        if place.quarantine.is_empty() {
            return Ok(held(&answer.upload.id.to_string(), why, "it was not kept"));
        }
        let id = QuarantineId::new(self.parts.clock.now());
        let key = format!("{id}/{}", new.key);
        let tags = Tags::from([(TAG_QUARANTINE.to_owned(), id.to_string())]);
        let copy = self
            .parts
            .buckets
            .put_as(&place.quarantine, &key, body, &tags, &new.about)
            .await?;
        self.admit(id, place, new, copy, answer, by).await?;
        Ok(held(&answer.upload.id.to_string(), why, &id.to_string()))
    }

    async fn admit(
        &self,
        id: QuarantineId,
        place: &Place,
        new: &NewUpload,
        copy: ObjectId,
        answer: &Answer,
        by: &str,
    ) -> Result<(), DlpError> {
        let source = ObjectId::new(&new.bucket, &new.key, "");
        let reason = format!("held at the gate: {}", words(answer));
        let held = Admitted {
            id,
            place,
            source,
            tags: &new.tags,
            copy,
            sha256: answer.upload.sha256,
            reason,
            actor: by,
        };
        self.parts.quarantine.admit(held).await
    }

    /// Begins an object in parts. They are put aside in the place's quarantine bucket.
    ///
    /// # Errors
    /// [`DlpError::Conflict`] when the place has none.
    pub async fn begin(
        &self,
        scope: TenantScope,
        new: NewUpload,
        by: &str,
    ) -> Result<Multipart, DlpError> {
        let place = self.place(scope, &new.bucket, &new.key).await?;
        Self::checked(&new.tags)?;
        if place.quarantine.is_empty() {
            return Err(DlpError::Conflict(
                "an object in parts is put aside until it was looked at; the place has no quarantine bucket"
                    .to_owned(),
            ));
        }
        let parts = &self.parts;
        let now = parts.clock.now();
        let id = UploadId::new(now);
        let staged = ObjectId::new(&place.quarantine, &format!("{id}/{}", new.key), "");
        let mark = Tags::from([(TAG_QUARANTINE.to_owned(), id.to_string())]);
        let name = parts
            .buckets
            .begin_parts(&staged.bucket, &staged.key, &mark, &new.about)
            .await?;
        let one = Multipart {
            id,
            place: place.id,
            tenant: place.tenant,
            bucket: new.bucket,
            key: new.key,
            staged,
            name,
            about: new.about,
            tags: new.tags,
            begun_by: by.to_owned(),
            begun_at: now,
        };
        let mut tx = parts.store.begin().await?;
        rows::put(&mut tx, &one).await?;
        tx.commit().await?;
        Ok(one)
    }

    async fn find(
        &self,
        scope: TenantScope,
        id: &str,
        bucket: &str,
        key: &str,
    ) -> Result<Multipart, DlpError> {
        let missing = || DlpError::NotFound(format!("the upload {id}"));
        let id = id.parse().map_err(|_| missing())?;
        rows::find(&self.parts.store, scope, id)
            .await?
            .filter(|one| one.bucket == bucket && one.key == key)
            .ok_or_else(missing)
    }

    /// Takes a part; gives its ETag.
    ///
    /// # Errors
    /// [`DlpError::NotFound`], [`DlpError::Invalid`].
    pub async fn part(
        &self,
        scope: TenantScope,
        (id, bucket, key): (&str, &str, &str),
        number: i32,
        body: Bytes,
    ) -> Result<String, DlpError> {
        let one = self.find(scope, id, bucket, key).await?;
        if !(1..=MOST_PARTS).contains(&number) {
            return Err(DlpError::Invalid(format!(
                "parts have the numbers 1 to {MOST_PARTS}"
            )));
        }
        let buckets = &self.parts.buckets;
        Ok(buckets.put_part(&one.parts(), number, body).await?)
    }

    /// Forgets an object in parts.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn abort(
        &self,
        scope: TenantScope,
        (id, bucket, key): (&str, &str, &str),
    ) -> Result<(), DlpError> {
        let one = self.find(scope, id, bucket, key).await?;
        self.forget(&one).await
    }

    async fn forget(&self, one: &Multipart) -> Result<(), DlpError> {
        if one.staged.version.is_empty() {
            match self.parts.buckets.drop_parts(&one.parts()).await {
                Ok(()) | Err(super::bucket::BucketError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            self.remove_staged(one, "system:upload").await?;
        }
        Ok(rows::delete(&self.parts.store, one.id).await?)
    }

    /// Forgets what was begun long ago and never finished; how many.
    ///
    /// # Errors
    /// From the state; what the store refuses is tried again.
    pub async fn sweep(&self) -> Result<u64, DlpError> {
        let before = self.parts.clock.now().plus(-PATIENCE);
        let mut gone = 0;
        for one in rows::begun_before(&self.parts.store, before).await? {
            match self.forget(&one).await {
                Ok(()) => gone += 1,
                Err(DlpError::Store(error)) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "parts of an upload could not be forgotten"),
            }
        }
        Ok(gone)
    }

    /// Makes one object of the parts, looks at it, and lets it through or holds it.
    ///
    /// # Errors
    /// As [`Self::put`]. It can be asked for again after an error.
    pub async fn finish(
        &self,
        scope: TenantScope,
        (id, bucket, key): (&str, &str, &str),
        list: &[(i32, String)],
        by: &str,
    ) -> Result<Taken, DlpError> {
        let mut one = self.find(scope, id, bucket, key).await?;
        let parts = &self.parts;
        let place = self.places.find(scope, one.place).await?;
        if one.staged.version.is_empty() {
            one.staged = parts.buckets.finish_parts(&one.parts(), list).await?;
            let mut tx = parts.store.begin().await?;
            rows::put(&mut tx, &one).await?;
            tx.commit().await?;
        }
        let (size, sha256) = self.measure(&one.staged).await?;
        let new = NewUpload {
            bucket: one.bucket.clone(),
            key: one.key.clone(),
            about: one.about.clone(),
            tags: one.tags.clone(),
        };
        if size > MOST_OBJECT {
            self.forget(&one).await?;
            return Err(DlpError::Invalid(format!(
                "the object has {size} bytes; the gate lets through up to {MOST_OBJECT}"
            )));
        }
        let given = Given {
            tenant: one.tenant,
            name: &one.key,
            bucket: &one.bucket,
            by,
            at: parts.clock.now(),
            size,
            sha256,
        };
        let looked = parts
            .gate
            .look_at(&given, &parts.buckets, &one.staged)
            .await;
        let answer = self.heard(looked, &place, &new, by).await?;
        let verdict = answer.as_ref().map(|answer| answer.upload.verdict);
        let taken = match (verdict, &answer) {
            (Some(Verdict::Redact), Some(answer)) => {
                let clean = if size <= MOST_BYTES as u64 {
                    let body = self.bytes(&one.staged).await?;
                    self.redacted(&place, &new, body).await?
                } else {
                    Err("it is too large to be redacted".to_owned())
                };
                match clean {
                    Ok(clean) => self.write(&new, clean, false, false, verdict).await?,
                    Err(why) => {
                        return Err(self
                            .hold_staged(&place, &new, &one, answer, &why, by)
                            .await?);
                    }
                }
            }
            (Some(Verdict::Hold), Some(answer)) => {
                let why = words(answer);
                return Err(self
                    .hold_staged(&place, &new, &one, answer, &why, by)
                    .await?);
            }
            _ => {
                let tags = tags(&new, verdict.is_none());
                let (bucket, key) = (&new.bucket, &new.key);
                let encrypted = verdict == Some(Verdict::Encrypt);
                let object = if encrypted {
                    parts
                        .buckets
                        .copy_encrypted(&one.staged, bucket, key, &tags)
                        .await?
                } else {
                    parts.buckets.copy(&one.staged, bucket, key, &tags).await?
                };
                let (_, written) = self.measure(&object).await?;
                if written != sha256 {
                    return Err(DlpError::Conflict(format!("{object} has other bytes")));
                }
                self.taken(object, encrypted, verdict).await?
            }
        };
        self.remove_staged(&one, by).await?;
        rows::delete(&parts.store, one.id).await?;
        Ok(taken)
    }

    async fn hold_staged(
        &self,
        place: &Place,
        new: &NewUpload,
        one: &Multipart,
        answer: &Answer,
        why: &str,
        by: &str,
    ) -> Result<DlpError, DlpError> {
        let id = QuarantineId::new(self.parts.clock.now());
        self.admit(id, place, new, one.staged.clone(), answer, by)
            .await?;
        rows::delete(&self.parts.store, one.id).await?;
        Ok(held(&answer.upload.id.to_string(), why, &id.to_string()))
    }

    async fn remove_staged(&self, one: &Multipart, by: &str) -> Result<(), DlpError> {
        let parts = &self.parts;
        let Some(head) = parts.buckets.head(&one.staged).await? else {
            return Ok(());
        };
        let why = json!({ "upload": one.id, "why": "it was put aside" });
        let deleted = parts
            .holds
            .delete_unless_held(one.tenant, &one.staged, &head.etag, why, by)
            .await?;
        if let Deleted::Kept(held) = deleted {
            // The object is where it belongs; this copy stays with its mark, held for whatever reason.
            tracing::warn!(?held, object = %one.staged, "what was put aside stays");
        }
        Ok(())
    }

    async fn measure(&self, id: &ObjectId) -> Result<(u64, Digest), DlpError> {
        let mut chunks = self.parts.buckets.get(id).await?;
        let (mut size, mut hasher) = (0, Sha256::new());
        while let Some(piece) = chunks.try_next().await? {
            size += piece.len() as u64;
            hasher.update(&piece);
        }
        Ok((size, Digest(hasher.finalize().into())))
    }

    async fn bytes(&self, id: &ObjectId) -> Result<Bytes, DlpError> {
        let pieces: Vec<Bytes> = self.parts.buckets.get(id).await?.try_collect().await?;
        Ok(pieces.concat().into())
    }
}

fn tags(new: &NewUpload, unscanned: bool) -> Tags {
    let mut tags = new.tags.clone();
    if unscanned {
        tags.insert(TAG_UNSCANNED.to_owned(), "yes".to_owned());
    }
    tags
}

fn words(answer: &Answer) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in &answer.findings {
        *counts.entry(finding.detector.as_ref()).or_default() += 1;
    }
    if counts.is_empty() {
        return answer.upload.coverage.clone();
    }
    let all: Vec<_> = counts
        .iter()
        .take(5)
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    all.join(", ")
}

fn held(upload: &str, why: &str, kept: &str) -> DlpError {
    DlpError::Forbidden(format!(
        "the gate holds the upload {upload}: {why} ({kept})"
    ))
}
