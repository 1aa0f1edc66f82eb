//! Forecasts: coverage, shapes, refusals.

use sealwright_forecast::{ForecastError, Model};

use crate::detector::Noise;

/// A tenant's days: growth, a week's shape, noise that lasts a little.
fn days(noise: &mut Noise, count: usize) -> Vec<f64> {
    let mut lasting = 0.0;
    let growth = 2.0 * noise.uniform();
    let weekend = 20.0 + 40.0 * noise.uniform();
    (0..count)
        .map(|day| {
            lasting = 0.5 * lasting + 4.0 * noise.gauss();
            let week = if day % 7 >= 5 { -weekend } else { 0.0 };
            200.0 + growth * day as f64 + week + lasting
        })
        .collect()
}

#[test]
fn a_months_projection_holds_the_truth_as_often_as_it_says() {
    for (history, ahead) in [(90, 20), (60, 15), (45, 10)] {
        let mut noise = Noise(23);
        let (series, mut total, mut each, mut one) = (200, 0, 0, 0.0);
        for _ in 0..series {
            let values = days(&mut noise, history + ahead);
            let past: Vec<Option<f64>> = values[..history].iter().copied().map(Some).collect();
            let truth = &values[history..];
            let model = Model::fit(&past, 7).unwrap();
            let sum = model.total(ahead, 0.9).unwrap();
            let actual: f64 = truth.iter().sum();
            total += usize::from(sum.low <= actual && actual <= sum.high);
            one += (sum.high - sum.low) / sum.point / f64::from(series);
            for (interval, value) in model.forecast(ahead, 0.9).unwrap().iter().zip(truth) {
                each += usize::from(interval.low <= *value && *value <= interval.high);
            }
        }
        let total = total as f64 / f64::from(series);
        let each = each as f64 / (f64::from(series) * ahead as f64);
        eprintln!(
            "{history} days, {ahead} ahead: total {total:.3}, each {each:.3}, width {one:.3}"
        );
        assert!((0.82..=0.98).contains(&total), "{history}: total {total}");
        assert!((0.84..=0.98).contains(&each), "{history}: each {each}");
        // Endless intervals would always hold the truth.
        assert!(one < 0.3, "{one}");
    }
}

#[test]
fn a_week_and_a_trend_are_continued() {
    let values: Vec<Option<f64>> = (0..70)
        .map(|day| Some(100.0 + day as f64 + if day % 7 == 6 { -40.0 } else { 0.0 }))
        .collect();
    let model = Model::fit(&values, 7).unwrap();
    assert!(model.seasonal() && model.trending());
    let next = model.forecast(7, 0.9).unwrap();
    assert!((next[6].point - 136.0).abs() < 6.0, "{:?}", next[6]);
    assert!((next[5].point - 175.0).abs() < 6.0, "{:?}", next[5]);
}

#[test]
fn missing_days_do_not_pull_a_forecast_to_zero() {
    let mut values: Vec<Option<f64>> = (0..60).map(|day| Some(50.0 + (day % 7) as f64)).collect();
    let full = Model::fit(&values, 7).unwrap().total(10, 0.9).unwrap();
    for day in [3, 11, 25, 26, 27, 40, 58] {
        values[day] = None;
    }
    let gaps = Model::fit(&values, 7).unwrap().total(10, 0.9).unwrap();
    assert!((full.point - gaps.point).abs() < 0.02 * full.point);
}

#[test]
fn too_little_is_refused() {
    let values = vec![Some(1.0); 6];
    assert_eq!(
        Model::fit(&values, 7),
        Err(ForecastError::TooFew {
            known: 6,
            needed: 7
        })
    );
    assert!(
        Model::fit(&[Some(1.0); 7], 7)
            .unwrap()
            .total(3, 1.5)
            .is_err()
    );
}

#[test]
fn a_constant_series_is_continued_with_almost_no_width() {
    let model = Model::fit(&[Some(5.0); 40], 7).unwrap();
    let total = model.total(10, 0.9).unwrap();
    assert!((total.point - 50.0).abs() < 1e-6);
    assert!(total.high - total.low < 1e-6);
}
