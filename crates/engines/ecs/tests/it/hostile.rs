//! Input that means harm, and laws that hold for all input.

use proptest::prelude::*;
use sealwright_ecs::input::{lines, otlp, otlp_proto, syslog, unfold};
use sealwright_ecs::{Context, Mapping, Normaliser, Refusal, validate};
use serde_json::{Value, json};
use std::sync::LazyLock;

static NORMALISER: LazyLock<Normaliser> = LazyLock::new(|| Normaliser::new(Vec::new()).unwrap());

const CONTEXT: Context<'static> = Context {
    hint: None,
    received: 1_795_640_820_000_000,
    tenant: None,
    geo: None,
};

#[test]
fn what_is_no_event_is_refused_with_its_place() {
    let refuse = |text: &str| NORMALISER.normalise(text, &CONTEXT).unwrap_err();
    assert_eq!(refuse("[]"), Refusal::NotAnObject);
    assert_eq!(refuse(""), Refusal::NotAnObject);
    assert!(matches!(
        refuse(&format!(
            "{}1{}",
            "{\"a\":".repeat(10_000),
            "}".repeat(10_000)
        )),
        Refusal::TooDeep { .. }
    ));
    let Refusal::Syntax { line, column, .. } = refuse("{\"eventName\":\n NaN}") else {
        panic!()
    };
    assert_eq!((line, column), (2, 2));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(10 << 20));
    assert!(matches!(refuse(&large), Refusal::TooLarge(_)));
}

#[test]
fn a_bad_line_does_not_affect_its_neighbours() {
    let bytes = b"\xef\xbb\xbf{\"a\":1}\n\n{\"b\":\"\xff\"}\r\n{\"c\":3}";
    let found: Vec<(usize, bool)> = lines::lines(bytes)
        .map(|l| (l.number, l.text.is_ok()))
        .collect();
    assert_eq!(found, [(1, true), (3, false), (4, true)]);
}

#[test]
fn values_that_do_not_fit_stay_with_the_source() {
    let text = json!({"eventName": "X", "eventSource": "s3.amazonaws.com", "sourceIPAddress": "ec2.amazonaws.com",
        "eventTime": "not a time", "awsRegion": ["a", "b"], "userIdentity": "odd", "errorCode": {"x": 1}});
    let event = NORMALISER.normalise(&text.to_string(), &CONTEXT).unwrap();
    let ecs: Value = serde_json::from_str(&event.json).unwrap();
    assert!(!event.timed);
    assert_eq!(event.time, CONTEXT.received);
    assert_eq!(ecs["source"]["address"], "ec2.amazonaws.com");
    assert_eq!(ecs["source"].get("ip"), None);
    let kept = &ecs["aws"]["cloudtrail"];
    assert_eq!(kept["eventTime"], "not a time");
    assert_eq!(kept["awsRegion"], json!(["a", "b"]));
    assert_eq!(kept["userIdentity"], "odd");
    assert_eq!(kept["errorCode"], json!({"x": 1}));
    assert_eq!(validate(&ecs), []);
}

#[test]
fn a_name_that_occurs_twice_hides_nothing() {
    let text = r#"{"eventName":"A","eventSource":"s3.amazonaws.com","eventName":"B"}"#;
    let event = NORMALISER.normalise(text, &CONTEXT).unwrap();
    assert!(
        event.json.contains("\"action\":\"A\"") && event.json.contains("\"eventName\":\"B\""),
        "{}",
        event.json
    );
}

