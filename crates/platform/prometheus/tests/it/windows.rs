//! What windows become: growth, resets, gaps, what appears and what vanishes, levels, expressions.

use std::collections::BTreeMap;

use sealwright_core::clock::SECOND;
use sealwright_prometheus::{Kind, State, Take, WindowState};
use serde_json::json;

use crate::support::{T0, staff, tenant, worlds};

const ACME: &[(&str, &str)] = &[("__name__", "requests_total"), ("tenant", "acme")];
const GLOBEX: &[(&str, &str)] = &[("__name__", "requests_total"), ("tenant", "globex")];

#[tokio::test]
async fn growth_counts_from_the_last_sample_before_the_window_and_each_sample_once() {
    for world in worlds().await {
        // A sample at a window's end belongs to it, one at its start to the window before.
        world.fake.put(
            ACME,
            &[
                (-30, "100"),
                (0, "110"),
                (15, "117"),
                (60, "120"),
                (75, "120"),
                (119, "150.5"),
            ],
        );
        let source = world.create(&world.counter("requests")).await;
        let pulled = world.good(&source, 120).await;
        assert_eq!((pulled.windows, pulled.events), (2, 2));
        let data = world.log.data();
        assert_eq!(data[0]["value"].to_string(), "10");
        assert_eq!(data[1]["value"].to_string(), "30.5");
        let about = &data[0]["prometheus"];
        assert_eq!(about["from"], "2026-11-25T12:00:00Z");
        assert_eq!(about["to"], "2026-11-25T12:01:00Z");
        assert_eq!(about["since"], "2026-11-25T12:00:00Z");
        assert_eq!(about["samples"], 2);
        assert_eq!(about["resets"], 0);
        assert_eq!(about["labels"]["tenant"], "acme");
        // The event lies in the window's hour and day, also where the window ends with them.
        let events = world.log.events.lock().unwrap().clone();
        let (key, event) = events.iter().next().unwrap();
        assert_eq!(key.0, world.acme);
        assert_eq!(key.1, format!("/prometheus/{}", source.id));
        assert!(key.2.ends_with(&format!("-{}", T0 + 60)), "{}", key.2);
        assert_eq!(event["time"], "2026-11-25T12:00:59.999Z");
        assert_eq!(event["type"], "acme.requests.v1");
        // Nothing more is due, and asking again changes nothing.
        assert_eq!(world.good(&source, 150).await.windows, 0);
        assert_eq!(world.log.count(), 2);
    }
}

#[tokio::test]
async fn a_reset_counts_from_zero_and_is_said() {
    for world in worlds().await {
        world.fake.put(
            ACME,
            &[(-10, "1000"), (20, "1010"), (40, "3"), (59, "7"), (80, "2")],
        );
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 120).await;
        let data = world.log.data();
        assert_eq!(data[0]["value"].to_string(), "17");
        assert_eq!(data[0]["prometheus"]["resets"], 1);
        assert_eq!(data[1]["value"].to_string(), "2");
        let rows = world.windows(&source).await;
        assert_eq!(rows.iter().map(|r| r.resets).collect::<Vec<_>>(), [1, 1]);
    }
}

