//! The rules that the program comes with: loaded, set as a whole, by family and one by one.

use std::collections::BTreeMap;

use sealwright_siem::model::{RuleInfo, Setting};
use sealwright_siem::service::builtin::{self, BUILT_IN};
use sealwright_siem::service::ruleset::{Ruleset, Settings_, check};
use serde_json::json;

const FAILED_LOGINS: &str = "b3a5bc7f-848a-5849-bef4-d01b19c980b6";
const FAILED_EVENTS: &str = "d4eb10fe-874b-5459-97c1-09e738b845b5";

fn settings(list: &[(&str, Setting)]) -> Settings_ {
    list.iter()
        .map(|(id, setting)| ((*id).to_owned(), setting.clone()))
        .collect()
}

fn switch(enabled: bool) -> Setting {
    Setting {
        enabled: Some(enabled),
        ..Setting::default()
    }
}

fn on(ruleset: &Ruleset) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for rule in ruleset.infos.iter().filter(|r| r.enabled && !r.internal) {
        let family = builtin::family_of(&rule.file).unwrap_or_default();
        *out.entry(family.to_owned()).or_insert(0) += 1;
    }
    out
}

fn info<'r>(ruleset: &'r Ruleset, id: &str) -> &'r RuleInfo {
    ruleset.infos.iter().find(|r| r.id == id).unwrap()
}

#[test]
fn they_load_without_fault_and_say_what_they_are_for() {
    let ruleset = Ruleset::compile(&builtin::files(), &Settings_::new());
    assert_eq!(ruleset.errors, Vec::<String>::new());
    let families = on(&ruleset);
    assert!(families.values().sum::<usize>() >= 170, "{families:?}");
    for family in ["ai", "authentication", "cloud", "exfiltration"] {
        assert!(families.contains_key(family), "{families:?}");
    }
    for rule in ruleset.infos.iter().filter(|r| !r.internal) {
        assert!(rule.floor && !rule.evidence.is_empty(), "{}", rule.title);
        assert!(
            rule.tags.iter().any(|t| t.starts_with("attack.")),
            "{}",
            rule.title
        );
        assert!(rule.unresolved.is_empty(), "{}", rule.title);
        assert_ne!(rule.file, "", "{}", rule.title);
    }
    let rule = info(&ruleset, FAILED_LOGINS);
    assert_eq!(rule.asks, ["alert", "block-address 1h"]);
    assert_eq!(rule.parts, [FAILED_EVENTS]);
    let names: Vec<&str> = rule.tunables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["threshold", "window"]);
    assert!(info(&ruleset, FAILED_EVENTS).internal);
}

#[test]
fn a_set_is_turned_off_as_a_whole_or_by_family_and_one_rule_counts_more() {
    let files = builtin::files();
    let all = on(&Ruleset::compile(&files, &Settings_::new()));
    let none = on(&Ruleset::compile(
        &files,
        &settings(&[(BUILT_IN, switch(false))]),
    ));
    assert!(none.is_empty(), "{none:?}");
    let cloud = builtin::set_id("cloud");
    let without = on(&Ruleset::compile(
        &files,
        &settings(&[(&cloud, switch(false))]),
    ));
    assert!(!without.contains_key("cloud"));
    assert_eq!(without["ai"], all["ai"]);
    let mixed = settings(&[
        (BUILT_IN, switch(false)),
        (&cloud, switch(true)),
        (FAILED_LOGINS, switch(true)),
    ]);
    let mixed = on(&Ruleset::compile(&files, &mixed));
    assert_eq!(mixed["cloud"], all["cloud"]);
    assert_eq!(mixed["authentication"], 1);
    check(&files, BUILT_IN, &switch(false)).unwrap();
    check(&files, &cloud, &switch(false)).unwrap();
    let missing = check(&files, "built-in:nothing", &switch(false)).unwrap_err();
    assert!(missing.starts_with("there is no rule"), "{missing}");
    let more = Setting {
        threshold: Some("3".to_owned()),
        ..switch(true)
    };
    assert!(
        check(&files, BUILT_IN, &more)
            .unwrap_err()
            .contains("only on or off")
    );
}

#[test]
fn values_of_a_rule_are_set_within_its_bounds() {
    let files = builtin::files();
    let with = |name: &str, value: serde_json::Value| Setting {
        tunables: BTreeMap::from([(name.to_owned(), value)]),
        ..Setting::default()
    };
    let tuned = settings(&[(FAILED_LOGINS, with("threshold", json!(9)))]);
    let ruleset = Ruleset::compile(&files, &tuned);
    assert_eq!(ruleset.errors, Vec::<String>::new());
    let rule = info(&ruleset, FAILED_LOGINS);
    assert_eq!(rule.threshold.as_deref(), Some("9"));
    assert_eq!(rule.tunables[0].value, json!(9));
    check(&files, FAILED_LOGINS, &with("window", json!("10m"))).unwrap();
    for (name, value, why) in [
        ("threshold", json!(1), "not within"),
        ("threshold", json!("many"), "number"),
        ("colour", json!(1), "no tunable"),
    ] {
        let error = check(&files, FAILED_LOGINS, &with(name, value)).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn values_are_left_out_of_what_a_correlation_counts() {
    let files = builtin::files();
    let exclude = Setting {
        exclude: BTreeMap::from([("user.name".to_owned(), vec!["probe*".to_owned()])]),
        ..Setting::default()
    };
    check(&files, FAILED_LOGINS, &exclude).unwrap();
    let ruleset = Ruleset::compile(&files, &settings(&[(FAILED_LOGINS, exclude)]));
    assert_eq!(ruleset.errors, Vec::<String>::new());
    let index = ruleset
        .collection
        .rules
        .iter()
        .position(|r| r.meta.key() == FAILED_EVENTS)
        .unwrap();
    let mut matcher = sealwright_siem::service::detect::matcher(&ruleset);
    for (user, matches) in [("ada", true), ("probe-7", false)] {
        let event = json!({"event.category": "authentication", "event.outcome": "failure",
            "source.ip": "192.0.2.1", "user.name": user});
        let found = matcher.matches(&event.to_string()).unwrap();
        assert_eq!(found.contains(&index), matches, "{user}");
    }
}
