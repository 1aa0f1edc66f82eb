//! Data-loss prevention, with what this installation decides.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use sealwright_config::Config;
use sealwright_core::{Clock, SystemClock};
use sealwright_dlp::service::bucket::blob::{BlobOptions, Blobs};
use sealwright_dlp::service::bucket::folder::Folder;
use sealwright_dlp::service::bucket::s3::{S3, S3Options};
use sealwright_dlp::service::bucket::{Buckets, NoBuckets, Stores};
use sealwright_dlp::service::key::Seal;
use sealwright_dlp::service::{Dlp, Parts};
use sealwright_ledger::Ledger;
use sealwright_notify::Outbox;
use sealwright_secret::KeyRing;
use sealwright_store::Store;

/// The keys of fingerprints are sealed as all secrets are.
#[derive(Debug)]
struct Ring(KeyRing);

impl Seal for Ring {
    fn seal(&self, context: &str, secret: &[u8]) -> Result<String, String> {
        self.0
            .seal(context, secret)
            .map_err(|error| error.to_string())
    }

    fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, String> {
        use secrecy::ExposeSecret as _;
        self.0
            .open(context, sealed)
            .map(|secret| secret.expose_secret().to_vec())
            .map_err(|error| error.to_string())
    }
}

/// The object stores of the configuration.
pub(crate) fn buckets(config: &Config) -> Result<Arc<dyn Buckets>> {
    let settings = &config.dlp;
    let mut stores = Stores::new(s3(config));
    if !settings.azure_account.is_empty() {
        let azure = Blobs::new(BlobOptions::Azure {
            account: settings.azure_account.clone(),
            access_key: settings.azure_access_key.expose().to_owned(),
            endpoint: Some(settings.azure_endpoint.clone()).filter(|url| !url.is_empty()),
        });
        stores = stores.azure(Arc::new(azure.context("dlp.azure_account")?));
    }
    if !settings.gcs_service_account.is_empty() {
        let google = Blobs::new(BlobOptions::Google {
            service_account: settings.gcs_service_account.expose().to_owned(),
        });
        stores = stores.google(Arc::new(google.context("dlp.gcs_service_account")?));
    }
    Ok(Arc::new(stores))
}

fn s3(config: &Config) -> Arc<dyn Buckets> {
    let settings = &config.dlp;
    if settings.s3_access_key.is_empty() {
        if settings.folder.as_os_str().is_empty() {
            return Arc::new(NoBuckets);
        }
        return Arc::new(Folder::new(settings.folder.clone(), Arc::new(SystemClock)));
    }
    Arc::new(S3::new(&S3Options {
        endpoint: Some(settings.s3_endpoint.clone()).filter(|url| !url.is_empty()),
        region: settings.s3_region.clone(),
        access_key: settings.s3_access_key.expose().to_owned(),
        secret_key: settings.s3_secret_key.expose().to_owned(),
        kms_key: Some(settings.s3_kms_key.clone()).filter(|key| !key.is_empty()),
    }))
}

/// The use cases over the opened state.
pub(crate) fn service(
    config: &Config,
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    outbox: Arc<dyn Outbox>,
) -> Result<Dlp> {
    Ok(Dlp::new(&Parts {
        store,
        ledger,
        clock,
        buckets: buckets(config)?,
        outbox,
        seal: Arc::new(Ring(crate::secrets::key_ring(config)?)),
        threads: config.dlp.threads as usize,
        gate_down: config
            .dlp
            .gate_down
            .parse()
            .map_err(|why| anyhow::anyhow!("dlp.gate_down: {why}"))?,
    })?)
}
