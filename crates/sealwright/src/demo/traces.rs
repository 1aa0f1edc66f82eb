//! The sample of real request traces that the demo replays, see examples/llm-traces.

use std::io::Read as _;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use serde::Deserialize;

/// One request of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    /// When, since the first request of the trace, in microseconds.
    pub(crate) offset: i64,
    /// Tokens that were read.
    pub(crate) input_tokens: u64,
    /// Tokens that were written.
    pub(crate) output_tokens: u64,
}

/// A trace.
#[derive(Debug)]
pub(crate) struct Trace {
    /// A short name, used in the ids of events.
    pub(crate) name: &'static str,
    /// The requests, in the order of time.
    pub(crate) requests: Vec<Request>,
    /// From the first request to the last one, in microseconds.
    pub(crate) length: i64,
}

const CODE: &[u8] = include_bytes!("../../../../examples/llm-traces/azure-code-sample.csv.gz");
const CONV: &[u8] = include_bytes!("../../../../examples/llm-traces/azure-conv-sample.csv.gz");
const MOONCAKE: &[u8] = include_bytes!("../../../../examples/llm-traces/mooncake-sample.jsonl.gz");

/// Reads the three traces.
pub(crate) fn all() -> Result<Vec<Trace>> {
    Ok(vec![
        trace("code", azure(CODE)?)?,
        trace("conv", azure(CONV)?)?,
        trace("mooncake", mooncake(MOONCAKE)?)?,
    ])
}

fn trace(name: &'static str, mut requests: Vec<Request>) -> Result<Trace> {
    let (Some(first), Some(last)) = (requests.first().copied(), requests.last().copied()) else {
        bail!("the trace `{name}` is empty");
    };
    for request in &mut requests {
        request.offset -= first.offset;
    }
    let length = last.offset - first.offset;
    if length <= 0 {
        bail!("the trace `{name}` has no length");
    }
    Ok(Trace {
        name,
        requests,
        length,
    })
}

fn text(packed: &[u8]) -> Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed)
        .read_to_string(&mut text)
        .context("a sample trace cannot be unpacked")?;
    Ok(text)
}

fn azure(packed: &[u8]) -> Result<Vec<Request>> {
    let text = text(packed)?;
    let mut requests = Vec::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let mut cell = || cells.next().context("a row of a sample trace is short");
        let time: jiff::civil::DateTime = cell()?.parse()?;
        let offset = time
            .to_zoned(jiff::tz::TimeZone::UTC)?
            .timestamp()
            .as_microsecond();
        requests.push(Request {
            offset,
            input_tokens: cell()?.parse()?,
            output_tokens: cell()?.parse()?,
        });
    }
    Ok(requests)
}

#[derive(Deserialize)]
struct MooncakeRow {
    timestamp: i64,
    input_length: u64,
    output_length: u64,
}

fn mooncake(packed: &[u8]) -> Result<Vec<Request>> {
    text(packed)?
        .lines()
        .map(|line| {
            let row: MooncakeRow = serde_json::from_str(line)?;
            Ok(Request {
                offset: row.timestamp * 1_000,
                input_tokens: row.input_length,
                output_tokens: row.output_length,
            })
        })
        .collect()
}
