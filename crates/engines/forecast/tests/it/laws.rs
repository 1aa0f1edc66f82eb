//! Laws that hold for all inputs.

use proptest::prelude::*;
use sealwright_forecast::{
    Cadence, Detector, DetectorConfig, DeviationRule, ForecastError, History, Judgement, Model,
    Stamped, Tail,
};

fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![
        8 => (-1e6..1e6).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(0.0)),
    ];
    proptest::collection::vec(value, 0..400)
}

fn run(detector: &mut Detector, from: i64, values: &[Option<f64>]) -> Vec<(bool, bool)> {
    (from..)
        .zip(values)
        .filter_map(|(slot, value)| {
            let finding = detector.observe(slot, (*value)?).unwrap();
            Some((finding.severity.is_some(), finding.seasonal))
        })
        .collect()
}

fn fresh() -> Detector {
    Detector::new(DetectorConfig::new(Cadence {
        per_day: 24,
        season: 24,
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_detector_goes_on_where_it_was_stored(values in values(), at in 0_usize..400) {
        let cut = at.min(values.len());
        let mut whole = fresh();
        let all = run(&mut whole, 0, &values);
        let mut first = fresh();
        let mut parts = run(&mut first, 0, &values[..cut]);
        let bytes = postcard::to_stdvec(&first).unwrap();
        let mut second: Detector = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&second, &first);
        parts.extend(run(&mut second, cut as i64, &values[cut..]));
        prop_assert_eq!(parts, all);
        prop_assert_eq!(second, whole);
    }

    /// A power of two changes no digit, so the decisions must be the same ones.
    #[test]
    fn the_unit_does_not_matter(values in values(), power in -20_i32..20) {
        let by = 2.0_f64.powi(power);
        let scaled: Vec<Option<f64>> = values.iter().map(|v| v.map(|v| v * by)).collect();
        prop_assert_eq!(run(&mut fresh(), 0, &values), run(&mut fresh(), 0, &scaled));
        let rule = DeviationRule::default();
        let (one, other) = (
            rule.judge(&values, Some(123.0)).unwrap(),
            rule.judge(&scaled, Some(123.0 * by)).unwrap(),
        );
        prop_assert_eq!(one.severity(), other.severity());
        if let (Ok(one), Ok(other)) = (Model::fit(&values, 7), Model::fit(&scaled, 7)) {
            let (one, other) = (one.total(10, 0.9).unwrap(), other.total(10, 0.9).unwrap());
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (a.abs() + b.abs()) + 1e-9;
            prop_assert!(close(one.point * by, other.point), "{} {}", one.point * by, other.point);
            prop_assert!(close(one.high * by, other.high), "{} {}", one.high * by, other.high);
        }
    }

    #[test]
    fn the_order_of_a_window_does_not_matter_to_the_rule(values in values(), value in -1e6..1e6) {
        let rule = DeviationRule { window: 366, ..DeviationRule::default() };
        let window: Vec<Option<f64>> = values.iter().take(366).copied().collect();
        let mut other = window.clone();
        other.reverse();
        match (rule.judge(&window, Some(value)).unwrap(), rule.judge(&other, Some(value)).unwrap()) {
            (Judgement::Known { mean: a, spread: s, .. }, Judgement::Known { mean: b, spread: t, .. }) => {
                prop_assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs()) && (s - t).abs() <= 1e-9 * (1.0 + s));
            }
            (a, b) => prop_assert_eq!(a, b),
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused_and_changes_nothing(values in values(), bad in prop_oneof![
        Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)
    ]) {
        let mut detector = fresh();
        run(&mut detector, 0, &values);
        let before = detector.clone();
        let refused = detector.observe(1_000, bad);
        prop_assert!(matches!(refused, Err(ForecastError::NotFinite(_))));
        prop_assert_eq!(&detector, &before);
        prop_assert!(DeviationRule::default().judge(&values, Some(bad)).is_err());
        let mut history = History::new(10);
        let refused = history.put(0, Stamped { value: bad, stamp: 0 });
        prop_assert!(refused.is_err());
        let mut with = values.clone();
        with.push(Some(bad));
        prop_assert!(Model::fit(&with, 7).is_err());
        prop_assert!(DeviationRule::default().judge(&with, Some(1.0)).is_err());
    }

    #[test]
    fn a_history_does_not_depend_on_the_order_of_arrival(
        mut puts in proptest::collection::vec((-50_i64..50, -1e3..1e3, 0_u64..5), 0..60),
        cut in 0_usize..60,
    ) {
        let build = |puts: &[(i64, f64, u64)]| {
            let mut history = History::new(40);
            for (slot, value, stamp) in puts {
                history.put(*slot, Stamped { value: *value, stamp: *stamp }).unwrap();
            }
            history
        };
        let whole = build(&puts);
        let cut = cut.min(puts.len());
        let (a, b) = (build(&puts[..cut]), build(&puts[cut..]));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(&ab, &ba);
        prop_assert_eq!(&ab, &whole);
        ab.merge(&a);
        prop_assert_eq!(&ab, &whole);
        puts.reverse();
        prop_assert_eq!(build(&puts), whole);
    }

    #[test]
    fn surprise_grows_with_size_and_reads_back(sizes in proptest::collection::vec(0.0..1e6, 200..400), nats in 4.0..20.0) {
        let mut detector = Detector::new(DetectorConfig::new(Cadence { per_day: 1, season: 0 })).unwrap();
        for (slot, size) in (0..).zip(&sizes) {
            detector.observe(slot, *size).unwrap();
        }
        let tail: Tail = serde_json::from_value(serde_json::to_value(&detector).unwrap()["plain"]["tail"].clone()).unwrap();
        let size = tail.size_at(nats);
        prop_assert!((tail.surprise(size) - nats).abs() < 1e-6, "{} {}", tail.surprise(size), nats);
        prop_assert!(tail.surprise(size * 1.1) >= tail.surprise(size));
    }

    #[test]
    fn intervals_hold_their_point_and_nest(values in values(), ahead in 1_usize..40) {
        let Ok(model) = Model::fit(&values, 7) else {
            prop_assert!(values.iter().flatten().count() < sealwright_forecast::SMALLEST_HISTORY);
            return Ok(());
        };
        let (narrow, wide) = (model.forecast(ahead, 0.8).unwrap(), model.forecast(ahead, 0.95).unwrap());
        for (narrow, wide) in narrow.iter().zip(&wide) {
            prop_assert!(narrow.low.is_finite() && narrow.high.is_finite());
            prop_assert!(wide.low <= narrow.low && narrow.low <= narrow.point);
            prop_assert!(wide.high >= narrow.high && narrow.high >= narrow.point);
        }
        let sum: f64 = narrow.iter().map(|interval| interval.point).sum();
        let total = model.total(ahead, 0.8).unwrap();
        prop_assert!((total.point - sum).abs() <= 1e-6 * (1.0 + sum.abs()));
    }
}

#[test]
fn a_detector_reads_forward_only() {
    let mut detector = fresh();
    detector.observe(5, 1.0).unwrap();
    assert!(matches!(
        detector.observe(5, 1.0),
        Err(ForecastError::Backwards { slot: 5, last: 5 })
    ));
}
