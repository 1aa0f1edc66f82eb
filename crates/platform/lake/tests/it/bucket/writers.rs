//! Several processes that write: one at a time, and none twice, whatever becomes of them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwright_core::SystemClock;
use sealwright_events::{Consumer as _, StoredEvent};
use sealwright_lake::{BucketTimes, Lake, LakeError, LakeWriter, WritePolicy};
use tempfile::TempDir;

use super::store::Store;
use super::{Bucket, stores};
use crate::support::{NOW, all, append, event, spec};

/// Events of one stream and day, so that a commit is one file.
fn events(range: std::ops::Range<u64>) -> Vec<StoredEvent> {
    let one = |n| {
        let mut spec = spec(n);
        "sealwright.usage.ai.v1".clone_into(&mut spec.event_type);
        spec.time = NOW;
        event(n, &spec)
    };
    range.map(one).collect()
}

const RECORD: &str = "a/lake/writer.json";

async fn shared(bucket: &Bucket) -> (Lake, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let place = bucket.place(folder.path());
    let lake = Lake::open_shared(place, Arc::new(SystemClock))
        .await
        .unwrap();
    (lake, folder)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writes_until_it_ends_and_then_another() {
    for store in stores() {
        let times = BucketTimes {
            lease: Duration::from_millis(1_200),
            ..BucketTimes::default()
        };
        let bucket = Bucket::new(store, times);
        let (first, _one) = shared(&bucket).await;
        let (second, _two) = shared(&bucket).await;
        assert!(first.owned() && !second.owned());
        append(&first, &[&events(0..10)]).await;
        // It is renewed as long as the lake is open.
        tokio::time::sleep(times.lease * 2).await;
        assert!(first.owned() && !second.try_own().await.unwrap());
        second.refresh().await.unwrap();
        assert_eq!(second.next_offset(), 10);
        let refused = second.compact(NOW, Default::default()).await;
        assert!(matches!(refused, Err(LakeError::ReadOnly)), "{refused:?}");
        let here = tempfile::tempdir().unwrap();
        let in_use = Lake::open(bucket.place(here.path())).await;
        assert!(matches!(in_use, Err(LakeError::InUse { .. })), "{in_use:?}");

        // Given up, it is free at once.
        first.release().await.unwrap();
        assert!(!first.owned());
        assert!(second.try_own().await.unwrap() && second.owned());
        append(&second, &[&events(10..20)]).await;
        // One that ends without a word is waited for.
        std::mem::forget(first);
        drop(second);
        let (third, _three) = shared(&bucket).await;
        until("the record runs out", async || {
            third.try_own().await.unwrap()
        })
        .await;
        append(&third, &[&events(20..30)]).await;
        assert_eq!(all(&third).await, events(0..30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_lost_its_lease_writes_no_more() {
    for store in stores() {
        let times = BucketTimes {
            lease: Duration::from_millis(900),
            ..BucketTimes::default()
        };
        let bucket = Bucket::new(store, times);
        let (first, _one) = shared(&bucket).await;
        append(&first, &[&events(0..10)]).await;
        let (second, _two) = shared(&bucket).await;
        let record = r#"{"holder":"somebody","once":"1"}"#;
        bucket.store.put(RECORD, record.into()).await;
        until("the first notices", async || !first.owned()).await;
        let takes = async || second.try_own().await.unwrap();
        until("nobody renews it, so it is taken", takes).await;
        let writer = LakeWriter::new(first.clone(), WritePolicy::default());
        writer.consume(&events(10..20)).await.unwrap();
        let refused = writer.flush().await;
        assert!(matches!(refused, Err(LakeError::ReadOnly)), "{refused:?}");
        append(&second, &[&events(10..20)]).await;
        first.refresh().await.unwrap();
        assert_eq!(
            writer.cursor().await.unwrap(),
            20,
            "nothing is buffered any more"
        );
        assert_eq!(all(&first).await, events(0..20));
    }
}

/// Whoever has the record keeps it for the whole of a test.
fn slow() -> BucketTimes {
    BucketTimes {
        lease: Duration::from_secs(600),
        ..BucketTimes::default()
    }
}

/// All of them take themselves for the writer: the record is no more than advice.
#[tokio::test(flavor = "multi_thread")]
async fn writers_that_race_write_each_event_once() {
    const EVENTS: u64 = 150;
    for store in stores() {
        let bucket = Bucket::new(store, slow());
        let mut lakes = Vec::new();
        for _ in 0..3 {
            let one = shared(&bucket).await;
            assert!(one.0.owned());
            lakes.push(one);
            bucket.store.delete(RECORD).await;
        }
        let mut tasks = tokio::task::JoinSet::new();
        for (lake, _) in &lakes {
            let lake = lake.clone();
            tasks.spawn(async move {
                let writer = LakeWriter::new(lake, WritePolicy::default());
                let (mut written, mut lost) = (0_u64, 0_u64);
                loop {
                    let from = writer.cursor().await.unwrap();
                    if from >= EVENTS {
                        return (written, lost);
                    }
                    let to = (from + 7).min(EVENTS);
                    writer.consume(&events(from..to)).await.unwrap();
                    match writer.flush().await {
                        Ok(()) => written += to - from,
                        Err(_) => lost += 1,
                    }
                    assert!(lost < 10_000);
                }
            });
        }
        let done = tasks.join_all().await;
        let written: u64 = done.iter().map(|(written, _)| written).sum();
        let lost: u64 = done.iter().map(|(_, lost)| lost).sum();
        assert_eq!(
            written, EVENTS,
            "each event was written by one of them: {done:?}"
        );
        assert!(lost > 0, "they did race: {done:?}");
        let (reader, _folder) = bucket.read().await;
        assert_eq!(all(&reader).await, events(0..EVENTS));
        assert_eq!(reader.status().rows, EVENTS);
        assert_eq!(reader.check().await.unwrap().problem_count, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_was_overtaken_changes_nothing() {
    for store in stores() {
        let bucket = Bucket::new(store, slow());
        let (first, _one) = shared(&bucket).await;
        append(&first, &events(0..200).chunks(20).collect::<Vec<_>>()).await;
        bucket.store.delete(RECORD).await;
        let (second, _two) = shared(&bucket).await;
        append(&second, &[&events(200..220)]).await;
        // Made of a state that is no more.
        let policy = sealwright_lake::CompactPolicy {
            open_files: 2,
            ..Default::default()
        };
        let overtaken = first.compact(NOW, policy).await;
        assert!(overtaken.is_err(), "{overtaken:?}");
        assert_eq!(first.next_offset(), 220, "it knows what the other did");
        assert!(first.compact(NOW, policy).await.unwrap().files_after > 0);
        append(&first, &[&events(220..230)]).await;
        let (reader, _folder) = bucket.read().await;
        assert_eq!(all(&reader).await, events(0..230));
    }
}

const STORE: &str = "SEALWRIGHT_TEST_LAKE_PROCESS";
const PROCESS_EVENTS: u64 = 150;

/// Not a test of its own: what [`processes_that_are_killed_lose_and_double_nothing`] starts, several times.
#[tokio::test(flavor = "multi_thread")]
async fn a_writing_process() {
    let Ok(given) = std::env::var(STORE) else {
        return;
    };
    let [endpoint, name, folder]: [String; 3] = serde_json::from_str(&given).unwrap();
    let bucket = Bucket::new(Store::named(&endpoint, &name), quick());
    let place = bucket.place(&PathBuf::from(folder));
    let lake = Lake::open_shared(place, Arc::new(SystemClock))
        .await
        .unwrap();
    let writer = LakeWriter::new(lake.clone(), WritePolicy::default());
    loop {
        let from = lake.next_offset();
        if from >= PROCESS_EVENTS {
            return;
        }
        match lake.try_own().await {
            Ok(true) => {}
            _ => {
                let _ = lake.refresh().await;
                tokio::time::sleep(Duration::from_millis(30)).await;
                continue;
            }
        }
        let from = writer.cursor().await.unwrap();
        let to = (from + 5).min(PROCESS_EVENTS);
        if writer.consume(&events(from..to)).await.is_ok() {
            let _ = writer.flush().await;
        }
    }
}

fn quick() -> BucketTimes {
    BucketTimes {
        lease: Duration::from_millis(600),
        ..BucketTimes::default()
    }
}

fn start(bucket: &Bucket, folder: &std::path::Path) -> Child {
    let given = [
        bucket.store.endpoint.clone(),
        bucket.store.bucket.clone(),
        folder.display().to_string(),
    ];
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bucket::writers::a_writing_process"])
        .env(STORE, serde_json::to_string(&given).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_killed_lose_and_double_nothing() {
    for store in stores() {
        let bucket = Bucket::new(store, quick());
        let folders: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut children: Vec<Child> = folders.iter().map(|f| start(&bucket, f.path())).collect();
        let (begin, mut kills) = (Instant::now(), 0);
        let reader = loop {
            tokio::time::sleep(Duration::from_millis(400)).await;
            let folder = tempfile::tempdir().unwrap();
            let opened = Lake::open_read_only(bucket.place(folder.path())).await;
            if let Ok(reader) = opened {
                if reader.next_offset() >= PROCESS_EVENTS {
                    break (reader, folder);
                }
                // With kill -9: between the put of a file and its commit, too.
                if kills < 6 {
                    let at = kills % children.len();
                    children[at].kill().unwrap();
                    children[at].wait().unwrap();
                    children[at] = start(&bucket, folders[at].path());
                    kills += 1;
                }
            }
            assert!(
                begin.elapsed() < Duration::from_secs(120),
                "they do not get on"
            );
        };
        for mut child in children {
            let _ = child.wait();
        }
        assert!(kills > 2);
        assert_eq!(all(&reader.0).await, events(0..PROCESS_EVENTS));
        assert_eq!(reader.0.status().rows, PROCESS_EVENTS);
    }
}
