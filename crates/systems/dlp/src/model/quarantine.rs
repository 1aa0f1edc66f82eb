//! Quarantine: an object is taken away step by step, so that a readable copy is there at each.

use sealwright_core::{TenantId, UnixMicros};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::finding::ids;
use super::object::ObjectId;
use super::policy::by_name;
use sealwright_core::{Id, IdKind};

ids! {
    QuarantineKind, QuarantineId, "qua", "a quarantine";
}

/// How far a quarantine is. Each step says what is true, not what is being done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum QuarantineStep {
    /// It is wanted; nothing was done.
    Wanted,
    /// There is a copy in the quarantine bucket.
    Copied,
    /// The copy has the same SHA-256 as the source.
    Verified,
    /// The copy carries the mark of the quarantine and every hold of the source.
    Restricted,
    /// The source version is gone: the object is in quarantine.
    Quarantined,
    /// Somebody asked for the release.
    ReleaseAsked,
    /// Somebody else released it; nothing was done.
    Releasing,
    /// There is a copy at the old place.
    CopiedBack,
    /// That copy has the same SHA-256, and every hold.
    VerifiedBack,
    /// The quarantined copy is gone: the object is back.
    Released,
}

impl QuarantineStep {
    /// Every step.
    pub const ALL: [Self; 10] = [
        Self::Wanted,
        Self::Copied,
        Self::Verified,
        Self::Restricted,
        Self::Quarantined,
        Self::ReleaseAsked,
        Self::Releasing,
        Self::CopiedBack,
        Self::VerifiedBack,
        Self::Released,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Copied => "copied",
            Self::Verified => "verified",
            Self::Restricted => "restricted",
            Self::Quarantined => "quarantined",
            Self::ReleaseAsked => "release-asked",
            Self::Releasing => "releasing",
            Self::CopiedBack => "copied-back",
            Self::VerifiedBack => "verified-back",
            Self::Released => "released",
        }
    }

    /// Whether the program has something to do, and need not wait for people.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        !matches!(
            self,
            Self::Quarantined | Self::ReleaseAsked | Self::Released
        )
    }
}

by_name! { QuarantineStep, "step of a quarantine"; }

/// An object in quarantine, or on its way there or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Its id.
    pub id: QuarantineId,
    /// Whose object.
    pub tenant: TenantId,
    /// The version that was taken.
    pub source: ObjectId,
    /// Its ETag at that time.
    pub etag: String,
    /// Its tags at that time.
    pub tags: std::collections::BTreeMap<String, String>,
    /// The copy; its version is empty before there is one.
    pub copy: ObjectId,
    /// The version at the old place after a release; empty before.
    pub back_version: String,
    /// SHA-256 of the bytes; empty before it was verified.
    pub sha256: String,
    /// How far it is.
    pub step: QuarantineStep,
    /// Why it was taken.
    pub reason: String,
    /// What it waits for, or what went wrong.
    pub problem: String,
    /// Who took it.
    pub begun_by: String,
    /// When.
    pub begun_at: UnixMicros,
    /// Who asked for the release.
    pub release_asked_by: Option<String>,
    /// Who released it.
    pub released_by: Option<String>,
    /// When the step was reached.
    pub changed_at: UnixMicros,
}

/// The tag that marks a quarantined copy.
pub const TAG_QUARANTINE: &str = "sealwright-quarantine";
