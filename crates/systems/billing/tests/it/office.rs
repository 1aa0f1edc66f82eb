//! Billing over either store, with a log in memory and the real consumer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealwright_access::{AccessPolicy, AccessService, NewTenant, Principal, Unrecorded};
use sealwright_billing::consume::Metering;
use sealwright_billing::service::anomaly::AnomalyService;
use sealwright_billing::service::budget::{BoardPolicy, BudgetService, BudgetWatch, Touched};
use sealwright_billing::service::invoice::{InvoiceService, InvoiceTerms};
use sealwright_billing::service::meter::MeterService;
use sealwright_billing::service::price_book::PriceBookService;
use sealwright_billing::service::usage::UsageService;
use sealwright_core::{Clock, Digest, ManualClock, TenantId, UnixMicros, canonical_json};
use sealwright_events::{
    EventLog, History, HistoryError, HistoryQuery, LogError, ReadLimit, StoreConsumer, StoredEvent,
    catch_up,
};
use sealwright_ledger::Ledger;
use sealwright_notify::Notifier;
use sealwright_rating::Format;
use sealwright_store::sql;
use sealwright_store::testing::TestStore;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A log in memory.
pub(crate) struct Lines {
    events: Mutex<Vec<StoredEvent>>,
    head: watch::Sender<u64>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            head: watch::channel(0).0,
        }
    }
}