#[tokio::test]
async fn what_appears_counts_from_its_first_sample_and_what_vanishes_is_no_zero() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "5"), (30, "6"), (200, "9")]);
        // Nothing of it before: what it had grown to by its first sample belongs to nobody's window.
        world
            .fake
            .put(GLOBEX, &[(70, "400"), (90, "404"), (210, "405")]);
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 240).await;
        let rows = world.windows(&source).await;
        let states: Vec<_> = rows.iter().map(|row| row.state).collect();
        assert_eq!(
            states,
            [
                WindowState::Done,
                WindowState::Done,
                WindowState::Empty,
                WindowState::Done
            ]
        );
        assert_eq!(
            rows.iter().map(|r| r.appeared).collect::<Vec<_>>(),
            [0, 1, 0, 0]
        );
        assert_eq!(
            rows.iter().map(|r| r.vanished).collect::<Vec<_>>(),
            [0, 1, 1, 0]
        );
        assert_eq!(
            rows.iter().map(|r| r.returned).collect::<Vec<_>>(),
            [0, 0, 0, 2]
        );
        // Over the gap the growth is certain, its time is not: the event says from when on it counts.
        let data = world.log.data();
        let values: Vec<_> = data.iter().map(|d| d["value"].to_string()).collect();
        assert_eq!(values.len(), 4, "{data:?}");
        assert_eq!(values[..2], ["1", "4"]);
        let last = data
            .iter()
            .find(|d| d["prometheus"]["labels"]["tenant"] == "acme" && d["value"] == json!(3));
        assert_eq!(last.unwrap()["prometheus"]["since"], "2026-11-25T12:00:30Z");
        assert_eq!(data[1]["prometheus"]["appeared"], true);
        assert_eq!(world.log.sum(Some(world.acme)).to_string(), "4");
        assert_eq!(world.log.sum(Some(world.globex)).to_string(), "5");
        let sums = world.service.totals(&staff(), None).await.unwrap()[&source.id];
        assert_eq!((sums.windows, sums.empty, sums.vanished), (3, 1, 2));
    }
}

#[tokio::test]
async fn a_sample_that_came_late_is_counted_in_the_next_window() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "10"), (30, "20")]);
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 60).await;
        // Of the window that is decided; the growth up to it is in no event yet.
        world.fake.put(ACME, &[(55, "28"), (90, "30")]);
        world.good(&source, 120).await;
        assert_eq!(world.log.sum(None).to_string(), "20");
        let data = world.log.data();
        assert_eq!(data[1]["prometheus"]["since"], "2026-11-25T12:00:30Z");
        assert_eq!(data[1]["prometheus"]["samples"], 1);
    }
}

#[tokio::test]
async fn what_is_no_number_is_unknown_and_never_a_zero() {
    for world in worlds().await {
        world.fake.put(
            ACME,
            &[
                (-10, "10"),
                (20, "NaN"),
                (40, "+Inf"),
                (70, "12"),
                (80, "-4"),
                (90, "13"),
            ],
        );
        world.fake.put(
            GLOBEX,
            &[(-10, "1e300"), (30, "2e300"), (70, "1"), (100, "3")],
        );
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 120).await;
        let rows = world.windows(&source).await;
        assert_eq!(
            (rows[0].events, rows[0].unreadable, rows[0].series),
            (0, 2, 2)
        );
        assert_eq!(rows[0].state, WindowState::Done);
        assert!(
            rows[0].problems[0].contains("is not known"),
            "{:?}",
            rows[0]
        );
        assert_eq!((rows[1].events, rows[1].unreadable), (2, 1));
        assert_eq!(world.log.sum(Some(world.acme)).to_string(), "3");
        assert_eq!(world.log.sum(Some(world.globex)).to_string(), "2");
    }
}

#[tokio::test]
async fn series_of_no_known_tenant_are_said_and_counted_when_it_is_known() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "2")]);
        let new = &[("__name__", "requests_total"), ("tenant", "newcomer")];
        world.fake.put(new, &[(-10, "7"), (30, "12")]);
        world
            .fake
            .put(&[("__name__", "requests_total")], &[(-10, "1"), (30, "3")]);
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 60).await;
        let rows = world.windows(&source).await;
        assert_eq!((rows[0].unassigned, rows[0].events), (2, 1));
        let problems = rows[0].problems.join("\n");
        assert!(
            problems.contains("no tenant is called `newcomer`")
                && problems.contains("no label tenant"),
            "{problems}"
        );
        let newcomer = tenant(&world.store, "newcomer").await;
        world.directory.refresh(&world.store).await.unwrap();
        let id = source.id.to_string();
        let noon = "2026-11-25T12:00:00Z";
        world.service.rewind(&staff(), &id, noon).await.unwrap();
        world.good(&source, 60).await;
        assert_eq!(world.log.count(), 2, "and acme's is there once");
        assert_eq!(world.log.sum(Some(newcomer)).to_string(), "5");
        let rows = world.windows(&source).await;
        assert_eq!((rows.len(), rows[0].events, rows[0].refused), (1, 2, 0));
    }
}

