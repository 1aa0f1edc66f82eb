//! A small company's usage of three months, metered and invoiced: made-up events, real services.
#![allow(dead_code, reason = "the example and the tests use different parts")]

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sealwright_access::{
    AccessPolicy, AccessService, NewTenant, Principal, TenantDirectory, Unrecorded, http, pages,
};
use sealwright_billing::consume::Metering;
use sealwright_billing::model::Invoice;
use sealwright_billing::model::budget::{BudgetTerms, Measure};
use sealwright_billing::pages::{BillingPages, Notice, Notices};
use sealwright_billing::service::anomaly::AnomalyService;
use sealwright_billing::service::budget::{BoardPolicy, BudgetService, Touched};
use sealwright_billing::service::invoice::{InvoiceService, InvoiceTerms};
use sealwright_billing::service::meter::MeterService;
use sealwright_billing::service::price_book::PriceBookService;
use sealwright_billing::service::usage::UsageService;
use sealwright_core::clock::{DAY, HOUR, MINUTE};
use sealwright_core::{
    Clock, Digest, ManualClock, TenantId, TenantScope, UnixMicros, canonical_json,
};
use sealwright_events::{
    Consumer as _, History, HistoryError, HistoryQuery, StoreConsumer, StoredEvent,
};
use sealwright_ledger::Ledger;
use sealwright_ledger::pages::LedgerPages;
use sealwright_rating::Format;
use sealwright_store::testing::{TestStore, sqlite};
use sealwright_web::commands::Commands;
use sealwright_web::component::Tone;
use sealwright_web::headers::{Policy, secure};
use sealwright_web::{
    ChromeSource as _, Fragment, Group, Nav, NavItem, Page, PageUrl, Viewer, assets, theme,
};
use serde_json::{Value, json};

const NAMES: [(&str, &str, &str); 8] = [
    ("acme", "Acme Corporation", "eu-west-1"),
    ("globex", "Globex", "us-east-1"),
    ("initech", "Initech", "ap-southeast-1"),
    ("umbrella", "Umbrella", "eu-west-1"),
    ("hooli", "Hooli", "us-east-1"),
    ("stark-industries", "Stark Industries", "us-east-1"),
    ("soylent", "Soylent", "ap-southeast-1"),
    ("wayne-enterprises", "Wayne Enterprises", "eu-west-1"),
];

/// The last tenant is on no price book.
const BOOKS: [&str; 7] = [
    "enterprise",
    "enterprise",
    "professional",
    "professional",
    "starter",
    "professional",
    "starter",
];

/// Stored events in memory.
pub(crate) struct Memory(Vec<StoredEvent>);

#[async_trait]
impl History for Memory {
    async fn next_offset(&self) -> Result<u64, HistoryError> {
        Ok(self.0.len() as u64)
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
                && (query.event_types.is_empty() || query.event_types.contains(&event.event_type))
                && query.from.is_none_or(|from| event.time >= from)
                && event.time < query.to
                && event.offset >= start
                && event.offset < query.below_offset
        };
        Ok(self.0.iter().filter(wanted).take(limit).cloned().collect())
    }
}

/// A running installation without a server.
pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) access: AccessService,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) invoices: Arc<InvoiceService>,
    pub(crate) budgets: Arc<BudgetService>,
    pub(crate) anomalies: AnomalyService,
    pub(crate) clock: ManualClock,
    pages: Arc<BillingPages>,
    nav: Arc<Nav>,
}

struct Stopped;

impl Notices for Stopped {
    fn notices(&self) -> Vec<Notice> {
        vec![Notice {
            tone: Tone::Bad,
            state: "stopped".to_owned(),
            what: "Consumer lake-writer".to_owned(),
            detail: "no progress for 4 min; events wait in the log".to_owned(),
            href: "/console/ledger".to_owned(),
        }]
    }
}

fn at(text: &str) -> UnixMicros {
    UnixMicros::parse_rfc3339(text).unwrap()
}

/// A repeatable number in 0..1000.
fn noise(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678;
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 32;
    x % 1000
}

