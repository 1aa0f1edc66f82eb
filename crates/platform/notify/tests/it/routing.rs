use sealwright_notify::{DeliveryState, Message, NewRule, Outbox as _, Phase, Severity};

use crate::support::{World, message, staff, worlds};

async fn tenant_channel(world: &World, tenant: sealwright_core::TenantId) -> String {
    let by = world.tenant_principal(tenant);
    let new = sealwright_notify::NewChannel {
        name: "ours".to_owned(),
        tenant: None,
        target: world.webhook(),
        quiet: None,
        per_minute: None,
    };
    let channel = world
        .service
        .create_channel(&by, new)
        .await
        .unwrap()
        .channel;
    assert_eq!(
        channel.tenant_id,
        Some(tenant),
        "a tenant's caller makes its own"
    );
    let rule = NewRule {
        name: "all of ours".to_owned(),
        tenant: None,
        topic: "*".to_owned(),
        severity: None,
        about: None,
        channels: vec![channel.id.to_string()],
    };
    world.service.create_rule(&by, rule).await.unwrap();
    channel.id.to_string()
}

#[tokio::test]
async fn topic_and_severity_decide_and_a_channel_gets_a_message_once() {
    for world in worlds().await {
        let channel = world.channel(world.webhook()).await;
        world.rule("billing.*", Severity::Warning, &channel).await;
        world.rule("*", Severity::Critical, &channel).await;
        for (topic, severity) in [
            ("billing.budget", Severity::Info),
            ("billing.budget", Severity::Warning),
            ("billing.budget", Severity::Critical),
            ("siem.alert", Severity::Error),
            ("siem.alert", Severity::Critical),
        ] {
            world.enqueue(&message(topic, severity)).await;
        }
        assert_eq!(world.drain().await, 3);
        let got: Vec<_> = world
            .deliveries()
            .await
            .iter()
            .map(|d| (d.topic.clone(), d.severity, d.state))
            .collect();
        assert_eq!(
            got,
            [
                (
                    "billing.budget".to_owned(),
                    Severity::Warning,
                    DeliveryState::Sent
                ),
                (
                    "billing.budget".to_owned(),
                    Severity::Critical,
                    DeliveryState::Sent
                ),
                (
                    "siem.alert".to_owned(),
                    Severity::Critical,
                    DeliveryState::Sent
                ),
            ]
        );
        let unmatched = world
            .service
            .messages(&staff(), true, None, None)
            .await
            .unwrap();
        assert_eq!(unmatched.items.len(), 2, "what no rule matched can be seen");
    }
}

#[tokio::test]
async fn a_tenant_is_told_what_is_about_it_and_meant_for_it_and_nothing_else() {
    for world in worlds().await {
        let channel = tenant_channel(&world, world.acme).await;
        let base = || message("billing.budget", Severity::Error);
        world.enqueue(&base().for_tenant(world.acme)).await;
        world.enqueue(&base().about(world.acme)).await;
        world.enqueue(&base().for_tenant(world.other)).await;
        world.enqueue(&base()).await;
        assert_eq!(world.drain().await, 1);
        let only = world.only().await;
        assert_eq!(only.channel_id.to_string(), channel);

        let stranger = world.tenant_principal(world.other);
        let id = only.id.to_string();
        assert!(world.service.delivery(&stranger, &id).await.is_err());
        assert!(world.service.resend(&stranger, &id).await.is_err());
        assert!(world.service.channel(&stranger, &channel).await.is_err());
        assert!(
            world
                .service
                .test_channel(&stranger, &channel)
                .await
                .is_err()
        );
        assert!(
            world
                .service
                .delete_channel(&stranger, &channel)
                .await
                .is_err()
        );
        let own = world.tenant_principal(world.acme);
        let seen = world
            .service
            .messages(&own, false, None, None)
            .await
            .unwrap();
        assert_eq!(seen.items.len(), 1, "not what is for staff about it");

        // Nobody's rule sends to a channel of another owner.
        for (by, tenant) in [
            (stranger, None),
            (staff(), None),
            (staff(), Some("other".to_owned())),
        ] {
            let rule = NewRule {
                name: "theirs".to_owned(),
                tenant,
                topic: "*".to_owned(),
                severity: None,
                about: None,
                channels: vec![channel.clone()],
            };
            assert!(world.service.create_rule(&by, rule).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_message_is_there_if_and_only_if_the_transaction_commits() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        let mut tx = world.store.begin().await.unwrap();
        let told = message("billing.budget", Severity::Error);
        world
            .service
            .notifier()
            .enqueue(&mut tx, &told)
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(world.drain().await, 0);
        world.enqueue(&told).await;
        assert_eq!(world.drain().await, 1);
        assert_eq!(world.far.count(), 1);
    }
}

#[tokio::test]
async fn once_is_once_for_a_topic_and_tenant() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        let told = |tenant| {
            message("billing.budget", Severity::Error)
                .for_tenant(tenant)
                .once("2026-11 90%")
        };
        let mut ids = Vec::new();
        for tenant in [world.acme, world.acme, world.other] {
            let mut tx = world.store.begin().await.unwrap();
            let id = world
                .service
                .notifier()
                .enqueue(&mut tx, &told(tenant))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            ids.push(id);
        }
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
        assert_eq!(world.drain().await, 2);
    }
}

#[tokio::test]
async fn messages_of_an_incident_wait_for_the_ones_before_them() {
    for world in worlds().await {
        world.everything_to(world.webhook()).await;
        let told = |phase, key: &str| {
            Message::new("siem.alert", Severity::Error, "an alert").incident(key, phase)
        };
        world.far.say([crate::support::Say::Status(500)]);
        world.enqueue(&told(Phase::Trigger, "a")).await;
        world.enqueue(&told(Phase::Resolve, "a")).await;
        world.enqueue(&told(Phase::Trigger, "b")).await;
        assert_eq!(
            world.drain().await,
            2,
            "the resolution of a waits for its trigger"
        );
        world.clock.advance(60_000_000);
        assert_eq!(world.drain().await, 2);
        let phases: Vec<_> = world
            .far
            .got()
            .iter()
            .map(|got| {
                let data = &got.json()["data"];
                format!("{} {}", data["incident"], data["phase"]).replace('"', "")
            })
            .collect();
        assert_eq!(
            phases,
            [
                "siem.alert:a trigger",
                "siem.alert:b trigger",
                "siem.alert:a trigger",
                "siem.alert:a resolve"
            ]
        );
    }
}
