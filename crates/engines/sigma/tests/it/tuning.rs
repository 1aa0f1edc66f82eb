//! Tunables, annotations and the format of tests.

use sealwright_sigma::annotations::{ActionKind, Overrides};
use sealwright_sigma::collection::Collection;
use sealwright_sigma::testing;
use serde_json::{Value, json};

const RULE: &str = "\
title: failures
name: failures
logsource: {category: authentication}
detection:
  selection: {kind: fail}
  allowed: {host|endswith: [.internal, .local]}
  condition: selection and not allowed
x-sealwright:
  tunables:
    hosts: {sets: '/detection/allowed/host|endswith', doc: allowed hosts}
---
title: many
name: many
correlation: {type: event_count, rules: [failures], group-by: [user], timespan: 10s, condition: {gte: 3}}
x-sealwright:
  family: authentication
  evidence: [CC6.1]
  actions: [alert, {block-address: 1h}]
  tunables:
    threshold: {sets: /correlation/condition/gte, minimum: 2, maximum: 100, doc: failures}
    window: {sets: /correlation/timespan}
";

fn overridden(rule: &str, name: &str, value: Value) -> Result<Collection, String> {
    let mut o = Overrides::new();
    o.entry(rule.to_owned())
        .or_default()
        .insert(name.to_owned(), value);
    let mut c = Collection::with_overrides(o);
    c.add("r.yml", RULE, &Default::default(), &Default::default());
    c.finish(&[]);
    match c.errors.first() {
        Some(e) => Err(e.to_string()),
        None => Ok(c),
    }
}

#[test]
fn annotations_are_read() {
    let mut c = Collection::default();
    c.add("r.yml", RULE, &Default::default(), &Default::default());
    c.finish(&[]);
    let a = &c.correlations[0].meta.annotations;
    assert_eq!(a.family.as_deref(), Some("authentication"));
    assert_eq!(a.evidence, ["CC6.1"]);
    assert_eq!(a.actions[1].kind, ActionKind::BlockAddress);
    assert_eq!(a.actions[1].duration, Some(3_600_000_000));
    assert_eq!(a.tunables[0].value, json!(3));
    assert_eq!(
        (a.tunables[0].minimum, a.tunables[0].maximum),
        (Some(2), Some(100))
    );
    assert_eq!(
        c.rules[0].meta.annotations.tunables[0].value,
        json!([".internal", ".local"])
    );
}

