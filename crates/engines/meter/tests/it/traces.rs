//! Real request traces: the meters give the stated sums, in any order and in any parts.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealwright_meter::{Aggregate, EventRef, MeterSet, floor_meters};
use serde_json::{Value, json};

#[allow(clippy::disallowed_methods)] // a test has no configuration
fn shared(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|dir| dir.join("shared/data"))
            .find(|dir| dir.is_dir())?,
    };
    Some(root.join(path)).filter(|p| p.exists())
}

#[test]
fn the_meters_give_the_stated_sums() {
    let Some(expected) = shared("billing/llm-traces/expected-aggregates.json") else {
        eprintln!("skipped: no data");
        return;
    };
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(expected).unwrap()).unwrap();
    let set = MeterSet::compile(&floor_meters()).unwrap();
    for file in [
        "AzureLLMInferenceTrace_code.csv.gz",
        "AzureLLMInferenceTrace_conv.csv.gz",
    ] {
        let path = shared(&format!("billing/llm-traces/{file}")).unwrap();
        let output = Command::new("gzip")
            .args(["-dc"])
            .arg(path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut parts = [totals(&set), totals(&set), totals(&set)];
        for (n, line) in text.lines().skip(1).enumerate() {
            let fields: Vec<&str> = line.trim().split(',').collect();
            let tokens = |i: usize| fields[i].parse::<u64>().unwrap();
            let data = json!({"model": "m", "region": "r", "input_tokens": tokens(1), "output_tokens": tokens(2)});
            let id = n.to_string();
            let event = EventRef {
                id: &id,
                source: "/trace",
                data: Some(&data),
                ..EventRef::default()
            };
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            set.contributions("sealwright.usage.ai.v1", &event, 0, &mut out, &mut errors);
            assert!(errors.is_empty());
            for item in &out {
                parts[n % 3][item.meter].add(&item.value).unwrap();
            }
        }
        let want = &expected["files"][file];
        for (key, field) in [
            ("ai.requests", "requests"),
            ("ai.input_tokens", "input_tokens"),
            ("ai.output_tokens", "output_tokens"),
        ] {
            let meter = set.index_of(key).unwrap();
            let mut whole = parts[2][meter].clone();
            whole.merge(&parts[0][meter]).unwrap();
            whole.merge(&parts[1][meter]).unwrap();
            let got = whole.finish(0, 1).unwrap().unwrap().value;
            assert_eq!(got.to_string(), want[field].to_string(), "{file} {key}");
        }
    }
}

fn totals(set: &MeterSet) -> Vec<Aggregate> {
    (0..set.len())
        .map(|i| Aggregate::new(set.def(i).unwrap().aggregation))
        .collect()
}
