//! Budgets: thresholds fire once, the request path follows within a second, projections hold.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use sealwright_billing::model::Span;
use sealwright_billing::model::budget::{BudgetTerms, Crossing, Decision, Measure};
use sealwright_billing::service::BillingError;
use sealwright_billing::service::budget::Checked;
use sealwright_core::clock::{DAY, HOUR, SECOND};
use sealwright_core::{Clock as _, TenantId, TenantScope};
use sealwright_events::ReadLimit;
use sealwright_money::Decimal;
use sealwright_store::testing::{both, sqlite};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::office::{Office, at};

const NOW: &str = "2026-11-15T12:00:00Z";

fn queries(limit: &str) -> BudgetTerms {
    BudgetTerms::new(Measure::Meter("database.queries".into()), limit, None)
}

fn november() -> Span {
    Span {
        from: at("2026-11-01T00:00:00Z"),
        to: at("2026-12-01T00:00:00Z"),
    }
}

impl Office {
    async fn set(&self, terms: BudgetTerms) {
        let set = self.budgets.set(self.acme, terms, None, "user:o");
        set.await.unwrap();
    }

    fn check(&self, tenant: TenantId) -> Checked {
        let board = self.budgets.board();
        board.check(tenant, self.clock.now(), |_| Decimal::ZERO)
    }

    async fn crossed(&self) -> Vec<Crossing> {
        let scope = TenantScope::One(self.acme);
        let mut all = self
            .budgets
            .crossings(scope, november(), 100)
            .await
            .unwrap();
        all.reverse();
        all
    }

    async fn words(&self) -> Vec<String> {
        let all = self.crossed().await;
        all.iter()
            .map(|c| format!("{} {}", c.percent, c.kind.name()))
            .collect()
    }

    async fn use_and_look(&self, count: i64) {
        self.queries(self.acme, self.clock.now().plus(-HOUR), count);
        self.meter().await;
        self.watch().round(false).await.unwrap();
    }
}

#[tokio::test]
async fn each_threshold_fires_once_across_restarts_decreases_and_late_events() {
    for store in both().await {
        let mut office = Office::open(store, NOW).await;
        office.set(queries("1000")).await;
        office.watch().round(true).await.unwrap();
        office.use_and_look(799).await;
        assert!(office.words().await.is_empty());
        office.use_and_look(1).await;
        assert_eq!(office.words().await, ["80 alert"]);
        office.use_and_look(160).await;
        assert_eq!(
            office.words().await,
            ["80 alert", "90 alert", "95 throttle"]
        );
        assert_eq!(office.check(office.acme).decision, Decision::Throttle);

        // A larger budget: usage falls to a fifth, then crosses again. Nothing fires twice.
        office.set(queries("4800")).await;
        assert_eq!(office.check(office.acme).decision, Decision::Allow);
        office.restart();
        office.watch().round(true).await.unwrap();
        office.use_and_look(3_700).await;
        assert_eq!(
            office.words().await,
            ["80 alert", "90 alert", "95 throttle"]
        );

        // A late event of this month counts, and a new process fires what is new only.
        office.restart();
        office.queries(office.acme, at("2026-11-02T00:00:00Z"), 1_000);
        office.meter().await;
        office.watch().round(true).await.unwrap();
        let all = [
            "80 alert",
            "90 alert",
            "95 throttle",
            "100 alert",
            "105 stop",
        ];
        assert_eq!(office.words().await, all);
        assert_eq!(office.check(office.acme).decision, Decision::Stop);

        // Last month's late events are not this month's usage.
        office.queries(office.acme, at("2026-10-31T23:59:59Z"), 1_000_000);
        office.use_and_look(1).await;
        let crossings = office.crossed().await;
        assert_eq!(crossings.len(), 5);
        for crossing in &crossings {
            assert!(crossing.ledger_entry.is_some(), "{crossing:?}");
        }
        let filter = sealwright_ledger::EntryFilter {
            action: Some("billing.budget.cross".to_owned()),
            ..sealwright_ledger::EntryFilter::default()
        };
        let scope = TenantScope::One(office.acme);
        let entries = office.ledger.entries(scope, &filter, 100).await;
        let recorded = entries.unwrap().len();
        assert_eq!(recorded, 5, "{}", office.store.name);
        // People are told of each once, the worse the more urgently, as one incident that grows.
        let month = "of the budget of database.queries for 2026-11 is used";
        let told = [(1, 80), (1, 90), (2, 95), (2, 100), (3, 105)]
            .map(|(rank, percent)| format!("billing.budget {rank} trigger: {percent} % {month}"));
        assert_eq!(office.told().await, told, "{}", office.store.name);
    }
}

