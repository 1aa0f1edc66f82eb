//! Everything of one data folder, opened and wired.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sealwright_access::{AccessPolicy, AccessService, Policies};
use sealwright_billing::consume::Metering;
use sealwright_billing::model::budget::Decision;
use sealwright_billing::service::anomaly::AnomalyService;
use sealwright_billing::service::budget::{BoardPolicy, BudgetService, Touched};
use sealwright_billing::service::invoice::{InvoiceService, InvoiceTerms};
use sealwright_billing::service::meter::MeterService;
use sealwright_billing::service::price_book::PriceBookService;
use sealwright_billing::service::usage::UsageService;
use sealwright_config::Config;
use sealwright_core::{Clock, SystemClock};
use sealwright_dlp::service::Dlp;
use sealwright_events::{
    Admit, Catalogue, Consumer, ConsumerError, EventLog, History as _, ReadLimit, StoreConsumer,
    catch_up,
};
use sealwright_intake::{FileLog, FileLogOptions, Intake, IntakeLog, IntakeOptions, StoreLog};
use sealwright_lake::{BucketOptions, BucketTimes, Lake, LakePlace, LakeWriter, WritePolicy};
use sealwright_ledger::Ledger;
use sealwright_notify::NotifyService;
use sealwright_prometheus::PrometheusService;
use sealwright_siem::api::Siem;
use sealwright_siem::consume::{Consuming, Detection};
use sealwright_siem::service::alert::AlertService;
use sealwright_siem::service::detect::Terms;
use sealwright_siem::service::hunt::FieldTerms;
use sealwright_siem::service::hunt::Hunter;
use sealwright_siem::service::incident::IncidentService;
use sealwright_siem::service::keep::KeepActs;
use sealwright_siem::service::raise::Raiser;
use sealwright_siem::service::respond::RespondService;
use sealwright_siem::service::rule::RuleService;
use sealwright_siem::service::source::SourceService;
use sealwright_siem::service::suppression::SuppressionService;
use sealwright_siem::service::vanish::FieldService;
use sealwright_store::{Component, DataLock, SecondLock, Store, StoreUrl};

use crate::acting::{AccessActs, GuardActs, TellActs};
use crate::audit::LedgerAudit;
use crate::history::LakeHistory;
use crate::sink::IntakeSink;

/// The tables of all parts, in the order in which they are made.
pub(crate) const COMPONENTS: &[Component] = &[
    sealwright_store::COMPONENT,
    sealwright_events::COMPONENT,
    sealwright_intake::COMPONENT,
    sealwright_ledger::COMPONENT,
    sealwright_access::COMPONENT,
    sealwright_jobs::COMPONENT,
    sealwright_notify::COMPONENT,
    sealwright_prometheus::COMPONENT,
    sealwright_billing::COMPONENT,
    sealwright_dlp::COMPONENT,
    sealwright_siem::COMPONENT,
];

/// The state of a data folder and what is written with it: enough for commands.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) access: AccessService,
    pub(crate) notify: NotifyService,
    pub(crate) prometheus: PrometheusService,
    pub(crate) dlp: Dlp,
    pub(crate) meters: Arc<MeterService>,
    pub(crate) usage: UsageService,
    pub(crate) books: PriceBookService,
    pub(crate) anomalies: AnomalyService,
    _locks: Vec<DataLock>,
}

/// Where the state of this configuration is.
pub(crate) fn store_url(config: &Config) -> Result<StoreUrl> {
    if config.store.url.is_empty() {
        return Ok(StoreUrl::Sqlite(config.data.folder.join("state.sqlite")));
    }
    Ok(config.store.url.expose().parse()?)
}

/// The URL under which people reach the console of a server that listens on `address`.
pub(crate) fn public_url(config: &Config, address: SocketAddr) -> String {
    match config.listen.public_url.trim_end_matches('/') {
        "" => format!("http://{address}"),
        url => url.to_owned(),
    }
}

/// What this installation forbids beyond the roles.
pub(crate) fn policies(config: &Config) -> Result<Policies> {
    let folder = &config.access.policies;
    if folder.as_os_str().is_empty() {
        return Ok(Policies::built_in());
    }
    Policies::read(folder).context("access.policies")
}

