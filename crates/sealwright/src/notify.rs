//! Notifications, with what this installation decides.

use std::sync::Arc;

use anyhow::{Context, Result};
use sealwright_access::{Audit, TenantDirectory};
use sealwright_config::Config;
use sealwright_core::Clock;
use sealwright_core::clock::DAY;
use sealwright_notify::{
    Backoff, Egress, EgressOptions, Notifier, NotifyOptions, NotifyParts, NotifyService,
};
use sealwright_store::Store;

/// The service over the opened state.
pub(crate) fn service(
    config: &Config,
    store: Store,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    directory: TenantDirectory,
) -> Result<NotifyService> {
    let settings = &config.notify;
    let extra_roots = if settings.ca_file.as_os_str().is_empty() {
        None
    } else {
        let path = settings.ca_file.display();
        Some(std::fs::read(&settings.ca_file).with_context(|| format!("notify.ca_file {path}"))?)
    };
    let public_url = if config.listen.public_url.is_empty() {
        format!("http://{}", config.listen.address)
    } else {
        config.listen.public_url.trim_end_matches('/').to_owned()
    };
    let private = settings
        .private_targets
        .parse()
        .map_err(|detail| anyhow::anyhow!("notify.private_targets: {detail}"))?;
    Ok(NotifyService::new(NotifyParts {
        store,
        clock: Arc::clone(&clock),
        audit,
        ring: crate::secrets::key_ring(config)?,
        egress: Egress::new(EgressOptions {
            private,
            timeout: settings.timeout.std(),
            extra_roots,
        }),
        directory,
        notifier: Notifier::new(clock),
        options: NotifyOptions {
            public_url,
            backoff: Backoff {
                first: settings.retry_first.micros(),
                longest: settings.retry_longest.micros(),
                attempts: i64::from(settings.attempts),
            },
            history_days: u32::try_from(settings.history.micros() / DAY).unwrap_or(u32::MAX),
        },
    }))
}
