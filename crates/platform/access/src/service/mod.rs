//! The use cases. One file per noun.

mod keys;
mod links;
mod passkeys;
mod policies;
mod sessions;
mod tenants;
mod throttle;
mod users;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sealwright_core::clock::{DAY, HOUR, MINUTE};
use sealwright_core::{Clock, Digest, TenantId, UnixMicros};
use sealwright_store::{Store, StoreError, Tx, as_system};
use serde::Serialize;
use serde_json::Value;

use crate::audit::{Actor, Audit, AuditAction};
use crate::directory::TenantDirectory;
use crate::error::AccessError;
use crate::model::KeyId;
use crate::policy::Policies;
use crate::principal::Principal;
use crate::relying_party::RelyingParty;

pub use keys::CreatedKey;
pub use sessions::{SignIn, SignedIn};

pub(crate) type Result<T> = std::result::Result<T, AccessError>;

/// Lengths of time and limits, in microseconds and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPolicy {
    /// A session ends after this time without a request.
    pub session_idle: i64,
    /// A session ends after this time in any case.
    pub session_absolute: i64,
    /// A one-time link works for this time.
    pub link_lifetime: i64,
    /// Failed sign-ins to one account within [`Self::throttle_window`] before it is blocked for a
    /// minute; each further failure doubles the block, up to the window.
    pub account_failures: i64,
    /// The same for one address.
    pub address_failures: i64,
    /// After this time without a failure the count starts anew.
    pub throttle_window: i64,
    /// Whether browsers reach this server over TLS only: `Secure` cookies with the `__Host-` prefix.
    pub secure_cookies: bool,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self {
            session_idle: 8 * HOUR,
            session_absolute: 7 * DAY,
            link_lifetime: DAY,
            account_failures: 5,
            address_failures: 50,
            throttle_window: 15 * MINUTE,
            secure_cookies: false,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 500; 50 when absent.
    pub limit: Option<u32>,
}

impl ListFilter {
    pub(crate) fn after(&self) -> Result<String> {
        match &self.cursor {
            None => Ok(String::new()),
            Some(text) => sealwright_core::Cursor::decode(text)
                .map(|cursor| cursor.0)
                .ok_or_else(|| AccessError::Invalid {
                    field: "cursor",
                    detail: "is not a cursor of this list; start without one".to_owned(),
                }),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.limit.unwrap_or(50).clamp(1, 500) as usize
    }
}

/// Cuts one row too many off `items` and makes the cursor of the next page.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    rows: usize,
    sort_key: impl Fn(&T) -> String,
) -> sealwright_core::Page<T> {
    let more = items.len() > rows;
    items.truncate(rows);
    let next = more
        .then(|| items.last())
        .flatten()
        .map(|last| sealwright_core::Cursor(sort_key(last)).encode());
    sealwright_core::Page { items, next }
}

/// What [`AccessService::housekeeping`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Housekeeping {
    /// Keys whose last use was written.
    pub keys_noted: u64,
    /// Sessions that had ended.
    pub sessions_ended: u64,
    /// Links, blocks and idempotency keys that had ended.
    pub others_ended: u64,
}

/// Tenants, users, sessions and API keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessService {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    policy: Arc<AccessPolicy>,
    directory: TenantDirectory,
    used: Arc<Mutex<HashMap<KeyId, UnixMicros>>>,
    guards: crate::guard::Shared,
    pub(crate) policies: Policies,
    relying_party: Arc<std::result::Result<RelyingParty, String>>,
}

