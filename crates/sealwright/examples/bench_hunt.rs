//! Hunting over stored events: `bench_hunt [EVENTS] [FOLDER]`, ten million by default.
//!
//! Writes CloudTrail records of about 900 bytes over a week into a lake (or takes the lake that FOLDER holds
//! from an earlier run), joins its files, makes the index, and hunts as the page does: each query 20 times, each time for
//! another value, its total checked against how the records were made. Then 100 of the rules that the program comes with as a
//! retro-hunt over all of them. Then the tenants: the same hunt, when the records are one tenant's, of 24 and
//! of 1,000. One line of JSON a figure; there is no peer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sealwright_core::clock::{DAY, HOUR, SECOND};
use sealwright_core::{Digest, TenantId, TenantScope, UnixMicros};
use sealwright_events::{
    Consumer as _, History, HistoryError, HistoryQuery, Sieve, Sift, StoredEvent,
};
use sealwright_lake::{CompactPolicy, Lake, LakeWriter, WritePolicy};
use sealwright_siem::service::builtin;
use sealwright_siem::service::detect::Terms;
use sealwright_siem::service::hunt::{FieldTerms, Found, Hunt, Hunter};
use sealwright_siem::service::retro::{self, Span};
use sealwright_siem::service::ruleset::{Ruleset, Settings_};
use sealwright_terms::Condition;
use serde_json::json;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-11-16T00:00:00Z.
const START: UnixMicros = UnixMicros(1_794_787_200_000_000);
const SPAN: i64 = 7 * DAY;
const BATCH: u64 = 100_000;
const USERS: u64 = 5_000;
const ADDRESSES: u64 = 20_000;
const NAMES: [&str; 8] = [
    "GetObject",
    "DescribeInstances",
    "AssumeRole",
    "PutObject",
    "ListBuckets",
    "ConsoleLogin",
    "CreateAccessKey",
    "DeleteTrail",
];

fn tenant(n: u64) -> TenantId {
    format!("ten_{n:032x}").parse().unwrap()
}

/// A number that looks like chance, the same in every run.
fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn user(n: u64) -> u64 {
    mixed(n) % USERS
}

fn address(n: u64) -> u64 {
    mixed(n ^ 0xaddd) % ADDRESSES
}

/// The last name is one record in 4,096.
fn name(n: u64) -> usize {
    match mixed(n ^ 0x4e) % 4_096 {
        0 => 7,
        other => (other % 7) as usize,
    }
}

fn bytes_out(n: u64) -> u64 {
    mixed(n ^ 0xb7) % 1_000_000
}

fn time(n: u64, events: u64) -> UnixMicros {
    START.plus((n as f64 / events as f64 * SPAN as f64) as i64)
}

fn event(n: u64, events: u64, tenants: u64) -> StoredEvent {
    let (user, address) = (user(n), address(n));
    let at = time(n, events);
    let json = json!({
        "specversion": "1.0", "id": n.to_string(), "source": "/bench/trail", "type": "aws.cloudtrail",
        "time": at.to_string(), "datacontenttype": "application/json",
        "data": {
            "eventVersion": "1.09", "eventTime": at.to_string(), "eventSource": "s3.amazonaws.com",
            "eventName": NAMES[name(n)], "awsRegion": "eu-central-1",
            "sourceIPAddress": format!("10.{}.{}.{}", address / 2_500, address / 50 % 50, address % 50),
            "userAgent": "aws-sdk-rust/1.3.4 os/linux lang/rust/1.90.0", "requestID": format!("{:016X}", mixed(n ^ 1)),
            "eventID": format!("{:016x}{:016x}", mixed(n ^ 2), mixed(n ^ 3)), "readOnly": true,
            "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "principalId": format!("AIDA{user:012}"),
                "userName": format!("user-{user}"), "arn": format!("arn:aws:iam::111122223333:user/user-{user}"),
                "accountId": "111122223333", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
            "requestParameters": {"bucketName": format!("data-{}", mixed(n ^ 4) % 40), "key": format!("2026/11/{n}.parquet")},
            "additionalEventData": {"bytesTransferredOut": bytes_out(n)},
        },
    });
    let json = json.to_string().into_bytes();
    StoredEvent {
        offset: n,
        tenant: tenant(mixed(n ^ 5) % tenants),
        received_at: at,
        time: at,
        id: n.to_string(),
        source: "/bench/trail".to_owned(),
        event_type: "aws.cloudtrail".to_owned(),
        subject: None,
        digest: Digest::of(&json),
        json: Bytes::from(json),
    }
}

