//! The deviation rule.

use sealwright_forecast::{Deviation, DeviationRule, Judgement, Severity, UnknownReason};

fn judge(before: &[Option<f64>], value: f64) -> Judgement {
    DeviationRule::default().judge(before, Some(value)).unwrap()
}

/// Mean 100, sample standard deviation 10.
fn steady() -> Vec<Option<f64>> {
    let off = 10.0 * (29.0_f64 / 30.0).sqrt();
    (0..30)
        .map(|i| Some(if i % 2 == 0 { 100.0 + off } else { 100.0 - off }))
        .collect()
}

#[test]
fn severity_is_by_deviation() {
    let cases = [
        (124.0, None),
        (125.1, Some(Severity::Warning)),
        (130.1, Some(Severity::High)),
        (140.1, Some(Severity::Critical)),
        (74.0, Some(Severity::Warning)),
        (59.0, Some(Severity::Critical)),
    ];
    for (value, severity) in cases {
        assert_eq!(judge(&steady(), value).severity(), severity, "{value}");
    }
}

#[test]
fn less_than_a_week_is_unknown_and_not_normal() {
    let before: Vec<Option<f64>> = vec![Some(1.0); 6];
    assert_eq!(
        judge(&before, 1000.0),
        Judgement::Unknown(UnknownReason::TooLittleHistory {
            known: 6,
            needed: 7
        })
    );
}

#[test]
fn missing_days_are_neither_zero_nor_history() {
    let mut before = steady();
    let full = judge(&before, 126.0);
    for day in before.iter_mut().take(20) {
        *day = None;
    }
    let Judgement::Known { mean, known, .. } = judge(&before, 126.0) else {
        panic!("10 days are enough")
    };
    assert_eq!(known, 10);
    assert!((mean - 100.0).abs() < 1e-9);
    assert_eq!(full.severity(), Some(Severity::Warning));
    before.iter_mut().take(25).for_each(|day| *day = None);
    assert!(matches!(judge(&before, 126.0), Judgement::Unknown(_)));
    let nothing = DeviationRule::default().judge(&steady(), None).unwrap();
    assert_eq!(nothing, Judgement::Unknown(UnknownReason::NoValue));
}

#[test]
fn a_series_that_never_moved_is_not_infinitely_surprised() {
    let flat = vec![Some(1000.0); 30];
    assert_eq!(judge(&flat, 1000.0).severity(), None);
    assert_eq!(judge(&flat, 1010.0).severity(), None);
    assert_eq!(judge(&flat, 1041.0).severity(), Some(Severity::Critical));
    let zero = vec![Some(0.0); 30];
    assert_eq!(judge(&zero, 0.0).severity(), None);
    let Judgement::Known { deviation, .. } = judge(&zero, 1e-6) else {
        panic!("judged")
    };
    assert_eq!(deviation, Deviation::FromNothing);
}

#[test]
fn only_the_window_counts() {
    let mut before = vec![Some(1e9); 100];
    before.extend(steady());
    assert_eq!(judge(&before, 100.0).severity(), None);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let rule = DeviationRule::default();
    assert!(rule.check().is_ok());
    for bad in [
        DeviationRule { window: 1, ..rule },
        DeviationRule {
            at_least: 31,
            ..rule
        },
        DeviationRule {
            warning: f64::NAN,
            ..rule
        },
        DeviationRule { high: 2.0, ..rule },
        DeviationRule {
            least_spread: -1.0,
            ..rule
        },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}
