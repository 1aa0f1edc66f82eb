//! Sources: who may, what is checked, names, versions, secrets.

use std::collections::BTreeMap;

use sealwright_access::Principal;
use sealwright_core::TenantScope;
use sealwright_prometheus::{
    Given, Kind, Limits, NewCredential, NewSource, PrometheusError, SourceChange, Take,
};
use sealwright_secret::KeyRing;

use crate::support::{NOON, at, service, staff, worlds};

fn pairs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn what_is_not_acceptable_is_named() {
    type Edit = fn(&mut NewSource);
    let cases: [(&str, Edit); 28] = [
        ("name", |n| n.name = " ".to_owned()),
        ("name", |n| n.name = "a\nb".to_owned()),
        ("url", |n| n.url = String::new()),
        ("expression", |n| n.expression = "rate(x[5m])".to_owned()),
        ("expression", |n| n.expression = "x[5m]".to_owned()),
        ("expression", |n| n.expression = String::new()),
        ("take", |n| n.take = Some(Take::Max)),
        ("interval_seconds", |n| n.interval_seconds = Some(7)),
        ("interval_seconds", |n| n.interval_seconds = Some(1)),
        ("interval_seconds", |n| n.interval_seconds = Some(0)),
        ("interval_seconds", |n| n.interval_seconds = Some(172_800)),
        ("delay_seconds", |n| n.delay_seconds = Some(90_000)),
        ("catch_up_seconds", |n| n.catch_up_seconds = Some(60)),
        ("catch_up_seconds", |n| n.catch_up_seconds = Some(u32::MAX)),
        ("tenant_label", |n| n.tenant_label = None),
        ("tenant_label", |n| n.tenant = Some("acme".to_owned())),
        ("event_type", |n| n.event_type = "a b".to_owned()),
        ("event_type", |n| {
            n.event_type = "sealwright.audit.action.v1".to_owned()
        }),
        ("event_type", |n| {
            n.event_type = "sealwright.usage.storage.v1".to_owned()
        }),
        ("value_field", |n| n.value_field = Some("Value".to_owned())),
        ("value_field", |n| {
            n.value_field = Some("prometheus".to_owned())
        }),
        ("factor", |n| n.factor = Some("-1".to_owned())),
        ("factor", |n| n.factor = Some("NaN".to_owned())),
        ("labels", |n| n.labels = pairs(&[("value", "x")])),
        ("fixed", |n| {
            n.labels = pairs(&[("a", "x")]);
            n.fixed = pairs(&[("a", "y")]);
        }),
        ("fixed", |n| n.fixed = pairs(&[("a", "")])),
        ("from", |n| n.from = Some("2027-01-01T00:00:00Z".to_owned())),
        ("from", |n| n.from = Some("yesterday".to_owned())),
    ];
    for world in worlds().await {
        for (field, edit) in cases {
            let mut new = world.counter("x");
            edit(&mut new);
            match world.service.create(&staff(), &new).await {
                Err(PrometheusError::Invalid { field: found, .. }) if found == field => {}
                other => panic!("{field}: {other:?}"),
            }
        }
        for credential in [
            NewCredential::Bearer {
                token: Given::new(""),
            },
            NewCredential::Bearer {
                token: Given::new("a\r\nX-Other: b"),
            },
            NewCredential::Basic {
                username: "a:b".to_owned(),
                password: Given::new("c"),
            },
        ] {
            let mut new = world.counter("x");
            new.credential = credential;
            let error = world.service.create(&staff(), &new).await.unwrap_err();
            assert!(error.to_string().starts_with("credential/"), "{error}");
        }
        let mut new = world.counter("x");
        (new.tenant_label, new.tenant) = (None, Some("nobody".to_owned()));
        let error = world.service.create(&staff(), &new).await.unwrap_err();
        assert!(matches!(
            error,
            PrometheusError::NotFound { kind: "tenant", .. }
        ));
        // Other expressions are for the kind that takes them.
        let mut new = world.counter("x");
        new.kind = Kind::Expression;
        new.expression = "sum(rate(x[5m]))".to_owned();
        world.create(&new).await;
    }
}

