//! Logs, metrics, traces, and the layer that gives each request an id and a duration.
//!
//! [`init`] sets the process's subscriber, [`Metrics::install`] its recorder; both once, by the binary.
//! [`request`] is the layer. Nothing here logs a URI: paths may hold one-time tokens and queries may hold
//! anything, so requests are named by their route.

mod layer;
mod logs;
mod metrics_list;
mod recorder;
mod traces;

pub use layer::{RequestId, request};
pub use logs::{LogStyle, Options, Otlp, Telemetry, TelemetryError, init};
pub use metrics_list::{METRICS, MetricDoc, MetricKind};
pub use recorder::Metrics;
