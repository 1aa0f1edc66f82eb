//! What it costs to ask an index: `bench_terms [ROWS]`, two million by default.
//!
//! Rows are like records of an audit log: 24 fields, five of them different in each row, and the words of a text of 700 bytes.
//! Segments are written to one file, as the lake does, and each question goes over all of them, on one thread. One line of JSON a figure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs
)]

use std::borrow::Cow;
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Instant;

use sealwright_terms::{Builder, Bytes, Condition, Like, MOST_ROWS, Order, Phrase, Range, Segment};

struct Part<'a> {
    file: &'a File,
    at: u64,
    len: u64,
}

impl Bytes for Part<'_> {
    fn size(&self) -> u64 {
        self.len
    }

    fn read(&self, at: u64, len: usize) -> std::io::Result<Cow<'_, [u8]>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, self.at + at)?;
        Ok(Cow::Owned(bytes))
    }
}

fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn user(n: u64) -> u64 {
    mixed(n) % 5_000
}

fn add(n: u64, to: &mut Builder) {
    let time = 1_794_787_200_000_000 + i64::try_from(n).unwrap() * 60_480;
    assert!(to.row(time, n, time + 1_500));
    let user = user(n);
    let name = ["getobject", "assumerole", "putobject", "listbuckets"][(mixed(n ^ 1) % 4) as usize];
    let address = format!(
        "10.{}.{}.{}",
        mixed(n ^ 2) % 8,
        mixed(n ^ 3) % 50,
        mixed(n ^ 4) % 50
    );
    let fields = [
        ("@timestamp", time.to_string()),
        ("event.id", format!("{:032x}", mixed(n ^ 5))),
        ("requestid", format!("{:016x}", mixed(n ^ 6))),
        ("key", format!("2026/11/{n}.parquet")),
        ("bytes", (mixed(n ^ 7) % 1_000_000).to_string()),
        ("user.name", format!("user-{user}")),
        (
            "user.arn",
            format!("arn:aws:iam::111122223333:user/user-{user}"),
        ),
        ("source.ip", address),
        ("event.action", name.to_owned()),
        ("bucket", format!("data-{}", mixed(n ^ 8) % 40)),
        (
            "event.outcome",
            if n.is_multiple_of(50) {
                "failure"
            } else {
                "success"
            }
            .to_owned(),
        ),
    ];
    let mut text = String::new();
    for (field, value) in &fields {
        to.term(field, value);
        if let Ok(number) = value.parse::<f64>() {
            to.ordered(field, Order::Number, Order::number(number));
        } else if let Ok(address) = value.parse::<IpAddr>() {
            let (order, key) = Order::address(address);
            to.ordered(field, order, key);
        }
        text.push_str(&format!("\"{field}\":\"{value}\","));
    }
    for (field, value) in &fields[5..] {
        to.value(field, value);
    }
    for constant in 0..13 {
        let field = format!("constant.{constant}");
        to.term(&field, "always the same");
        text.push_str(&format!("\"{field}\":\"always the same\","));
    }
    to.words(&text);
}

fn row(case: &str, ours: f64, unit: &str) {
    println!(
        "{{\"bench\":\"terms\",\"case\":\"{case}\",\"ours\":{ours:.3},\"peer\":null,\"peer_name\":null,\"unit\":\"{unit}\",\"ratio\":null}}"
    );
}

