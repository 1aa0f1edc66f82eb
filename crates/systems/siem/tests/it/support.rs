//! What the tests share: a small installation over a log in memory.
#![allow(dead_code, reason = "the tests use different parts")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use sealwright_access::TenantDirectory;
use sealwright_act::{Act, ActError, Done, Kind, Order};
use sealwright_core::{
    Clock, Digest, Id, ManualClock, TenantId, TenantScope, UnixMicros, canonical_json,
};
use sealwright_events::{
    Answer, EventLog, EventSearch, EventTerms as _, History, HistoryError, HistoryQuery, Known,
    LogError, Passed, Question, ReadLimit, Sieve, Sift, Sifted, StoreConsumer, StoredEvent,
    catch_up,
};
use sealwright_ledger::Ledger;
use sealwright_notify::{Message, MessageId, Outbox};
use sealwright_siem::api::Siem;
use sealwright_siem::consume::{Consuming, Detection};
use sealwright_siem::model::{Alert, RuleFile};
use sealwright_siem::service::alert::AlertService;
use sealwright_siem::service::detect::Terms;
use sealwright_siem::service::hunt::{FieldTerms, Hunter};
use sealwright_siem::service::incident::IncidentService;
use sealwright_siem::service::keep::KeepActs;
use sealwright_siem::service::raise::Raiser;
use sealwright_siem::service::respond::RespondService;
use sealwright_siem::service::retro::{self, Span};
use sealwright_siem::service::rule::RuleService;
use sealwright_siem::service::source::SourceService;
use sealwright_siem::service::suppression::SuppressionService;
use sealwright_siem::service::vanish::FieldService;
use sealwright_siem::store::alert::Filter;
use sealwright_store::testing::{TestStore, both};
use sealwright_store::{Store, StoreError, Tx};
use sealwright_terms::{Builder, RowSet, RowValue, Segment};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const RULES: &str = r"
title: Failed sign-in
id: aaaaaaaa-0000-4000-8000-000000000001
name: failed_sign_in
author: A. Nalyst
level: low
logsource: {category: authentication}
detection:
  selection: {event.category: authentication, event.outcome: failure}
  condition: selection
---
title: Many failed sign-ins from one address
id: aaaaaaaa-0000-4000-8000-000000000002
author: A. Nalyst
level: high
tags: [attack.credential-access, attack.t1110]
correlation:
  type: event_count
  rules: [failed_sign_in]
  group-by: [source.ip]
  timespan: 5m
  condition: {gte: 5}
---
title: Password spraying
id: aaaaaaaa-0000-4000-8000-000000000003
author: A. Nalyst
level: critical
tags: [attack.credential-access, attack.t1110.003]
correlation:
  type: value_count
  rules: [failed_sign_in]
  group-by: [source.ip]
  timespan: 5m
  condition: {field: user.name, gte: 4}
---
title: A key was made
id: aaaaaaaa-0000-4000-8000-000000000004
author: B. Nalyst
level: medium
tags: [attack.persistence, attack.t1098]
falsepositives: [Automation that makes keys]
logsource: {category: iam}
detection:
  selection: {event.action: create-key}
  filter: {user.name: terraform}
  condition: selection and not filter
";

pub(crate) fn at(second: i64) -> UnixMicros {
    UnixMicros(1_795_000_000_000_000 + second * 1_000_000)
}

/// A log, a history and a search over events in memory.
pub(crate) struct Memory {
    pub(crate) events: Mutex<Vec<StoredEvent>>,
    head: watch::Sender<u64>,
    /// Events of which terms said all, so far.
    pub(crate) known: AtomicUsize,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::new(Vec::new()),
            head: watch::Sender::new(0),
            known: AtomicUsize::new(0),
        })
    }

    pub(crate) fn push(&self, mut event: StoredEvent) {
        let mut events = self.events.lock().unwrap();
        event.offset = events.len() as u64;
        events.push(event);
        self.head.send_replace(events.len() as u64);
    }
}

