//! Events with the fields of ECS beside what their source wrote.

use std::sync::LazyLock;

use proptest::prelude::*;
use sealwright_ecs::beside::{LOGSOURCE_FIELDS, provides};
use sealwright_ecs::{Context, Normaliser};
use sealwright_sigma::logsource;
use sealwright_sigma::value::{Found, lookup};
use serde_json::{Map, Value, json};

use crate::shared;

static NORMALISER: LazyLock<Normaliser> = LazyLock::new(|| Normaliser::new(Vec::new()).unwrap());

fn context() -> Context<'static> {
    Context {
        received: 1_795_640_820_000_000,
        ..Context::default()
    }
}

fn beside(event: &Value) -> Value {
    let made = NORMALISER.beside(&event.to_string(), &context()).unwrap();
    serde_json::from_str(&made.json).unwrap_or_else(|e| panic!("{e}: {}", made.json))
}

fn text(event: &Value, name: &str) -> Option<String> {
    let found = lookup(event, name);
    assert!(found.values.len() <= 1, "{name}: {found:?}");
    Some(found.values.first()?.text()?.to_owned())
}

#[test]
fn rules_find_the_names_of_the_source_and_those_of_ecs() {
    let event = beside(&json!({
        "eventVersion": "1.08", "eventTime": "2026-11-25T21:07:00Z", "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser", "sourceIPAddress": "198.51.100.7",
        "userIdentity": {"userName": "ada", "type": "IAMUser"}, "requestParameters": {"userName": "eve"},
    }));
    for (name, value) in [
        ("eventName", "CreateUser"),
        ("userIdentity.userName", "ada"),
        ("event.action", "CreateUser"),
        ("user.name", "ada"),
        ("user.target.name", "eve"),
        ("event.outcome", "success"),
        ("event.dataset", "aws.cloudtrail"),
        ("aws.cloudtrail.userIdentity.type", "IAMUser"),
        ("sealwright.logsource.product", "aws"),
        ("sealwright.logsource.service", "cloudtrail"),
    ] {
        assert_eq!(text(&event, name).as_deref(), Some(value), "{name}");
    }
    assert!(!lookup(&event, "sealwright.logsource.category").present);
}

#[test]
fn a_name_that_the_source_uses_is_its_own() {
    // `action` and `user` of GitHub; `message` and `host` of anything.
    let event = beside(&json!({
        "@timestamp": 1_795_640_820_000_i64, "action": "org.add_member", "actor": "ada", "user": "eve",
        "org": "acme", "created_at": 1_795_640_820_000_i64, "_document_id": "x",
    }));
    assert_eq!(text(&event, "user").as_deref(), Some("eve"));
    assert_eq!(text(&event, "@timestamp").as_deref(), Some("1795640820000"));
    assert_eq!(text(&event, "user.name").as_deref(), Some("ada"));
    let own = json!({"user": {"name": null}, "event.category": "mine", "source": [{"ip": "not one"}],
        "client_ip": "8.8.8.8", "username": "ada", "sealwright.logsource.product": "ours"});
    let event = beside(&own);
    for name in [
        "user.name",
        "event.category",
        "source.ip",
        "sealwright.logsource.product",
    ] {
        assert_eq!(lookup(&event, name), lookup(&own, name), "{name}");
    }
}

#[test]
fn the_time_of_receipt_is_not_the_time_of_the_event() {
    let event = beside(&json!({"a": 1}));
    assert!(!lookup(&event, "@timestamp").present, "{event}");
    let event = beside(
        &json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t",
        "time": "2026-11-25T21:00:00Z", "data": {"a": 1}}),
    );
    assert_eq!(
        text(&event, "@timestamp").as_deref(),
        Some("2026-11-25T21:00:00.000Z")
    );
    assert_eq!(
        text(&event, "a").as_deref(),
        Some("1"),
        "the data is what the source wrote"
    );
    assert!(!lookup(&event, "specversion").present);
}

