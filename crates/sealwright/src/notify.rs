//! Notifications, with what this installation decides.

use std::path::Path;
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

/// The certificates in the file that `setting` names; none when it names none.
pub(crate) fn authorities(setting: &str, path: &Path) -> Result<Option<Vec<u8>>> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let read = std::fs::read(path).with_context(|| format!("{setting} {}", path.display()))?;
    Ok(Some(read))
}

/// The service over the opened state.
pub(crate) fn service(
    config: &Config,
    store: Store,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    directory: TenantDirectory,
) -> Result<NotifyService> {
    let settings = &config.notify;
    let extra_roots = authorities("notify.ca_file", &settings.ca_file)?;
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
            section: "notify",
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
