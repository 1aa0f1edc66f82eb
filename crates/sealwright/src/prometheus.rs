//! Prometheus as a source, with what this installation decides.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sealwright_access::{Audit, TenantDirectory};
use sealwright_config::Config;
use sealwright_core::Clock;
use sealwright_prometheus::{Limits, PrometheusParts, PrometheusService, Puller};
use sealwright_store::Store;

use crate::egress;
use crate::installation::Installation;
use crate::sink::IntakeSink;

/// The service over the opened state.
pub(crate) fn service(
    config: &Config,
    store: Store,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn Audit>,
    directory: TenantDirectory,
) -> Result<PrometheusService> {
    let settings = &config.prometheus;
    Ok(PrometheusService::new(PrometheusParts {
        store,
        clock,
        audit,
        ring: crate::secrets::key_ring(config)?,
        egress: egress::way_out(
            "prometheus",
            &settings.private_targets,
            &settings.ca_file,
            settings.timeout.std().max(Duration::from_secs(1)),
        )?,
        directory,
        limits: Limits {
            bytes: usize::try_from(settings.answer_bytes).context("prometheus.answer_bytes")?,
            series: settings.series as usize,
            samples: settings.samples as usize,
        },
    }))
}

/// What writes windows into the log.
pub(crate) fn puller(installation: &Installation) -> Puller {
    let sink = IntakeSink(installation.intake.clone());
    Puller::new(installation.state.prometheus.clone(), Arc::new(sink))
}