struct Writer {
    events: Vec<StoredEvent>,
}

impl Writer {
    fn add(&mut self, tenant: TenantId, time: UnixMicros, kind: &str, source: &str, data: Value) {
        let offset = self.events.len() as u64;
        let id = format!("{kind}-{offset:05}");
        let event_type = format!("sealwright.usage.{kind}.v1");
        let json = canonical_json(&json!({
            "specversion": "1.0", "id": id, "source": source, "type": event_type,
            "time": time.to_string(), "data": data,
        }));
        self.events.push(StoredEvent {
            offset,
            tenant,
            received_at: time.plus(400_000),
            time,
            id,
            source: source.to_owned(),
            event_type,
            subject: None,
            digest: Digest::of(&json),
            json: json.into(),
        });
    }

    /// A day of a tenant's usage.
    fn day(&mut self, tenant: TenantId, place: usize, region: &str, day: UnixMicros) {
        let number = u64::try_from(day.0 / DAY).unwrap();
        let size = 9 - place as u64;
        let weekend = if number % 7 == 2 || number % 7 == 3 {
            5
        } else {
            9
        };
        let level = |salt: u64| weekend * (700 + noise(number * 31 + salt + place as u64) / 3);
        for part in 0..3_i64 {
            let time = day.plus(5 * HOUR + part * 5 * HOUR + 7 * MINUTE);
            let salt = u64::try_from(part).unwrap();
            for (i, model) in ["gpt-large", "gpt-medium", "gpt-small", "embed-3"]
                .into_iter()
                .enumerate()
            {
                let scale = [90, 60, 33, 20][i] * size;
                self.add(
                    tenant,
                    time.plus(i as i64 * MINUTE),
                    "ai",
                    "/gateway",
                    json!({
                        "model": model, "region": region,
                        "input_tokens": level(salt + i as u64) * scale,
                        "output_tokens": level(salt + 7 + i as u64) * scale / 4,
                    }),
                );
            }
            self.add(
                tenant,
                time.plus(10 * MINUTE),
                "compute",
                "/scheduler",
                json!({ "hours": level(salt) * size / 100, "region": region,
                    "instance_type": "c6.large" }),
            );
        }
        let noon = day.plus(12 * HOUR);
        self.add(
            tenant,
            noon,
            "bandwidth",
            "/edge",
            json!({ "gb": level(3) * size / 50, "region": region }),
        );
        self.add(
            tenant,
            noon,
            "database",
            "/db",
            json!({ "queries": level(4) * size * 400, "region": region }),
        );
        if number % 5 == 0 {
            self.add(
                tenant,
                noon,
                "storage",
                "/volumes",
                json!({ "gb": 300 * size + noise(number), "region": region, "volume": "main" }),
            );
        }
    }
}

