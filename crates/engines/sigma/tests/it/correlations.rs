//! Correlations by event time.

use proptest::prelude::*;
use sealwright_sigma::collection::Collection;
use sealwright_sigma::correlation::EventId;
use sealwright_sigma::correlation::engine::{Alert, Arrival, Engine, Settings, Taken};
use sealwright_sigma::naive::{self, Event};
use sealwright_sigma::value;
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000;

const BASE: &str = "
title: fail
name: fail
logsource: {product: p}
detection: {s: {kind: fail}, condition: s}
---
title: ok
name: ok
logsource: {product: p}
detection: {s: {kind: ok}, condition: s}
---
title: any
name: any
logsource: {product: p}
detection: {s: {kind|exists: true}, condition: s}
";

pub(crate) fn collection(text: &str) -> Collection {
    let mut c = Collection::default();
    c.add(
        "c.yml",
        &format!("{BASE}---\n{text}"),
        &Default::default(),
        &Default::default(),
    );
    c.finish(&[]);
    assert!(c.errors.is_empty(), "{:?}", c.errors);
    c
}

fn correlation(kind: &str, rules: &str, rest: &str) -> String {
    format!(
        "title: t\nname: t\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  group-by: [user]\n  \
         timespan: 10s\n{rest}"
    )
}

fn settings() -> Settings {
    Settings {
        lateness: 5 * SECOND,
        ..Settings::default()
    }
}

fn offer(engine: &mut Engine, c: &Collection, id: u128, time: i64, fields: &Value) -> Taken {
    let event = Event {
        fields,
        time: Some(time),
    };
    let matched: Vec<usize> = (0..c.rules.len())
        .filter(|i| naive::matches(&c.rules[*i], &event))
        .collect();
    let source = fields["source"].as_str().unwrap_or("one");
    let arrival = Arrival {
        source,
        time,
        id: EventId::from(id),
        now: None,
    };
    engine.observe(&arrival, &matched, |f| {
        let found = value::lookup(fields, f);
        found
            .values
            .iter()
            .filter_map(|v| v.text())
            .map(str::to_owned)
            .collect()
    })
}

/// (second, event); ids are positions from 1.
fn run(text: &str, events: &[(i64, Value)]) -> Vec<Alert> {
    let c = collection(text);
    let mut engine = Engine::new(&c, settings()).unwrap();
    let mut alerts = Vec::new();
    for (i, (t, e)) in events.iter().enumerate() {
        assert_eq!(
            offer(&mut engine, &c, i as u128 + 1, t * SECOND, e),
            Taken::InTime
        );
        alerts.extend(engine.advance(None));
    }
    alerts.extend(engine.finish());
    alerts
}

/// What fired: (second, ids).
fn brief(alerts: &[Alert]) -> Vec<(i64, Vec<u128>)> {
    alerts
        .iter()
        .map(|a| {
            (
                a.time / SECOND,
                a.events.iter().map(|e| u128::from(*e)).collect(),
            )
        })
        .collect()
}

fn fail(user: &str) -> Value {
    json!({"kind": "fail", "user": user})
}

#[test]
fn event_count_at_the_edges() {
    let rule = correlation("event_count", "fail", "  condition: {gte: 3}");
    let at = |times: &[i64]| {
        let events: Vec<_> = times.iter().map(|t| (*t, fail("a"))).collect();
        brief(&run(&rule, &events))
    };
    assert_eq!(
        at(&[0, 5, 10]),
        [(10, vec![1, 2, 3])],
        "both ends belong to the window"
    );
    assert!(at(&[0, 5, 11]).is_empty(), "window + 1 s");
    assert!(at(&[0, 5]).is_empty(), "threshold − 1");
    assert_eq!(
        at(&[0, 1, 2, 3, 4]),
        [(2, vec![1, 2, 3])],
        "an ongoing attack is one alert"
    );
    assert_eq!(at(&[0, 1, 2, 20, 21, 22]).len(), 2, "fulfilled anew");
    let split = [
        (0, fail("a")),
        (1, fail("b")),
        (2, fail("a")),
        (3, fail("b")),
    ];
    assert!(run(&rule, &split).is_empty(), "groups are separate");
}