fn main() {
    let rows: u64 = std::env::args()
        .nth(1)
        .map_or(2_000_000, |n| n.parse().expect("a number"));
    let path = std::env::temp_dir().join(format!("bench-terms-{}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut places = Vec::new();
    let (mut at, mut n) = (0, 0);
    let mut building = 0.0;
    while n < rows {
        let since = Instant::now();
        let mut builder = Builder::new();
        while n < rows && builder.rows() < MOST_ROWS {
            add(n, &mut builder);
            n += 1;
        }
        let bytes = builder.finish("bench");
        building += since.elapsed().as_secs_f64();
        file.write_all(&bytes).unwrap();
        places.push((at, bytes.len() as u64));
        at += bytes.len() as u64;
    }
    row(
        "building, the rows' own making included",
        rows as f64 / building,
        "rows/s",
    );
    row("the index", at as f64 / rows as f64, "bytes/row");
    let equal = |field: &str, term: String| Condition::Equal(field.to_owned(), term);
    let numbers = |least: f64, most: f64| {
        Condition::Range(Range {
            field: "bytes".to_owned(),
            order: Order::Number,
            keys: Order::number(least)..=Order::number(most),
            test: Arc::new(move |t| t.parse().is_ok_and(|n| (least..=most).contains(&n))),
        })
    };
    type Case = (&'static str, Box<dyn Fn(u64) -> Condition>);
    let cases: Vec<Case> = vec![
        (
            "a value of one row",
            Box::new(move |k| {
                equal(
                    "event.id",
                    format!("{:032x}", mixed((k * 7_919 % rows) ^ 5)),
                )
            }),
        ),
        (
            "a value of one row in 5,000",
            Box::new(move |k| equal("user.name", format!("user-{}", k % 5_000))),
        ),
        (
            "a value of one row in 50",
            Box::new(move |_| equal("event.outcome", "failure".to_owned())),
        ),
        (
            "two values",
            Box::new(move |k| {
                Condition::All(vec![
                    equal("user.name", format!("user-{}", k % 5_000)),
                    equal("event.action", "putobject".to_owned()),
                ])
            }),
        ),
        (
            "addresses by wildcard, one in 400",
            Box::new(|k| {
                let prefix = format!("10.{}.{}.", k % 8, k % 50);
                let start = prefix.clone();
                Condition::Like(Like {
                    field: "source.ip".to_owned(),
                    prefix,
                    test: Arc::new(move |t| t.starts_with(&start)),
                })
            }),
        ),
        (
            "a range of numbers, one in 1,000",
            Box::new(move |k| numbers((999_000 - k) as f64, 1e9)),
        ),
        (
            "a range of numbers, a half",
            Box::new(move |k| numbers((250_000 + k) as f64, 750_000.0)),
        ),
        (
            "a network, one in eight",
            Box::new(|k| {
                let network = |last: u8| IpAddr::from([10, (k % 8) as u8, last, last]);
                let ((order, least), (_, most)) =
                    (Order::address(network(0)), Order::address(network(255)));
                Condition::Range(Range {
                    field: "source.ip".to_owned(),
                    order,
                    keys: least..=most,
                    test: Arc::new(move |t| {
                        let key = t.parse().map(|address| Order::address(address).1);
                        key.is_ok_and(|key| (least..=most).contains(&key))
                    }),
                })
            }),
        ),
        (
            "a word",
            Box::new(|k| Condition::Phrase(Phrase::new(&(k * 7_919).to_string()))),
        ),
    ];
    for (case, condition) in &cases {
        let p95 = measured(case, condition, |condition| {
            places.iter().fold(0, |found, place| {
                let verdict = condition.ask(&opened(&file, *place)).unwrap();
                found + verdict.yes.count()
            })
        });
        row(&format!("{case}, {rows} rows, p95"), p95, "ms");
    }
    for (case, condition) in &cases[1..3] {
        let p95 = measured(case, condition, |condition| {
            places.iter().fold(0, |counted, place| {
                let segment = opened(&file, *place);
                let rows = condition.ask(&segment).unwrap().yes;
                let mut all = 0;
                let add = |_: &str, _: &str, count: usize| all += count;
                segment.count_values(&rows, |_| true, add).unwrap();
                counted + all
            })
        });
        row(
            &format!("{case}, and its six values counted, {rows} rows, p95"),
            p95,
            "ms",
        );
    }
}

fn opened(file: &File, (at, len): (u64, u64)) -> Segment<Part<'_>> {
    Segment::open(Part { file, at, len }).unwrap()
}

/// Milliseconds of 20 questions. `ask` says how much it found.
fn measured(
    case: &str,
    condition: &dyn Fn(u64) -> Condition,
    ask: impl Fn(&Condition) -> usize,
) -> f64 {
    let mut took = Vec::new();
    let mut found = 0;
    for k in 1..=20 {
        let condition = condition(k);
        let since = Instant::now();
        found += ask(&condition);
        took.push(since.elapsed().as_secs_f64() * 1_000.0);
    }
    assert!(found > 0, "{case}: nothing was found");
    took.sort_by(f64::total_cmp);
    took[18]
}