#[tokio::test]
async fn two_processes_that_evaluate_at_once_fire_each_threshold_once() {
    for store in both().await {
        let mut office = Office::open(store, NOW).await;
        office.set(queries("10")).await;
        office.queries(office.acme, office.clock.now(), 100);
        office.meter().await;
        let first = office.budgets.clone();
        office.restart();
        let second = office.budgets.clone();
        let scope = TenantScope::All;
        let (a, b) = tokio::join!(first.stand(scope), second.stand(scope));
        // One of them may be told to come again; it must not have fired twice.
        assert!(a.is_ok() || b.is_ok());
        first.stand(scope).await.unwrap();
        assert_eq!(office.crossed().await.len(), 5, "{}", office.store.name);
    }
}

#[tokio::test]
async fn a_hard_stop_comes_within_a_second_of_the_event_that_crosses_it() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        office.set(queries("1000000")).await;
        let stop = CancellationToken::new();
        let consuming = tokio::spawn(sealwright_events::run(
            office.log.clone(),
            office.metering.clone(),
            ReadLimit::default(),
            stop.clone(),
        ));
        let watching = tokio::spawn(office.watch().run(stop.clone()));
        let mut slowest = Duration::ZERO;
        for round in 0..6_i64 {
            // A new budget each round, so that each has its own crossing; usage in between goes on.
            let limit = 1_000_000 + round * 1_000_000;
            office.set(queries(&limit.to_string())).await;
            while office.check(office.acme).decision != Decision::Allow
                || !office.check(office.acme).known
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for _ in 0..50 {
                office.queries(office.hooli, office.clock.now(), 1);
            }
            let appended = Instant::now();
            office.queries(office.acme, office.clock.now(), 1_000_000 + 60_000);
            while office.check(office.acme).decision != Decision::Stop {
                assert!(appended.elapsed() < Duration::from_secs(10), "no stop");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            slowest = slowest.max(appended.elapsed());
        }
        eprintln!("{}: slowest stop after {slowest:?}", office.store.name);
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        stop.cancel();
        consuming.await.unwrap();
        watching.await.unwrap();
    }
}

#[tokio::test]
async fn money_is_what_the_price_book_makes_of_the_usage() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        office
            .set(BudgetTerms::new(Measure::Amount, "48", Some("USD")))
            .await;
        // 1,000 hours at 0.048 are 48.00.
        let hours = |hours: &str| {
            let data = json!({ "hours": hours.parse::<f64>().unwrap(), "region": "eu-west-1" });
            office.append(office.acme, office.clock.now(), "compute", data);
        };
        hours("999");
        office.meter().await;
        office.watch().round(true).await.unwrap();
        let checked = office.check(office.acme);
        let first = &checked.budgets[0];
        assert_eq!(first.used.unwrap().to_string(), "47.95");
        assert_eq!(
            (checked.decision, checked.known),
            (Decision::Throttle, true)
        );
        // What the request itself would use counts, too.
        let now = office.clock.now();
        let more = office
            .budgets
            .board()
            .check(office.acme, now, |_| "2.45".parse().unwrap());
        assert_eq!(more.decision, Decision::Stop);
        hours("1");
        office.meter().await;
        office.watch().round(false).await.unwrap();
        assert!(office.words().await.contains(&"100 alert".to_owned()));
    }
}