fn row(case: &str, ours: f64, unit: &str) {
    println!(
        "{}",
        json!({
            "bench": "siem", "case": case, "ours": ours, "peer": null, "peer_name": null,
            "unit": unit, "ratio": null,
        })
    );
}

async fn filled(folder: &Path, events: u64, tenants: u64) -> Lake {
    let lake = Lake::open(folder).await.expect("the lake opens");
    lake.set_terms(Arc::new(FieldTerms));
    let writer = LakeWriter::new(lake.clone(), WritePolicy::default());
    let mut next = writer.durable_cursor();
    let since = Instant::now();
    while next < events {
        let end = (next + BATCH).min(events);
        let made: Vec<StoredEvent> = (next..end).map(|n| event(n, events, tenants)).collect();
        writer.consume(&made).await.expect("events are stored");
        next = end;
    }
    writer.flush().await.expect("events are stored");
    eprintln!("{events} events written in {:?}", since.elapsed());
    let now = START.plus(SPAN + DAY);
    let since = Instant::now();
    let joined = lake.maintain(now, CompactPolicy::default()).await.unwrap();
    eprintln!("{joined:?} in {:?}", since.elapsed());
    let since = Instant::now();
    let made = lake.index(now, Duration::from_secs(3_600)).await.unwrap();
    if made.rows > 0 {
        let seconds = since.elapsed().as_secs_f64();
        row(
            "indexing, one thread",
            made.rows as f64 / seconds,
            "events/s",
        );
        row(
            "the index",
            made.bytes as f64 / made.rows as f64,
            "bytes an event",
        );
    }
    let size = lake.status();
    row(
        "the data files",
        size.bytes as f64 / size.rows as f64,
        "bytes an event",
    );
    assert_eq!((size.rows, made.left), (events, 0));
    lake
}

/// The lake as history; `by_index` says whether its index is used.
struct Stored {
    lake: Lake,
    by_index: bool,
}

#[async_trait::async_trait]
impl History for Stored {
    async fn next_offset(&self) -> Result<u64, HistoryError> {
        Ok(u64::MAX)
    }
    async fn catch_up(&self) -> Result<(), HistoryError> {
        Ok(())
    }
    async fn page(
        &self,
        _query: &HistoryQuery,
        _start: u64,
        _limit: usize,
    ) -> Result<Vec<StoredEvent>, HistoryError> {
        unreachable!("a retro-hunt sifts")
    }
    async fn sift<'a>(
        &'a self,
        query: &HistoryQuery,
        sieve: &Sieve,
    ) -> Result<Box<dyn Sift + 'a>, HistoryError> {
        let all = Sieve {
            conditions: Vec::new(),
            values: Vec::new(),
            whole: Condition::All(Vec::new()),
        };
        let sieve = if self.by_index { sieve } else { &all };
        Ok(Box::new(self.lake.sift(query, sieve)))
    }
}

