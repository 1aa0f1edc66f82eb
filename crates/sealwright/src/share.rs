//! Questions over the lake that the processes of a database answer together: who they are is in the database.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sealwright_lake::{ShareOptions, ShareServer};
use sealwright_ledger::keys;
use sealwright_store::Process;
use secrecy::SecretBox;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::installation::Installation;
use crate::serve::process_name;

/// Plans of another version may mean something else.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How often a process says that it is there, and looks who else is.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// Who has not said so for so long is not asked, in microseconds.
const PRESENT: i64 = 10_000_000;

/// This process's part in it.
pub(crate) struct Sharing {
    server: ShareServer,
    own: Process,
}

/// Listens for parts of questions, where that is set.
pub(crate) async fn open(installation: &Installation) -> Result<Option<Sharing>> {
    let state = &installation.state;
    let lake = &state.config.lake;
    if lake.share_listen.is_empty() {
        return Ok(None);
    }
    if !state.store.shared() {
        bail!(
            "lake.share_listen is for processes that share a database, and this one's is a SQLite file\nhint: set \
             `store.url` to postgres://…, or leave `lake.share_listen` empty"
        );
    }
    let wanted = &lake.share_listen;
    let listener = TcpListener::bind(wanted)
        .await
        .with_context(|| format!("lake.share_listen: {wanted} cannot be listened on"))?;
    let address = address(&lake.share_address, listener.local_addr()?)?;
    let key = keys::load(&state.folder.join(keys::KEY_FILE))?;
    let server = installation.lake.share(
        listener,
        &ShareOptions {
            secret: SecretBox::new(Box::new(key.derive("lake.share"))),
            address: address.clone(),
            version: VERSION.to_owned(),
            from_bytes: lake.share_bytes,
            memory: usize::try_from(lake.query_bytes).unwrap_or(usize::MAX),
        },
    );
    let server = server.context("lake.share_address")?;
    let own = Process {
        address,
        name: process_name(),
        version: VERSION.to_owned(),
        seen_at: state.clock.now(),
    };
    Ok(Some(Sharing { server, own }))
}

/// Where the others reach this process.
fn address(set: &str, listening: SocketAddr) -> Result<String> {
    if !set.is_empty() {
        return Ok(set.to_owned());
    }
    if listening.ip().is_unspecified() {
        bail!(
            "lake.share_listen takes connections on every address of this machine ({listening}), and the other processes \
             need to know one\nhint: set `lake.share_address` to HOST:PORT as they reach it"
        );
    }
    Ok(listening.to_string())
}

/// Takes parts until the process stops, and keeps to who is there.
pub(crate) fn run(
    sharing: Option<Sharing>,
    installation: &Arc<Installation>,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let Some(sharing) = sharing else { return };
    let Sharing { server, own } = sharing;
    let token = stop.clone();
    tasks.spawn(async move {
        if let Err(error) = server.run(token).await {
            tracing::error!(%error, "no parts of questions are taken any more");
        }
    });
    tasks.spawn(follow(Arc::clone(installation), own, stop.clone()));
}

async fn follow(installation: Arc<Installation>, mut own: Process, stop: CancellationToken) {
    let store = &installation.state.store;
    let mut before = BTreeSet::new();
    loop {
        own.seen_at = installation.state.clock.now();
        match look(&installation, &own).await {
            Ok(others) => {
                if others != before {
                    let with = others.iter().cloned().collect::<Vec<_>>().join(", ");
                    tracing::info!(with, "questions over the lake are shared");
                    before = others;
                }
            }
            // Those that were known stay: each question finds out who answers.
            Err(error) => tracing::warn!(%error, "who shares questions cannot be read now"),
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(SAY_EVERY) => {}
        }
    }
    if let Err(error) = store.depart(&own.address).await {
        tracing::warn!(%error, "the others were not told that this process ends");
    }
}

/// Says that this process is there. The others that are.
async fn look(installation: &Installation, own: &Process) -> Result<BTreeSet<String>> {
    let store = &installation.state.store;
    store.announce(own).await?;
    let others: Vec<String> = store
        .processes(own.seen_at.plus(-PRESENT))
        .await?
        .into_iter()
        .filter(|other| other.address != own.address && other.version == own.version)
        .map(|other| other.address)
        .collect();
    installation.lake.set_peers(&others)?;
    Ok(others.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_need_an_address_that_says_which_machine() {
        let local: SocketAddr = "127.0.0.1:9020".parse().expect("an address");
        let any: SocketAddr = "0.0.0.0:9020".parse().expect("an address");
        assert_eq!(address("", local).expect("one"), "127.0.0.1:9020");
        assert_eq!(address("node-1:9020", any).expect("one"), "node-1:9020");
        let why = address("", any).expect_err("none").to_string();
        assert!(why.contains("lake.share_address"), "{why}");
    }
}
