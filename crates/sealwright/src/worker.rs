//! `sealwright worker`: more consumers and jobs on a database that other processes share.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sealwright_config::Config;
use sealwright_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::installation::{Installation, store_url};
use crate::{scheduled, serve};

/// Run consumers and jobs beside a server that shares the PostgreSQL database
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Also answer /health/live, /health/ready and /metrics here
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

/// Works until the process is told to stop.
pub(crate) async fn run(
    args: &WorkerArgs,
    config: Config,
    err: &mut (dyn Write + Send),
) -> Result<()> {
    if !store_url(&config)?.shared() {
        bail!(
            "a worker needs a state that processes share, and this one is a SQLite file\nhint: set \
             `store.url` to postgres://…; on SQLite `sealwright serve` does all the work by itself, and \
             `jobs.workers` says how many jobs it runs at the same time"
        );
    }
    let grace = config.listen.shutdown_grace.std();
    let listener =
        match &args.listen {
            None => None,
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!("{address} cannot be listened on; give another --listen")
            })?),
        };
    let metrics = Metrics::install(env!("CARGO_PKG_VERSION"))?;
    let installation = Arc::new(Installation::open(config).await?);
    let jobs = scheduled::service(&installation)?;
    let stop = CancellationToken::new();
    let sharing = crate::share::open(&installation).await?;
    let mut tasks = serve::background(&installation, &jobs, &stop);
    crate::share::run(sharing, &installation, &mut tasks, &stop);
    if let Some(listener) = listener {
        writeln!(err, "listening on http://{}", listener.local_addr()?)?;
        let router = serve::health(&installation, metrics);
        let token = stop.clone();
        tasks.spawn(async move {
            let serving = axum::serve(listener, router)
                .with_graceful_shutdown(async move { token.cancelled().await });
            if let Err(error) = serving.await {
                tracing::error!(%error, "the worker's health cannot be asked any more");
            }
        });
    }
    let mut told = serve::Told::listen()?;
    writeln!(err, "working on {}", installation.state.store.describe())?;
    told.wait().await;
    tracing::info!("stopping");
    stop.cancel();
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!("work took longer than the grace; it resumes in another process");
    }
    serve::give_up_lake(&installation).await;
    installation.state.store.close().await;
    Ok(())
}
