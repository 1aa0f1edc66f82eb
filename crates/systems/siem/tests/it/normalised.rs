//! Events are seen under the names of their source and under those of ECS, wherever they are looked at.

use sealwright_core::TenantScope;
use sealwright_siem::service::hunt::Hunt;
use serde_json::{Value, json};

use crate::support::{World, at, event, worlds};

const RULES: &str = r"
title: As the source says it
id: bbbbbbbb-0000-4000-8000-000000000001
level: high
logsource: {product: aws, service: cloudtrail}
detection:
  selection: {eventName: CreateAccessKey, userIdentity.userName: ada}
  condition: selection
---
title: As ECS says it
id: bbbbbbbb-0000-4000-8000-000000000002
level: high
taxonomy: ecs
logsource: {category: iam}
detection:
  selection: {event.category: iam, event.action: CreateAccessKey, user.name: ada}
  condition: selection
---
title: For another source
id: bbbbbbbb-0000-4000-8000-000000000003
level: high
logsource: {product: okta, service: okta}
detection:
  selection: {eventName: CreateAccessKey}
  condition: selection
---
title: Key made
id: bbbbbbbb-0000-4000-8000-000000000004
name: key_made
logsource: {product: aws}
detection:
  selection: {eventName: CreateAccessKey}
  condition: selection
---
title: Many keys of one user, who is called so by ECS
id: bbbbbbbb-0000-4000-8000-000000000005
level: critical
correlation:
  type: event_count
  rules: [key_made]
  group-by: [user.name]
  timespan: 5m
  condition: {gte: 3}
";

fn trail(second: i64, name: &str, user: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventTime": at(second).to_string(),
        "eventSource": "iam.amazonaws.com", "eventName": name, "awsRegion": "eu-central-1",
        "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "IAMUser", "userName": user},
    })
}

async fn filled(world: &World) {
    let rules = &world.siem.rules;
    rules.put_file("own.yml", RULES, "user:test").await.unwrap();
    for second in 0..4 {
        let data = trail(second, "CreateAccessKey", "ada");
        let pushed = event(world.tenant, "aws", second, second, &data);
        world.log.push(pushed);
    }
    let other = trail(5, "ListUsers", "bob");
    world.log.push(event(world.tenant, "aws", 5, 5, &other));
}

#[tokio::test]
async fn the_stream_and_the_history_see_both_names() {
    for (store, world) in worlds().await {
        filled(&world).await;
        world.consume(3).await;
        world.settle(2_000).await;
        let told = world.told(world.tenant).await;
        let fired: Vec<&str> = told.iter().map(|t| &t[35..36]).collect();
        assert_eq!(fired, ["1", "2", "5"], "{}: {told:?}", store.name);
        let alerts = world.alerts(world.tenant).await;
        let counted = alerts.iter().find(|a| a.body.window.is_some()).unwrap();
        let window = counted.body.window.as_ref().unwrap();
        assert_eq!(window.group, [("user.name".to_owned(), "ada".to_owned())]);
        assert!(
            counted
                .body
                .entities
                .iter()
                .any(|e| e.kind == "address" && e.value == "198.51.100.7"),
            "{:?}",
            counted.body.entities
        );
        let (_, hunted) = world.hunted().await;
        assert_eq!(hunted, told, "{}", store.name);
    }
}

#[tokio::test]
async fn hunting_sees_both_names() {
    let (_store, world) = worlds().await.remove(0);
    filled(&world).await;
    let rule = |source: &str| {
        format!(
            "title: t\nlogsource: {source}\ndetection: {{a: {{eventName: ListUsers}}, condition: a}}\n"
        )
    };
    for (query, rule, expected) in [
        ("user.name:ada", None, 4),
        ("userIdentity.userName:ada", None, 4),
        ("event.outcome:success eventName:ListUsers", None, 1),
        ("not user.name:ada", None, 1),
        ("", Some(rule("{product: aws}")), 1),
        ("", Some(rule("{product: okta}")), 0),
    ] {
        let hunt = Hunt {
            query: query.to_owned(),
            rule,
            scope: TenantScope::One(world.tenant),
            from: at(0),
            to: at(1_000),
            below: None,
            limit: 10,
        };
        let found = world.siem.hunter.hunt(&hunt).await.unwrap();
        assert_eq!(found.total, expected, "{query} {:?}", hunt.rule);
    }
}
