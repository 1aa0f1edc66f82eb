//! Every state that a crash can leave: some of the new files, whole or torn, with the old
//! checkpoint; or all of them with the new one. Reopening continues from the checkpoint, or, where
//! the journal has acknowledged appends, from these.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sealwright_ledger::tree::MAX_BATCH_ENTRIES;
use sealwright_ledger::verify::verify_tree;
use sealwright_ledger::{Appender, LedgerError, TileLog};
use sealwright_merkle::{SignerKey, verify_consistency};

use crate::support::{entries, files, key, open, signer};

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn an_interrupted_append_is_as_if_it_had_not_been(
        old in prop_oneof![Just(0_u64), 1..40_u64, 250..262_u64, 500..530_u64],
        more in prop_oneof![1..30_u64, 200..600_u64],
        fate in prop::collection::vec((0..4_u8, any::<prop::sample::Index>()), 16),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (base, next) = (folder.path().join("base"), folder.path().join("next"));
        open(&base).append(&entries(0, old)).unwrap();
        let old_root = open(&base).root();
        copy(&base, &next);
        open(&next).append(&entries(old, old + more)).unwrap();
        // What the append wrote before its checkpoint, each file with a fate of its own.
        for (i, file) in files(&next).into_iter().enumerate() {
            let relative = file.strip_prefix(&next).unwrap();
            if base.join(relative).exists() || relative == Path::new("checkpoint") {
                continue;
            }
            let bytes = fs::read(&file).unwrap();
            let (kind, at) = fate[i % fate.len()];
            let bytes = match kind {
                0 => continue,
                1 => bytes[..at.index(bytes.len().max(1)).min(bytes.len())].to_vec(),
                2 => vec![0; bytes.len()],
                _ => bytes,
            };
            fs::create_dir_all(base.join(relative).parent().unwrap()).unwrap();
            fs::write(base.join(relative), bytes).unwrap();
        }
        fs::write(base.join(".checkpoint.next"), "half a checkpo").unwrap();

        let mut log = open(&base);
        prop_assert_eq!(log.size(), old);
        prop_assert_eq!(log.root(), old_root);
        // Other entries than the ones whose files were left.
        let other: Vec<_> = (0..more / 2 + 3).map(|i| format!("after the crash {i}")).collect();
        let range = log.append(&other).unwrap();
        prop_assert_eq!(range.start, old);
        if old > 0 {
            let proof = log.reader().prove_growth(old, log.size()).unwrap();
            verify_consistency(old, log.size(), &old_root, &log.root(), &proof).unwrap();
        }
        drop(log);
        let report = verify_tree(&base, &key()).unwrap();
        prop_assert!(report.ok, "{:?}", report.findings);
        prop_assert_eq!(report.unpublished, 0);
    }
}

/// Where the records of a journal end, before its zeros.
fn written(journal: &[u8]) -> usize {
    journal.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The power fails: of what was not synced, each file is lost, torn, empty or there, the
    /// checkpoint among them. Nothing that was acknowledged is missing.
    #[test]
    fn what_was_acknowledged_survives_the_loss_of_every_unsynced_file(
        old in prop_oneof![Just(0_u64), 1..40_u64, 250..262_u64, 500..530_u64],
        appends in prop::collection::vec(prop_oneof![1..4_u64, 1..300_u64], 1..6),
        fate in prop::collection::vec((0..4_u8, any::<prop::sample::Index>()), 16),
        published in prop::collection::vec(any::<bool>(), 6),
        checkpoint in 0..4_u8,
        torn in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (running, lost) = (folder.path().join("running"), folder.path().join("lost"));
        open(&running).append(&entries(0, old)).unwrap();
        copy(&running, &lost);
        let mut log = open(&running);
        let mut size = old;
        for (i, more) in appends.into_iter().enumerate() {
            // Acknowledged, and seen by readers or not.
            let entries = entries(size, size + more);
            if published[i] {
                log.append(&entries).unwrap();
                prop_assert_eq!(log.reader().checkpoint().unwrap().0.size, size + more);
            } else {
                log.commit(&entries).unwrap();
                prop_assert!(log.reader().checkpoint().unwrap().0.size <= size);
            }
            size += more;
        }
        let root = log.root();
        for (i, file) in files(&running).into_iter().enumerate() {
            let relative = file.strip_prefix(&running).unwrap();
            let mut bytes = fs::read(&file).unwrap();
            let (mut kind, at) = fate[i % fate.len()];
            if relative == Path::new(".journal") {
                // Synced. An append that was not acknowledged may have begun.
                kind = 3;
                if torn {
                    let end = written(&bytes);
                    bytes.splice(end..end + 9, [0, 0, 1, 0, 0, 0, 0, 9, 7]);
                }
            } else if relative == Path::new("checkpoint") {
                kind = checkpoint;
            } else if lost.join(relative).exists() {
                continue;
            }
            let bytes = match kind {
                0 => continue,
                1 => bytes[..at.index(bytes.len().max(1)).min(bytes.len())].to_vec(),
                2 => vec![0; bytes.len()],
                _ => bytes,
            };
            fs::create_dir_all(lost.join(relative).parent().unwrap()).unwrap();
            fs::write(lost.join(relative), bytes).unwrap();
        }
        prop_assert!(lost.join(".journal").exists());

        let mut log = open(&lost);
        prop_assert_eq!((log.size(), log.root()), (size, root));
        log.append(&entries(size, size + 3)).unwrap();
        drop(log);
        let report = verify_tree(&lost, &key()).unwrap();
        prop_assert!(report.ok, "{:?}", report.findings);
        prop_assert_eq!((report.size, report.unpublished), (size + 3, 0));
        prop_assert!(!lost.join(".journal").exists());
        let log = open(&lost);
        let mut read = Vec::new();
        log.reader().scan(0, size, |_, entry| { read.push(entry.to_vec()); true }).unwrap();
        prop_assert_eq!(read, entries(0, size));
    }
}

