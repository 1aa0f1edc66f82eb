//! Questions that several processes answer together.
//!
//! Each process that listens for it ([`Lake::share`]) takes parts of other processes' questions and, told who they are
//! ([`Lake::set_peers`]), lets them take parts of its own. Data files never change and every process reads the
//! same ones, so a part is a plan and the names of its files; DataFusion's distributed planner divides it
//! ([`parts`] says which file goes where), and it travels by gRPC between processes that have the same secret
//! ([`tls`]).
//!
//! A process that ends in the middle makes the question start again without it, at last in the asked process alone:
//! rows are given out only when all of them are there. See `docs/decisions/0016-shared-questions.md`.

mod ask;
mod parts;
mod reach;
mod serve;
mod tls;

use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretBox};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::error::{LakeError, Result};
use crate::table::Lake;

pub(crate) use ask::{Round, is_divided, measured};
use reach::Reach;

/// How a process takes part.
#[derive(Debug)]
pub struct ShareOptions {
    /// 32 bytes that the processes of one installation have, and nobody else: who has them sees every tenant's events.
    pub secret: SecretBox<[u8; 32]>,
    /// Where the others reach this process: `HOST:PORT`.
    pub address: String,
    /// Only processes of the same version share questions.
    pub version: String,
    /// Bytes of data files from which on a question is divided. What is smaller is quicker alone.
    pub from_bytes: u64,
    /// Bytes that this process's part of another one's question may hold at most.
    pub memory: usize,
}

/// What a lake that shares its questions knows.
pub(crate) struct Share {
    own: Url,
    version: String,
    from_bytes: u64,
    reach: Reach,
    worker: datafusion_distributed::Worker,
    peers: RwLock<Vec<Url>>,
}

/// Takes parts of questions; see [`Lake::share`].
#[derive(Debug)]
pub struct ShareServer(serve::Serving);

impl ShareServer {
    /// Answers until it is told to stop.
    ///
    /// # Errors
    /// What the network said when it ended by itself.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        self.0.run(stop).await
    }
}

impl Lake {
    /// Makes this process one of those that answer questions together; `listener` is where the others' parts come in.
    /// Until it is told of others ([`Lake::set_peers`]) it answers alone.
    ///
    /// # Errors
    /// [`LakeError::Invalid`] for an address that is none, or when it shares already.
    pub fn share(&self, listener: TcpListener, options: &ShareOptions) -> Result<ShareServer> {
        let identity = tls::Identity::of(options.secret.expose_secret())?;
        let reach = Reach::new(&identity)?;
        let worker = serve::worker(self, &reach, options);
        let share = Share {
            own: url_of(&options.address)?,
            version: options.version.clone(),
            from_bytes: options.from_bytes,
            reach,
            worker: worker.clone(),
            peers: RwLock::default(),
        };
        self.set_share(share)
            .map_err(|_| LakeError::Invalid("this lake shares its questions already".to_owned()))?;
        Ok(ShareServer(serve::Serving {
            listener,
            acceptor: identity.acceptor()?,
            worker,
        }))
    }

    /// The addresses (`HOST:PORT`) of the other processes that take parts of questions. How many there are now.
    ///
    /// # Errors
    /// [`LakeError::Invalid`] for an address that is none; the others before it stay as they were.
    pub fn set_peers(&self, addresses: &[String]) -> Result<usize> {
        let Some(share) = self.sharing() else {
            return Ok(0);
        };
        let mut urls = Vec::with_capacity(addresses.len());
        for address in addresses {
            let url = url_of(address)?;
            if url != share.own && !urls.contains(&url) {
                urls.push(url);
            }
        }
        urls.sort();
        let count = urls.len();
        share.reach.keep_only(&urls);
        *share.peers.write().unwrap_or_else(PoisonError::into_inner) = urls;
        Ok(count)
    }
}

impl Share {
    /// The others that can be asked now.
    fn others(&self) -> Vec<Url> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let fit = |url: &&Url| !self.reach.in_trouble(url);
        peers.iter().filter(fit).cloned().collect()
    }
}

fn url_of(address: &str) -> Result<Url> {
    let invalid = || LakeError::Invalid(format!("`{address}` is not of the form HOST:PORT"));
    if address.contains('/') || address.contains('@') {
        return Err(invalid());
    }
    let url = Url::parse(&format!("http://{address}")).map_err(|_| invalid())?;
    // Port 80 is the scheme's own, and not repeated.
    let port = url.port().or(address.ends_with(":80").then_some(80));
    match (url.host(), port) {
        (Some(_), Some(port)) if port > 0 => Ok(url),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["10.0.0.1:9020", "[::1]:9020", "sealwright-2.example:80"] {
            assert!(url_of(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "10.0.0.1",
            "host:0",
            "host:port",
            "a/b:1",
            "http://a:1",
            "me@host:1",
        ] {
            assert!(url_of(bad).is_err(), "{bad}");
        }
    }
}
