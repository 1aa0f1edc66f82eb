//! Uploads through the gate: what is let through is written, what is held is kept in quarantine, and parts are put
//! aside until all of them were looked at as one object.

mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sealwright_core::{Clock, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_scan::document::Limits;
use sealwright_scan::redact::{Redactor, Style};
use sealwright_store::Store;
use serde_json::json;

use super::DlpError;
use super::bucket::{Buckets, Description, Tags};
use super::detect::Detection;
use super::gate::{Answer, GateService, UploadId, Verdict};
use super::hold::HoldService;
use super::place::PlaceService;
use super::quarantine::{Admitted, QuarantineService};
use crate::model::finding::Place;
use crate::model::object::{ObjectId, TAG_HELD, address};
use crate::model::policy::by_name;
use crate::model::quarantine::{QuarantineId, TAG_QUARANTINE};
use crate::model::treatment::TAG_TREATMENT;

pub use parts::{MOST_PARTS, Multipart};

/// The tag of what was let through although the gate gave no answer.
pub const TAG_UNSCANNED: &str = "sealwright-unscanned";

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
            .ok_or_else(|| DlpError::NotFound(format!("a place for {}", address(bucket, key))))
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
