//! Taking parts of other processes' questions.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry as _, SessionState};
use datafusion_distributed::{DistributedExt as _, Worker, WorkerQueryContext};
use futures::stream;
use http::HeaderMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::ShareOptions;
use super::ask::{MEMORY, VERSION};
use super::reach::Reach;
use crate::error::{LakeError, Result};
use crate::session;
use crate::table::{Lake, WeakLake};
use crate::udf;

/// How long another process may take to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections that have not shown yet who they are, at most.
const STRANGERS: usize = 64;
const PING_EVERY: Duration = Duration::from_secs(5);

/// What a part of a question is answered with.
#[derive(Clone)]
struct Parts {
    lake: WeakLake,
    reach: Reach,
    memory: usize,
}

/// The worker of this process. It does not keep the lake open.
pub(super) fn worker(lake: &Lake, reach: &Reach, options: &ShareOptions) -> Worker {
    let parts = Parts {
        lake: lake.weak(),
        reach: reach.clone(),
        memory: options.memory,
    };
    Worker::from_session_builder(move |context: WorkerQueryContext| {
        let parts = parts.clone();
        async move { Ok(parts.session(context).await?) }
    })
    .with_version(options.version.clone())
}

impl Parts {
    /// A session for one part: over a state that has the question's files, with the asking process's functions
    /// and limits.
    async fn session(&self, context: WorkerQueryContext) -> Result<SessionState> {
        let number = |name: &str| -> Result<u64> {
            let value = context.headers.get(name);
            let value = value.and_then(|value| value.to_str().ok()?.parse().ok());
            value.ok_or_else(|| LakeError::Invalid(format!("a part of a question without {name}")))
        };
        let (version, memory) = (number(VERSION)?, number(MEMORY)?);
        let lake = self
            .lake
            .upgrade()
            .ok_or_else(|| LakeError::Table("the lake is closed".to_owned()))?;
        lake.at_least(version).await?;
        let memory = usize::try_from(memory).unwrap_or(usize::MAX);
        let runtime = session::limited(lake.runtime(), memory.min(self.memory))?;
        let mut builder = context.builder;
        let mut config = builder.config().take().unwrap_or_default();
        session::configure(&mut config);
        let mut state = builder
            .with_config(config)
            .with_runtime_env(runtime)
            .with_distributed_channel_resolver(self.reach.clone())
            .with_distributed_passthrough_headers(passed_on(&context.headers))?
            .build();
        for function in udf::all() {
            state.register_udf(Arc::new(function))?;
        }
        Ok(state)
    }
}

/// What goes with a question to every process that has a part of it.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    [VERSION, MEMORY]
        .into_iter()
        .filter_map(|name| Some((name.parse().ok()?, headers.get(name)?.clone())))
        .collect()
}

/// A listener and what answers there.
pub(super) struct Serving {
    pub(super) listener: TcpListener,
    pub(super) acceptor: TlsAcceptor,
    pub(super) worker: Worker,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "parts of questions at {:?}", self.listener.local_addr())
    }
}

impl Serving {
    pub(super) async fn run(self, stop: CancellationToken) -> Result<()> {
        let (known, connections) = mpsc::channel(STRANGERS);
        let accepting = tokio::spawn(accept(self.listener, self.acceptor, known, stop.clone()));
        let connections = stream::unfold(connections, |mut connections| async {
            let one = connections.recv().await?;
            Some((Ok::<_, io::Error>(one), connections))
        });
        let served = Server::builder()
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_EVERY))
            .http2_adaptive_window(Some(true))
            .add_service(self.worker.into_worker_server())
            .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
            .await;
        accepting.abort();
        served.map_err(|error| LakeError::Table(format!("parts of questions: {error}")))
    }
}

/// Lets those in who have the installation's key.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    known: mpsc::Sender<TlsStream<TcpStream>>,
    stop: CancellationToken,
) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let Ok(place) = Arc::clone(&strangers).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, or a connection that ended at once.
                tracing::warn!(%error, "a connection for a part of a question was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, known) = (acceptor.clone(), known.clone());
        tokio::spawn(async move {
            let from = stream.peer_addr();
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let _ = known.send(stream).await;
                }
                Ok(Err(error)) => {
                    tracing::warn!(?from, %error, "refused: not a process of this installation");
                }
                Err(_) => tracing::warn!(?from, "refused: it did not say who it is"),
            }
            drop(place);
        });
    }
}

impl From<LakeError> for DataFusionError {
    fn from(error: LakeError) -> Self {
        Self::External(Box::new(error))
    }
}
