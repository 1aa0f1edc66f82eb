//! The events of the worked example: real traces, replayed by a seeded rule.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use sealwright_cloudevents::{Event, Limits, parse_event};
use sealwright_core::UnixMicros;
use sealwright_core::clock::{DAY, HOUR};

use super::shape::Curve;
use super::tenants::{IN_TWO_REGIONS, MODELS, REGIONS, SHARES, TENANTS};
use super::traces::{self, Trace};

/// The seed of the rule. Nothing else is random.
pub(crate) const SEED: u64 = 0x5EA1_0001;

/// Days over which the hour of a trace is stretched.
const STRETCH_DAYS: usize = 5;

/// Days of one round of batches.
const ROUND_DAYS: i64 = 7;

/// Events of one batch at most.
const BATCH: usize = 1_000;

/// Hours from one measurement of compute, bandwidth and queries to the next.
const STEP_HOURS: usize = 6;

/// The rule in words, for the page and the summary.
pub(crate) const RULE: &str = "The AI requests are real: 6,363 requests sampled from the Azure LLM inference traces \
(code and conversation, 16 November 2023) and the Mooncake conversation trace, with their token counts \
unchanged. Everything else is made up by a rule with the seed 0x5EA10001. Each trace is replayed again and \
again; each time its hour is stretched over five days along a curve of business hours and weekends in the \
zone of the region. A hash of the seed, trace, round and row number picks the tenant (rank r with weight \
1 / r^0.8), the region (the tenant's home four times out of five), the model (code favours large models; \
half of the requests with at most 10 output tokens are embeddings) and the user. Compute, bandwidth and \
database queries follow the same curve every six hours, storage grows a little every day.";

/// Events of one tenant, in the order of time.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Whose: an index into [`TENANTS`].
    pub(crate) tenant: usize,
    /// The events.
    pub(crate) events: Vec<Event>,
}

/// What an event will say, small enough to keep all of them.
#[derive(Debug, Clone, Copy)]
struct Planned {
    time: UnixMicros,
    tenant: u8,
    region: u8,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Ai {
        trace: u8,
        round: u16,
        row: u16,
        model: u8,
        user: u16,
    },
    Compute {
        hundredths: u64,
    },
    Storage {
        volume: &'static str,
        tenths: u64,
    },
    Bandwidth {
        thousandths: u64,
    },
    Database {
        queries: u64,
    },
}

/// The events from three months before `now` (a whole UTC day) until `now`, the same for the same `now`.
#[derive(Debug)]
pub(crate) struct DemoEvents {
    from: UnixMicros,
    traces: Vec<Trace>,
    /// By round, tenant and time.
    planned: std::vec::IntoIter<Planned>,
    total: usize,
    limits: Limits,
}

impl DemoEvents {
    /// Plans the events.
    ///
    /// # Errors
    /// When `now` is outside the calendar.
    pub(crate) fn new(now: UnixMicros) -> Result<Self> {
        let from = three_months_before(now)?;
        let traces = traces::all()?;
        let stretches = usize::try_from(now.since(from) / DAY)? / STRETCH_DAYS + 1;
        let hours = stretches * STRETCH_DAYS * 24;
        let curves: Vec<Curve> = REGIONS
            .iter()
            .map(|(_, zone)| Curve::new(zone, from, hours))
            .collect::<Result<_>>()?;
        let mut planned = Vec::with_capacity(200_000);
        for (number, trace) in traces.iter().enumerate() {
            for round in 0..stretches {
                requests(&mut planned, &curves, (number, trace), round)?;
            }
        }
        resources(&mut planned, &curves, from, now)?;
        planned.retain(|event| event.time <= now);
        planned.sort_by_key(|event| {
            let round = event.time.since(from) / (ROUND_DAYS * DAY);
            (round, event.tenant, event.time)
        });
        Ok(Self {
            from,
            traces,
            total: planned.len(),
            planned: planned.into_iter(),
            limits: Limits::default(),
        })
    }

    /// The first moment of the events: midnight UTC, three months before.
    pub(crate) fn from(&self) -> UnixMicros {
        self.from
    }

