//! A tree written on disk by this crate is byte for byte the one that another implementation wrote.

use std::path::{Path, PathBuf};

use sealwright_ledger::verify::verify_tree;

use crate::support::{files, open};

fn shared() -> Option<PathBuf> {
    let root = match std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        Some(root) => Some(PathBuf::from(root)),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared/data"))
            .find(|folder| folder.is_dir()),
    };
    let folder = root
        .map(|root| root.join("ledger/tessera-log"))
        .filter(|f| f.is_dir());
    if folder.is_none() {
        eprintln!("skipped: no data");
    }
    folder
}

#[test]
fn the_tessera_log_is_rebuilt_and_verified() {
    let Some(folder) = shared() else { return };
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("ledger");
    let mut log = open(&root);
    for entry in expected["entries_in_order"].as_array().unwrap() {
        log.append(&[entry.as_str().unwrap()]).unwrap();
    }
    drop(log);
    let theirs = folder.join("log");
    let mut compared = 0;
    for file in files(&theirs.join("tile")) {
        let relative = file.strip_prefix(&theirs).unwrap();
        let ours = std::fs::read(root.join(relative)).unwrap();
        assert_eq!(ours, std::fs::read(&file).unwrap(), "{relative:?}");
        compared += 1;
    }
    assert_eq!(compared, 30);
    assert_eq!(compared, files(&root.join("tile")).len());

    // And our verifier accepts theirs as it is, besides the checkpoints kept under other names.
    let copy = temporary.path().join("theirs");
    for file in files(&theirs) {
        let relative = file.strip_prefix(&theirs).unwrap();
        let name = relative.to_str().unwrap();
        if name.starts_with("tile") || name == "checkpoint" {
            std::fs::create_dir_all(copy.join(relative).parent().unwrap()).unwrap();
            std::fs::copy(&file, copy.join(relative)).unwrap();
        }
    }
    let key = expected["verifier_key"].as_str().unwrap().parse().unwrap();
    let report = verify_tree(&copy, &key).unwrap();
    assert!(report.ok, "{:?}", report.findings);
    assert_eq!(report.size, 15);
}
