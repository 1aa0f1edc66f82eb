//! The log's files are enough: copied while it is written, and without its index.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sealwright_core::clock::DAY;
use sealwright_events::{EventLog as _, LogError, ReadLimit};
use sealwright_intake::{
    AppendError, COMPONENT, IntakeLog, LogCopy, LogHold, Status, StoreLog, TrimTo,
    files_into_tables, tables_into_files,
};
use sealwright_store::testing::both;

use crate::support::{NOW, new, open, read_all};

fn put(copy: &LogCopy, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for part in &copy.parts {
        let bytes = std::fs::read(&part.path).unwrap();
        std::fs::write(to.join(&part.name), &bytes[..part.bytes as usize]).unwrap();
    }
}

fn everything(close: bool) -> TrimTo {
    TrimTo {
        passed: u64::MAX >> 1,
        received_before: NOW.plus(1),
        forget_before: NOW.plus(-35 * DAY),
        close_segment: close,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_load_holds_all_that_was_acknowledged_before() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log"));
    let stop = Arc::new(AtomicBool::new(false));
    // How far the log may grow: a round reads all of it, and must not lose the race.
    let room = Arc::new(AtomicU64::new(0));
    let (writer, told, until) = (log.clone(), Arc::clone(&stop), Arc::clone(&room));
    let writing = tokio::spawn(async move {
        let mut i = 0;
        loop {
            if told.load(Ordering::SeqCst) {
                return;
            }
            if writer.head().await.unwrap() >= until.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
                continue;
            }
            let batch = (0..7).map(|n| new(&format!("{i}-{n}"), "1")).collect();
            writer.commit(NOW, vec![batch]).await.unwrap();
            i += 1;
        }
    });
    for round in 0..20 {
        room.store((round + 1) * 50 + 500, Ordering::SeqCst);
        while log.head().await.unwrap() < (round + 1) * 50 {
            tokio::task::yield_now().await;
        }
        let before = log.head().await.unwrap();
        let hold = LogHold::take(&folder.path().join("log")).unwrap();
        let copy = hold.copy().unwrap();
        assert_eq!(copy.offsets.start, 0);
        assert!(copy.offsets.end >= before, "{copy:?} {before}");
        let to = folder.path().join(format!("copy-{round}"));
        put(&copy, &to);
        let there = open(&to);
        assert_eq!(there.head().await.unwrap(), copy.offsets.end);
        let events = read_all(&there, ReadLimit::default()).await;
        assert_eq!(events.len() as u64, copy.offsets.end);
        // Known without the index that was not copied.
        let known = there
            .commit(NOW, vec![vec![new("0-3", "1")]])
            .await
            .unwrap();
        assert_eq!(known[0].statuses, [Status::Duplicate { offset: 3 }]);
    }
    stop.store(true, Ordering::SeqCst);
    writing.await.unwrap();
}

#[tokio::test]
async fn nothing_leaves_the_log_while_it_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for i in 0..200 {
        log.commit(NOW, vec![vec![new(&i.to_string(), "1")]])
            .await
            .unwrap();
    }
    let hold = LogHold::take(folder.path()).unwrap();
    // Two may copy at the same time.
    let second = LogHold::take(folder.path()).unwrap();
    assert_eq!(log.trim(everything(false)).await.unwrap(), 0);
    let refused = log.trim(everything(true)).await.unwrap_err();
    assert!(matches!(&refused, AppendError::Unavailable(why) if why.contains("backup")));
    drop(hold);
    assert!(log.trim(everything(true)).await.is_err());
    assert_eq!(second.copy().unwrap().offsets, 0..200);
    drop(second);
    assert_eq!(log.trim(everything(true)).await.unwrap(), 200);
}

#[tokio::test]
async fn what_left_the_log_before_its_time_is_recognised_without_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("log");
    let log = open(&source);
    for i in 0..300 {
        let at = NOW.plus(-i64::from(300 - i) * DAY / 10);
        log.commit(at, vec![vec![new(&i.to_string(), "1")]])
            .await
            .unwrap();
    }
    assert_eq!(log.trim(everything(true)).await.unwrap(), 300);
    let more = vec![vec![new("more", "1")]];
    log.commit(NOW, more).await.unwrap();
    let copy = LogHold::take(&source).unwrap().copy().unwrap();
    assert_eq!(copy.offsets, 300..301);
    let to = folder.path().join("copy");
    put(&copy, &to);
    let there = open(&to);
    let again = (0..300).map(|i| new(&i.to_string(), "1")).collect();
    let outcome = there.commit(NOW, vec![again]).await.unwrap();
    for (status, offset) in outcome[0].statuses.iter().zip(0..) {
        assert_eq!(*status, Status::Duplicate { offset });
    }
    // Once their time is over they are forgotten, and so are the files.
    let late = TrimTo {
        forget_before: NOW.plus(60 * DAY),
        ..everything(true)
    };
    there.trim(late).await.unwrap();
    let left = std::fs::read_dir(&to).unwrap();
    let left: Vec<_> = left
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "ids"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    drop(there);
    open(&to);
}

