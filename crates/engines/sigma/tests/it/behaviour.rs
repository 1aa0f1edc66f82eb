//! The behaviour vectors: modifiers, conditions, refusals.

use sealwright_sigma::compiled::Options;
use sealwright_sigma::logsource::STATED;
use sealwright_sigma::model::{Document, Rule};
use sealwright_sigma::naive::{Event, matches};
use sealwright_sigma::{Limits, parse};
use serde_json::Value;

use crate::differential::matcher;
use crate::shared;

pub(crate) fn rule(detection: &str) -> Result<Rule, String> {
    let mut text = "title: t\nlogsource:\n  product: p\ndetection:\n".to_owned();
    for line in detection.lines() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    let mut p = parse("t.yml", &text, &Limits::default(), &Default::default());
    if let Some(e) = p.errors.first() {
        return Err(e.to_string());
    }
    match p.documents.remove(0) {
        Document::Rule(r) => Ok(*r),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn modifiers() {
    let Some(data) = shared::data() else { return };
    let cases = shared::json(&data.join("sigma-behaviour/modifiers.json"));
    let mut wrong = Vec::new();
    for case in cases.as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let rule = match rule(case["detection"].as_str().unwrap()) {
            Ok(r) => r,
            Err(e) => {
                wrong.push(format!("{id}: {e}"));
                continue;
            }
        };
        let mut compiled = matcher(vec![rule.clone()], Options::default());
        for (key, expected) in [("match", true), ("no_match", false)] {
            for event in case[key].as_array().unwrap() {
                let compiled = compiled.matches(&event.to_string()).unwrap().len() == 1;
                if matches(&rule, &Event::new(event)) != expected || compiled != expected {
                    wrong.push(format!("{id}: {event} must be {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.as_array().unwrap().len(), 80);
}

#[test]
fn conditions() {
    let Some(data) = shared::data() else { return };
    let cases = shared::json(&data.join("sigma-behaviour/conditions.json"));
    for case in cases.as_array().unwrap() {
        let names: Vec<&str> = case["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        let mut text = String::new();
        for n in &names {
            text.push_str(&format!("{n}:\n  {n}: x\n"));
        }
        let condition = case["condition"].as_str().unwrap();
        text.push_str(&format!("condition: '{condition}'\n"));
        let parsed = rule(&text);
        assert_eq!(
            parsed.is_ok(),
            case["valid"].as_bool().unwrap(),
            "{condition}: {parsed:?}"
        );
        let Ok(parsed) = parsed else { continue };
        for bits in 0..1_u32 << names.len() {
            let on: Vec<&str> = names
                .iter()
                .enumerate()
                .filter(|(i, _)| bits >> i & 1 == 1)
                .map(|(_, n)| *n)
                .collect();
            let mut sorted = on.clone();
            sorted.sort_unstable();
            let expected = case["true_for"].as_array().unwrap().iter().any(|s| {
                let mut s: Vec<&str> = s
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap())
                    .collect();
                s.sort_unstable();
                s == sorted
            });
            let event: Value = on
                .iter()
                .map(|n| ((*n).to_owned(), Value::from("x")))
                .collect();
            assert_eq!(
                matches(&parsed, &Event::new(&event)),
                expected,
                "{condition} with {on:?}"
            );
        }
    }
}

#[test]
fn refusals() {
    let Some(data) = shared::data() else { return };
    let mut messages = String::new();
    for case in shared::json(&data.join("sigma-behaviour/errors.json"))
        .as_array()
        .unwrap()
    {
        let id = case["id"].as_str().unwrap();
        match rule(case["detection"].as_str().unwrap()) {
            Ok(r) => panic!("{id} was accepted: {r:?}"),
            Err(e) => messages.push_str(&format!("{id}\n  {}\n", e.replace('\n', "\n  "))),
        }
    }
    insta::assert_snapshot!(messages);
}

/// What an event states does not depend on those that came before it.
#[test]
fn every_stated_log_source_counts() {
    let options = Options {
        source_fields: STATED.map(str::to_owned),
        ..Options::default()
    };
    let mut matcher = matcher(vec![rule("a: {f: 1}\ncondition: a").unwrap()], options);
    let stated = [
        (r#""aws""#, 0),
        (r#"["aws", "p"]"#, 1),
        (r#""aws""#, 0),
        (r#"["p"]"#, 1),
        ("null", 1),
    ];
    for (stated, found) in stated {
        let event = format!(r#"{{"f": 1, "sealwright.logsource.product": {stated}}}"#);
        assert_eq!(matcher.matches(&event).unwrap().len(), found, "{stated}");
    }
}