impl State {
    /// Takes the folder and opens the state in it.
    pub(crate) async fn open(config: Config) -> Result<Self> {
        // First: a policy that cannot be read must not leave a half-started installation.
        let policies = policies(&config)?;
        let folder = config.data.folder.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut locks = vec![DataLock::take(&folder, clock.now())?];
        let url = store_url(&config)?;
        if let StoreUrl::Sqlite(file) = &url
            && !file.starts_with(&folder)
        {
            locks.push(DataLock::take_file(file, clock.now())?);
        }
        let store = Store::open(&url).await?;
        store
            .migrate(COMPONENTS, Some(&folder.join("backups")), clock.as_ref())
            .await?;
        if let SecondLock::Bypassed(why) = store.second_lock().await? {
            tracing::warn!(
                why,
                "PostgreSQL does not keep tenants apart by itself; docs/access.md says what to do"
            );
        }
        let origin = Some(config.ledger.origin.as_str());
        let ledger =
            Arc::new(Ledger::open(&folder, origin, store.clone(), Arc::clone(&clock)).await?);
        let audit = Arc::new(LedgerAudit::new(Arc::clone(&ledger)));
        let access = AccessService::new(
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&audit) as Arc<dyn sealwright_access::Audit>,
            AccessPolicy {
                session_idle: config.access.session_idle.micros(),
                session_absolute: config.access.session_absolute.micros(),
                link_lifetime: config.access.link_lifetime.micros(),
                account_failures: i64::from(config.access.account_failures),
                address_failures: i64::from(config.access.address_failures),
                throttle_window: config.access.throttle_window.micros(),
                secure_cookies: config.listen.tls_in_front,
            },
        )
        .with_policies(policies)
        .with_passkeys(&public_url(&config, config.listen.address));
        access.load().await?;
        let notify = crate::notify::service(
            &config,
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&audit) as Arc<dyn sealwright_access::Audit>,
            access.directory().clone(),
        )?;
        let prometheus = crate::prometheus::service(
            &config,
            store.clone(),
            Arc::clone(&clock),
            audit,
            access.directory().clone(),
        )?;
        let dlp = crate::dlp::service(
            &config,
            store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&clock),
            Arc::new(notify.notifier().clone()),
        )?;
        let meters =
            MeterService::load(store.clone(), Arc::clone(&ledger), Arc::clone(&clock)).await?;
        let usage = UsageService::new(store.clone(), Arc::clone(&meters));
        let books = PriceBookService::new(store.clone(), Arc::clone(&ledger), Arc::clone(&clock));
        let anomalies = AnomalyService::new(
            store.clone(),
            Arc::clone(&ledger),
            Arc::clone(&clock),
            usage.clone(),
            access.directory().clone(),
        )
        .telling(Arc::new(notify.notifier().clone()));
        Ok(Self {
            config,
            folder,
            clock,
            store,
            ledger,
            access,
            notify,
            prometheus,
            dlp,
            meters,
            usage,
            books,
            anomalies,
            _locks: locks,
        })
    }

    /// Gives indices to what was recorded and signs it; for commands, which end at once.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.ledger
            .sequence()
            .await
            .context("the ledger could not be brought up to date")?;
        Ok(())
    }
}

/// The whole of an installation: state, log, lake, services.
pub(crate) struct Installation {
    pub(crate) state: State,
    pub(crate) log: Arc<dyn IntakeLog>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) intake: Intake,
    pub(crate) lake: Lake,
    pub(crate) lake_writer: Arc<LakeWriter>,
    pub(crate) metering: Arc<StoreConsumer<Metering>>,
    pub(crate) invoices: Arc<InvoiceService>,
    pub(crate) budgets: Arc<BudgetService>,
    pub(crate) history: Arc<LakeHistory>,
    pub(crate) detection: Arc<StoreConsumer<Consuming>>,
    pub(crate) siem: Siem,
}

