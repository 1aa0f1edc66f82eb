//! What is held back of a tenant while an attack goes on: addresses from which its credentials do not work,
//! and how many requests a minute they may make.
//!
//! A guard belongs to one tenant and touches no other. Credentials for all tenants, which are those of who runs
//! the installation, are never held back. All guards are in memory; changes of other processes are seen when
//! [`AccessService::load`] is called.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sealwright_core::clock::{MINUTE, SECOND};
use sealwright_core::{Problem, TenantId, TenantScope, UnixMicros, client_address};
use sealwright_store::as_system;
use serde::Serialize;

use crate::error::AccessError;
use crate::principal::Principal;
use crate::service::{AccessService, Change};
use crate::store;

/// What is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// The tenant's credentials do not work from this address.
    Address(IpAddr),
    /// The tenant's credentials may make so many requests, and send so many events, in a minute.
    PerMinute(u64),
}

/// A guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guard {
    /// Its id: that of what asked for it.
    pub id: String,
    /// Of which tenant.
    pub tenant_id: TenantId,
    /// What is held back.
    pub held: Held,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub created_at: UnixMicros,
}

/// The guards of all tenants, in memory.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    by_tenant: RwLock<HashMap<TenantId, Vec<Held>>>,
    /// Requests of the minute, of tenants that are held back.
    counted: Mutex<HashMap<TenantId, (i64, u64)>>,
}

impl Guards {
    pub(crate) fn replace(&self, all: &[Guard]) {
        let mut fresh: HashMap<TenantId, Vec<Held>> = HashMap::new();
        for guard in all {
            fresh.entry(guard.tenant_id).or_default().push(guard.held);
        }
        *self.by_tenant.write().unwrap_or_else(|e| e.into_inner()) = fresh;
    }

    fn held<T>(&self, tenant: TenantId, f: impl Fn(&[Held]) -> Option<T>) -> Option<T> {
        let all = self.by_tenant.read().unwrap_or_else(|e| e.into_inner());
        f(all.get(&tenant)?)
    }

    fn blocks(&self, tenant: TenantId, from: IpAddr) -> bool {
        let from = from.to_canonical();
        let found = self.held(tenant, |held| {
            held.contains(&Held::Address(from)).then_some(())
        });
        found.is_some()
    }

    fn per_minute(&self, tenant: TenantId) -> Option<u64> {
        self.held(tenant, |held| {
            let limits = held.iter().filter_map(|h| match h {
                Held::PerMinute(limit) => Some(*limit),
                Held::Address(_) => None,
            });
            limits.min()
        })
    }

    /// Counts a request; gives the seconds to wait when it is one too many.
    fn count(&self, tenant: TenantId, limit: u64, now: UnixMicros) -> Option<i64> {
        let minute = now.0.div_euclid(MINUTE);
        let mut counted = self.counted.lock().unwrap_or_else(|e| e.into_inner());
        counted.retain(|_, (at, _)| *at == minute);
        let (_, used) = counted.entry(tenant).or_insert((minute, 0));
        if *used >= limit {
            let left = (minute + 1) * MINUTE - now.0;
            return Some((left + SECOND - 1) / SECOND);
        }
        *used += 1;
        None
    }
}

fn blocked() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "address-blocked",
        "Blocked for a time",
        "credentials of this tenant do not work from this address at present",
    )
}

impl AccessService {
    /// Whether a tenant's credentials work from an address.
    ///
    /// # Errors
    /// The answer to a request when they do not.
    pub fn admits(&self, tenant: TenantId, from: Option<IpAddr>) -> Result<(), Problem> {
        match from {
            Some(from) if self.guards().blocks(tenant, from) => Err(blocked()),
            _ => Ok(()),
        }
    }

    /// How many events a tenant may send in a minute, when that is held back.
    pub fn held_to(&self, tenant: TenantId) -> Option<u64> {
        self.guards().per_minute(tenant)
    }

    /// What would be held back, in the form in which requests are compared with it.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for an address behind which everybody may be.
    pub fn may_hold(held: Held) -> Result<Held, AccessError> {
        let Held::Address(address) = held else {
            return Ok(held);
        };
        let address = address.to_canonical();
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return Err(AccessError::Invalid {
                field: "address",
                detail: format!("{address} is no address of a single client"),
            });
        }
        Ok(Held::Address(address))
    }

    /// Holds something back. With an id that is there already, nothing changes.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for an address behind which everybody may be; from the store.
    pub async fn hold(
        &self,
        by: &Principal,
        id: &str,
        tenant: TenantId,
        held: Held,
        reason: &str,
    ) -> Result<Guard, AccessError> {
        let held = Self::may_hold(held)?;
        let guard = Guard {
            id: id.to_owned(),
            tenant_id: tenant,
            held,
            reason: reason.chars().take(500).collect(),
            created_at: self.now(),
        };
        let mut tx = self.store.begin().await?;
        if store::guard::insert(&mut tx, &guard).await? {
            let change = Change {
                action: "access.guard.hold",
                tenant: Some(tenant),
                subject: guard.id.clone(),
                before: None,
                after: serde_json::to_value(&guard).ok(),
            };
            self.record(&mut tx, by, change).await?;
        }
        tx.commit().await?;
        self.load_guards().await?;
        Ok(guard)
    }

    /// Lets go of what was held back; says whether it was there.
    ///
    /// # Errors
    /// From the store.
    pub async fn release(&self, by: &Principal, id: &str) -> Result<bool, AccessError> {
        let mut tx = self.store.begin().await?;
        let there = store::guard::find(&mut tx, id).await?;
        if let Some(guard) = &there {
            store::guard::delete(&mut tx, id).await?;
            let change = Change {
                action: "access.guard.release",
                tenant: Some(guard.tenant_id),
                subject: guard.id.clone(),
                before: serde_json::to_value(guard).ok(),
                after: None,
            };
            self.record(&mut tx, by, change).await?;
        }
        tx.commit().await?;
        self.load_guards().await?;
        Ok(there.is_some())
    }

    /// Everything that is held back in a scope, the latest first.
    ///
    /// # Errors
    /// From the store.
    pub async fn held(&self, scope: TenantScope) -> Result<Vec<Guard>, AccessError> {
        Ok(store::guard::list(&self.store, scope).await?)
    }

    pub(crate) async fn load_guards(&self) -> Result<(), AccessError> {
        // What is in memory holds for all tenants, whoever changed something.
        let all = as_system(store::guard::list(&self.store, TenantScope::All)).await?;
        self.guards().replace(&all);
        Ok(())
    }
}

/// Axum middleware, inside of [`crate::http::authenticate`]: refuses what is held back.
pub async fn enforce(
    State(access): State<AccessService>,
    request: Request,
    next: Next,
) -> Response {
    let tenant = request
        .extensions()
        .get::<Principal>()
        .and_then(|principal| principal.tenants.tenant());
    let Some(tenant) = tenant else {
        return next.run(request).await;
    };
    if let Err(problem) = access.admits(tenant, client_address(request.extensions())) {
        return problem.into_response();
    }
    let guards = access.guards();
    if let Some(limit) = guards.per_minute(tenant)
        && let Some(seconds) = guards.count(tenant, limit, access.now())
    {
        let mut response = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "tenant-throttled",
            "Held back for a time",
            format!("this tenant may make {limit} requests a minute at present; try again in {seconds} seconds"),
        )
        .into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return response;
    }
    next.run(request).await
}

/// All guards, shared by the clones of a service.
pub(crate) type Shared = Arc<Guards>;
