//! What the tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwright_core::SystemClock;
use sealwright_ledger::{COMPONENT, Ledger, TileLog};
use sealwright_merkle::{SignerKey, VerifierKey};
use sealwright_store::testing::{TestStore, both};

pub(crate) const ORIGIN: &str = "log.example/test";

pub(crate) fn signer() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[42; 32]).unwrap()
}

pub(crate) fn key() -> VerifierKey {
    signer().verifier().clone()
}

pub(crate) fn open(root: &Path) -> TileLog {
    TileLog::open(root, signer()).unwrap()
}

/// Entries `from..to` of different lengths, a few of them empty or long.
pub(crate) fn entries(from: u64, to: u64) -> Vec<Vec<u8>> {
    (from..to)
        .map(|i| match i % 97 {
            0 => Vec::new(),
            1 => format!("long entry {i} ").repeat(8).into_bytes(),
            n => format!("entry {i} {}", "x".repeat(n as usize)).into_bytes(),
        })
        .collect()
}

/// Every file below a folder, sorted, without the ledger's own lock.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != ".lock") {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) async fn stores() -> Vec<TestStore> {
    let mut ready = Vec::new();
    for store in both().await {
        ready.push(store.migrated(&[COMPONENT]).await);
    }
    ready
}

pub(crate) async fn ledger(store: &TestStore) -> Ledger {
    let data = store.path().join("data");
    Ledger::open(
        &data,
        Some(ORIGIN),
        store.store.clone(),
        Arc::new(SystemClock),
    )
    .await
    .unwrap()
}
