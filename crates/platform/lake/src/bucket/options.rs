//! Where a lake is, and how it is reached.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{LakeError, Result};
use crate::maintain::READER_PATIENCE;

/// A table in a bucket, and who asks.
#[derive(Clone)]
pub struct BucketOptions {
    /// `s3://BUCKET/PREFIX`; the prefix may be empty.
    pub url: String,
    /// The URL of the store; AWS's own when empty.
    pub endpoint: String,
    /// The region.
    pub region: String,
    /// The access key. When empty, credentials are looked for in `AWS_ACCESS_KEY_ID` and its like, and at the
    /// machine's own service for them.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// Bytes of data files that are kept in the local folder at most; one file is kept in any case.
    pub cache_bytes: u64,
    /// How long others are waited for.
    pub times: BucketTimes,
}

impl std::fmt::Debug for BucketOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketOptions")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl BucketOptions {
    /// Bucket and prefix.
    pub(crate) fn parts(&self) -> Result<(&str, &str)> {
        let rest = self.url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(LakeError::Bucket {
                place: self.url.clone(),
                detail: "is not of the form s3://BUCKET/PREFIX".to_owned(),
            });
        }
        Ok((bucket, prefix.trim_matches('/')))
    }
}

/// How long the processes of one bucket wait for each other. All of them use the same.
#[derive(Debug, Clone, Copy)]
pub struct BucketTimes {
    /// Whoever writes says so again in a third of this time; who was not heard of for so long writes no more.
    pub lease: Duration,
    /// A data file stays so long after it was removed from the table: queries elsewhere may be reading it.
    pub grace: Duration,
    /// A data file that no commit names stays so long after it was put: its commit may be under way. Commits
    /// of the log stay as long, so that none of them can be made a second time.
    pub abandoned: Duration,
}

impl Default for BucketTimes {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            grace: READER_PATIENCE,
            abandoned: Duration::from_secs(3_600),
        }
    }
}

/// Where a lake is: in a folder, or in a bucket with a folder for what this process keeps of it.
#[derive(Debug, Clone)]
pub struct LakePlace {
    /// The folder.
    pub folder: PathBuf,
    /// The bucket, if the table is there.
    pub bucket: Option<BucketOptions>,
}

impl From<&Path> for LakePlace {
    fn from(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            bucket: None,
        }
    }
}

impl From<&PathBuf> for LakePlace {
    fn from(folder: &PathBuf) -> Self {
        folder.as_path().into()
    }
}

impl From<&Self> for LakePlace {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}
