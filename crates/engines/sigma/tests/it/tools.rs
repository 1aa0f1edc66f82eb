//! Evaluation of inputs, explanations, advice, export, pipelines and filters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sealwright_sigma::collection::Collection;
use sealwright_sigma::eval::{Evaluator, Line};
use sealwright_sigma::explain::explain;
use sealwright_sigma::export::{self, Language};
use sealwright_sigma::lint;
use sealwright_sigma::logsource::EventSource;
use sealwright_sigma::model::Rule;
use sealwright_sigma::naive::{self, Event};
use sealwright_sigma::pipeline::Pipeline;
use serde_json::json;

use crate::differential::corpus;
use crate::shared;

const RULE: &str = r"
title: Encoded PowerShell
id: 11111111-2222-3333-4444-555555555555
author: A. Nalyst
level: high
logsource: {product: windows, category: process_creation}
detection:
  selection_image:
    - Image|endswith: ['\powershell.exe', '\pwsh.exe']
    - OriginalFileName: PowerShell.EXE
  selection_flag:
    CommandLine|windash|contains: [' -enc', ' -ec ']
  filter_main_parent:
    ParentImage|startswith: 'C:\Program Files\'
    User: null
  condition: all of selection_* and not 1 of filter_main_*
";

fn collection(text: &str) -> Collection {
    let mut c = Collection::default();
    c.add("r.yml", text, &Default::default(), &Default::default());
    c.finish(&[]);
    assert!(c.errors.is_empty(), "{:?}", c.errors);
    c
}

fn rule(text: &str) -> Rule {
    collection(text).rules.remove(0)
}

#[test]
fn explanations() {
    let rule = rule(RULE);
    let mut out = String::new();
    for (source, event) in [
        (
            "",
            json!({"Image": "C:\\x\\PWSH.exe", "CommandLine": "pwsh /enc AAAA", "User": "u"}),
        ),
        (
            "",
            json!({"Image": "C:\\x\\pwsh.exe", "CommandLine": "pwsh -file a"}),
        ),
        (
            "",
            json!({"Image": "C:\\x\\pwsh.exe", "CommandLine": "pwsh -enc A", "ParentImage": "C:\\program files\\a.exe"}),
        ),
        ("", json!({"CommandLine": "x -ec y"})),
        ("product=linux", json!({"Image": "a"})),
    ] {
        let source = EventSource::parse(source).unwrap();
        let e = explain(&rule, &Event::new(&event), &source);
        let _ = writeln!(
            out,
            "{event}\n{}",
            if e.matches {
                "matches"
            } else {
                "does not match"
            }
        );
        for r in e.reasons() {
            let _ = writeln!(out, "  {r}");
        }
        assert_eq!(
            e.condition.holds,
            naive::matches(&rule, &Event::new(&event))
        );
    }
    insta::assert_snapshot!(out);
}

#[test]
fn an_explanation_agrees_with_the_verdict_on_every_rule() {
    let Some(data) = shared::data() else { return };
    let event = json!({"Image": "C:\\Windows\\System32\\cmd.exe", "EventID": 1, "User": null,
        "CommandLine": "cmd /c whoami", "ParentImage": "C:\\a.exe", "Channel": "Security"});
    for r in corpus(&data).into_iter().step_by(9) {
        let e = explain(&r, &Event::new(&event), &EventSource::UNKNOWN);
        let expected = e.placeholders.is_empty() && naive::matches(&r, &Event::new(&event));
        assert_eq!(e.matches, expected, "{}", r.meta.title);
        assert!(!e.reasons().is_empty(), "{}", r.meta.title);
    }
}

