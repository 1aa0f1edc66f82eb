//! The use cases: a file a noun.

mod channels;
mod deliveries;
mod input;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sealwright_access::{Action, Actor, Audit, AuditAction, Principal, TenantDirectory};
use sealwright_core::clock::DAY;
use sealwright_core::{Clock, Cursor, TenantId, UnixMicros};
use sealwright_secret::KeyRing;
use sealwright_store::{Store, Tx};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::backoff::Backoff;
use crate::egress::Egress;
use crate::error::NotifyError;
use crate::model::{Channel, ChannelId, Secrets};
use crate::outbox::Notifier;

pub use channels::{CreatedChannel, Rotated};
pub use deliveries::Waiting;
pub use input::{ChannelChange, Given, NewChannel, NewRule, NewTarget, RuleChange};

pub(crate) type Result<T> = std::result::Result<T, NotifyError>;

/// What an installation decides.
#[derive(Debug, Clone)]
pub struct NotifyOptions {
    /// The address of this server, for links; without a slash at its end.
    pub public_url: String,
    /// How often and how far apart deliveries are tried.
    pub backoff: Backoff,
    /// How long ended deliveries and their messages stay, in days.
    pub history_days: u32,
}

/// Channels, rules and deliveries. Cheap to clone.
#[derive(Clone)]
pub struct NotifyService {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) ring: KeyRing,
    pub(crate) egress: Egress,
    pub(crate) directory: TenantDirectory,
    pub(crate) notifier: Notifier,
    pub(crate) options: Arc<NotifyOptions>,
}

impl fmt::Debug for NotifyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyService")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What the service is made of.
#[derive(Debug)]
pub struct NotifyParts {
    /// The state; this crate's migrations are applied.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where changes are recorded.
    pub audit: Arc<dyn Audit>,
    /// What seals the channels' secrets.
    pub ring: KeyRing,
    /// The way out.
    pub egress: Egress,
    /// The tenants.
    pub directory: TenantDirectory,
    /// The outbox that systems enqueue into.
    pub notifier: Notifier,
    /// What the installation decides.
    pub options: NotifyOptions,
}

impl NotifyService {
    /// A service of `parts`.
    pub fn new(parts: NotifyParts) -> Self {
        Self {
            store: parts.store,
            clock: parts.clock,
            audit: parts.audit,
            ring: parts.ring,
            egress: parts.egress,
            directory: parts.directory,
            notifier: parts.notifier,
            options: Arc::new(parts.options),
        }
    }

    /// The outbox that systems enqueue into.
    pub const fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// The present moment.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// The tenants.
    pub const fn directory(&self) -> &TenantDirectory {
        &self.directory
    }

    fn read(&self, by: &Principal) -> Result<()> {
        Ok(by.require(Action::NotifyRead)?)
    }

    fn write(&self, by: &Principal) -> Result<()> {
        Ok(by.require(Action::NotifyWrite)?)
    }

    /// The tenant that something is made for: the named one, else the caller's, else none.
    fn owner(&self, by: &Principal, named: Option<&str>) -> Result<Option<TenantId>> {
        match named {
            Some(name) => self.tenant(by, name).map(Some),
            None => Ok(by.tenants.tenant()),
        }
    }

    fn tenant(&self, by: &Principal, name: &str) -> Result<TenantId> {
        self.directory
            .resolve(name)
            .map(|tenant| tenant.id)
            .filter(|id| by.tenants.allows(*id))
            .ok_or_else(|| not_found("tenant", name))
    }

    async fn record<T: Serialize>(
        &self,
        tx: &mut Tx,
        by: Actor,
        action: &'static str,
        tenant: Option<TenantId>,
        subject: String,
        (before, after): (Option<&T>, Option<&T>),
    ) -> Result<()> {
        let state = |value: &T| serde_json::to_value(value).unwrap_or_default();
        let action = AuditAction {
            at: self.clock.now(),
            actor: by,
            action,
            tenant,
            subject,
            before: before.map(state),
            after: after.map(state),
        };
        Ok(self.audit.record(tx, action).await?)
    }

    pub(crate) fn seal(&self, id: ChannelId, secrets: &Secrets) -> Result<String> {
        let plain: BTreeMap<&str, &str> = secrets
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        let text = SecretString::from(serde_json::to_string(&plain).unwrap_or_default());
        Ok(self
            .ring
            .seal(&context(id), text.expose_secret().as_bytes())?)
    }

    pub(crate) fn unseal(&self, channel: &Channel) -> Result<Secrets> {
        let bytes = self.ring.open(&context(channel.id), &channel.sealed)?;
        let plain: BTreeMap<String, SecretString> =
            serde_json::from_slice(bytes.expose_secret())
                .map_err(|_| sealwright_secret::SecretError::Broken)?;
        Ok(Secrets(plain))
    }

    /// Forgets deliveries that ended longer ago than the history goes, and messages without deliveries.
    ///
    /// # Errors
    /// What the store said.
    pub async fn prune(&self) -> Result<u64> {
        let days = i64::from(self.options.history_days);
        let before = self.clock.now().plus(-days * DAY);
        let deliveries = crate::store::prune_deliveries(&self.store, before).await?;
        let messages = crate::store::prune_messages(&self.store, before).await?;
        Ok(deliveries + messages)
    }
}

/// Where a channel's secrets are kept; part of their seal.
fn context(id: ChannelId) -> String {
    format!("notify_channel {id} sealed")
}

pub(crate) fn not_found(kind: &'static str, id: &str) -> NotifyError {
    NotifyError::NotFound {
        kind,
        id: crate::message::line(id, 80),
    }
}

/// Rows asked for, and the key that a page starts after.
fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<(usize, String)> {
    let rows = limit.unwrap_or(50).clamp(1, 500) as usize;
    let before = match cursor {
        None => String::new(),
        Some(text) => {
            Cursor::decode(text)
                .ok_or_else(|| {
                    input::invalid("cursor", "is not a cursor of this list; start without one")
                })?
                .0
        }
    };
    Ok((rows, before))
}

/// Cuts a list that was read with one row too many, and makes the cursor of the next page.
fn cut<T>(mut items: Vec<T>, rows: usize, key: impl Fn(&T) -> String) -> sealwright_core::Page<T> {
    let more = items.len() > rows;
    items.truncate(rows);
    let next = more
        .then(|| items.last())
        .flatten()
        .map(|item| Cursor(key(item)).encode());
    sealwright_core::Page { items, next }
}
