//! Deletion plans and requests for erasure.

use sealwright_core::{Id, IdKind, TenantId, UnixMicros};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::finding::ids;
use super::object::ObjectId;
use super::policy::by_name;

ids! {
    PlanKind, PlanId, "pln", "a deletion plan";
    ErasureKind, ErasureId, "ers", "a request for erasure";
    ExceptionKind, ExceptionId, "exc", "an exception";
    RestoreKind, RestoreId, "rst", "a verified restore";
}

/// Where a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlanState {
    /// It can be read; it deletes nothing.
    Draft,
    /// A second person approved it.
    Approved,
    /// It was run.
    Applied,
}

impl PlanState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Approved, Self::Applied];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Applied => "applied",
        }
    }
}

by_name! { PlanState, "state of a plan"; }

/// What would go at a moment, and why the rest is still here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// Whose objects.
    pub tenant: TenantId,
    /// The request that it is for; none for plans of time.
    pub erasure: Option<ErasureId>,
    /// The moment that it was made for.
    pub as_of: UnixMicros,
    /// Where it is.
    pub state: PlanState,
    /// Versions that were looked at.
    pub seen: i64,
    /// Versions with no category, which stay and are not listed.
    pub uncategorised: i64,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: UnixMicros,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When it was run.
    pub applied_at: Option<UnixMicros>,
}

/// A line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// The version.
    pub id: ObjectId,
    /// Its ETag when the plan was made: another object at its place is not meant.
    pub etag: String,
    /// Bytes.
    pub size: i64,
    /// It is a delete marker, which holds no bytes.
    pub marker: bool,
    /// Its category; empty for none.
    pub category: String,
    /// keep, archive, notify, wait, approve or delete.
    pub verdict: String,
    /// When it may go at the earliest.
    pub due: Option<UnixMicros>,
    /// Why.
    pub why: Vec<String>,
    /// What came of it: empty before the plan ran, then `erased`, `marker-removed`, `absent`, `told`, `kept`
    /// or `changed`.
    pub result: String,
    /// Why it was kept.
    pub result_why: String,
    /// When.
    pub done_at: Option<UnixMicros>,
}

/// A request to erase a person's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// Whose customer the person is.
    pub tenant: TenantId,
    /// The person, by the pseudonymous id that tags carry.
    pub person: String,
    /// Why.
    pub reason: String,
    /// Who entered it.
    pub asked_by: String,
    /// When it came.
    pub asked_at: UnixMicros,
    /// `open` or `closed`.
    pub state: String,
    /// The certificate, as canonical JSON; empty before it is closed.
    pub certificate: String,
    /// The ledger's entry that has the certificate's digest.
    pub ledger_entry: String,
    /// When it was closed.
    pub closed_at: Option<UnixMicros>,
}