#[test]
fn bounds_that_more_events_break_wait_for_the_window_to_close() {
    let events = |n: i64| (0..n).map(|t| (t, fail("a"))).collect::<Vec<_>>();
    let range = correlation("event_count", "fail", "  condition: {gt: 1, lte: 3}");
    assert_eq!(brief(&run(&range, &events(3))), [(10, vec![1, 2, 3])]);
    assert!(run(&range, &events(4)).is_empty());
    let few = correlation("event_count", "fail", "  condition: {lt: 2}");
    assert_eq!(brief(&run(&few, &events(1))), [(10, vec![1])]);
    let neq = correlation("event_count", "fail", "  condition: {neq: 2}");
    assert!(run(&neq, &events(2)).is_empty());
}

#[test]
fn values() {
    let event = |t: i64, n: i64| {
        (
            t,
            json!({"kind": "fail", "user": "a", "n": n, "ip": format!("i{n}")}),
        )
    };
    let events: Vec<_> = [(0, 1), (1, 1), (2, 2), (3, 9)]
        .iter()
        .map(|(t, n)| event(*t, *n))
        .collect();
    let at = |kind: &str, condition: &str| {
        let rule = correlation(kind, "fail", &format!("  condition: {{{condition}}}"));
        run(&rule, &events)
            .iter()
            .map(|a| (a.time / SECOND, a.measure))
            .collect::<Vec<_>>()
    };
    assert_eq!(at("value_count", "field: ip, gte: 3"), [(3, 3.0)]);
    assert!(at("value_count", "field: ip, gte: 4").is_empty());
    assert!(at("value_count", "field: [ip, user], gte: 4").is_empty());
    assert_eq!(at("value_sum", "field: n, gt: 12"), [(3, 13.0)]);
    assert!(at("value_sum", "field: n, gt: 13").is_empty());
    assert_eq!(at("value_avg", "field: n, gte: 3.25"), [(3, 3.25)]);
    assert_eq!(at("value_median", "field: n, gte: 1.5"), [(3, 1.5)]);
    assert_eq!(
        at("value_percentile", "field: n, percentile: 50, gt: 1"),
        [(3, 1.5)]
    );
    assert!(
        at("value_sum", "field: absent, gte: 0").is_empty(),
        "missing is not zero"
    );
    assert_eq!(at("value_sum", "field: n, lt: 14"), [(10, 13.0)]);
}

#[test]
fn temporal() {
    let ok = |u: &str| json!({"kind": "ok", "user": u});
    let both = correlation("temporal", "fail, ok", "");
    assert_eq!(
        brief(&run(&both, &[(0, ok("a")), (3, fail("a"))])),
        [(3, vec![1, 2])]
    );
    assert!(run(&both, &[(0, ok("a")), (11, fail("a"))]).is_empty());
    let ordered = correlation("temporal_ordered", "fail, ok", "");
    assert!(run(&ordered, &[(0, ok("a")), (3, fail("a"))]).is_empty());
    assert_eq!(
        brief(&run(&ordered, &[(0, fail("a")), (3, ok("a"))])),
        [(3, vec![1, 2])]
    );
    assert!(run(&ordered, &[(0, fail("a")), (3, ok("b"))]).is_empty());
    let not = correlation("temporal", "fail, ok", "  condition: 'fail and not ok'");
    assert_eq!(brief(&run(&not, &[(0, fail("a"))])), [(10, vec![1])]);
    assert!(run(&not, &[(0, fail("a")), (9, ok("a"))]).is_empty());
    let one = correlation("temporal_ordered", "fail, any", "");
    assert!(
        run(&one, &[(0, fail("a"))]).is_empty(),
        "one event is not two steps"
    );
    assert_eq!(
        brief(&run(&one, &[(0, fail("a")), (1, fail("a"))])),
        [(1, vec![1, 2])]
    );
}

#[test]
fn aliases() {
    let rule = "title: t\ncorrelation:\n  type: temporal\n  rules: [fail, ok]\n  group-by: [ip]\n  \
                timespan: 10s\n  aliases: {ip: {fail: src, ok: dst}}";
    let a = json!({"kind": "fail", "src": "1", "dst": "2"});
    let alerts = run(
        rule,
        &[
            (0, a.clone()),
            (1, json!({"kind": "ok", "src": "9", "dst": "1"})),
        ],
    );
    assert_eq!(alerts[0].group, [("ip".to_owned(), "1".to_owned())]);
    assert!(
        run(
            rule,
            &[(0, a), (1, json!({"kind": "ok", "src": "1", "dst": "3"}))]
        )
        .is_empty()
    );
}

