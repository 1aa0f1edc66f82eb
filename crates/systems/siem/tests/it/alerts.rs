//! Alerts: counted, worked on, suppressed, grouped, sealed.

use sealwright_core::TenantScope;
use sealwright_core::clock::HOUR;
use sealwright_ledger::Leaf;
use sealwright_siem::model::{AlertState, Entity, Severity, Verdict};
use sealwright_siem::service::SiemError;
use sealwright_siem::service::alert::Change;
use sealwright_siem::service::ocsf;

use crate::support::{World, at, event, failure, key_made, worlds};

async fn one(world: &World) -> sealwright_siem::model::Alert {
    let alerts = world.alerts(world.tenant).await;
    assert_eq!(alerts.len(), 1);
    alerts[0].clone()
}

#[tokio::test]
async fn matches_are_counted_in_one_alert_until_it_is_closed() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        for second in [0, 30, 10] {
            world
                .log
                .push(event(t, "idp", second, second.max(30), &key_made("eve")));
            world.consume(100).await;
        }
        let alert = one(&world).await;
        assert_eq!(alert.matches, 3);
        assert_eq!((alert.first_at, alert.last_at), (at(0), at(30)));
        assert_eq!(alert.state, AlertState::Open);
        assert_eq!(world.siem.alerts.events(&alert).await.unwrap().len(), 3);
        let scope = TenantScope::One(t);
        let close = Change::Close(Verdict::FalsePositive);
        let unsaid = world
            .siem
            .alerts
            .change(scope, alert.id, None, &close, "", "user:a")
            .await;
        assert!(
            matches!(unsaid, Err(SiemError::Invalid(_))),
            "a false positive says why"
        );
        world
            .siem
            .alerts
            .change(scope, alert.id, None, &close, "a drill", "user:a")
            .await
            .unwrap();
        world.log.push(event(t, "idp", 60, 60, &key_made("eve")));
        world.consume(100).await;
        let alerts = world.alerts(t).await;
        assert_eq!(alerts.len(), 2, "what matches after the closing is new");
        assert_eq!(
            world.siem.alerts.before(&alerts[0]).await.unwrap()[0].id,
            alert.id
        );
        let again = world
            .siem
            .alerts
            .change(scope, alert.id, None, &Change::Reopen, "", "user:a")
            .await;
        assert!(matches!(again, Err(SiemError::State(_))), "{again:?}");
    }
}

#[tokio::test]
async fn an_alert_is_worked_on_by_one_at_a_time() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        world.log.push(event(t, "idp", 0, 0, &key_made("eve")));
        world.consume(100).await;
        let alert = one(&world).await;
        let (scope, alerts) = (TenantScope::One(t), &world.siem.alerts);
        let seen = Some(alert.revision);
        let taken = alerts
            .change(scope, alert.id, seen, &Change::Acknowledge, "", "user:a")
            .await
            .unwrap();
        assert_eq!(taken.owner.as_deref(), Some("user:a"));
        let stale = alerts
            .change(scope, alert.id, seen, &Change::Note, "mine too", "user:b")
            .await;
        assert!(matches!(stale, Err(SiemError::Stale { seen: 1 })));
        // What is counted meanwhile is no change that collides.
        world.log.push(event(t, "idp", 5, 5, &key_made("eve")));
        world.consume(100).await;
        let seen = Some(taken.revision);
        let close = Change::Close(Verdict::TruePositive);
        let closed = alerts
            .change(scope, alert.id, seen, &close, "", "user:a")
            .await
            .unwrap();
        let twice = alerts
            .change(scope, alert.id, None, &close, "", "user:a")
            .await;
        assert!(matches!(twice, Err(SiemError::State(_))));
        let reopened = alerts
            .change(
                scope,
                alert.id,
                Some(closed.revision),
                &Change::Reopen,
                "not over",
                "user:b",
            )
            .await
            .unwrap();
        assert_eq!(
            (reopened.state, reopened.verdict),
            (AlertState::Reopened, None)
        );
        let actions: Vec<String> = alerts
            .history(&reopened)
            .await
            .unwrap()
            .into_iter()
            .map(|entry| entry.action)
            .collect();
        assert_eq!(actions, ["raised", "acknowledge", "close", "reopen"]);
        let elsewhere = alerts.find(TenantScope::One(world.other), alert.id).await;
        assert!(matches!(elsewhere, Err(SiemError::NotFound(_))));
    }
}

