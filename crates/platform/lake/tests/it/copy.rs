//! A state of the lake as files, while it is written, compacted and cleaned.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use sealwright_lake::{CompactPolicy, Erasure, ErasureKey, Lake, LakeCopy, LakeError};

use crate::support::{NOW, Register, all, append, events, open, tenant};

async fn put(copy: &LakeCopy, to: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for (name, bytes) in &copy.log {
        write(name, bytes);
    }
    for part in &copy.files {
        let mut bytes = Vec::new();
        part.open().await.unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, part.bytes);
        write(&part.name, &bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_held_stays_whole_while_the_lake_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder.path().join("lake")).await;
    append(&lake, &[&events(0..100), &events(100..200)]).await;
    // As another process reads it.
    let reader = Lake::open_read_only(&folder.path().join("lake"))
        .await
        .unwrap();
    let copy = reader.copy().await.unwrap();
    assert_eq!((copy.next_offset, copy.rows), (200, 200));
    append(&lake, &[&events(200..300)]).await;
    let policy = CompactPolicy {
        open_files: 2,
        ..CompactPolicy::default()
    };
    lake.compact(NOW, policy).await.unwrap();
    let waits = lake.vacuum(Duration::from_millis(100)).await;
    assert!(
        matches!(waits, Err(LakeError::Readers { readers: 1 })),
        "{waits:?}"
    );
    lake.clean_log().await.unwrap();
    assert!(!reader.has_lost_rows(&copy).await.unwrap(), "only moved");

    let to = folder.path().join("copy");
    put(&copy, &to).await;
    drop(copy);
    assert!(lake.vacuum(Duration::ZERO).await.unwrap().files > 0);
    let there = open(&to).await;
    assert_eq!((there.next_offset(), there.status().rows), (200, 200));
    assert_eq!(all(&there).await.len(), 200);
    assert_eq!(there.check().await.unwrap().problem_count, 0);
    // It goes on from there.
    append(&there, &[&events(200..300)]).await;
    assert_eq!(all(&there).await, all(&lake).await);

    // After the clean-up the log begins with a checkpoint.
    let copy = reader.copy().await.unwrap();
    assert!(
        copy.log[0].0.ends_with(".checkpoint.parquet"),
        "{:?}",
        copy.log[0].0
    );
    let to = folder.path().join("second");
    put(&copy, &to).await;
    let there = Lake::open_read_only(&to).await.unwrap();
    assert_eq!(there.status(), lake.status());
    // It goes on from a checkpoint, too, with no commit behind it.
    lake.clean_log().await.unwrap();
    let copy = reader.copy().await.unwrap();
    let to = folder.path().join("third");
    put(&copy, &to).await;
    let there = open(&to).await;
    append(&there, &[&events(300..320)]).await;
    assert_eq!(all(&there).await, events(0..320));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path()).await;
    append(&lake, &[&events(0..200)]).await;
    let reader = Lake::open_read_only(folder.path()).await.unwrap();
    let copy = reader.copy().await.unwrap();
    append(&lake, &[&events(200..250)]).await;
    assert!(!reader.has_lost_rows(&copy).await.unwrap());
    let erasure = Erasure {
        tenant: tenant(1),
        what: ErasureKey::Subject("user-1".to_owned()),
    };
    let nobody = Register::holding(Vec::new());
    // Its files wait for the reader; its rows are gone at once.
    let done = lake.erase(NOW, &erasure, &nobody, Duration::ZERO).await;
    assert!(matches!(done, Err(LakeError::Readers { .. })), "{done:?}");
    assert!(reader.has_lost_rows(&copy).await.unwrap());
}
