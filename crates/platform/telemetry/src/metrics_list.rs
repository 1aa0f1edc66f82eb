//! What is measured.

use metrics::Unit;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution of seconds, in the buckets of [`super::Metrics`].
    Histogram,
}

/// One metric, as `/metrics` and the documentation describe it.
#[derive(Debug, Clone, Copy)]
pub struct MetricDoc {
    /// The name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// What it counts, with its labels.
    pub help: &'static str,
}

impl MetricDoc {
    pub(crate) fn describe(&self) {
        let (name, help) = (self.name, self.help);
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(name, help),
            MetricKind::Gauge => metrics::describe_gauge!(name, help),
            MetricKind::Histogram => metrics::describe_histogram!(name, Unit::Seconds, help),
        }
    }
}

const fn doc(name: &'static str, kind: MetricKind, help: &'static str) -> MetricDoc {
    MetricDoc { name, kind, help }
}

/// What the platform measures. Systems describe theirs with [`super::Metrics::describe`].
pub const METRICS: &[MetricDoc] = &[
    doc(
        "sealwright_http_request_seconds",
        MetricKind::Histogram,
        "Requests by method, route and status: until the answer's head is ready",
    ),
    doc(
        "sealwright_http_requests_in_flight",
        MetricKind::Gauge,
        "Requests that are being answered",
    ),
    doc(
        "sealwright_consumer_events_total",
        MetricKind::Counter,
        "Events of the log that took effect, by consumer",
    ),
    doc(
        "sealwright_consumer_errors_total",
        MetricKind::Counter,
        "Attempts of a consumer that failed and are repeated, by consumer",
    ),
    doc(
        "sealwright_job_runs_total",
        MetricKind::Counter,
        "Attempts of jobs, by job and how they ended",
    ),
    doc(
        "sealwright_job_run_seconds",
        MetricKind::Histogram,
        "How long attempts of jobs took, by job",
    ),
    doc(
        "sealwright_prometheus_windows_total",
        MetricKind::Counter,
        "Windows of Prometheus sources that were decided, by what became of them",
    ),
    doc(
        "sealwright_prometheus_failures_total",
        MetricKind::Counter,
        "Attempts to have a window of a Prometheus source that failed, by source",
    ),
    doc(
        "sealwright_prometheus_lag_seconds",
        MetricKind::Gauge,
        "From the end of the last window of a Prometheus source that was decided to now, by source",
    ),
    doc(
        "sealwright_notify_messages_total",
        MetricKind::Counter,
        "Messages put into the outbox, by severity; a transaction that is rolled back counts too",
    ),
    doc(
        "sealwright_notify_deliveries_total",
        MetricKind::Counter,
        "Attempts to deliver, by kind of channel and outcome: sent, failed (tried again), dead, lost",
    ),
    doc(
        "sealwright_notify_send_seconds",
        MetricKind::Histogram,
        "How long attempts to deliver took, by kind of channel",
    ),
    doc(
        "sealwright_notify_waiting",
        MetricKind::Gauge,
        "Deliveries that are pending, sending, held or dead, by kind of channel and state",
    ),
    doc(
        "sealwright_notify_oldest_seconds",
        MetricKind::Gauge,
        "Age of the oldest delivery that is not sent and not given up",
    ),
    doc(
        "sealwright_build_info",
        MetricKind::Gauge,
        "1, with the version of the program",
    ),
];