#[tokio::test]
async fn an_alert_is_sealed_in_the_ledger_with_what_it_says() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        for second in 0..5 {
            let user = format!("user-{second}");
            world.log.push(event(
                t,
                "idp",
                second,
                second,
                &failure(&user, "192.0.2.7"),
            ));
        }
        world.consume(100).await;
        world.settle(2_000).await;
        world.ledger.sequence().await.unwrap();
        let alerts = world.alerts(t).await;
        assert_eq!(alerts.len(), 2);
        for alert in &alerts {
            let id = alert.ledger_entry.as_deref().unwrap().parse().unwrap();
            let proof = world.ledger.prove(TenantScope::One(t), id).await.unwrap();
            let leaf = Leaf::from_bytes(proof.leaf.as_deref().unwrap().as_bytes()).unwrap();
            assert_eq!(leaf.action, "siem.alert.raise");
            assert_eq!(
                leaf.after,
                Some(sealwright_core::Digest::of(&alert.sealed_bytes()))
            );
            let window = alert.body.window.as_ref().unwrap();
            assert_eq!(
                window.group,
                [("source.ip".to_owned(), "192.0.2.7".to_owned())]
            );
            assert!(!alert.body.matched.is_empty());
        }
        // They are about the same address and by different rules: one incident.
        let incidents = world
            .siem
            .incidents
            .list(TenantScope::One(t), None, None, 10)
            .await
            .unwrap();
        assert_eq!(incidents.len(), 1);
        assert_eq!(incidents[0].severity, Severity::Critical);
        assert!(alerts.iter().all(|a| a.incident == Some(incidents[0].id)));
        let address = Entity {
            kind: "address".to_owned(),
            value: "192.0.2.7".to_owned(),
        };
        let risks = |world: &World| {
            let (alerts, scope) = (world.siem.alerts.clone(), TenantScope::One(world.tenant));
            let address = address.clone();
            async move { alerts.risks(scope, Some(&address)).await.unwrap() }
        };
        assert_eq!(
            risks(&world).await[0].points,
            120,
            "one high and one critical"
        );
        world.clock.advance(8 * 24 * HOUR);
        assert!(
            risks(&world).await.is_empty(),
            "what is long ago is no risk now"
        );
    }
}

#[tokio::test]
async fn a_suppression_is_broken_by_what_is_worse_or_new() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        world.log.push(event(t, "idp", 0, 0, &key_made("eve")));
        world.consume(100).await;
        let alert = one(&world).await;
        let scope = TenantScope::One(t);
        let suppressions = &world.siem.suppressions;
        let until = at(10_000).plus(HOUR);
        let past = suppressions
            .of_alert(&alert, None, at(5), "x", "user:a")
            .await;
        assert!(matches!(past, Err(SiemError::Invalid(_))));
        let made = suppressions
            .of_alert(&alert, None, until, "a drill", "user:a")
            .await
            .unwrap();
        let close = Change::Close(Verdict::Benign);
        world
            .siem
            .alerts
            .change(scope, alert.id, None, &close, "a drill", "user:a")
            .await
            .unwrap();
        world.log.push(event(t, "idp", 10, 10, &key_made("eve")));
        world.consume(100).await;
        assert_eq!(
            world.alerts(t).await.len(),
            1,
            "the same again is held back"
        );
        assert_eq!(suppressions.find(scope, made.id).await.unwrap().hits, 1);
        world
            .log
            .push(event(t, "idp", 20, 20, &key_made("mallory")));
        world.consume(100).await;
        assert_eq!(world.alerts(t).await.len(), 2, "somebody new is not");
        let worse = |mut setting: sealwright_siem::model::Setting| {
            setting.severity = Some(Severity::Critical);
            setting
        };
        let id = "aaaaaaaa-0000-4000-8000-000000000004";
        world
            .siem
            .rules
            .set(None, id, None, worse, "user:a")
            .await
            .unwrap();
        world.log.push(event(t, "idp", 30, 30, &key_made("eve")));
        world.consume(100).await;
        let alerts = world.alerts(t).await;
        assert_eq!(alerts.len(), 3, "what is worse is not");
        assert_eq!(alerts[0].severity, Severity::Critical);
        suppressions
            .end(scope, made.id, Some(made.revision), "user:a")
            .await
            .unwrap();
        let twice = suppressions.end(scope, made.id, None, "user:a").await;
        assert!(matches!(twice, Err(SiemError::State(_))));
    }
}