impl World {
    /// Builds it with this many of the tenants. Cost: some thousand events, metered in memory.
    pub(crate) async fn new(tenants: usize) -> Self {
        let store = sqlite()
            .await
            .migrated(&[
                sealwright_events::COMPONENT,
                sealwright_access::COMPONENT,
                sealwright_ledger::COMPONENT,
                sealwright_billing::COMPONENT,
            ])
            .await;
        let clock = ManualClock::new(at("2026-11-22T14:05:09Z"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let data = store.path().join("data");
        let ledger = Ledger::open(
            &data,
            Some("log.example/demo"),
            store.store.clone(),
            Arc::clone(&shared),
        )
        .await
        .unwrap();
        let ledger = Arc::new(ledger);
        let access = AccessService::new(
            store.store.clone(),
            Arc::clone(&shared),
            Arc::new(Unrecorded),
            AccessPolicy {
                secure_cookies: false,
                ..AccessPolicy::default()
            },
        );
        let ids = make_tenants(&access, tenants).await;
        let meters = MeterService::load(
            store.store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
        )
        .await
        .unwrap();
        let books = PriceBookService::new(
            store.store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
        );
        subscribe(&books, &ids).await;
        let events = write(&ids);
        let metering = StoreConsumer::new(
            store.store.clone(),
            Arc::clone(&shared),
            Metering::new(Arc::clone(&meters)),
        );
        for chunk in events.chunks(2_000) {
            metering.consume(chunk).await.unwrap();
        }
        let usage = UsageService::new(store.store.clone(), meters);
        let directory: TenantDirectory = access.directory().clone();
        let invoices = Arc::new(InvoiceService::new(
            store.store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
            usage.clone(),
            books.clone(),
            Arc::new(Memory(events)),
            directory.clone(),
            InvoiceTerms::default(),
        ));
        let budgets = Arc::new(BudgetService::new(
            store.store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
            usage.clone(),
            Arc::clone(&invoices),
            Arc::new(Touched::default()),
            BoardPolicy::default(),
        ));
        let anomalies = AnomalyService::new(
            store.store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&shared),
            usage.clone(),
            directory.clone(),
        );
        let nav = Arc::new(nav());
        let pages = Arc::new(BillingPages {
            usage,
            books,
            invoices: Arc::clone(&invoices),
            budgets: Arc::clone(&budgets),
            anomalies: anomalies.clone(),
            directory,
            clock: shared,
            chrome: Arc::<Nav>::clone(&nav),
        });
        let world = Self {
            store,
            access,
            ledger,
            invoices,
            budgets,
            anomalies,
            clock,
            pages,
            nav,
        };
        world.bill(&ids).await;
        world.limit(&ids).await;
        world.ledger.sequence().await.unwrap();
        world
    }

    /// Budgets for the first tenants, and a look for anomalies.
    async fn limit(&self, ids: &[TenantId]) {
        let month = sealwright_billing::model::Span {
            from: at("2026-11-01T00:00:00Z"),
            to: at("2026-12-01T00:00:00Z"),
        };
        // Shares of the limit that are used by now: on the way, slowed down, stopped.
        for (tenant, percent) in ids.iter().zip([61, 97, 131]) {
            let Ok(estimate) = self.invoices.estimate(*tenant, month).await else {
                continue;
            };
            let minor = (estimate.amount.minor() * 100 / percent).max(1);
            let currency = estimate.amount.currency();
            let limit = sealwright_money::Money::from_minor(minor, currency).amount();
            let terms = BudgetTerms::new(Measure::Amount, &limit, Some(currency.code()));
            self.budgets
                .set(*tenant, terms, None, "user:usr_owner")
                .await
                .unwrap();
        }
        if let Some(first) = ids.first() {
            let terms = BudgetTerms::new(
                Measure::Meter("database.queries".to_owned()),
                "900000000",
                None,
            );
            let set = self.budgets.set(*first, terms, None, "user:usr_owner");
            set.await.unwrap();
        }
        self.anomalies
            .evaluate(TenantScope::All, "job:billing.anomaly")
            .await
            .unwrap();
    }

    async fn bill(&self, ids: &[TenantId]) {
        let (september, october) = (at("2026-09-15T00:00:00Z"), at("2026-10-15T00:00:00Z"));
        let actor = "job:invoice-run";
        let service = &self.invoices;
        let made = |mut list: Vec<sealwright_billing::service::invoice::Generated>| -> Invoice {
            list.remove(0).result.unwrap()
        };
        for (place, tenant) in ids.iter().enumerate().take(BOOKS.len()) {
            if place < 2 {
                let found = service
                    .generate(Some(*tenant), september, true, actor)
                    .await
                    .unwrap();
                if place == 0 {
                    let paid = made(found);
                    service
                        .pay(TenantScope::All, paid.document.id, None, "SEPA 4711", actor)
                        .await
                        .unwrap();
                }
            }
            // The invoices of the last two tenants stay drafts.
            let finalise = place + 2 < ids.len();
            let found = service
                .generate(Some(*tenant), october, finalise, actor)
                .await
                .unwrap();
            if place == 3 && finalise {
                let void = made(found);
                service
                    .void(
                        TenantScope::All,
                        void.document.id,
                        None,
                        "wrong price book",
                        actor,
                    )
                    .await
                    .unwrap();
            }
        }
        service.mark_overdue("job:overdue").await.unwrap();
        service
            .generate(ids.first().copied(), self.clock.now(), false, actor)
            .await
            .unwrap();
    }

    /// Billing, ledger, access and assets, behind the real authentication.
    pub(crate) fn router(&self) -> Router {
        let pages = Router::new()
            .merge(Arc::clone(&self.pages).router())
            .merge(Arc::clone(&self.pages).today_router(Arc::new(Stopped)))
            .merge(self.ledger_pages().router())
            .merge(pages::router(self.access.clone(), Arc::clone(&self.nav)))
            .merge(
                Router::new()
                    .route("/console/commands", get(commands))
                    .with_state(Arc::clone(&self.nav)),
            )
            .layer(from_fn_with_state(self.access.clone(), http::authenticate));
        secure(
            pages.merge(assets::router()).merge(theme::router()),
            Policy::default(),
        )
    }

    fn ledger_pages(&self) -> Arc<LedgerPages> {
        Arc::new(LedgerPages {
            ledger: Arc::clone(&self.ledger),
            chrome: Arc::<Nav>::clone(&self.nav),
        })
    }

    /// The pages without authentication: the test says who looks.
    pub(crate) fn open_router(&self) -> Router {
        Router::new()
            .merge(Arc::clone(&self.pages).router())
            .merge(Arc::clone(&self.pages).today_router(Arc::new(())))
            .merge(self.ledger_pages().router())
    }
}

async fn commands(State(nav): State<Arc<Nav>>, url: PageUrl, headers: HeaderMap) -> Response {
    let chrome = nav.chrome(&Viewer::default(), &url, &headers);
    let list = Commands::new(&chrome, &[]);
    if Fragment::asked(&headers) {
        return Fragment::new(&list).into_response();
    }
    Page::new("Go to", chrome, &list).into_response()
}

fn nav() -> Nav {
    Nav::new()
        .item(NavItem::new(Group::Top, "Today", "/console"))
        .item(NavItem::new(Group::Account, "Billing", "/console/billing"))
        .item(NavItem::new(Group::Prove, "Ledger", "/console/ledger"))
        .item(NavItem::new(Group::System, "Access", "/console/access"))
}

async fn make_tenants(access: &AccessService, count: usize) -> Vec<TenantId> {
    let mut ids = Vec::new();
    for (slug, name, region) in NAMES.into_iter().take(count) {
        let new = NewTenant {
            slug: slug.to_owned(),
            name: Some(name.to_owned()),
            plan: None,
            region: Some(region.to_owned()),
        };
        let tenant = access.create_tenant(&Principal::local(), new).await;
        ids.push(tenant.unwrap().id);
    }
    ids
}

async fn subscribe(books: &PriceBookService, ids: &[TenantId]) {
    for name in ["enterprise", "professional", "starter"] {
        let file = format!(
            "{}/../../../examples/plans/{name}.toml",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(&file).unwrap();
        books
            .publish(&file, &text, Format::Toml, "user:usr_owner")
            .await
            .unwrap();
    }
    for (tenant, book) in ids.iter().zip(BOOKS) {
        let from = at("2026-09-01T00:00:00Z");
        books
            .subscribe(*tenant, book, None, from, "user:usr_owner")
            .await
            .unwrap();
    }
}

fn write(ids: &[TenantId]) -> Vec<StoredEvent> {
    let mut writer = Writer { events: Vec::new() };
    let mut day = at("2026-09-01T00:00:00Z");
    let end = at("2026-11-22T00:00:00Z");
    while day < end {
        for (place, tenant) in ids.iter().enumerate() {
            // September is there for the first two, and the days between for nobody else.
            if place < 2 || day >= at("2026-10-01T00:00:00Z") {
                writer.day(*tenant, place, NAMES[place].2, day);
            }
        }
        day = day.plus(DAY);
    }
    for i in 0..3 {
        let time = at("2026-11-20T04:00:00Z").plus(i * HOUR);
        writer.add(
            ids[0],
            time,
            "compute",
            "/scheduler",
            json!({ "hours": "many", "region": "eu-west-1" }),
        );
    }
    writer.events
}