impl AccessService {
    /// A service over `store`, whose migrations of this crate are applied. Changes are recorded
    /// with `audit`.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        audit: Arc<dyn Audit>,
        policy: AccessPolicy,
    ) -> Self {
        Self {
            store,
            clock,
            audit,
            policy: Arc::new(policy),
            directory: TenantDirectory::default(),
            used: Arc::default(),
            guards: Arc::default(),
            policies: Policies::built_in(),
            relying_party: Arc::new(Err("no address is configured".to_owned())),
        }
    }

    /// With passkeys for the console at `public_url`, where browsers allow them.
    #[must_use]
    pub fn with_passkeys(mut self, public_url: &str) -> Self {
        self.relying_party = Arc::new(RelyingParty::new(public_url));
        self
    }

    /// With what the installation forbids beyond the roles.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// Who may do what.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn guards(&self) -> &crate::guard::Guards {
        &self.guards
    }

    /// Reads the tenants into the directory, and what is held back of them; to be called once at the start.
    ///
    /// # Errors
    /// What the store said.
    pub async fn load(&self) -> Result<()> {
        // Of all tenants, whoever asked for it.
        as_system(self.directory.refresh(&self.store)).await?;
        self.load_guards().await
    }

    /// All tenants, in memory.
    pub fn directory(&self) -> &TenantDirectory {
        &self.directory
    }

    /// Lengths of time and limits.
    pub fn policy(&self) -> &AccessPolicy {
        &self.policy
    }

    /// The present moment of the service's clock.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// Writes the last uses of keys, forgets what has ended, and refreshes the directory; to be called
    /// every minute or so.
    ///
    /// # Errors
    /// What the store said.
    pub async fn housekeeping(&self) -> Result<Housekeeping> {
        self.record_refusals().await?;
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(|e| e.into_inner()));
        let now = self.now();
        let mut tx = self.store.begin().await?;
        for (id, at) in &used {
            crate::store::note_key_use(&mut tx, *id, *at).await?;
        }
        let idle_since = now.plus(-self.policy.session_idle);
        let (sessions_ended, others_ended) =
            crate::store::delete_ended(&mut tx, now, idle_since, now.plus(-DAY)).await?;
        tx.commit().await?;
        self.load().await?;
        Ok(Housekeeping {
            keys_noted: used.len() as u64,
            sessions_ended,
            others_ended,
        })
    }

    pub(crate) fn note_use(&self, key: KeyId, at: UnixMicros) {
        self.used
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(key, at);
    }

    pub(crate) async fn record(&self, tx: &mut Tx, by: &Principal, change: Change) -> Result<()> {
        let action = AuditAction {
            at: self.now(),
            actor: Actor::from(by),
            action: change.action,
            tenant: change.tenant,
            subject: change.subject,
            before: change.before,
            after: change.after,
        };
        self.audit.record(tx, action).await?;
        Ok(())
    }
}

/// The parts of an [`AuditAction`] that a use case knows.
pub(crate) struct Change {
    pub(crate) action: &'static str,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) subject: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

pub(crate) fn json(value: &impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}

/// An `Idempotency-Key` and the digest of the request that came with it.
#[derive(Debug, Clone)]
pub(crate) struct Idempotency {
    key: String,
    digest: Digest,
}

impl Idempotency {
    /// `None` without a key.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for a key that is empty or longer than 255 characters.
    pub(crate) fn new(
        key: Option<&str>,
        what: &str,
        body: &impl Serialize,
    ) -> Result<Option<Self>> {
        let Some(key) = key else { return Ok(None) };
        if key.is_empty() || key.len() > 255 {
            return Err(AccessError::Invalid {
                field: "Idempotency-Key",
                detail: "must have 1 to 255 characters".to_owned(),
            });
        }
        let body = serde_json::json!([what, json(body)]);
        Ok(Some(Self {
            key: key.to_owned(),
            digest: Digest::of_json(&body),
        }))
    }

    /// What the same request created before, if it was here before.
    pub(crate) async fn seen(
        this: Option<&Self>,
        tx: &mut Tx,
        by: &Principal,
    ) -> Result<Option<String>> {
        let Some(this) = this else { return Ok(None) };
        tx.lock(&format!("access_request {} {}", by.id, this.key))
            .await?;
        match crate::store::find_request(tx, &by.id, &this.key).await? {
            Some((digest, resource)) if digest == this.digest.to_string() => Ok(Some(resource)),
            Some(_) => Err(AccessError::RequestReused),
            None => Ok(None),
        }
    }

    pub(crate) async fn keep(
        this: Option<&Self>,
        tx: &mut Tx,
        by: &Principal,
        resource: &str,
        now: UnixMicros,
    ) -> Result<()> {
        if let Some(this) = this {
            crate::store::insert_request(tx, &by.id, &this.key, this.digest, resource, now).await?;
        }
        Ok(())
    }
}

/// A unique column refused the row.
pub(crate) fn taken(error: StoreError, field: &'static str, value: &str) -> AccessError {
    match error {
        StoreError::Constraint(_) => AccessError::Taken {
            field,
            value: value.to_owned(),
        },
        other => other.into(),
    }
}

/// One line of text for people.
pub(crate) fn line(field: &'static str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    let length = text.chars().count();
    if text.is_empty() || length > most || text.chars().any(char::is_control) {
        return Err(AccessError::Invalid {
            field,
            detail: format!("must be one line of 1 to {most} characters"),
        });
    }
    Ok(text.to_owned())
}
