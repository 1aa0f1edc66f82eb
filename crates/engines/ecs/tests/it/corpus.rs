//! The given events: all of them become ECS.

use std::collections::BTreeMap;

use sealwright_ecs::{Context, Normaliser, validate};
use serde_json::Value;

use crate::shared;

const NOW: i64 = 1_795_640_820_000_000;

fn normaliser() -> Normaliser {
    Normaliser::new(Vec::new()).unwrap()
}

#[test]
fn all_test_events_of_cloud_sources_normalise_and_validate() {
    let Some(data) = shared::data() else { return };
    let n = normaliser();
    let context = Context {
        received: NOW,
        ..Context::default()
    };
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut total = 0;
    let mut problems = Vec::new();
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
            let event = n.normalise(&line["event"].to_string(), &context).unwrap();
            let ecs: Value = serde_json::from_str(&event.json).unwrap();
            total += 1;
            let source = n.mapping(event.source).name.to_string();
            for p in validate(&ecs) {
                problems.push(format!("{name} {source} {}: {p}", line["test_name"]));
            }
            *counts
                .entry((line["log_type"].as_str().unwrap().to_owned(), source))
                .or_default() += 1;
        }
    }
    assert_eq!(total, 1336);
    assert_eq!(problems, Vec::<String>::new());
    let table: Vec<String> = counts
        .iter()
        .map(|((l, s), n)| format!("{l} -> {s}: {n}"))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn windows_events_normalise_and_validate() {
    let Some(data) = shared::data() else { return };
    let n = normaliser();
    let context = Context {
        received: NOW,
        ..Context::default()
    };
    let check = |text: &str, place: &str| {
        let event = n.normalise(text, &context).unwrap();
        let ecs: Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!(&*n.mapping(event.source).name, "windows", "{place}: {text}");
        assert!(event.timed, "{place}: {text}");
        assert_eq!(validate(&ecs), [], "{place}: {}", event.json);
    };
    for entry in std::fs::read_dir(data.join("sigma-regression/events")).unwrap() {
        let path = entry.unwrap().path();
        for line in shared::lines(&path) {
            check(&line, &path.to_string_lossy());
        }
    }
    // A part of one day of Windows events is enough for a test.
    let file = data.join("otrf-security-datasets/events/covenant_persistwmi.ndjson.zst");
    for line in shared::lines(&file).iter().step_by(7).take(400) {
        check(line, "otrf");
    }
}

#[test]
fn the_table_is_that_of_the_given_schema() {
    let Some(data) = shared::data() else { return };
    let text = std::fs::read_to_string(data.join("ecs/allowed_values.json")).unwrap();
    let given: Value = serde_json::from_str(&text).unwrap();
    let schema = sealwright_ecs::schema::schema();
    let names = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for (name, field) in given["fields"].as_object().unwrap() {
        let Some(list) = field.get("allowed_values") else {
            continue;
        };
        let ours: Vec<String> = schema
            .field(name)
            .unwrap()
            .allowed
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(ours, names(list), "{name}");
        if name == "event.category" {
            for category in list.as_array().unwrap() {
                let types: Vec<&str> = schema
                    .types_of(category["name"].as_str().unwrap())
                    .iter()
                    .map(|t| &**t)
                    .collect();
                let given: Vec<&str> = category["expected_event_types"]
                    .as_array()
                    .map(|l| l.iter().filter_map(Value::as_str).collect())
                    .unwrap_or_default();
                assert_eq!(types, given, "{}", category["name"]);
            }
        }
    }
    // Each field of the schema begins a line of its own, without indentation.
    let flat = std::fs::read_to_string(data.join("ecs/ecs_flat.yml")).unwrap();
    let names: Vec<&str> = flat
        .lines()
        .filter(|l| !l.starts_with([' ', '#', '-']) && l.ends_with(':'))
        .map(|l| l.trim_end_matches(':').trim_matches('\''))
        .collect();
    assert_eq!(names.len(), 2612);
    for name in names {
        assert!(schema.field(name).is_some(), "{name}");
    }
}

/// What is kept of fields is made anew when the version is another one.
#[test]
fn the_version_is_raised_when_other_fields_are_made() {
    let Some(data) = shared::data() else { return };
    let n = normaliser();
    let context = Context {
        received: NOW,
        ..Context::default()
    };
    let mut files: Vec<_> = std::fs::read_dir(data.join("panther-rule-tests"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != "rules.jsonl"))
        .filter(|path| path.to_string_lossy().contains(".jsonl"))
        .collect();
    files.sort();
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for line in files.iter().flat_map(|path| shared::lines(path)) {
        let line: Value = serde_json::from_str(&line).unwrap();
        let made = n.beside(&line["event"].to_string(), &context).unwrap();
        for byte in made.json.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    let made = format!("version {}: {hash:016x}", sealwright_ecs::VERSION);
    insta::assert_snapshot!(made);
}
