use sealwright_notify::signature::{VerifyingSecret, WebhookHeaders, verify};
use sealwright_notify::{
    ChannelChange, DeliveryState, Given, NewChannel, NewTarget, NotifyError, Scheme, Severity,
    Target,
};
use sealwright_secret::KeyRing;
use sealwright_store::sql;

use crate::support::{CANARY, World, message, staff, worlds};

fn channel(target: NewTarget) -> NewChannel {
    NewChannel {
        name: "operations".to_owned(),
        tenant: None,
        target,
        quiet: None,
        per_minute: None,
    }
}

/// Everything that this crate keeps, as text.
async fn dump(world: &World) -> String {
    let mut text = String::new();
    for table in [
        "notify_channel",
        "notify_rule",
        "notify_message",
        "notify_delivery",
        "notify_reference",
    ] {
        let rows = world
            .store
            .fetch_all(sql(format!("SELECT * FROM {table}")))
            .await
            .unwrap();
        text.push_str(&format!("{rows:?}\n"));
    }
    text
}

#[tokio::test]
async fn secrets_are_in_no_table_answer_record_or_error() {
    for world in worlds().await {
        let targets = [
            world.slack(),
            world.webhook(),
            NewTarget::Pagerduty {
                routing_key: Given::new(CANARY),
                events_url: Some(world.far.url("")),
            },
            NewTarget::Github {
                repository: "acme/ops".to_owned(),
                token: Given::new(CANARY),
                labels: Vec::new(),
                api_url: Some(world.far.url("")),
            },
            NewTarget::Email {
                host: "127.0.0.1".to_owned(),
                port: Some(1),
                tls: None,
                username: Some("u".to_owned()),
                password: Some(Given::new(CANARY)),
                from: "a@example.com".to_owned(),
                to: vec!["b@example.com".to_owned()],
            },
        ];
        let mut shown = String::new();
        for target in targets {
            shown.push_str(&format!("{target:?}"));
            // The other side repeats what it was given.
            world.far.say([crate::support::Say::With(
                400,
                &[],
                format!("bad key {CANARY}"),
            )]);
            let made = world
                .service
                .create_channel(&staff(), channel(target))
                .await
                .unwrap();
            shown.push_str(&format!(
                "{made:?}{}",
                serde_json::to_string(&made).unwrap()
            ));
            let id = made.channel.id.to_string();
            let test = world.service.test_channel(&staff(), &id).await.unwrap();
            world.drain().await;
            world.far.far.say.lock().unwrap().clear();
            let ended = world
                .service
                .delivery(&staff(), &test.id.to_string())
                .await
                .unwrap();
            assert_ne!(ended.state, DeliveryState::Sent);
            shown.push_str(&format!("{ended:?}"));
        }
        assert!(
            world
                .far
                .got()
                .iter()
                .any(|got| format!("{got:?}").contains(CANARY))
        );
        shown.push_str(&format!("{:?}", world.audit.0.lock().unwrap()));
        shown.push_str(&format!("{:?}", world.service));
        shown.push_str(&dump(&world).await);
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(
            !shown.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn private_addresses_are_refused_when_given_and_when_resolved() {
    for world in worlds().await {
        for bad in [
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fd00::1]/",
            "ftp://127.0.0.1/",
            "http://user:pass@127.0.0.1/",
        ] {
            let target = NewTarget::Webhook {
                url: Given::new(bad),
                signature: None,
                secret: None,
            };
            let error = world
                .service
                .create_channel(&staff(), channel(target))
                .await;
            assert!(
                matches!(
                    error,
                    Err(NotifyError::Invalid {
                        field: "target.url",
                        ..
                    })
                ),
                "{bad}: {error:?}"
            );
        }
        // A name is looked at when it is resolved: `localhost` is loopback, which this one may not reach.
        let port = world.far.address.port();
        let target = NewTarget::Webhook {
            url: Given::new(format!("http://localhost:{port}/")),
            signature: None,
            secret: None,
        };
        let made = world
            .service
            .create_channel(&staff(), channel(target))
            .await
            .unwrap();
        let strict = world.with_egress("");
        strict
            .test_channel(&staff(), &made.channel.id.to_string())
            .await
            .unwrap();
        sealwright_notify::Deliverer::new(strict, "strict")
            .drain()
            .await
            .unwrap();
        let one = world.only().await;
        assert_eq!(one.state, DeliveryState::Dead);
        assert!(
            one.answer
                .as_ref()
                .unwrap()
                .contains("notify.private_targets"),
            "{one:?}"
        );
        assert_eq!(world.far.count(), 0);
    }
}

#[tokio::test]
async fn a_rotated_signing_secret_overlaps_with_the_one_before() {
    for world in worlds().await {
        let made = world
            .service
            .create_channel(
                &staff(),
                channel(NewTarget::Webhook {
                    url: Given::new(world.far.url("/hook")),
                    signature: Some(Scheme::V1a),
                    secret: None,
                }),
            )
            .await
            .unwrap();
        let id = made.channel.id.to_string();
        let first = made.secret.expect("a secret that was made is shown once");
        let key = |channel: &sealwright_notify::Channel| match &channel.target {
            Target::Webhook { public_key, .. } => public_key.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        let first_key = key(&made.channel);
        let hour = 3_600_000_000;
        let rotated = world
            .service
            .rotate_secret(&staff(), &id, None, hour)
            .await
            .unwrap();
        assert_ne!(rotated.secret.as_ref(), Some(&first));
        let second_key = key(&rotated.channel);
        for late in [false, true] {
            if late {
                world.clock.advance(hour);
            }
            world.service.test_channel(&staff(), &id).await.unwrap();
            world.drain().await;
            let got = world.far.got().pop().unwrap();
            let headers = WebhookHeaders {
                id: Some(got.header("webhook-id")),
                timestamp: Some(got.header("webhook-timestamp")),
                signature: Some(got.header("webhook-signature")),
            };
            let now = got.header("webhook-timestamp").parse().unwrap();
            let good = |key: &str| {
                let key = [VerifyingSecret::parse(key).unwrap()];
                verify(&key, &headers, got.body.as_bytes(), now).is_ok()
            };
            assert!(good(&second_key));
            assert_eq!(good(&first_key), !late, "the old one ends with the overlap");
        }
        // A change of the address leaves the signing secret as it is.
        let change = ChannelChange {
            target: Some(NewTarget::Webhook {
                url: Given::new(world.far.url("/elsewhere")),
                signature: None,
                secret: None,
            }),
            ..ChannelChange::default()
        };
        let changed = world
            .service
            .change_channel(&staff(), &id, None, change)
            .await
            .unwrap();
        assert_eq!(key(&changed), second_key);
    }
}

#[tokio::test]
async fn the_sealing_key_can_be_replaced() {
    for world in worlds().await {
        let made = world.everything_to(world.slack()).await;
        let path = world.folder.join("secret.keys");
        let ring = KeyRing::add_to_file(&path).unwrap();
        let service = world.with_ring(ring);
        assert_eq!(service.reseal(&staff()).await.unwrap(), 1);
        assert_eq!(service.reseal(&staff()).await.unwrap(), 0);
        let service = world.with_ring(KeyRing::keep_first_in_file(&path).unwrap());
        service
            .test_channel(&staff(), &made.id.to_string())
            .await
            .unwrap();
        sealwright_notify::Deliverer::new(service, "new key")
            .drain()
            .await
            .unwrap();
        assert_eq!(world.only().await.state, DeliveryState::Sent);
        // A process that still has the old key alone says so, and nothing is lost.
        world.enqueue(&message("a.b", Severity::Error)).await;
        world.drain().await;
        let last = world.deliveries().await.pop().unwrap();
        assert_eq!(last.state, DeliveryState::Dead);
        assert!(
            last.answer.as_ref().unwrap().contains("key file"),
            "{last:?}"
        );
    }
}

#[tokio::test]
async fn changes_are_recorded_and_races_are_told() {
    for world in worlds().await {
        let made = world.channel(world.slack()).await;
        let id = made.id.to_string();
        let rename = |name: &str| ChannelChange {
            name: Some(name.to_owned()),
            ..ChannelChange::default()
        };
        let changed = world
            .service
            .change_channel(&staff(), &id, Some(1), rename("night shift"))
            .await
            .unwrap();
        assert_eq!((changed.version, changed.name.as_str()), (2, "night shift"));
        let lost = world
            .service
            .change_channel(&staff(), &id, Some(1), rename("x"))
            .await;
        assert!(matches!(lost, Err(NotifyError::Changed { found: 2 })));
        world.rule("*", Severity::Info, &made).await;
        let named = world
            .service
            .delete_channel(&staff(), &id)
            .await
            .unwrap_err();
        assert!(named.to_string().contains("a rule"), "{named}");
        let rule = world.service.rules(&staff()).await.unwrap().remove(0);
        world
            .service
            .delete_rule(&staff(), &rule.id.to_string())
            .await
            .unwrap();
        world.service.delete_channel(&staff(), &id).await.unwrap();
        assert!(world.service.channel(&staff(), &id).await.is_err());
        let actions: Vec<_> = world
            .audit
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|a| a.action)
            .collect();
        assert_eq!(
            actions,
            [
                "notify.channel.create",
                "notify.channel.change",
                "notify.rule.create",
                "notify.rule.delete",
                "notify.channel.delete"
            ]
        );
    }
}

#[tokio::test]
async fn bad_values_are_named_by_their_place() {
    for world in worlds().await {
        let email = |to: &str, username: Option<&str>, tls| NewTarget::Email {
            host: "mail.example.com".to_owned(),
            port: None,
            tls,
            username: username.map(str::to_owned),
            password: username.map(|_| Given::new("p")),
            from: "Ops <ops@example.com>".to_owned(),
            to: vec![to.to_owned()],
        };
        let none = Some(sealwright_notify::MailTls::None);
        for (target, field) in [
            (email("nobody", None, None), "target.to"),
            (
                email("a@b.example\r\nBcc: c@d.example", None, None),
                "target.to",
            ),
            (email("a@b.example", Some("u"), none), "target.tls"),
            (
                NewTarget::Github {
                    repository: "../../etc".to_owned(),
                    token: Given::new("t"),
                    labels: Vec::new(),
                    api_url: None,
                },
                "target.repository",
            ),
            (
                NewTarget::Pagerduty {
                    routing_key: Given::new(" "),
                    events_url: None,
                },
                "target.routing_key",
            ),
            (
                NewTarget::Webhook {
                    url: Given::new("https://example.com/"),
                    signature: Some(Scheme::V1a),
                    secret: Some(Given::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
                },
                "target.secret",
            ),
        ] {
            match world
                .service
                .create_channel(&staff(), channel(target))
                .await
            {
                Err(NotifyError::Invalid { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
