//! Who may send events: access as the intake asks it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use sealwright_access::{AccessService, Action, TenantState};
use sealwright_core::clock::SECOND;
use sealwright_core::{Clock, Problem, TenantId, TenantScope};
use sealwright_intake::{Authenticate, Sender, TenantDirectory};
use sealwright_store::as_system;

/// API keys as senders.
pub(crate) struct KeySenders(pub(crate) AccessService, pub(crate) Seldom);

/// Lets something happen once a second at most; never where only this process changes the state.
pub(crate) struct Seldom {
    clock: Arc<dyn Clock>,
    last: AtomicI64,
    ever: bool,
}

impl Seldom {
    /// `ever` is false where there is no need.
    pub(crate) fn new(clock: Arc<dyn Clock>, ever: bool) -> Self {
        Self {
            clock,
            last: AtomicI64::new(0),
            ever,
        }
    }

    fn may_look(&self) -> bool {
        let now = self.clock.now().0;
        let due = |last: i64| (now - last >= SECOND).then_some(now);
        self.ever
            && self
                .last
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, due)
                .is_ok()
    }
}

#[async_trait]
impl Authenticate for KeySenders {
    async fn authenticate(&self, authorization: Option<&str>) -> Result<Sender, Problem> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                Problem::unauthorized("send the API key as `Authorization: Bearer swk_…`")
            })?;
        let principal = as_system(self.0.authenticate_key(token)).await?;
        if let TenantScope::One(tenant) = principal.tenants
            && self
                .0
                .directory()
                .get(tenant)
                .is_none_or(|t| t.state != TenantState::Active)
        {
            return Err(Problem::forbidden("the tenant of this key is suspended"));
        }
        Ok(Sender {
            may_write_events: principal.may(Action::EventsWrite),
            scope: principal.tenants,
            key_id: principal.id,
        })
    }

    async fn authenticate_from(
        &self,
        authorization: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Sender, Problem> {
        let sender = self.authenticate(authorization).await?;
        if let TenantScope::One(tenant) = sender.scope {
            self.0.admits(tenant, from)?;
        }
        Ok(sender)
    }
}

#[async_trait]
impl TenantDirectory for KeySenders {
    async fn resolve(&self, name: &str) -> Result<Option<TenantId>, Problem> {
        let mut tenant = self.0.directory().resolve(name);
        if tenant.is_none() && self.1.may_look() {
            // Another process may just have made it.
            self.0.load().await?;
            tenant = self.0.directory().resolve(name);
        }
        Ok(tenant
            .filter(|t| t.state == TenantState::Active)
            .map(|t| t.id))
    }
}
