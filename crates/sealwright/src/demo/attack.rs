//! The attack of the example: real events of a Windows workstation, in their own rhythm, moved to the
//! present. See `examples/siem/README.md`.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sealwright_cloudevents::{Event, Limits, parse_event};
use sealwright_core::{TenantId, UnixMicros};
use sealwright_intake::AppendOptions;
use serde_json::{Value, json};

use crate::installation::Installation;

const EVENTS: &[u8] = include_bytes!("../../../../examples/siem/sam-dump.ndjson.zst");
const RULES: &str = include_str!("../../../../examples/siem/rules/agent.yml");
/// How the rules' file is called in the installation.
const RULES_NAME: &str = "examples/agent.yml";
/// Where the events say that they come from.
const SOURCE: &str = "/windows/workstation5";

/// An event, and when it happened after the first one, in microseconds.
struct Recorded {
    after: i64,
    data: Value,
}

fn recorded() -> Result<Vec<Recorded>> {
    let mut all = Vec::new();
    for line in BufReader::new(zstd::Decoder::new(EVENTS)?).lines() {
        let data: Value = serde_json::from_str(&line?)?;
        let at = data
            .get("@timestamp")
            .and_then(Value::as_str)
            .and_then(|text| UnixMicros::parse_rfc3339(text).ok())
            .context("an event of the example has no time")?;
        all.push(Recorded { after: at.0, data });
    }
    all.sort_by_key(|event| event.after);
    let first = all.first().map_or(0, |event| event.after);
    for event in &mut all {
        event.after -= first;
    }
    Ok(all)
}

fn event(number: usize, at: UnixMicros, data: &Value) -> Result<Event> {
    let text = json!({
        "specversion": "1.0",
        "id": format!("workstation5-{number}"),
        "source": SOURCE,
        "type": "windows.event",
        "time": at.to_string(),
        "data": data,
    });
    Ok(parse_event(
        text.to_string().as_bytes(),
        &Limits::default(),
    )?)
}

/// How the events are played.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// In their own rhythm, from now on.
    Live,
    /// At once, as if they had happened in the minutes before.
    AtOnce,
}

/// Adds the rules of the example and plays its events for a tenant.
pub(super) async fn play(installation: &Installation, tenant: TenantId, pace: Pace) -> Result<u64> {
    installation
        .siem
        .rules
        .put_file(RULES_NAME, RULES, super::run::ACTOR)
        .await?;
    let events = recorded()?;
    let span = events.last().map_or(0, |event| event.after);
    let now = installation.state.clock.now();
    let start = match pace {
        Pace::Live => now,
        Pace::AtOnce => now.plus(-span - 5 * sealwright_core::clock::MINUTE),
    };
    let mut played = 0;
    let mut rest = events.iter().enumerate().peekable();
    while rest.peek().is_some() {
        // What happens within a second is sent together, as collectors do.
        let until = match (pace, rest.peek()) {
            (Pace::Live, Some((_, next))) => next.after + sealwright_core::clock::SECOND,
            _ => i64::MAX,
        };
        let mut batch = Vec::new();
        while let Some((number, next)) = rest.next_if(|(_, next)| next.after < until) {
            batch.push(event(number, start.plus(next.after), &next.data)?);
        }
        if pace == Pace::Live {
            let due = start.plus(until).since(installation.state.clock.now());
            tokio::time::sleep(Duration::from_micros(u64::try_from(due).unwrap_or(0))).await;
        }
        let options = AppendOptions {
            accept_history: false,
        };
        let receipt = installation
            .intake
            .append_events(tenant, &batch, options)
            .await?;
        if receipt.accepted + receipt.duplicates != batch.len() as u64 {
            bail!("events of the attack were refused: {receipt:?}");
        }
        played += batch.len() as u64;
    }
    Ok(played)
}
