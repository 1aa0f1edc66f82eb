//! The lake in a bucket, against each store that the environment names: `SEALWRIGHT_TEST_S3` (radosgw) and
//! `SEALWRIGHT_TEST_S3_OTHER` (moto).

mod cache;
mod engine;
mod same;
mod store;
mod writers;

use std::time::Duration;

use sealwright_lake::{BucketOptions, BucketTimes, Lake, LakePlace};
use tempfile::TempDir;

use store::Store;

/// The stores that there are; none is said.
fn stores() -> Vec<Store> {
    let named = ["SEALWRIGHT_TEST_S3", "SEALWRIGHT_TEST_S3_OTHER"];
    let stores: Vec<Store> = named
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .map(|endpoint| Store::make(&endpoint))
        .collect();
    if stores.is_empty() {
        println!("skipped: S3 (SEALWRIGHT_TEST_S3 is not set)");
    }
    stores
}

/// Nothing waits for readers or writers elsewhere.
const AT_ONCE: BucketTimes = BucketTimes {
    lease: Duration::from_secs(30),
    grace: Duration::ZERO,
    abandoned: Duration::ZERO,
};

/// A lake in a bucket of its own.
struct Bucket {
    store: Store,
    times: BucketTimes,
    cache_bytes: u64,
}

impl Bucket {
    fn new(store: Store, times: BucketTimes) -> Self {
        Self {
            store,
            times,
            cache_bytes: 1 << 30,
        }
    }

    fn options(&self) -> BucketOptions {
        BucketOptions {
            url: format!("s3://{}/a/lake", self.store.bucket),
            endpoint: self.store.endpoint.clone(),
            region: "us-east-1".to_owned(),
            access_key: store::ACCESS_KEY.to_owned(),
            secret_key: store::SECRET_KEY.to_owned(),
            cache_bytes: self.cache_bytes,
            times: self.times,
        }
    }

    /// As a process with this folder sees it.
    fn place(&self, folder: &std::path::Path) -> LakePlace {
        LakePlace {
            folder: folder.join("lake"),
            bucket: Some(self.options()),
        }
    }

    async fn open(&self) -> (Lake, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(self.place(folder.path())).await.unwrap();
        (lake, folder)
    }

    async fn read(&self) -> (Lake, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let place = self.place(folder.path());
        let lake = Lake::open_read_only(place).await.unwrap();
        (lake, folder)
    }
}