#[async_trait]
impl EventLog for Memory {
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

#[async_trait]
impl History for Memory {
    async fn next_offset(&self) -> Result<u64, HistoryError> {
        Ok(self.events.lock().unwrap().len() as u64)
    }
    async fn catch_up(&self) -> Result<(), HistoryError> {
        Ok(())
    }
    async fn page(
        &self,
        query: &HistoryQuery,
        start: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError> {
        let wanted = |event: &&StoredEvent| {
            event.tenant == query.tenant
                && query.from.is_none_or(|from| event.time >= from)
                && event.time < query.to
                && event.offset >= start
                && event.offset < query.below_offset
        };
        let events = self.events.lock().unwrap();
        Ok(events.iter().filter(wanted).take(limit).cloned().collect())
    }

    async fn sift<'a>(
        &'a self,
        query: &HistoryQuery,
        sieve: &Sieve,
    ) -> Result<Box<dyn Sift + 'a>, HistoryError> {
        let events = self.page(query, 0, usize::MAX).await?;
        Ok(Box::new(ByTerms {
            events,
            sieve: sieve.clone(),
            known: &self.known,
        }))
    }
}

/// Sifts by the terms of events, a few at a time, as the lake does.
struct ByTerms<'a> {
    events: Vec<StoredEvent>,
    sieve: Sieve,
    known: &'a AtomicUsize,
}

#[async_trait]
impl Sift for ByTerms<'_> {
    async fn next(&mut self) -> Result<Vec<Sifted>, HistoryError> {
        let rest = self.events.split_off(self.events.len().min(70));
        let page = std::mem::replace(&mut self.events, rest);
        let mut builder = Builder::new();
        let mut unsure = Vec::new();
        for event in &page {
            assert!(builder.row(event.time.0, event.offset, event.received_at.0));
            builder.words(&String::from_utf8_lossy(&event.json).to_lowercase());
            unsure.push(!FieldTerms.add(event, &mut builder));
        }
        let bytes = builder.finish(&FieldTerms.version());
        let segment = Segment::open(bytes.as_slice()).unwrap();
        let whole = self.sieve.whole.roughly(&segment, 20).unwrap();
        let asked = self.sieve.conditions.iter();
        let verdicts: Vec<_> = asked
            .map(|asked| asked.condition.roughly(&segment, 20).unwrap())
            .collect();
        let all = RowSet::all(page.len());
        let names = self.sieve.values.iter();
        let values: Vec<_> = names
            .map(|name| segment.values(name, &all).unwrap())
            .collect();
        let sifted = page.into_iter().enumerate().map(|(row, event)| {
            let may = verdicts.iter().any(|v| v.maybe.contains(row));
            if unsure[row] || may || whole.yes.contains(row) || whole.maybe.contains(row) {
                return Sifted::Whole(event);
            }
            let passed = Passed {
                offset: event.offset,
                time: event.time,
                received_at: event.received_at,
                source: event.source.as_str().into(),
            };
            let held: Arc<[usize]> = (0..verdicts.len())
                .filter(|i| verdicts[*i].yes.contains(row))
                .collect();
            if held.is_empty() {
                return Sifted::Passed(passed);
            }
            let mut told = vec![None; values.len()];
            for place in held.iter().flat_map(|i| &self.sieve.conditions[*i].values) {
                told[*place] = match values[*place].get(row) {
                    RowValue::None => None,
                    RowValue::Kept(text) => Some(Arc::clone(text)),
                    RowValue::Unkept => return Sifted::Whole(event),
                };
            }
            self.known.fetch_add(1, Ordering::Relaxed);
            Sifted::Known(Known {
                event: passed,
                conditions: held,
                values: told,
            })
        });
        Ok(sifted.collect())
    }
}

/// The same events without terms: each is looked at.
pub(crate) struct EachLookedAt(pub(crate) Arc<Memory>);

