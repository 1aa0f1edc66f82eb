//! What is measured.

use metrics::Unit;

use self::MetricKind::{Counter, Counts, Gauge, Histogram};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution of seconds, in the buckets of [`super::Metrics`].
    Histogram,
    /// A distribution of numbers of things.
    Counts,
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
            MetricKind::Counts => metrics::describe_histogram!(name, Unit::Count, help),
        }
    }
}

const fn doc(name: &'static str, kind: MetricKind, help: &'static str) -> MetricDoc {
    MetricDoc { name, kind, help }
}

/// What the program measures. A tidy test holds the list against what is recorded.
pub const METRICS: &[MetricDoc] = &[
    // Platform.
    doc(
        "sealwright_http_request_seconds",
        Histogram,
        "Requests by method, route and status: until the answer's head is ready",
    ),
    doc(
        "sealwright_http_requests_in_flight",
        Gauge,
        "Requests that are being answered",
    ),
    doc(
        "sealwright_consumer_events_total",
        Counter,
        "Events of the log that took effect, by consumer",
    ),
    doc(
        "sealwright_consumer_errors_total",
        Counter,
        "Attempts of a consumer that failed and are repeated, by consumer",
    ),
    doc(
        "sealwright_job_runs_total",
        Counter,
        "Attempts of jobs, by job and how they ended",
    ),
    doc(
        "sealwright_job_run_seconds",
        Histogram,
        "How long attempts of jobs took, by job",
    ),
    doc(
        "sealwright_build_info",
        Gauge,
        "1, with the version of the program",
    ),
    // Intake.
    doc(
        "sealwright_intake_events_total",
        Counter,
        "Events that were offered, by what became of them: accepted, duplicate, rejected, conflict",
    ),
    doc(
        "sealwright_intake_request_seconds",
        Histogram,
        "Requests with events, by status: until all of them are durable",
    ),
    doc(
        "sealwright_intake_otlp_request_seconds",
        Histogram,
        "Requests with OTLP logs, by status: until all of them are durable",
    ),
    doc(
        "sealwright_intake_commit_seconds",
        Histogram,
        "How long commits of the log took, their sync included",
    ),
    doc(
        "sealwright_intake_commit_errors_total",
        Counter,
        "Commits of the log that failed; their senders were told",
    ),
    doc(
        "sealwright_intake_sync_seconds",
        Histogram,
        "How long the disk took to make a write durable",
    ),
    doc(
        "sealwright_intake_group_events",
        Counts,
        "Events of requests that shared a commit",
    ),
    doc(
        "sealwright_intake_turn_seconds",
        Histogram,
        "Requests that waited for the turn of their tenant: for how long",
    ),
    doc(
        "sealwright_intake_window_events",
        Gauge,
        "Events that may be in the log and not yet metered and looked at before requests wait; 0 while nobody does",
    ),
    doc(
        "sealwright_intake_later_total",
        Counter,
        "Requests that were told to come later, because too much of their tenant waited or for too long",
    ),
    doc(
        "sealwright_intake_filter_false_alarms_total",
        Counter,
        "Identities that the filter took for known ones and the index did not have",
    ),
    doc(
        "sealwright_intake_index_errors_total",
        Counter,
        "Writes of the index of identities that failed; it is made anew from the log",
    ),
    doc(
        "sealwright_intake_syslog_messages_total",
        Counter,
        "Messages of syslog that are durable",
    ),
    doc(
        "sealwright_intake_syslog_lost_total",
        Counter,
        "Messages of syslog that were not taken, by reason",
    ),
    doc(
        "sealwright_intake_syslog_connections_refused_total",
        Counter,
        "Connections of syslog above the number that is allowed",
    ),
    doc(
        "sealwright_intake_syslog_framing_errors_total",
        Counter,
        "Connections of syslog that were ended because their framing could not be read",
    ),
    // Lake.
    doc(
        "sealwright_lake_events_total",
        Counter,
        "Events that were written into data files",
    ),
    doc(
        "sealwright_lake_event_bytes_total",
        Counter,
        "Bytes of those events before they were compressed",
    ),
    doc(
        "sealwright_lake_flush_seconds",
        Histogram,
        "How long it took to write a data file and make it visible",
    ),
    doc(
        "sealwright_lake_unindexed_rows",
        Gauge,
        "Stored events that the index of terms does not have yet",
    ),
    doc(
        "sealwright_lake_fetched_files_total",
        Counter,
        "Data files that were fetched from the lake's bucket",
    ),
    doc(
        "sealwright_lake_fetched_bytes_total",
        Counter,
        "Bytes of data files that were fetched from the lake's bucket",
    ),
    doc(
        "sealwright_lake_cache_bytes",
        Gauge,
        "Bytes of the lake's bucket that this process keeps in its folder",
    ),
    doc(
        "sealwright_lake_shared_questions_total",
        Counter,
        "Questions over the lake that several processes answered (outcome: shared), and tries that failed and were made again",
    ),
    // Ledger.
    doc(
        "sealwright_ledger_entries_total",
        Counter,
        "Entries that were handed to the ledger",
    ),
    doc(
        "sealwright_ledger_append_seconds",
        Histogram,
        "How long it took to append entries to the tree and to sign it",
    ),
    doc("sealwright_ledger_size", Gauge, "Entries of the tree"),
    doc(
        "sealwright_ledger_errors_total",
        Counter,
        "Attempts to append that failed and are repeated",
    ),
    // Prometheus.
    doc(
        "sealwright_prometheus_windows_total",
        Counter,
        "Windows of Prometheus sources that were decided, by what became of them",
    ),
    doc(
        "sealwright_prometheus_failures_total",
        Counter,
        "Attempts to have a window of a Prometheus source that failed, by source",
    ),
    doc(
        "sealwright_prometheus_lag_seconds",
        Gauge,
        "From the end of the last window of a Prometheus source that was decided to now, by source",
    ),
    // Notifications.
    doc(
        "sealwright_notify_messages_total",
        Counter,
        "Messages put into the outbox, by severity; a transaction that is rolled back counts too",
    ),
    doc(
        "sealwright_notify_deliveries_total",
        Counter,
        "Attempts to deliver, by kind of channel and outcome: sent, failed (tried again), dead, lost",
    ),
    doc(
        "sealwright_notify_send_seconds",
        Histogram,
        "How long attempts to deliver took, by kind of channel",
    ),
    doc(
        "sealwright_notify_waiting",
        Gauge,
        "Deliveries that are pending, sending, held or dead, by kind of channel and state",
    ),
    doc(
        "sealwright_notify_oldest_seconds",
        Gauge,
        "Age of the oldest delivery that is not sent and not given up",
    ),
    // Detection.
    doc(
        "sealwright_siem_events_total",
        Counter,
        "Events that went through detection",
    ),
    doc(
        "sealwright_siem_dead_letters_total",
        Counter,
        "Events that rules could not be asked about, kept with the reason",
    ),
    doc(
        "sealwright_siem_late_total",
        Counter,
        "Events that came too late for correlations",
    ),
    doc(
        "sealwright_siem_future_total",
        Counter,
        "Events that stated a time too far ahead of the clock",
    ),
    doc(
        "sealwright_siem_matches_total",
        Counter,
        "Matches of rules and correlations",
    ),
    doc(
        "sealwright_siem_alerts_total",
        Counter,
        "Alerts that were raised, by severity",
    ),
    doc(
        "sealwright_siem_suppressed_total",
        Counter,
        "Matches that a suppression covered",
    ),
    doc(
        "sealwright_siem_flooded_total",
        Counter,
        "Matches above the number of alerts that a tenant may raise in an hour",
    ),
    doc(
        "sealwright_siem_escalated_total",
        Counter,
        "Alerts that nobody took up in time",
    ),
    doc(
        "sealwright_siem_actions_total",
        Counter,
        "Steps of response actions, by step",
    ),
    doc(
        "sealwright_siem_batch_seconds",
        Histogram,
        "How long it took to detect in a batch of the log and to commit what was found",
    ),
    doc(
        "sealwright_siem_groups",
        Gauge,
        "Groups that correlations keep",
    ),
    doc(
        "sealwright_siem_waiting",
        Gauge,
        "Matches that wait for the lateness to pass",
    ),
    doc(
        "sealwright_siem_groups_evicted",
        Gauge,
        "Groups that were dropped because there were too many",
    ),
];
