//! The subscriber of the process.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::traces;

/// How logs are written, always to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// Lines for people.
    Text {
        /// With colours. No meaning is in them alone.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
}

impl LogStyle {
    /// Text where standard error is a terminal, JSON elsewhere.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Text { colour: true }
        } else {
            Self::Json
        }
    }
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// The collector, OTLP over HTTP: `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// The part of traces that begin here and are sent, in per mille; traces that a caller began follow
    /// the caller's decision.
    pub sample_per_mille: u32,
}

/// What [`init`] needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directives: `info`, or `warn,sealwright_intake=debug`.
    pub filter: String,
    /// How logs are written.
    pub style: LogStyle,
    /// Traces, when they are wanted.
    pub otlp: Option<Otlp>,
    /// The version of the program, in traces.
    pub version: String,
}

/// An error of the set-up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "the log filter `{filter}` is not a list of directives such as `info` or `warn,sealwright_intake=debug`: {detail}"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What the parser said.
        detail: String,
    },
    /// The process has a subscriber already.
    #[error("logs are set up already")]
    Twice,
    /// The exporter of traces could not be made.
    #[error("traces to {endpoint}: {detail}")]
    Exporter {
        /// The collector.
        endpoint: String,
        /// What the exporter said.
        detail: String,
    },
    /// The recorder of metrics could not be made or installed.
    #[error("metrics: {0}")]
    Recorder(String),
}

/// Holds what must be flushed at the end.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends the traces that are still held. To be called before the runtime ends; blocks for at most five
    /// seconds, so inside of `spawn_blocking`.
    pub fn shutdown(self) {
        if let Some(provider) = self.provider
            && let Err(error) = provider.shutdown_with_timeout(std::time::Duration::from_secs(5))
        {
            tracing::warn!(%error, "not all traces were sent");
        }
    }
}

/// Sets up logs and, when wanted, traces for this process. With traces it must be called inside of a
/// multi-threaded tokio runtime, which sends them.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(options: &Options) -> Result<Telemetry, TelemetryError> {
    let filter = filter(&options.filter)?;
    let provider = options
        .otlp
        .as_ref()
        .map(|otlp| traces::provider(otlp, &options.version))
        .transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("sealwright"))
            // Code locations and thread names cost more than they tell.
            .with_location(false)
            .with_threads(false)
    });
    let logs = match options.style {
        LogStyle::Text { colour } => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(colour)
            .with_target(false)
            .boxed(),
        LogStyle::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(logs)
        .with(traces)
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    Ok(Telemetry { provider })
}

fn filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| TelemetryError::Filter {
            filter: text.chars().take(200).collect(),
            detail: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bad_filter_says_what_a_good_one_looks_like() {
        assert!(filter("warn,sealwright_intake=debug").is_ok());
        let error = filter("info,x=loudly").unwrap_err().to_string();
        assert!(error.contains("info,x=loudly") && error.contains("warn,sealwright_intake=debug"));
    }
}