#[async_trait]
impl History for EachLookedAt {
    async fn next_offset(&self) -> Result<u64, HistoryError> {
        self.0.next_offset().await
    }
    async fn catch_up(&self) -> Result<(), HistoryError> {
        Ok(())
    }
    async fn page(
        &self,
        query: &HistoryQuery,
        start: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError> {
        self.0.page(query, start, limit).await
    }
}

#[async_trait]
impl EventSearch for Memory {
    async fn ask(&self, question: &Question) -> Result<Answer, HistoryError> {
        let events = self.events.lock().unwrap().clone();
        Ok(Answer::by_looking(question, events.into_iter().rev()))
    }
}

/// An event of a tenant that happened at one second and was received at another.
pub(crate) fn event(
    tenant: TenantId,
    source: &str,
    time: i64,
    received: i64,
    data: &Value,
) -> StoredEvent {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = format!(
        "e{}",
        NUMBER.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    );
    let json = canonical_json(&json!({
        "specversion": "1.0", "id": id, "source": source, "type": "test.event",
        "time": at(time).to_string(), "data": data,
    }));
    StoredEvent {
        offset: 0,
        tenant,
        received_at: at(received),
        time: at(time),
        id,
        source: source.to_owned(),
        event_type: "test.event".to_owned(),
        subject: None,
        digest: Digest::of(&json),
        json: Bytes::from(json),
    }
}

pub(crate) fn failure(user: &str, address: &str) -> Value {
    json!({
        "event": {"category": ["authentication"], "outcome": "failure", "action": "sign-in"},
        "user": {"name": user}, "source": {"ip": address},
    })
}

pub(crate) fn key_made(user: &str) -> Value {
    json!({
        "event": {"category": ["iam"], "action": "create-key", "outcome": "success"},
        "user": {"name": user}, "source": {"ip": "192.0.2.200"},
    })
}

/// A small installation.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) log: Arc<Memory>,
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) hands: Arc<Hands>,
    pub(crate) told: Arc<Told>,
    pub(crate) siem: Siem,
    pub(crate) consumer: StoreConsumer<Consuming>,
    pub(crate) tenant: TenantId,
    pub(crate) other: TenantId,
}

pub(crate) fn rules() -> Vec<RuleFile> {
    vec![RuleFile {
        name: "test.yml".to_owned(),
        text: RULES.to_owned(),
        digest: Digest::of(RULES.as_bytes()),
        floor: true,
    }]
}

impl World {
    /// What a retro-hunt over everything finds, and its alerts as [`World::told`] writes those of the stream.
    pub(crate) async fn hunted(&self) -> (retro::Report, Vec<String>) {
        let ruleset = self.siem.rules.compiled(Some(self.tenant)).await.unwrap();
        let span = Span {
            tenant: self.tenant,
            from: None,
            to: at(100_000),
        };
        let report = retro::run(self.log.as_ref(), ruleset, self.siem.terms, span)
            .await
            .unwrap();
        let mut hunted: Vec<String> = report
            .alerts
            .iter()
            .map(|a| {
                format!(
                    "{} ×{} {} – {} {}",
                    a.key, a.matches, a.first_at, a.last_at, a.severity
                )
            })
            .collect();
        hunted.sort();
        (report, hunted)
    }

    /// A program over a store and a log, as after a start.
    pub(crate) async fn start(
        test: &TestStore,
        log: Arc<Memory>,
        tenants: (TenantId, TenantId),
    ) -> Self {
        Self::start_in(test, &test.path().join("data"), log, tenants).await
    }

