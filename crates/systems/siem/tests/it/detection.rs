//! Each event takes effect once, whatever the batches, the order and the restarts.

use sealwright_core::TenantScope;
use sealwright_events::{Consumer as _, Effect as _};

use crate::support::{World, at, event, failure, key_made, tenants, worlds};

/// Deterministic numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// An hour of sign-ins of two tenants, received in an order that differs within the lateness.
fn fill(world: &World, seed: u64) {
    let mut order = Numbers(seed);
    let mut fixed = Numbers(7);
    let mut list = Vec::new();
    for second in 0..900_i64 {
        let who = fixed.next(6);
        let where_from = fixed.next(5);
        let data = match fixed.next(40) {
            0 => key_made(&format!("user-{who}")),
            _ => failure(&format!("user-{who}"), &format!("198.51.100.{where_from}")),
        };
        let tenant = if fixed.next(3) == 0 {
            world.other
        } else {
            world.tenant
        };
        let source = ["idp", "vpn"][usize::try_from(fixed.next(2)).unwrap()];
        // Up to eight seconds on the way: within the lateness of ten.
        let received = second * 4 + i64::try_from(order.next(8)).unwrap();
        list.push((received, event(tenant, source, second * 4, received, &data)));
    }
    list.sort_by_key(|(received, event)| (*received, event.time));
    for (_, event) in list {
        world.log.push(event);
    }
}

async fn everything(world: &World) -> (Vec<String>, Vec<String>) {
    world.settle(8_000).await;
    (
        world.told(world.tenant).await,
        world.told(world.other).await,
    )
}

#[tokio::test]
async fn batches_orders_and_restarts_change_nothing() {
    let mut expected = None;
    for (seed, batch, restart) in [
        (1, 1_000, false),
        (2, 37, false),
        (3, 10, true),
        (4, 400, true),
    ] {
        for (store, world) in worlds().await {
            fill(&world, seed);
            let ends = (world.tenant, world.other);
            let log = world.log.clone();
            if !restart {
                world.consume(batch).await;
            }
            drop(world);
            if restart {
                let head = log.events.lock().unwrap().len();
                let mut done = 0;
                while done < head {
                    let again = World::start(&store, log.clone(), ends).await;
                    let next: Vec<_> = {
                        let events = log.events.lock().unwrap();
                        events.iter().skip(done).take(batch * 7).cloned().collect()
                    };
                    for part in next.chunks(batch) {
                        again.consumer.consume(part).await.unwrap();
                    }
                    done += next.len();
                }
            }
            let last = World::start(&store, log, ends).await;
            let told = everything(&last).await;
            assert!(told.0.iter().any(|t| t.contains("0003")), "{told:?}");
            assert!(told.0.len() > 8, "{told:?}");
            let expected = expected.get_or_insert_with(|| told.clone());
            assert_eq!(*expected, told, "{} seed {seed} batch {batch}", store.name);
        }
    }
}

#[tokio::test]
async fn what_does_not_commit_never_was() {
    for (store, world) in worlds().await {
        fill(&world, 5);
        let all: Vec<_> = world.log.events.lock().unwrap().clone();
        for (number, part) in all.chunks(60).enumerate() {
            if number % 3 == 1 {
                // As when the process is killed between the effect and the commit.
                let mut tx = world.store.begin().await.unwrap();
                world.consumer.effect().apply(&mut tx, part).await.unwrap();
                tx.rollback().await.unwrap();
            }
            world.consumer.consume(part).await.unwrap();
        }
        let disturbed = everything(&world).await;
        let (_other, calm) = worlds().await.remove(0);
        fill(&calm, 5);
        calm.consume(10_000).await;
        assert_eq!(disturbed, everything(&calm).await, "{}", store.name);
    }
}

#[tokio::test]
async fn retro_hunt_gives_exactly_the_alerts_of_the_stream() {
    for (store, world) in worlds().await {
        fill(&world, 6);
        world.consume(100).await;
        let (stream, _) = everything(&world).await;
        let (report, hunted) = world.hunted().await;
        assert_eq!(hunted, stream, "{}", store.name);
        assert!(report.events > 500 && report.days.len() == 1);
        let known = world.log.known.load(std::sync::atomic::Ordering::Relaxed);
        assert!(known > 100, "of {known} events terms said all");
    }
}

