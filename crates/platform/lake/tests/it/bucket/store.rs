//! A store as its operator sees it: buckets are made, objects are looked at, changed and taken away.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::Method;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

pub(super) const ACCESS_KEY: &str = "testaccess";
pub(super) const SECRET_KEY: &str = "testsecret";

#[derive(Clone)]
pub(super) struct Store {
    pub(super) endpoint: String,
    pub(super) bucket: String,
    client: Arc<AmazonS3>,
}

impl Store {
    /// A bucket of its own.
    pub(super) fn make(endpoint: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let store = Self::named(endpoint, &format!("lake-{}-{number}", std::process::id()));
        futures::executor::block_on(store.create());
        store
    }

    pub(super) fn named(endpoint: &str, bucket: &str) -> Self {
        let client = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .build()
            .unwrap();
        Self {
            endpoint: endpoint.to_owned(),
            bucket: bucket.to_owned(),
            client: Arc::new(client),
        }
    }

    /// The client library makes no buckets, but it signs any request.
    async fn create(&self) {
        let url = self.signed(Method::PUT, "").await;
        let address = self.endpoint.trim_start_matches("http://");
        let target = url.split_once(address).unwrap().1;
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "PUT {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 OK"), "{answer}");
    }

    async fn signed(&self, method: Method, name: &str) -> String {
        let path = Path::from(name);
        let url = self
            .client
            .signed_url(method, &path, Duration::from_secs(600));
        url.await.unwrap().to_string()
    }

    /// The URL by which anybody may read an object for a while.
    pub(super) async fn url(&self, name: &str) -> String {
        self.signed(Method::GET, name).await
    }

    /// The names of objects, sorted.
    pub(super) async fn names(&self) -> Vec<String> {
        let objects: Vec<_> = self.client.list(None).try_collect().await.unwrap();
        let mut names: Vec<String> = objects
            .into_iter()
            .map(|o| o.location.to_string())
            .collect();
        names.sort();
        names
    }

    /// The names of data files.
    pub(super) async fn data_files(&self) -> Vec<String> {
        let mut names = self.names().await;
        names.retain(|name| name.ends_with(".parquet") && !name.contains("_delta_log"));
        names
    }

    pub(super) async fn get(&self, name: &str) -> Vec<u8> {
        let found = self.client.get(&Path::from(name)).await.unwrap();
        found.bytes().await.unwrap().to_vec()
    }

    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) {
        self.client
            .put(&Path::from(name), bytes.into())
            .await
            .unwrap();
    }

    pub(super) async fn delete(&self, name: &str) {
        self.client.delete(&Path::from(name)).await.unwrap();
    }
}
