//! What terms say of an event, against the rules' own evaluator.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use proptest::prelude::*;
use sealwright_core::{Digest, TenantId, TenantScope};
use sealwright_events::{
    Answer, EventSearch, EventTerms as _, History, HistoryError, Question, StoredEvent,
};
use sealwright_siem::model::RuleFile;
use sealwright_siem::service::detect::Terms;
use sealwright_siem::service::hunt::{FieldTerms, Hunt, Hunter};
use sealwright_siem::service::retro::{self, Span};
use sealwright_siem::service::ruleset::{Ruleset, Settings_};
use sealwright_terms::{Builder, Segment};
use serde_json::{Value, json};

use crate::support::{EachLookedAt, Memory, at, event};

/// Answers by looking, and compares what terms say.
struct Judge {
    events: Vec<StoredEvent>,
    /// Events that terms decided about, and all.
    decided: Mutex<(usize, usize)>,
    /// The segment of the events, and those of which their terms do not say all.
    built: OnceLock<(Vec<u8>, BTreeSet<usize>)>,
}

impl Judge {
    fn new(events: Vec<StoredEvent>) -> Self {
        Self {
            events,
            decided: Mutex::default(),
            built: OnceLock::new(),
        }
    }

    fn build(&self) -> (Vec<u8>, BTreeSet<usize>) {
        let mut builder = Builder::new();
        let mut unsure = BTreeSet::new();
        for (row, event) in self.events.iter().enumerate() {
            assert!(builder.row(event.time.0, event.offset, event.received_at.0));
            builder.words(&String::from_utf8_lossy(&event.json).to_lowercase());
            if !FieldTerms.add(event, &mut builder) {
                unsure.insert(row);
            }
        }
        (builder.finish(&FieldTerms.version()), unsure)
    }
}

#[async_trait]
impl EventSearch for Judge {
    async fn ask(&self, question: &Question) -> Result<Answer, HistoryError> {
        let (bytes, unsure) = self.built.get_or_init(|| self.build());
        let segment = Segment::open(bytes.as_slice()).unwrap();
        let verdict = question.condition.ask(&segment).unwrap();
        let mut look = (question.look)();
        let mut decided = self.decided.lock().unwrap();
        for (row, event) in self.events.iter().enumerate() {
            decided.1 += 1;
            if unsure.contains(&row) || verdict.maybe.contains(row) {
                continue;
            }
            decided.0 += 1;
            assert_eq!(
                verdict.yes.contains(row),
                look(event).is_some(),
                "{:?} on {}",
                question.condition,
                String::from_utf8_lossy(&event.json)
            );
        }
        Ok(Answer::default())
    }
}

fn tenant() -> TenantId {
    format!("ten_{:032x}", 7).parse().unwrap()
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "ada", "Ada", "ADA.lovelace", "bob", "", "500", "5e2", "true", "10.0.0.7", "10.0.0.8", "::1",
            "a*b", "a\\b", "é", "É", "GetObject", "ConsoleLogin", "null",
            " AWS", "aws", "windows", "linux", " ", "ÅWS", "security", "authentication",
        ]).prop_map(Value::from),
        2 => prop::sample::select(vec![json!(500), json!(500.0), json!(-1), json!(0.5), json!(1e3)]),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => "[ab]{3}".prop_map(|s| Value::from(s.repeat(100))),
    ]
}

const NAMES: [&str; 11] = [
    "user",
    "name",
    "source",
    "ip",
    "eventName",
    "code",
    "@timestamp",
    "user.name",
    "sealwright.logsource.product",
    "sealwright.logsource.category",
    "Channel",
];

fn value() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(NAMES.to_vec());
    scalar().prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect()),
        ]
    })
}

fn data() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(NAMES.to_vec());
    prop_oneof![
        8 => prop::collection::vec((name, value()), 0..6)
            .prop_map(|members| members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        1 => Just(json!("no object")),
        1 => Just(json!({"event": {"category": ["authentication"], "outcome": "failure"},
            "user": {"name": "ada"}, "source": {"ip": "10.0.0.7"}})),
        1 => Just(json!({"eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com", "eventVersion": "1.08",
            "userIdentity": {"type": "IAMUser", "userName": "ada"}, "sourceIPAddress": "10.0.0.7",
            "responseElements": {"ConsoleLogin": "Failure"}, "awsRegion": "eu-west-1"})),
        1 => scalar().prop_map(|stated| json!({"Channel": "Security", "EventID": 4688, "eventName": "x",
            "sealwright.logsource.product": stated})),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let field = || {
        prop::sample::select(vec![
            "user",
            "user.name",
            "source.ip",
            "eventName",
            "code",
            "name",
            "@timestamp",
            "event.action",
            "user.user.name",
            "event.outcome",
            "none",
        ])
    };
    let words = vec![
        "ada",
        "*",
        "a*",
        "?da",
        "*b",
        "500",
        "5*",
        "\"\\\"\"",
        "true",
        "10.0.0.7",
        "É",
        "a\\*b",
        "getobject",
    ];
    let leaf = prop_oneof![
        6 => (field(), prop::sample::select(words)).prop_map(|(f, v)| format!("{f}:{v}")),
        2 => (field(), prop::sample::select(vec![">", ">=", "<", "<="]), -2_i32..600)
            .prop_map(|(f, o, n)| format!("{f}{o}{n}")),
        2 => prop::sample::select(vec!["ada", "*ada", "ada*", "10.0.0.", "\"10.0.0\"", "eventName", "é"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|l| format!("({})", l.join(" and "))),
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|l| format!("({})", l.join(" or "))),
            inner.prop_map(|q| format!("not {q}")),
        ]
    })
}

