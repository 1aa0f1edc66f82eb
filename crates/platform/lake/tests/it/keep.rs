//! Maintenance: compaction, retention, vacuum.

use std::time::Duration;

use sealwright_core::TenantScope;
use sealwright_events::{HeldEvents, HoldError};
use sealwright_lake::{CompactPolicy, EventFilter, LakeError, RetentionPolicy};

use crate::support::{DAY, NOW, Register, all, append, data_files, events, held, open, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn compaction_keeps_rows_equal() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..500);
    append(&lake, &wanted.chunks(50).collect::<Vec<_>>()).await;
    let before = lake.status();
    let report = lake.compact(NOW, CompactPolicy::default()).await.unwrap();
    let after = lake.status();
    assert_eq!(
        before.files - after.files,
        report.files_before - report.files_after
    );
    // The open day has 10 files a stream, fewer than 16, so only closed days are joined.
    let open: std::collections::BTreeSet<_> = wanted
        .iter()
        .filter(|e| e.time >= NOW.floor_day())
        .map(|e| sealwright_lake::stream_of(&e.event_type))
        .collect();
    assert_eq!(
        report.partitions,
        before.partitions - open.len() as u64,
        "{report:?}"
    );
    assert_eq!(all(&lake).await, wanted);
    // Nothing is left to do on closed days.
    assert_eq!(
        lake.compact(NOW, CompactPolicy::default()).await.unwrap(),
        Default::default()
    );
    let tomorrow = NOW.plus(2 * DAY);
    lake.compact(tomorrow, CompactPolicy::default())
        .await
        .unwrap();
    assert_eq!(lake.status().files, lake.status().partitions);
    assert_eq!(all(&lake).await, wanted);
    assert_eq!(lake.next_offset(), 500);
    let vacuum = lake.vacuum(Duration::ZERO).await.unwrap();
    assert!(vacuum.files > 0 && vacuum.bytes > 0);
    assert_eq!(data_files(folder.path()).len() as u64, lake.status().files);
    assert_eq!(all(&lake).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_and_appends_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..600);
    let writing = tokio::spawn({
        let (lake, wanted) = (lake.clone(), wanted.clone());
        async move { append(&lake, &wanted.chunks(30).collect::<Vec<_>>()).await }
    });
    let policy = CompactPolicy {
        open_files: 2,
        ..Default::default()
    };
    while !writing.is_finished() {
        lake.compact(NOW, policy).await.unwrap();
        lake.vacuum(Duration::from_secs(5)).await.unwrap();
        lake.clean_log().await.unwrap();
    }
    writing.await.unwrap();
    assert_eq!(all(&lake).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_by_stream_keeps_what_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..400);
    append(&lake, &[&wanted]).await;
    let policy = RetentionPolicy {
        default_days: None,
        streams: [("sealwright.usage".to_owned(), 1), ("com".to_owned(), 2)].into(),
    };
    let holds = Register::holding(vec![
        held(3, None),
        held(4, Some("user-4")),
        HeldEvents {
            from: Some(NOW.plus(-3 * DAY)),
            ..held(2, None)
        },
    ]);
    let plan = lake.retain(NOW, &policy, &holds, false).await.unwrap();
    assert_eq!(lake.status().rows, 400, "a plan removes nothing");
    let done = lake.retain(NOW, &policy, &holds, true).await.unwrap();
    assert_eq!(
        (plan.rows_removed, plan.rows_held, &plan.partitions),
        (done.rows_removed, done.rows_held, &done.partitions)
    );
    let today = NOW.floor_day();
    let expected: Vec<_> = wanted
        .into_iter()
        .filter(|e| {
            let age = today.since(e.time.floor_day()) / DAY;
            let limit = match e.event_type.as_str() {
                t if t.starts_with("sealwright.usage.") => 1,
                t if t.starts_with("com.") => 2,
                _ => i64::MAX,
            };
            let kept = e.tenant == tenant(3)
                || e.tenant == tenant(4) && e.subject.as_deref() == Some("user-4")
                || e.tenant == tenant(2) && e.time >= NOW.plus(-3 * DAY);
            age <= limit || kept
        })
        .collect();
    assert_eq!(done.rows_removed, 400 - expected.len() as u64);
    assert!(done.rows_held > 0);
    assert_eq!(all(&lake).await, expected);
}

/// Without an answer nothing goes, and what is opened while retention works stays.
#[tokio::test(flavor = "multi_thread")]
async fn retention_removes_nothing_without_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..200);
    append(&lake, &[&wanted]).await;
    let policy = RetentionPolicy {
        default_days: Some(1),
        ..RetentionPolicy::default()
    };
    let broken = || Err(HoldError("no answer".to_owned()));
    for answers in [
        vec![broken()],
        vec![Ok(Vec::new()), broken()],
        vec![Ok(Vec::new()), Ok(vec![held(1, None)])],
        vec![
            Ok(vec![held(1, None)]),
            Ok(vec![held(1, None), held(2, None)]),
        ],
    ] {
        let register = Register::saying(answers);
        lake.retain(NOW, &policy, &register, true)
            .await
            .unwrap_err();
        assert_eq!(all(&lake).await, wanted, "{register:?}");
    }
    lake.retain(NOW, &policy, &Register::empty(), true)
        .await
        .unwrap();
    assert!(all(&lake).await.len() < 200);
}

/// A reader that is still at work keeps its files; readers that come later do not count.
#[tokio::test(flavor = "multi_thread")]
async fn vacuum_waits_for_readers_of_older_states() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &events(0..200).chunks(20).collect::<Vec<_>>()).await;
    // What a reader in another process leaves while it runs.
    let readers = folder.path().join("readers");
    std::fs::create_dir_all(&readers).unwrap();
    let name = format!("other-{}.lock", lake.status().version);
    let file = std::fs::File::create(readers.join(name)).unwrap();
    file.lock().unwrap();
    lake.compact(NOW, CompactPolicy::default()).await.unwrap();
    let before = data_files(folder.path()).len();
    let waiting = lake.vacuum(Duration::from_millis(100)).await.unwrap_err();
    assert!(
        matches!(waiting, LakeError::Readers { readers: 1 }),
        "{waiting}"
    );
    assert_eq!(data_files(folder.path()).len(), before);
    drop(file);
    assert!(lake.vacuum(Duration::ZERO).await.unwrap().files > 0);
    assert_eq!(
        lake.count(TenantScope::All, &EventFilter::default())
            .await
            .unwrap(),
        200
    );
}