/// A hundred rules over stored records. What is found must not depend on the index.
async fn retro_hunted(lake: &Lake, events: u64, rules: usize) {
    let files: Vec<_> = builtin::files().into_iter().take(rules).collect();
    let ruleset = Arc::new(Ruleset::compile(&files, &Settings_::new()));
    let (from, to) = (Some(START), START.plus(SPAN));
    let mut found = Vec::new();
    for by_index in [true, false] {
        let stored = Stored {
            lake: lake.clone(),
            by_index,
        };
        // Without the index a day of them is enough.
        let to = if by_index { to } else { START.plus(DAY) };
        let span = Span {
            tenant: tenant(0),
            from,
            to,
        };
        let report = retro::run(&stored, Arc::clone(&ruleset), Terms::default(), span)
            .await
            .expect("a report");
        let alerts: u64 = report.alerts.iter().map(|alert| alert.matches).sum();
        let how = if by_index { "" } else { ", without the index" };
        let case = format!("retro-hunt of {rules} rules over {events} events{how}");
        row(&case, report.events as f64 / report.seconds, "events/s");
        eprintln!("{case}: {alerts} matches, {} alerts", report.alerts.len());
        found.push(report);
    }
    let day = START.plus(DAY);
    let early = |report: &retro::Report| {
        let days = report.days.iter().take(1);
        days.map(|(day, rules)| (day.clone(), rules.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(early(&found[0]), early(&found[1]), "until {day}");
}

struct Asked {
    query: String,
    from: UnixMicros,
    to: UnixMicros,
    wanted: u64,
}

async fn hunt(hunter: &Hunter, scope: TenantScope, asked: &Asked) -> Found {
    hunter
        .hunt(&Hunt {
            query: asked.query.clone(),
            rule: None,
            scope,
            from: asked.from,
            to: asked.to,
            below: None,
            limit: 50,
        })
        .await
        .expect("an answer")
}

async fn measured(hunter: &Hunter, scope: TenantScope, case: &str, ask: impl Fn(u64) -> Asked) {
    let mut took = Vec::new();
    for n in 1..=20 {
        let asked = ask(n);
        let since = Instant::now();
        let found = hunt(hunter, scope, &asked).await;
        took.push(since.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(found.total, asked.wanted, "{case}: {}", asked.query);
        assert!(found.complete, "{case}");
    }
    took.sort_by(f64::total_cmp);
    row(&format!("{case}, median"), took[9], "ms");
    row(&format!("{case}, p95"), took[18], "ms");
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let events: u64 = args
        .next()
        .map_or(10_000_000, |n| n.parse().expect("a number"));
    let kept = args.next().map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.unwrap_or_else(|| temporary.path().join("lake"));
    let lake = filled(&folder, events, 1).await;
    let hunter = Hunter::new(Arc::new(lake.clone()));
    let scope = TenantScope::One(tenant(0));
    let count = |holds: &dyn Fn(u64) -> bool| (0..events).filter(|n| holds(*n)).count() as u64;
    let asked = |query: String, wanted: u64| Asked {
        query,
        from: START,
        to: START.plus(SPAN),
        wanted,
    };
    let size = format!("hunt over {events} events");
    measured(&hunter, scope, &format!("{size}: an id"), |n| {
        asked(format!("id:{}", mixed(n) % events), 1)
    })
    .await;
    measured(
        &hunter,
        scope,
        &format!("{size}: a field of ECS, one in 5,000"),
        |n| {
            let u = mixed(n) % USERS;
            asked(format!("user.name:user-{u}"), count(&|e| user(e) == u))
        },
    )
    .await;
    measured(
        &hunter,
        scope,
        &format!("{size}: a field of ECS, one in 7"),
        |n| {
            let k = (n % 7) as usize;
            asked(
                format!("event.action:{}", NAMES[k]),
                count(&|e| name(e) == k),
            )
        },
    )
    .await;
    measured(
        &hunter,
        scope,
        &format!("{size}: a range of numbers, one in 1,000"),
        |n| {
            let least = 1_000_000 - 1_000 - n;
            let query = format!("additionalEventData.bytesTransferredOut>={least}");
            asked(query, count(&|e| bytes_out(e) >= least))
        },
    )
    .await;
    measured(
        &hunter,
        scope,
        &format!("{size}: addresses by wildcard, one in 400"),
        |n| {
            let (a, b) = (n % 8, n % 50);
            let query = format!("source.ip:10.{a}.{b}.*");
            asked(
                query,
                count(&|e| address(e) / 2_500 == a && address(e) / 50 % 50 == b),
            )
        },
    )
    .await;
    measured(
        &hunter,
        scope,
        &format!("{size}: a word of the text, one in 4,096"),
        |_| asked("DeleteTrail".to_owned(), count(&|e| name(e) == 7)),
    )
    .await;
    measured(
        &hunter,
        scope,
        &format!("{size}: two fields and a day"),
        |n| {
            let (u, k) = (mixed(n) % USERS, (n % 7) as usize);
            let day = START.plus((n as i64 % 7) * DAY);
            let (from, to) = (day.plus(HOUR), day.plus(23 * HOUR + SECOND));
            let holds =
                |e: u64| user(e) == u && name(e) == k && (from..to).contains(&time(e, events));
            Asked {
                from,
                to,
                ..asked(
                    format!("user.name:user-{u} event.action:{}", NAMES[k]),
                    count(&holds),
                )
            }
        },
    )
    .await;
    measured(&hunter, scope, &format!("{size}: time alone"), |_| {
        asked(String::new(), events)
    })
    .await;

    retro_hunted(&lake, events, 100).await;

    let fewer = events.min(1_000_000);
    for tenants in [1, 24, 1_000] {
        let lake = filled(&temporary.path().join(tenants.to_string()), fewer, tenants).await;
        let hunter = Hunter::new(Arc::new(lake));
        let case = format!("hunt over {fewer} events of {tenants} tenants: a field of ECS");
        measured(&hunter, TenantScope::One(tenant(0)), &case, |n| {
            let k = (n % 7) as usize;
            let own = |e: u64| mixed(e ^ 5).is_multiple_of(tenants) && name(e) == k;
            let wanted = (0..fewer).filter(|e| own(*e)).count() as u64;
            asked(format!("event.action:{}", NAMES[k]), wanted)
        })
        .await;
    }
}