const RULES: &[&str] = &[
    "{code: 500}",
    "{code: '500'}",
    "{code: 5e2}",
    "{code|gte: 1}",
    "{user.name|cased: Ada}",
    "{user.name|startswith: [a, B]}",
    "{user.name|endswith: DA}",
    "{user.name|contains|all: [a, d]}",
    "{user.name|re: '^A'}",
    "{user.name|neq: ada}",
    "{source.ip|cidr: 10.0.0.0/29}",
    "{source.ip|cidr: ['10.0.0.8', '::/0']}",
    "{user.name: null}",
    "{user.name: true}",
    "{user.name|exists: false}",
    "{user.name|fieldref: name}",
    "{'@timestamp|year': 2026}",
    "[ada, '500']",
    "{user.name: ''}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn terms_decide_as_rules_do(
        events in prop::collection::vec(data(), 1..30),
        queries in prop::collection::vec(query(), 1..12),
        source in prop::sample::select(vec![
            "{}", "{product: aws}", "{product: windows, category: process_creation}", "{category: Authentication}",
            "{product: aws, service: cloudtrail}",
        ]),
    ) {
        let tenant = tenant();
        let events: Vec<StoredEvent> = events
            .iter()
            .enumerate()
            .map(|(i, data)| {
                let second = i64::try_from(i).unwrap();
                StoredEvent { offset: i as u64, ..event(tenant, "idp", second, second, data) }
            })
            .collect();
        let judge = Arc::new(Judge::new(events));
        let hunter = Hunter::new(Arc::clone(&judge) as _);
        let rules = RULES.iter().map(|selection| Some(format!(
            "title: t\nlogsource: {source}\ndetection:\n  a: {selection}\n  b: {{eventName: ConsoleLogin}}\n  condition: a or not b\n"
        )));
        let all = queries.into_iter().map(|q| (q, None));
        let all = all.chain(rules.map(|rule| (String::new(), rule)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (query, rule) in all {
            let hunt = Hunt {
                query: query.clone(), rule, scope: TenantScope::All, from: at(0), to: at(1_000), below: None, limit: 10,
            };
            let asked = runtime.block_on(hunter.hunt(&hunt));
            prop_assert!(asked.is_ok(), "{query}: {asked:?}");
        }
    }
}

/// Rules that raise alerts, rules of correlations over fields of which the index keeps the values, one over a field of which it does not, and
/// rules for log sources that events state or do not.
const RETRO_RULES: &str = r"
title: Ada
id: aaaaaaaa-0000-4000-8000-000000000001
logsource: {}
detection: {a: {user.name: ada}, condition: a}
---
title: Console
id: aaaaaaaa-0000-4000-8000-000000000002
logsource: {product: aws}
detection: {a: {eventName: [ConsoleLogin, GetObject]}, condition: a}
---
title: Windows
id: aaaaaaaa-0000-4000-8000-000000000003
logsource: {product: windows, category: process_creation}
detection: {a: {eventName|exists: true}, condition: a}
---
title: Begins with a
id: aaaaaaaa-0000-4000-8000-000000000004
logsource: {category: authentication}
detection: {a: {user.name|re: '^[aA]'}, condition: a}
---
title: Any user
id: aaaaaaaa-0000-4000-8000-000000000005
name: any_user
logsource: {}
detection: {a: {user.name|exists: true}, condition: a}
---
title: Any code
id: aaaaaaaa-0000-4000-8000-000000000006
name: any_code
logsource: {}
detection: {a: {code|exists: true}, condition: a}
---
title: A user from two addresses
id: aaaaaaaa-0000-4000-8000-000000000007
correlation:
  type: value_count
  rules: [any_user]
  group-by: [user.name]
  timespan: 5m
  condition: {field: source.ip, gte: 2}
---
title: A code twice
id: aaaaaaaa-0000-4000-8000-000000000008
correlation: {type: event_count, rules: [any_code], group-by: [code], timespan: 5m, condition: {gte: 2}}
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_retro_hunt_by_terms_finds_what_looking_finds(
        events in prop::collection::vec(data(), 1..60),
    ) {
        let tenant = tenant();
        let memory = Memory::new();
        for (i, data) in events.iter().enumerate() {
            let second = i64::try_from(i).unwrap();
            memory.push(event(tenant, "idp", second, second, data));
        }
        let file = RuleFile {
            name: "r.yml".to_owned(),
            digest: Digest::of(RETRO_RULES.as_bytes()),
            text: RETRO_RULES.to_owned(),
            floor: false,
        };
        let ruleset = Arc::new(Ruleset::compile(&[file], &Settings_::new()));
        prop_assert_eq!(ruleset.set.rules().len(), 6);
        let span = Span { tenant, from: None, to: at(10_000) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let run = |history: &dyn History| {
            let report = retro::run(history, Arc::clone(&ruleset), Terms::default(), span);
            let report = runtime.block_on(report).unwrap();
            retro::Report { seconds: 0.0, per_event: 0.0, ..report }
        };
        let by_terms = run(memory.as_ref());
        let by_looking = run(&EachLookedAt(Arc::clone(&memory)));
        prop_assert_eq!(by_terms, by_looking);
    }
}

/// Terms that decide nothing would agree with everything.
#[tokio::test]
async fn most_is_decided_by_terms() {
    let tenant = tenant();
    let events = (0..100)
        .map(|i| {
            let data = json!({"event": {"category": ["authentication"], "outcome": "failure"},
                "user": {"name": if i % 2 == 0 { "ada" } else { "bob" }}, "source": {"ip": "10.0.0.7"}});
            event(tenant, "idp", i, i, &data)
        })
        .collect();
    let judge = Arc::new(Judge::new(events));
    let hunter = Hunter::new(Arc::clone(&judge) as _);
    for query in [
        "user.name:ada",
        "event.outcome:fail* -bob",
        "user.name:a* or source.ip:10.*",
        "not user.name:ada",
        "failure",
    ] {
        let hunt = Hunt {
            query: query.to_owned(),
            rule: None,
            scope: TenantScope::All,
            from: at(0),
            to: at(1_000),
            below: None,
            limit: 10,
        };
        hunter.hunt(&hunt).await.unwrap();
        let (decided, all) = std::mem::take(&mut *judge.decided.lock().unwrap());
        assert_eq!(decided, all, "{query}");
    }
}

/// Orders are kept of fields with many values, so that ranges are found without testing each.
#[tokio::test]
async fn ranges_of_many_values_are_decided_by_terms() {
    let tenant = tenant();
    let odd = [
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992_i64),
        json!(-9_007_199_254_740_993_i64),
        json!(1e300),
        json!(-0.0),
        json!(" 77 "),
        json!("7.5e1"),
        json!([1, 1_400]),
        json!("seventy"),
        Value::Null,
    ];
    let events: Vec<StoredEvent> = (0..800_i64)
        .map(|i| {
            let number = usize::try_from(i / 7).unwrap_or(0) % odd.len();
            let code = if i % 7 == 0 {
                odd[number].clone()
            } else {
                json!(3 * i - 200)
            };
            let ip = match i % 5 {
                0 => format!("2001:db8:{:x}::{i:x}", i % 300),
                1 => format!(" 192.168.{}.{} ", i % 40, i % 250),
                2 => format!("::ffff:10.0.{}.{}", i % 3, i % 250),
                _ => format!("10.{}.{}.{}", i % 32, i % 60, i % 250),
            };
            event(
                tenant,
                "idp",
                i,
                i,
                &json!({"code": code, "source": {"ip": ip}}),
            )
        })
        .collect();
    let judge = Arc::new(Judge::new(events));
    let hunter = Hunter::new(Arc::clone(&judge) as _);
    let numbers = [
        "-201",
        "-1",
        "0",
        "0.5",
        "75",
        "77",
        "1400",
        "1799",
        "1e300",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
    ];
    let numbers = numbers.iter().flat_map(|n| {
        ["lt", "lte", "gt", "gte"].map(|compare| (format!("{{code|{compare}: {n}}}"), true))
    });
    let networks = [
        "10.0.0.0/8",
        "10.16.0.0/12",
        "10.3.3.0/24",
        "10.3.3.3",
        "0.0.0.0/0",
        "192.168.0.0/16",
        "2001:db8::/32",
        "2001:db8:9::/48",
        "2001:db8:9::/64",
        "2001:db8:9::/96",
        "2001:db8:9::9",
        "::/0",
        "::ffff:10.0.0.0/104",
    ];
    let networks = networks.map(|network| (format!("{{source.ip|cidr: '{network}'}}"), true));
    // Whether a value is text or a number is not kept.
    let equal = ["77", "0", "1400", "9007199254740993"].map(|n| (format!("{{code: {n}}}"), false));
    for (selection, whole) in numbers.chain(networks).chain(equal) {
        let hunt = Hunt {
            query: String::new(),
            rule: Some(format!(
                "title: t\nlogsource: {{}}\ndetection:\n  a: {selection}\n  condition: a\n"
            )),
            scope: TenantScope::All,
            from: at(0),
            to: at(10_000),
            below: None,
            limit: 10,
        };
        hunter.hunt(&hunt).await.unwrap();
        let (decided, all) = std::mem::take(&mut *judge.decided.lock().unwrap());
        assert!(!whole || decided == all, "{selection}: {decided} of {all}");
        assert!(decided + 40 >= all, "{selection}: {decided} of {all}");
    }
}
