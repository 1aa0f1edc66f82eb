//! The Prometheus recorder.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::logs::TelemetryError;
use crate::metrics_list::{METRICS, MetricDoc, MetricKind};

/// Seconds: from half a millisecond (a page from memory) to ten minutes (a long job).
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 600.0,
];

/// Numbers of things: from one to as many as one commit takes.
const COUNTS: &[f64] = &[
    1.0, 10.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0, 100_000.0,
];

/// What `/metrics` shows. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Makes the recorder of this process and describes the metrics.
    ///
    /// # Errors
    /// [`TelemetryError::Recorder`] when the process has one already.
    pub fn install(version: &str) -> Result<Self, TelemetryError> {
        let (recorder, this) = Self::recorder()?;
        metrics::set_global_recorder(recorder)
            .map_err(|error| TelemetryError::Recorder(error.to_string()))?;
        this.describe(METRICS);
        metrics::gauge!("sealwright_build_info", "version" => version.to_owned()).set(1.0);
        Ok(this)
    }

    /// A recorder that is not installed, and its handle: for tests, with `metrics::with_local_recorder`.
    ///
    /// # Errors
    /// When the buckets are empty, which they are not.
    pub fn recorder() -> Result<(PrometheusRecorder, Self), TelemetryError> {
        let empty = |error: BuildError| TelemetryError::Recorder(error.to_string());
        let mut builder = PrometheusBuilder::new()
            .set_buckets(BUCKETS)
            .map_err(empty)?;
        for doc in METRICS.iter().filter(|doc| doc.kind == MetricKind::Counts) {
            let name = Matcher::Full(doc.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, COUNTS)
                .map_err(empty)?;
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Ok((recorder, Self(handle)))
    }

    /// Gives metrics their `# HELP` text.
    pub fn describe(&self, docs: &[MetricDoc]) {
        for doc in docs {
            doc.describe();
        }
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }

    /// The answer of `GET /metrics`. It names no tenant and holds no secret, but says how busy the server
    /// is: the binary decides who may ask.
    pub fn respond(&self) -> Response {
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        ([(header::CONTENT_TYPE, kind)], self.render()).into_response()
    }
}