impl Installation {
    /// Opens everything.
    pub(crate) async fn open(config: Config) -> Result<Self> {
        let state = Box::pin(State::open(config)).await?;
        let (log, events) = open_log(&state).await?;
        let checks: Vec<Arc<dyn Admit>> = vec![
            Arc::new(Catalogue),
            Arc::clone(&state.meters) as Arc<dyn Admit>,
        ];
        let limits = &state.config.intake;
        let mut options = IntakeOptions::default();
        options.limits.event_bytes = usize::try_from(limits.event_bytes)?;
        options.limits.batch_events = usize::try_from(limits.batch_events)?;
        options.limits.depth = usize::try_from(limits.depth)?;
        options.body_bytes = usize::try_from(limits.body_bytes)?;
        options.decompressed_bytes = usize::try_from(limits.decompressed_bytes)?;
        options.ahead = limits.ahead.micros();
        options.behind = limits.late.micros();
        let intake = Intake::start(Arc::clone(&log), checks, Arc::clone(&state.clock), options);
        let lake = open_lake(&state).await?;
        let lake_writer = Arc::new(LakeWriter::new(lake.clone(), WritePolicy::default()));
        let touched = Arc::new(Touched::default());
        let metering = Arc::new(StoreConsumer::new(
            state.store.clone(),
            Arc::clone(&state.clock),
            Metering::new(Arc::clone(&state.meters)).telling(Arc::clone(&touched)),
        ));
        lake.set_terms(Arc::new(FieldTerms));
        let history = Arc::new(LakeHistory::new(
            lake.clone(),
            Arc::clone(&lake_writer),
            Arc::clone(&events),
        ));
        let invoices = Arc::new(InvoiceService::new(
            state.store.clone(),
            Arc::clone(&state.ledger),
            Arc::clone(&state.clock),
            state.usage.clone(),
            state.books.clone(),
            Arc::clone(&history) as Arc<dyn sealwright_events::History>,
            state.access.directory().clone(),
            InvoiceTerms {
                due_days: i64::from(state.config.billing.invoice_due_days),
            },
        ));
        let detection = detection(&state, &events, &history);
        // What has left the log before detection was there is not missed by it.
        sealwright_events::begin_at(
            &state.store,
            sealwright_siem::consume::CONSUMER,
            events.earliest().await?,
            state.clock.now(),
        )
        .await?;
        let siem = siem(&state, &detection, &history, &events, &intake);
        let detection = Arc::new(StoreConsumer::new(
            state.store.clone(),
            Arc::clone(&state.clock),
            Consuming(detection),
        ));
        let billing = &state.config.billing;
        let budgets = BudgetService::new(
            state.store.clone(),
            Arc::clone(&state.ledger),
            Arc::clone(&state.clock),
            state.usage.clone(),
            Arc::clone(&invoices),
            touched,
            BoardPolicy {
                stale_after: billing.budget_stale_after.micros(),
                when_unread: billing
                    .budget_when_unread
                    .parse::<Decision>()
                    .map_err(|why| anyhow::anyhow!("billing.budget_when_unread: {why}"))?,
            },
        );
        let budgets = Arc::new(budgets.telling(Arc::new(state.notify.notifier().clone())));
        Ok(Self {
            state,
            log,
            events,
            intake,
            lake,
            lake_writer,
            metering,
            invoices,
            budgets,
            history,
            detection,
            siem,
        })
    }
}

/// Times and bounds of detection, as they are configured.
fn terms(config: &Config) -> Terms {
    Terms {
        lateness: config.siem.lateness.micros(),
        skew: config.intake.ahead.micros(),
        idle: config.siem.idle.micros(),
        groups: config.siem.groups as usize,
        waiting: config.siem.waiting as usize,
    }
}

/// What can be done about alerts.
fn respond(
    state: &State,
    events: &Arc<dyn EventLog>,
    history: &Arc<LakeHistory>,
) -> RespondService {
    let acts: Vec<Arc<dyn sealwright_act::Act>> = vec![
        Arc::new(AccessActs(state.access.clone())),
        Arc::new(GuardActs(state.access.clone())),
        Arc::new(TellActs {
            store: state.store.clone(),
            outbox: state.notify.notifier().clone(),
        }),
        Arc::new(KeepActs::new(
            state.store.clone(),
            Arc::clone(&state.ledger),
            Arc::clone(&state.clock),
            Arc::clone(events),
            Arc::clone(history) as _,
        )),
    ];
    let (ledger, clock) = (Arc::clone(&state.ledger), Arc::clone(&state.clock));
    RespondService::new(state.store.clone(), ledger, clock, acts)
}

fn detection(state: &State, log: &Arc<dyn EventLog>, history: &Arc<LakeHistory>) -> Arc<Detection> {
    let (store, ledger, clock) = (&state.store, &state.ledger, &state.clock);
    let rules = RuleService::new(store.clone(), Arc::clone(ledger), Arc::clone(clock));
    let raiser = Raiser::new(Arc::clone(ledger), Arc::clone(clock))
        .with_response(respond(state, log, history))
        .telling(Arc::new(state.notify.notifier().clone()));
    Arc::new(Detection::new(
        store.clone(),
        rules,
        raiser,
        Arc::clone(log),
        terms(&state.config),
    ))
}

