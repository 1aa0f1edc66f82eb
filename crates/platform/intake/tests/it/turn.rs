//! Tenants take turns while the log is followed slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sealwright_core::{SystemClock, TenantId};
use sealwright_events::{ConsumerError, Effect, EventLog, ReadLimit, StoreConsumer, StoredEvent};
use sealwright_intake::{Intake, IntakeOptions, Item};
use sealwright_store::Tx;
use sealwright_store::testing::both;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{event, open, tenant};

const BATCH: u64 = 100;
/// No window is smaller: that many events hold nobody up.
const FEWEST: u64 = 500;

/// Takes its time for each event.
struct Slow;

#[async_trait]
impl Effect for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn apply(&self, _tx: &mut Tx, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        let each = Duration::from_micros(200);
        tokio::time::sleep(each * u32::try_from(events.len()).unwrap()).await;
        Ok(())
    }
}

async fn send(intake: &Intake, who: TenantId, number: &AtomicU64) {
    let first = number.fetch_add(BATCH, Ordering::Relaxed);
    let items = (first..first + BATCH)
        .map(|n| Item::Valid(who, event(&n.to_string(), "{}")))
        .collect();
    let receipt = intake.accept(items).await.unwrap();
    assert_eq!(receipt.accepted, BATCH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_waits_for_those_that_follow_and_delays_nobody_else() {
    for store in both().await {
        let store = store.migrated(&[sealwright_events::COMPONENT]).await;
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(open(folder.path()));
        let clock = Arc::new(SystemClock);
        let intake = Intake::start(
            Arc::clone(&log) as _,
            vec![],
            clock.clone(),
            IntakeOptions::default(),
        );
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let state = sealwright_store::Store::clone(&store);
        tasks.spawn(sealwright_events::run(
            Arc::clone(&log) as _,
            Arc::new(StoreConsumer::new(state.clone(), clock, Slow)),
            ReadLimit::default(),
            stop.clone(),
        ));
        let within = 10_000;
        tasks.spawn(sealwright_intake::turn::follow(
            intake.turns().clone(),
            Arc::clone(&log) as _,
            state.clone(),
            vec!["slow"],
            within,
            stop.clone(),
        ));
        let ended = Arc::new(AtomicBool::new(false));
        let (number, mut floods) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        for _ in 0..40 {
            let (intake, number, ended) = (intake.clone(), Arc::clone(&number), ended.clone());
            floods.spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    send(&intake, tenant(1), &number).await;
                }
            });
        }
        // Until the pace is known and what was accepted before is through.
        let behind = async || {
            // In this order it is never more than there was at one moment.
            let head = log.head().await.unwrap();
            let followed = sealwright_events::cursor_of(&state, "slow").await.unwrap();
            head.saturating_sub(followed)
        };
        let waits = async || {
            format!("{:?}", intake.turns()).contains("window: Some") && behind().await <= FEWEST
        };
        while !waits().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let others = AtomicU64::new(0);
        let mut passed = Vec::new();
        for _ in 0..21 {
            // A window, and what those with little have beside it.
            let now = behind().await;
            assert!(now <= 2 * FEWEST, "{}: {now} are behind", store.name);
            let before = log.head().await.unwrap();
            send(&intake, tenant(2), &others).await;
            passed.push(log.head().await.unwrap() - before);
        }
        // Of the flood some 3,500 events wait at any time: whoever had to wait behind them would see them pass. How many
        // pass while this test's own thread waits for a processor nobody can say, so it is the middle one that counts.
        passed.sort_unstable();
        assert!(
            passed[10] <= 4 * FEWEST,
            "{}: {passed:?} came before",
            store.name
        );
        ended.store(true, Ordering::Relaxed);
        while let Some(flood) = floods.join_next().await {
            flood.unwrap();
        }
        stop.cancel();
        tasks.join_all().await;
        let all = log.head().await.unwrap();
        let sent = number.load(Ordering::Relaxed) + others.load(Ordering::Relaxed);
        assert_eq!(all, sent, "{}: nothing is lost or twice", store.name);
    }
}