#[test]
fn events_of_this_program_are_read_with_their_envelope() {
    let event = beside(&json!({"specversion": "1.0", "id": "7", "source": "s",
        "type": "sealwright.usage.ai.v1", "time": "2026-11-25T21:00:00Z",
        "data": {"user": "ada", "input_tokens": 3, "output_tokens": 4, "model": "m"}}));
    assert_eq!(text(&event, "user.name").as_deref(), Some("ada"));
    assert_eq!(text(&event, "sealwright.ai.tokens").as_deref(), Some("7"));
    assert_eq!(text(&event, "model").as_deref(), Some("m"));
    let event = beside(&json!({"specversion": "1.0", "id": "7", "source": "s",
        "type": "sealwright.ecs.event.v1", "data": {"event": {"action": "x"}, "user": {"email": "a@b.example"}}}));
    assert_eq!(text(&event, "event.action").as_deref(), Some("x"));
    assert_eq!(text(&event, "user.name").as_deref(), Some("a@b.example"));
}

#[test]
fn only_the_log_source_is_stated_where_nothing_else_is_asked_for() {
    let text = r#" {"eventName":"X","eventSource":"s3.amazonaws.com","n":1.50} "#;
    let stated = NORMALISER.sourced(text).unwrap().unwrap();
    assert!(stated.ends_with(r#""eventName":"X","eventSource":"s3.amazonaws.com","n":1.50}"#));
    let value: Value = serde_json::from_str(&stated).unwrap();
    assert_eq!(value["sealwright.logsource.product"], "aws");
    assert_eq!(NORMALISER.sourced(r#"{"a":1}"#).unwrap(), None);
    assert!(NORMALISER.sourced("{\"a\":").is_err());
    assert_eq!(LOGSOURCE_FIELDS, logsource::STATED);
    assert!(provides("user.name") && provides("aws.cloudtrail.userIdentity.arn"));
    assert!(provides("source.geo.location.lat"));
    assert!(!provides("CommandLine") && !provides("eventName") && !provides("EventID"));
}

/// The paths of everything in an event, as rules name it.
fn paths(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                paths(value, &path, out);
                out.push(path);
            }
        }
        Value::Array(list) => list.iter().for_each(|v| paths(v, at, out)),
        _ => {}
    }
}

fn same(own: &Found<'_>, made: &Found<'_>) -> bool {
    own.present == made.present && own.values == made.values
}

/// What a rule for the source finds is what it found before.
fn keeps(own: &Value) {
    let made = beside(own);
    let mut names = Vec::new();
    paths(own, "", &mut names);
    for name in &names {
        let (a, b) = (lookup(own, name), lookup(&made, name));
        assert!(same(&a, &b), "{name}: {a:?} {b:?} in {made}");
    }
}

#[test]
fn given_events_keep_what_their_sources_say() {
    let Some(data) = shared::data() else { return };
    let mut seen = 0;
    for folder in ["panther-rule-tests", "sigma-regression/events"] {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "rules.jsonl" || !name.contains("json") {
                continue;
            }
            for line in shared::lines(&path) {
                let line: Value = serde_json::from_str(&line).unwrap();
                let event = line.get("event").unwrap_or(&line);
                if event.is_object() {
                    keeps(event);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 1_300, "{seen}");
}

fn arbitrary() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z.@0-9 \"\\\\]{0,12}".prop_map(Value::from),
        Just(json!("192.0.2.7")),
    ];
    let key = prop_oneof![
        "[a-z]{1,3}",
        prop::sample::select(vec![
            "user",
            "name",
            "user.name",
            "source",
            "ip",
            "source.ip",
            "event",
            "category",
            "action",
            "message",
            "host",
            "eventName",
            "eventSource",
            "aws",
            "cloudtrail",
            "aws.cloudtrail",
            "aws.cloudtrail.x",
            "EventID",
            "Channel",
            "winlog",
            "id",
            "time",
            "@timestamp",
            "verb",
            "sourceIPAddress",
            "userIdentity",
            "userName",
            "related",
            "user.name.x",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn no_event_loses_or_changes_what_its_source_says(event in arbitrary()) {
        if event.is_object() {
            keeps(&event);
        }
    }
}
