//! One changed byte anywhere in the tree is found, and its place named.

use std::fs;
use std::path::Path;

use rand::{Rng as _, SeedableRng as _};
use sealwright_ledger::verify::verify_tree;

use crate::support::{entries, files, key, open};

#[test]
fn a_thousand_changed_bytes_are_each_found_and_located() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    // Sizes with partial tiles of several checkpoints, full tiles, and a second level.
    let sizes = [1, 200, 500, 515, 516, 520];
    for (i, size) in sizes.into_iter().enumerate() {
        let from = if i == 0 { 0 } else { sizes[i - 1] };
        let batch: Vec<_> = (from..size)
            .map(|n| format!("entry {n}").into_bytes())
            .collect();
        log.append(&batch).unwrap();
    }
    drop(log);
    let whole = verify_tree(&root, &key()).unwrap();
    assert!(whole.ok, "{whole:?}");
    assert_eq!((whole.entries, whole.unpublished), (520, 0));

    let files = files(&root);
    assert!(files.len() >= 12, "{files:?}");
    // Each byte of the tree is as likely as any other, and every file has its turn.
    let lengths: Vec<usize> = files
        .iter()
        .map(|file| fs::metadata(file).unwrap().len() as usize)
        .collect();
    let total: usize = lengths.iter().sum();
    let mut random = rand::rngs::StdRng::seed_from_u64(6_962);
    for round in 0..1_000 {
        let (file, at) = if round < files.len() {
            (round, random.random_range(0..lengths[round]))
        } else {
            let mut at = random.random_range(0..total);
            let mut file = 0;
            while at >= lengths[file] {
                at -= lengths[file];
                file += 1;
            }
            (file, at)
        };
        flip(&root, &files[file], at, random.random_range(1..=255));
    }
    // The checkpoint is small, and everything hangs on it: origin, size, root, key, signature.
    let note = fs::read(root.join("checkpoint")).unwrap();
    let dash = note
        .windows(3)
        .position(|w| w == "\u{2014}".as_bytes())
        .unwrap();
    for at in [
        0,
        16,
        17,
        19,
        40,
        dash - 2,
        dash,
        dash + 3,
        dash + 6,
        dash + 25,
        note.len() - 1,
    ] {
        flip(&root, &root.join("checkpoint"), at, 0x10);
    }
    assert!(verify_tree(&root, &key()).unwrap().ok);
}

/// Changes one byte, expects exactly this place in the report, and puts it back.
fn flip(root: &Path, path: &Path, at: usize, mask: u8) {
    let sound = fs::read(path).unwrap();
    let mut bytes = sound.clone();
    bytes[at] ^= mask;
    fs::write(path, &bytes).unwrap();
    let report = verify_tree(root, &key()).unwrap();
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
