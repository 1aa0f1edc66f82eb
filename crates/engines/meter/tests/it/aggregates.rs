//! Laws of aggregates: order and splitting do not matter.

use proptest::prelude::*;
use sealwright_meter::{Aggregate, AggregateError, Aggregation, Sample};
use sealwright_money::Decimal;

const KINDS: [Aggregation; 6] = [
    Aggregation::Sum,
    Aggregation::Count,
    Aggregation::Max,
    Aggregation::Unique,
    Aggregation::Latest,
    Aggregation::TimeWeighted,
];

fn sample(kind: Aggregation, seed: (i64, u32, i64, u8)) -> Sample {
    let (m, scale, time_us, n) = seed;
    let value = Decimal::new(m, scale);
    let tie = u128::from(n);
    match kind {
        Aggregation::Sum => Sample::Sum(value),
        Aggregation::Count => Sample::Count,
        Aggregation::Max => Sample::Max(value),
        Aggregation::Unique => Sample::Unique(tie),
        Aggregation::Latest => Sample::Latest {
            time_us,
            tie,
            value,
        },
        Aggregation::TimeWeighted => Sample::Level {
            series: tie % 3,
            time_us,
            tie,
            value,
        },
    }
}

fn collect(kind: Aggregation, samples: &[Sample]) -> Aggregate {
    let mut aggregate = Aggregate::new(kind);
    for s in samples {
        aggregate.add(s).unwrap();
    }
    aggregate
}

proptest! {
    #[test]
    fn order_and_splitting_do_not_matter(
        kind in prop::sample::select(KINDS.to_vec()),
        (seeds, shuffled) in prop::collection::vec(
            (0i64..1_000_000_000_000, 0u32..8, -100i64..200, any::<u8>()), 0..40,
        ).prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        cuts in prop::collection::vec(0usize..40, 0..4),
    ) {
        let make = |seeds: &[(i64, u32, i64, u8)]| -> Vec<Sample> {
            seeds.iter().map(|s| sample(kind, *s)).collect()
        };
        let want = collect(kind, &make(&seeds));
        let samples = make(&shuffled);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(samples.len())).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([samples.len()]) {
            parts.push(collect(kind, &samples[start..cut]));
            start = cut;
        }
        let mut merged = Aggregate::new(kind);
        for part in parts.iter().rev() {
            // Each part goes through storage on its way.
            let json = serde_json::to_string(part).unwrap();
            merged.merge(&serde_json::from_str(&json).unwrap()).unwrap();
        }
        prop_assert_eq!(&merged, &want);
        prop_assert_eq!(merged.finish(0, 100).unwrap(), want.finish(0, 100).unwrap());
    }

    #[test]
    fn averages_of_parts_of_a_period_make_the_whole(
        seeds in prop::collection::vec((0i64..1_000_000, 0u32..4, -100i64..200, any::<u8>()), 1..30),
        cut in 1i64..100,
    ) {
        let samples: Vec<Sample> = seeds.iter().map(|s| sample(Aggregation::TimeWeighted, *s)).collect();
        let aggregate = collect(Aggregation::TimeWeighted, &samples);
        let weighted = |a, b| aggregate.finish(a, b).unwrap().map_or(Decimal::ZERO, |q| q.exact.unwrap().0);
        prop_assert_eq!(weighted(0, cut) + weighted(cut, 100), weighted(0, 100));
    }

    #[test]
    fn forgetting_the_past_keeps_the_future(
        seeds in prop::collection::vec((0i64..1_000_000, 0u32..4, -100i64..200, any::<u8>()), 1..30),
        at in -50i64..100,
    ) {
        let samples: Vec<Sample> = seeds.iter().map(|s| sample(Aggregation::TimeWeighted, *s)).collect();
        let mut aggregate = collect(Aggregation::TimeWeighted, &samples);
        let want = aggregate.finish(at, at + 77).unwrap();
        aggregate.forget_before(at);
        prop_assert_eq!(aggregate.finish(at, at + 77).unwrap(), want);
    }

    #[test]
    fn any_json_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = serde_json::from_str::<Aggregate>(&text);
    }
}

#[test]
fn nothing_is_not_zero() {
    for (kind, want) in [
        (Aggregation::Sum, Some("0")),
        (Aggregation::Count, Some("0")),
        (Aggregation::Unique, Some("0")),
        (Aggregation::Max, None),
        (Aggregation::Latest, None),
        (Aggregation::TimeWeighted, None),
    ] {
        let got = Aggregate::new(kind)
            .finish(0, 1)
            .unwrap()
            .map(|q| q.value.to_string());
        assert_eq!(got.as_deref(), want, "{kind:?}");
    }
}

#[test]
fn kinds_do_not_mix_and_sums_do_not_overflow_silently() {
    let mut sum = Aggregate::new(Aggregation::Sum);
    assert_eq!(sum.add(&Sample::Count), Err(AggregateError::Kind));
    assert_eq!(
        sum.merge(&Aggregate::new(Aggregation::Max)),
        Err(AggregateError::Kind)
    );
    sum.add(&Sample::Sum(Decimal::MAX)).unwrap();
    let before = sum.clone();
    assert!(matches!(
        sum.add(&Sample::Sum(Decimal::new(1, 2))),
        Err(AggregateError::Arithmetic(_))
    ));
    assert_eq!(sum, before);
}

#[test]
fn another_version_is_refused() {
    let json = serde_json::to_string(&Aggregate::new(Aggregation::Count)).unwrap();
    assert_eq!(json, r#"{"v":1,"state":{"count":0}}"#);
    assert!(serde_json::from_str::<Aggregate>(&json.replace("\"v\":1", "\"v\":2")).is_err());
}
