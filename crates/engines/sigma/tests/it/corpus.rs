//! The 3,780 rules and the regression events.

use std::collections::BTreeMap;

use sealwright_sigma::model::{Document, each_item};
use sealwright_sigma::{Limits, parse};
use serde_json::Value;

use crate::shared;

#[test]
fn every_rule_loads_and_placeholders_are_named() {
    let Some(data) = shared::data() else { return };
    let mut loaded = BTreeMap::new();
    let mut errors = Vec::new();
    let mut placeholders = BTreeMap::<String, usize>::new();
    for (path, text) in shared::rules(&data) {
        let parsed = parse(&path, &text, &Limits::default(), &Default::default());
        errors.extend(parsed.errors.iter().map(ToString::to_string));
        for d in parsed.documents {
            let Document::Rule(r) = d else {
                panic!("{path} is no rule")
            };
            for (_, s) in &r.detections {
                each_item(s, &mut |i| {
                    for name in i.values.iter().flat_map(|v| &v.placeholders) {
                        *placeholders.entry(name.clone()).or_default() += 1;
                    }
                });
            }
            loaded.insert(r.meta.id.clone().unwrap(), path.clone());
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let index = std::fs::read_to_string(data.join("sigma-rules/index.jsonl")).unwrap();
    let expected: BTreeMap<String, String> = index
        .lines()
        .map(|l| {
            let v: Value = serde_json::from_str(l).unwrap();
            (
                v["id"].as_str().unwrap().to_owned(),
                v["path"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(expected.len(), 3780);
    assert_eq!(loaded, expected);
    insta::assert_debug_snapshot!(placeholders);
}
