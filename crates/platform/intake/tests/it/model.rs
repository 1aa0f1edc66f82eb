//! The file log against a map, through restarts and failing writes.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use sealwright_core::Digest;
use sealwright_core::clock::DAY;
use sealwright_events::{EventLog as _, ReadLimit};
use sealwright_intake::{FaultPoint, FileLog, IntakeLog as _, NoFaults, Status};

use crate::support::{FailAt, NOW, new, read_all, small};

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Vec<(u8, u8)>>),
    Fail(u8, Vec<(u8, u8)>),
    Restart,
    Flush,
    NextDay,
}

fn step() -> impl Strategy<Value = Step> {
    let batch = || prop::collection::vec((any::<u8>(), 0u8..8), 0..12);
    prop_oneof![
        8 => prop::collection::vec(batch(), 1..4).prop_map(Step::Commit),
        2 => (0u8..4, batch()).prop_map(|(point, batch)| Step::Fail(point, batch)),
        1 => Just(Step::Restart),
        1 => Just(Step::Flush),
        1 => Just(Step::NextDay),
    ]
}

/// The rule, told once more and in the simplest way.
fn expect(
    known: &mut HashMap<u8, (u64, Digest)>,
    stored: &mut Vec<Digest>,
    batch: &[(u8, u8)],
) -> (bool, Vec<Option<u64>>) {
    let (mut trial, mut added, mut offsets) = (known.clone(), Vec::new(), Vec::new());
    for (id, version) in batch {
        let digest = digest(*id, *version);
        let next = (stored.len() + added.len()) as u64;
        let (offset, before) = *trial.entry(*id).or_insert_with(|| {
            added.push(digest);
            (next, digest)
        });
        if before != digest {
            return (false, Vec::new());
        }
        offsets.push(Some(offset));
    }
    *known = trial;
    stored.extend(added);
    (true, offsets)
}

fn events(batch: &[(u8, u8)]) -> Vec<sealwright_intake::NewEvent> {
    batch
        .iter()
        // One version in eight differs, so that most repetitions are duplicates.
        .map(|(id, version)| new(&id.to_string(), if *version == 0 { "0" } else { "1" }))
        .collect()
}

fn digest(id: u8, version: u8) -> Digest {
    events(&[(id, version)])[0].digest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_log_is_a_list_and_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let folder = tempfile::tempdir().unwrap();
            let open = |faults| FileLog::open(folder.path(), small(faults)).unwrap();
            let mut log = open(Arc::new(NoFaults));
            let (mut known, mut stored, mut now) = (HashMap::new(), Vec::new(), NOW);
            for step in steps {
                match step {
                    Step::Commit(batches) => {
                        let sent = batches.iter().map(|b| events(b)).collect();
                        let outcomes = log.commit(now, sent).await.unwrap();
                        for (batch, outcome) in batches.iter().zip(outcomes) {
                            let (fits, offsets) = expect(&mut known, &mut stored, batch);
                            prop_assert_eq!(fits, outcome.stored);
                            if fits {
                                let got: Vec<_> = outcome.statuses.iter().map(|s| match s {
                                    Status::Accepted { offset } | Status::Duplicate { offset } => Some(*offset),
                                    _ => None,
                                }).collect();
                                prop_assert_eq!(got, offsets);
                            }
                        }
                    }
                    Step::Fail(point, batch) => {
                        drop(log);
                        let point = [FaultPoint::BeforeWrite, FaultPoint::HalfWritten, FaultPoint::BeforeSync, FaultPoint::AfterSync][usize::from(point)];
                        log = open(FailAt::new(point, 1, std::io::ErrorKind::StorageFull));
                        let before = stored.len();
                        let first = log.commit(now, vec![events(&batch)]).await;
                        let (fits, _) = expect(&mut known, &mut stored, &batch);
                        if stored.len() > before {
                            prop_assert!(first.is_err());
                            prop_assert_eq!(log.head().await.unwrap(), before as u64);
                            // The sender tries again.
                            prop_assert!(log.commit(now, vec![events(&batch)]).await.unwrap()[0].stored);
                        } else {
                            // Nothing was written, so that the fault still lies in wait.
                            prop_assert_eq!(first.unwrap()[0].stored, fits);
                            drop(log);
                            log = open(Arc::new(NoFaults));
                        }
                    }
                    Step::Restart => {
                        drop(log);
                        log = open(Arc::new(NoFaults));
                    }
                    Step::Flush => log.flush().await.unwrap(),
                    Step::NextDay => now = now.plus(DAY),
                }
                let digests: Vec<_> = read_all(&log, ReadLimit { events: 17, bytes: 1 << 20 })
                    .await.into_iter().map(|e| e.digest).collect();
                prop_assert_eq!(&digests, &stored);
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
