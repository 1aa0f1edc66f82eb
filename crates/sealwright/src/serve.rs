//! `sealwright serve`: everything on one machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{Request, State as AxumState};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use sealwright_access::recent::RecentKeys;
use sealwright_access::{Action, Principal};
use sealwright_billing::service::budget::BudgetWatch;
use sealwright_core::Problem;
use sealwright_events::{Consumer as _, ReadLimit};
use sealwright_intake::PerMinute;
use sealwright_intake::api::IntakeApi;
use sealwright_jobs::pages::JobsPages;
use sealwright_jobs::{JobsService, Runner};
use sealwright_lake::QueryLimits;
use sealwright_lake::api::{Eraser, LakeApi, LakeScope};
use sealwright_notify::Deliverer;
use sealwright_telemetry::Metrics;
use sealwright_web::commands::Commands;
use sealwright_web::headers::Policy;
use sealwright_web::{
    ChromeSource as _, Fragment, Group, Nav, NavItem, Page, PageUrl, ProblemPage, Theme, Viewer,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::erasure::EraseEverywhere;
use crate::installation::{Installation, public_url};
use crate::senders::{KeySenders, Seldom};
use crate::{scheduled, systems};

/// A server that listens and is about to answer.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    told: Told,
    tasks: JoinSet<()>,
    installation: Arc<Installation>,
}

/// Whether the server can do its work: for `/health/ready`.
#[derive(Clone)]
struct Health {
    installation: Arc<Installation>,
}

impl Server {
    /// Binds the address and starts what works in the background.
    pub(crate) async fn start(installation: Installation, metrics: Metrics) -> Result<Self> {
        // Before anybody is told where it listens, who might tell it to stop.
        let told = Told::listen()?;
        let installation = Arc::new(installation);
        let config = &installation.state.config;
        let address = config.listen.address;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("{address} cannot be listened on; give another --listen"))?;
        let address = listener.local_addr()?;
        let url = public_url(config, address);
        let jobs = scheduled::service(&installation)?;
        let stop = CancellationToken::new();
        let syslog = crate::syslog::open(config).await?;
        let sharing = crate::share::open(&installation).await?;
        let mut tasks = background(&installation, &jobs, &stop);
        crate::share::run(sharing, &installation, &mut tasks, &stop);
        let intake = intake(&installation);
        let parts = crate::syslog::parts(
            config,
            intake.intake.clone(),
            Arc::clone(&intake.tenants),
            Arc::clone(&intake.quotas),
        );
        crate::syslog::run(syslog, &parts, &mut tasks, &stop);
        let router = router(&installation, jobs, metrics, intake);
        Ok(Self {
            address,
            url,
            listener,
            router,
            stop,
            told,
            tasks,
            installation,
        })
    }

    /// Everything behind the server.
    pub(crate) fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// Answers until the process is told to stop, then lets running requests end, and syncs.
    pub(crate) async fn run(mut self) -> Result<()> {
        let grace = self.installation.state.config.listen.shutdown_grace.std();
        let (stop, mut told) = (self.stop.clone(), self.told);
        let service = self
            .router
            .into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(self.listener, service)
            .with_graceful_shutdown(async move {
                told.wait().await;
                tracing::info!("stopping");
                stop.cancel();
            })
            .into_future();
        let stopped = self.stop.clone();
        tokio::select! {
            result = serving => result?,
            () = async { stopped.cancelled().await; tokio::time::sleep(grace).await } => {
                tracing::warn!("requests that took longer than the grace were cut off");
            }
        }
        self.stop.cancel();
        let tasks = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, tasks).await.is_err() {
            tracing::warn!(
                "background work took longer than the grace; it resumes at the next start"
            );
        }
        give_up_lake(&self.installation).await;
        self.installation.state.store.close().await;
        Ok(())
    }
}

/// Lets another process write the lake at once; one that is not told waits until the time is over.
pub(crate) async fn give_up_lake(installation: &Installation) {
    const LONGEST: Duration = Duration::from_secs(5);
    match tokio::time::timeout(LONGEST, installation.lake.release()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the lake could not be given up"),
        Err(_) => tracing::warn!("the lake could not be given up in time"),
    }
}

use std::future::IntoFuture as _;

