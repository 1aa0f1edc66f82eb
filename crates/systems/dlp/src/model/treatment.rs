//! Treatments: an object is written anew, redacted or encrypted, and what it was is dealt with after that.

use sealwright_core::{TenantId, UnixMicros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::finding::{PlaceId, ids};
use super::object::ObjectId;
use super::policy::{Original, PolicyAction, by_name};
use sealwright_core::{Id, IdKind};

ids! {
    TreatmentKind, TreatmentId, "trt", "a treatment";
}

/// How far a treatment is. Each step says what is true, not what is being done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum TreatmentStep {
    /// It is wanted; nothing was done.
    Wanted,
    /// The new version is there.
    Written,
    /// It was read back: its bytes are the right ones, and it scans clean or is encrypted.
    Verified,
    /// The original was dealt with as the policy says.
    Done,
    /// It cannot be written anew; people have to decide.
    Refused,
    /// Nothing was to be written any more: the object was written over, or is no longer what readers get.
    Superseded,
}

impl TreatmentStep {
    /// Every step.
    pub const ALL: [Self; 6] = [
        Self::Wanted,
        Self::Written,
        Self::Verified,
        Self::Done,
        Self::Refused,
        Self::Superseded,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Written => "written",
            Self::Verified => "verified",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Superseded => "superseded",
        }
    }

    /// Whether the program has something to do.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Wanted | Self::Written | Self::Verified)
    }
}

by_name! { TreatmentStep, "step of a treatment"; }

/// An object that is written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Treatment {
    /// Its id.
    pub id: TreatmentId,
    /// Whose object.
    pub tenant: TenantId,
    /// The place that it belongs to.
    pub place: PlaceId,
    /// The version that is treated.
    pub source: ObjectId,
    /// Its ETag at that time.
    pub etag: String,
    /// [`PolicyAction::Redact`] or [`PolicyAction::Encrypt`].
    pub action: PolicyAction,
    /// What becomes of the source.
    pub original: Original,
    /// The version that took its place; empty before.
    pub new_version: String,
    /// SHA-256 of the new version's bytes; empty before.
    pub sha256: String,
    /// How many values of which detector went.
    pub replaced: BTreeMap<String, u64>,
    /// How far it is.
    pub step: TreatmentStep,
    /// Why.
    pub reason: String,
    /// What it waits for, what went wrong, or how it ended.
    pub problem: String,
    /// Who began it.
    pub begun_by: String,
    /// When.
    pub begun_at: UnixMicros,
    /// When the step was reached.
    pub changed_at: UnixMicros,
}

impl Treatment {
    /// The version that took the source's place.
    #[must_use]
    pub fn written(&self) -> ObjectId {
        ObjectId::new(&self.source.bucket, &self.source.key, &self.new_version)
    }
}

/// The tag that marks what a treatment wrote, so that a crash does not write it twice.
pub const TAG_TREATMENT: &str = "sealwright-treatment";
