//! Numbers that look like a month of a small company. They are made up.

use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;
use sealwright_money::{Currency, Money};
use sealwright_web::chart::{Forecast, ForecastPoint, Point};

pub(crate) fn now() -> Timestamp {
    "2026-11-22T14:05:09Z".parse().unwrap()
}

pub(crate) fn eur(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("EUR").unwrap())
}

/// A repeatable number in 0..1000.
fn noise(seed: u64) -> i64 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678;
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 32;
    i64::try_from(x % 1000).unwrap()
}

fn level(day: i64, seed: u64) -> i64 {
    let week = if [5, 6].contains(&(day % 7)) {
        620
    } else {
        1000
    };
    week + noise(seed * 100 + u64::try_from(day).unwrap()) / 12
}

pub(crate) fn days(from: Timestamp, count: i64, size: i64, seed: u64, gap: bool) -> Vec<Point> {
    (0..count)
        .map(|d| Point {
            at: from + (24 * d).hours(),
            value: (!gap || ![9, 10].contains(&d))
                .then(|| Decimal::from(size * level(d, seed) / 1000)),
        })
        .collect()
}

pub(crate) fn forecast(from: Timestamp, first: i64, last: i64, size: i64) -> Forecast {
    let points = (first..=last)
        .map(|d| {
            let mid = Decimal::from(size * level(d, 7) / 1000);
            let spread = Decimal::from(size * (d - first) / 90);
            ForecastPoint {
                at: from + (24 * d).hours(),
                mid,
                low: mid - spread,
                high: mid + spread,
            }
        })
        .collect();
    Forecast {
        name: "Forecast, 80 % interval".to_owned(),
        points,
    }
}

pub(crate) fn course(seed: u64) -> Vec<Option<Decimal>> {
    (0..30)
        .map(|d| {
            let value = 500 + noise(seed * 31 + d) / 10 + i64::try_from(d * (seed % 7)).unwrap();
            (seed != 4 || !(10..14).contains(&d)).then(|| Decimal::from(value))
        })
        .collect()
}

pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) region: &'static str,
    pub(crate) spend: i64,
    pub(crate) used: Option<i64>,
}

pub(crate) const TENANTS: [Tenant; 14] = [
    t("acme-corp", "Enterprise", "eu-west-1", 4_182_055, Some(94)),
    t("globex", "Enterprise", "us-east-1", 3_811_210, Some(71)),
    t(
        "stark-industries",
        "Enterprise",
        "us-east-1",
        2_900_492,
        Some(58),
    ),
    t(
        "initech",
        "Professional",
        "ap-southeast-1",
        974_000,
        Some(106),
    ),
    t("umbrella", "Professional", "eu-west-1", 823_347, Some(83)),
    t("hooli", "Professional", "us-east-1", 791_103, Some(64)),
    t("wayne-ent", "Professional", "eu-west-1", 612_075, None),
    t("soylent", "Starter", "ap-southeast-1", 61_240, Some(41)),
    t("cyberdyne", "Starter", "us-east-1", 58_017, Some(39)),
    t("tyrell", "Starter", "eu-west-1", 44_900, Some(30)),
    t("wonka", "Starter", "eu-west-1", 31_206, Some(21)),
    t("gringotts", "Starter", "us-east-1", 18_733, Some(12)),
    t("oscorp", "Starter", "us-east-1", 9_120, Some(6)),
    t("dunder-mifflin", "Starter", "us-east-1", 0, Some(0)),
];

const fn t(
    name: &'static str,
    plan: &'static str,
    region: &'static str,
    spend: i64,
    used: Option<i64>,
) -> Tenant {
    Tenant {
        name,
        plan,
        region,
        spend,
        used,
    }
}