#[test]
fn an_override_takes_the_place_of_a_default_and_is_checked_like_it() {
    let c = overridden("many", "threshold", json!(5)).unwrap();
    assert!(c.correlations[0].within(5.0) && !c.correlations[0].within(4.0));
    assert_eq!(
        c.correlations[0].meta.annotations.tunables[0].value,
        json!(5)
    );
    assert_eq!(
        overridden("many", "window", json!("1m"))
            .unwrap()
            .correlations[0]
            .timespan,
        60_000_000
    );
    overridden("failures", "hosts", json!(["x"])).unwrap();
    overridden("failures", "hosts", json!("x")).unwrap();
    overridden("another rule", "threshold", json!(5)).unwrap();
    let refused = [
        ("many", "threshold", json!(1)),
        ("many", "threshold", json!(101)),
        ("many", "threshold", json!("5")),
        ("many", "threshold", json!([5, 6])),
        ("many", "window", json!("soon")),
        ("many", "colour", json!(1)),
        ("failures", "hosts", json!({"a": 1})),
        ("failures", "hosts", json!([["x"]])),
        ("failures", "hosts", json!([])),
    ];
    let messages: Vec<String> = refused
        .into_iter()
        .map(|(r, n, v)| overridden(r, n, v).unwrap_err())
        .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn annotations_that_are_wrong_are_refused_with_their_place() {
    let messages: Vec<String> = [
        "x-sealwright: {actions: [explode]}",
        "x-sealwright: {actions: [{block-address: soon}]}",
        "x-sealwright: {tunables: {t: {doc: no place}}}",
        "x-sealwright: {tunables: {t: {sets: /correlation/nothing}}}",
        "x-sealwright: {colour: red}",
    ]
    .iter()
    .map(|ext| {
        let mut c = Collection::default();
        let text = format!(
            "title: t\ncorrelation: {{type: event_count, rules: [r], timespan: 1s, condition: {{gte: 2}}}}\n{ext}\n"
        );
        c.add("r.yml", &text, &Default::default(), &Default::default());
        c.errors.first().map(ToString::to_string).unwrap_or_else(|| "accepted".to_owned())
    })
    .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_test_passes_or_says_what_fired() {
    let text = "\
base: {kind: fail, user: ada}
tests:
  - name: three
    fires: 1
    events: [{at: 0s, repeat: 3, every: 1s}]
  - name: at both ends of the window
    fires: 1
    events: [{at: 0s, repeat: 2}, {at: 10s}]
  - name: after the window
    fires: 0
    events: [{at: 0s, repeat: 2}, {at: 11s}]
  - name: two tenants
    fires: 0
    events: [{at: 0s, repeat: 2}, {at: 1s, tenant: other}]
  - name: two users by number
    fires: 0
    events: [{at: 0s, repeat: 4, set: {user: 'u${n}'}}]
  - name: a threshold of two
    fires: 1
    overrides: {many: {threshold: 2}}
    events: [{at: 0s, repeat: 2}]
  - name: this one is wrong
    fires: 2
    events: [{at: 0s, repeat: 3}]
  - name: an override of nothing
    fires: 0
    overrides: {nobody: {threshold: 2}}
    events: [{at: 0s}]
  - name: normalised
    fires: 1
    events: [{at: 0s, repeat: 3, raw: {k: f}}]
";
    let suite = testing::parse("r.test.yml", text).unwrap();
    let outcomes = testing::run(&suite, &[("r.yml", RULE)], &mut |_| {
        Ok(json!({"kind": "fail", "user": "x"}))
    });
    let shown: Vec<String> = outcomes
        .iter()
        .map(|o| {
            format!(
                "{}: {} {:?}",
                o.name,
                o.passed(),
                o.error.as_deref().unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    for bad in [
        "tests: []\ncolour: red",
        "base: {}",
        "tests: [{name: x, events: []}]",
        "tests: [{fires: 1, events: [{at: soon}]}]",
        "tests: [{fires: 1, events: [{at: 0s, repeat: 100001}]}]",
        "tests: [{fires: 1, start: never, events: []}]",
        "{",
        "a: 1\n---\nb: 2",
    ] {
        let e = testing::parse("r.test.yml", bad);
        assert!(e.is_err(), "{bad}");
    }
}

#[test]
fn changes_are_counted_within_the_window() {
    let rule = "title: any\nname: any\nlogsource: {product: x}\ndetection: {s: {m|exists: true}, condition: s}\n---\n\
                title: changes\ncorrelation: {type: x-changes, rules: [any], group-by: [user], timespan: 10s, condition: {field: m, gte: 2}}\n";
    let text = "\
base: {user: ada}
tests:
  - {name: a b a, fires: 1, events: [{at: 0s, set: {m: a}}, {at: 1s, set: {m: b}}, {at: 2s, set: {m: a}}]}
  - {name: one change, fires: 0, events: [{at: 0s, set: {m: a}}, {at: 1s, set: {m: b}}, {at: 2s, set: {m: b}}]}
  - {name: both ends, fires: 1, events: [{at: 0s, set: {m: a}}, {at: 1s, set: {m: b}}, {at: 11s, set: {m: a}}]}
  - {name: too far apart, fires: 0, events: [{at: 0s, set: {m: a}}, {at: 1s, set: {m: b}}, {at: 12s, set: {m: a}}]}
  - {name: the one before was long ago, fires: 0, events: [{at: 0s, set: {m: a}}, {at: 20s, set: {m: b}}, {at: 21s, set: {m: a}}]}
  - {name: without a value, fires: 0, events: [{at: 0s, set: {m: a}}, {at: 1s, set: {m: null}}, {at: 2s, set: {m: a}}]}
";
    let suite = testing::parse("c.test.yml", text).unwrap();
    for o in testing::run(&suite, &[("c.yml", rule)], &mut |e| Ok(e.event.clone())) {
        assert!(o.passed(), "{o:?}");
    }
}