#[tokio::test]
async fn unknown_is_said_and_answered_by_policy() {
    let office = Office::open(sqlite().await, NOW).await;
    let before = office.check(office.acme);
    assert_eq!((before.known, before.decision), (false, Decision::Allow));
    let closed = BudgetTerms {
        when_unknown: Decision::Stop,
        ..queries("1000")
    };
    office.set(closed).await;
    let mut watch = office.watch();
    watch.round(true).await.unwrap();
    let known = office.check(office.acme);
    assert_eq!((known.known, known.decision), (true, Decision::Allow));

    // Events wait in the log: what was counted until now is still the present for ten seconds.
    office.queries(office.acme, office.clock.now(), 1);
    office.clock.advance(5 * SECOND);
    watch.round(false).await.unwrap();
    assert!(office.check(office.acme).known);
    office.clock.advance(6 * SECOND);
    watch.round(false).await.unwrap();
    let stale = office.check(office.acme);
    assert_eq!((stale.known, stale.decision), (false, Decision::Stop));
    assert!(stale.why.unwrap().contains("may not be counted"));
    office.meter().await;
    watch.round(false).await.unwrap();
    assert!(office.check(office.acme).known);

    // A new month is unknown until it was added up.
    office.clock.set(at("2026-12-01T00:00:01Z"));
    let turned = office.check(office.acme);
    assert!(!turned.known);
    watch.round(false).await.unwrap();
    let december = office.check(office.acme);
    assert!(december.known);
    assert_eq!(december.budgets[0].used, Some(Decimal::ZERO));

    // A budget in another currency than the price book cannot be compared.
    office
        .set(BudgetTerms::new(Measure::Amount, "10", Some("EUR")))
        .await;
    let other = office.check(office.acme);
    assert!(!other.known && other.why.unwrap().contains("EUR"));
    // A level that was never stated is not zero.
    office
        .set(BudgetTerms::new(
            Measure::Meter("storage.gb".into()),
            "10",
            None,
        ))
        .await;
    let standings = office.budgets.board().standings(office.acme);
    let level = standings.iter().find(|s| s.unit == "GB").unwrap();
    assert!(level.used.is_err());
    // Somebody without a budget may go on, and that is known.
    let free = office.check(office.hooli);
    assert_eq!((free.known, free.decision), (true, Decision::Allow));
}

