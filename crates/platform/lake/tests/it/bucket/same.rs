//! What a lake in a folder does, one in a bucket does.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use sealwright_core::TenantScope;
use sealwright_events::StoredEvent;
use sealwright_lake::{
    BucketTimes, CompactPolicy, Erasure, ErasureKey, Lake, LakeError, LakePlace, QueryLimits,
};

use super::{AT_ONCE, Bucket, stores};
use crate::ask::{Terms, judged_by, searches};
use crate::erase::traces_in;
use crate::support::{DAY, NOW, Register, all, append, event, events, open, spec, tenant};

const SQL: &str = r#"SELECT tenant_id, type, day, count(*) AS n, min("offset") AS first, max(json) AS last
    FROM events GROUP BY tenant_id, type, day ORDER BY tenant_id, type, day"#;

async fn rows(lake: &Lake, scope: TenantScope) -> Vec<Vec<serde_json::Value>> {
    let result = lake.query(scope, SQL, QueryLimits::default()).await;
    result.unwrap().rows
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_folder() {
    for store in stores() {
        let bucket = Bucket::new(store, AT_ONCE);
        let (lake, _folder) = bucket.open().await;
        let here = tempfile::tempdir().unwrap();
        let local = open(here.path()).await;
        let wanted = events(0..600);
        let parts: Vec<&[StoredEvent]> = wanted.chunks(100).collect();
        append(&lake, &parts).await;
        append(&local, &parts).await;
        assert_eq!(all(&lake).await, wanted);
        for scope in [TenantScope::All, TenantScope::One(tenant(3))] {
            assert_eq!(rows(&lake, scope).await, rows(&local, scope).await);
        }
        // Another process, which has nothing of it yet.
        let (reader, folder) = bucket.read().await;
        assert!(!reader.owned());
        assert_eq!((reader.id(), reader.status()), (lake.id(), lake.status()));
        assert_eq!(all(&reader).await, wanted);
        assert_eq!(reader.check().await.unwrap().problem_count, 0);

        let policy = CompactPolicy {
            open_files: 2,
            ..CompactPolicy::default()
        };
        let before = bucket.store.data_files().await.len();
        let done = lake.compact(NOW, policy).await.unwrap();
        assert!(done.files_after < done.files_before);
        let vacuum = lake.vacuum(Duration::ZERO).await.unwrap();
        assert_eq!((vacuum.files, vacuum.waiting), (done.files_before, 0));
        let after = bucket.store.data_files().await;
        assert_eq!(after.len() as u64, lake.status().files);
        assert!(after.len() < before);
        assert!(lake.clean_log().await.unwrap().files > 0);
        append(&lake, &[&events(600..700)]).await;
        assert_eq!(all(&reader).await, events(0..700));
        assert_eq!(reader.status(), lake.status());
        // What was replaced has left the other process's folder.
        let kept = crate::support::files(folder.path());
        let kept = kept
            .iter()
            .filter(|(p, _)| p.extension().is_some_and(|e| e == "parquet"));
        assert!(kept.count() as u64 <= lake.status().files);

        // Opened anew, also from a place that knows nothing.
        lake.release().await.unwrap();
        drop(lake);
        let (lake, _folder) = bucket.open().await;
        assert_eq!(all(&lake).await, events(0..700));
        append(&lake, &[&events(700..710)]).await;
        assert_eq!(lake.next_offset(), 710);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_with_an_index_and_without() {
    for store in stores() {
        let mut bucket = Bucket::new(store, AT_ONCE);
        // Each file pushes the one before out.
        bucket.cache_bytes = 1;
        let (lake, _folder) = bucket.open().await;
        let terms = || Arc::new(Terms(AtomicU32::new(1)));
        lake.set_terms(terms());
        let stored = events(0..150);
        append(&lake, &[&stored[..100], &stored[100..]]).await;
        let later = NOW.plus(30 * DAY);
        let some = &searches()[1..2];
        let without = judged_by(&lake, &stored, some).await;
        lake.compact(later, CompactPolicy::default()).await.unwrap();
        let made = lake.index(later, Duration::from_secs(60)).await.unwrap();
        assert_eq!((made.rows, made.left), (150, 0));
        let with = judged_by(&lake, &stored, some).await;
        assert!(
            with < without,
            "{with} events were looked at, {without} before"
        );
        // Elsewhere there is no index, and the answers are the same.
        let (reader, _folder) = bucket.read().await;
        reader.set_terms(terms());
        assert!(judged_by(&reader, &stored, some).await > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_leaves_the_bucket_and_every_folder() {
    const SUBJECT: &str = "person-51c2@example.org";
    for store in stores() {
        let times = BucketTimes {
            grace: Duration::from_millis(1_500),
            ..AT_ONCE
        };
        let bucket = Bucket::new(store, times);
        let (lake, writing) = bucket.open().await;
        let wanted: Vec<_> = (0..300)
            .map(|n| {
                let mut s = spec(n);
                s.tenant = 1;
                if n % 10 == 4 {
                    s.subject = Some(SUBJECT.to_owned());
                }
                event(n, &s)
            })
            .collect();
        append(&lake, &wanted.chunks(60).collect::<Vec<_>>()).await;
        let (reader, reading) = bucket.read().await;
        assert_eq!(all(&reader).await.len(), 300);
        let erasure = Erasure {
            tenant: tenant(1),
            what: ErasureKey::Subject(SUBJECT.to_owned()),
        };
        let now = NOW.plus(9 * DAY);
        // A reader elsewhere may be at work: the rows are gone, the files wait.
        let held = lake
            .erase(now, &erasure, &Register::empty(), Duration::ZERO)
            .await;
        assert!(
            matches!(held, Err(LakeError::Waiting { files: 1.. })),
            "{held:?}"
        );
        assert_eq!(all(&reader).await.len(), 270);
        let done = lake
            .erase(now, &erasure, &Register::empty(), Duration::from_secs(20))
            .await
            .unwrap();
        assert!(done.vacuum.files > 0 && done.open_days.is_empty());
        let mut objects = Vec::new();
        for name in bucket.store.names().await {
            let bytes = bucket.store.get(&name).await;
            objects.push((name.into(), bytes));
        }
        assert_eq!(traces_in(objects, SUBJECT), Vec::<String>::new());
        reader.refresh().await.unwrap();
        for folder in [writing.path(), reading.path()] {
            let files = crate::support::files(folder);
            assert_eq!(traces_in(files, SUBJECT), Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vacuum_leaves_what_others_may_need() {
    for store in stores() {
        let mut bucket = Bucket::new(
            store,
            BucketTimes {
                grace: Duration::ZERO,
                abandoned: Duration::from_secs(3_600),
                ..AT_ONCE
            },
        );
        let (lake, _folder) = bucket.open().await;
        append(&lake, &[&events(0..50), &events(50..100)]).await;
        // A writer elsewhere has put a file and not yet committed it.
        let orphan = "a/lake/events/stream=x.y/day=2026-11-23/part-1.parquet";
        bucket.store.put(orphan, vec![1, 2, 3]).await;
        let vacuum = lake.vacuum(Duration::ZERO).await.unwrap();
        assert_eq!((vacuum.files, vacuum.waiting), (0, 1));
        // A copy of the whole takes longer than queries.
        let (reader, _reading) = bucket.read().await;
        let copy = reader.copy().await.unwrap();
        let policy = CompactPolicy {
            open_files: 2,
            ..CompactPolicy::default()
        };
        lake.compact(NOW, policy).await.unwrap();
        let refused = lake.vacuum(Duration::ZERO).await;
        assert!(
            matches!(refused, Err(LakeError::Readers { readers: 1 })),
            "{refused:?}"
        );
        for part in &copy.files {
            assert_eq!(
                part.open().await.unwrap().metadata().unwrap().len(),
                part.bytes
            );
        }
        drop(copy);
        let mut vacuum = lake.vacuum(Duration::ZERO).await;
        for _ in 0..100 {
            if vacuum.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            vacuum = lake.vacuum(Duration::ZERO).await;
        }
        let vacuum = vacuum.unwrap();
        assert!(vacuum.files > 0);
        assert_eq!(vacuum.waiting, 1);
        assert!(bucket.store.names().await.contains(&orphan.to_owned()));
        drop(lake);
        bucket.times = AT_ONCE;
        let (lake, _folder) = {
            let folder = tempfile::tempdir().unwrap();
            bucket.store.delete("a/lake/writer.json").await;
            let lake = Lake::open(bucket.place(folder.path())).await.unwrap();
            (lake, folder)
        };
        assert_eq!(lake.vacuum(Duration::ZERO).await.unwrap().files, 1);
        assert!(!bucket.store.names().await.contains(&orphan.to_owned()));
        assert_eq!(all(&lake).await, events(0..100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_moves_to_a_bucket_and_back() {
    for store in stores() {
        let bucket = Bucket::new(store, AT_ONCE);
        let (from, there, back) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let lake = open(&from.path().join("lake")).await;
        append(&lake, &events(0..300).chunks(60).collect::<Vec<_>>()).await;
        lake.maintain(NOW, CompactPolicy::default()).await.unwrap();
        append(&lake, &[&events(300..360)]).await;
        // An empty bucket in the place of a lake that there is would be another lake.
        let refused = Lake::open(bucket.place(from.path())).await.unwrap_err();
        assert!(refused.to_string().contains("lake move"), "{refused}");

        let to = bucket.place(there.path());
        let report = lake.copy_to(&to).await.unwrap();
        assert_eq!((report.rows, report.next_offset), (360, 360));
        let again = lake.copy_to(&to).await.unwrap_err();
        assert!(again.to_string().contains("already"), "{again}");
        let moved = Lake::open(&to).await.unwrap();
        assert_eq!((moved.id(), moved.status()), (lake.id(), lake.status()));
        append(&moved, &[&events(360..400)]).await;
        assert_eq!(all(&moved).await, events(0..400));

        let place: LakePlace = back.path().into();
        assert_eq!(moved.copy_to(&place).await.unwrap().rows, 400);
        let returned = open(back.path()).await;
        assert_eq!(returned.id(), lake.id());
        append(&returned, &[&events(400..420)]).await;
        assert_eq!(all(&returned).await, events(0..420));
    }
}
