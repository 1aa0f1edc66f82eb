//! Objects in parts: they are put aside in the place's quarantine bucket, made one object there, and looked at as a
//! whole before it goes to its place.

use bytes::Bytes;
use futures::TryStreamExt as _;
use sealwright_core::clock::DAY;
use sealwright_core::{Digest, TenantScope, UnixMicros};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{NewUpload, Taken, UploadService, held, tags, words};
use crate::model::finding::{Place, PlaceId};
use crate::model::object::ObjectId;
use crate::model::quarantine::{QuarantineId, TAG_QUARANTINE};
use crate::service::DlpError;
use crate::service::bucket::{BucketError, Description, Parts, Tags};
use crate::service::gate::{Answer, Given, MOST_BYTES, UploadId, Verdict};
use crate::service::hold::Deleted;
use crate::store::multipart as rows;

/// Parts of one object.
pub const MOST_PARTS: i32 = 10_000;
/// The largest object: what was put aside is copied in one call.
const MOST_OBJECT: u64 = 5_000_000_000;
/// How long parts wait for their end.
const PATIENCE: i64 = 7 * DAY;

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
impl UploadService {
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
                Ok(()) | Err(BucketError::Missing(_)) => {}
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
                parts.holds.free_copied(one.tenant, &object).await?;
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
