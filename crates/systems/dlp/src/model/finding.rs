//! What was found in objects, scans, and the coverage ledger.

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use sealwright_scan::{Class, Severity};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::object::ObjectId;
use super::policy::{PolicyAction, PolicyMode, by_name};

macro_rules! ids {
    ($($kind:ident, $id:ident, $prefix:literal, $what:literal;)*) => {$(
        #[doc = concat!("The kind of [`", stringify!($id), "`].")]
        #[derive(Debug)]
        pub enum $kind {}
        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        #[doc = concat!("The id of ", $what, ".")]
        pub type $id = Id<$kind>;
    )*};
}
pub(crate) use ids;

ids! {
    FindingKind, FindingId, "fnd", "a finding";
    ScanKind, ScanId, "scn", "a scan";
    PlaceKind, PlaceId, "plc", "a place";
}

/// Keys of a bucket that belong to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: PlaceId,
    /// Whose they are.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: String,
    /// Keys that begin so.
    pub prefix: String,
    /// Where quarantined objects go; nowhere when empty.
    pub quarantine: String,
    /// Whether the weekly scan covers it.
    pub scheduled: bool,
    /// When it was registered.
    pub created_at: UnixMicros,
    /// By whom.
    pub created_by: String,
}

/// Where a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScanState {
    /// It goes on, or goes on at the next start.
    Running,
    /// The whole place was listed, and every object has its outcome.
    Done,
    /// It could not go on; it can be taken up where it stopped.
    Stopped,
}

impl ScanState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Stopped];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

by_name! { ScanState, "state of a scan"; }

/// How many versions ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Versions and delete markers that the listing gave.
    pub listed: i64,
    /// Looked at as a whole.
    pub scanned: i64,
    /// Looked at in part.
    pub partly: i64,
    /// Not looked at.
    pub unscannable: i64,
    /// Looked at by an earlier scan with the same detectors, and the same since.
    pub unchanged: i64,
    /// Delete markers, which have no bytes.
    pub markers: i64,
    /// Findings.
    pub findings: i64,
    /// Bytes that were read.
    pub bytes: i64,
}

impl Counts {
    /// Whether every version of the listing has its outcome.
    #[must_use]
    pub const fn reconciles(&self) -> bool {
        self.listed == self.scanned + self.partly + self.unscannable + self.unchanged + self.markers
    }
}

/// A scan of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Its id.
    pub id: ScanId,
    /// Whose place.
    pub tenant: TenantId,
    /// The place.
    pub place: PlaceId,
    /// Which detectors looked: a digest over all of them and the threshold.
    pub detector_set: String,
    /// Where it is.
    pub state: ScanState,
    /// Where the listing goes on, as JSON; empty at the beginning.
    pub cursor: String,
    /// What it has done.
    pub counts: Counts,
    /// When it began.
    pub started_at: UnixMicros,
    /// Who began it.
    pub started_by: String,
    /// When it ended.
    pub ended_at: Option<UnixMicros>,
    /// Why it stopped.
    pub problem: String,
}

/// How the look at a version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every byte of content was looked at.
    Scanned,
    /// Some of it.
    Partly,
    /// Nothing.
    Unscannable,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Scanned, Self::Partly, Self::Unscannable];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scanned => "scanned",
            Self::Partly => "partly",
            Self::Unscannable => "unscannable",
        }
    }
}

by_name! { Outcome, "outcome"; }

/// A line of the coverage ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The version.
    pub id: ObjectId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The place that it was found in.
    pub place: PlaceId,
    /// Its ETag.
    pub etag: String,
    /// Bytes.
    pub size: i64,
    /// When it was written.
    pub written: UnixMicros,
    /// Which detectors looked.
    pub detector_set: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was not looked at, and why.
    pub reason: String,
    /// Findings in it.
    pub findings: i64,
    /// The scan that looked.
    pub scan: ScanId,
    /// When.
    pub scanned_at: UnixMicros,
}

/// What people make of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingState {
    /// Nobody has decided.
    Open,
    /// It is right and accepted until a day.
    Accepted,
    /// It is no such value.
    FalsePositive,
    /// The value is gone or worthless.
    Resolved,
}

impl FindingState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Open,
        Self::Accepted,
        Self::FalsePositive,
        Self::Resolved,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::FalsePositive => "false-positive",
            Self::Resolved => "resolved",
        }
    }
}

by_name! { FindingState, "state of a finding"; }

/// A finding as it is kept: where, what and how sure; never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFinding {
    /// Its id.
    pub id: FindingId,
    /// Whose object.
    pub tenant: TenantId,
    /// The version that holds it.
    pub object: ObjectId,
    /// The document inside; empty for the object itself.
    pub inner: String,
    /// Line of the first byte, from 1.
    pub line: i64,
    /// Column in bytes, from 1.
    pub column: i64,
    /// First byte.
    pub start: i64,
    /// Byte after the last one.
    pub end: i64,
    /// The detector.
    pub detector: String,
    /// What it finds.
    pub title: String,
    /// The class.
    pub class: Class,
    /// The severity.
    pub severity: Severity,
    /// How sure, in per cent.
    pub confidence: i64,
    /// Why it is that sure.
    pub reasons: Vec<String>,
    /// Keyed digest of detector and value, under the tenant's key.
    pub fingerprint: String,
    /// What the policy says.
    pub action: PolicyAction,
    /// Whether it acts.
    pub mode: PolicyMode,
    /// What people make of it.
    pub state: FindingState,
    /// Who looks after it.
    pub owner: String,
    /// What they say.
    pub note: String,
    /// Until when it is accepted.
    pub until: Option<UnixMicros>,
    /// When it was found first.
    pub first_seen: UnixMicros,
    /// When it was found last.
    pub last_seen: UnixMicros,
    /// Who changed its state last.
    pub changed_by: String,
}
