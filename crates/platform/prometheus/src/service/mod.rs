//! The use cases of people.

mod input;
mod sources;

use std::fmt;
use std::sync::Arc;

use sealwright_access::{Action, Actor, Audit, AuditAction, Principal, TenantDirectory};
use sealwright_core::clock::DAY;
use sealwright_core::{Clock, Cursor, Page, UnixMicros};
use sealwright_egress::Egress;
use sealwright_secret::{KeyRing, SecretError};
use sealwright_store::{Store, Tx};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Serialize;

use crate::client::{Header, Limits};
use crate::error::{PrometheusError, line};
use crate::model::{CredentialKind, Source, SourceId};
use crate::store;

pub use input::{Given, NewCredential, NewSource, SourceChange};

type Result<T> = std::result::Result<T, PrometheusError>;

/// How long what became of windows is kept.
pub(crate) const HISTORY: i64 = 90 * DAY;

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct PrometheusService {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    ring: KeyRing,
    pub(crate) egress: Egress,
    pub(crate) directory: TenantDirectory,
    pub(crate) limits: Limits,
}

impl fmt::Debug for PrometheusService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusService")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What the service is made of.
#[derive(Debug)]
pub struct PrometheusParts {
    /// The state; this crate's migrations are applied.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where changes are recorded.
    pub audit: Arc<dyn Audit>,
    /// What seals credentials.
    pub ring: KeyRing,
    /// The way out.
    pub egress: Egress,
    /// The tenants.
    pub directory: TenantDirectory,
    /// Bounds on answers.
    pub limits: Limits,
}

impl PrometheusService {
    /// A service of `parts`.
    pub fn new(parts: PrometheusParts) -> Self {
        Self {
            store: parts.store,
            clock: parts.clock,
            audit: parts.audit,
            ring: parts.ring,
            egress: parts.egress,
            directory: parts.directory,
            limits: parts.limits,
        }
    }

    /// The present moment.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// The tenants.
    pub const fn directory(&self) -> &TenantDirectory {
        &self.directory
    }

    /// Sources belong to the installation: one of them may count for every tenant, and what it reaches is reached
    /// from the inside of the operator's network.
    fn allow(&self, by: &Principal, action: Action) -> Result<()> {
        by.require(action)?;
        Ok(by.require_all_tenants()?)
    }

    async fn record<T: Serialize>(
        &self,
        tx: &mut Tx,
        by: &Principal,
        action: &'static str,
        subject: String,
        (before, after): (Option<&T>, Option<&T>),
    ) -> Result<()> {
        let state = |value: &T| serde_json::to_value(value).unwrap_or_default();
        let action = AuditAction {
            at: self.clock.now(),
            actor: Actor::from(by),
            action,
            tenant: None,
            subject,
            before: before.map(state),
            after: after.map(state),
        };
        Ok(self.audit.record(tx, action).await?)
    }

    fn seal(&self, id: SourceId, secret: &[u8]) -> Result<String> {
        Ok(self.ring.seal(&context(id), secret)?)
    }

    fn unseal(&self, source: &Source) -> std::result::Result<SecretSlice<u8>, SecretError> {
        self.ring.open(&context(source.id), &source.sealed)
    }

    /// What a source's server is shown.
    pub(crate) fn header(
        &self,
        source: &Source,
    ) -> std::result::Result<Option<Header>, SecretError> {
        if source.credential == CredentialKind::None {
            return Ok(None);
        }
        let secret = self.unseal(source)?;
        let text = std::str::from_utf8(secret.expose_secret()).map_err(|_| SecretError::Broken)?;
        Ok(Header::new(source.credential, text))
    }

    /// Forgets what became of windows long ago.
    ///
    /// # Errors
    /// What the store said.
    pub async fn prune(&self) -> Result<u64> {
        Ok(store::prune_windows(&self.store, self.now().plus(-HISTORY)).await?)
    }
}

/// Where a source's credential is kept; part of its seal.
fn context(id: SourceId) -> String {
    format!("prometheus_source {id} sealed")
}

fn not_found(kind: &'static str, id: &str) -> PrometheusError {
    PrometheusError::NotFound {
        kind,
        id: line(id, 80),
    }
}

/// Rows asked for, and the key that a page starts after.
fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<(usize, String)> {
    let rows = limit.unwrap_or(50).clamp(1, 500) as usize;
    let before = match cursor {
        None => String::new(),
        Some(text) => Cursor::decode(text).ok_or_else(bad_cursor)?.0,
    };
    Ok((rows, before))
}

fn bad_cursor() -> PrometheusError {
    PrometheusError::Invalid {
        field: "cursor",
        detail: "is not a cursor of this list; start without one".to_owned(),
    }
}

/// Cuts a list that was read with one row too many, and makes the cursor of the next page.
fn cut<T>(mut items: Vec<T>, rows: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > rows;
    items.truncate(rows);
    let next = more
        .then(|| items.last())
        .flatten()
        .map(|item| Cursor(key(item)).encode());
    Page { items, next }
}
