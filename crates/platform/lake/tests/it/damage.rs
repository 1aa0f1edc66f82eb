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

/// Unmounts when the test ends, however it ends.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_nothing_half_done() {
    let outer = tempfile::tempdir().unwrap();
    let disk = outer.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&disk)
            .stderr(std::process::Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    if !mount("size=512k") {
        println!("skipped: a small disk cannot be mounted here");
        return;
    }
    let _mounted = Mounted(disk.clone());
    let folder = disk.join("lake");
    let lake = open(&folder).await;
    let mut next = 0_u64;
    let full = loop {
        let writer = sealwright_lake::LakeWriter::new(lake.clone(), Default::default());
        sealwright_events::Consumer::consume(&writer, &events(next..next + 200))
            .await
            .unwrap();
        match writer.flush().await {
            Ok(()) => next += 200,
            Err(error) => break error,
        }
        assert!(next < 100_000, "the disk never became full");
    };
    assert!(matches!(full, LakeError::DiskFull), "{full:?}");
    assert_eq!(lake.next_offset(), next);
    assert_eq!(
        data_files(&folder).len() as u64,
        lake.status().files,
        "no file was left behind"
    );
    assert_eq!(
        all(&lake).await,
        events(0..next),
        "and what is there can be read"
    );
    assert!(mount("remount,size=8m"));
    append(&lake, &[&events(next..next + 200)]).await;
    drop(lake);
    let lake = open(&folder).await;
    assert_eq!(all(&lake).await, events(0..next + 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_what_is_not_as_it_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..60), &events(60..120)]).await;
    let sound = lake.check().await.unwrap();
    assert_eq!((sound.rows, sound.problem_count), (120, 0), "{sound:?}");
    assert_eq!(sound.files, data_files(folder.path()).len() as u64);

    let path = data_files(folder.path())[0].clone();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let half = lake.check().await.unwrap();
    assert_eq!(half.problem_count, 1, "{half:?}");
    assert!(half.problems[0].contains(&name), "{half:?}");
    // A byte of a digest: the file can be read, and one event is another than it says.
    let event = events(0..120);
    let (at, _) = event
        .iter()
        .find_map(|e| Some((bytes.windows(32).position(|w| w == e.digest.0)?, e)))
        .expect("digests stand in the file as they are");
    let mut flipped = bytes.clone();
    flipped[at] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let changed = lake.check().await.unwrap();
    assert!(changed.problem_count >= 1, "{changed:?}");
    assert!(changed.problems[0].contains(&name), "{changed:?}");
}
