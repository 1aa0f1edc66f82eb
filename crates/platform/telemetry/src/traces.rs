//! Traces to an OpenTelemetry collector.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;

use crate::logs::{Otlp, TelemetryError};

/// The batch processor has a thread of its own, and the HTTP client needs tokio's: each batch is sent
/// by a task of the runtime that [`provider`] was called in.
#[derive(Debug)]
struct OnRuntime {
    runtime: Handle,
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        self.runtime
            .spawn(async move { exporter.export(batch).await })
            .await
            .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

pub(crate) fn provider(otlp: &Otlp, version: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let failed = |detail: String| TelemetryError::Exporter {
        endpoint: otlp.endpoint.clone(),
        detail,
    };
    let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
    let base = otlp.endpoint.trim_end_matches('/');
    let endpoint = if base.ends_with("/v1/traces") {
        base.to_owned()
    } else {
        format!("{base}/v1/traces")
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let ratio = f64::from(otlp.sample_per_mille.min(1000)) / 1000.0;
    Ok(SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            ratio,
        ))))
        .with_resource(
            Resource::builder()
                .with_service_name("sealwright")
                .with_attribute(KeyValue::new("service.version", version.to_owned()))
                .build(),
        )
        .with_batch_exporter(OnRuntime {
            runtime,
            exporter: Arc::new(exporter),
        })
        .build())
}
