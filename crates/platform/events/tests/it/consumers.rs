//! Each event takes effect once, on both stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use sealwright_core::{Digest, Id, SystemClock, TenantId, UnixMicros};
use sealwright_events::{
    COMPONENT, Consumer, ConsumerError, Effect, EventLog, LogError, ReadLimit, StoreConsumer,
    StoredEvent, catch_up, run,
};
use sealwright_store::testing::{TestStore, both};
use sealwright_store::{Component, Migration, Store, Tx, sql};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const TABLE: &str = "CREATE TABLE taken (log_offset BIGINT NOT NULL);";
const TEST: Component = Component {
    name: "test",
    migrations: &[Migration {
        number: 1,
        name: "0001_init",
        sqlite: TABLE,
        postgres: TABLE,
    }],
};

struct MemoryLog {
    events: std::sync::Mutex<Vec<StoredEvent>>,
    head: watch::Sender<u64>,
}

impl MemoryLog {
    fn new(count: u64) -> Self {
        let log = Self {
            events: std::sync::Mutex::new(Vec::new()),
            head: watch::Sender::new(0),
        };
        log.push(count);
        log
    }

    fn push(&self, count: u64) {
        let tenant: TenantId = Id::new(UnixMicros(0));
        let mut events = self.events.lock().unwrap();
        for _ in 0..count {
            let offset = events.len() as u64;
            events.push(StoredEvent {
                offset,
                tenant,
                received_at: UnixMicros(0),
                time: UnixMicros(0),
                id: offset.to_string(),
                source: "/s".into(),
                event_type: "t".into(),
                subject: None,
                json: Bytes::from_static(b"{}"),
                digest: Digest::of(b"{}"),
            });
        }
        self.head.send_replace(events.len() as u64);
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<StoredEvent>, LogError> {
        let events = self.events.lock().unwrap();
        Ok(events
            .iter()
            .skip(from as usize)
            .take(limit.events)
            .cloned()
            .collect())
    }
    async fn head(&self) -> Result<u64, LogError> {
        Ok(self.events.lock().unwrap().len() as u64)
    }
    async fn earliest(&self) -> Result<u64, LogError> {
        Ok(0)
    }
    fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}

/// Writes each offset down; fails after writing as often as told.
struct Writer {
    fail: AtomicUsize,
}

#[async_trait]
impl Effect for Writer {
    fn name(&self) -> &'static str {
        "writer"
    }
    async fn apply(&self, tx: &mut Tx, events: &[StoredEvent]) -> Result<(), ConsumerError> {
        for event in events {
            tx.execute(sql("INSERT INTO taken (log_offset) VALUES ($1)").bind(event.offset as i64))
                .await?;
        }
        if self
            .fail
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
        {
            return Err(ConsumerError::Other("told to fail".into()));
        }
        Ok(())
    }
}

fn consumer(store: &TestStore, fail: usize) -> StoreConsumer<Writer> {
    let writer = Writer {
        fail: AtomicUsize::new(fail),
    };
    StoreConsumer::new(Store::clone(store), Arc::new(SystemClock), writer)
}

async fn taken(store: &TestStore) -> Vec<i64> {
    let rows = store
        .fetch_all(sql("SELECT log_offset FROM taken ORDER BY log_offset"))
        .await
        .unwrap();
    rows.iter().map(|r| r.int("log_offset").unwrap()).collect()
}

const FEW: ReadLimit = ReadLimit {
    events: 7,
    bytes: 1 << 20,
};

async fn stores() -> Vec<TestStore> {
    let mut stores = Vec::new();
    for store in both().await {
        stores.push(store.migrated(&[COMPONENT, TEST]).await);
    }
    stores
}