#[test]
fn chains_use_their_own_groups() {
    let text = "title: many\nname: many\ncorrelation:\n  type: event_count\n  rules: [fail]\n  \
                group-by: [host]\n  timespan: 10s\n  condition: {gte: 2}\n---\n\
                title: then\ncorrelation:\n  type: temporal_ordered\n  rules: [many, ok]\n  \
                group-by: [user]\n  timespan: 60s";
    let e = |kind: &str, host: &str| json!({"kind": kind, "host": host, "user": "u"});
    let alerts = run(
        text,
        &[(0, e("fail", "h")), (1, e("fail", "h")), (9, e("ok", "x"))],
    );
    assert_eq!(brief(&alerts), [(1, vec![1, 2]), (9, vec![2, 3])]);
    assert_eq!(alerts[1].group, [("user".to_owned(), "u".to_owned())]);
    assert_eq!(
        run(
            text,
            &[(0, e("ok", "x")), (1, e("fail", "h")), (2, e("fail", "h"))]
        )
        .len(),
        1
    );
}

#[test]
fn additions() {
    let ok = |u: &str| json!({"kind": "ok", "user": u});
    let absence = correlation("x-absence", "fail, ok", "");
    assert_eq!(brief(&run(&absence, &[(0, fail("a"))])), [(10, vec![1])]);
    assert!(run(&absence, &[(0, fail("a")), (10, ok("a"))]).is_empty());
    assert_eq!(
        brief(&run(&absence, &[(0, fail("a")), (11, ok("a"))])),
        [(10, vec![1])]
    );

    let country = |t: i64, c: &str| (t, json!({"kind": "ok", "user": "a", "country": c}));
    let first = correlation(
        "x-first-seen",
        "ok",
        "  condition: {field: country}\n  x-sealwright: {learn: 3s}",
    );
    let story = [
        country(0, "DE"),
        country(1, "FR"),
        country(5, "IT"),
        country(6, "IT"),
        country(12, "DE"),
    ];
    assert_eq!(brief(&run(&first, &story)), [(5, vec![3]), (12, vec![5])]);

    let dormant = correlation("x-dormant", "ok", "");
    assert!(run(&dormant, &[(0, ok("a")), (10, ok("a"))]).is_empty());
    assert_eq!(
        brief(&run(&dormant, &[(0, ok("a")), (11, ok("a"))])),
        [(11, vec![1, 2])]
    );

    let baseline = correlation(
        "x-baseline",
        "ok",
        "  x-sealwright: {history: 30s, factor: 3, minimum: 2}",
    );
    let mut steady: Vec<_> = (0..8).map(|i| (i * 5, ok("a"))).collect();
    assert!(run(&baseline, &steady).is_empty());
    steady.extend((41..47).map(|t| (t, ok("a"))));
    assert_eq!(brief(&run(&baseline, &steady)).len(), 1);
}

#[test]
fn impossible_travel() {
    let rule = "title: t\ncorrelation:\n  type: x-impossible-travel\n  rules: [ok]\n  group-by: [user]\n  \
                timespan: 1d\n  x-sealwright: {latitude: lat, longitude: lon, radius: r, device: d}";
    let at = |t: i64, lat: f64, lon: f64, r: i64, d: &str| {
        (
            t,
            json!({"kind": "ok", "user": "a", "lat": lat, "lon": lon, "r": r, "d": d}),
        )
    };
    // One degree of latitude is 111.195 km on the mean sphere: 4.45° are 495 km, 4.55° are 506 km.
    assert!(
        run(
            rule,
            &[at(0, 50.0, 8.0, 0, "x"), at(60, 54.45, 8.0, 0, "y")]
        )
        .is_empty()
    );
    let far = [at(0, 50.0, 8.0, 0, "x"), at(60, 54.55, 8.0, 0, "y")];
    let alerts = run(rule, &far);
    assert!(
        (alerts[0].measure - 505.9).abs() < 0.5,
        "{}",
        alerts[0].measure
    );
    // 1,000 km in 4,040 s is 891 km/h, in 3,960 s 909 km/h.
    assert!(
        run(
            rule,
            &[at(0, 50.0, 8.0, 0, "x"), at(4040, 58.993, 8.0, 0, "y")]
        )
        .is_empty()
    );
    assert_eq!(
        run(
            rule,
            &[at(0, 50.0, 8.0, 0, "x"), at(3960, 58.993, 8.0, 0, "y")]
        )
        .len(),
        1
    );
    let vague = [at(0, 50.0, 8.0, 10, "x"), at(60, 54.55, 8.0, 0, "y")];
    assert!(
        run(rule, &vague).is_empty(),
        "the radius of uncertainty counts"
    );
    let known = [at(0, 50.0, 8.0, 0, "x"), at(60, 54.55, 8.0, 0, "x")];
    assert!(run(rule, &known).is_empty(), "a known device");
}