#[test]
fn exports() {
    let rules = [
        RULE.to_owned(),
        "title: t\nlogsource: {product: aws}\ndetection:\n  a:\n    src|cidr: 10.0.0.0/8\n    n|gte: 5\n    \
         eventName: ['Put*Policy', 'Delete?rail']\n    x|exists: true\n    y|neq: 'a b'\n  condition: a".to_owned(),
        "title: t\nlogsource: {product: aws}\ndetection:\n  a:\n    a|re: '^ab[0-9]+(x|y)$'\n    b|fieldref: c\n    \
         d|cased: 'Ab*'\n  condition: not a".to_owned(),
        "title: t\nlogsource: {product: linux}\ndetection:\n  a: ['evil \"one\"', 'rm -rf']\n  condition: a".to_owned(),
        "title: t\nlogsource: {product: linux}\ndetection:\n  a: {t|hour: 3, r|re: 'a\\d'}\n  condition: a".to_owned(),
    ];
    let mut out = String::new();
    for text in &rules {
        let rule = rule(text);
        for l in Language::ALL {
            let said = match export::rule(&rule, l) {
                Ok(e) => format!("{}\n    {}", e.query, e.notes.join("\n    ")),
                Err(e) => format!("not expressible: {e}"),
            };
            let _ = writeln!(out, "{:6} {said}", l.name());
        }
        out.push('\n');
    }
    for kind in [
        "type: event_count\n  condition: {gte: 5}",
        "type: value_count\n  condition: {field: ip, gt: 3}",
        "type: temporal_ordered",
    ] {
        let two = if kind.contains("ordered") {
            "a, b"
        } else {
            "a"
        };
        let c = collection(&format!(
            "title: a\nname: a\nlogsource: {{product: p}}\ndetection: {{s: {{k: 1}}, condition: s}}\n---\n\
             title: b\nname: b\nlogsource: {{product: p}}\ndetection: {{s: {{k: x}}, condition: s}}\n---\n\
             title: c\ncorrelation:\n  rules: [{two}]\n  group-by: [user]\n  timespan: 5m\n  {kind}\n"
        ));
        let rules: Vec<&Rule> = c.rules.iter().take(two.len().div_ceil(3)).collect();
        for l in Language::ALL {
            let said = match export::correlation(&c.correlations[0], &rules, l) {
                Ok(e) => e.query,
                Err(e) => format!("not expressible: {e}"),
            };
            let _ = writeln!(out, "{:6} {said}", l.name());
        }
    }
    insta::assert_snapshot!(out);
}

/// How much of the rules each language can say, and what stops the rest.
#[test]
fn exports_of_all_rules() {
    let Some(data) = shared::data() else { return };
    let rules = corpus(&data);
    let mut out = String::new();
    for l in Language::ALL {
        let mut reasons = BTreeMap::<&str, usize>::new();
        for r in &rules {
            if let Err(e) = export::rule(r, l) {
                *reasons.entry(e.feature).or_default() += 1;
                assert!(
                    export::table().iter().any(|(f, _)| *f == e.feature),
                    "{}",
                    e.feature
                );
            }
        }
        let done = rules.len() - reasons.values().sum::<usize>();
        let _ = writeln!(out, "{}: {done} of {}, {reasons:?}", l.name(), rules.len());
    }
    insta::assert_snapshot!(out);
}

#[test]
fn advice() {
    let bad = "title: t\nid: x\nstatus: new\ndate: 2024/01/01\ntags: [attack, attack.t12]\nlogsource: {}\n\
               detection:\n  a: {f: '*', g|contains: ['*x*', y, y]}\n  b: {h: [null, 1], i|re: abc}\n  \
               c: {k: null}\n  condition: not a and c\n";
    let advice: Vec<String> = lint::rule(&rule(bad))
        .iter()
        .map(|a| format!("{}: {}", a.check, a.message))
        .collect();
    insta::assert_snapshot!(advice.join("\n"));
    for a in lint::rule(&rule(bad)) {
        assert!(
            lint::CHECKS.iter().any(|(c, _)| *c == a.check),
            "{}",
            a.check
        );
    }
    assert_eq!(lint::rule(&rule(RULE)), []);
}

#[test]
fn advice_on_all_rules() {
    let Some(data) = shared::data() else { return };
    let mut counts = BTreeMap::<&str, usize>::new();
    for r in corpus(&data) {
        for a in lint::rule(&r) {
            *counts.entry(a.check).or_default() += 1;
        }
    }
    insta::assert_debug_snapshot!(counts);
}

fn evaluate(c: Collection, inputs: &[(&str, &str)]) -> Vec<String> {
    let mut e = Evaluator::new(c, EventSource::UNKNOWN, true).unwrap();
    let mut lines = Vec::new();
    let mut sink = |l: Line| lines.push(serde_json::to_string(&l).unwrap());
    for (file, text) in inputs {
        e.read(file, text.as_bytes(), &mut sink).unwrap();
    }
    let s = e.finish(&mut sink);
    lines.push(format!("{s:?}"));
    lines
}