#[tokio::test]
async fn damage_is_named_and_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for i in 0..300 {
        log.commit(NOW, vec![vec![new(&i.to_string(), "1")]])
            .await
            .unwrap();
    }
    let trim = TrimTo {
        passed: 100,
        ..everything(false)
    };
    let first = log.trim(trim).await.unwrap();
    assert!(first > 0 && first <= 100, "{first}");
    drop(log);
    let copy = LogHold::take(folder.path()).unwrap().copy().unwrap();
    assert!(copy.parts.len() > 4, "{copy:?}");
    for part in &copy.parts {
        let whole = std::fs::read(&part.path).unwrap();
        let mut damaged = whole.clone();
        damaged[30] ^= 1;
        std::fs::write(&part.path, &damaged).unwrap();
        let error = LogHold::take(folder.path()).unwrap().copy().unwrap_err();
        let LogError::Corrupt { place, .. } = &error else {
            panic!("{error}");
        };
        // A damaged record may be the end of its segment: then what follows does not fit to it.
        let later = copy.parts.iter().any(|p| place.contains(&p.name));
        assert!(later, "{place}");
        std::fs::write(&part.path, &whole).unwrap();
    }
    assert_eq!(LogHold::take(folder.path()).unwrap().copy().unwrap(), copy);
}

/// What a log says: its events, and what it knows of events that have left it.
async fn said(log: &dyn IntakeLog) -> (Vec<(u64, i64, String)>, Vec<Status>) {
    let events = read_all(log, ReadLimit::default()).await;
    let events = events
        .iter()
        .map(|e| (e.offset, e.received_at.0, e.digest.to_string()))
        .collect();
    let again = (0..400).map(|i| new(&i.to_string(), "2")).collect();
    let outcome = log.commit(NOW, vec![again]).await.unwrap();
    (events, outcome[0].statuses.clone())
}

#[tokio::test]
async fn a_log_moves_into_tables_and_back_with_equal_offsets() {
    for store in both().await {
        let store = store.migrated(&[COMPONENT]).await;
        let files = store.path().join("log");
        let log = open(&files);
        for i in 0..400 {
            if i == 150 {
                assert_eq!(log.trim(everything(true)).await.unwrap(), 150);
            }
            let at = NOW.plus(i64::from(i) - 400);
            log.commit(at, vec![vec![new(&i.to_string(), "1")]])
                .await
                .unwrap();
        }
        drop(log);
        let moved = files_into_tables(&files, &store).await.unwrap();
        assert_eq!(moved, 150..400);
        let tables = StoreLog::open(sealwright_store::Store::clone(&store))
            .await
            .unwrap();
        let wanted = said(&open(&files)).await;
        assert_eq!(wanted.0.len(), 250);
        // Another body under a known identity: each is known, and where it was.
        let known = |status: &Status| {
            matches!(
                status,
                Status::Conflict {
                    offset: Some(_),
                    ..
                }
            )
        };
        assert!(wanted.1.iter().all(known));
        assert_eq!(said(&tables).await, wanted, "{}", store.name);

        let refused = tables_into_files(&store, &files).await.unwrap_err();
        assert!(refused.to_string().contains("not empty"), "{refused}");
        let back = store.path().join("back");
        assert_eq!(tables_into_files(&store, &back).await.unwrap(), 150..400);
        let log = open(&back);
        assert_eq!(said(&log).await, wanted, "{}", store.name);
        // And it goes on.
        let more = log.commit(NOW, vec![vec![new("more", "1")]]).await.unwrap();
        assert_eq!(more[0].statuses, [Status::Accepted { offset: 400 }]);
    }
}

#[tokio::test]
async fn an_empty_log_moves_with_its_place() {
    for store in both().await {
        let store = store.migrated(&[COMPONENT]).await;
        let files = store.path().join("log");
        let log = open(&files);
        for i in 0..10 {
            log.commit(NOW, vec![vec![new(&i.to_string(), "1")]])
                .await
                .unwrap();
        }
        assert_eq!(log.trim(everything(true)).await.unwrap(), 10);
        drop(log);
        assert_eq!(files_into_tables(&files, &store).await.unwrap(), 10..10);
        let back = store.path().join("back");
        assert_eq!(tables_into_files(&store, &back).await.unwrap(), 10..10);
        let log = open(&back);
        let again = log.commit(NOW, vec![vec![new("3", "1"), new("x", "1")]]);
        let again = again.await.unwrap();
        let wanted = [
            Status::Duplicate { offset: 3 },
            Status::Accepted { offset: 10 },
        ];
        assert_eq!(again[0].statuses, wanted);
    }
}
