//! Between the two transactions of a window: crashes, restarts, two at once.

use std::sync::Arc;

use sealwright_core::UnixMicros;
use sealwright_prometheus::{Limits, Puller, State, WindowState};
use sealwright_store::sql;

use crate::support::{Fault, Say, T0, World, service, staff, worlds};

const ACME: &[(&str, &str)] = &[("__name__", "requests_total"), ("tenant", "acme")];
const GLOBEX: &[(&str, &str)] = &[("__name__", "requests_total"), ("tenant", "globex")];

/// As a process would be that was started anew on the same state.
fn restarted(world: &World) -> Puller {
    let service = service(
        &world.store,
        &world.clock,
        &world.directory,
        "loopback",
        Limits::default(),
    );
    Puller::new(service, Arc::clone(&world.log) as _)
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_repeated_and_counts_once() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11"), (90, "21")]);
        world.fake.put(GLOBEX, &[(-10, "1"), (30, "2"), (90, "4")]);
        let source = world.create(&world.counter("requests")).await;
        for (at, fault) in [(40, Fault::After), (41, Fault::Before), (42, Fault::After)] {
            world.log.next.lock().unwrap().push_back(fault);
            let pulled = world.pull_at(&source, 120).await;
            assert!(
                pulled.error.unwrap().contains("the log is away"),
                "{fault:?}"
            );
            let rows = world.windows(&source).await;
            assert_eq!(rows.last().unwrap().state, WindowState::Taken);
            assert_eq!(world.now(&source).await.done_through.0, T0 * 1_000_000);
            // What is sent again was made once, whatever the server says by now.
            world.fake.put(ACME, &[(at, "12")]);
        }
        let puller = restarted(&world);
        let pulled = puller.pull(source.id, u32::MAX, &|| true).await.unwrap();
        assert_eq!((pulled.error, pulled.windows), (None, 2));
        let rows = world.windows(&source).await;
        assert_eq!(rows[0].refused + rows[1].refused, 0, "{rows:?}");
        assert_eq!(world.log.sum(Some(world.acme)).to_string(), "20");
        assert_eq!(world.log.sum(Some(world.globex)).to_string(), "3");
        assert_eq!(world.log.count(), 4);
    }
}

#[tokio::test]
async fn the_batch_goes_when_it_is_in_the_log() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 60).await;
        let rows = world
            .store
            .fetch_all(sql("SELECT batch FROM prometheus_window"))
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].opt_text("batch").unwrap(), None);
    }
}

