//! This program's own rules: they load, name fields of ECS, and do what their tests say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwright_ecs::beside::LOGSOURCE_FIELDS;
use sealwright_ecs::schema::{Kind, schema};
use sealwright_ecs::{Context, Normaliser};
use sealwright_sigma::collection::Collection;
use sealwright_sigma::compiled::{Matcher, Options, RuleSet};
use sealwright_sigma::correlation::engine::Engine;
use sealwright_sigma::logsource::EventSource;
use sealwright_sigma::model::each_item;
use sealwright_sigma::testing;
use serde_json::Value;

use crate::shared;

fn folder() -> PathBuf {
    let engines = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    engines.join("sigma/rules")
}

/// (path, text) of all files below the folder of rules.
fn files() -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    let mut open = vec![folder()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "yml") {
                let text = std::fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    out.sort();
    out
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".test.yml")
}

fn collection() -> Collection {
    let mut c = Collection::default();
    for (path, text) in files().iter().filter(|(p, _)| !is_test(p)) {
        c.add(
            &path.to_string_lossy(),
            text,
            &Default::default(),
            &Default::default(),
        );
    }
    c.finish(&[]);
    assert!(
        c.errors.is_empty(),
        "{}",
        c.errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    );
    c
}

/// A name of ECS, or one below a place where sources keep what is theirs.
fn known(name: &str) -> bool {
    if schema().field(name).is_some() {
        return true;
    }
    name.match_indices('.').any(|(i, _)| {
        let parent = &name[..i];
        let member = &name[i + 1..];
        schema().field(parent).is_some_and(|f| {
            matches!(f.kind, Kind::Object if !f.parent)
                || f.kind == Kind::GeoPoint && matches!(member, "lat" | "lon")
        })
    })
}

#[test]
fn rules_name_fields_of_ecs_and_say_what_they_are_for() {
    let c = collection();
    let mut names: BTreeSet<String> = Engine::fields(&c).into_iter().collect();
    for r in &c.rules {
        for (_, s) in &r.detections {
            each_item(s, &mut |item| names.extend(item.field.clone()));
        }
        assert_eq!(r.meta.taxonomy.as_deref(), Some("ecs"), "{}", r.meta.title);
        assert!(
            r.meta.id.is_some() && r.meta.name.is_some(),
            "{}",
            r.meta.title
        );
    }
    let unknown: Vec<&String> = names.iter().filter(|n| !known(n)).collect();
    assert_eq!(unknown, Vec::<&String>::new());
    let shown = c.shown();
    let rules = c
        .rules
        .iter()
        .zip(&shown.rules)
        .filter(|(_, s)| **s)
        .map(|(r, _)| &r.meta);
    let correlations = c
        .correlations
        .iter()
        .zip(&shown.correlations)
        .filter(|(_, s)| **s)
        .map(|(c, _)| &c.meta);
    let metas = rules.chain(correlations);
    let mut families: BTreeMap<String, usize> = BTreeMap::new();
    for m in metas {
        let a = &m.annotations;
        assert!(
            m.tags.iter().any(|t| t.starts_with("attack.")),
            "{}",
            m.title
        );
        assert!(
            !a.evidence.is_empty()
                && !a.actions.is_empty()
                && m.level.is_some()
                && m.description.is_some(),
            "{}",
            m.title
        );
        *families
            .entry(a.family.clone().unwrap_or_default())
            .or_default() += 1;
    }
    println!("{families:?}");
    for (family, least) in [
        ("authentication", 8),
        ("ai", 7),
        ("exfiltration", 8),
        ("cloud", 12),
        ("network", 1),
    ] {
        assert!(
            families.get(family).is_some_and(|n| *n >= least),
            "{families:?}"
        );
    }
}