#[test]
fn late_and_future_events_take_no_effect_and_are_counted() {
    let c = collection(&correlation("event_count", "fail", "  condition: {gte: 2}"));
    let mut engine = Engine::new(&c, settings()).unwrap();
    assert_eq!(
        offer(&mut engine, &c, 1, 100 * SECOND, &fail("a")),
        Taken::InTime
    );
    assert!(engine.advance(None).is_empty());
    assert_eq!(
        offer(&mut engine, &c, 2, 94 * SECOND, &fail("a")),
        Taken::Late
    );
    assert_eq!(
        offer(&mut engine, &c, 3, 95 * SECOND, &fail("a")),
        Taken::InTime
    );
    let far = Arrival {
        source: "one",
        time: i64::MAX / 2,
        id: EventId::from(4),
        now: Some(100 * SECOND),
    };
    assert_eq!(
        engine.observe(&far, &[0], |_| vec!["a".to_owned()]),
        Taken::Future
    );
    assert_eq!(brief(&engine.finish()), [(100, vec![3, 1])]);
    assert_eq!((engine.metrics().late, engine.metrics().future), (1, 1));
}

#[test]
fn a_silent_source_holds_the_frontier_until_it_is_idle() {
    let c = collection(&correlation("event_count", "fail", "  condition: {gte: 1}"));
    let mut engine = Engine::new(
        &c,
        Settings {
            idle: 60 * SECOND,
            ..settings()
        },
    )
    .unwrap();
    let mut see = |source: &str, t: i64, id: u128| {
        let a = Arrival {
            source,
            time: t * SECOND,
            id: id.into(),
            now: Some(t * SECOND),
        };
        engine.observe(&a, &[0], |_| vec!["a".to_owned()]);
        engine.advance(Some(t * SECOND)).len()
    };
    assert_eq!(see("slow", 0, 1), 0);
    assert_eq!(see("fast", 50, 2), 0);
    assert_eq!(
        see("fast", 61, 3),
        2,
        "slow has been silent for more than a minute"
    );
}

#[test]
fn groups_are_bounded_and_eviction_is_counted() {
    let c = collection(&correlation("event_count", "fail", "  condition: {gte: 2}"));
    let mut engine = Engine::new(
        &c,
        Settings {
            max_groups: 100,
            ..settings()
        },
    )
    .unwrap();
    for i in 0..1000_u32 {
        offer(
            &mut engine,
            &c,
            u128::from(i) + 1,
            1_000 + i64::from(i),
            &fail(&format!("u{i}")),
        );
    }
    engine.finish();
    assert!(engine.size().0 <= 100);
    assert!(engine.metrics().evicted_groups >= 900);
}