#[tokio::test]
async fn winding_back_counts_nothing_twice_when_the_samples_are_others_now() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "2")]);
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 60).await;
        world.fake.put(ACME, &[(45, "5")]);
        let id = source.id.to_string();
        let noon = "2026-11-25T12:00:00Z";
        world.service.rewind(&staff(), &id, noon).await.unwrap();
        world.good(&source, 60).await;
        let rows = world.windows(&source).await;
        assert_eq!((rows[0].events, rows[0].refused), (0, 1));
        assert!(rows[0].problems[0].contains("another content"), "{rows:?}");
        assert_eq!(world.log.sum(None).to_string(), "1");
        // Not into the future, and not past what was decided.
        for to in ["2026-11-25T12:01:30Z", "2026-11-25T12:05:00Z", "soon"] {
            assert!(
                world.service.rewind(&staff(), &id, to).await.is_err(),
                "{to}"
            );
        }
    }
}

#[tokio::test]
async fn gauges_are_levels_as_they_are_told() {
    for world in worlds().await {
        let sized = [
            ("__name__", "stored_bytes"),
            ("tenant", "acme"),
            ("zone", "eu-west-1"),
        ];
        world.fake.put(
            &sized,
            &[
                (-5, "9"),
                (0, "1"),
                (20, "4000000000"),
                (40, "2000000000"),
                (60, "3000000000"),
            ],
        );
        for (take, wanted) in [
            (Take::Last, "3"),
            (Take::Mean, "3"),
            (Take::Max, "4"),
            (Take::Min, "2"),
        ] {
            let mut new = world.counter(take.as_str());
            new.kind = Kind::Gauge;
            new.take = Some(take);
            new.expression = "stored_bytes{zone!=\"x\"}".to_owned();
            new.event_type = "sealwright.usage.storage.v1".to_owned();
            new.value_field = Some("gb".to_owned());
            new.factor = Some("0.000000001".to_owned());
            new.labels = BTreeMap::from([("region".to_owned(), "zone".to_owned())]);
            new.fixed = BTreeMap::from([("volume".to_owned(), "main".to_owned())]);
            let source = world.create(&new).await;
            world.good(&source, 60).await;
            let data = world.log.data().into_iter().next_back().unwrap();
            assert_eq!(data["gb"].to_string(), wanted, "{take}");
            assert_eq!(
                (&data["region"], &data["volume"]),
                (&json!("eu-west-1"), &json!("main"))
            );
            world.log.events.lock().unwrap().clear();
        }
        // One sample that says nothing leaves the mean unknown, and the last as it is.
        world.fake.put(&sized, &[(70, "NaN"), (110, "5000000000")]);
        for (take, events) in [(Take::Mean, 0), (Take::Last, 1)] {
            let mut new = world.counter(&format!("{take} again"));
            new.kind = Kind::Gauge;
            new.take = Some(take);
            new.expression = "stored_bytes".to_owned();
            new.from = Some("2026-11-25T12:01:00Z".to_owned());
            let source = world.create(&new).await;
            assert_eq!(world.good(&source, 120).await.events, events, "{take}");
        }
    }
}

#[tokio::test]
async fn an_expression_is_asked_for_at_each_windows_end() {
    for world in worlds().await {
        world.fake.put(
            &[("tenant", "acme")],
            &[(10, "0.5"), (59, "0.75"), (90, "2")],
        );
        let mut new = world.counter("expression");
        new.kind = Kind::Expression;
        new.expression = "sum by (tenant) (rate(cpu_seconds_total[1m]))".to_owned();
        let source = world.create(&new).await;
        world.good(&source, 120).await;
        let values: Vec<_> = world
            .log
            .data()
            .iter()
            .map(|d| d["value"].to_string())
            .collect();
        assert_eq!(values, ["0.75", "2"]);
        let got = world.fake.got();
        assert_eq!(got[0].path, "/api/v1/query");
        assert_eq!(got[0].form["query"], new.expression);
        assert_eq!(got[0].form["time"], (T0 + 60).to_string());
    }
}