    /// How many events there are in all.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    fn round(&self, event: &Planned) -> i64 {
        event.time.since(self.from) / (ROUND_DAYS * DAY)
    }

    fn event(&self, planned: &Planned) -> Result<Event> {
        let text = self.text(planned)?;
        parse_event(text.as_bytes(), &self.limits).map_err(|error| anyhow!("{error}"))
    }

    /// The event in the JSON event format.
    fn text(&self, planned: &Planned) -> Result<String> {
        let region = REGIONS[usize::from(planned.region)].0;
        let stamp = planned.time.0 / HOUR;
        let mut text = String::with_capacity(320);
        let (kind, source, id, subject) = match planned.what {
            What::Ai {
                trace,
                round,
                row,
                model,
                user,
            } => {
                let trace = &self.traces[usize::from(trace)];
                let request = &trace.requests[usize::from(row)];
                write!(
                    text,
                    r#"{{"data":{{"input_tokens":{},"model":"{}","output_tokens":{},"region":"{region}"}}"#,
                    request.input_tokens,
                    MODELS[usize::from(model)],
                    request.output_tokens
                )?;
                let id = format!("{}-{round:03}-{row:05}", trace.name);
                ("ai", "/demo/gateway", id, Some(format!("user-{user:03}")))
            }
            What::Compute { hundredths } => {
                let hours = decimal(hundredths, 2);
                write!(
                    text,
                    r#"{{"data":{{"hours":{hours},"instance_type":"general-4","region":"{region}"}}"#
                )?;
                let id = format!("compute-{region}-{stamp}");
                ("compute", "/demo/compute", id, None)
            }
            What::Storage { volume, tenths } => {
                let gb = decimal(tenths, 1);
                write!(
                    text,
                    r#"{{"data":{{"gb":{gb},"region":"{region}","volume":"{volume}"}}"#
                )?;
                let id = format!("storage-{volume}-{region}-{stamp}");
                ("storage", "/demo/storage", id, None)
            }
            What::Bandwidth { thousandths } => {
                let gb = decimal(thousandths, 3);
                write!(text, r#"{{"data":{{"gb":{gb},"region":"{region}"}}"#)?;
                let id = format!("bandwidth-{region}-{stamp}");
                ("bandwidth", "/demo/edge", id, None)
            }
            What::Database { queries } => {
                write!(
                    text,
                    r#"{{"data":{{"queries":{queries},"region":"{region}"}}"#
                )?;
                let id = format!("database-{region}-{stamp}");
                ("database", "/demo/database", id, None)
            }
        };
        write!(
            text,
            r#","id":"{id}","source":"{source}","specversion":"1.0""#
        )?;
        if let Some(subject) = subject {
            write!(text, r#","subject":"{subject}""#)?;
        }
        write!(
            text,
            r#","time":"{}","type":"sealwright.usage.{kind}.v1"}}"#,
            planned.time
        )?;
        Ok(text)
    }
}

impl Iterator for DemoEvents {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.planned.as_slice().first()?;
        let round = self.round(&first);
        let count = self
            .planned
            .as_slice()
            .iter()
            .take(BATCH)
            .take_while(|event| event.tenant == first.tenant && self.round(event) == round)
            .count();
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            let planned = self.planned.next()?;
            match self.event(&planned) {
                Ok(event) => events.push(event),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(Batch {
            tenant: usize::from(first.tenant),
            events,
        }))
    }
}

fn three_months_before(now: UnixMicros) -> Result<UnixMicros> {
    let day = now.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
    let from = day.checked_sub(jiff::Span::new().months(3))?;
    Ok(from.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().into())
}

/// The requests of one round of a trace.
fn requests(
    planned: &mut Vec<Planned>,
    curves: &[Curve],
    (number, trace): (usize, &Trace),
    round: usize,
) -> Result<()> {
    let days = STRETCH_DAYS * 24;
    for (row, request) in trace.requests.iter().enumerate() {
        let pick = |purpose: u64| hash(&[number as u64, round as u64, row as u64, purpose]);
        let tenant = by_weight(&SHARES, pick(1));
        let home = TENANTS[tenant].home;
        let region = match pick(2) % 10 {
            0..8 => home,
            8 => (home + 1) % REGIONS.len(),
            _ => (home + 2) % REGIONS.len(),
        };
        let model = if request.output_tokens <= 10 && pick(3) % 2 == 0 {
            3
        } else {
            by_weight(
                match trace.name {
                    "code" => &[10, 35, 55],
                    "conv" => &[55, 33, 12],
                    _ => &[40, 45, 15],
                },
                pick(4),
            )
        };
        // The first tenants have more users.
        let users = 4 + SHARES[tenant] / 8;
        planned.push(Planned {
            time: curves[region].moment((round * days, days), request.offset, trace.length + 1),
            tenant: u8::try_from(tenant)?,
            region: u8::try_from(region)?,
            what: What::Ai {
                trace: u8::try_from(number)?,
                round: u16::try_from(round)?,
                row: u16::try_from(row)?,
                model: u8::try_from(model)?,
                user: u16::try_from(pick(5) % users)?,
            },
        });
    }
    Ok(())
}

