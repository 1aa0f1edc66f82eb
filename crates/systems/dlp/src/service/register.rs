//! The register of holds that the lake asks before stored events go.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::{Clock, TenantScope};
use sealwright_events::{HeldEvents, HoldError, HoldRegister, Holds};
use sealwright_store::{Store, as_system};

use crate::model::hold::Matter;
use crate::store::{hold as rows, retention};

/// The lock beside which no matter is opened and none is released.
pub(crate) const MATTERS: &str = "dlp_matter";

/// Says which stored events the matters hold.
#[derive(Debug, Clone)]
pub struct HoldBook {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl HoldBook {
    /// Reads the matters of `store`.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The clock must not show less than it has shown before: what seems to be past its time may not be.
    async fn clock_is_right(&self) -> Result<(), HoldError> {
        let ask = || async {
            let now = self.clock.now();
            let latest = retention::see_clock(&self.store, now).await;
            latest.map(|latest| (now, latest)).map_err(unknown)
        };
        let (mut now, mut latest) = ask().await?;
        if now < latest {
            // Another process may have looked at its clock between our look and our question.
            (now, latest) = ask().await?;
        }
        if now < latest {
            return Err(HoldError(format!(
                "the clock shows {now}, and it has shown {latest} before"
            )));
        }
        Ok(())
    }
}

fn unknown(error: impl std::fmt::Display) -> HoldError {
    HoldError(error.to_string())
}

/// What a matter holds of the stored events. An event is in no bucket and has no key and no tags, so a matter that
/// names one of these holds none.
fn held(matter: &Matter) -> Option<HeldEvents> {
    let scope = &matter.scope;
    if !scope.buckets.is_empty() || scope.prefix.is_some() || !scope.tags.is_empty() {
        return None;
    }
    Some(HeldEvents {
        tenant: matter.tenant,
        subject: scope.person.clone(),
        from: scope.from,
        to: scope.to,
        by: matter.id.to_string(),
    })
}

#[async_trait]
impl HoldRegister for HoldBook {
    async fn ask(&self) -> Result<Holds, HoldError> {
        self.clock_is_right().await?;
        // A hold that is not seen is data that is lost: all of them, whoever asks.
        let mut tx = as_system(self.store.begin()).await.map_err(unknown)?;
        tx.lock(MATTERS).await.map_err(unknown)?;
        let matters = rows::all_holding(&mut tx, TenantScope::All)
            .await
            .map_err(unknown)?;
        let events = matters.iter().filter_map(held).collect();
        // The transaction ends when the answer is dropped.
        Ok(Holds::new(events, Box::new(tx)))
    }
}
