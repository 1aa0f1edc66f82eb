//! The streaming detector: its budget, its seasons, its reading of gaps.

use sealwright_forecast::{Cadence, Detector, DetectorConfig, LARGEST_SEASON, Severity};

/// A small generator with a fixed seed, so that each run sees the same noise.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    pub(crate) fn gauss(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Student's t with three degrees of freedom: no finite fourth moment.
    fn heavy(&mut self) -> f64 {
        let chi: f64 = (0..3).map(|_| self.gauss().powi(2)).sum();
        self.gauss() / (chi / 3.0).sqrt()
    }
}

fn daily(slot: i64, per_day: i64) -> f64 {
    (std::f64::consts::TAU * slot.rem_euclid(per_day) as f64 / per_day as f64).sin()
}

/// Alarms a month over ten years of a stationary series, warm-up and first month left out.
fn alarms_a_month(
    cadence: Cadence,
    budget: f64,
    mut next: impl FnMut(i64, &mut Noise) -> f64,
) -> f64 {
    let config = DetectorConfig {
        cadence,
        false_alarms_a_month: budget,
    };
    let mut detector = Detector::new(config).unwrap();
    let mut noise = Noise(7);
    let months = 120;
    let month = i64::from(cadence.per_day) * 30;
    let mut alarms = 0;
    for slot in 0..month * months {
        let value = next(slot, &mut noise);
        let finding = detector.observe(slot, value).unwrap();
        if finding.severity.is_some() && slot >= month {
            alarms += 1;
        }
    }
    f64::from(alarms) / (months - 1) as f64
}

#[test]
fn false_alarms_stay_within_the_budget() {
    let mut level = 0.0;
    let hourly = Cadence::HOURLY;
    let plain = |_: i64, noise: &mut Noise| 50.0 + noise.gauss();
    let seasonal =
        |slot: i64, noise: &mut Noise| 100.0 + 30.0 * daily(slot, 24) + 3.0 * noise.gauss();
    let heavy = |_: i64, noise: &mut Noise| 50.0 + noise.heavy();
    let skewed = |_: i64, noise: &mut Noise| (0.8 * noise.gauss()).exp();
    let dependent = move |_: i64, noise: &mut Noise| {
        level = 0.7 * level + noise.gauss();
        50.0 + level
    };
    let minutes = Cadence {
        per_day: 288,
        season: 288,
    };
    for budget in [0.5, 1.0, 4.0] {
        let measured = [
            ("gaussian", alarms_a_month(hourly, budget, plain)),
            ("seasonal", alarms_a_month(hourly, budget, seasonal)),
            ("heavy tails", alarms_a_month(hourly, budget, heavy)),
            ("skewed", alarms_a_month(hourly, budget, skewed)),
            ("dependent", alarms_a_month(hourly, budget, dependent)),
        ];
        for (name, alarms) in measured {
            eprintln!("budget {budget}: {name} {alarms:.2} a month");
            assert!(alarms <= 1.3 * budget + 0.1, "{name}: {alarms} of {budget}");
            // A detector that never alarms would keep every budget.
            assert!(alarms > 0.05 * budget, "{name}: {alarms} of {budget}");
        }
    }
    let alarms = alarms_a_month(minutes, 1.0, plain);
    eprintln!("five minutes: {alarms:.2} a month");
    assert!(alarms <= 1.4, "{alarms}");
}

fn hourly_shop(slot: i64, noise: &mut Noise) -> f64 {
    let weekend = if slot.rem_euclid(168) >= 120 {
        0.3
    } else {
        1.0
    };
    weekend * (100.0 + 60.0 * daily(slot, 24)) + 2.0 * noise.gauss()
}

