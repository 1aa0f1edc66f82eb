//! The scenarios of the CloudEvents conformance suite, read from the feature file itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealwright_cloudevents::{Limits, parse_request};
use serde_json::Value;

#[derive(Default, Debug)]
struct Scenario {
    name: String,
    request: String,
    attributes: BTreeMap<String, String>,
    data: String,
    examples: Vec<(String, Vec<String>)>,
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|c| c.trim().to_owned()).collect()
}

/// The part of Gherkin that the file uses; a step that is not known fails.
fn scenarios(text: &str) -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();
    let mut lines = text.lines().peekable();
    let mut table = "";
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if let Some(name) = trimmed
            .strip_prefix("Scenario Outline:")
            .or_else(|| trimmed.strip_prefix("Scenario:"))
        {
            all.push(Scenario {
                name: name.trim().to_owned(),
                ..Scenario::default()
            });
            continue;
        }
        let Some(scenario) = all.last_mut() else {
            continue;
        };
        if trimmed == "\"\"\"" {
            let indent = line.find('"').unwrap();
            let mut text = Vec::new();
            for line in lines.by_ref() {
                if line.trim() == "\"\"\"" {
                    break;
                }
                text.push(line.get(indent..).unwrap_or("").to_owned());
            }
            match table {
                "request" => scenario.request = text.join("\n"),
                "data" => scenario.data = text.join("\n"),
                other => panic!("text after `{other}`"),
            }
        } else if trimmed.starts_with('|') {
            let row = cells(trimmed);
            if table == "attributes" {
                if row[0] != "key" {
                    scenario.attributes.insert(row[0].clone(), row[1].clone());
                }
            } else if scenario.examples.is_empty() {
                scenario.examples = row.into_iter().map(|name| (name, Vec::new())).collect();
            } else {
                for (column, cell) in scenario.examples.iter_mut().zip(row) {
                    column.1.push(cell);
                }
            }
        } else {
            table = match trimmed {
                "" => table,
                "Given an HTTP request" => "request",
                "When parsed as HTTP request" => "",
                "Then the attributes are:" => "attributes",
                "And the data is equal to the following JSON:" => "data",
                "Examples:" => "examples",
                other => panic!("a step that is not known: {other}"),
            };
        }
    }
    all
}

fn run(scenario: &Scenario, fill: impl Fn(&str) -> String) {
    let request = fill(&scenario.request);
    let (head, body) = request.split_once("\n\n").unwrap();
    let headers: Vec<(&str, &[u8])> = head
        .lines()
        .skip(1)
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name, value.trim().as_bytes()))
        .collect();
    let parsed = parse_request(headers, body.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(parsed.events.len(), 1);
    let event = parsed.events[0].as_ref().unwrap();
    let mut value: Value = serde_json::from_str(event.json()).unwrap();
    let data = value.as_object_mut().unwrap().remove("data").unwrap();
    let wanted: Value = serde_json::from_str(&fill(&scenario.data)).unwrap();
    assert_eq!(data, wanted, "{}", scenario.name);
    let got: BTreeMap<String, String> = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
        .collect();
    let wanted = scenario
        .attributes
        .iter()
        .map(|(k, v)| (k.clone(), fill(v)))
        .collect();
    assert_eq!(got, wanted, "{}", scenario.name);
}

fn run_file(text: &str) -> usize {
    let mut count = 0;
    for scenario in scenarios(text) {
        let rows = scenario
            .examples
            .first()
            .map_or(0, |(_, cells)| cells.len());
        for row in 0..rows.max(1) {
            run(&scenario, |text| {
                scenario
                    .examples
                    .iter()
                    .fold(text.to_owned(), |text, (name, cells)| {
                        text.replace(&format!("<{name}>"), &cells[row])
                    })
            });
            count += 1;
        }
    }
    count
}

#[test]
fn every_scenario_of_the_kept_copy_passes() {
    assert_eq!(
        run_file(include_str!("../data/http-protocol-binding.feature")),
        4
    );
}

#[test]
fn every_scenario_of_the_shared_data_passes() {
    #[allow(clippy::disallowed_methods)]
    let folder = std::env::var_os("SEALWRIGHT_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data"),
        PathBuf::from,
    );
    let folder = folder.join("billing/cloudevents/features");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no data");
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("http") {
            assert!(run_file(&std::fs::read_to_string(&path).unwrap()) > 0);
        }
    }
}
