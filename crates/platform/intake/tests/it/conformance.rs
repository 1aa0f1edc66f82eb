//! What every log promises.

use std::sync::Arc;

use sealwright_core::clock::DAY;
use sealwright_core::{ManualClock, UnixMicros};
use sealwright_events::{LogError, ReadLimit};
use sealwright_intake::{
    AppendOptions, Intake, IntakeOptions, NewEvent, ResultStatus, Status, TrimTo,
};

use crate::support::{NOW, event, logs, new, read_all, tenant};

const FEW: ReadLimit = ReadLimit {
    events: 3,
    bytes: 1 << 20,
};

#[tokio::test]
async fn what_is_committed_is_read_back() {
    for test in logs().await {
        let log = &test.log;
        assert_eq!(
            (log.head().await.unwrap(), log.earliest().await.unwrap()),
            (0, 0)
        );
        assert!(log.read(0, FEW).await.unwrap().is_empty());
        let mut seen = log.watch();
        seen.mark_unchanged();
        let batches = vec![
            vec![new("a", "1"), new("b", "\"é\"")],
            vec![NewEvent::new(tenant(2), event("a", "{}"))],
        ];
        let outcomes = log.commit(NOW, batches).await.unwrap();
        assert!(outcomes.iter().all(|o| o.stored), "{}", test.name);
        assert_eq!(outcomes[1].statuses, [Status::Accepted { offset: 2 }]);
        assert_eq!(*seen.wait_for(|head| *head == 3).await.unwrap(), 3);
        let all = read_all(log.as_ref(), FEW).await;
        assert_eq!(all.len(), 3);
        assert_eq!(all[1].json, event("b", "\"é\"").json());
        assert_eq!(all[1].digest, new("b", "\"é\"").digest);
        assert_eq!(all[1].subject.as_deref(), Some("ub"));
        assert_eq!((all[1].id.as_str(), all[1].source.as_str()), ("b", "/s"));
        assert_eq!((all[1].time, all[1].received_at), (NOW, NOW));
        assert_eq!((all[0].tenant, all[2].tenant), (tenant(1), tenant(2)));
    }
}

#[tokio::test]
async fn identities_decide() {
    for test in logs().await {
        let log = &test.log;
        log.commit(NOW, vec![vec![new("a", "1")]]).await.unwrap();
        let batches = vec![
            // All known: nothing to write, and that is success.
            vec![new("a", "1")],
            // A conflict refuses its batch, and what was new in it is free again.
            vec![new("b", "1"), new("b", "1"), new("a", "2")],
            vec![new("b", "2"), new("b", "2")],
            // A conflict inside of a batch.
            vec![new("c", "1"), new("c", "2")],
            // Another batch of the same commit is known already.
            vec![new("b", "3")],
            vec![new("b", "2")],
        ];
        let outcomes = log.commit(NOW, batches).await.unwrap();
        let stored: Vec<bool> = outcomes.iter().map(|o| o.stored).collect();
        assert_eq!(
            stored,
            [true, false, true, false, false, true],
            "{}",
            test.name
        );
        assert_eq!(outcomes[0].statuses, [Status::Duplicate { offset: 0 }]);
        assert_eq!(
            outcomes[1].statuses[..2],
            [Status::NotStored, Status::NotStored]
        );
        assert_eq!(
            outcomes[1].statuses[2],
            Status::Conflict {
                offset: Some(0),
                stored: new("a", "1").digest,
                sent: new("a", "2").digest
            }
        );
        assert_eq!(
            outcomes[2].statuses,
            [
                Status::Accepted { offset: 1 },
                Status::Duplicate { offset: 1 }
            ]
        );
        assert!(matches!(
            outcomes[3].statuses[1],
            Status::Conflict { offset: None, .. }
        ));
        assert!(matches!(
            outcomes[4].statuses[0],
            Status::Conflict {
                offset: Some(1),
                ..
            }
        ));
        assert_eq!(outcomes[5].statuses, [Status::Duplicate { offset: 1 }]);
        assert_eq!(read_all(log.as_ref(), FEW).await.len(), 2);
    }
}