#[tokio::test]
async fn many_processes_count_each_window_once() {
    for world in worlds().await {
        for number in 0..20 {
            let name = number.to_string();
            let labels = [
                ("__name__", "requests_total"),
                ("pod", &name),
                ("tenant", "acme"),
            ];
            let samples: Vec<(i64, String)> = (0..=30)
                .map(|n| (n * 20 - 10, (n * 3).to_string()))
                .collect();
            let samples: Vec<(i64, &str)> =
                samples.iter().map(|(at, v)| (*at, v.as_str())).collect();
            world.fake.put(&labels, &samples);
        }
        let source = world.create(&world.counter("requests")).await;
        world.clock.set(UnixMicros((T0 + 600) * 1_000_000));
        let pulls = (0..6).map(|_| {
            let puller = restarted(&world);
            let id = source.id;
            tokio::spawn(async move { puller.pull(id, u32::MAX, &|| true).await.unwrap() })
        });
        let pulls: Vec<_> = pulls.collect();
        let mut decided = 0;
        for pull in pulls {
            let pulled = pull.await.unwrap();
            assert_eq!(pulled.error, None);
            decided += pulled.windows;
        }
        world.good(&source, 600).await;
        let rows = world.windows(&source).await;
        assert_eq!(rows.len(), 10);
        assert!(decided <= 10, "{decided}");
        assert!(
            rows.iter()
                .all(|row| row.state == WindowState::Done && row.refused == 0)
        );
        assert_eq!(world.log.count(), 200);
        // From the sample at -10 to the last one at 590.
        assert_eq!(world.log.sum(None).to_string(), (20 * 30 * 3).to_string());
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_said_and_caught_up_with() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11"), (500, "31")]);
        let source = world.create(&world.counter("requests")).await;
        let away = || Say::With(503, Vec::new(), "starting".to_owned());
        world.fake.say([away(), away()]);
        for (second, failures) in [(60, 1), (120, 2)] {
            let pulled = world.pull_at(&source, second).await;
            assert!(pulled.error.unwrap().contains("503"));
            let now = world.now(&source).await;
            assert_eq!(now.failures, failures);
            assert_eq!(now.state(world.service.now()), State::Failing);
            assert_eq!(now.failing_since.unwrap().0, (T0 + 60) * 1_000_000);
            assert!(now.next_try_at > world.service.now(), "it pauses");
        }
        world.good(&source, 540).await;
        let now = world.now(&source).await;
        assert_eq!((now.failures, now.failing_since), (0, None));
        assert_eq!(now.state(world.service.now()), State::Active);
        assert!(
            now.last_error.unwrap().contains("503"),
            "what was stays to be read"
        );
        assert_eq!(world.log.sum(None).to_string(), "30");
        let states: Vec<_> = world
            .windows(&source)
            .await
            .iter()
            .map(|r| r.state.as_str())
            .collect();
        assert_eq!(states[0], "done");
        assert_eq!(states[1..8], ["empty"; 7]);
        assert_eq!(states[8], "done");
    }
}

#[tokio::test]
async fn a_refused_event_does_not_hold_up_the_others() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        world.fake.put(GLOBEX, &[(-10, "1"), (30, "2")]);
        let more = [
            ("__name__", "requests_total"),
            ("tenant", "acme"),
            ("zone", "moon"),
        ];
        world.fake.put(&more, &[(-10, "1"), (30, "6")]);
        *world.log.refuse.lock().unwrap() = Some("moon".to_owned());
        let source = world.create(&world.counter("requests")).await;
        world.good(&source, 60).await;
        let rows = world.windows(&source).await;
        assert_eq!((rows[0].events, rows[0].refused), (2, 1));
        assert_eq!(rows[0].problems, ["an event was refused: no moon here"]);
        // When the reason is gone, it is counted by winding back.
        *world.log.refuse.lock().unwrap() = None;
        let id = source.id.to_string();
        let noon = "2026-11-25T12:00:00Z";
        world.service.rewind(&staff(), &id, noon).await.unwrap();
        world.good(&source, 60).await;
        assert_eq!(world.log.sum(None).to_string(), "16");
    }
}

#[tokio::test]
async fn a_source_that_is_deleted_or_wound_back_meanwhile_is_left_alone() {
    for world in worlds().await {
        world.fake.put(ACME, &[(-10, "1"), (30, "11")]);
        let source = world.create(&world.counter("requests")).await;
        world.log.next.lock().unwrap().push_back(Fault::Before);
        assert!(world.pull_at(&source, 60).await.error.is_some());
        let id = source.id.to_string();
        // What was made and not sent goes with the winding back; it is made again.
        let noon = "2026-11-25T12:00:00Z";
        world.service.rewind(&staff(), &id, noon).await.unwrap();
        assert_eq!(world.windows(&source).await.len(), 0);
        world.good(&source, 60).await;
        assert_eq!(world.log.sum(None).to_string(), "10");
        world.service.delete(&staff(), &id).await.unwrap();
        assert!(world.puller.pull(source.id, 1, &|| true).await.is_err());
        for table in [
            "prometheus_window",
            "prometheus_series",
            "prometheus_source",
        ] {
            let rows = world
                .store
                .fetch_all(sql(format!("SELECT * FROM {table}")))
                .await
                .unwrap();
            assert!(rows.is_empty(), "{table}");
        }
    }
}