/// Compute, storage, bandwidth and database usage of every tenant.
fn resources(
    planned: &mut Vec<Planned>,
    curves: &[Curve],
    from: UnixMicros,
    now: UnixMicros,
) -> Result<()> {
    for (tenant, about) in TENANTS.iter().enumerate() {
        let second = (about.home + 1) % REGIONS.len();
        let regions: &[(usize, u64)] = if tenant < IN_TWO_REGIONS {
            &[(about.home, 100), (second, 30)]
        } else {
            &[(about.home, 100)]
        };
        for (region, percent) in regions {
            let size = SHARES[tenant] * percent / 100;
            let mut hour = STEP_HOURS;
            loop {
                let time = from.plus(i64::try_from(hour)? * HOUR);
                if time > now {
                    break;
                }
                let activity = curves[*region].activity(hour - STEP_HOURS, STEP_HOURS);
                let jitter = |purpose: u64| {
                    90 + hash(&[7, tenant as u64, *region as u64, hour as u64, purpose]) % 21
                };
                let event = |what| Planned {
                    time,
                    tenant: tenant as u8,
                    region: *region as u8,
                    what,
                };
                // Two instances always, and up to a twentieth of the size at the busiest.
                let instances = 200 + size * 5 * activity / 10_000 * jitter(1) / 100;
                planned.push(event(What::Compute {
                    hundredths: instances * STEP_HOURS as u64,
                }));
                let thousandths = size * (400 + activity / 2) / 20 * jitter(2) / 100 + 25;
                planned.push(event(What::Bandwidth { thousandths }));
                let queries = size * (300 + activity) / 8 * jitter(3) / 100 + 40;
                planned.push(event(What::Database { queries }));
                if hour % 24 == STEP_HOURS {
                    let day = (hour / 24) as u64;
                    let tenths = size * 30 * (1_000 + 4 * day) / 1_000 * jitter(4) / 100 + 20;
                    planned.push(event(What::Storage {
                        volume: "primary",
                        tenths,
                    }));
                }
                hour += STEP_HOURS;
            }
        }
    }
    Ok(())
}

/// A number from the seed and `parts`: SplitMix64, once for each part.
fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(SEED, |state, part| {
        let mut z =
            (state ^ part.wrapping_mul(0xA24B_AED4_963E_E407)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// The index that `number` picks, each with its weight.
fn by_weight(weights: &[u64], number: u64) -> usize {
    let mut rest = number % weights.iter().sum::<u64>().max(1);
    for (index, weight) in weights.iter().enumerate() {
        if rest < *weight {
            return index;
        }
        rest -= weight;
    }
    0
}

/// `number / 10^places` as a decimal without trailing zeros.
fn decimal(number: u64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    let text = format!(
        "{}.{:0width$}",
        number / unit,
        number % unit,
        width = places as usize
    );
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn now() -> UnixMicros {
        UnixMicros::parse_rfc3339("2026-11-23T10:30:00Z").unwrap()
    }

    #[test]
    fn the_same_now_gives_the_same_events() {
        let first = |n: usize| -> Vec<String> {
            let events = DemoEvents::new(now()).unwrap();
            events
                .take(n)
                .flat_map(|batch| batch.unwrap().events)
                .map(Event::into_json)
                .collect()
        };
        assert_eq!(first(3), first(3));
    }

    #[test]
    fn events_cover_three_months_of_all_tenants_in_order() {
        let events = DemoEvents::new(now()).unwrap();
        assert_eq!(
            events.from(),
            UnixMicros::parse_rfc3339("2026-08-23T00:00:00Z").unwrap()
        );
        let total = events.total();
        assert!((140_000..170_000).contains(&total), "{total}");
        let mut last: BTreeMap<usize, i64> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        let (mut count, mut earliest, mut latest) = (0, i64::MAX, 0);
        for batch in events {
            let batch = batch.unwrap();
            for event in &batch.events {
                let time = event.time_micros().unwrap();
                let before = last.insert(batch.tenant, time).unwrap_or(0);
                assert!(before <= time, "{}", event.json());
                earliest = earliest.min(time);
                latest = latest.max(time);
                assert!(
                    ids.insert((
                        batch.tenant,
                        event.source().to_owned(),
                        event.id().to_owned()
                    )),
                    "{} is there twice",
                    event.id()
                );
                count += 1;
            }
        }
        assert_eq!(count, total);
        assert_eq!(last.len(), TENANTS.len());
        assert!(earliest < now().0 - 90 * DAY);
        assert!(latest <= now().0 && latest > now().0 - DAY);
    }

    #[test]
    fn token_counts_come_from_the_traces() {
        let traces = traces::all().unwrap();
        let rows: usize = traces.iter().map(|trace| trace.requests.len()).sum();
        assert_eq!(rows, 6_363, "RULE states this number");
        // A whole round of five days has each row of each trace once.
        let sum: u64 = traces
            .iter()
            .flat_map(|trace| &trace.requests)
            .map(|request| request.input_tokens)
            .sum();
        assert_eq!(sum, 4_478_293 + 2_456_892 + 24_431_618);
        let mut events = DemoEvents::new(now()).unwrap();
        let first: Vec<Planned> = events
            .planned
            .by_ref()
            .filter(|event| matches!(event.what, What::Ai { round: 0, .. }))
            .collect();
        let tokens = |event: &Planned| match event.what {
            What::Ai { trace, row, .. } => {
                events.traces[usize::from(trace)].requests[usize::from(row)].input_tokens
            }
            _ => 0,
        };
        assert_eq!(first.iter().map(tokens).sum::<u64>(), sum);
    }

    #[test]
    fn decimals_have_no_trailing_zeros() {
        assert_eq!(decimal(1_200, 2), "12");
        assert_eq!(decimal(1_250, 2), "12.5");
        assert_eq!(decimal(7, 3), "0.007");
    }
}