#[tokio::test]
async fn late_and_future_events_are_named_and_have_no_effect() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        for second in 0..3 {
            world.log.push(event(
                t,
                "idp",
                second,
                second,
                &failure("ada", "192.0.2.1"),
            ));
        }
        // Its time is a day ahead: it must not move the watermark.
        world
            .log
            .push(event(t, "idp", 86_400, 4, &failure("ada", "192.0.2.1")));
        world
            .log
            .push(event(t, "idp", 5, 5, &failure("ada", "192.0.2.1")));
        // Long after: everything before is behind the frontier.
        world
            .log
            .push(event(t, "idp", 500, 500, &failure("bob", "192.0.2.2")));
        world
            .log
            .push(event(t, "idp", 600, 600, &failure("bob", "192.0.2.2")));
        world
            .log
            .push(event(t, "idp", 6, 601, &failure("ada", "192.0.2.1")));
        world.consume(100).await;
        world.settle(2_000).await;
        let scope = TenantScope::One(t);
        let late = world.siem.sources.late(scope, 10).await.unwrap();
        let reasons: Vec<&str> = late.iter().map(|aside| aside.reason.as_str()).collect();
        assert_eq!(reasons, ["late", "from the future"]);
        let source = &world.siem.sources.list(scope).await.unwrap()[0];
        assert_eq!((source.events, source.late, source.future), (8, 1, 1));
        assert_eq!(source.last_time, at(600));
        // Five with the late one: four in time are not enough.
        assert!(world.alerts(t).await.is_empty());
        assert!(
            world
                .siem
                .sources
                .late(TenantScope::One(world.other), 10)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn what_cannot_be_evaluated_is_put_aside_and_its_neighbours_are_not() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        world
            .log
            .push(event(t, "idp", 0, 0, &serde_json::json!("no object")));
        world.log.push(event(t, "idp", 1, 1, &key_made("eve")));
        world.consume(100).await;
        let alerts = world.alerts(t).await;
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].body.rule.author.as_deref(), Some("B. Nalyst"));
        let dead = world
            .siem
            .sources
            .dead_letters(TenantScope::One(t), true, 10)
            .await
            .unwrap();
        assert_eq!(dead.len(), 1);
        assert!(
            dead[0].reason.contains("not a JSON object"),
            "{}",
            dead[0].reason
        );
        let error = sealwright_siem::api::replay_at(&world.siem, TenantScope::One(t), 0).await;
        assert!(error.unwrap_err().detail.contains("not a JSON object"));
        let missing =
            sealwright_siem::api::replay_at(&world.siem, TenantScope::One(world.other), 0).await;
        assert_eq!(missing.unwrap_err().status, 404);
    }
}

#[tokio::test]
async fn a_rule_that_is_set_otherwise_holds_from_the_next_event_on() {
    for (_store, world) in worlds().await {
        let (t, other) = (world.tenant, world.other);
        let id = "aaaaaaaa-0000-4000-8000-000000000004";
        let off = |mut setting: sealwright_siem::model::Setting| {
            setting.enabled = Some(false);
            setting
        };
        world.log.push(event(t, "idp", 0, 0, &key_made("eve")));
        world.consume(100).await;
        world
            .siem
            .rules
            .set(Some(t), id, None, off, "user:test")
            .await
            .unwrap();
        for tenant in [t, other] {
            world
                .log
                .push(event(tenant, "idp", 10, 10, &key_made("mallory")));
        }
        world.consume(100).await;
        assert_eq!(world.alerts(t).await.len(), 1, "off for this tenant");
        assert_eq!(world.alerts(other).await.len(), 1, "and on for the other");
        let fewer = |mut setting: sealwright_siem::model::Setting| {
            setting.threshold = Some("2".to_owned());
            setting
                .exclude
                .insert("user.name".to_owned(), vec!["mon*".to_owned()]);
            setting
        };
        let many = "aaaaaaaa-0000-4000-8000-000000000002";
        let wrong = world
            .siem
            .rules
            .set(Some(t), many, None, fewer, "user:test")
            .await;
        assert!(wrong.is_err(), "a correlation has no fields to leave out");
        let fewer = |mut setting: sealwright_siem::model::Setting| {
            setting.threshold = Some("2".to_owned());
            setting
        };
        world
            .siem
            .rules
            .set(Some(t), many, None, fewer, "user:test")
            .await
            .unwrap();
        for tenant in [t, other] {
            for second in 20..23 {
                world.log.push(event(
                    tenant,
                    "idp",
                    second,
                    second,
                    &failure("ada", "192.0.2.9"),
                ));
            }
        }
        world.consume(100).await;
        world.settle(2_000).await;
        assert!(
            world
                .told(t)
                .await
                .iter()
                .any(|told| told.starts_with(many))
        );
        assert!(
            !world
                .told(other)
                .await
                .iter()
                .any(|told| told.starts_with(many))
        );
    }
}