#[test]
fn evaluation_of_inputs() {
    let text = "title: f\nname: f\nid: f\nlogsource: {product: p}\ndetection: {s: {k: fail}, condition: s}\n---\n\
                title: o\nid: o\nlogsource: {product: p}\ndetection: {s: {k: ok}, condition: s}\n---\n\
                title: c\nid: c\ncorrelation:\n  type: event_count\n  rules: [f]\n  group-by: [u]\n  \
                timespan: 5m\n  condition: {gte: 2}\n";
    let one = "{\"k\":\"fail\",\"u\":\"a\",\"@timestamp\":\"2024-01-01T00:04:00Z\"}\n\n{\"k\":\"ok\"}\nnot json\n";
    let two =
        "[{\"k\":\"fail\",\"u\":\"a\",\"@timestamp\":\"2024-01-01T00:00:00Z\"},{\"k\":\"ok\"}]";
    insta::assert_snapshot!(evaluate(collection(text), &[("one", one), ("two", two)]).join("\n"));
    let bytes: &[u8] = b"{\"k\":\"\xff\"}\n{\"k\":\"ok\"}";
    let mut e = Evaluator::new(collection(text), EventSource::UNKNOWN, true).unwrap();
    let mut n = 0;
    e.read("b", bytes, &mut |_| n += 1).unwrap();
    let s = e.finish(&mut |_| {});
    assert_eq!((n, s.refused, s.matches), (2, 1, 1));
}

#[test]
fn filters_and_pipelines() {
    let text = format!(
        "{RULE}---\ntitle: not on build hosts\nlogsource: {{product: windows}}\nfilter:\n  \
         rules: [11111111-2222-3333-4444-555555555555]\n  selection: {{Computer|startswith: build-}}\n  \
         condition: not selection\n"
    );
    let hit =
        json!({"Image": "\\pwsh.exe", "CommandLine": "x -enc y", "User": "u", "Computer": "a"});
    let mut built = hit.clone();
    built["Computer"] = "BUILD-7".into();
    let c = collection(&text);
    assert!(naive::matches(&c.rules[0], &Event::new(&hit)));
    assert!(!naive::matches(&c.rules[0], &Event::new(&built)));

    let pipeline = Pipeline::parse(
        "p.yml",
        "name: ecs\nplaceholders: {Admins: [alice, 'adm_*']}\nmappings:\n  - logsource: {product: windows}\n    \
         fields: {Image: process.executable, CommandLine: [process.command_line, process.args]}\n",
    )
    .unwrap();
    let mut c = Collection::default();
    let named = RULE.replace("User: null", "User|expand: '%Admins%'");
    c.add("r.yml", &named, &Default::default(), &pipeline.placeholders);
    c.finish(&[pipeline]);
    let event = |user: &str| {
        json!({"process": {"executable": "\\pwsh.exe", "args": ["x", " -enc "]},
               "ParentImage": "C:\\Program Files\\x", "User": user})
    };
    assert!(naive::matches(&c.rules[0], &Event::new(&event("bob"))));
    assert!(!naive::matches(
        &c.rules[0],
        &Event::new(&event("ADM_carol"))
    ));
    let wrong = Pipeline::parse("p.yml", "mappings:\n  - fields: {a: []}\n").unwrap_err();
    assert_eq!(wrong.to_string(), "p.yml:2:17: `a` maps to nothing");
}

#[test]
fn additions_of_rules() {
    let text = "title: t\nlogsource: {product: p}\ndetection: {s: {k: 1}, condition: s}\nx-sealwright:\n  \
                hours: {days: mon-fri, from: '09:00', to: '18:00', zone: UTC, match: outside}\n  \
                older-than: {field: last, age: 90d}\n";
    let r = rule(text);
    let mut m = crate::differential::matcher(vec![r.clone()], Default::default());
    let mut check = |time: &str, last: &str| {
        let event = json!({"k": 1, "@timestamp": time, "last": last});
        let t = sealwright_sigma::time::instant(time);
        let plain = naive::matches(
            &r,
            &Event {
                fields: &event,
                time: t,
            },
        );
        assert_eq!(m.matches(&event.to_string()).unwrap().len() == 1, plain);
        plain
    };
    assert!(check("2024-03-03T12:00:00Z", "2023-12-04T12:00:00Z"));
    assert!(
        !check("2024-03-03T12:00:00Z", "2023-12-04T12:00:01Z"),
        "90 days less a second"
    );
    assert!(
        !check("2024-03-04T12:00:00Z", "2020-01-01T00:00:00Z"),
        "a Monday at noon"
    );
    assert!(!check("", "2020-01-01T00:00:00Z"), "no time");
}
