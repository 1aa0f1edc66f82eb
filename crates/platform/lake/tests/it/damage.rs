//! Damage is found and named; what was never committed does not count.

use std::time::Duration;

use sealwright_core::TenantScope;
use sealwright_lake::{EventFilter, Lake, LakeError, QueryLimits};

use crate::support::{NOW, all, append, data_files, events, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_is_ignored_and_vacuumed() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..60);
    append(&lake, &[&wanted]).await;
    let whole = data_files(folder.path())[0].clone();
    let bytes = std::fs::read(&whole).unwrap();
    let half = whole.with_file_name("part-half.parquet");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(all(&lake).await, wanted);
    drop(lake);
    let lake = open(folder.path()).await;
    assert_eq!(all(&lake).await, wanted);
    let report = lake.vacuum(Duration::ZERO).await.unwrap();
    assert_eq!((report.files, report.bytes), (1, bytes.len() as u64 / 2));
    assert!(!half.exists() && whole.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_data_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..60), &events(60..120)]).await;
    let path = data_files(folder.path())[0].clone();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = std::fs::read(&path).unwrap();
    for (what, content) in [
        ("cut", bytes[..bytes.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("zeros", vec![0; bytes.len()]),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = lake
            .count(
                TenantScope::All,
                &EventFilter {
                    id: Some("x".into()),
                    ..Default::default()
                },
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error, LakeError::Damaged { .. }),
            "{what}: {error:?}"
        );
        assert!(error.to_string().contains(&name), "{what}: {error}");
        let error = lake
            .query(
                TenantScope::All,
                "SELECT id FROM events",
                QueryLimits::default(),
            )
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&name), "{what}: {error}");
        let error = lake.compact(NOW, Default::default()).await.unwrap_err();
        assert!(error.to_string().contains(&name), "{what}: {error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = lake.compact(NOW, Default::default()).await.unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
    let error = lake
        .count(
            TenantScope::All,
            &EventFilter {
                id: Some("x".into()),
                ..Default::default()
            },
        )
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_named_and_a_torn_end_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    let wanted = events(0..60);
    append(&lake, &[&wanted[..30], &wanted[30..]]).await;
    drop(lake);
    let log = folder.path().join("events/_delta_log");
    let newest = log.join(format!("{:020}.json", 2));
    let text = std::fs::read(&newest).unwrap();
    // A power cut before the newest commit was durable: the cursor goes back, the log gives the events
    // again.
    for torn in [Vec::new(), vec![0; text.len()]] {
        std::fs::write(&newest, torn).unwrap();
        let lake = open(folder.path()).await;
        assert_eq!(lake.next_offset(), 30);
        assert_eq!(all(&lake).await, wanted[..30]);
        append(&lake, &[&wanted[30..]]).await;
        assert_eq!(all(&lake).await, wanted);
    }
    std::fs::write(&newest, &text[..text.len() - 20]).unwrap();
    let error = Lake::open(folder.path()).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, LakeError::Damaged { .. }), "{message}");
    assert!(message.contains("00000000000000000002.json:"), "{message}");
    std::fs::write(&newest, "not json\n").unwrap();
    let message = Lake::open(folder.path()).await.unwrap_err().to_string();
    assert!(
        message.contains("00000000000000000002.json:1:"),
        "{message}"
    );
}