#[tokio::test]
async fn terms_are_checked_and_change_once_for_each_revision() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        let set = |terms: BudgetTerms, revision| {
            office.budgets.set(office.acme, terms, revision, "user:o")
        };
        let first = set(queries("5"), Some(0)).await.unwrap();
        assert_eq!(first.revision, 1);
        assert_eq!(set(queries("5"), None).await.unwrap().revision, 1);
        assert!(matches!(
            set(queries("6"), Some(0)).await,
            Err(BillingError::Stale { .. })
        ));
        let changed = set(queries("6"), Some(1)).await.unwrap();
        assert_eq!((changed.id, changed.revision), (first.id, 2));
        let meter = BudgetTerms::new(Measure::Meter("no.meter".into()), "1", None);
        assert!(matches!(
            set(meter, None).await,
            Err(BillingError::NotFound(_))
        ));
        assert!(matches!(
            set(queries("-1"), None).await,
            Err(BillingError::Invalid(_))
        ));
        let measure = changed.terms.measure.clone();
        let remove = |revision| {
            office
                .budgets
                .remove(office.acme, &measure, revision, "user:o")
        };
        assert!(remove(Some(1)).await.is_err());
        remove(Some(2)).await.unwrap();
        assert!(remove(None).await.is_err());
        assert!(
            office
                .budgets
                .list(TenantScope::All)
                .await
                .unwrap()
                .is_empty()
        );
        let others = office.budgets.list(TenantScope::One(office.hooli)).await;
        assert!(others.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_projection_ends_where_the_month_does() {
    for store in both().await {
        let office = Office::open(store, NOW).await;
        // Nine weeks with quiet weekends; November's sum is known in advance.
        let day_queries = |day: i64| {
            let number = at("2026-11-15T00:00:00Z").plus(day * DAY).0 / DAY;
            if matches!(number % 7, 2 | 3) {
                1_000
            } else {
                5_000
            }
        };
        for day in -63..0 {
            let time = at(NOW).floor_day().plus(day * DAY + 9 * HOUR);
            office.queries(
                office.acme,
                time,
                day_queries(day) + (day * 37).rem_euclid(100),
            );
        }
        office.queries(office.acme, at(NOW).plus(-HOUR), 2_000);
        office.meter().await;
        office.set(queries("150000")).await;
        let budgets = office
            .budgets
            .list(TenantScope::One(office.acme))
            .await
            .unwrap();
        let projection = office.budgets.project(&budgets[0]).await.unwrap();
        let truth: i64 = (-14..16).map(|day| day_queries(day) + 50).sum();
        let end = projection.end().unwrap();
        assert_eq!(projection.days.len(), 16);
        let truth = Decimal::from(truth);
        assert!(end.low <= truth && truth <= end.high, "{end:?} {truth}");
        let off = ((end.point - truth) / truth).abs();
        assert!(off < "0.03".parse().unwrap(), "{end:?} {truth}");
        for (day, next) in projection.days.iter().zip(&projection.days[1..]) {
            assert!(
                day.low <= next.low && day.point <= next.point,
                "{day:?} {next:?}"
            );
        }
        // In money the same days are rated: tiers and packages take effect.
        let money = BudgetTerms::new(Measure::Amount, "1.00", Some("USD"));
        office.set(money).await;
        let budgets = office
            .budgets
            .list(TenantScope::One(office.acme))
            .await
            .unwrap();
        let money = budgets
            .iter()
            .find(|b| b.terms.measure == Measure::Amount)
            .unwrap();
        let projection = office.budgets.project(money).await.unwrap();
        let end = projection.end().unwrap();
        assert!(end.low >= projection.used, "{end:?}");
        // 100,000 queries are included, each begun 10,000 beyond cost 0.05.
        let expected: Decimal = "0.05".parse().unwrap();
        assert!((end.point - expected).abs() <= expected, "{end:?}");
        // Nothing is said of a tenant with three days of usage.
        for day in 0..3 {
            office.queries(office.hooli, at(NOW).plus(-day * DAY), 10);
        }
        office.meter().await;
        let set = office
            .budgets
            .set(office.hooli, queries("100"), None, "user:o");
        let theirs = set.await.unwrap();
        let unknown = office.budgets.project(&theirs).await;
        assert!(
            matches!(unknown, Err(BillingError::NotReady(_))),
            "{unknown:?}"
        );
    }
}

#[test]
fn thresholds_of_any_order_of_events_are_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 6,
        ..ProptestConfig::default()
    };
    proptest!(config, |(counts in proptest::collection::vec(1_i64..300, 1..8), cut in 0_usize..8)| {
        let total: i64 = counts.iter().sum();
        let fired: Vec<u32> = runtime.block_on(async {
            let mut office = Office::open(sqlite().await, NOW).await;
            office.set(queries("1000")).await;
            for (index, count) in counts.iter().enumerate() {
                if index == cut {
                    office.restart();
                }
                office.use_and_look(*count).await;
            }
            office.watch().round(true).await.unwrap();
            office.crossed().await.iter().map(|c| c.percent).collect()
        });
        let due: Vec<u32> = [80, 90, 95, 100, 105]
            .into_iter()
            .filter(|percent| total * 100 >= i64::from(*percent) * 1000)
            .collect();
        prop_assert_eq!(fired, due);
    });
}
