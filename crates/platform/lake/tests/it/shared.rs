//! One folder, several processes: one writes, the others read until it has gone.

use std::sync::Arc;

use sealwright_core::SystemClock;
use sealwright_lake::{Lake, LakeError};

use crate::support::{append, events};

async fn shared(folder: &std::path::Path) -> Lake {
    Lake::open_shared(folder, Arc::new(SystemClock))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_becomes_the_writer_when_the_writer_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = shared(folder.path()).await;
    let second = shared(folder.path()).await;
    assert!(first.owned() && !second.owned());
    assert_eq!(first.id(), second.id());
    append(&first, &[&events(0..10)]).await;
    assert!(!second.try_own().await.unwrap());
    second.refresh().await.unwrap();
    assert_eq!(second.next_offset(), 10, "it sees what the writer wrote");
    let refused = second
        .compact(crate::support::NOW, Default::default())
        .await;
    assert!(matches!(refused, Err(LakeError::ReadOnly)), "{refused:?}");

    drop(first);
    assert!(second.try_own().await.unwrap() && second.owned());
    append(&second, &[&events(10..20)]).await;
    assert_eq!(second.status().rows, 20);
    let third = shared(folder.path()).await;
    assert!(!third.owned());
    assert_eq!(third.next_offset(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lakes_are_told_apart() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (shared(one.path()).await, shared(two.path()).await);
    assert!(one.owned() && two.owned());
    assert_ne!(one.id(), two.id());
}