#[test]
fn a_busy_hour_at_night_is_found_by_its_season_only() {
    let mut seasonal = Detector::new(DetectorConfig::new(Cadence::HOURLY)).unwrap();
    let mut plain = Detector::new(DetectorConfig::new(Cadence {
        per_day: 24,
        season: 0,
    }))
    .unwrap();
    let mut noise = Noise(3);
    for slot in 0..168 * 8 {
        let value = hourly_shop(slot, &mut noise);
        seasonal.observe(slot, value).unwrap();
        plain.observe(slot, value).unwrap();
    }
    assert!(seasonal.seasonal());
    // Monday, the quietest hour of the day, with a load that noon has every day.
    let slot = 168 * 8 + 18;
    let found = seasonal.observe(slot, 100.0).unwrap();
    assert!(
        found.seasonal && found.severity >= Some(Severity::High),
        "{found:?}"
    );
    assert!(found.high.unwrap() < 70.0, "{found:?}");
    assert_eq!(plain.observe(slot, 100.0).unwrap().severity, None);
}

#[test]
fn a_gap_is_not_a_drop_to_zero() {
    let mut detector = Detector::new(DetectorConfig::new(Cadence::HOURLY)).unwrap();
    let mut noise = Noise(5);
    for slot in 0..168 * 7 {
        detector
            .observe(slot, hourly_shop(slot, &mut noise))
            .unwrap();
    }
    let before = detector.clone();
    // Three days without any value, then as always at that hour of the week.
    let slot = 168 * 7 + 72 + 12;
    let after = detector
        .observe(slot, hourly_shop(slot, &mut noise))
        .unwrap();
    assert_eq!(after.severity, None, "{after:?}");
    let mut zero = before;
    let slot = 168 * 7 + 8;
    let found = zero.observe(slot, 0.0).unwrap();
    assert!(
        found.severity.is_some(),
        "a zero that was measured is a drop: {found:?}"
    );
}

#[test]
fn an_incident_is_one_alarm() {
    let mut detector = Detector::new(DetectorConfig::new(Cadence::HOURLY)).unwrap();
    let mut noise = Noise(11);
    for slot in 0..720 {
        detector.observe(slot, 50.0 + noise.gauss()).unwrap();
    }
    let alarms = (720..732)
        .filter(|slot| {
            let finding = detector.observe(*slot, 90.0 + noise.gauss()).unwrap();
            finding.severity.is_some()
        })
        .count();
    assert!((1..=3).contains(&alarms), "{alarms}");
}

#[test]
fn the_bounds_are_where_alarms_begin() {
    let mut detector = Detector::new(DetectorConfig::new(Cadence::HOURLY)).unwrap();
    let mut noise = Noise(13);
    for slot in 0..1500 {
        detector.observe(slot, 50.0 + noise.gauss()).unwrap();
    }
    let bounds = detector.clone().observe(1500, 50.0).unwrap();
    let (low, high) = (bounds.low.unwrap(), bounds.high.unwrap());
    for (value, alarm) in [
        (high + 0.01, true),
        (high - 0.01, false),
        (low - 0.01, true),
        (low + 0.01, false),
    ] {
        let finding = detector.clone().observe(1500, value).unwrap();
        let above = finding.surprise.unwrap() >= detector.config().threshold();
        assert_eq!(above, alarm, "{value} of {low} to {high}");
    }
}

#[test]
fn the_state_stays_small() {
    let config = DetectorConfig::new(Cadence {
        per_day: 288,
        season: LARGEST_SEASON,
    });
    let mut detector = Detector::new(config).unwrap();
    let mut noise = Noise(17);
    let mut most = 0;
    for slot in 0..20_000 {
        detector.observe(slot, noise.gauss()).unwrap();
        if slot % 1000 == 0 {
            most = most.max(postcard::to_stdvec(&detector).unwrap().len());
        }
    }
    assert!(most < 30_000, "{most}");
    assert!(
        Detector::new(DetectorConfig::new(Cadence {
            per_day: 288,
            season: LARGEST_SEASON + 1
        }))
        .is_err()
    );
}
