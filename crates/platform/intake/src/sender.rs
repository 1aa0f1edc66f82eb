//! Who sends, for whom, and how much: traits that other parts of the platform implement.

use std::net::IpAddr;

use async_trait::async_trait;
use sealwright_core::{Problem, TenantId, TenantScope};

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The key's id, never the key.
    pub key_id: String,
    /// Whose events it may send. For [`TenantScope::All`] each event names its tenant in the extension
    /// attribute `tenant`.
    pub scope: TenantScope,
    /// Whether it may send events at all.
    pub may_write_events: bool,
}

/// Turns the `Authorization` header into a sender.
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// # Errors
    /// The answer to a request without valid credentials: 401, or 403 where they are known and barred.
    async fn authenticate(&self, authorization: Option<&str>) -> Result<Sender, Problem>;

    /// The same for a request from an address, where that is known: it may not be welcome.
    ///
    /// # Errors
    /// As above.
    async fn authenticate_from(
        &self,
        authorization: Option<&str>,
        _from: Option<IpAddr>,
    ) -> Result<Sender, Problem> {
        self.authenticate(authorization).await
    }
}

/// Finds tenants by what an event calls them.
#[async_trait]
pub trait TenantDirectory: Send + Sync {
    /// The tenant of this slug or id (`ten_…`); `None` when there is none that takes events.
    ///
    /// # Errors
    /// When the directory cannot be read now.
    async fn resolve(&self, name: &str) -> Result<Option<TenantId>, Problem>;
}

/// A quota's state, for the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaState {
    /// Events in a window.
    pub limit: u64,
    /// The window's length in seconds.
    pub window_seconds: u64,
    /// Events that are left in it.
    pub remaining: u64,
    /// Seconds until it starts again.
    pub reset_seconds: u64,
}

/// Whether a batch is within the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// There is no quota.
    Unlimited,
    /// Within it.
    Within(QuotaState),
    /// Not within it; nothing was counted (429).
    Exceeded(QuotaState),
}

/// Counts what is sent. Asked for each tenant of a request, before anything is stored; a request with
/// several tenants is refused when any of them is over its quota.
#[async_trait]
pub trait Quotas: Send + Sync {
    /// Counts `events` for `tenant`, or refuses.
    ///
    /// # Errors
    /// When that cannot be told now.
    async fn count(&self, tenant: TenantId, events: u64) -> Result<Quota, Problem>;
}

/// No quotas.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoQuotas;

#[async_trait]
impl Quotas for NoQuotas {
    async fn count(&self, _tenant: TenantId, _events: u64) -> Result<Quota, Problem> {
        Ok(Quota::Unlimited)
    }
}
