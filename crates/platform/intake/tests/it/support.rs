//! What the tests share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use sealwright_cloudevents::{Event, Limits, parse_event};
use sealwright_core::{Id, ManualClock, Problem, TenantId, TenantScope, UnixMicros};
use sealwright_events::{Catalogue, EventLog, ReadLimit, StoredEvent};
use sealwright_intake::api::{IntakeApi, router};
use sealwright_intake::{
    Authenticate, COMPONENT, FaultPoint, Faults, FileLog, FileLogOptions, Intake, IntakeLog,
    IntakeOptions, NewEvent, Quota, QuotaState, Quotas, Sender, StoreLog, TenantDirectory,
};
use sealwright_store::testing::{TestStore, both};
use tempfile::TempDir;

pub(crate) const NOW: UnixMicros = UnixMicros(1_795_000_000_000_000);

pub(crate) fn tenant(n: u128) -> TenantId {
    Id::from_uuid(uuid(n))
}

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

pub(crate) fn event(id: &str, data: &str) -> Event {
    let text = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"com.example.t","subject":"u{id}","data":{data}}}"#
    );
    parse_event(text.as_bytes(), &Limits::default()).unwrap()
}

pub(crate) fn new(id: &str, data: &str) -> NewEvent {
    NewEvent::new(tenant(1), event(id, data))
}

/// A log under test with what it lives in.
pub(crate) struct TestLog {
    pub(crate) log: Arc<dyn IntakeLog>,
    pub(crate) name: &'static str,
    _folder: Option<TempDir>,
    _store: Option<TestStore>,
}

/// Small enough that segments, runs and restarts happen within a test.
pub(crate) fn small(faults: Arc<dyn Faults>) -> FileLogOptions {
    FileLogOptions {
        segment_bytes: 4 << 10,
        run_ids: 50,
        cache_bytes: 4 << 20,
        faults,
        ..FileLogOptions::default()
    }
}

pub(crate) fn open(folder: &Path) -> FileLog {
    FileLog::open(folder, small(Arc::new(sealwright_intake::NoFaults))).unwrap()
}

/// Every kind of log that is to be had.
pub(crate) async fn logs() -> Vec<TestLog> {
    let folder = tempfile::tempdir().unwrap();
    let mut logs = vec![TestLog {
        log: Arc::new(open(&folder.path().join("log"))),
        name: "file",
        _folder: Some(folder),
        _store: None,
    }];
    for store in both().await {
        let store = store.migrated(&[COMPONENT]).await;
        let log = StoreLog::open(sealwright_store::Store::clone(&store))
            .await
            .unwrap();
        logs.push(TestLog {
            log: Arc::new(log),
            name: store.name,
            _folder: None,
            _store: Some(store),
        });
    }
    logs
}

/// The whole log, read in pieces of `limit`.
pub(crate) async fn read_all(log: &dyn EventLog, limit: ReadLimit) -> Vec<StoredEvent> {
    let mut all: Vec<StoredEvent> = Vec::new();
    let mut next = log.earliest().await.unwrap();
    loop {
        let events = log.read(next, limit).await.unwrap();
        let Some(last) = events.last() else {
            return all;
        };
        for (event, offset) in events.iter().zip(next..) {
            assert_eq!(event.offset, offset, "offsets are dense");
        }
        next = last.offset + 1;
        all.extend(events);
    }
}

/// Fails at one point, a number of times.
#[derive(Debug)]
pub(crate) struct FailAt {
    pub(crate) point: FaultPoint,
    pub(crate) times: AtomicUsize,
    pub(crate) kind: std::io::ErrorKind,
}

impl FailAt {
    pub(crate) fn new(point: FaultPoint, times: usize, kind: std::io::ErrorKind) -> Arc<Self> {
        Arc::new(Self {
            point,
            times: AtomicUsize::new(times),
            kind,
        })
    }
}

impl Faults for FailAt {
    fn at(&self, point: FaultPoint) -> std::io::Result<()> {
        let fails = point == self.point
            && self
                .times
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if fails { Err(self.kind.into()) } else { Ok(()) }
    }
}

/// Keys: `one` for tenant 1, `all` for all, `read` may not write.
pub(crate) struct Keys;

#[async_trait]
impl Authenticate for Keys {
    async fn authenticate(&self, authorization: Option<&str>) -> Result<Sender, Problem> {
        let (scope, may_write_events) = match authorization {
            Some("Bearer one") => (TenantScope::One(tenant(1)), true),
            Some("Bearer two") => (TenantScope::One(tenant(2)), true),
            Some("Bearer all") => (TenantScope::All, true),
            Some("Bearer read") => (TenantScope::One(tenant(1)), false),
            _ => return Err(Problem::unauthorized("no such key")),
        };
        Ok(Sender {
            key_id: "key_1".into(),
            scope,
            may_write_events,
        })
    }
}

pub(crate) struct Tenants;

#[async_trait]
impl TenantDirectory for Tenants {
    async fn resolve(&self, name: &str) -> Result<Option<TenantId>, Problem> {
        Ok(match name {
            "acme" => Some(tenant(1)),
            "umbrella" => Some(tenant(2)),
            other => other
                .parse()
                .ok()
                .filter(|t| *t == tenant(1) || *t == tenant(2)),
        })
    }
}

/// Tenant 2 has a quota of three events.
#[derive(Default)]
pub(crate) struct Three(AtomicUsize);

#[async_trait]
impl Quotas for Three {
    async fn count(&self, who: TenantId, events: u64) -> Result<Quota, Problem> {
        if who != tenant(2) {
            return Ok(Quota::Unlimited);
        }
        let used = self.0.load(Ordering::SeqCst) as u64;
        let state = |remaining| QuotaState {
            limit: 3,
            window_seconds: 60,
            remaining,
            reset_seconds: 17,
        };
        if used + events > 3 {
            return Ok(Quota::Exceeded(state(3 - used)));
        }
        self.0.fetch_add(events as usize, Ordering::SeqCst);
        Ok(Quota::Within(state(3 - used - events)))
    }
}

pub(crate) fn app_on(log: Arc<dyn IntakeLog>) -> Router {
    let clock = Arc::new(ManualClock::new(NOW));
    let intake = Intake::start(
        log,
        vec![Arc::new(Catalogue)],
        clock,
        IntakeOptions::default(),
    );
    router(IntakeApi {
        intake,
        authenticate: Arc::new(Keys),
        tenants: Arc::new(Tenants),
        quotas: Arc::new(Three::default()),
    })
}
