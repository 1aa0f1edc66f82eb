//! Anomalies: found, explained, kept once, looked at.

use sealwright_billing::model::anomaly::{Anomaly, AnomalySettings, AnomalyState, DetectorName};
use sealwright_billing::service::BillingError;
use sealwright_billing::service::anomaly::{AnomalyFilter, Evaluated};
use sealwright_core::TenantScope;
use sealwright_core::clock::{DAY, HOUR};
use sealwright_forecast::{DeviationRule, Severity};
use sealwright_store::testing::{both, sqlite};

use crate::office::{Office, at};

const NOW: &str = "2026-11-15T12:20:00Z";

impl Office {
    async fn look(&self) -> Evaluated {
        let evaluated = self.anomalies.evaluate(TenantScope::All, "job:t").await;
        evaluated.unwrap()
    }

    async fn found(&self, scope: TenantScope) -> Vec<Anomaly> {
        let filter = AnomalyFilter {
            limit: 100,
            ..AnomalyFilter::default()
        };
        self.anomalies.list(scope, &filter).await.unwrap()
    }

    /// So many days up to yesterday of about 10,000 queries.
    fn ordinary(&self, days: i64) {
        for day in 1..=days {
            let time = at(NOW).floor_day().plus(9 * HOUR - day * DAY);
            self.queries(self.acme, time, 10_000 + (day * 71).rem_euclid(200));
        }
    }
}

#[tokio::test]
async fn a_day_out_of_the_ordinary_is_found_once_and_says_why() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        office.ordinary(40);
        let yesterday = at("2026-11-14T00:00:00Z");
        office.queries(office.acme, yesterday.plus(20 * HOUR), 5_000);
        office.meter().await;
        let only = AnomalySettings {
            seasonal: false,
            ..AnomalySettings::default()
        };
        let set = office.anomalies.set_settings(office.acme, only, "user:o");
        set.await.unwrap();
        assert_eq!(office.look().await.found, 1, "{}", office.store.name);
        assert_eq!(
            office.look().await,
            Evaluated {
                tenants: 2,
                series: 1,
                ..Evaluated::default()
            }
        );
        let all = office.found(TenantScope::One(office.acme)).await;
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.at, one.severity), (yesterday, Severity::Critical));
        assert_eq!(one.detector, DetectorName::DeviationRule);
        assert_eq!(one.body.history.len(), 30);
        assert!(one.body.value.starts_with("15"), "{}", one.body.value);
        assert!(one.body.low < one.body.expected && one.body.expected < one.body.high);
        for part in [
            "30 known days of the 30",
            "deviations above the mean",
            "critical begins at 4",
        ] {
            assert!(one.body.why.contains(part), "{}", one.body.why);
        }
        assert!(one.ledger_entry.is_some());

        // Another tenant does not see it, a person decides once for each revision.
        assert!(
            office
                .found(TenantScope::One(office.hooli))
                .await
                .is_empty()
        );
        let theirs = TenantScope::One(office.hooli);
        assert!(matches!(
            office.anomalies.find(theirs, one.id).await,
            Err(BillingError::NotFound(_))
        ));
        let decide = |revision, state, note| {
            let scope = TenantScope::One(office.acme);
            office
                .anomalies
                .decide(scope, one.id, Some(revision), state, note, "user:o")
        };
        let known = decide(1, AnomalyState::Acknowledged, "a load test")
            .await
            .unwrap();
        assert_eq!(
            (known.revision, known.body.note.as_deref()),
            (2, Some("a load test"))
        );
        assert!(matches!(
            decide(1, AnomalyState::Dismissed, "").await,
            Err(BillingError::Stale { .. })
        ));
        // What somebody looked at is not opened again by the next evaluation.
        office.queries(office.acme, yesterday.plus(21 * HOUR), 500);
        office.meter().await;
        assert_eq!(office.look().await.found, 0);
        assert_eq!(
            office.anomalies.count_open(TenantScope::All).await.unwrap(),
            0
        );
        // People are told when it is found, and what was decided about it.
        let usage = format!(
            "usage of database.queries on {}",
            &yesterday.to_string()[..10]
        );
        let told = [
            format!("billing.anomaly 3 trigger: unusual {usage}"),
            format!("billing.anomaly 3 acknowledge: acknowledged: unusual {usage}"),
        ];
        assert_eq!(office.told().await, told, "{}", office.store.name);
    }
}

#[tokio::test]
async fn late_usage_makes_a_low_day_ordinary_again() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        for day in 1..=40 {
            let time = at(NOW).floor_day().plus(9 * HOUR - day * DAY);
            let count = if day == 2 {
                3_000
            } else {
                10_000 + (day * 71).rem_euclid(200)
            };
            office.queries(office.acme, time, count);
        }
        office.meter().await;
        assert!(office.look().await.found >= 1);
        let low = office.found(TenantScope::All).await;
        let low = low
            .iter()
            .find(|a| a.at == at("2026-11-13T00:00:00Z"))
            .unwrap();
        assert!(low.body.why.contains("below the mean"), "{}", low.body.why);
        office.queries(office.acme, at("2026-11-13T23:00:00Z"), 7_050);
        office.meter().await;
        assert!(office.look().await.dismissed >= 1);
        let after = office
            .anomalies
            .find(TenantScope::All, low.id)
            .await
            .unwrap();
        assert_eq!(after.state, AnomalyState::Dismissed);
        assert!(after.body.note.unwrap().contains("late"));
    }
}