fn all_kinds() -> Collection {
    let kinds = [
        ("event_count", "fail", "condition: {gte: 3}"),
        ("event_count", "fail", "condition: {gt: 1, lt: 4}"),
        ("value_count", "fail", "condition: {field: n, gte: 2}"),
        ("value_sum", "any", "condition: {field: n, gte: 9}"),
        (
            "value_percentile",
            "any",
            "condition: {field: n, percentile: 75, gt: 3}",
        ),
        ("temporal", "fail, ok", ""),
        ("temporal_ordered", "fail, ok, any", ""),
        ("temporal", "fail, ok", "condition: 'ok and not fail'"),
        ("x-absence", "fail, ok", ""),
        ("x-first-seen", "any", "condition: {field: n}"),
        ("x-dormant", "any", ""),
        ("x-changes", "any", "condition: {field: n, gte: 2}"),
        (
            "x-baseline",
            "any",
            "x-sealwright: {history: 20s, factor: 2}",
        ),
    ];
    let mut text = String::new();
    for (i, (kind, rules, rest)) in kinds.iter().enumerate() {
        text.push_str(&format!(
            "title: c{i}\nname: c{i}\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  \
             group-by: [user]\n  timespan: 10s\n  {rest}\n---\n"
        ));
    }
    text.push_str("title: top\ncorrelation: {type: temporal, rules: [c0, c5], group-by: [user], timespan: 20s}\n");
    collection(&text)
}

fn story() -> impl Strategy<Value = Vec<(i64, Value)>> {
    let event = (0_i64..60, 0..2, 0..3, 0..6).prop_map(|(t, kind, user, n)| {
        let kind = if kind == 0 { "fail" } else { "ok" };
        (
            t * 500_000,
            json!({"kind": kind, "user": format!("u{user}"), "n": n}),
        )
    });
    proptest::collection::vec(event, 1..60)
}

/// An order of arrival in which no event is more than the lateness behind.
fn shuffled(events: &[(i64, Value)], delays: &[i64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|i| (events[*i].0 + delays[*i % delays.len()], *i));
    order
}

fn play(
    c: &Collection,
    events: &[(i64, Value)],
    order: &[usize],
    restart: Option<usize>,
) -> Vec<u8> {
    let mut engine = Engine::new(c, settings()).unwrap();
    let mut alerts = Vec::new();
    for (n, i) in order.iter().enumerate() {
        if restart == Some(n) {
            let bytes = engine.save().unwrap();
            engine = Engine::new(c, settings()).unwrap();
            assert_eq!(engine.load(&bytes).unwrap(), 0);
            assert_eq!(engine.save().unwrap(), bytes);
        }
        let (t, e) = &events[*i];
        assert_eq!(offer(&mut engine, c, *i as u128 + 1, *t, e), Taken::InTime);
        alerts.extend(engine.advance(None));
    }
    alerts.extend(engine.finish());
    serde_json::to_vec(&alerts).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_within_the_lateness_gives_the_same_alerts(
        events in story(),
        delays in proptest::collection::vec(0_i64..=5 * SECOND, 1..50),
        restart in 0_usize..60,
    ) {
        let c = all_kinds();
        let mut sorted: Vec<usize> = (0..events.len()).collect();
        sorted.sort_by_key(|i| events[*i].0);
        let expected = play(&c, &events, &sorted, None);
        let order = shuffled(&events, &delays);
        prop_assert_eq!(&play(&c, &events, &order, None), &expected);
        prop_assert_eq!(&play(&c, &events, &order, Some(restart)), &expected);
    }

    #[test]
    fn damaged_states_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let c = all_kinds();
        let mut engine = Engine::new(&c, settings()).unwrap();
        let _ = engine.load(&bytes);
        bytes.splice(0..0, *b"SWSC\x01\x00");
        let _ = engine.load(&bytes);
    }
}

#[test]
fn references_are_resolved_or_named() {
    let errors = |text: &str| {
        let mut c = Collection::default();
        c.add(
            "c.yml",
            &format!("{BASE}---\n{text}"),
            &Default::default(),
            &Default::default(),
        );
        c.finish(&[]);
        c.errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(
        [
            errors(&correlation(
                "event_count",
                "nobody",
                "  condition: {gte: 1}"
            )),
            errors(&correlation("temporal", "t, fail", "")),
            errors(&correlation("event_count", "fail", "")),
            errors(&correlation("value_count", "fail", "  condition: {gte: 1}")),
            errors(&correlation(
                "event_counts",
                "fail",
                "  condition: {gte: 1}"
            )),
            errors(&correlation(
                "temporal",
                "fail, ok",
                "  condition: 'fail and nope'"
            )),
            errors(&correlation("x-absence", "fail", "")),
        ]
        .join("\n")
    );
}
