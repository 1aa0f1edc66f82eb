//! Places: which keys of which bucket belong to which tenant.

use std::sync::Arc;

use sealwright_core::{Clock, Digest, TenantId, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_store::{Store, as_system};
use serde_json::json;

use super::DlpError;
use crate::model::finding::{Place, PlaceId};
use crate::model::object::kind_of;
use crate::store::place as rows;

/// Keeps places.
#[derive(Debug, Clone)]
pub struct PlaceService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
}

/// A place to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlace {
    /// Whose keys.
    pub tenant: TenantId,
    /// The bucket.
    pub bucket: String,
    /// Keys that begin so.
    pub prefix: String,
    /// Where quarantined objects go; nowhere when empty.
    pub quarantine: String,
    /// Whether the weekly scan covers it.
    pub scheduled: bool,
}

impl PlaceService {
    /// Keeps them in `store`.
    #[must_use]
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            ledger,
            clock,
        }
    }

    /// The places of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Place>, DlpError> {
        Ok(rows::list(&self.store, scope).await?)
    }

    /// One place.
    ///
    /// # Errors
    /// [`DlpError::NotFound`].
    pub async fn find(&self, scope: TenantScope, id: PlaceId) -> Result<Place, DlpError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| DlpError::NotFound(format!("the place {id}")))
    }

    /// Registers a place. Places do not lie inside each other, so that an object has one owner.
    ///
    /// # Errors
    /// [`DlpError::Invalid`], [`DlpError::Conflict`].
    pub async fn add(&self, new: NewPlace, actor: &str) -> Result<Place, DlpError> {
        let name = |text: &str| {
            let text = text.strip_prefix(kind_of(text)).unwrap_or(text);
            !text.is_empty() && text.len() <= 255 && !text.contains(['/', '?', '#', '%', ' '])
        };
        if !name(&new.bucket) {
            return Err(DlpError::Invalid(
                "`bucket` is not the name of a bucket".to_owned(),
            ));
        }
        if !new.quarantine.is_empty() && (!name(&new.quarantine) || new.quarantine == new.bucket) {
            return Err(DlpError::Invalid(
                "`quarantine` must be the name of another bucket".to_owned(),
            ));
        }
        if !new.quarantine.is_empty() && kind_of(&new.quarantine) != kind_of(&new.bucket) {
            return Err(DlpError::Invalid(
                "`quarantine` must be a bucket of the same kind: objects are not copied between kinds of stores"
                    .to_owned(),
            ));
        }
        if new.prefix.len() > 1_024 {
            return Err(DlpError::Invalid(
                "`prefix` has more than 1,024 bytes".to_owned(),
            ));
        }
        let now = self.clock.now();
        let place = Place {
            id: PlaceId::new(now),
            tenant: new.tenant,
            bucket: new.bucket,
            prefix: new.prefix,
            quarantine: new.quarantine,
            scheduled: new.scheduled,
            created_at: now,
            created_by: actor.to_owned(),
        };
        // The keys of a bucket may be registered for another tenant.
        let mut tx = as_system(self.store.begin()).await?;
        tx.lock(&format!("dlp_place {}", place.bucket)).await?;
        for other in rows::in_bucket(&mut tx, &place.bucket).await? {
            if other.prefix.starts_with(&place.prefix) || place.prefix.starts_with(&other.prefix) {
                // Whose it is, is not said: it may be another tenant's.
                return Err(DlpError::Conflict(
                    "a part of these keys is registered already".to_owned(),
                ));
            }
        }
        rows::insert(&mut tx, &place).await?;
        let state = json!({
            "id": place.id, "bucket": place.bucket, "prefix": place.prefix,
            "quarantine": place.quarantine, "scheduled": place.scheduled,
        });
        let entry = EntryDraft::new(actor, "dlp.place.add", place.id.to_string())
            .tenant(place.tenant)
            .after(Digest::of_json(&state))
            .details(state);
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(place)
    }
}
