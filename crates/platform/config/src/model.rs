//! The sections. Doc comments, defaults and types stand here once: the struct, the reference page and
//! the list of known keys are made from the same text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use crate::value::{Length, LogFormat, Secret};

/// One key, for the reference and for finding it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// `section.key`.
    pub key: &'static str,
    /// What it means, one paragraph.
    pub doc: &'static str,
    /// What kind of value it takes.
    pub kind: &'static str,
    /// The default, as text; empty for none.
    pub default: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Whether a text is a value of its kind; if not, what is wrong with it.
    pub(crate) read: fn(&str) -> Result<(), String>,
}

/// How a type is called in the reference, and whether TOML writes it without quotes.
pub(crate) trait Kind: FromStr {
    const NAME: &'static str;
    const SECRET: bool = false;

    fn read(text: &str) -> Result<(), String> {
        match text.parse::<Self>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("is `{}`; it takes {}", shorten(text), Self::NAME)),
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

macro_rules! kinds {
    ($($type:ty => $name:literal;)*) => { $(impl Kind for $type { const NAME: &'static str = $name; })* };
}

kinds! {
    u32 => "a whole number";
    u64 => "a whole number";
    bool => "true or false";
    String => "text";
    PathBuf => "a path";
    SocketAddr => "an address and port";
    Length => "a length of time (30s, 15m, 8h, 7d)";
    LogFormat => "auto, text or json";
}
impl Kind for Secret {
    const NAME: &'static str = "text (secret)";
    const SECRET: bool = true;
}

macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])*
        $section:ident: $struct:ident {
            $($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:literal,)*
        }
    )*) => {
        /// The whole configuration.
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            $($(#[doc = $section_doc])* pub $section: $struct,)*
        }

        $(
            $(#[doc = $section_doc])*
            #[derive(Debug, Clone, PartialEq, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $struct {
                $($(#[doc = $doc])* pub $key: $type,)*
            }
        )*

        const FIELDS: &[Field] = &[$($(
            Field {
                key: concat!(stringify!($section), ".", stringify!($key)),
                doc: concat!($($doc),*),
                kind: <$type as Kind>::NAME,
                default: $default,
                secret: <$type as Kind>::SECRET,
                read: <$type as Kind>::read,
            },
        )*)*];

        /// The sections and what they are about.
        pub(crate) const SECTIONS: &[(&str, &str)] = &[
            $((stringify!($section), concat!($($section_doc),*)),)*
        ];
    };
}

sections! {
    /// Where this installation lives.
    data: Data {
        /// The folder that holds everything: state, log, lake, ledger, keys.
        folder: PathBuf = "./sealwright-data",
    }
    /// The HTTP server.
    listen: Listen {
        /// The address and port. An address that others reach needs TLS in front of it.
        address: SocketAddr = "127.0.0.1:3010",
        /// The URL under which people reach this server, for links in output and mail, and for passkeys, which are bound to its domain. Made from the address when empty.
        public_url: String = "",
        /// Whether browsers reach this server over TLS only; cookies are then `Secure`.
        tls_in_front: bool = "false",
        /// How long running requests may take to end when the server is told to stop.
        shutdown_grace: Length = "20s",
    }
    /// The database of the state.
    store: Store {
        /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. `state.sqlite` in the data folder when empty.
        url: Secret = "",
    }
    /// Limits of `POST /api/events`.
    intake: Intake {
        /// The largest body, in bytes, as sent.
        body_bytes: u64 = "8388608",
        /// The largest body, in bytes, after decompression.
        decompressed_bytes: u64 = "67108864",
        /// The largest single event, in bytes.
        event_bytes: u64 = "1048576",
        /// The most events in one batch.
        batch_events: u32 = "10000",
        /// The deepest nesting of an event's data.
        depth: u32 = "64",
        /// Events that a tenant may send in a minute; 0 for any number. Each process counts for itself.
        tenant_events_per_minute: u64 = "0",
        /// For how long accepted events may wait to be metered and looked at by detection before senders wait, each tenant for its turn; 0s for any time.
        backlog: Length = "100ms",
        /// How far back an event's time may lie.
        late: Length = "35d",
        /// How far ahead an event's time may lie.
        ahead: Length = "5m",
        /// How long a repeated event is recognised; at least as long as events may be late.
        dedup: Length = "35d",
    }
    /// Syslog as an input of events.
    syslog: Syslog {
        /// Where messages are taken and for which tenant, separated by commas: `tcp:127.0.0.1:5514=acme, udp:127.0.0.1:5514=acme`. Nowhere when empty. Syslog knows no credentials: whoever reaches the port sends for the tenant.
        listen: String = "",
        /// The longest message, in bytes; what is longer is cut there.
        message_bytes: u32 = "65536",
        /// The most connections of one listener.
        connections: u32 = "256",
        /// A connection that sends nothing for so long is closed.
        idle: Length = "1h",
    }
    /// The stored events.
    lake: Lake {
        /// The folder of the stored events. `lake` in the data folder when empty. Processes that share a PostgreSQL database share this folder; with `lake.url` each has its own, for what it keeps of the bucket.
        folder: String = "",
        /// `s3://BUCKET/PREFIX`: the stored events are in this bucket instead, for all processes of the installation. The bucket must exist.
        url: String = "",
        /// The URL of the S3-compatible store that holds the bucket. AWS itself when empty.
        s3_endpoint: String = "",
        /// The region of the bucket.
        s3_region: String = "us-east-1",
        /// The access key of the store. When empty, credentials are taken from `AWS_ACCESS_KEY_ID` and the other variables of AWS's programs, or from the machine's role.
        s3_access_key: Secret = "",
        /// The secret key of the store.
        s3_secret_key: Secret = "",
        /// Bytes of the bucket's files that a process keeps in its folder at most.
        cache_bytes: u64 = "10737418240",
        /// `ADDRESS:PORT` at which this process takes parts of the questions that other processes of the database are asked, and lets them take parts of its own. It answers alone when empty. Only processes with this installation's `keys/ledger.key` are let in.
        share_listen: String = "",
        /// `HOST:PORT` at which the others reach it; `lake.share_listen` when empty.
        share_address: String = "",
        /// Bytes of data files from which on a question is shared; what is smaller is quicker alone.
        share_bytes: u64 = "67108864",
        /// How long events are kept; whole days are deleted after it.
        retention: Length = "400d",
        /// Rows that one query over HTTP may return.
        query_rows: u32 = "100000",
        /// How long one query over HTTP may run, at most 300s.
        query_time: Length = "30s",
        /// Memory that one query over HTTP may use, in bytes.
        query_bytes: u64 = "1073741824",
    }
    /// The ledger.
    ledger: Ledger {
        /// The log's name in checkpoints (C2SP tlog-checkpoint origin): a schema-less URL that is yours. It cannot be changed once the ledger has entries.
        origin: String = "sealwright.local/ledger",
    }
    /// Sign-in, sessions, links, and what is forbidden beyond the roles.
    access: Access {
        /// A session ends after this time without a request.
        session_idle: Length = "8h",
        /// A session ends after this time in any case.
        session_absolute: Length = "7d",
        /// How long a one-time link works.
        link_lifetime: Length = "1d",
        /// Failed sign-ins to one account before it is blocked for a minute, then two, then four.
        account_failures: u32 = "5",
        /// Failed sign-ins from one address before it is blocked likewise. Behind a proxy all clients share its address: raise this there.
        address_failures: u32 = "50",
        /// After this time without a failure the count starts anew.
        throttle_window: Length = "15m",
        /// A folder of Cedar policies (`*.cedar`) that forbid more than the roles do, read at the start. None when empty.
        policies: PathBuf = "",
    }
    /// Scheduled work.
    jobs: Jobs {
        /// Whether this process runs jobs.
        enabled: bool = "true",
        /// Jobs that this process runs at the same time.
        workers: u32 = "2",
        /// How long finished runs stay in the history.
        history: Length = "90d",
    }
    /// Secrets at rest.
    secrets: Secrets {
        /// The keys that seal the secrets in the database: 32 random bytes in base64, several separated by commas, of which the first seals and all open. The file `keys/secret.keys` in the data folder when empty; it is made at the first start.
        keys: Secret = "",
    }
    /// Notifications.
    notify: Notify {
        /// Whether this process sends notifications.
        enabled: bool = "true",
        /// Deliveries that this process sends at the same time.
        workers: u32 = "4",
        /// How long connecting and answering may take together.
        timeout: Length = "15s",
        /// Attempts before a delivery is a dead letter.
        attempts: u32 = "15",
        /// The pause after the first attempt; it doubles with each one.
        retry_first: Length = "5s",
        /// The longest pause between attempts.
        retry_longest: Length = "6h",
        /// Private addresses that channels may reach: networks such as `10.0.0.0/8`, and `loopback`, separated by commas. None when empty.
        private_targets: String = "",
        /// A file with certificates (PEM) of further authorities that channels' servers may have theirs from.
        ca_file: PathBuf = "",
        /// How long ended deliveries and their messages stay in the history.
        history: Length = "90d",
    }
    /// Prometheus as a source of events.
    prometheus: Prometheus {
        /// How long connecting and answering may take together.
        timeout: Length = "30s",
        /// Private addresses that may be asked: networks such as `10.0.0.0/8`, and `loopback`, separated by commas. None when empty.
        private_targets: String = "",
        /// A file with certificates (PEM) of further authorities that servers may have theirs from.
        ca_file: PathBuf = "",
        /// The largest answer, in bytes.
        answer_bytes: u64 = "16777216",
        /// The most series of an answer.
        series: u32 = "10000",
        /// The most samples of an answer.
        samples: u32 = "500000",
    }
    /// Billing.
    billing: Billing {
        /// Days from the end of the period until an invoice is due.
        invoice_due_days: u32 = "30",
        /// Usage older than this is not taken for the present usage by budget checks: they then say that it is unknown, and answer by the budget's policy for that.
        budget_stale_after: Length = "10s",
        /// What budget checks answer before the budgets were read for the first time: allow, throttle or stop.
        budget_when_unread: String = "allow",
    }
    /// Detection.
    siem: Siem {
        /// How far an event may be behind the latest of its source and still be correlated. Alerts of correlations come this much later; those of single events at once.
        lateness: Length = "10s",
        /// A source that sent nothing for this long no longer holds back what others sent.
        idle: Length = "1m",
        /// A source that sent nothing for this long raises an alert, unless it has a time of its own.
        silence: Length = "7d",
        /// A field that rules need, and that the events of a source used to have, raises an alert when none had it for this long.
        vanished: Length = "1h",
        /// Groups that the correlations of one tenant keep; beyond it the tenth that was touched longest ago is dropped, and counted.
        groups: u32 = "100000",
        /// Matches of one tenant that may wait for the lateness to pass.
        waiting: u32 = "100000",
    }
    /// Data-loss prevention.
    dlp: Dlp {
        /// The URL of the S3-compatible store that holds the buckets. AWS itself when empty.
        s3_endpoint: String = "",
        /// The region of the buckets.
        s3_region: String = "us-east-1",
        /// The access key of the store. Buckets are not reached without one.
        s3_access_key: Secret = "",
        /// The secret key of the store.
        s3_secret_key: Secret = "",
        /// A folder of this machine as the store, for trials, where there is no access key. It keeps versions and tags; it has no Object Lock and does not encrypt.
        folder: PathBuf = "",
        /// The key of the store's key service (SSE-KMS) that a policy's `encrypt` writes objects with. The store's own keys (SSE-S3) when empty.
        s3_kms_key: String = "",
        /// The Azure storage account whose containers are reached as az://CONTAINER. None when empty.
        azure_account: String = "",
        /// The access key of the storage account.
        azure_access_key: Secret = "",
        /// The URL of the account's blobs. Azure's own when empty.
        azure_endpoint: String = "",
        /// The key of the service account of Google Cloud whose buckets are reached as gs://BUCKET, as the JSON that Google gives. None when empty.
        gcs_service_account: Secret = "",
        /// What happens to uploads through the gate while it gives no answer: `refuse`, or `pass` with a mark.
        gate_down: String = "refuse",
        /// Threads of a scan of a bucket.
        threads: u32 = "2",
    }
    /// Logs, metrics and traces.
    telemetry: Telemetry {
        /// What is logged, as tracing directives: a level, or `target=level` separated by commas.
        filter: String = "info,fjall=warn,lsm_tree=warn,buoyant_kernel=warn,deltalake_core=warn,datafusion=warn",
        /// How logs are written.
        format: LogFormat = "auto",
        /// Where traces are sent (OTLP over HTTP, e.g. `http://127.0.0.1:4318`). Nowhere when empty.
        otlp_endpoint: String = "",
        /// The part of traces that is sent, in per mille.
        sample_per_mille: u32 = "100",
    }
}

/// Every key, in the order of the sections.
pub fn fields() -> &'static [Field] {
    FIELDS
}
