//! What must hold of values, and between them.

use crate::model::Config;

type Wrong = (&'static str, String);

/// The first rule that is broken: the key to change, and what is wrong.
pub(crate) fn check(config: &Config) -> Result<(), Wrong> {
    let rule = |holds: bool, key: &'static str, detail: &str| {
        if holds {
            Ok(())
        } else {
            Err((key, detail.to_owned()))
        }
    };
    let url = config.store.url.expose();
    let known = ["sqlite:", "postgres://", "postgresql://"];
    rule(
        url.is_empty() || known.iter().any(|start| url.starts_with(start)),
        "store.url",
        "is neither sqlite:PATH nor postgres://…",
    )?;
    rule(
        !config.data.folder.as_os_str().is_empty(),
        "data.folder",
        "is empty; name a folder",
    )?;
    let public = &config.listen.public_url;
    rule(
        public.is_empty() || public.starts_with("http://") || public.starts_with("https://"),
        "listen.public_url",
        "must start with http:// or https://",
    )?;
    let endpoint = &config.telemetry.otlp_endpoint;
    rule(
        endpoint.is_empty() || endpoint.starts_with("http://") || endpoint.starts_with("https://"),
        "telemetry.otlp_endpoint",
        "must start with http:// or https://",
    )?;
    rule(
        config.telemetry.sample_per_mille <= 1000,
        "telemetry.sample_per_mille",
        "is over 1000",
    )?;
    let intake = &config.intake;
    rule(
        intake.dedup >= intake.late,
        "intake.dedup",
        "is shorter than intake.late: an event could come again after it was forgotten",
    )?;
    rule(
        intake.event_bytes <= intake.decompressed_bytes,
        "intake.event_bytes",
        "is larger than intake.decompressed_bytes",
    )?;
    rule(
        (1..=100_000).contains(&intake.batch_events),
        "intake.batch_events",
        "must be from 1 to 100000",
    )?;
    // Parsers stop at 128 in any case.
    rule(
        (1..=120).contains(&intake.depth),
        "intake.depth",
        "must be from 1 to 120",
    )?;
    // RFC 5424 section 6.1: every receiver takes 480 bytes.
    rule(
        (480..=1_048_576).contains(&config.syslog.message_bytes),
        "syslog.message_bytes",
        "must be from 480 to 1048576",
    )?;
    rule(
        config.syslog.connections > 0 && config.syslog.idle.micros() > 0,
        "syslog.connections",
        "must be over 0, and so must syslog.idle",
    )?;
    let access = &config.access;
    rule(
        access.session_idle <= access.session_absolute && access.session_idle.micros() > 0,
        "access.session_idle",
        "must be over 0 and at most access.session_absolute",
    )?;
    rule(
        access.account_failures > 0,
        "access.account_failures",
        "must be over 0",
    )?;
    rule(
        access.address_failures > 0,
        "access.address_failures",
        "must be over 0",
    )?;
    rule(
        (1..=64).contains(&config.jobs.workers),
        "jobs.workers",
        "must be from 1 to 64",
    )?;
    let notify = &config.notify;
    rule(
        (1..=64).contains(&notify.workers),
        "notify.workers",
        "must be from 1 to 64",
    )?;
    rule(
        (1..=100).contains(&notify.attempts),
        "notify.attempts",
        "must be from 1 to 100",
    )?;
    rule(
        (1_000_000..=300_000_000).contains(&notify.timeout.micros()),
        "notify.timeout",
        "must be from 1s to 300s",
    )?;
    rule(
        notify.retry_first.micros() > 0 && notify.retry_first <= notify.retry_longest,
        "notify.retry_first",
        "must be over 0 and at most notify.retry_longest",
    )?;
    rule(
        config.lake.query_time.micros() > 0 && config.lake.query_time.micros() <= 300_000_000,
        "lake.query_time",
        "must be over 0 and at most 300s",
    )?;
    let lake = &config.lake;
    let bucket = lake.url.strip_prefix("s3://").unwrap_or_default();
    rule(
        lake.url.is_empty() || !bucket.split('/').next().unwrap_or_default().is_empty(),
        "lake.url",
        "is not of the form s3://BUCKET/PREFIX",
    )?;
    let endpoint = &lake.s3_endpoint;
    rule(
        endpoint.is_empty() || endpoint.starts_with("http://") || endpoint.starts_with("https://"),
        "lake.s3_endpoint",
        "must start with http:// or https://",
    )?;
    rule(
        lake.s3_access_key.is_empty() == lake.s3_secret_key.is_empty(),
        "lake.s3_secret_key",
        "and lake.s3_access_key are set both, or neither",
    )?;
    let shares = &lake.share_listen;
    rule(
        shares.is_empty() || shares.parse::<std::net::SocketAddr>().is_ok(),
        "lake.share_listen",
        "is not of the form ADDRESS:PORT",
    )?;
    rule(
        lake.share_address.is_empty() || !shares.is_empty(),
        "lake.share_address",
        "says where others reach lake.share_listen, which is empty",
    )?;
    let origin = &config.ledger.origin;
    rule(
        !origin.is_empty() && !origin.contains(char::is_whitespace) && !origin.contains('+'),
        "ledger.origin",
        "must be a name without spaces and `+` (C2SP tlog-checkpoint)",
    )
}
