//! One changed byte anywhere in the tree is found, and its place named.

use std::fs;

use rand::{Rng as _, SeedableRng as _};
use sealwright_ledger::verify::verify_tree;

use crate::support::{entries, files, key, open};

#[test]
fn a_thousand_changed_bytes_are_each_found_and_located() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    // Sizes with partial tiles of several checkpoints, full tiles, and a second level.
    for (from, to) in [
        (0, 1),
        (1, 200),
        (200, 700),
        (700, 701),
        (701, 755),
        (755, 790),
    ] {
        log.append(&entries(from, to)).unwrap();
    }
    drop(log);
    let whole = verify_tree(&root, &key()).unwrap();
    assert!(whole.ok, "{whole:?}");
    assert_eq!((whole.entries, whole.unpublished), (790, 0));

    let files = files(&root);
    assert!(files.len() > 12, "{files:?}");
    let mut random = rand::rngs::StdRng::seed_from_u64(6_962);
    let mut touched = std::collections::BTreeSet::new();
    for round in 0..1_000 {
        // Every file in turn, so that small ones are not left out.
        let path = &files[round % files.len()];
        let sound = fs::read(path).unwrap();
        let at = random.random_range(0..sound.len());
        let mut bytes = sound.clone();
        bytes[at] ^= random.random_range(1..=255_u8);
        fs::write(path, &bytes).unwrap();
        let report = verify_tree(&root, &key()).unwrap();
        fs::write(path, &sound).unwrap();
        assert!(!report.ok, "{} byte {at} was not found", path.display());
        let [finding] = report.findings.as_slice() else {
            panic!("{} byte {at}: {:?}", path.display(), report.findings);
        };
        assert_eq!(finding.file, path.display().to_string());
        assert_eq!(
            finding.offset,
            Some(at as u64),
            "{}: {finding:?}",
            path.display()
        );
        assert!(
            finding.problem.contains(&format!("was {:#04x}", sound[at])),
            "{finding:?}"
        );
        touched.insert(path);
    }
    assert_eq!(touched.len(), files.len());
    assert!(verify_tree(&root, &key()).unwrap().ok);
}

#[test]
fn missing_added_cut_and_exchanged_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    log.append(&entries(0, 600)).unwrap();
    log.append(&entries(600, 610)).unwrap();
    drop(log);
    let problem = |change: &dyn Fn()| {
        let before: Vec<_> = files(&root)
            .into_iter()
            .map(|f| (f.clone(), fs::read(f).unwrap()))
            .collect();
        change();
        let report = verify_tree(&root, &key()).unwrap();
        for file in files(&root) {
            fs::remove_file(file).unwrap();
        }
        for (file, bytes) in before {
            fs::write(file, bytes).unwrap();
        }
        assert!(!report.ok);
        report.findings
    };
    let at = |path: &str| root.join(path);
    for path in [
        "checkpoint",
        "tile/0/001",
        "tile/entries/000",
        "tile/1/000.p/2",
        "tile/0/002.p/98",
    ] {
        let findings = problem(&|| fs::remove_file(at(path)).unwrap());
        assert!(findings[0].file.ends_with(path), "{path}: {findings:?}");
        let findings = problem(&|| {
            let mut bytes = fs::read(at(path)).unwrap();
            bytes.push(b'x');
            fs::write(at(path), bytes).unwrap();
        });
        assert!(
            findings.iter().all(|f| f.file.ends_with(path)),
            "{path}: {findings:?}"
        );
        let findings = problem(&|| {
            let bytes = fs::read(at(path)).unwrap();
            fs::write(at(path), &bytes[..bytes.len() / 2]).unwrap();
        });
        assert!(
            findings.iter().all(|f| f.file.ends_with(path)),
            "{path}: {findings:?}"
        );
    }
    let findings = problem(&|| fs::write(at("tile/notes.txt"), "hi").unwrap());
    assert!(findings[0].problem.contains("not part of the tree"));
    // Two entries exchanged with their hashes: only the signature knows.
    let findings = problem(&|| {
        fs::copy(at("tile/entries/000"), at("tile/entries/001")).unwrap();
        fs::copy(at("tile/0/000"), at("tile/0/001")).unwrap();
    });
    assert!(
        findings.iter().any(|f| f.file.contains("tile/1/000")),
        "{findings:?}"
    );
    assert!(
        verify_tree(&root, &key()).unwrap().ok,
        "the test puts everything back"
    );
}

#[test]
fn a_tree_rewritten_with_all_its_hashes_does_not_fit_the_signed_root() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("a"), folder.path().join("b"));
    let mut log = open(&root);
    log.append(&entries(0, 300)).unwrap();
    let mut forged = entries(0, 300);
    forged[7] = b"a better past".to_vec();
    open(&other).append(&forged).unwrap();
    drop(log);
    fs::copy(root.join("checkpoint"), other.join("checkpoint")).unwrap();
    let report = verify_tree(&other, &key()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(report.findings[0].problem.contains("rewritten together"));
}