#[tokio::test]
async fn silence_is_not_a_drop_and_a_week_is_needed() {
    let office = Office::open(sqlite().await, NOW).await;
    office.ordinary(6);
    office.queries(office.acme, at(NOW).plus(-DAY), 1_000_000);
    office.meter().await;
    assert_eq!(office.look().await.found, 0);

    let office = Office::open(sqlite().await, NOW).await;
    for day in 4..=40 {
        let time = at(NOW).floor_day().plus(9 * HOUR - day * DAY);
        office.queries(office.acme, time, 10_000 + (day * 71).rem_euclid(200));
    }
    office.meter().await;
    // Three days without any event: the source is silent, which is not known to be a zero.
    assert_eq!(office.look().await.found, 0);
    // With other usage on these days the zeros are real.
    for day in 1..=3 {
        let data = serde_json::json!({ "hours": 1, "region": "eu-west-1" });
        let time = at(NOW).floor_day().plus(9 * HOUR - day * DAY);
        office.append(office.acme, time, "compute", data);
    }
    office.meter().await;
    assert!(office.look().await.found >= 1);
}

#[tokio::test]
async fn a_day_that_is_not_over_is_told_when_it_is_too_high_already() {
    let office = Office::open(sqlite().await, NOW).await;
    let only = AnomalySettings {
        seasonal: false,
        ..AnomalySettings::default()
    };
    let set = office.anomalies.set_settings(office.acme, only, "user:o");
    set.await.unwrap();
    office.ordinary(35);
    office.queries(office.acme, at(NOW).plus(-HOUR), 2_000);
    office.meter().await;
    assert_eq!(office.look().await.found, 0);
    office.queries(office.acme, at(NOW).plus(-HOUR), 20_000);
    office.meter().await;
    assert_eq!(office.look().await.found, 1);
    let one = office.found(TenantScope::All).await.remove(0);
    assert!(one.body.partial && one.body.why.starts_with("The day is not over"));
    office.queries(office.acme, at(NOW).plus(-HOUR), 20_000);
    office.meter().await;
    assert_eq!(office.look().await.updated, 1);
    let more = office
        .anomalies
        .find(TenantScope::All, one.id)
        .await
        .unwrap();
    assert_eq!(more.body.value, "42000");
}

#[tokio::test]
async fn a_busy_hour_of_the_night_is_found_by_the_hours_of_the_week() {
    let office = Office::open(sqlite().await, NOW).await;
    let night = at("2026-11-15T03:00:00Z");
    for hour in 0..24 * 60 {
        let time = at(NOW).floor_hour().plus(-(hour + 1) * HOUR);
        let of_day = (time.0 / HOUR).rem_euclid(24);
        let usual = if (8..20).contains(&of_day) {
            5_000
        } else {
            200
        };
        let count = if time == night {
            4_800
        } else {
            usual + (hour * 37).rem_euclid(60)
        };
        office.queries(office.acme, time.plus(HOUR / 2), count);
    }
    office.meter().await;
    assert!(office.look().await.found >= 1);
    let all = office.found(TenantScope::All).await;
    let one = all
        .iter()
        .find(|a| a.detector == DetectorName::Seasonal)
        .unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!(one.at, night);
    assert!(
        one.body.why.contains("usual at this hour of the week"),
        "{}",
        one.body.why
    );
    assert!(one.body.history.len() > 300);
    // The sum of that day is within what days are.
    assert!(
        all.iter().all(|a| a.detector == DetectorName::Seasonal),
        "{all:?}"
    );
}

#[tokio::test]
async fn settings_are_a_tenants_own() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        let own = AnomalySettings {
            rule: DeviationRule {
                warning: 50.0,
                high: 60.0,
                critical: 1.0,
                ..DeviationRule::default()
            },
            ..AnomalySettings::default()
        };
        let bad = office
            .anomalies
            .set_settings(office.acme, own, "user:o")
            .await;
        assert!(matches!(bad, Err(BillingError::Invalid(_))), "{bad:?}");
        let off = AnomalySettings {
            enabled: false,
            ..AnomalySettings::default()
        };
        office
            .anomalies
            .set_settings(office.acme, off, "user:o")
            .await
            .unwrap();
        office.ordinary(40);
        office.queries(office.acme, at(NOW).plus(-DAY), 1_000_000);
        office.meter().await;
        assert_eq!(office.look().await.found, 0);
        assert_eq!(office.anomalies.settings(office.acme).await.unwrap(), off);
        let other = office.anomalies.settings(office.hooli).await.unwrap();
        assert_eq!(other, AnomalySettings::default());
    }
}