#[test]
fn mappings_that_are_wrong_say_so() {
    let base = "name = \"x\"\nmodule = \"x\"\nnamespace = \"generic\"\n";
    for (rest, part) in [
        ("[fields]\n\"user.nam\" = \"a\"", "user.nam"),
        ("[fields]\n\"user.name\" = \"a | louder\"", "louder"),
        ("[constants]\n\"event.kind\" = \"happening\"", "happening"),
        ("[constants]\n\"event.kind\" = [\"event\"]", "no list"),
        ("[[pattern]]\nfrom = \"m\"\nmatch = '('\n", "unclosed group"),
        (
            "[[pattern]]\nfrom = \"m\"\nmatch = '(?<a>x)'\nset = { \"user.name\" = \"$b\" }\n",
            "group `b`",
        ),
        ("[[lookup]]\nfrom = \"m\"\nvalues.\"a|a\" = {}\n", "twice"),
        ("colour = 1", "colour"),
    ] {
        let error = Mapping::parse("x.toml", &format!("{base}{rest}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// Any JSON, with names that mappings look for.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~\u{e4}\"\\\\\n]{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("1.2.3.4"),
            Just("2026-11-25T21:07:00Z"),
            Just("success"),
            Just("Create User"),
            Just("iam"),
            Just("start"),
            Just("1700000000"),
            Just("a@b.c"),
            Just("-"),
            Just("ConsoleLogin"),
            Just("user.session.start"),
            Just("SignInLogs"),
            Just("Security"),
            Just("4624")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let name = prop_oneof![
            prop::sample::select(vec![
                "eventName",
                "eventSource",
                "userIdentity",
                "eventTime",
                "actor",
                "eventType",
                "target",
                "category",
                "properties",
                "action",
                "type",
                "id",
                "data",
                "client_id",
                "verb",
                "user",
                "Event",
                "System",
                "EventData",
                "EventID",
                "Channel",
                "message",
                "process",
                "name",
                "event",
                "source",
                "ip",
                "@timestamp",
                "ecs",
                "version",
                "event.category",
                "event.type",
                "outcome",
                "specversion",
                "time",
                "log",
                "syslog",
                "geo",
                "location",
                "lat",
                "lon",
                "labels",
                "sealwright",
                "related",
                "resourceLogs",
                "records",
                "Records",
                "effective_at",
                "repository"
            ])
            .prop_map(str::to_owned),
            "[a-zA-Z.@#]{0,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|l| Value::Object(l.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever object comes in, what goes out is JSON, is ECS, and names each member once.
    #[test]
    fn every_object_becomes_a_valid_event(v in value(), hint in prop::sample::select(vec![
        "", "aws.cloudtrail", "okta.system", "azure.signin", "azure.audit", "azure.activity", "o365.audit", "github.audit",
        "github.webhook", "google_workspace.audit", "auth0.logs", "kubernetes.audit", "openai.audit", "openai.usage",
        "anthropic.activity", "anthropic.usage", "system.auth", "nginx.access", "nginx.json", "nginx.error", "windows",
        "sealwright.audit", "sealwright.usage.ai.v1", "ecs", "generic",
    ])) {
        prop_assume!(v.is_object());
        let context = Context { hint: Some(hint), ..CONTEXT };
        let event = NORMALISER.normalise(&v.to_string(), &context).unwrap();
        let ecs: Value = serde_json::from_str(&event.json).unwrap();
        prop_assert_eq!(validate(&ecs), [], "{} -> {}", v, event.json);
        // Once more, as what it is now: nothing changes its kind or its time.
        let again = NORMALISER.normalise(&event.json, &Context { hint: Some("ecs"), ..CONTEXT }).unwrap();
        prop_assert_eq!(validate(&serde_json::from_str(&again.json).unwrap()), []);
        prop_assert_eq!(again.time / 1000, event.time / 1000);
    }

    #[test]
    fn no_bytes_break_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = lines::lines(&bytes).count();
        let text = String::from_utf8_lossy(&bytes);
        let _ = NORMALISER.normalise(&text, &CONTEXT);
        let _ = otlp::logs(&text, 0);
        // What can be read of a binary request is a request in JSON.
        if let Ok(json) = otlp_proto::to_json(&bytes) {
            prop_assert!(otlp::logs(&json, 0).is_ok(), "{}", json);
        }
        let _ = NORMALISER.beside(&text, &CONTEXT);
        let _ = NORMALISER.sourced(&text);
        let _ = unfold::unfold(&text);
        let event = NORMALISER.line(&text, &CONTEXT).unwrap();
        prop_assert_eq!(validate(&serde_json::from_str(&event.json).unwrap()), []);
    }

    #[test]
    fn no_text_like_syslog_breaks_it(text in "(<[0-9]{1,4}>)?(1 )?([A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8}|[0-9T:.Z-]{10,24}|-)? ?[a-z-]{0,6} [a-z\\[\\]:0-9]{0,9} ?(\\[[ -~]{0,40}\\]?)?[ -~]{0,20}") {
        if let Some(m) = syslog::parse(&text, CONTEXT.received) {
            serde_json::from_str::<Value>(&m.to_json()).unwrap();
        }
        let event = NORMALISER.line(&text, &CONTEXT).unwrap();
        prop_assert_eq!(validate(&serde_json::from_str(&event.json).unwrap()), []);
    }

    #[test]
    fn objects_like_otlp_become_events(v in value()) {
        let request = json!({"resourceLogs": [{"resource": v.clone(), "scopeLogs": [{"logRecords": [{"body": v.clone(),
            "attributes": [{"key": "user.name", "value": v}]}]}]}]});
        for e in otlp::logs(&request.to_string(), 0).unwrap() {
            let event = NORMALISER.normalise(&e, &CONTEXT).unwrap();
            prop_assert_eq!(validate(&serde_json::from_str(&event.json).unwrap()), []);
        }
    }
}
