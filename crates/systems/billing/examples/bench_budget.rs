//! Budget checks over loopback HTTP while intake runs, and the same question as a prepared SELECT.
//!
//! `bench_budget [SECONDS] [CHECKS A SECOND] [EVENTS A SECOND]` (default 20, 5,000, 20,000): an open loop, so that
//! a slow answer does not thin out the load; times count from when a check was due. Server, metering,
//! budget evaluation, ledger and both load generators are in this process, keys are real ones. The peer
//! is the server of `SEALWRIGHT_TEST_POSTGRES` with the same rate of a prepared
//! `SELECT used, limit FROM budget WHERE tenant = $1`, on as many connections, with no intake beside it.
//! One line of JSON a figure.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::middleware::from_fn_with_state;
use sealwright_access::recent::RecentKeys;
use sealwright_access::{
    AccessPolicy, AccessService, NewKey, NewTenant, Principal, Unrecorded, recent,
};
use sealwright_billing::api::{BillingApi, check_router};
use sealwright_billing::consume::Metering;
use sealwright_billing::model::budget::{BudgetTerms, Measure};
use sealwright_billing::service::anomaly::AnomalyService;
use sealwright_billing::service::budget::{BoardPolicy, BudgetService, BudgetWatch, Touched};
use sealwright_billing::service::invoice::{InvoiceService, InvoiceTerms};
use sealwright_billing::service::meter::MeterService;
use sealwright_billing::service::price_book::PriceBookService;
use sealwright_billing::service::usage::{UsageService, month_start};
use sealwright_core::{Clock, Problem, SystemClock, TenantId, TenantScope};
use sealwright_events::{
    Catalogue, EventLog, History, HistoryError, HistoryQuery, ReadLimit, StoreConsumer, StoredEvent,
};
use sealwright_intake::api::{IntakeApi, router as intake_router};
use sealwright_intake::{
    Authenticate, FileLog, FileLogOptions, Intake, IntakeOptions, NoQuotas, Sender, TenantDirectory,
};
use sealwright_ledger::Ledger;
use sealwright_rating::Format;
use sealwright_store::testing::sqlite;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: u64 = 16;
const TENANTS: usize = 24;

/// Events of all tenants in turn.
struct Anyone(Vec<TenantId>, AtomicU64);

#[async_trait]
impl Authenticate for Anyone {
    async fn authenticate(&self, _: Option<&str>) -> Result<Sender, Problem> {
        let next = self.1.fetch_add(1, Ordering::Relaxed);
        let tenant = self.0[usize::try_from(next).unwrap() % self.0.len()];
        Ok(Sender {
            key_id: "key".into(),
            scope: TenantScope::One(tenant),
            may_write_events: true,
        })
    }
}

