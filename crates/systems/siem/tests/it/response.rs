//! What is done about alerts.

use sealwright_core::clock::HOUR;
use sealwright_core::{Digest, TenantScope};
use sealwright_siem::model::{Action, ActionState, Alert};
use sealwright_siem::service::SiemError;
use sealwright_siem::service::respond::Wanted;

use crate::support::{World, event, key_made, worlds};

async fn alert_about(world: &World, user: &str) -> Alert {
    world
        .log
        .push(event(world.tenant, "idp", 0, 0, &key_made(user)));
    world.consume(100).await;
    world.alerts(world.tenant).await[0].clone()
}

fn wanted() -> Wanted {
    Wanted {
        kind: "disable-user".to_owned(),
        target: String::new(),
        holds: Some(HOUR),
        dry_run: false,
        approval: false,
    }
}

async fn ask(world: &World, alert: &Alert, wanted: &Wanted) -> Result<Action, SiemError> {
    let entities = world.siem.alerts.entities(alert).await.unwrap();
    world
        .siem
        .respond
        .ask(alert, &entities, wanted, "user:a")
        .await
}

async fn now(world: &World, action: &Action) -> Action {
    world
        .siem
        .respond
        .find(TenantScope::One(world.tenant), action.id)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_action_is_done_and_undone_when_its_time_is_over() {
    for (_store, world) in worlds().await {
        let alert = alert_about(&world, "eve").await;
        *world.hands.failures.lock().unwrap() = 1;
        let action = ask(&world, &alert, &wanted()).await.unwrap();
        assert_eq!(action.target, "eve");
        world.siem.respond.work().await.unwrap();
        assert_eq!(now(&world, &action).await.detail, "not now");
        world.siem.respond.work().await.unwrap();
        assert_eq!(now(&world, &action).await.state, ActionState::Done);
        assert_eq!(world.siem.respond.work().await.unwrap(), 0, "once");
        world.clock.advance(HOUR);
        world.siem.respond.work().await.unwrap();
        assert_eq!(now(&world, &action).await.state, ActionState::Expired);
        let done = world.hands.done.lock().unwrap().clone();
        assert_eq!(
            done,
            ["disabled eve again=true", "enabled eve"],
            "tried twice"
        );
        let history = world.siem.alerts.history(&alert).await.unwrap();
        let actions: Vec<&str> = history.iter().map(|h| h.action.as_str()).collect();
        assert_eq!(
            actions,
            [
                "raised",
                "action-asked",
                "action-retry",
                "action-done",
                "action-undone"
            ]
        );
    }
}

#[tokio::test]
async fn what_needs_approval_waits_for_somebody_else() {
    for (_store, world) in worlds().await {
        let alert = alert_about(&world, "eve").await;
        let scope = TenantScope::One(world.tenant);
        let careful = Wanted {
            approval: true,
            ..wanted()
        };
        let action = ask(&world, &alert, &careful).await.unwrap();
        assert_eq!(world.siem.respond.work().await.unwrap(), 0);
        let own = world
            .siem
            .respond
            .decide(scope, action.id, true, "user:a")
            .await;
        assert!(matches!(own, Err(SiemError::State(_))));
        world
            .siem
            .respond
            .decide(scope, action.id, true, "user:b")
            .await
            .unwrap();
        world.siem.respond.work().await.unwrap();
        assert_eq!(now(&world, &action).await.state, ActionState::Done);
        world
            .siem
            .respond
            .undo(scope, action.id, "user:b")
            .await
            .unwrap();
        world.siem.respond.work().await.unwrap();
        assert_eq!(now(&world, &action).await.state, ActionState::Undone);
        let twice = world.siem.respond.undo(scope, action.id, "user:b").await;
        assert!(matches!(twice, Err(SiemError::State(_))));
        let elsewhere = world
            .siem
            .respond
            .find(TenantScope::One(world.other), action.id)
            .await;
        assert!(matches!(elsewhere, Err(SiemError::NotFound(_))));
    }
}

#[tokio::test]
async fn a_dry_run_does_nothing_and_a_refusal_is_final() {
    for (_store, world) in worlds().await {
        let alert = alert_about(&world, "root").await;
        let dry = Wanted {
            dry_run: true,
            ..wanted()
        };
        let action = ask(&world, &alert, &dry).await.unwrap();
        world.siem.respond.work().await.unwrap();
        let shown = now(&world, &action).await;
        assert_eq!(shown.detail, "would have: disable root");
        assert!(shown.undo.is_empty() && world.hands.done.lock().unwrap().is_empty());
        let action = ask(&world, &alert, &wanted()).await.unwrap();
        world.siem.respond.work().await.unwrap();
        assert_eq!(now(&world, &action).await.state, ActionState::Failed);
        assert_eq!(world.siem.respond.work().await.unwrap(), 0);
        for wrong in [
            Wanted {
                kind: "melt".to_owned(),
                ..wanted()
            },
            Wanted {
                target: "ada".to_owned(),
                ..wanted()
            },
            Wanted {
                holds: Some(0),
                ..wanted()
            },
        ] {
            assert!(matches!(
                ask(&world, &alert, &wrong).await,
                Err(SiemError::Invalid(_))
            ));
        }
    }
}

#[tokio::test]
async fn a_rule_asks_for_actions_in_the_transaction_of_its_alert() {
    for (_store, world) in worlds().await {
        let id = "aaaaaaaa-0000-4000-8000-000000000004";
        let with = |actions: &[&str]| {
            let actions = actions.iter().map(|a| (*a).to_owned()).collect();
            move |mut setting: sealwright_siem::model::Setting| {
                setting.actions = Some(actions);
                setting
            }
        };
        let wrong = world
            .siem
            .rules
            .set(None, id, None, with(&["disable-user:soon"]), "user:a")
            .await;
        assert!(matches!(wrong, Err(SiemError::Invalid(_))));
        let names = ["disable-user:now", "revoke-key"];
        world
            .siem
            .rules
            .set(None, id, None, with(&names), "user:a")
            .await
            .unwrap();
        let alert = alert_about(&world, "eve").await;
        world.siem.respond.work().await.unwrap();
        assert_eq!(
            *world.hands.done.lock().unwrap(),
            ["disabled eve again=false"]
        );
        let history = world.siem.alerts.history(&alert).await.unwrap();
        let not = history
            .iter()
            .find(|h| h.action == "action-not-asked")
            .unwrap();
        assert!(
            not.detail.contains("there is no action `revoke-key`"),
            "{}",
            not.detail
        );
        // The same match again is the same alert, and asks for nothing more.
        alert_about(&world, "eve").await;
        assert_eq!(world.siem.respond.work().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn evidence_is_kept_whole_and_an_incident_is_opened_once() {
    for (store, world) in worlds().await {
        let alert = alert_about(&world, "eve").await;
        let whole = world.log.events.lock().unwrap()[0].json.clone();
        for (kind, expected) in [
            ("preserve-evidence", "1 events are kept"),
            ("preserve-evidence", "kept before"),
            ("open-incident", "opened the incident"),
            ("open-incident", "it belongs to the incident"),
        ] {
            let wanted = Wanted {
                kind: kind.to_owned(),
                ..wanted()
            };
            let action = ask(&world, &alert, &wanted).await.unwrap();
            world.siem.respond.work().await.unwrap();
            let done = now(&world, &action).await;
            assert_eq!(
                done.state,
                ActionState::Done,
                "{}: {}",
                store.name,
                done.detail
            );
            assert!(done.detail.contains(expected), "{}", done.detail);
            assert!(done.undo.is_empty() && done.expires_at.is_none());
        }
        let alert = world.alerts(world.tenant).await[0].clone();
        assert!(alert.incident.is_some());
        // The events are gone, what was kept is not.
        world.log.events.lock().unwrap().clear();
        let kept = world.siem.alerts.evidence(&alert).await.unwrap();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        let text = kept["events"][0]["event"].as_str().unwrap();
        assert_eq!(text.as_bytes(), whole);
        let digest = Digest::of(text.as_bytes()).to_string();
        assert_eq!(kept["events"][0]["digest"], digest);
        assert_eq!(kept["alert_digest"], alert.digest.to_string());
        let elsewhere = Wanted {
            kind: "preserve-evidence".to_owned(),
            target: "alr_x".to_owned(),
            ..wanted()
        };
        let action = ask(&world, &alert, &elsewhere).await.unwrap();
        assert_eq!(action.target, alert.id.to_string(), "always its own alert");
    }
}

#[tokio::test]
async fn those_who_run_the_installation_are_told_of_alerts_and_of_their_end() {
    for (_store, world) in worlds().await {
        let alert = alert_about(&world, "eve").await;
        // The same again is counted, and nobody is told twice.
        alert_about(&world, "eve").await;
        world
            .siem
            .alerts
            .change(
                TenantScope::All,
                alert.id,
                None,
                &sealwright_siem::service::alert::Change::Close(
                    sealwright_siem::model::Verdict::Benign,
                ),
                "a drill",
                "user:a",
            )
            .await
            .unwrap();
        let told = world.told.0.lock().unwrap().clone();
        assert_eq!(told.len(), 2, "{told:?}");
        for (told, words) in told.iter().zip([
            ["Warning", "Trigger", "A key was made", "eve"],
            ["Warning", "Resolve", "a drill", "eve"],
        ]) {
            assert!(words.iter().all(|word| told.contains(word)), "{told}");
            assert!(
                told.contains("siem.alert") && told.contains("Staff"),
                "{told}"
            );
        }
    }
}

#[test]
fn an_action_of_a_setting_says_for_how_long() {
    let read = sealwright_siem::service::respond::automatic;
    assert_eq!(read("block-address 1h:now").unwrap().holds, Some(HOUR));
    assert_eq!(read("block-address").unwrap().holds, Some(24 * HOUR));
    assert!(read("block-address").unwrap().approval);
    for wrong in [
        "block-address soon",
        "block-address 0s",
        "block-address 400d",
        "x:y",
    ] {
        assert!(matches!(read(wrong), Err(SiemError::Invalid(_))), "{wrong}");
    }
}