#[tokio::test]
async fn what_nobody_answers_is_escalated_once() {
    for (_store, world) in worlds().await {
        let t = world.tenant;
        world.log.push(event(t, "idp", 0, 0, &key_made("eve")));
        world.consume(100).await;
        let due = one(&world).await.due_at;
        assert_eq!(due, at(10_000).plus(4 * HOUR), "medium: four hours");
        world.clock.set(due.plus(-1));
        assert!(
            world
                .siem
                .alerts
                .escalate("job:x")
                .await
                .unwrap()
                .is_empty()
        );
        world.clock.set(due);
        assert_eq!(world.siem.alerts.escalate("job:x").await.unwrap().len(), 1);
        assert!(
            world
                .siem
                .alerts
                .escalate("job:x")
                .await
                .unwrap()
                .is_empty()
        );
        let alert = one(&world).await;
        assert_eq!(alert.escalated_at, Some(due));
        let finding = ocsf::finding(&alert, &[], "acme", "1");
        assert_eq!(finding["class_uid"], 2004);
        assert_eq!(finding["severity_id"], 3);
        assert_eq!(finding["unmapped"]["rule_author"], "B. Nalyst");
        let scope = TenantScope::One(t);
        let change = Change::Close(Verdict::TruePositive);
        world
            .siem
            .alerts
            .change(scope, alert.id, None, &change, "", "user:a")
            .await
            .unwrap();
        let means = world
            .siem
            .alerts
            .means(scope, at(0), due.plus(1))
            .await
            .unwrap();
        assert_eq!(means.resolve, Some(4 * HOUR));
        let none = world
            .siem
            .alerts
            .means(TenantScope::One(world.other), at(0), due)
            .await
            .unwrap();
        assert_eq!(none.resolve, None, "nothing closed is no time of zero");
    }
}

#[tokio::test]
async fn a_flood_is_one_alert_a_rule() {
    let (_store, world) = worlds().await.remove(0);
    for number in 0..1_010 {
        world.log.push(event(
            world.tenant,
            "idp",
            0,
            0,
            &key_made(&format!("user-{number}")),
        ));
    }
    world
        .log
        .push(event(world.other, "idp", 0, 0, &key_made("eve")));
    world.consume(2_000).await;
    let filter = sealwright_siem::store::alert::Filter {
        limit: 5_000,
        ..Default::default()
    };
    let scope = TenantScope::One(world.tenant);
    let alerts = world.siem.alerts.list(scope, &filter).await.unwrap();
    assert_eq!(alerts.len(), 1_001);
    let flood = alerts
        .iter()
        .find(|a| a.dedup_key.ends_with("(flood)"))
        .unwrap();
    assert_eq!(flood.matches, 10);
    assert_eq!(
        world.alerts(world.other).await.len(),
        1,
        "the neighbour is not in it"
    );
}
