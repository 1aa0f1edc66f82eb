//! Appending: exactly once, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use sealwright_core::TenantScope;
use sealwright_events::Consumer as _;
use sealwright_lake::{EventFilter, Lake, LakeError, LakeWriter, WritePolicy};

use crate::support::{all, append, data_files, event, events, open, spec};

/// The workspace's serde_json keeps the text of numbers, which changes how numbers are handed to
/// flattened and untagged types. Every step of the table format is gone through with it.
#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_table_format_works() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = events(0..400);
    {
        let lake = open(folder.path()).await;
        assert_eq!(lake.status().next_offset, 0);
        append(&lake, &[&wanted[..100], &wanted[100..150], &wanted[150..]]).await;
        assert_eq!(all(&lake).await, wanted);
    }
    let lake = open(folder.path()).await;
    assert_eq!(lake.next_offset(), 400);
    let before = lake.status();
    assert_eq!(before.rows, 400);
    lake.compact(crate::support::NOW, Default::default())
        .await
        .unwrap();
    let log = lake.clean_log().await.unwrap();
    assert!(log.files > 3, "{log:?}");
    lake.vacuum(Duration::ZERO).await.unwrap();
    drop(lake);
    // Now the state comes from the checkpoint alone.
    let lake = open(folder.path()).await;
    assert_eq!(lake.next_offset(), 400);
    let after = lake.status();
    assert_eq!(
        (after.rows, &after.oldest, &after.newest),
        (400, &before.oldest, &before.newest)
    );
    assert!(after.files < before.files, "{after:?}");
    assert_eq!(all(&lake).await, wanted);
    append(&lake, &[&events(400..410)]).await;
    assert_eq!(lake.status().rows, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn buffers_until_due_and_says_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let policy = WritePolicy {
        events: 50,
        age: Duration::from_secs(3_600),
        ..Default::default()
    };
    let writer = LakeWriter::new(lake.clone(), policy);
    writer.consume(&events(0..30)).await.unwrap();
    assert_eq!(writer.cursor().await.unwrap(), 30);
    assert_eq!(writer.durable_cursor(), 0);
    assert_eq!(lake.status().rows, 0);
    // The same events again, as after a lost answer, and the rest.
    writer.consume(&events(10..60)).await.unwrap();
    assert_eq!(writer.durable_cursor(), 60);
    assert_eq!(lake.status().rows, 60);
    let gap = writer.consume(&events(61..62)).await.unwrap_err();
    assert!(gap.to_string().contains("offset 60"), "{gap}");
    assert_eq!(all(&lake).await, events(0..60));
}

#[tokio::test(flavor = "multi_thread")]
async fn age_makes_events_visible() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let policy = WritePolicy {
        age: Duration::from_millis(50),
        ..Default::default()
    };
    let writer = Arc::new(LakeWriter::new(lake.clone(), policy));
    let stop = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn({
        let (writer, stop) = (Arc::clone(&writer), stop.clone());
        async move { writer.run(stop).await }
    });
    writer.consume(&events(0..3)).await.unwrap();
    for _ in 0..200 {
        if lake.status().rows == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(lake.status().rows, 3);
    // What is buffered at the end is written too.
    let policy = WritePolicy {
        age: Duration::from_secs(3_600),
        ..Default::default()
    };
    stop.cancel();
    task.await.unwrap();
    let writer = LakeWriter::new(lake.clone(), policy);
    writer.consume(&events(3..5)).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    writer.run(stop).await;
    assert_eq!(lake.status().next_offset, 5);
}

/// A crash loses what was buffered; the log gives it again from the durable cursor.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_neither_loses_nor_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = events(0..300);
    let mut crashes = 0;
    loop {
        let lake = open(folder.path()).await;
        let writer = LakeWriter::new(
            lake.clone(),
            WritePolicy {
                events: 35,
                ..Default::default()
            },
        );
        let mut cursor = writer.cursor().await.unwrap() as usize;
        assert_eq!(cursor as u64, lake.next_offset());
        // Three reads, then the process is gone with its buffer.
        for _ in 0..3 {
            let end = (cursor + 20).min(wanted.len());
            if cursor == end {
                break;
            }
            writer.consume(&wanted[cursor..end]).await.unwrap();
            cursor = end;
        }
        if cursor == wanted.len() {
            writer.flush().await.unwrap();
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 3);
    let lake = open(folder.path()).await;
    assert_eq!(all(&lake).await, wanted);
    assert_eq!(
        lake.count(TenantScope::All, &EventFilter::default())
            .await
            .unwrap(),
        300
    );
}

/// `kill -9` of a real process at points that differ from run to run; the files decide.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_writing() {
    if let Ok(folder) = std::env::var("SEALWRIGHT_LAKE_CHILD") {
        child(std::path::Path::new(&folder)).await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rounds: u64 = std::env::var("SEALWRIGHT_KILLS")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(6);
    let mut seed = 7_u64;
    for _ in 0..rounds {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "write::kill_9_while_writing", "--nocapture"])
            .env("SEALWRIGHT_LAKE_CHILD", folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(150 + (seed >> 33) % 500)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let lake = open(folder.path()).await;
    let next = lake.next_offset();
    assert!(next > 0, "no child ever committed");
    assert_eq!(all(&lake).await, events(0..next));
    lake.vacuum(Duration::ZERO).await.unwrap();
    assert_eq!(data_files(folder.path()).len() as u64, lake.status().files);
}

async fn child(folder: &std::path::Path) {
    let lake = open(folder).await;
    let writer = LakeWriter::new(
        lake.clone(),
        WritePolicy {
            events: 1,
            ..Default::default()
        },
    );
    loop {
        let from = writer.cursor().await.unwrap();
        writer.consume(&events(from..from + 40)).await.unwrap();
        if from % 200 == 0 {
            lake.compact(
                crate::support::NOW,
                sealwright_lake::CompactPolicy {
                    open_files: 2,
                    ..Default::default()
                },
            )
            .await
            .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writer_and_many_readers() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Lake::open_read_only(folder.path()).await.unwrap_err();
    assert!(matches!(missing, LakeError::Missing { .. }), "{missing}");
    let lake = open(folder.path()).await;
    let second = Lake::open(folder.path()).await.unwrap_err();
    assert!(matches!(second, LakeError::InUse { .. }), "{second}");
    let reader = Lake::open_read_only(folder.path()).await.unwrap();
    append(&lake, &[&events(0..20)]).await;
    let count = |lake: Lake| async move {
        lake.count(TenantScope::All, &EventFilter::default())
            .await
            .unwrap()
    };
    assert_eq!(count(reader.clone()).await, 20);
    append(&lake, &[&events(20..40)]).await;
    lake.compact(crate::support::NOW, Default::default())
        .await
        .unwrap();
    lake.vacuum(Duration::ZERO).await.unwrap();
    lake.clean_log().await.unwrap();
    assert_eq!(count(reader.clone()).await, 40, "after vacuum and clean-up");
    let refused = reader
        .compact(crate::support::NOW, Default::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, LakeError::ReadOnly), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_new_types_cannot_make_folders_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted: Vec<_> = (0..300)
        .map(|n| {
            let mut s = spec(n);
            s.event_type = format!("kind{n}.x.y");
            s.time = crate::support::NOW;
            event(n, &s)
        })
        .collect();
    append(&lake, &[&wanted]).await;
    assert_eq!(
        lake.status().partitions as usize,
        sealwright_lake::MAX_STREAMS + 1
    );
    assert_eq!(all(&lake).await, wanted);
}
