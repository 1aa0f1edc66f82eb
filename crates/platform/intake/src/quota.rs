//! A quota of events a minute for each tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealwright_core::clock::{MINUTE, SECOND};
use sealwright_core::{Clock, Problem, TenantId};

use crate::sender::{Quota, QuotaState, Quotas};

/// Windows are kept for at most about so many tenants before those that have ended are forgotten.
const SWEEP_AT: usize = 10_000;

/// How many events a tenant may send in a minute, where less than all others.
pub type HeldTo = Arc<dyn Fn(TenantId) -> Option<u64> + Send + Sync>;

/// At most so many events a tenant and minute of the clock. Counted in this process: where several
/// share a database, each has its own count. A batch that would go over counts nothing; one that is
/// counted and then not stored stays counted.
pub struct PerMinute {
    limit: u64,
    /// Lower limits of single tenants.
    held: Option<HeldTo>,
    clock: Arc<dyn Clock>,
    /// The minute, and the events in it.
    windows: Mutex<HashMap<TenantId, (i64, u64)>>,
}

impl PerMinute {
    /// A quota of `limit` events a minute; 0 is none.
    pub fn new(limit: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            limit,
            held: None,
            clock,
            windows: Mutex::default(),
        }
    }

    /// The same, with lower limits of single tenants, which are asked for at each request.
    #[must_use]
    pub fn holding(mut self, held: HeldTo) -> Self {
        self.held = Some(held);
        self
    }

    fn limit_of(&self, tenant: TenantId) -> Option<u64> {
        let held = self.held.as_ref().and_then(|held| held(tenant));
        match (self.limit, held) {
            (0, held) => held,
            (limit, None) => Some(limit),
            (limit, Some(held)) => Some(limit.min(held)),
        }
    }
}

impl std::fmt::Debug for PerMinute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerMinute")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Quotas for PerMinute {
    async fn count(&self, tenant: TenantId, events: u64) -> Result<Quota, Problem> {
        let Some(limit) = self.limit_of(tenant) else {
            return Ok(Quota::Unlimited);
        };
        let now = self.clock.now().0;
        let minute = now.div_euclid(MINUTE);
        let left = (minute + 1) * MINUTE - now;
        let mut windows = self.windows.lock().unwrap_or_else(|e| e.into_inner());
        if windows.len() > SWEEP_AT {
            windows.retain(|_, (at, _)| *at == minute);
        }
        let window = windows.entry(tenant).or_insert((minute, 0));
        if window.0 != minute {
            *window = (minute, 0);
        }
        let state = |used: u64| QuotaState {
            limit,
            window_seconds: 60,
            remaining: limit.saturating_sub(used),
            reset_seconds: u64::try_from((left + SECOND - 1) / SECOND).unwrap_or(60),
        };
        let used = window.1.saturating_add(events);
        if used > limit {
            return Ok(Quota::Exceeded(state(window.1)));
        }
        window.1 = used;
        Ok(Quota::Within(state(used)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sealwright_core::{ManualClock, UnixMicros};

    fn tenant(n: u8) -> TenantId {
        format!("ten_{n:032x}").parse().unwrap()
    }

    #[tokio::test]
    async fn each_tenant_has_its_own_minute() {
        let clock = ManualClock::new(UnixMicros(90 * SECOND));
        let quota = PerMinute::new(10, Arc::new(clock.clone()));
        let Quota::Within(state) = quota.count(tenant(1), 7).await.unwrap() else {
            panic!("7 of 10 are within");
        };
        assert_eq!(
            (state.limit, state.remaining, state.reset_seconds),
            (10, 3, 30)
        );
        let Quota::Exceeded(state) = quota.count(tenant(1), 4).await.unwrap() else {
            panic!("11 of 10 are not");
        };
        assert_eq!(state.remaining, 3, "a refused batch counts nothing");
        let within = |quota| matches!(quota, Quota::Within(_));
        assert!(within(quota.count(tenant(2), 10).await.unwrap()));
        assert!(within(quota.count(tenant(1), 3).await.unwrap()));
        clock.advance(30 * SECOND);
        assert!(within(quota.count(tenant(1), 10).await.unwrap()));
    }

    #[tokio::test]
    async fn a_tenant_that_is_held_back_has_less_and_others_do_not() {
        let clock = ManualClock::new(UnixMicros(0));
        for (limit, others) in [(0, true), (10, true)] {
            let quota = PerMinute::new(limit, Arc::new(clock.clone()))
                .holding(Arc::new(|who| (who == tenant(1)).then_some(2)));
            let within = |quota| matches!(quota, Quota::Within(_) | Quota::Unlimited);
            assert!(within(quota.count(tenant(1), 2).await.unwrap()));
            assert!(!within(quota.count(tenant(1), 1).await.unwrap()));
            assert_eq!(within(quota.count(tenant(2), 10).await.unwrap()), others);
        }
    }

    #[tokio::test]
    async fn none_limits_nobody() {
        let quota = PerMinute::new(0, Arc::new(ManualClock::new(UnixMicros(0))));
        assert_eq!(
            quota.count(tenant(1), u64::MAX).await.unwrap(),
            Quota::Unlimited
        );
    }
}
