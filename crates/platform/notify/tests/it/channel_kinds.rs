//! Each kind of channel against a server that answers as the real one does.

use axum::http::Method;
use sealwright_notify::{DeliveryState, Given, NewTarget, Phase, Severity};
use serde_json::json;

use crate::support::{CANARY, Say, World, message, worlds};

fn pagerduty(world: &World) -> NewTarget {
    NewTarget::Pagerduty {
        routing_key: Given::new(CANARY),
        events_url: Some(world.far.url("")),
    }
}

fn github(world: &World) -> NewTarget {
    NewTarget::Github {
        repository: "acme/ops".to_owned(),
        token: Given::new(CANARY),
        labels: vec!["billing".to_owned()],
        api_url: Some(world.far.url("")),
    }
}

fn said(status: u16, body: serde_json::Value) -> Say {
    Say::With(
        status,
        &[("content-type", "application/json")],
        body.to_string(),
    )
}

/// Method and path of what the other side got.
fn calls(world: &World) -> Vec<String> {
    world
        .far
        .got()
        .iter()
        .map(|got| format!("{} {}", got.method, got.path.split('?').next().unwrap()))
        .collect()
}

#[tokio::test]
async fn pagerduty_gets_trigger_acknowledge_and_resolve_with_one_dedup_key() {
    for world in worlds().await {
        world.everything_to(pagerduty(&world)).await;
        for phase in [Phase::Trigger, Phase::Acknowledge, Phase::Resolve] {
            world.far.say([said(202, json!({"status": "success"}))]);
            let told = message("siem.alert", Severity::Critical)
                .about(world.acme)
                .incident("alert 7", phase);
            world.enqueue(&told).await;
            assert_eq!(world.drain().await, 1);
        }
        let got: Vec<_> = world.far.got().iter().map(|got| got.json()).collect();
        let keys: std::collections::BTreeSet<_> = got
            .iter()
            .map(|event| event["dedup_key"].to_string())
            .collect();
        assert_eq!(keys.len(), 1);
        assert!(got.iter().all(|event| event["routing_key"] == CANARY));
        let actions: Vec<_> = got
            .iter()
            .map(|event| event["event_action"].clone())
            .collect();
        assert_eq!(actions, ["trigger", "acknowledge", "resolve"]);
        assert_eq!(got[0]["payload"]["severity"], "critical");
        assert_eq!(got[0]["payload"]["source"], "acme");
        assert_eq!(calls(&world)[0], "POST /v2/enqueue");
        // 400 means that the event itself is wrong.
        world
            .far
            .say([said(400, json!({"status": "invalid event"}))]);
        world
            .enqueue(&message("siem.alert", Severity::Critical))
            .await;
        world.drain().await;
        assert_eq!(
            world.deliveries().await.pop().unwrap().state,
            DeliveryState::Dead
        );
    }
}

#[tokio::test]
async fn an_incident_is_one_issue_that_is_opened_commented_closed_and_opened_again() {
    for world in worlds().await {
        world.everything_to(github(&world)).await;
        let told = |phase| message("billing.budget", Severity::Error).incident("2026-11", phase);
        let none = || said(200, json!([]));
        // Opened: nothing was found by the marker.
        world.far.say([none(), said(201, json!({"number": 12}))]);
        world.enqueue(&told(Phase::Trigger)).await;
        world.drain().await;
        // Resolved: known by its number; no comment of this delivery is there yet.
        world
            .far
            .say([none(), said(201, json!({})), said(200, json!({}))]);
        world.enqueue(&told(Phase::Resolve)).await;
        world.drain().await;
        // Again.
        world
            .far
            .say([none(), said(201, json!({})), said(200, json!({}))]);
        world.enqueue(&told(Phase::Trigger)).await;
        world.drain().await;
        assert_eq!(
            calls(&world),
            [
                "GET /repos/acme/ops/issues",
                "POST /repos/acme/ops/issues",
                "GET /repos/acme/ops/issues/12/comments",
                "POST /repos/acme/ops/issues/12/comments",
                "PATCH /repos/acme/ops/issues/12",
                "GET /repos/acme/ops/issues/12/comments",
                "POST /repos/acme/ops/issues/12/comments",
                "PATCH /repos/acme/ops/issues/12",
            ]
        );
        let got = world.far.got();
        assert_eq!(
            got[4].json(),
            json!({"state": "closed", "state_reason": "completed"})
        );
        assert_eq!(got[7].json(), json!({"state": "open"}));
        // Somebody deleted the issue: another one is opened.
        world
            .far
            .say([said(410, json!({})), said(201, json!({"number": 13}))]);
        world.enqueue(&told(Phase::Trigger)).await;
        world.drain().await;
        assert_eq!(calls(&world)[9], "POST /repos/acme/ops/issues");
        assert!(
            got.iter()
                .all(|g| g.header("authorization") == format!("Bearer {CANARY}"))
        );
        assert!(
            got.iter()
                .all(|g| g.header("x-github-api-version") == "2022-11-28")
        );
        assert!(
            world
                .deliveries()
                .await
                .iter()
                .all(|d| d.state == DeliveryState::Sent)
        );
    }
}

/// The first attempt opened the issue, and its answer was lost: the second one finds it by the marker.
#[tokio::test]
async fn a_repeated_attempt_finds_the_issue_of_the_first() {
    for world in worlds().await {
        world.everything_to(github(&world)).await;
        world.far.say([said(200, json!([])), Say::Hang]);
        world
            .enqueue(&message("billing.budget", Severity::Error))
            .await;
        world.drain().await;
        let opened = world.far.got()[1].json();
        let found =
            json!([{"number": 3, "body": "another"}, {"number": 12, "body": opened["body"]}]);
        world.far.say([said(200, found)]);
        world.clock.advance(10_000_000);
        assert_eq!(world.drain().await, 1);
        let posts = world
            .far
            .got()
            .iter()
            .filter(|got| got.method == Method::POST)
            .count();
        assert_eq!(posts, 1, "one issue");
        assert_eq!(world.only().await.state, DeliveryState::Sent);
    }
}

#[tokio::test]
async fn githubs_rate_limit_holds_the_channel_until_it_is_reset() {
    for world in worlds().await {
        world.everything_to(github(&world)).await;
        let reset = "1764072060"; // 2025-11-25T12:01:00Z
        let at = sealwright_core::UnixMicros::parse_rfc3339("2025-11-25T12:00:00Z").unwrap();
        world.clock.set(at);
        world.far.say([Say::With(
            403,
            &[
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1764072060"),
            ],
            "rate limit".to_owned(),
        )]);
        world
            .enqueue(&message("billing.budget", Severity::Error))
            .await;
        world.drain().await;
        let one = world.only().await;
        assert_eq!(one.state, DeliveryState::Pending, "{one:?}");
        let next = one.next_at.unwrap();
        assert_eq!((next.0 / 1_000_000).to_string(), reset);
        // Without such a header a 403 is a refusal: the token may not do this.
        world.clock.set(next);
        world.far.say([said(
            403,
            json!({"message": "Resource not accessible by token"}),
        )]);
        world.drain().await;
        assert_eq!(world.only().await.state, DeliveryState::Dead);
    }
}