#[tokio::test]
async fn a_silent_source_raises_one_alert_until_it_speaks_again() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        world
            .log
            .push(event(t, "idp", 0, 0, &key_made("terraform")));
        world.consume(100).await;
        world.clock.set(at(3_000));
        assert_eq!(world.siem.sources.alarm().await.unwrap(), 0);
        world.clock.set(at(4_000));
        assert_eq!(world.siem.sources.alarm().await.unwrap(), 1);
        assert_eq!(world.siem.sources.alarm().await.unwrap(), 0);
        let alerts = world.alerts(t).await;
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].body.entities[0].value, "idp");
        world
            .log
            .push(event(t, "idp", 4_100, 4_100, &key_made("terraform")));
        world.consume(100).await;
        world.clock.set(at(9_000));
        assert_eq!(world.siem.sources.alarm().await.unwrap(), 1);
        assert_eq!(world.alerts(t).await[0].matches, 2, "the same alert, again");
        let _ = tenants();
    }
}

#[tokio::test]
async fn a_field_that_rules_need_and_that_vanishes_raises_one_alert_until_it_is_back() {
    for (store, world) in worlds().await {
        let (t, other) = (world.tenant, world.other);
        let without = |mut data: serde_json::Value| {
            data.as_object_mut().unwrap().remove("user");
            data
        };
        let push = |from: i64, count: i64, gone: bool| {
            for n in 0..count {
                let at = from + n * 10;
                // Never five failures of an address within five minutes: only the field counts here.
                let mut data = failure("ada", &format!("192.0.2.{}", n % 200));
                if gone {
                    data = without(data);
                }
                world.log.push(event(t, "idp", at, at, &data));
                let data = failure("ada", &format!("192.0.2.{}", n % 200));
                world.log.push(event(other, "idp", at, at, &data));
            }
        };
        push(0, 200, false);
        world.consume(100).await;
        assert_eq!(world.siem.fields.alarm().await.unwrap(), 0);
        push(2_000, 150, true);
        world.consume(100).await;
        assert_eq!(
            world.siem.fields.alarm().await.unwrap(),
            0,
            "not for long enough"
        );
        push(3_500, 250, true);
        world.consume(100).await;
        assert_eq!(
            world.siem.fields.alarm().await.unwrap(),
            1,
            "{}",
            store.name
        );
        assert_eq!(world.siem.fields.alarm().await.unwrap(), 0);
        let alerts = world.alerts(t).await;
        let alarm = alerts
            .iter()
            .find(|a| a.dedup_key.starts_with("sealwright-field-vanished"))
            .unwrap();
        assert_eq!(alarm.body.entities[0].value, "user.name");
        assert_eq!(alarm.body.entities[1].value, "idp");
        let rules = &alarm.body.matched[1].found;
        assert!(rules.contains(&"Password spraying".to_owned()), "{rules:?}");
        assert!(
            !rules.contains(&"A key was made".to_owned()),
            "it only leaves a name out: {rules:?}"
        );
        assert!(
            world
                .alerts(other)
                .await
                .iter()
                .all(|a| !a.dedup_key.contains("vanished"))
        );
        let list = world.siem.fields.list(TenantScope::One(t)).await.unwrap();
        assert_eq!(list.len(), 1);
        push(6_100, 40, false);
        world.consume(100).await;
        assert!(
            world
                .siem
                .fields
                .list(TenantScope::One(t))
                .await
                .unwrap()
                .is_empty()
        );
        push(6_600, 600, true);
        world.consume(100).await;
        assert_eq!(
            world.siem.fields.alarm().await.unwrap(),
            1,
            "again, as it was back"
        );
    }
}