#[tokio::test]
async fn what_many_callers_append_is_soon_seen_by_readers() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let log = open(&root);
    let reader = log.reader().clone();
    let appender = Appender::start(log, 64).unwrap();
    for round in 0..3_u64 {
        let callers: Vec<_> = (0..300)
            .map(|i| {
                let appender = appender.clone();
                tokio::spawn(async move { appender.append(format!("{round} {i}").into()).await })
            })
            .collect();
        let mut indices = Vec::new();
        for caller in callers {
            let appended = caller.await.unwrap().unwrap();
            assert!(appended.index < appended.size);
            indices.push(appended.index);
        }
        indices.sort_unstable();
        assert!(indices.into_iter().eq(round * 300..(round + 1) * 300));
        while reader.checkpoint().unwrap().0.size < (round + 1) * 300 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        reader.prove(round * 300).unwrap();
    }
    drop(appender);
    // The thread ends, and with it the journal.
    while root.join(".journal").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(verify_tree(&root, &key()).unwrap().ok);
}

#[test]
fn a_damaged_journal_does_not_fork_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let (running, crashed) = (folder.path().join("running"), folder.path().join("crashed"));
    let mut log = open(&running);
    log.append(&entries(0, 20)).unwrap();
    let first = written(&fs::read(running.join(".journal")).unwrap());
    log.append(&entries(20, 300)).unwrap();
    copy(&running, &crashed);
    let whole = fs::read(crashed.join(".journal")).unwrap();
    // The second append was published, so its record cannot have been torn by a crash.
    for at in [3, 40, first - 1, first + 2, written(&whole) - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(crashed.join(".journal"), &bytes).unwrap();
        let error = TileLog::open(&crashed, signer()).unwrap_err().to_string();
        assert!(error.contains(".journal"), "{error}");
    }
    // Another tree's journal.
    let other = folder.path().join("other");
    let mut another = open(&other);
    another.append(&entries(7, 30)).unwrap();
    fs::copy(other.join(".journal"), crashed.join(".journal")).unwrap();
    assert!(TileLog::open(&crashed, signer()).is_err());
    fs::write(crashed.join(".journal"), &whole).unwrap();
    assert_eq!(open(&crashed).root(), log.root());
    assert!(verify_tree(&crashed, &key()).unwrap().ok);
}

#[test]
fn the_journal_begins_anew_before_it_is_long() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    let (mut longest, mut begun) = (0, 0);
    let mut before = 0;
    for i in 0..16_u64 {
        log.append(&vec![vec![i as u8; 60_000]; 40]).unwrap();
        let now = fs::metadata(root.join(".journal")).unwrap().len();
        longest = longest.max(now);
        begun += u32::from(now < before);
        before = now;
    }
    assert_eq!(begun, 1);
    assert!(longest < 40 << 20, "{longest} bytes");
    // Large appends do without it.
    log.append(&vec![vec![7; 60_000]; 100]).unwrap();
    assert!(!root.join(".journal").exists());
    assert_eq!(log.size(), 740);
    drop(log);
    assert!(verify_tree(&root, &key()).unwrap().ok);
}