#[async_trait]
impl TenantDirectory for Anyone {
    async fn resolve(&self, _: &str) -> Result<Option<TenantId>, Problem> {
        Ok(self.0.first().copied())
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

struct Measured {
    per_second: f64,
    p50: f64,
    p99: f64,
    most: f64,
}

fn measured(mut times: Vec<Duration>, seconds: f64) -> Measured {
    times.sort_unstable();
    let at =
        |part: usize| times[(times.len() * part / 1000).min(times.len() - 1)].as_secs_f64() * 1e3;
    Measured {
        per_second: times.len() as f64 / seconds,
        p50: at(500),
        p99: at(990),
        most: at(1000),
    }
}

/// When each connection's requests are due, in turn. The runtime's timers have a resolution of 1 ms, which would be in
/// every figure; a thread sleeps to within some 50 µs.
fn due(rate: u64, length: Duration) -> Vec<UnboundedReceiver<(u64, Instant)>> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..CONNECTIONS).map(|_| unbounded_channel()).unzip();
    let begin = Instant::now() + Duration::from_millis(50);
    std::thread::spawn(move || {
        for (turn, sender) in (0_u64..).zip(senders.iter().cycle()) {
            let at = begin + Duration::from_nanos(turn * 1_000_000_000 / rate);
            if at.duration_since(begin) > length {
                break;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            let _ = sender.send((turn, at));
        }
    });
    receivers
}

/// Checks at a fixed rate, spread over connections; times from when each was due.
async fn checks(port: u16, key: &str, rate: u64, length: Duration) -> Measured {
    let tasks: Vec<_> = due(rate, length)
        .into_iter()
        .map(|mut due| {
            let key = key.to_owned();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut times = Vec::new();
                let mut answer = vec![0; 16 << 10];
                while let Some((turn, due)) = due.recv().await {
                    let tenant = turn % TENANTS as u64;
                    let head = format!(
                        "POST /api/billing/budgets/tenant-{tenant}/check HTTP/1.1\r\nhost: x\r\n\
                         authorization: Bearer {key}\r\ncontent-length: 0\r\n\r\n"
                    );
                    stream.write_all(head.as_bytes()).await.unwrap();
                    let mut got = 0;
                    while !answer[..got].ends_with(b"}]}") {
                        let more = stream.read(&mut answer[got..]).await.unwrap();
                        assert!(more > 0, "closed");
                        got += more;
                    }
                    times.push(due.elapsed());
                    assert!(answer.starts_with(b"HTTP/1.1 200"));
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    measured(times, length.as_secs_f64())
}

/// Batches of 100 events at a fixed rate until it is told to stop; how many were acknowledged.
async fn feed(port: u16, rate: u64, stop: CancellationToken) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sent, mut body, mut answer) = (0_u64, String::new(), vec![0; 64 << 10]);
    let gap = Duration::from_secs_f64(100.0 / rate as f64);
    let mut due = tokio::time::Instant::now();
    while !stop.is_cancelled() {
        body.clear();
        let time = SystemClock.now();
        for n in sent..sent + 100 {
            body.push(if body.is_empty() { '[' } else { ',' });
            write!(
                body,
                r#"{{"specversion":"1.0","id":"req-{n:016x}","source":"/gateway/eu-west-1/7","type":"sealwright.usage.ai.v1","subject":"user-{:05}","time":"{time}","data":{{"model":"gpt-large","region":"eu-west-1","input_tokens":{},"output_tokens":{}}}}}"#,
                n % 50_000,
                n % 4_096,
                n % 1_024,
            )
            .unwrap();
        }
        body.push(']');
        let head = format!(
            "POST /api/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\
             content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut got = 0;
        while !answer[..got].ends_with(b"}]}") {
            got += stream.read(&mut answer[got..]).await.unwrap();
        }
        assert!(answer.starts_with(b"HTTP/1.1 202"));
        sent += 100;
        due += gap;
        tokio::time::sleep_until(due).await;
    }
    sent
}

async fn peer(rate: u64, length: Duration) -> Option<(Measured, String)> {
    let url = std::env::var("SEALWRIGHT_TEST_POSTGRES").ok()?;
    let connect = || async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    };
    let admin = connect().await;
    admin
        .batch_execute(
            "DROP TABLE IF EXISTS bench_budget; CREATE TABLE bench_budget
             (tenant TEXT PRIMARY KEY, used NUMERIC NOT NULL, lim NUMERIC NOT NULL);
             INSERT INTO bench_budget SELECT 'tenant-' || n, n, 100 FROM generate_series(0, 23) n;
             ANALYZE bench_budget;",
        )
        .await
        .unwrap();
    let version: String = admin
        .query_one("SHOW server_version", &[])
        .await
        .unwrap()
        .get(0);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect().await);
    }
    let mut tasks = Vec::new();
    for (mut due, client) in due(rate, length).into_iter().zip(clients) {
        tasks.push(tokio::spawn(async move {
            let text = "SELECT used::text, lim::text FROM bench_budget WHERE tenant = $1";
            let statement = client.prepare(text).await.unwrap();
            let mut times = Vec::new();
            while let Some((turn, due)) = due.recv().await {
                let tenant = format!("tenant-{}", turn % TENANTS as u64);
                client.query_one(&statement, &[&tenant]).await.unwrap();
                times.push(due.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let name = format!("PostgreSQL {version}, prepared SELECT, no intake");
    Some((measured(times, length.as_secs_f64()), name))
}

struct Server {
    port: u16,
    key: String,
    log: Arc<FileLog>,
    usage: UsageService,
    stop: CancellationToken,
}

async fn serve(folder: &std::path::Path) -> Server {
    let store = sqlite()
        .await
        .migrated(&[
            sealwright_events::COMPONENT,
            sealwright_access::COMPONENT,
            sealwright_ledger::COMPONENT,
            sealwright_billing::COMPONENT,
        ])
        .await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let state = store.store.clone();
    let ledger = Ledger::open(folder, Some("bench"), state.clone(), clock.clone());
    let ledger = Arc::new(ledger.await.unwrap());
    let access = AccessService::new(
        state.clone(),
        clock.clone(),
        Arc::new(Unrecorded),
        AccessPolicy::default(),
    );
    let by = Principal::local();
    let mut tenants = Vec::new();
    for n in 0..TENANTS {
        let new = NewTenant {
            slug: format!("tenant-{n}"),
            name: None,
            plan: None,
            region: None,
        };
        tenants.push(access.create_tenant(&by, new).await.unwrap().id);
    }
    let new = NewKey {
        tenant: None,
        name: None,
        scopes: vec!["billing:read".to_owned()],
        expires_at: None,
    };
    let key = access.create_key(&by, new).await.unwrap().key.unwrap();
    let meters = MeterService::load(state.clone(), ledger.clone(), clock.clone());
    let meters = meters.await.unwrap();
    let books = PriceBookService::new(state.clone(), ledger.clone(), clock.clone());
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../examples/plans/enterprise.toml"
    );
    let text = std::fs::read_to_string(file).unwrap();
    let book = books
        .publish(file, &text, Format::Toml, "bench")
        .await
        .unwrap();
    let touched = Arc::new(Touched::default());
    let usage = UsageService::new(state.clone(), meters.clone());
    let invoices = Arc::new(InvoiceService::new(
        state.clone(),
        ledger.clone(),
        clock.clone(),
        usage.clone(),
        books.clone(),
        Arc::new(Nothing),
        access.directory().clone(),
        InvoiceTerms::default(),
    ));
    let budgets = Arc::new(BudgetService::new(
        state.clone(),
        ledger.clone(),
        clock.clone(),
        usage.clone(),
        invoices.clone(),
        touched.clone(),
        BoardPolicy::default(),
    ));
    let from = month_start(clock.now());
    for tenant in &tenants {
        let id = &book.reference.id;
        books
            .subscribe(*tenant, id, None, from, "bench")
            .await
            .unwrap();
        let money = BudgetTerms::new(Measure::Amount, "500.00", Some("USD"));
        let tokens = Measure::Meter("ai.input_tokens".to_owned());
        let tokens = BudgetTerms::new(tokens, "100000000", None);
        for terms in [money, tokens] {
            budgets.set(*tenant, terms, None, "bench").await.unwrap();
        }
    }
    let log = Arc::new(FileLog::open(&folder.join("log"), FileLogOptions::default()).unwrap());
    let intake = Intake::start(
        log.clone(),
        vec![Arc::new(Catalogue), meters.clone()],
        clock.clone(),
        IntakeOptions::default(),
    );
    let senders = Arc::new(Anyone(tenants, AtomicU64::new(0)));
    let stop = CancellationToken::new();
    let metering = Arc::new(StoreConsumer::new(
        state.clone(),
        clock.clone(),
        Metering::new(meters).telling(touched),
    ));
    let events: Arc<dyn EventLog> = log.clone();
    let limit = ReadLimit::default();
    tokio::spawn(sealwright_events::run(
        events.clone(),
        metering,
        limit,
        stop.clone(),
    ));
    tokio::spawn(BudgetWatch::new(budgets.clone(), events).run(stop.clone()));
    let sequencer = ledger.clone();
    let token = stop.clone();
    tokio::spawn(async move { sequencer.run(token).await });
    let api = BillingApi {
        usage: usage.clone(),
        books,
        invoices,
        budgets,
        anomalies: AnomalyService::new(
            state,
            ledger,
            clock.clone(),
            usage.clone(),
            access.directory().clone(),
        ),
        directory: access.directory().clone(),
        clock,
    };
    let (check, _) = check_router().with_state(api).split_for_parts();
    let layer = from_fn_with_state(RecentKeys::new(access), recent::authenticate);
    let router = Router::new()
        .merge(check.layer(layer))
        .merge(intake_router(IntakeApi {
            intake,
            authenticate: senders.clone(),
            tenants: senders,
            quotas: Arc::new(NoQuotas),
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        // The store's folder lives as long as the server.
        let _store = store;
        axum::serve(listener, router).await.unwrap();
    });
    Server {
        port,
        key,
        log,
        usage,
        stop,
    }
}

#[tokio::main]
async fn main() {
    let number = |n: usize, default: u64| {
        std::env::args()
            .nth(n)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (seconds, rate, events) = (number(1, 20), number(2, 5_000), number(3, 20_000));
    let length = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path()).await;
    // Warm: connections, caches, the first evaluation.
    checks(server.port, &server.key, 1_000, Duration::from_secs(2)).await;
    let quiet = checks(server.port, &server.key, rate, length / 2).await;
    let feeding = server.stop.child_token();
    let feeder = tokio::spawn(feed(server.port, events, feeding.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let busy = checks(server.port, &server.key, rate, length).await;
    feeding.cancel();
    let fed = feeder.await.unwrap();
    // Everything that was acknowledged is metered.
    let behind = Instant::now();
    let head = server.log.head().await.unwrap();
    while server.usage.metered_through().await.unwrap() < head {
        assert!(
            behind.elapsed() < Duration::from_secs(60),
            "metering is stuck"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let behind = behind.elapsed().as_secs_f64();
    server.stop.cancel();
    let peer = peer(rate, length).await;
    let line = |case: String, ours: f64, theirs: Option<f64>, unit: &str| {
        let name = peer.as_ref().map(|(_, name)| name.as_str());
        let ratio = theirs.map(|theirs| theirs / ours);
        println!(
            "{}",
            serde_json::json!({ "bench": "budget", "case": case, "ours": ours, "peer": theirs,
                "peer_name": theirs.and(name), "unit": unit, "ratio": ratio })
        );
    };
    let of = |pick: fn(&Measured) -> f64| peer.as_ref().map(|(measured, _)| pick(measured));
    let fed = fed as f64 / (length.as_secs_f64() + 1.0);
    line(
        format!("p50 at {rate} checks/s, {fed:.0} events/s beside"),
        busy.p50,
        of(|m| m.p50),
        "ms",
    );
    line(
        format!("p99 at {rate} checks/s, {fed:.0} events/s beside"),
        busy.p99,
        of(|m| m.p99),
        "ms",
    );
    line(
        "longest, same run".to_owned(),
        busy.most,
        of(|m| m.most),
        "ms",
    );
    line(
        format!("p99 at {rate} checks/s, no intake"),
        quiet.p99,
        of(|m| m.p99),
        "ms",
    );
    line(
        "checks answered".to_owned(),
        busy.per_second,
        None,
        "checks/s",
    );
    line(
        "metering behind when the load ends".to_owned(),
        behind,
        None,
        "s",
    );
}