#[tokio::test]
async fn a_tenants_people_do_not_see_sources() {
    for world in worlds().await {
        let source = world.create(&world.counter("requests")).await;
        let id = source.id.to_string();
        let tenant = Principal {
            tenants: TenantScope::One(world.acme),
            ..Principal::local()
        };
        let refused = |error: PrometheusError| matches!(error, PrometheusError::Refused(_));
        let service = &world.service;
        assert!(refused(
            service.sources(&tenant, None, None).await.unwrap_err()
        ));
        assert!(refused(service.source(&tenant, &id).await.unwrap_err()));
        assert!(refused(
            service.windows(&tenant, &id, None, None).await.unwrap_err()
        ));
        assert!(refused(service.quiet(&tenant, &id, 5).await.unwrap_err()));
        assert!(refused(service.totals(&tenant, None).await.unwrap_err()));
        assert!(refused(
            service
                .create(&tenant, &world.counter("x"))
                .await
                .unwrap_err()
        ));
        assert!(refused(service.delete(&tenant, &id).await.unwrap_err()));
        assert!(refused(
            service.rewind(&tenant, &id, NOON).await.unwrap_err()
        ));
        assert!(refused(service.retry(&tenant, &id).await.unwrap_err()));
        let change = SourceChange::default();
        assert!(refused(
            service
                .change(&tenant, &id, None, &change)
                .await
                .unwrap_err()
        ));
        // An operator sees, and decides nothing: what is reached is reached from the inside.
        let operator = Principal {
            roles: vec![sealwright_access::Role::Operator],
            ..Principal::local()
        };
        assert!(service.source(&operator, &id).await.is_ok());
        assert!(refused(service.delete(&operator, &id).await.unwrap_err()));
    }
}

#[tokio::test]
async fn names_are_unique_and_versions_are_kept() {
    for world in worlds().await {
        let first = world.create(&world.counter("first")).await;
        let second = world.create(&world.counter("second")).await;
        let again = world
            .service
            .create(&staff(), &world.counter("first"))
            .await;
        assert!(matches!(again, Err(PrometheusError::Conflict(_))));
        let name = |name: &str| SourceChange {
            name: Some(name.to_owned()),
            ..SourceChange::default()
        };
        let id = second.id.to_string();
        let service = &world.service;
        let taken = service.change(&staff(), &id, None, &name("first")).await;
        assert!(matches!(taken, Err(PrometheusError::Conflict(_))));
        let same = service
            .change(&staff(), &id, Some(1), &name("second"))
            .await
            .unwrap();
        assert_eq!(same.version, 2);
        let late = service.change(&staff(), &id, Some(1), &name("third")).await;
        assert!(matches!(late, Err(PrometheusError::Changed { found: 2 })));
        // A page of one, and the next.
        let page = service.sources(&staff(), None, Some(1)).await.unwrap();
        assert_eq!(page.items[0].id, second.id);
        let next = service
            .sources(&staff(), page.next.as_deref(), Some(1))
            .await
            .unwrap();
        assert_eq!((next.items[0].id, next.next), (first.id, None));
        assert!(
            service
                .sources(&staff(), Some("nonsense"), None)
                .await
                .is_err()
        );
        for id in ["prs_", "made-up", "prs_01990000000070008000000000000000"] {
            let found = service.source(&staff(), id).await;
            assert!(
                matches!(found, Err(PrometheusError::NotFound { .. })),
                "{id}"
            );
        }
    }
}

#[tokio::test]
async fn a_source_that_is_off_is_asked_nothing_and_catches_up() {
    for world in worlds().await {
        let labels = [("__name__", "requests_total"), ("tenant", "acme")];
        world
            .fake
            .put(&labels, &[(-10, "1"), (30, "11"), (90, "21")]);
        let source = world.create(&world.counter("requests")).await;
        let id = source.id.to_string();
        let switch = |enabled| SourceChange {
            enabled: Some(enabled),
            ..SourceChange::default()
        };
        let off = world
            .service
            .change(&staff(), &id, None, &switch(false))
            .await
            .unwrap();
        assert_eq!(off.state(at(NOON)).as_str(), "disabled");
        assert!(world.service.retry(&staff(), &id).await.is_err());
        assert_eq!(world.good(&source, 120).await.windows, 0);
        assert_eq!(world.fake.got().len(), 0);
        world
            .service
            .change(&staff(), &id, None, &switch(true))
            .await
            .unwrap();
        assert_eq!(world.good(&source, 120).await.events, 2);
    }
}

#[tokio::test]
async fn credentials_are_sealed_again_with_a_new_key() {
    for world in worlds().await {
        let mut new = world.counter("token");
        new.credential = NewCredential::Bearer {
            token: Given::new("a-token"),
        };
        let source = world.create(&new).await;
        KeyRing::add_to_file(&world.store.path().join("secret.keys")).unwrap();
        let again = service(
            &world.store,
            &world.clock,
            &world.directory,
            "loopback",
            Limits::default(),
        );
        assert_eq!(again.reseal(&staff()).await.unwrap(), 1);
        assert_eq!(again.reseal(&staff()).await.unwrap(), 0);
        let puller = sealwright_prometheus::Puller::new(again, world.log.clone() as _);
        world.clock.advance(60_000_000);
        let pulled = puller.pull(source.id, 1, &|| true).await.unwrap();
        assert_eq!(pulled.error, None);
        assert_eq!(world.fake.got()[0].authorization, "Bearer a-token");
    }
}
