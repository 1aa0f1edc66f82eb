//! Scanners, one for each tenant, and what they are made of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwright_core::{Digest, TenantId};
use sealwright_scan::{Detector, Options, Scanner};

use super::DlpError;
use super::key::KeyService;

/// Scanners that are kept ready.
const MOST_READY: usize = 32;
/// The confidence that a finding needs.
const THRESHOLD: f32 = 0.5;

/// Makes scanners.
#[derive(Debug, Clone)]
pub struct Detection {
    keys: KeyService,
    detectors: Arc<Vec<Detector>>,
    set: Arc<str>,
    ready: Arc<Mutex<HashMap<TenantId, Arc<Scanner>>>>,
}

impl Detection {
    /// With the detectors that come with the program.
    ///
    /// # Errors
    /// When they are damaged, which a test excludes.
    pub fn new(keys: KeyService) -> Result<Self, DlpError> {
        let detectors = sealwright_scan::detector::builtin()?;
        let mut text = serde_json::to_vec(&detectors)
            .map_err(|error| DlpError::Internal(error.to_string()))?;
        // Another version of the program may find other things with the same detectors.
        text.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
        text.extend_from_slice(&THRESHOLD.to_be_bytes());
        Ok(Self {
            keys,
            set: Digest::of(&text).short().into(),
            detectors: Arc::new(detectors),
            ready: Arc::default(),
        })
    }

    /// Which detectors look, as a short digest: what was looked at with another set is looked at again.
    #[must_use]
    pub fn set(&self) -> &str {
        &self.set
    }

    /// A tenant's scanner, with the tenant's key.
    ///
    /// # Errors
    /// When the key cannot be opened.
    pub async fn scanner(&self, tenant: TenantId) -> Result<Arc<Scanner>, DlpError> {
        let ready = || self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scanner) = ready().get(&tenant) {
            return Ok(Arc::clone(scanner));
        }
        let mut options = Options::new(self.keys.of(tenant).await?);
        options.min_confidence = THRESHOLD;
        // What an object says of itself is no reason to let it pass.
        options.inline_allow = false;
        let detectors = self.detectors.as_ref().clone();
        let made = tokio::task::spawn_blocking(move || Scanner::new(detectors, options))
            .await
            .map_err(|error| DlpError::Internal(error.to_string()))??;
        let made = Arc::new(made);
        let mut all = ready();
        if all.len() >= MOST_READY {
            all.clear();
        }
        all.insert(tenant, Arc::clone(&made));
        Ok(made)
    }
}
