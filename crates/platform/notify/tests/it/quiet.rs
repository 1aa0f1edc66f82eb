use sealwright_notify::{DeliveryState, Given, NewTarget, Quiet, Severity};

use crate::support::{World, at, message, staff, worlds};

fn night() -> Quiet {
    Quiet {
        zone: "Europe/Berlin".to_owned(),
        from: "22:00".parse().unwrap(),
        to: "07:00".parse().unwrap(),
        days: Vec::new(),
        passes: Severity::Critical,
    }
}

async fn quiet_world(world: &World, target: NewTarget) {
    let channel = world.channel_with(target, Some(night()), None).await;
    world.rule("*", Severity::Info, &channel).await;
}

#[tokio::test]
async fn critical_passes_and_the_rest_comes_as_one_digest_in_the_morning() {
    for world in worlds().await {
        quiet_world(&world, world.slack()).await;
        // The night in which the clock goes back: 07:00 is 06:00Z, an hour later than the day before.
        world.clock.set(at("2026-10-24T21:30:00Z"));
        world.enqueue(&message("a.one", Severity::Info)).await;
        world.enqueue(&message("a.two", Severity::Error)).await;
        world.enqueue(&message("a.three", Severity::Critical)).await;
        assert_eq!(world.drain().await, 1, "only the critical one");
        let held: Vec<_> = world
            .deliveries()
            .await
            .into_iter()
            .filter(|d| d.state == DeliveryState::Held)
            .map(|d| d.next_at.unwrap().to_string())
            .collect();
        assert_eq!(held, ["2026-10-25T06:00:00Z", "2026-10-25T06:00:00Z"]);
        world.clock.set(at("2026-10-25T05:59:59Z"));
        assert_eq!(world.drain().await, 0);
        world.clock.set(at("2026-10-25T06:00:00Z"));
        assert_eq!(world.drain().await, 1, "one digest");
        let got = world.far.got();
        let digest = got.last().unwrap();
        assert!(
            digest.body.contains("2 notifications from quiet hours"),
            "{}",
            digest.body
        );
        let all = world.deliveries().await;
        let digest = all.iter().find(|d| d.cause == "digest").unwrap();
        assert_eq!(
            (digest.state, digest.severity),
            (DeliveryState::Sent, Severity::Error)
        );
        let folded: Vec<_> = all
            .iter()
            .filter(|d| d.state == DeliveryState::Digested)
            .collect();
        assert_eq!(folded.len(), 2);
        assert!(
            folded
                .iter()
                .all(|d| d.digest_id == Some(digest.id.to_string()))
        );
        assert_eq!(world.drain().await, 0);
    }
}

#[tokio::test]
async fn one_alone_comes_as_itself_and_programs_get_no_digests() {
    for world in worlds().await {
        quiet_world(&world, world.slack()).await;
        quiet_world(&world, world.webhook()).await;
        world.clock.set(at("2026-11-25T23:00:00Z"));
        world.enqueue(&message("a.one", Severity::Info)).await;
        assert_eq!(world.drain().await, 0);
        world.clock.set(at("2026-11-26T06:00:00Z"));
        assert_eq!(world.drain().await, 2);
        world.clock.set(at("2026-11-26T23:00:00Z"));
        world.enqueue(&message("a.two", Severity::Info)).await;
        world.enqueue(&message("a.three", Severity::Info)).await;
        world.clock.advance(1_000_000);
        assert_eq!(world.drain().await, 0);
        world.clock.set(at("2026-11-27T06:00:00Z"));
        assert_eq!(
            world.drain().await,
            3,
            "a digest for people, two for the program"
        );
        assert!(
            world
                .deliveries()
                .await
                .iter()
                .all(|d| d.cause != "digest" || d.kind == sealwright_notify::ChannelKind::Slack)
        );
    }
}

#[tokio::test]
async fn a_held_one_can_be_sent_now() {
    for world in worlds().await {
        quiet_world(&world, world.slack()).await;
        world.clock.set(at("2026-11-25T23:00:00Z"));
        world.enqueue(&message("a.one", Severity::Info)).await;
        world.drain().await;
        let held = world.only().await;
        assert_eq!(held.state, DeliveryState::Held);
        world
            .service
            .resend(&staff(), &held.id.to_string())
            .await
            .unwrap();
        assert_eq!(world.drain().await, 1);
        assert_eq!(world.only().await.state, DeliveryState::Sent);
    }
}

#[tokio::test]
async fn hours_without_an_end_are_refused() {
    for world in worlds().await {
        let mut endless = night();
        endless.to = endless.from;
        let new = sealwright_notify::NewChannel {
            name: "x".to_owned(),
            tenant: None,
            target: NewTarget::Slack {
                webhook_url: Given::new(world.far.url("/x")),
            },
            quiet: Some(endless),
            per_minute: None,
        };
        let error = world
            .service
            .create_channel(&staff(), new)
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with("quiet are never quiet"),
            "{error}"
        );
    }
}