#[test]
fn growing_in_any_steps_leaves_the_same_full_tiles_and_no_old_partials() {
    let folder = tempfile::tempdir().unwrap();
    let (steps, once) = (folder.path().join("steps"), folder.path().join("once"));
    let mut log = open(&steps);
    let mut size = 0;
    while size < 1_030 {
        let next = (size + 1 + size % 37).min(1_030);
        log.append(&entries(size, next)).unwrap();
        size = next;
        // Whatever is published can be proven.
        log.reader().prove(size - 1).unwrap();
    }
    // Closing it syncs everything and removes what is no longer needed.
    drop(log);
    open(&once).append(&entries(0, 1_030)).unwrap();
    for file in files(&once) {
        let relative = file.strip_prefix(&once).unwrap();
        assert_eq!(
            fs::read(&file).unwrap(),
            fs::read(steps.join(relative)).unwrap(),
            "{relative:?}"
        );
    }
    for full in ["tile/0/000.p", "tile/0/003.p", "tile/entries/003.p"] {
        assert!(!steps.join(full).exists(), "{full} was superseded");
    }
    assert!(steps.join("tile/0/004.p").exists());
    assert!(verify_tree(&steps, &key()).unwrap().ok);
    // Reopened at every kind of size, entries read back.
    let log = open(&steps);
    for index in [0, 255, 256, 1_023, 1_024, 1_029] {
        assert_eq!(
            log.reader().entry(index, 1_030).unwrap().bytes,
            entries(index, index + 1)[0]
        );
    }
    assert!(matches!(
        log.reader().entry(1_030, 1_030),
        Err(LedgerError::NotFound(_))
    ));
}

#[test]
fn nothing_is_forked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    assert!(matches!(
        TileLog::open(&root, signer()),
        Err(LedgerError::InUse(_))
    ));
    log.append(&entries(0, 300)).unwrap();
    let old = fs::read(root.join("checkpoint")).unwrap();
    log.append(&entries(300, 310)).unwrap();
    // Somebody puts an older checkpoint back while the tree is open.
    let new = fs::read(root.join("checkpoint")).unwrap();
    fs::write(root.join("checkpoint"), &old).unwrap();
    assert!(log.append(&entries(310, 311)).is_err());
    assert!(matches!(
        log.append(&entries(310, 311)),
        Err(LedgerError::Stopped(_))
    ));
    drop(log);
    // The journal knows the older one, too, and what came after it.
    assert_eq!(open(&root).size(), 310);
    assert_eq!(fs::read(root.join("checkpoint")).unwrap(), new);
    // Another key, a changed tile, a lost checkpoint: each is refused.
    let other = SignerKey::from_seed("log.example/test", &[7; 32]).unwrap();
    assert!(TileLog::open(&root, other).is_err());
    let tile = root.join("tile/0/001.p/54");
    let bytes = fs::read(&tile).unwrap();
    fs::write(&tile, vec![1; bytes.len()]).unwrap();
    assert!(TileLog::open(&root, signer()).is_err());
    fs::write(&tile, bytes).unwrap();
    fs::remove_file(root.join("checkpoint")).unwrap();
    assert!(TileLog::open(&root, signer()).is_err());
    fs::write(root.join("checkpoint"), new).unwrap();
    assert_eq!(open(&root).size(), 310);
}

#[test]
fn batches_beyond_the_limits_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder.path().join("ledger"));
    log.append(&entries(0, 3)).unwrap();
    let root = log.root();
    let long = vec![b"fine".to_vec(), vec![0; 65_536]];
    assert!(matches!(log.append(&long), Err(LedgerError::TooLarge(_))));
    let many = vec![[0_u8; 1]; MAX_BATCH_ENTRIES + 1];
    assert!(matches!(log.append(&many), Err(LedgerError::TooLarge(_))));
    assert_eq!((log.size(), log.root()), (3, root));
    assert_eq!(log.append::<&[u8]>(&[]).unwrap(), 3..3);
    log.append(&[vec![7; 65_535]]).unwrap();
    assert_eq!(log.reader().entry(3, 4).unwrap().bytes, vec![7; 65_535]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_changes_nothing_and_may_be_tried_again() {
    // A folder that cannot be created stands for the full disk: the write fails half way.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    log.append(&entries(0, 250)).unwrap();
    let before = log.root();
    fs::write(root.join("tile/1"), "in the way").unwrap();
    assert!(matches!(
        log.append(&entries(250, 300)),
        Err(LedgerError::File { .. })
    ));
    assert_eq!((log.size(), log.root()), (250, before));
    fs::remove_file(root.join("tile/1")).unwrap();
    assert_eq!(log.append(&entries(250, 300)).unwrap(), 250..300);
    drop(log);
    assert!(verify_tree(&root, &key()).unwrap().ok);
}
