//! Syslog as an input: the listeners of the configuration.

use std::sync::Arc;

use anyhow::{Context, Result};
use sealwright_config::Config;
use sealwright_intake::syslog::{Bound, Running, SyslogLimits, SyslogParts, listeners};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Opens the sockets, so that one that cannot be had ends the start and not a task.
pub(crate) async fn open(config: &Config) -> Result<Vec<Bound>> {
    let wanted =
        listeners(&config.syslog.listen).map_err(|why| anyhow::anyhow!("syslog.listen: {why}"))?;
    let mut bound = Vec::new();
    for listener in wanted {
        let place = listener.address;
        let one = Bound::open(listener)
            .await
            .with_context(|| format!("syslog.listen: {place} cannot be listened on"))?;
        tracing::info!(address = %one.address(), "syslog is taken");
        bound.push(one);
    }
    Ok(bound)
}

/// Takes messages until `stop` is cancelled.
pub(crate) fn run(
    bound: Vec<Bound>,
    parts: &SyslogParts,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    if bound.is_empty() {
        return;
    }
    let (tell, told) = Running::pair();
    for one in bound {
        tasks.spawn(one.run(parts.clone(), told.clone()));
    }
    let stop = stop.clone();
    tasks.spawn(async move {
        stop.cancelled().await;
        // Whoever listens no more does not need to be told.
        let _ = tell.send(false);
    });
}

/// What the listeners work with.
pub(crate) fn parts(
    config: &Config,
    intake: sealwright_intake::Intake,
    tenants: Arc<dyn sealwright_intake::TenantDirectory>,
    quotas: Arc<dyn sealwright_intake::Quotas>,
) -> SyslogParts {
    SyslogParts {
        intake,
        tenants,
        quotas,
        limits: SyslogLimits {
            message_bytes: config.syslog.message_bytes as usize,
            connections: config.syslog.connections as usize,
            idle: config.syslog.idle.std(),
        },
    }
}
