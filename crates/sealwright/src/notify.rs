//! Notifications, with what this installation decides.

use std::sync::Arc;

use anyhow::Result;
use sealwright_access::{Audit, TenantDirectory};
use sealwright_config::Config;
use sealwright_core::Clock;
use sealwright_core::clock::DAY;
use sealwright_notify::{Backoff, Notifier, NotifyOptions, NotifyParts, NotifyService};
use sealwright_store::Store;

use crate::egress;
use crate::installation::public_url;

/// The service over the opened state.
pub(crate) fn service(
    config: &Config,
    store: Store,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    directory: TenantDirectory,
) -> Result<NotifyService> {
    let settings = &config.notify;
    Ok(NotifyService::new(NotifyParts {
        store,
        clock: Arc::clone(&clock),
        audit,
        ring: crate::secrets::key_ring(config)?,
        egress: egress::way_out(
            "notify",
            &settings.private_targets,
            &settings.ca_file,
            settings.timeout.std(),
        )?,
        directory,
        notifier: Notifier::new(clock),
        options: NotifyOptions {
            public_url: public_url(config, config.listen.address),
            backoff: Backoff {
                first: settings.retry_first.micros(),
                longest: settings.retry_longest.micros(),
                attempts: i64::from(settings.attempts),
            },
            history_days: u32::try_from(settings.history.micros() / DAY).unwrap_or(u32::MAX),
        },
    }))
}
