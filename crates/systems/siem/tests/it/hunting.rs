//! Hunting over stored events.

use sealwright_core::TenantScope;
use sealwright_siem::service::SiemError;
use sealwright_siem::service::hunt::{Found, Hunt};

use crate::support::{World, at, event, failure, key_made, worlds};

async fn hunt(
    world: &World,
    scope: TenantScope,
    query: &str,
    rule: Option<&str>,
) -> Result<Found, SiemError> {
    world
        .siem
        .hunter
        .hunt(&Hunt {
            query: query.to_owned(),
            rule: rule.map(str::to_owned),
            scope,
            from: at(0),
            to: at(1_000),
            below: None,
            limit: 10,
        })
        .await
}

#[tokio::test]
async fn terms_fields_and_rules_find_the_same_as_detection() {
    let (_store, world) = worlds().await.remove(0);
    let (t, other) = (world.tenant, world.other);
    for second in 0..30 {
        let user = ["ada", "bob", "zoe"][second as usize % 3];
        world
            .log
            .push(event(t, "idp", second, second, &failure(user, "192.0.2.1")));
        world
            .log
            .push(event(other, "idp", second, second, &key_made(user)));
    }
    let scope = TenantScope::One(t);
    for (query, expected) in [
        ("", 30),
        ("user.name:ada", 10),
        ("user.name:a* or user.name:zoe", 20),
        ("not user.name:ada event.outcome:failure", 20),
        ("ZOE", 10),
        ("-zoe", 20),
        ("source:idp type:test.event", 30),
        ("source:vpn", 0),
        ("event.action:create-key", 0),
    ] {
        let found = hunt(&world, scope, query, None).await.unwrap();
        assert_eq!(found.total, expected, "{query}");
        assert_eq!(found.hits.len(), expected.min(10) as usize, "{query}");
        assert_eq!(found.next.is_some(), expected > 10, "{query}");
        assert!(found.complete, "{query}");
        let sum: u64 = found.histogram.iter().map(|(_, n)| n).sum();
        assert_eq!(sum, expected, "{query}");
    }
    let rule = "title: t\nlogsource: {}\ndetection: {a: {user.name: bob}, condition: a}\n";
    let found = hunt(&world, scope, "", Some(rule)).await.unwrap();
    assert_eq!(found.total, 10);
    assert_eq!(found.facets["user"], [("bob".to_owned(), 10)]);
    let all = hunt(&world, TenantScope::All, "", None).await.unwrap();
    assert_eq!(all.total, 60);
    let wrong = hunt(&world, scope, "user.name:", None)
        .await
        .unwrap_err()
        .to_string();
    assert!(wrong.starts_with("query: column 11"), "{wrong}");
}

/// Each page goes on where the last one ended.
#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let (_store, world) = worlds().await.remove(0);
    let t = world.tenant;
    const EVENTS: i64 = 1_200;
    for n in 0..EVENTS {
        let user = if n == 3 { "rare" } else { "ada" };
        let second = n / 10;
        world
            .log
            .push(event(t, "idp", second, second, &failure(user, "192.0.2.1")));
    }
    let mut hunt = Hunt {
        query: String::new(),
        rule: None,
        scope: TenantScope::One(t),
        from: at(0),
        to: at(1_000),
        below: None,
        limit: 500,
    };
    let mut seen = Vec::new();
    loop {
        let found = world.siem.hunter.hunt(&hunt).await.unwrap();
        seen.extend(found.hits.iter().map(|hit| hit.event.offset));
        hunt.below = found.next;
        if hunt.below.is_none() {
            break;
        }
    }
    let all: Vec<u64> = (0..EVENTS as u64).rev().collect();
    assert_eq!(seen, all);
}
