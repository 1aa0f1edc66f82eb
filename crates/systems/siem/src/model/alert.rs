//! Alerts.

use sealwright_core::{Digest, Id, IdKind, TenantId, UnixMicros, canonical_json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{IncidentId, Severity};

/// The kind of [`AlertId`].
#[derive(Debug)]
pub enum AlertIdKind {}

impl IdKind for AlertIdKind {
    const PREFIX: &'static str = "alr";
}

/// The id of an alert.
pub type AlertId = Id<AlertIdKind>;

super::states! {
    /// Where an alert stands.
    AlertState {
        /// Nobody has answered yet.
        Open = "open",
        /// Somebody works on it.
        Acknowledged = "acknowledged",
        /// It was decided.
        Closed = "closed",
        /// It was closed and is worked on again.
        Reopened = "reopened",
    }
}

impl AlertState {
    /// Whether an alert may go from here to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Open | Self::Reopened, Self::Acknowledged)
                | (
                    Self::Open | Self::Reopened | Self::Acknowledged,
                    Self::Closed
                )
                | (Self::Closed, Self::Reopened)
        )
    }
}

super::states! {
    /// What it was.
    Verdict {
        /// What the rule says.
        TruePositive = "true-positive",
        /// Not what the rule says.
        FalsePositive = "false-positive",
        /// What the rule says, and allowed.
        Benign = "benign",
    }
}

/// Somebody or something that an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Entity {
    /// `user`, `address`, `host`, `key`, `session`.
    pub kind: String,
    /// Its name.
    pub value: String,
}

/// The rule that fired, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleRef {
    /// The id.
    pub id: String,
    /// The title.
    pub title: String,
    /// `rule`, or the type of the correlation.
    pub kind: String,
    /// The author, which the rules' licence asks to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The licence, where the rule names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What it looks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tags: Vec<String>,
    /// What else may look like it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub falsepositives: Vec<String>,
    /// Criteria that it is evidence for, such as `CC6.1`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub evidence: Vec<String>,
    /// SHA-256 of the rule's file.
    #[schema(value_type = String)]
    pub digest: Digest,
}

/// One thing that held: what the rule asks, and what the event had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matched {
    /// What was asked, e.g. `event.outcome`.
    pub what: String,
    /// The values that matched, or that were asked for.
    pub wanted: Vec<String>,
    /// What the event had.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub found: Vec<String>,
}

/// The window of a correlation when it fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// Length in microseconds; both ends belong to it.
    pub timespan: i64,
    /// The first event that counts, microseconds since 1970.
    pub start: i64,
    /// When it was fulfilled, microseconds since 1970.
    pub end: i64,
    /// What was asked: `event_count gte 5`.
    pub condition: String,
    /// What was measured.
    pub measure: f64,
    /// Fields and values of the group.
    pub group: Vec<(String, String)>,
    /// Titles of the rules whose matches were correlated.
    pub rules: Vec<String>,
}

/// What an alert says; it does not change after the alert was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertBody {
    /// The version of this form.
    pub version: u32,
    /// The rule.
    pub rule: RuleRef,
    /// What it is about.
    pub entities: Vec<Entity>,
    /// What held for the last event.
    pub matched: Vec<Matched>,
    /// The window, of a correlation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// SHA-256 of each event that it was raised with, by offset in the log.
    #[schema(value_type = Vec<(u64, String)>)]
    pub events: Vec<(u64, Digest)>,
    /// Of a correlation, how many events counted; only the last are listed where there are many.
    pub events_total: u64,
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The id.
    pub id: AlertId,
    /// Whose.
    pub tenant: TenantId,
    /// Matches with the same key are counted in one alert as long as it is not closed.
    pub dedup_key: String,
    /// The highest severity of all its matches.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// What it was, once it is closed.
    pub verdict: Option<Verdict>,
    /// Who works on it.
    pub owner: Option<String>,
    /// How often it matched.
    pub matches: u64,
    /// When its first event happened.
    pub first_at: UnixMicros,
    /// When its last event happened.
    pub last_at: UnixMicros,
    /// When it was raised.
    pub created_at: UnixMicros,
    /// When it last changed.
    pub updated_at: UnixMicros,
    /// When somebody first answered.
    pub acknowledged_at: Option<UnixMicros>,
    /// When it was closed.
    pub closed_at: Option<UnixMicros>,
    /// Until when it shall be answered.
    pub due_at: UnixMicros,
    /// When it was escalated, if nobody answered in time.
    pub escalated_at: Option<UnixMicros>,
    /// The incident that it belongs to.
    pub incident: Option<IncidentId>,
    /// Grows with each change; the ETag.
    pub revision: i64,
    /// What it says.
    pub body: AlertBody,
    /// SHA-256 of what is sealed: see [`Alert::sealed`].
    pub digest: Digest,
    /// The ledger entry of its raising.
    pub ledger_entry: Option<String>,
}

impl Alert {
    /// What the ledger's entry is over: id, tenant, key, time and body as canonical JSON.
    pub fn sealed(
        id: AlertId,
        tenant: TenantId,
        dedup_key: &str,
        created_at: UnixMicros,
        body: &AlertBody,
    ) -> Vec<u8> {
        canonical_json(&serde_json::json!({
            "version": 1,
            "id": id.to_string(),
            "tenant": tenant.to_string(),
            "key": dedup_key,
            "raised_at": created_at.to_string(),
            "body": serde_json::to_value(body).unwrap_or_default(),
        }))
    }

    /// The sealed bytes of this alert.
    pub fn sealed_bytes(&self) -> Vec<u8> {
        Self::sealed(
            self.id,
            self.tenant,
            &self.dedup_key,
            self.created_at,
            &self.body,
        )
    }
}

/// An event of an alert, with what people look at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertEvent {
    /// Its place in the log.
    pub offset: u64,
    /// When it happened.
    #[schema(value_type = i64)]
    pub time: UnixMicros,
    /// Where it came from.
    pub source: String,
    /// Its id there.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// SHA-256 of the event.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Field to value: user, address, host, category, action, outcome, where it has them.
    pub summary: std::collections::BTreeMap<String, String>,
}

/// Something that happened to an alert, an incident or a suppression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// 1, 2, 3 …
    pub seq: i64,
    /// When.
    #[schema(value_type = String)]
    #[serde(serialize_with = "rfc3339")]
    pub at: UnixMicros,
    /// Who.
    pub actor: String,
    /// What: `raised`, `acknowledged`, `note` …
    pub action: String,
    /// Words for people.
    pub detail: String,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn rfc3339<S: serde::Serializer>(at: &UnixMicros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
