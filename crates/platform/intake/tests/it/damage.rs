//! Failing writes, torn ends and damaged files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwright_core::UnixMicros;
use sealwright_events::{EventLog as _, LogError, ReadLimit};
use sealwright_intake::{
    AppendError, FaultPoint, FileLog, IntakeLog as _, NoFaults, Status, TrimTo,
};

use crate::support::{FailAt, NOW, new, open, read_all, small};

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_str().unwrap().ends_with(end))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_failed_write_stores_nothing_and_the_next_one_needs_no_restart() {
    for point in [
        FaultPoint::BeforeWrite,
        FaultPoint::HalfWritten,
        FaultPoint::BeforeSync,
        FaultPoint::AfterSync,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let faults = FailAt::new(point, 2, ErrorKind::StorageFull);
        let log = FileLog::open(folder.path(), small(faults)).unwrap();
        for _ in 0..2 {
            let failed = log.commit(NOW, vec![vec![new("a", "1")]]).await;
            assert_eq!(failed, Err(AppendError::DiskFull), "{point:?}");
            assert_eq!(log.head().await.unwrap(), 0);
            assert!(read_all(&log, ReadLimit::default()).await.is_empty());
        }
        // The failed write did not make it known.
        let done = log.commit(NOW, vec![vec![new("a", "1")]]).await.unwrap();
        assert_eq!(
            done[0].statuses,
            [Status::Accepted { offset: 0 }],
            "{point:?}"
        );
        drop(log);
        let log = open(folder.path());
        assert_eq!(read_all(&log, ReadLimit::default()).await.len(), 1);
        let again = log.commit(NOW, vec![vec![new("a", "1")]]).await.unwrap();
        assert_eq!(again[0].statuses, [Status::Duplicate { offset: 0 }]);
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_written_catches_up() {
    for point in [FaultPoint::BeforeRun, FaultPoint::AfterRun] {
        let folder = tempfile::tempdir().unwrap();
        let faults = FailAt::new(point, 3, ErrorKind::StorageFull);
        let log = FileLog::open(folder.path(), small(faults)).unwrap();
        for i in 0..400 {
            // With two runs in memory the log refuses, so that memory stays bounded.
            while log
                .commit(NOW, vec![vec![new(&i.to_string(), "1")]])
                .await
                .is_err()
            {}
        }
        drop(log);
        let log = open(folder.path());
        let all = (0..400).map(|i| new(&i.to_string(), "1")).collect();
        let outcome = log.commit(NOW, vec![all]).await.unwrap();
        assert!(
            outcome[0]
                .statuses
                .iter()
                .zip(0..)
                .all(|(s, offset)| *s == Status::Duplicate { offset })
        );
    }
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for i in 0..5 {
        log.commit(NOW, vec![vec![new(&i.to_string(), "1")]])
            .await
            .unwrap();
    }
    drop(log);
    let newest = files(folder.path(), ".log").pop().unwrap();
    let whole = std::fs::read(&newest).unwrap();
    for cut in [1, 30, 49, 100] {
        std::fs::write(&newest, &whole[..whole.len() - cut]).unwrap();
        let log = open(folder.path());
        assert_eq!(log.head().await.unwrap(), 4, "{cut}");
        assert_eq!(
            files(folder.path(), "")
                .iter()
                .filter(|p| p.to_str().unwrap().contains("torn"))
                .count(),
            1
        );
        drop(log);
    }
    // A segment that was never begun.
    std::fs::write(folder.path().join("00000000000000000004.log"), b"SWL").unwrap();
    assert_eq!(open(folder.path()).head().await.unwrap(), 4);
}

#[tokio::test]
async fn every_flipped_byte_is_found_and_located() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for i in 0..40 {
        log.commit(NOW, vec![vec![new(&i.to_string(), "1")]])
            .await
            .unwrap();
    }
    log.flush().await.unwrap();
    drop(log);
    let segments = files(folder.path(), ".log");
    assert!(segments.len() > 1);
    for path in &segments {
        let whole = std::fs::read(path).unwrap();
        for at in (0..whole.len()).step_by(37) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            std::fs::write(path, &bytes).unwrap();
            let found = match FileLog::open(folder.path(), small(Arc::new(NoFaults))) {
                Err(error) => error,
                Ok(log) => {
                    let mut next = 0;
                    loop {
                        match log.read(next, ReadLimit::default()).await {
                            Ok(events) if events.is_empty() => panic!("byte {at} was not noticed"),
                            Ok(events) => next += events.len() as u64,
                            Err(error) => break error,
                        }
                    }
                }
            };
            let LogError::Corrupt { place, .. } = &found else {
                panic!("byte {at}: {found}");
            };
            assert!(place.starts_with(path.to_str().unwrap()), "{place}");
        }
        // Nothing was set right behind our back; the file is as it was.
        std::fs::write(path, &whole).unwrap();
        for torn in files(folder.path(), "")
            .iter()
            .filter(|p| p.to_str().unwrap().contains("torn"))
        {
            std::fs::remove_file(torn).unwrap();
        }
    }
    assert_eq!(
        read_all(&open(folder.path()), ReadLimit::default())
            .await
            .len(),
        40
    );
}

#[tokio::test]
async fn a_damaged_or_lost_index_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let all = || (0..300).map(|i| new(&i.to_string(), "1"));
    for event in all() {
        log.commit(NOW, vec![vec![event]]).await.unwrap();
    }
    log.flush().await.unwrap();
    drop(log);
    let ids = folder.path().join("ids");
    for step in 0..4 {
        match step {
            0 => std::fs::write(ids.join("upto"), b"300 00000000\n").unwrap(),
            1 => {
                for filter in files(&ids, ".bloom") {
                    std::fs::write(filter, b"junk").unwrap();
                }
            }
            2 => {
                for filter in files(&ids, ".bloom") {
                    std::fs::remove_file(filter).unwrap();
                }
            }
            _ => std::fs::remove_dir_all(&ids).unwrap(),
        }
        let log = open(folder.path());
        let outcome = log.commit(NOW, vec![all().collect()]).await.unwrap();
        assert!(
            outcome[0]
                .statuses
                .iter()
                .all(|s| matches!(s, Status::Duplicate { .. })),
            "step {step}"
        );
        assert_eq!(log.head().await.unwrap(), 300);
        log.flush().await.unwrap();
    }
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _log = open(folder.path());
    let second = FileLog::open(folder.path(), small(Arc::new(NoFaults)));
    assert!(matches!(second, Err(LogError::Unavailable(_))));
}

#[tokio::test]
async fn trimming_leaves_no_byte_of_an_erased_subject() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.commit(NOW, vec![vec![new("gone", "1")]]).await.unwrap();
    log.flush().await.unwrap();
    let to = TrimTo {
        passed: 1,
        received_before: UnixMicros(i64::MAX),
        forget_before: UnixMicros(0),
        close_segment: true,
    };
    assert_eq!(log.trim(to).await.unwrap(), 1);
    let segments = files(folder.path(), ".log");
    assert_eq!(segments.len(), 1);
    assert_eq!(std::fs::metadata(&segments[0]).unwrap().len(), 16);
    drop(log);
    let log = open(folder.path());
    assert_eq!(
        (log.earliest().await.unwrap(), log.head().await.unwrap()),
        (1, 1)
    );
    let again = log.commit(NOW, vec![vec![new("gone", "1")]]).await.unwrap();
    assert_eq!(again[0].statuses, [Status::Duplicate { offset: 0 }]);
}
