//! What a process keeps of the bucket, and what it says about a bucket that cannot be used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use sealwright_core::TenantScope;
use sealwright_lake::{Lake, LakeError, QueryLimits};

use super::{AT_ONCE, Bucket, stores};
use crate::support::{all, append, events, files};

fn kept(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut kept = files(folder);
    kept.retain(|(path, _)| path.extension().is_some_and(|e| e == "parquet"));
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_kept_than_may_be() {
    for store in stores() {
        let mut bucket = Bucket::new(store, AT_ONCE);
        let (lake, _writing) = bucket.open().await;
        append(&lake, &events(0..400).chunks(50).collect::<Vec<_>>()).await;
        let largest = {
            let mut largest = 0;
            for name in bucket.store.data_files().await {
                largest = largest.max(bucket.store.get(&name).await.len() as u64);
            }
            largest
        };
        bucket.cache_bytes = largest * 3;
        let (reader, folder) = bucket.read().await;
        assert_eq!(
            kept(folder.path()).len(),
            0,
            "nothing is fetched that nobody asks for"
        );
        // Queries at the same time push each other's files out.
        let (one, two) = tokio::join!(all(&reader), all(&reader));
        assert!(one == events(0..400) && two == one);
        let files = kept(folder.path());
        let bytes: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert!(
            !files.is_empty() && bytes <= bucket.cache_bytes,
            "{bytes} bytes"
        );
        // What is kept serves the next process, too.
        drop(reader);
        let place = bucket.place(folder.path());
        let reader = Lake::open_read_only(&place).await.unwrap();
        assert_eq!(kept(folder.path()).len(), files.len());
        // A command beside it keeps its files apart, and leaves none.
        let beside = Lake::open_read_only(&place).await.unwrap();
        assert_eq!(all(&beside).await.len(), 400);
        assert_eq!(all(&reader).await.len(), 400);
        drop(beside);
        let left = kept(folder.path());
        assert!(
            left.iter()
                .all(|(path, _)| !path.display().to_string().contains("beside"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_the_log_says_are_named() {
    for store in stores() {
        let bucket = Bucket::new(store, AT_ONCE);
        let (lake, folder) = bucket.open().await;
        append(&lake, &[&events(0..100)]).await;
        // Cut off here, by a crash: it is fetched again.
        for (path, bytes) in kept(folder.path()) {
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }
        assert_eq!(all(&lake).await, events(0..100));

        let name = bucket.store.data_files().await.remove(0);
        let whole = bucket.store.get(&name).await;
        let shorter = whole.len() - 7;
        bucket.store.put(&name, whole[..shorter].to_vec()).await;
        let (reader, reading) = bucket.read().await;
        let query = || {
            reader.query(
                TenantScope::All,
                "SELECT count(json), max(json) FROM events",
                QueryLimits::default(),
            )
        };
        let refused = query().await.unwrap_err().to_string();
        let said = format!("it has {shorter} bytes");
        assert!(refused.contains(&said), "{refused}");
        let report = reader.check().await.unwrap();
        assert_eq!(report.problem_count, 1);
        assert!(report.problems[0].contains(&said), "{:?}", report.problems);
        let short = name.rsplit('/').next().unwrap();
        assert!(report.problems[0].contains(short), "{:?}", report.problems);
        assert!(
            kept(reading.path())
                .iter()
                .all(|(path, _)| !path.ends_with(short))
        );

        bucket.store.delete(&name).await;
        let report = reader.check().await.unwrap();
        assert!(
            report.problems[0].contains("missing"),
            "{:?}",
            report.problems
        );
        bucket.store.put(&name, whole).await;
        assert_eq!(reader.check().await.unwrap().problem_count, 0);
        query().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_used_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores() {
        let bucket = Bucket::new(store, AT_ONCE);
        let missing = Lake::open_read_only(bucket.place(folder.path())).await;
        assert!(
            matches!(missing, Err(LakeError::Missing { .. })),
            "{missing:?}"
        );
        let mut options = bucket.options();
        options.url = "s3://there-is-none-of-this-name/x".to_owned();
        let mut place = bucket.place(folder.path());
        place.bucket = Some(options);
        let refused = Lake::open(place.clone()).await.unwrap_err().to_string();
        assert_eq!(
            refused,
            "s3://there-is-none-of-this-name/x: there is no such bucket; make it first"
        );
        // The second store takes any credentials.
        if std::env::var("SEALWRIGHT_TEST_S3").is_ok_and(|url| url == bucket.store.endpoint) {
            let mut options = bucket.options();
            options.secret_key = "another".to_owned();
            place.bucket = Some(options);
            let refused = Lake::open(place).await.unwrap_err().to_string();
            assert!(refused.contains("refuses the credentials"), "{refused}");
            assert!(!refused.contains("another"), "{refused}");
        }
    }
}

/// A store that takes no notice of conditions.
async fn careless(
    objects: Arc<Mutex<HashMap<String, Bytes>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 2], Bytes) {
    let headers = [
        ("etag", "\"1\""),
        ("last-modified", "Mon, 23 Nov 2026 12:00:00 GMT"),
    ];
    let mut objects = objects.lock().unwrap();
    let name = uri.path().to_owned();
    let found = match method {
        Method::PUT => objects.insert(name, body).map(|_| Bytes::new()),
        Method::DELETE => objects.remove(&name).map(|_| Bytes::new()),
        _ => objects.get(&name).cloned(),
    };
    let status = match (found.is_some(), method) {
        (false, Method::GET) => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    (status, headers, found.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_honours_no_conditions_is_refused() {
    let objects = Arc::default();
    let router = axum::Router::new()
        .fallback(move |method, uri, body| careless(Arc::clone(&objects), method, uri, body));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let bucket = Bucket::new(super::store::Store::named(&endpoint, "careless"), AT_ONCE);
    let folder = tempfile::tempdir().unwrap();
    let refused = Lake::open(bucket.place(folder.path())).await.unwrap_err();
    assert!(refused.to_string().contains("If-None-Match"), "{refused}");
}
