//! Connections to the other processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion_distributed::grpc::{BoxCloneSyncChannel, create_worker_client};
use datafusion_distributed::{ChannelResolver, GetWorkerInfoRequest, WorkerChannel};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Endpoint;
use tower::service_fn;
use url::Url;

use super::tls::Identity;
use crate::error::Result;

/// How long connecting may take, with its handshake.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection on which a ping stays unanswered for so long is given up: its machine is off, or the way to it.
const SILENT: Duration = Duration::from_secs(4);
const PING_EVERY: Duration = Duration::from_secs(2);
/// So long no question is shared with a process that was not reached.
const TROUBLE: Duration = Duration::from_secs(10);

/// Cloning is cheap; all clones use the same connections.
#[derive(Clone)]
pub(crate) struct Reach(Arc<Inner>);

struct Inner {
    tls: TlsConnector,
    channels: Mutex<HashMap<Url, BoxCloneSyncChannel>>,
    trouble: Mutex<HashMap<Url, Instant>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reach {
    pub(super) fn new(identity: &Identity) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            tls: identity.connector()?,
            channels: Mutex::default(),
            trouble: Mutex::default(),
        })))
    }

    /// Forgets those that are no longer there.
    pub(super) fn keep_only(&self, urls: &[Url]) {
        locked(&self.0.channels).retain(|url, _| urls.contains(url));
        locked(&self.0.trouble).retain(|url, _| urls.contains(url));
    }

    /// Whether this one was not reached just now.
    pub(super) fn in_trouble(&self, url: &Url) -> bool {
        locked(&self.0.trouble)
            .get(url)
            .is_some_and(|since| since.elapsed() < TROUBLE)
    }

    pub(super) fn trouble(&self, url: &Url) {
        locked(&self.0.trouble).insert(url.clone(), Instant::now());
    }

    /// Asks those anew that a question was shared with. Whether one of them does not answer as it should.
    pub(super) async fn probe(&self, urls: &[Url], version: &str) -> bool {
        let answers = futures::future::join_all(urls.iter().map(|url| async move {
            let ask = async {
                let mut client = self.get_worker_client_for_url(url).await?;
                client.get_worker_info(GetWorkerInfoRequest {}).await
            };
            match tokio::time::timeout(CONNECT, ask).await {
                Ok(Ok(info)) => info.version == version,
                Ok(Err(_)) | Err(_) => false,
            }
        }));
        let mut found = false;
        for (url, well) in urls.iter().zip(answers.await) {
            if !well {
                self.trouble(url);
                found = true;
            }
        }
        found
    }

    fn channel(&self, url: &Url) -> Result<BoxCloneSyncChannel, DataFusionError> {
        if let Some(channel) = locked(&self.0.channels).get(url) {
            return Ok(channel.clone());
        }
        let outside = |error| DataFusionError::External(Box::new(error));
        let reach = self.clone();
        let to = url.clone();
        let channel = Endpoint::from_shared(url.to_string())
            .map_err(outside)?
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(SILENT)
            .keep_alive_while_idle(true)
            .http2_adaptive_window(true)
            .connect_with_connector_lazy(service_fn(move |_: Uri| {
                let (reach, to) = (reach.clone(), to.clone());
                async move {
                    let connected = tokio::time::timeout(CONNECT, reach.connect(&to)).await;
                    let connected =
                        connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
                    if connected.is_err() {
                        reach.trouble(&to);
                    }
                    connected.map(TokioIo::new)
                }
            }));
        let channel = BoxCloneSyncChannel::new(channel);
        locked(&self.0.channels).insert(url.clone(), channel.clone());
        Ok(channel)
    }

    async fn connect(&self, url: &Url) -> std::io::Result<TlsStream<TcpStream>> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        stream.set_nodelay(true)?;
        // The key says who it is, and the name nothing.
        let name = ServerName::try_from("sealwright.invalid").map_err(std::io::Error::other)?;
        self.0.tls.connect(name, stream).await
    }
}

#[async_trait]
impl ChannelResolver for Reach {
    async fn get_worker_client_for_url(
        &self,
        url: &Url,
    ) -> Result<Box<dyn WorkerChannel>, DataFusionError> {
        self.channel(url).map(create_worker_client)
    }
}
