//! The table in object storage that speaks S3: who writes it, what is kept of it here, what may be removed.
//!
//! Data files are written once and never changed, so a copy of one is as good as the file: each process
//! keeps those that it uses in its own folder ([`cache`]). What decides is always in the bucket, and is put
//! there on a condition: a commit of the table's log only if there is none of its version, the record of
//! who writes only if it is the one that was read.

mod cache;
mod keep;
mod lease;
mod options;
mod probe;
mod readers;
mod scan;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use deltalake::logstore::{LogStoreRef, ObjectStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutPayload, RetryConfig, UpdateVersion,
};
use std::time::Duration;

pub(crate) use cache::Cache;
pub(crate) use keep::Absent;
pub(crate) use lease::Lease;
pub use options::{BucketOptions, BucketTimes, LakePlace};
pub(crate) use readers::{Registered, Seen};
pub(crate) use scan::CachedFiles;

use crate::error::{LakeError, Result};

/// Where the table is within the lake's prefix.
const TABLE: &str = "events";

/// A lake's part of a bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// `s3://BUCKET/PREFIX`, as errors name it.
    url: String,
    /// The bucket.
    root: ObjectStoreRef,
    /// The lake's prefix in it.
    store: ObjectStoreRef,
    prefix: Path,
    table_url: url::Url,
    /// Whether a condition names an ETag with its quotation marks: servers differ.
    quoted: OnceLock<bool>,
}

impl Bucket {
    /// A client; nothing is asked yet.
    pub(crate) fn new(options: &BucketOptions) -> Result<Self> {
        let (name, prefix) = options.parts()?;
        let invalid = |error: &dyn std::fmt::Display| LakeError::Bucket {
            place: options.url.clone(),
            detail: error.to_string(),
        };
        // What is not set is looked for where every program of AWS looks for it.
        let mut builder = if options.access_key.is_empty() {
            AmazonS3Builder::from_env()
        } else {
            AmazonS3Builder::new()
                .with_access_key_id(&options.access_key)
                .with_secret_access_key(&options.secret_key)
        };
        builder = builder
            .with_bucket_name(name)
            .with_region(&options.region)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 5,
                retry_timeout: Duration::from_secs(30),
            })
            .with_client_options(
                ClientOptions::new()
                    .with_connect_timeout(Duration::from_secs(5))
                    .with_timeout(Duration::from_secs(120))
                    .with_allow_http(options.endpoint.starts_with("http://")),
            );
        if !options.endpoint.is_empty() {
            builder = builder.with_endpoint(&options.endpoint);
        }
        let root: ObjectStoreRef = Arc::new(builder.build().map_err(|e| invalid(&e))?);
        let prefix = Path::parse(prefix).map_err(|e| invalid(&e))?;
        let table = prefix.clone().join(TABLE);
        let table_url =
            url::Url::parse(&format!("s3://{name}/{table}/")).map_err(|e| invalid(&e))?;
        Ok(Self {
            url: options.url.trim_end_matches('/').to_owned(),
            store: Arc::new(PrefixStore::new(Arc::clone(&root), prefix.clone())),
            root,
            prefix,
            table_url,
            quoted: OnceLock::new(),
        })
    }

    /// The table's log. A commit is put only if there is none of its version.
    pub(crate) fn log_store(&self) -> LogStoreRef {
        let table = self.prefix.clone().join(TABLE);
        let table: ObjectStoreRef = Arc::new(PrefixStore::new(Arc::clone(&self.root), table));
        default_logstore(
            table,
            Arc::clone(&self.root),
            &self.table_url,
            &StorageConfig::default(),
        )
    }

    /// `s3://BUCKET/PREFIX`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A failed request, with what to do where that is known.
    pub(crate) fn failed(&self, name: &str, error: &Error) -> LakeError {
        let detail = match error {
            error if no_bucket(error) => {
                return LakeError::Bucket {
                    place: self.url.clone(),
                    detail: "there is no such bucket; make it first".to_owned(),
                };
            }
            Error::NotFound { .. } => "it is not there".to_owned(),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                "the store refuses the credentials: look at lake.s3_access_key and \
                 lake.s3_secret_key, or at AWS_ACCESS_KEY_ID and its like where those are empty, and at \
                 what the key may do (get, put, delete, list)"
                    .to_owned()
            }
            other => chain(other),
        };
        let place = if name.is_empty() {
            self.url.clone()
        } else {
            format!("{}/{name}", self.url)
        };
        LakeError::Bucket { place, detail }
    }

    /// An object's bytes; `None` when it is not there.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<(Bytes, ObjectMeta)>> {
        let failed = |error: Error| self.failed(name, &error);
        let found = match self.store.get(&Path::from(name)).await {
            Ok(found) => found,
            Err(error @ Error::NotFound { .. }) if !no_bucket(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let meta = found.meta.clone();
        Ok(Some((found.bytes().await.map_err(failed)?, meta)))
    }

    pub(crate) async fn put(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<()> {
        self.store
            .put(&Path::from(name), bytes.into())
            .await
            .map(|_| ())
            .map_err(|error| self.failed(name, &error))
    }

    /// Puts an object where there is none, or in the place of the one with this ETag. Its own ETag; `None`
    /// when the condition does not hold.
    pub(crate) async fn put_if(
        &self,
        name: &str,
        bytes: impl Into<PutPayload>,
        instead_of: Option<&str>,
    ) -> Result<Option<String>> {
        let mode = match instead_of {
            None => PutMode::Create,
            Some(etag) => {
                let quoted = self.quoted.get().copied().unwrap_or(true);
                let etag = if quoted { etag } else { etag.trim_matches('"') };
                PutMode::Update(UpdateVersion {
                    e_tag: Some(etag.to_owned()),
                    version: None,
                })
            }
        };
        match self
            .store
            .put_opts(&Path::from(name), bytes.into(), mode.into())
            .await
        {
            Ok(done) => Ok(Some(done.e_tag.unwrap_or_default())),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// Takes an object away; one that is not there is gone.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        match self.store.delete(&Path::from(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    /// What is below a name.
    pub(crate) async fn list(&self, name: &str) -> Result<Vec<ObjectMeta>> {
        self.store
            .list(Some(&Path::from(name)))
            .try_collect()
            .await
            .map_err(|error| self.failed(name, &error))
    }

    /// A data file as a stream.
    async fn data(&self, path: &str) -> object_store::Result<object_store::GetResult> {
        self.store.get(&Path::from(data_name(path))).await
    }
}

/// The name of a data file within the lake's prefix.
fn data_name(path: &str) -> String {
    format!("{TABLE}/{path}")
}

fn no_bucket(error: &Error) -> bool {
    matches!(error, Error::NotFound { source, .. } if source.to_string().contains("NoSuchBucket"))
}

/// An error with its causes: the store's own errors keep what the server said in the last of them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