    /// The same with the ledger in a folder.
    pub(crate) async fn start_in(
        test: &TestStore,
        data: &std::path::Path,
        log: Arc<Memory>,
        tenants: (TenantId, TenantId),
    ) -> Self {
        let store = test.store.clone();
        let clock = ManualClock::new(at(10_000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let ledger = Arc::new(
            Ledger::open(
                data,
                Some("test.example/siem"),
                store.clone(),
                Arc::clone(&shared),
            )
            .await
            .unwrap(),
        );
        let rules = RuleService::with_floor(
            store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
            rules(),
        );
        let hands = Arc::new(Hands::default());
        let respond = RespondService::new(
            store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
            vec![
                Arc::clone(&hands) as _,
                Arc::new(KeepActs::new(
                    store.clone(),
                    Arc::clone(&ledger),
                    Arc::clone(&shared),
                    Arc::clone(&log) as _,
                    Arc::clone(&log) as _,
                )),
            ],
        );
        let told = Arc::new(Told::default());
        let raiser = Raiser::new(Arc::clone(&ledger), Arc::clone(&shared))
            .with_response(respond.clone())
            .telling(Arc::clone(&told) as _);
        let detection = Arc::new(Detection::new(
            store.clone(),
            rules.clone(),
            raiser.clone(),
            Arc::clone(&log) as _,
            Terms::default(),
        ));
        let parts = || (store.clone(), Arc::clone(&ledger), Arc::clone(&shared));
        let (a, b, c) = parts();
        let (d, e, f) = parts();
        let (g, h, i) = parts();
        let (j, k, l) = parts();
        let siem = Siem {
            fields: FieldService::new(
                store.clone(),
                Arc::clone(&shared),
                rules.clone(),
                raiser.clone(),
                3_600_000_000,
            ),
            rules: rules.clone(),
            respond,
            alerts: AlertService::new(a, b, c).telling(Arc::clone(&told) as _),
            incidents: IncidentService::new(d, e, f),
            suppressions: SuppressionService::new(g, h, i),
            sources: SourceService::new(j, k, l, raiser, 3_600_000_000),
            hunter: Hunter::new(Arc::clone(&log) as _),
            sink: None,
            history: Arc::clone(&log) as _,
            detection: Arc::clone(&detection),
            terms: Terms::default(),
            directory: TenantDirectory::default(),
            clock: Arc::clone(&shared),
        };
        Self {
            consumer: StoreConsumer::new(store.clone(), shared, Consuming(detection)),
            store,
            log,
            clock,
            ledger,
            hands,
            told,
            siem,
            tenant: tenants.0,
            other: tenants.1,
        }
    }

    pub(crate) async fn consume(&self, batch: usize) {
        let limit = ReadLimit {
            events: batch,
            bytes: usize::MAX,
        };
        catch_up(self.log.as_ref(), &self.consumer, limit)
            .await
            .unwrap();
        // Ids sort by the millisecond of their making.
        self.clock.advance(1_000);
    }

    /// Lets everything that waits be judged: the present is long after the last event.
    pub(crate) async fn settle(&self, second: i64) {
        self.clock.set(at(second));
        self.siem.detection.tick().await.unwrap();
        self.siem.detection.tick().await.unwrap();
    }

    pub(crate) async fn alerts(&self, tenant: TenantId) -> Vec<Alert> {
        let filter = Filter {
            limit: 1_000,
            ..Filter::default()
        };
        self.siem
            .alerts
            .list(TenantScope::One(tenant), &filter)
            .await
            .unwrap()
    }

    /// What alerts say, without ids and times of raising: to be compared.
    pub(crate) async fn told(&self, tenant: TenantId) -> Vec<String> {
        let mut told: Vec<String> = self
            .alerts(tenant)
            .await
            .iter()
            .map(|alert| {
                format!(
                    "{} ×{} {} – {} {}",
                    alert.dedup_key, alert.matches, alert.first_at, alert.last_at, alert.severity
                )
            })
            .collect();
        told.sort();
        told
    }
}

pub(crate) fn tenants() -> (TenantId, TenantId) {
    (Id::new(at(0)), Id::new(at(1)))
}

/// One installation on each kind of store.
pub(crate) async fn worlds() -> Vec<(TestStore, World)> {
    let mut out = Vec::new();
    for store in both().await {
        let store = store
            .migrated(&[
                sealwright_events::COMPONENT,
                sealwright_ledger::COMPONENT,
                sealwright_siem::COMPONENT,
            ])
            .await;
        let world = World::start(&store, Memory::new(), tenants()).await;
        out.push((store, world));
    }
    out
}

/// Whoever is told, as one line a message.
#[derive(Debug, Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<String>>);

impl Outbox for Told {
    fn enqueue<'a>(
        &'a self,
        _tx: &'a mut Tx,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<MessageId, StoreError>> {
        self.0.lock().unwrap().push(format!("{message:?}"));
        Box::pin(async { Ok(MessageId::new(at(0))) })
    }
}

/// Somebody who acts on users, and remembers what was done.
#[derive(Default)]
pub(crate) struct Hands {
    pub(crate) done: Mutex<Vec<String>>,
    /// How many times the next actions fail.
    pub(crate) failures: Mutex<u32>,
}

#[async_trait]
impl Act for Hands {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind {
            name: "disable-user",
            about: "Disables the user",
            target: "user",
            undoable: true,
        }]
    }
    async fn look(&self, order: &Order) -> Result<String, ActError> {
        Ok(format!("disable {}", order.target))
    }
    async fn act(&self, order: &Order) -> Result<Done, ActError> {
        if order.target == "root" {
            return Err(ActError::Refused("not this one".to_owned()));
        }
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(ActError::Failed("not now".to_owned()));
        }
        self.done
            .lock()
            .unwrap()
            .push(format!("disabled {} again={}", order.target, order.again));
        Ok(Done {
            detail: "disabled".to_owned(),
            undo: Some(order.target.clone()),
        })
    }
    async fn undo(&self, _order: &Order, undo: &str) -> Result<String, ActError> {
        self.done.lock().unwrap().push(format!("enabled {undo}"));
        Ok("enabled".to_owned())
    }
}
