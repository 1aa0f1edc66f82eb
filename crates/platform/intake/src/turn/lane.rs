//! Large bodies of one tenant are read on half of the processors at most: reading one keeps a processor busy for long, and others
//! are not to wait for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwright_core::{TenantId, TenantScope};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type Lines = HashMap<Option<TenantId>, Arc<Semaphore>>;

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<Lines>>);

impl Lanes {
    /// Waits until few enough others of the same tenant are read. A key for all tenants has all processors.
    pub(crate) async fn enter(&self, scope: TenantScope) -> Lane {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (who, width) = match scope {
            TenantScope::One(tenant) => (Some(tenant), processors.div_ceil(2)),
            TenantScope::All => (None, processors),
        };
        let line = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let line = lines.entry(who);
            Arc::clone(line.or_insert_with(|| Arc::new(Semaphore::new(width))))
        };
        Lane {
            lanes: self.clone(),
            who,
            // Nobody closes it.
            permit: line.acquire_owned().await.ok(),
        }
    }
}

/// The right to read, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lane {
    lanes: Lanes,
    who: Option<TenantId>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.permit = None;
        let mut lines = self.lanes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lines
            .get(&self.who)
            .is_some_and(|line| Arc::strong_count(line) == 1);
        if idle {
            lines.remove(&self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_tenant_has_half_of_the_processors_and_nothing_is_kept() {
        let one = |n: u8| TenantScope::One(format!("ten_{n:032x}").parse().unwrap());
        let lanes = Lanes::default();
        let half = std::thread::available_parallelism()
            .unwrap()
            .get()
            .div_ceil(2);
        let mut all = Vec::new();
        for _ in 0..half {
            all.push(lanes.enter(one(1)).await);
        }
        let more = lanes.enter(one(1));
        assert!(
            tokio::time::timeout(Duration::ZERO, more).await.is_err(),
            "the tenant's next waits"
        );
        let other = lanes.enter(one(2)).await;
        all.pop();
        all.push(lanes.enter(one(1)).await);
        drop((all, other));
        assert!(lanes.0.lock().unwrap().is_empty());
    }
}