fn siem(
    state: &State,
    detection: &Arc<Detection>,
    history: &Arc<LakeHistory>,
    events: &Arc<dyn EventLog>,
    intake: &Intake,
) -> Siem {
    let (store, ledger, clock) = (&state.store, &state.ledger, &state.clock);
    let parts = || (store.clone(), Arc::clone(ledger), Arc::clone(clock));
    let (a, b, c) = parts();
    let alerts = AlertService::new(a, b, c).telling(Arc::new(state.notify.notifier().clone()));
    let (a, b, c) = parts();
    let incidents = IncidentService::new(a, b, c);
    let (a, b, c) = parts();
    let suppressions = SuppressionService::new(a, b, c);
    let (a, b, c) = parts();
    let raiser = Raiser::new(Arc::clone(ledger), Arc::clone(clock))
        .telling(Arc::new(state.notify.notifier().clone()));
    let silence = state.config.siem.silence.micros();
    Siem {
        alerts,
        incidents,
        suppressions,
        respond: respond(state, events, history),
        rules: detection.rules().clone(),
        fields: FieldService::new(
            store.clone(),
            Arc::clone(clock),
            detection.rules().clone(),
            raiser.clone(),
            state.config.siem.vanished.micros(),
        ),
        sources: SourceService::new(a, b, c, raiser, silence),
        hunter: Hunter::new(Arc::new(history.lake().clone())),
        sink: Some(Arc::new(IntakeSink(intake.clone()))),
        history: Arc::clone(history) as _,
        detection: Arc::clone(detection),
        terms: terms(&state.config),
        directory: state.access.directory().clone(),
        clock: Arc::clone(clock),
    }
}

impl Installation {
    /// Lets everything in the log take effect, and the lake hold it: for commands, which end at once.
    pub(crate) async fn consume(&self) -> Result<()> {
        self.pass(self.metering.as_ref())
            .await
            .context("metering")?;
        self.pass(self.detection.as_ref())
            .await
            .context("detection")?;
        self.history.catch_up().await?;
        Ok(())
    }

    /// Brings a consumer to the log's head, beside other processes that may consume under its name.
    async fn pass(&self, consumer: &dyn Consumer) -> Result<(), ConsumerError> {
        loop {
            match catch_up(self.events.as_ref(), consumer, ReadLimit::default()).await {
                Ok(_) => return Ok(()),
                Err(ConsumerError::Overtaken(_)) => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The folder of the stored events, or of what this process keeps of them.
pub(crate) fn lake_folder(config: &Config) -> PathBuf {
    if config.lake.folder.is_empty() {
        config.data.folder.join("lake")
    } else {
        PathBuf::from(&config.lake.folder)
    }
}

/// Where the stored events are.
pub(crate) fn lake_place(config: &Config) -> LakePlace {
    let lake = &config.lake;
    let bucket = (!lake.url.is_empty()).then(|| bucket_options(config, &lake.url));
    LakePlace {
        folder: lake_folder(config),
        bucket,
    }
}

/// A place for a lake by its name: `s3://BUCKET/PREFIX`, or a folder.
pub(crate) fn place_named(config: &Config, name: &str) -> LakePlace {
    if name.starts_with("s3://") {
        return LakePlace {
            folder: lake_folder(config),
            bucket: Some(bucket_options(config, name)),
        };
    }
    Path::new(name).into()
}

/// A bucket, as the settings say it is reached.
fn bucket_options(config: &Config, url: &str) -> BucketOptions {
    let lake = &config.lake;
    BucketOptions {
        url: url.to_owned(),
        endpoint: lake.s3_endpoint.clone(),
        region: lake.s3_region.clone(),
        access_key: lake.s3_access_key.expose().to_owned(),
        secret_key: lake.s3_secret_key.expose().to_owned(),
        cache_bytes: lake.cache_bytes,
        times: BucketTimes::default(),
    }
}

/// Several processes of one database share one lake: the first of them writes it. A process that brings
/// another lake would miss what the log has let go, and keep what was erased.
async fn open_lake(state: &State) -> Result<Lake> {
    let place = lake_place(&state.config);
    if !state.store.shared() {
        return Ok(Lake::open_with(place, Arc::clone(&state.clock)).await?);
    }
    let lake = Lake::open_shared(place, Arc::clone(&state.clock)).await?;
    let claimed = state
        .store
        .claim("lake", &lake.id(), state.clock.now())
        .await?;
    if claimed != lake.id() {
        bail!(
            "{} is not the lake of this database (it is {}, the database's is {claimed})\nhint: all \
             processes of a database share one lake: set `lake.folder` or `lake.url` as the first has it",
            lake.location(),
            lake.id()
        );
    }
    Ok(lake)
}

/// The log of a SQLite installation is a file log beside it; with PostgreSQL it is a table, so that several
/// processes share it.
async fn open_log(state: &State) -> Result<(Arc<dyn IntakeLog>, Arc<dyn EventLog>)> {
    if state.store.file().is_some() {
        let folder: &Path = &state.folder.join("log");
        let log = Arc::new(FileLog::open(folder, FileLogOptions::default())?);
        Ok((Arc::clone(&log) as Arc<dyn IntakeLog>, log))
    } else {
        let log = Arc::new(StoreLog::open(state.store.clone()).await?);
        Ok((Arc::clone(&log) as Arc<dyn IntakeLog>, log))
    }
}