#[tokio::test]
async fn a_failure_keeps_nothing_and_the_retry_takes_effect_once() {
    for store in stores().await {
        let log = MemoryLog::new(20);
        let failing = consumer(&store, 2);
        for _ in 0..2 {
            assert!(catch_up(&log, &failing, FEW).await.is_err());
            assert_eq!(taken(&store).await, Vec::<i64>::new(), "{}", store.name);
            assert_eq!(failing.cursor().await.unwrap(), 0);
        }
        assert_eq!(catch_up(&log, &failing, FEW).await.unwrap(), 20);
        assert_eq!(taken(&store).await, (0..20).collect::<Vec<_>>());
        // A new process goes on where the old one stood.
        let next = consumer(&store, 0);
        assert_eq!(next.cursor().await.unwrap(), 20);
        assert_eq!(catch_up(&log, &next, FEW).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_dropped_transaction_is_a_crash_that_keeps_nothing() {
    struct Hang;
    #[async_trait]
    impl Effect for Hang {
        fn name(&self) -> &'static str {
            "writer"
        }
        async fn apply(&self, tx: &mut Tx, _: &[StoredEvent]) -> Result<(), ConsumerError> {
            tx.execute(sql("INSERT INTO taken (log_offset) VALUES ($1)").bind(0i64))
                .await?;
            std::future::pending().await
        }
    }
    for store in stores().await {
        let log = MemoryLog::new(5);
        let hang = StoreConsumer::new(Store::clone(&store), Arc::new(SystemClock), Hang);
        let gone = tokio::time::timeout(
            std::time::Duration::from_millis(300),
            catch_up(&log, &hang, FEW),
        );
        assert!(gone.await.is_err());
        assert_eq!(catch_up(&log, &consumer(&store, 0), FEW).await.unwrap(), 5);
        assert_eq!(taken(&store).await, (0..5).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_second_of_one_name_is_overtaken() {
    for store in stores().await {
        let log = MemoryLog::new(10);
        let events = log.read(0, FEW).await.unwrap();
        let (a, b) = (consumer(&store, 0), consumer(&store, 0));
        let (first, second) = tokio::join!(a.consume(&events), b.consume(&events));
        let results = [first, second];
        assert_eq!(
            results.iter().filter(|r| r.is_ok()).count(),
            1,
            "{results:?}"
        );
        assert!(
            results
                .iter()
                .any(|r| matches!(r, Err(ConsumerError::Overtaken(_)))),
            "{results:?}"
        );
        assert_eq!(taken(&store).await, (0..7).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_loop_goes_on_after_errors_and_sees_what_comes() {
    for store in stores().await {
        let log = Arc::new(MemoryLog::new(3));
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(
            log.clone(),
            Arc::new(consumer(&store, 1)),
            FEW,
            stop.clone(),
        ));
        let mut pushed = false;
        for _ in 0..200 {
            if !pushed && taken(&store).await.len() == 3 {
                log.push(30);
                pushed = true;
            }
            if taken(&store).await.len() == 33 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        stop.cancel();
        running.await.unwrap();
        assert_eq!(
            taken(&store).await,
            (0..33).collect::<Vec<_>>(),
            "{}",
            store.name
        );
    }
}

#[tokio::test]
async fn a_log_that_is_shorter_than_the_cursor_is_an_error() {
    for store in stores().await {
        let consumer = consumer(&store, 0);
        assert_eq!(
            catch_up(&MemoryLog::new(9), &consumer, FEW).await.unwrap(),
            9
        );
        let short = catch_up(&MemoryLog::new(8), &consumer, FEW).await;
        assert!(matches!(
            short,
            Err(ConsumerError::Log(LogError::Corrupt { .. }))
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_loops_of_one_name_take_each_event_once() {
    for store in stores().await {
        let log = Arc::new(MemoryLog::new(50));
        let stop = CancellationToken::new();
        let loops: Vec<_> = (0..2)
            .map(|_| {
                let consumer = Arc::new(consumer(&store, 0));
                tokio::spawn(run(log.clone(), consumer, FEW, stop.clone()))
            })
            .collect();
        for round in 1..=10 {
            log.push(20);
            for _ in 0..400 {
                if taken(&store).await.len() == 50 + round * 20 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        stop.cancel();
        for running in loops {
            running.await.unwrap();
        }
        assert_eq!(
            taken(&store).await,
            (0..250).collect::<Vec<_>>(),
            "{}",
            store.name
        );
    }
}