#[async_trait]
impl EventLog for Lines {
    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<StoredEvent>, LogError> {
        let events = self.events.lock().unwrap();
        let from = usize::try_from(from).unwrap();
        Ok(events
            .iter()
            .skip(from)
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

struct Nothing;

#[async_trait]
impl History for Nothing {
    async fn next_offset(&self) -> Result<u64, HistoryError> {
        Ok(0)
    }

    async fn catch_up(&self) -> Result<(), HistoryError> {
        Ok(())
    }

    async fn page(
        &self,
        _: &HistoryQuery,
        _: u64,
        _: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError> {
        Ok(Vec::new())
    }
}

/// Billing of two tenants, on the example price book `starter`.
pub(crate) struct Office {
    pub(crate) store: TestStore,
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) access: AccessService,
    pub(crate) acme: TenantId,
    pub(crate) hooli: TenantId,
    pub(crate) log: Arc<Lines>,
    pub(crate) metering: Arc<StoreConsumer<Metering>>,
    pub(crate) touched: Arc<Touched>,
    pub(crate) usage: UsageService,
    pub(crate) books: PriceBookService,
    pub(crate) invoices: Arc<InvoiceService>,
    pub(crate) budgets: Arc<BudgetService>,
    pub(crate) anomalies: AnomalyService,
}

pub(crate) fn at(text: &str) -> UnixMicros {
    UnixMicros::parse_rfc3339(text).unwrap()
}

impl Office {
    pub(crate) async fn open(store: TestStore, now: &str) -> Self {
        let store = store
            .migrated(&[
                sealwright_events::COMPONENT,
                sealwright_access::COMPONENT,
                sealwright_ledger::COMPONENT,
                sealwright_notify::COMPONENT,
                sealwright_billing::COMPONENT,
            ])
            .await;
        let clock = ManualClock::new(at(now));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let data = store.path().join("data");
        let ledger = Ledger::open(
            &data,
            Some("log.example/t"),
            store.store.clone(),
            shared.clone(),
        );
        let ledger = Arc::new(ledger.await.unwrap());
        let access = AccessService::new(
            store.store.clone(),
            shared.clone(),
            Arc::new(Unrecorded),
            AccessPolicy::default(),
        );
        let mut ids = Vec::new();
        for slug in ["acme", "hooli"] {
            let new = NewTenant {
                slug: slug.to_owned(),
                name: None,
                plan: None,
                region: None,
            };
            let made = access.create_tenant(&Principal::local(), new).await;
            ids.push(made.unwrap().id);
        }
        let meters = MeterService::load(store.store.clone(), ledger.clone(), shared.clone())
            .await
            .unwrap();
        let books = PriceBookService::new(store.store.clone(), ledger.clone(), shared.clone());
        let file = format!(
            "{}/../../../examples/plans/starter.toml",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(&file).unwrap();
        books
            .publish(&file, &text, Format::Toml, "user:o")
            .await
            .unwrap();
        for id in &ids {
            let from = at("2026-01-01T00:00:00Z");
            books
                .subscribe(*id, "starter", None, from, "user:o")
                .await
                .unwrap();
        }
        Self::services(store, clock, ledger, access, meters, books, &ids)
    }

    fn services(
        store: TestStore,
        clock: ManualClock,
        ledger: Arc<Ledger>,
        access: AccessService,
        meters: Arc<MeterService>,
        books: PriceBookService,
        ids: &[TenantId],
    ) -> Self {
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let touched = Arc::new(Touched::default());
        let metering = Arc::new(StoreConsumer::new(
            store.store.clone(),
            shared.clone(),
            Metering::new(meters.clone()).telling(touched.clone()),
        ));
        let usage = UsageService::new(store.store.clone(), meters);
        let invoices = Arc::new(InvoiceService::new(
            store.store.clone(),
            ledger.clone(),
            shared.clone(),
            usage.clone(),
            books.clone(),
            Arc::new(Nothing),
            access.directory().clone(),
            InvoiceTerms::default(),
        ));
        let anomalies = AnomalyService::new(
            store.store.clone(),
            ledger.clone(),
            shared,
            usage.clone(),
            access.directory().clone(),
        )
        .telling(Arc::new(Notifier::new(Arc::new(clock.clone()))));
        let budgets = BudgetService::new(
            store.store.clone(),
            ledger.clone(),
            Arc::new(clock.clone()),
            usage.clone(),
            invoices.clone(),
            touched.clone(),
            BoardPolicy::default(),
        );
        let mut office = Self {
            budgets: Arc::new(budgets),
            store,
            clock,
            ledger,
            access,
            acme: ids[0],
            hooli: ids[1],
            log: Arc::default(),
            metering,
            touched,
            usage,
            books,
            invoices,
            anomalies,
        };
        office.restart();
        office
    }

    /// Forgets everything that a process remembers of budgets.
    pub(crate) fn restart(&mut self) {
        let budgets = BudgetService::new(
            self.store.store.clone(),
            self.ledger.clone(),
            Arc::new(self.clock.clone()),
            self.usage.clone(),
            self.invoices.clone(),
            self.touched.clone(),
            BoardPolicy::default(),
        );
        let outbox = Notifier::new(Arc::new(self.clock.clone()));
        self.budgets = Arc::new(budgets.telling(Arc::new(outbox)));
    }

    /// What people are told of: topic, severity, title and phase of each message, in order.
    pub(crate) async fn told(&self) -> Vec<String> {
        let rows = self
            .store
            .store
            .fetch_all(sql(
                "SELECT topic, severity, phase, title FROM notify_message ORDER BY created_at, id",
            ))
            .await
            .unwrap();
        rows.iter()
            .map(|row| {
                let text = |name: &str| row.text(name).unwrap();
                let severity = row.int("severity").unwrap();
                let (topic, phase, title) = (text("topic"), text("phase"), text("title"));
                format!("{topic} {severity} {phase}: {title}")
            })
            .collect()
    }

    pub(crate) fn watch(&self) -> BudgetWatch {
        BudgetWatch::new(self.budgets.clone(), self.log.clone())
    }

    /// Appends an event and lets nothing happen yet.
    pub(crate) fn append(&self, tenant: TenantId, time: UnixMicros, kind: &str, data: Value) {
        let mut events = self.log.events.lock().unwrap();
        let offset = events.len() as u64;
        let event_type = format!("sealwright.usage.{kind}.v1");
        let json = canonical_json(&json!({
            "specversion": "1.0", "id": offset.to_string(), "source": "/t", "type": event_type,
            "time": time.to_string(), "data": data,
        }));
        events.push(StoredEvent {
            offset,
            tenant,
            received_at: time,
            time,
            id: offset.to_string(),
            source: "/t".to_owned(),
            event_type,
            subject: None,
            digest: Digest::of(&json),
            json: json.into(),
        });
        drop(events);
        self.log.head.send_replace(offset + 1);
    }

    /// So many queries of a database at a moment.
    pub(crate) fn queries(&self, tenant: TenantId, time: UnixMicros, queries: i64) {
        let data = json!({ "queries": queries, "region": "eu-west-1" });
        self.append(tenant, time, "database", data);
    }

    /// Meters what is in the log.
    pub(crate) async fn meter(&self) {
        let limit = ReadLimit::default();
        catch_up(self.log.as_ref(), self.metering.as_ref(), limit)
            .await
            .unwrap();
    }
}