#[tokio::test]
async fn catching_up_goes_window_by_window_and_what_is_too_old_is_lost() {
    for world in worlds().await {
        let hours = 5 * 3_600;
        let samples: Vec<(i64, String)> = (0..=hours / 60)
            .map(|minute| (minute * 60 - 1, (minute * 2).to_string()))
            .collect();
        let samples: Vec<(i64, &str)> = samples.iter().map(|(at, v)| (*at, v.as_str())).collect();
        world.fake.put(ACME, &samples);
        let mut new = world.counter("requests");
        new.catch_up_seconds = Some(3 * 3_600);
        let source = world.create(&new).await;
        world.good(&source, 600).await;
        assert_eq!(world.log.sum(None).to_string(), "20");
        // Away for hours; the server keeps two.
        *world.fake.served.retention.lock().unwrap() = Some("2h".to_owned());
        world
            .clock
            .set(sealwright_core::UnixMicros((T0 + hours) * SECOND));
        assert_eq!(
            world.now(&source).await.state(world.service.now()),
            State::Behind
        );
        world.good(&source, hours).await;
        let rows = world.windows(&source).await;
        let lost: Vec<_> = rows
            .iter()
            .filter(|r| r.state == WindowState::Lost)
            .collect();
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].start.0, (T0 + 600) * SECOND);
        assert_eq!(lost[0].end.0, (T0 + 3 * 3_600) * SECOND);
        assert!(lost[0].problems[0].starts_with("170 windows"), "{lost:?}");
        assert_eq!(rows.len(), 10 + 1 + 120);
        // A counter knows what it grew by meanwhile: nothing is invented and nothing is left out.
        assert_eq!(world.log.sum(None).to_string(), "600");
        let first = &world.log.data()[10];
        assert_eq!(first["value"].to_string(), (340 + 2).to_string());
        assert_eq!(first["prometheus"]["since"], "2026-11-25T12:09:59Z");
        assert_eq!(
            world.now(&source).await.state(world.service.now()),
            State::Active
        );
    }
}

#[tokio::test]
async fn a_gauge_has_no_event_for_what_is_lost() {
    for world in worlds().await {
        world.fake.put(ACME, &[(30, "5"), (7_170, "8")]);
        let mut new = world.counter("gauge");
        new.kind = Kind::Gauge;
        new.catch_up_seconds = Some(600);
        let source = world.create(&new).await;
        world.good(&source, 60).await;
        world.good(&source, 7_200).await;
        let values: Vec<_> = world
            .log
            .data()
            .iter()
            .map(|d| d["value"].to_string())
            .collect();
        assert_eq!(values, ["5", "8"]);
        let rows = world.windows(&source).await;
        let states: Vec<_> = rows.iter().map(|row| row.state.as_str()).collect();
        assert_eq!(states.iter().filter(|s| **s == "lost").count(), 1);
        assert_eq!(states.iter().filter(|s| **s == "empty").count(), 9);
    }
}

#[tokio::test]
async fn series_that_fell_silent_are_listed_and_forgotten_after_a_week() {
    for world in worlds().await {
        world.fake.put(ACME, &[(10, "1"), (50, "2"), (110, "3")]);
        world.fake.put(GLOBEX, &[(10, "5"), (50, "6")]);
        let mut new = world.counter("requests");
        new.catch_up_seconds = Some(600);
        let source = world.create(&new).await;
        world.good(&source, 120).await;
        let id = source.id.to_string();
        let quiet = world.service.quiet(&staff(), &id, 50).await.unwrap();
        assert_eq!(quiet.len(), 1);
        assert_eq!(quiet[0].labels["tenant"], "globex");
        assert_eq!(quiet[0].value.to_string(), "6");
        assert_eq!(quiet[0].at.0, (T0 + 50) * SECOND);
        let week = 7 * 86_400 + 180;
        world.fake.put(ACME, &[(week - 30, "4"), (week - 10, "5")]);
        world
            .fake
            .put(GLOBEX, &[(week - 30, "100"), (week - 10, "101")]);
        world.good(&source, week).await;
        let rows = world.windows(&source).await;
        assert_eq!(rows.last().unwrap().appeared, 2, "they are new ones");
        assert_eq!(world.log.sum(Some(world.globex)).to_string(), "2");
    }
}