#[tokio::test]
async fn many_concurrent_senders_get_dense_offsets() {
    for test in logs().await {
        let clock = Arc::new(ManualClock::new(NOW));
        let intake = Intake::start(test.log.clone(), vec![], clock, IntakeOptions::default());
        let mut tasks = Vec::new();
        for sender in 0..20 {
            let intake = intake.clone();
            tasks.push(tokio::spawn(async move {
                for batch in 0..10 {
                    let events: Vec<_> = (0..7)
                        .map(|i| event(&format!("{sender}-{batch}-{i}"), "1"))
                        .collect();
                    let receipt = intake
                        .append_events(tenant(1), &events, AppendOptions::default())
                        .await
                        .unwrap();
                    assert_eq!(receipt.accepted, 7);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let all = read_all(test.log.as_ref(), ReadLimit::default()).await;
        assert_eq!(all.len(), 1400, "{}", test.name);
        let ids: std::collections::BTreeSet<_> = all.iter().map(|e| e.id.clone()).collect();
        assert_eq!(ids.len(), 1400);
        // A batch's events stand together.
        for chunk in all.chunks(7) {
            let head = chunk[0].id.rsplit_once('-').unwrap().0;
            assert!(chunk.iter().all(|e| e.id.starts_with(head)));
        }
    }
}

#[tokio::test]
async fn reads_keep_to_their_limits() {
    for test in logs().await {
        for i in 0..10 {
            let batch = (0..10).map(|j| new(&format!("{i}-{j}"), "1")).collect();
            test.log.commit(NOW, vec![batch]).await.unwrap();
        }
        let limit = ReadLimit {
            events: 1000,
            bytes: 1,
        };
        assert_eq!(test.log.read(5, limit).await.unwrap().len(), 1);
        let limit = ReadLimit {
            events: 13,
            bytes: 1 << 20,
        };
        let some = test.log.read(87, limit).await.unwrap();
        assert_eq!((some.len(), some[0].offset), (13, 87), "{}", test.name);
        assert!(test.log.read(100, limit).await.unwrap().is_empty());
        assert_eq!(read_all(test.log.as_ref(), limit).await.len(), 100);
    }
}

#[tokio::test]
async fn old_events_leave_and_their_identities_stay_for_their_time() {
    for test in logs().await {
        let log = &test.log;
        for day in 0..60i64 {
            let at = NOW.plus(day * DAY);
            let outcome = log
                .commit(at, vec![vec![new(&day.to_string(), "1")]])
                .await
                .unwrap();
            assert!(outcome[0].stored);
        }
        let end = NOW.plus(59 * DAY);
        let to = TrimTo {
            passed: 40,
            received_before: end.plus(-35 * DAY),
            forget_before: end.plus(-35 * DAY),
            close_segment: false,
        };
        let first = log.trim(to).await.unwrap();
        // Received before day 24: offsets 0 to 23 may go, and with daily segments they do.
        assert_eq!(first, 24, "{}", test.name);
        assert_eq!(log.earliest().await.unwrap(), 24);
        assert!(matches!(
            log.read(3, FEW).await,
            Err(LogError::Gone {
                wanted: 3,
                earliest: 24
            })
        ));
        assert_eq!(read_all(log.as_ref(), FEW).await.len(), 36);
        // A consumer that stands at 40 keeps what it has not seen, however old.
        let to = TrimTo {
            received_before: UnixMicros(i64::MAX),
            close_segment: true,
            ..to
        };
        assert_eq!(log.trim(to).await.unwrap(), 40);
        // What came within 35 days is known, though its event has left.
        let again = vec![
            vec![new("30", "1")],
            vec![new("30", "2")],
            vec![new("0", "1")],
        ];
        let outcomes = log.commit(end, again).await.unwrap();
        assert_eq!(outcomes[0].statuses, [Status::Duplicate { offset: 30 }]);
        assert!(!outcomes[1].stored);
        // The oldest was forgotten.
        assert_eq!(outcomes[2].statuses, [Status::Accepted { offset: 60 }]);
        assert_eq!(log.head().await.unwrap(), 61);
    }
}

#[tokio::test]
async fn a_retry_of_what_was_in_time_is_a_duplicate_and_history_needs_to_be_asked_for() {
    for test in logs().await {
        let clock = Arc::new(ManualClock::new(NOW));
        let intake = Intake::start(
            test.log.clone(),
            vec![],
            clock.clone(),
            IntakeOptions::default(),
        );
        let at = |time: UnixMicros, id: &str| {
            let text = format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","time":"{time}"}}"#
            );
            sealwright_cloudevents::parse_event(text.as_bytes(), &Default::default()).unwrap()
        };
        let edge = [at(NOW.plus(-35 * DAY), "edge")];
        let options = AppendOptions::default();
        let append = |events| intake.append_events(tenant(1), events, options);
        assert_eq!(append(&edge).await.unwrap().accepted, 1);
        clock.advance(1_000_000);
        assert_eq!(append(&edge).await.unwrap().duplicates, 1);
        let old = [at(NOW.plus(-400 * DAY), "old"), at(NOW, "new")];
        let refused = append(&old).await.unwrap();
        assert!(!refused.stored);
        assert_eq!(refused.results[0].status, ResultStatus::Rejected);
        assert_eq!(
            refused.results[0].error.as_ref().unwrap().code,
            "time-behind"
        );
        assert_eq!(refused.results[1].status, ResultStatus::NotStored);
        let history = AppendOptions {
            accept_history: true,
        };
        for (accepted, duplicates) in [(2, 0), (0, 2)] {
            let receipt = intake
                .append_events(tenant(1), &old, history)
                .await
                .unwrap();
            assert_eq!(
                (receipt.accepted, receipt.duplicates),
                (accepted, duplicates)
            );
        }
        let all = read_all(test.log.as_ref(), FEW).await;
        assert_eq!(all[1].time, NOW.plus(-400 * DAY), "{}", test.name);
    }
}
