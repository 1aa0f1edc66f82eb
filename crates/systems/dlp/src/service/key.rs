//! The key of a tenant's fingerprints: random, and sealed in the state.

use sealwright_core::{Clock, TenantId};
use sealwright_scan::FingerprintKey;
use sealwright_scan::redact::RestoreKey;
use sealwright_store::Store;
use std::sync::Arc;

use super::DlpError;
use crate::store::place::{self as rows, Key};

/// Seals and opens secrets at rest. The program gives its key ring.
pub trait Seal: Send + Sync + std::fmt::Debug {
    /// Seals a secret for a place, which only opens it again for the same place.
    ///
    /// # Errors
    /// Why not, without the secret.
    fn seal(&self, context: &str, secret: &[u8]) -> Result<String, String>;

    /// Opens what [`Seal::seal`] made.
    ///
    /// # Errors
    /// Why not, without the secret.
    fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, String>;
}

/// Keeps the keys. Two tenants never have one key, so nobody can tell whether both have a value.
#[derive(Debug, Clone)]
pub struct KeyService {
    store: Store,
    clock: Arc<dyn Clock>,
    seal: Arc<dyn Seal>,
}

impl KeyService {
    /// Keeps them in `store`, sealed by `seal`.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, seal: Arc<dyn Seal>) -> Self {
        Self { store, clock, seal }
    }

    /// A tenant's key; made at its first use.
    ///
    /// # Errors
    /// When it cannot be opened: fingerprints of another key would compare with nothing.
    pub async fn of(&self, tenant: TenantId) -> Result<FingerprintKey, DlpError> {
        let bytes: [u8; 32] = self.kept(Key::Fingerprint, tenant).await?;
        Ok(FingerprintKey::new(&bytes))
    }

    /// The key that brings a tenant's values back into what was redacted reversibly; made at its first use.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn restore(&self, tenant: TenantId) -> Result<RestoreKey, DlpError> {
        Ok(RestoreKey::new(self.kept(Key::Restore, tenant).await?))
    }

    async fn kept<const N: usize>(&self, key: Key, tenant: TenantId) -> Result<[u8; N], DlpError> {
        let context = format!("{}/{tenant}/sealed", key.table());
        if rows::key(&self.store, key, tenant).await?.is_none() {
            let mut bytes = [0; N];
            getrandom::fill(&mut bytes).map_err(|error| DlpError::Internal(error.to_string()))?;
            let sealed = self
                .seal
                .seal(&context, &bytes)
                .map_err(DlpError::Internal)?;
            rows::keep_key(&self.store, key, tenant, &sealed, self.clock.now()).await?;
        }
        // Read back: another process may have been first.
        let sealed = rows::key(&self.store, key, tenant)
            .await?
            .ok_or_else(|| DlpError::Internal("the key was not kept".to_owned()))?;
        let bytes = self
            .seal
            .open(&context, &sealed)
            .map_err(DlpError::Internal)?;
        bytes
            .try_into()
            .map_err(|_| DlpError::Internal("the key is damaged".to_owned()))
    }
}