#[test]
fn rules_fire_and_stay_silent_as_their_tests_say() {
    let normaliser = Normaliser::new(Vec::new()).unwrap();
    let files = files();
    let mut failures = Vec::new();
    let mut tests = 0;
    for (path, text) in files.iter().filter(|(p, _)| is_test(p)) {
        let suite = testing::parse(&path.to_string_lossy(), text).unwrap();
        let rule = path.to_string_lossy().replace(".test.yml", ".yml");
        let rules: Vec<(&str, &str)> = files
            .iter()
            .filter(|(p, _)| p.to_string_lossy() == rule)
            .map(|(_, t)| (rule.as_str(), t.as_str()))
            .collect();
        assert_eq!(rules.len(), 1, "{rule}");
        let firing = suite.tests.iter().filter(|t| t.fires > 0).count();
        let near = suite.tests.len() - firing;
        assert!(
            firing >= 3 && near >= 3,
            "{}: {firing} firing, {near} near misses",
            path.display()
        );
        let run = |beside: bool| {
            testing::run(&suite, &rules, &mut |e| {
                let context = Context {
                    hint: e.source.as_deref(),
                    received: e.time,
                    ..Context::default()
                };
                let text = e.event.to_string();
                let event = if beside {
                    normaliser.beside(&text, &context)
                } else {
                    normaliser.normalise(&text, &context)
                };
                let event = event.map_err(|e| e.to_string())?;
                serde_json::from_str(&event.json).map_err(|e| e.to_string())
            })
        };
        // As ECS alone, and beside what the source wrote.
        let mut outcomes = run(false);
        outcomes.extend(run(true));
        tests += outcomes.len();
        for o in outcomes.iter().filter(|o| !o.passed()) {
            failures.push(format!(
                "{}: {}: expected {}, fired {:?} {:?}",
                rule, o.name, o.expected, o.fired, o.error
            ));
        }
    }
    let tested = |path: &Path| {
        let beside = path.to_string_lossy().replace(".yml", ".test.yml");
        files.iter().any(|(p, _)| p.to_string_lossy() == beside)
    };
    let untested: Vec<&PathBuf> = files
        .iter()
        .map(|(p, _)| p)
        .filter(|p| !is_test(p) && !tested(p))
        .collect();
    assert_eq!(untested, Vec::<&PathBuf>::new(), "rules without tests");
    println!("{tests} tests of rules");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Recall on the test events of another product's rules for the same behaviour, a log type at a time.
#[test]
fn behaviours_are_found_in_given_events() {
    let Some(data) = shared::data() else { return };
    let c = collection();
    let names: Vec<String> = c
        .rules
        .iter()
        .map(|r| r.meta.name.clone().unwrap_or_default())
        .collect();
    let options = Options {
        extra_fields: Engine::fields(&c),
        ..Options::default()
    };
    // The same rules as the stream has them: events beside their source, rules by log source.
    let routed = Options {
        source_fields: LOGSOURCE_FIELDS.map(str::to_owned),
        ..options.clone()
    };
    let set = |options| Arc::new(RuleSet::new(c.rules.clone(), options));
    let mut matcher = Matcher::new(set(options), EventSource::UNKNOWN);
    let mut streamed = Matcher::new(set(routed), EventSource::UNKNOWN);
    let normaliser = Normaliser::new(Vec::new()).unwrap();
    let mut ours: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in include_str!("behaviours.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        let (theirs, own) = line.split_once('\t').unwrap();
        assert!(names.iter().any(|n| n == own), "{own}");
        ours.entry(theirs).or_default().push(own);
    }
    // For each log type: true events, found; false events, silent; true events of behaviours we have no rule for.
    let mut table: BTreeMap<String, [u32; 5]> = BTreeMap::new();
    let mut misses = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(data.join("panther-rule-tests"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(".jsonl") || name == "rules.jsonl" {
            continue;
        }
        for line in shared::lines(&path) {
            let line: Value = serde_json::from_str(&line).unwrap();
            let context = Context {
                received: 1_795_640_820_000_000,
                ..Context::default()
            };
            let event = normaliser
                .normalise(&line["event"].to_string(), &context)
                .unwrap();
            let beside = normaliser
                .beside(&line["event"].to_string(), &context)
                .unwrap();
            let found = matcher.matches(&event.json).unwrap().to_vec();
            assert_eq!(
                streamed.matches_at(&beside.json, Some(event.time)).unwrap(),
                found,
                "{}",
                beside.json
            );
            let matched: Vec<&str> = found.iter().map(|i| names[*i].as_str()).collect();
            let row = table
                .entry(line["log_type"].as_str().unwrap().to_owned())
                .or_default();
            let expected = line["expected"].as_bool().unwrap();
            let Some(own) = ours.get(line["rule_id"].as_str().unwrap()) else {
                row[4] += u32::from(expected);
                continue;
            };
            let fired = own.iter().any(|o| matched.contains(o));
            match expected {
                true => {
                    row[0] += 1;
                    row[1] += u32::from(fired);
                }
                false => {
                    row[2] += 1;
                    row[3] += u32::from(!fired);
                }
            }
            if fired != expected {
                misses.push(format!(
                    "{} {} ({}): expected {expected}",
                    line["rule_id"],
                    line["test_name"],
                    own.join(",")
                ));
            }
        }
    }
    let mut text = String::from(
        "log type: found of true, silent of false, true events of behaviours without a rule\n",
    );
    for (log, [t, f, n, s, other]) in &table {
        text.push_str(&format!("{log}: {f}/{t}, {s}/{n}, {other}\n"));
    }
    println!("{text}\n{}", misses.join("\n"));
    // What was measured lies above; a change that loses a tenth of it is no accident.
    let sum = |i: usize| table.values().map(|row| row[i]).sum::<u32>();
    let (true_events, found, false_events, silent) = (sum(0), sum(1), sum(2), sum(3));
    assert!(found * 10 >= true_events * 9, "{text}");
    assert!(silent * 10 >= false_events * 8, "{text}");
    assert!(true_events >= 500 && false_events >= 400, "{text}");
}