/// Hears `SIGTERM` and Ctrl-C from the moment that it is made.
pub(crate) struct Told {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Told {
    pub(crate) fn listen() -> std::io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            #[cfg(unix)]
            terminate: signal(SignalKind::terminate())?,
            #[cfg(unix)]
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// The consumers of the log, the ledger's sequencer, the lake's writer and the jobs. Several processes of one
/// database may do this at the same time: consumers move one cursor in the transaction of their effect, the
/// sequencer holds a lock, jobs have leases, and the lake has one writer.
pub(crate) fn background(
    installation: &Arc<Installation>,
    jobs: &JobsService,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let ledger = Arc::clone(&installation.state.ledger);
    let token = stop.clone();
    tasks.spawn(async move { ledger.run(token).await });
    tasks.spawn(write_lake(Arc::clone(installation), stop.clone()));
    if installation.state.store.shared() {
        tasks.spawn(follow_others(Arc::clone(installation), stop.clone()));
    }
    let consumers: [Arc<dyn sealwright_events::Consumer>; 2] = [
        installation.metering.clone(),
        installation.detection.clone(),
    ];
    for consumer in consumers {
        let log = Arc::clone(&installation.events);
        let token = stop.clone();
        tasks.spawn(sealwright_events::run(
            log,
            consumer,
            ReadLimit::default(),
            token,
        ));
    }
    let backlog = installation.state.config.intake.backlog.micros();
    if backlog > 0 {
        tasks.spawn(sealwright_intake::turn::follow(
            installation.intake.turns().clone(),
            Arc::clone(&installation.events),
            installation.state.store.clone(),
            vec![installation.metering.name(), installation.detection.name()],
            backlog,
            stop.clone(),
        ));
    }
    let detection = Arc::clone(&installation.siem.detection);
    let token = stop.clone();
    tasks.spawn(async move { detection.run_clock(token).await });
    let respond = installation.siem.respond.clone();
    let token = stop.clone();
    tasks.spawn(async move { respond.run(token).await });
    let config = &installation.state.config.notify;
    if config.enabled {
        let holder = format!("process {}", std::process::id());
        let deliverer = Deliverer::new(installation.state.notify.clone(), &holder);
        let workers = config.workers as usize;
        let token = stop.clone();
        tasks.spawn(async move { deliverer.work(workers, token).await });
    }
    let watch = BudgetWatch::new(
        Arc::clone(&installation.budgets),
        Arc::clone(&installation.events),
    );
    tasks.spawn(watch.run(stop.clone()));
    let config = &installation.state.config.jobs;
    if config.enabled {
        let runner = Runner::new(jobs.clone(), process_name());
        let workers = config.workers as usize;
        let token = stop.clone();
        tasks.spawn(async move { runner.work(workers, token).await });
    }
    tasks
}

/// Writes the lake while this process is its writer; before and after that it sees what the writer does.
async fn write_lake(installation: Arc<Installation>, stop: CancellationToken) {
    const LOOK_EVERY: Duration = Duration::from_secs(2);
    let lake = &installation.lake;
    loop {
        match lake.try_own().await {
            Ok(true) => {
                if installation.state.store.shared() {
                    tracing::info!(lake = lake.location(), "this process writes the lake");
                }
                write_while_owned(&installation, &stop).await;
                if stop.is_cancelled() {
                    return;
                }
                tracing::warn!(
                    lake = lake.location(),
                    "this process no longer writes the lake"
                );
            }
            Ok(false) => {
                if let Err(error) = lake.refresh().await {
                    tracing::warn!(%error, "the lake cannot be read now");
                }
            }
            Err(error) => tracing::error!(%error, "the lake's lock cannot be read"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Writes the lake until the program stops, or until this process is not its writer any more: in a bucket that
/// ends when the store was not reached in time.
async fn write_while_owned(installation: &Arc<Installation>, stop: &CancellationToken) {
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    let until = stop.child_token();
    let writer = Arc::clone(&installation.lake_writer);
    let reading = sealwright_events::run(
        Arc::clone(&installation.events),
        Arc::clone(&installation.lake_writer) as Arc<dyn sealwright_events::Consumer>,
        ReadLimit::default(),
        until.clone(),
    );
    let look = async {
        while !until.is_cancelled() {
            if !installation.lake.owned() {
                until.cancel();
                return;
            }
            tokio::select! {
                () = until.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    };
    tokio::join!(reading, writer.run(until.clone()), look);
}

/// Takes over what other processes of the database have changed and this one keeps in memory: tenants and
/// meters. And writes down which keys were used here.
async fn follow_others(installation: Arc<Installation>, stop: CancellationToken) {
    const LOOK_EVERY: Duration = Duration::from_secs(2);
    const HOUSEKEEPING: u32 = 30;
    let state = &installation.state;
    for round in 1_u32.. {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let access = if round.is_multiple_of(HOUSEKEEPING) {
            state.access.housekeeping().await.map(|_| ())
        } else {
            state.access.load().await
        };
        if let Err(error) = access {
            tracing::warn!(%error, "the tenants cannot be read now");
        }
        if let Err(error) = state.meters.refresh().await {
            tracing::warn!(%error, "the meters cannot be read now");
        }
    }
}

/// How this process calls itself to others: host and process.
pub(crate) fn process_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let process = format!("process {}", std::process::id());
    match host.trim() {
        "" => process,
        host => format!("{host} {process}"),
    }
}

/// The navigation: what exists, and nothing else.
fn nav() -> Nav {
    Nav::new()
        .item(NavItem::new(Group::Top, "Today", "/console"))
        .item(NavItem::new(Group::Account, "Billing", "/console/billing"))
        .item(NavItem::new(Group::Protect, "SIEM", "/console/siem"))
        .item(NavItem::new(Group::Protect, "DLP", "/console/dlp"))
        .item(NavItem::new(Group::Prove, "Ledger", "/console/ledger"))
        .item(NavItem::new(Group::Customers, "Access", "/console/access"))
        .item(NavItem::new(Group::System, "Jobs", "/console/jobs"))
        .item(NavItem::new(
            Group::System,
            "Prometheus",
            "/console/prometheus",
        ))
        .item(NavItem::new(
            Group::Customers,
            "Notifications",
            "/console/notify",
        ))
}

/// What takes events, whoever brings them.
fn intake(installation: &Arc<Installation>) -> IntakeApi {
    let state = &installation.state;
    let access = state.access.clone();
    let look = Seldom::new(Arc::clone(&state.clock), state.store.shared());
    let senders = Arc::new(KeySenders(state.access.clone(), look));
    IntakeApi {
        intake: installation.intake.clone(),
        authenticate: Arc::clone(&senders) as _,
        tenants: senders,
        quotas: Arc::new(
            PerMinute::new(
                state.config.intake.tenant_events_per_minute,
                Arc::clone(&state.clock),
            )
            .holding(Arc::new(move |tenant| access.held_to(tenant))),
        ),
    }
}

fn router(
    installation: &Arc<Installation>,
    jobs: JobsService,
    metrics: Metrics,
    intake: IntakeApi,
) -> Router {
    let state = &installation.state;
    let nav = Arc::new(nav());
    let intake = sealwright_intake::api::router(intake);
    let lake: Router = sealwright_lake::api::router()
        .with_state(LakeApi {
            lake: installation.lake.clone(),
            most: query_limits(&state.config.lake),
        })
        .into();
    let eraser: Arc<dyn Eraser> = Arc::new(EraseEverywhere(Arc::clone(installation)));
    let (api, _) = systems::api(installation)
        .merge(sealwright_access::api::router().with_state(state.access.clone()))
        .merge(sealwright_jobs::api::router().with_state(jobs.clone()))
        .merge(sealwright_lake::api::erasures().with_state(eraser))
        .merge(sealwright_notify::api::router().with_state(state.notify.clone()))
        .merge(sealwright_prometheus::api::router().with_state(state.prometheus.clone()))
        .split_for_parts();
    let pages = Router::new()
        .merge(systems::pages(installation, &nav))
        .merge(sealwright_access::pages::router(
            state.access.clone(),
            Arc::clone(&nav),
        ))
        .merge(
            Arc::new(JobsPages {
                jobs,
                chrome: Arc::clone(&nav) as _,
            })
            .router(),
        )
        .merge(
            Router::new()
                .route("/console/commands", get(commands))
                .with_state(Arc::clone(&nav)),
        );
    let with_principal = Router::new()
        .merge(api)
        .merge(lake.layer(from_fn(lake_scope)))
        .merge(pages)
        // A layer that comes later is further out: who asks is known before what is held back.
        .layer(from_fn_with_state(
            state.access.clone(),
            sealwright_access::guard::enforce,
        ))
        .layer(from_fn_with_state(
            state.access.clone(),
            sealwright_access::http::authenticate,
        ));
    let (request_path, _) = systems::request_path(installation).split_for_parts();
    let request_path = request_path
        .layer(from_fn_with_state(
            state.access.clone(),
            sealwright_access::guard::enforce,
        ))
        .layer(from_fn_with_state(
            RecentKeys::new(state.access.clone()),
            sealwright_access::recent::authenticate,
        ));
    let open = Router::new()
        .route("/", get(|| async { Redirect::to("/console") }))
        .merge(health(installation, metrics))
        .route(
            "/api/openapi.json",
            get(|| async { Json(systems::openapi()) }),
        )
        .merge(sealwright_ledger::api::routes(state.ledger.tree().clone()))
        .merge(sealwright_web::assets::router())
        .merge(sealwright_web::theme::router());
    let whole = Router::new()
        .merge(intake)
        .merge(request_path)
        .merge(with_principal)
        .merge(open)
        .fallback(|| async { Problem::not_found("there is nothing at this address") })
        .layer(from_fn(crate::edge::problems))
        .layer(from_fn(pages_for_browsers))
        .layer(from_fn(crate::edge::nobody))
        .layer(from_fn(crate::edge::linger))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
    let policy = Policy {
        tls: state.config.listen.tls_in_front,
    };
    sealwright_web::headers::secure(whole, policy).layer(from_fn(sealwright_telemetry::request))
}

/// What those ask who run the program: is it alive, can it work, how is it.
pub(crate) fn health(installation: &Arc<Installation>, metrics: Metrics) -> Router {
    let health = Health {
        installation: Arc::clone(installation),
    };
    Router::new()
        .route(
            "/health/live",
            get(|| async { Json(serde_json::json!({ "status": "ok" })) }),
        )
        .route("/health/ready", get(ready))
        .with_state(health)
        .route("/metrics", get(move || async move { metrics.respond() }))
}

fn query_limits(config: &sealwright_config::Lake) -> QueryLimits {
    QueryLimits {
        rows: config.query_rows as usize,
        seconds: config.query_time.std().as_secs().max(1),
        memory: usize::try_from(config.query_bytes).unwrap_or(usize::MAX),
    }
}

fn panicked(cause: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    tracing::error!(
        cause = cause.as_deref().unwrap_or("unknown"),
        "a request handler panicked"
    );
    Problem::internal().into_response()
}

/// Puts the caller's scope where the lake looks for it.
async fn lake_scope(mut request: Request, next: Next) -> Response {
    let Some(principal) = request.extensions().get::<Principal>().cloned() else {
        return next.run(request).await;
    };
    if let Err(problem) = principal.require(Action::LakeRead) {
        return problem.into_response();
    }
    request
        .extensions_mut()
        .insert(LakeScope(principal.tenants));
    next.run(request).await
}

/// A browser that asks for a page gets a page when there is a problem, and the sign-in when that is what is
/// missing; programs get the problem as it is.
async fn pages_for_browsers(request: Request, next: Next) -> Response {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let headers = request.headers().clone();
    let path = request
        .uri()
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let response = next.run(request).await;
    if !wants_page || path.starts_with("/api/") {
        return response;
    }
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Redirect::to("/login").into_response();
    }
    ProblemPage::new(status, &problem.detail)
        .plain(Theme::from_headers(&headers))
        .into_response()
}

async fn commands(
    AxumState(nav): AxumState<Arc<Nav>>,
    principal: Principal,
    url: PageUrl,
    headers: HeaderMap,
) -> Response {
    let viewer = Viewer {
        name: principal.name,
        ..Viewer::default()
    };
    let chrome = nav.chrome(&viewer, &url, &headers);
    let commands = Commands::new(&chrome, &[]);
    if Fragment::asked(&headers) {
        return Fragment::new(&commands).into_response();
    }
    Page::new("Go to", chrome, &commands).into_response()
}

/// Ready means: the state answers, and the log can be read.
async fn ready(AxumState(health): AxumState<Health>) -> Response {
    let installation = &health.installation;
    let head = installation.events.head().await;
    let metered = installation.state.usage.metered_through().await;
    match (head, metered) {
        (Ok(head), Ok(metered)) => Json(serde_json::json!({
            "status": "ok",
            "log_head": head,
            "metered_through": metered,
            "lake_next_offset": installation.lake_writer.durable_cursor(),
            "ledger_size": installation.state.ledger.size(),
        }))
        .into_response(),
        (head, metered) => {
            tracing::error!(log = ?head.err(), state = ?metered.err(), "not ready");
            Problem::unavailable("the log or the state cannot be read").into_response()
        }
    }
}
