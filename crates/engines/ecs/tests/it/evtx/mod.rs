//! Records of a real Windows event log, whole and damaged.

use std::io::Cursor;

use proptest::prelude::*;
use sealwright_ecs::input::evtx::{MAGIC, Records};
use sealwright_ecs::{Context, Normaliser, validate};
use serde_json::{Value, json};

const FILE: &[u8] = include_bytes!("security.evtx");

fn records(bytes: &[u8]) -> Vec<Result<String, String>> {
    match Records::new(Cursor::new(bytes)) {
        Ok(records) => records
            .map(|record| record.map_err(|error| error.to_string()))
            .collect(),
        Err(error) => vec![Err(error.to_string())],
    }
}

#[test]
fn records_are_those_that_another_reader_finds() {
    assert!(FILE.starts_with(MAGIC));
    let found: Vec<Value> = records(FILE)
        .iter()
        .map(|line| serde_json::from_str(line.as_ref().unwrap()).unwrap())
        .collect();
    let said: Vec<(i64, i64, &str, &str)> = found
        .iter()
        .map(|record| {
            let system = &record["Event"]["System"];
            (
                system["EventRecordID"].as_i64().unwrap(),
                system["EventID"].as_i64().unwrap(),
                system["TimeCreated"]["#attributes"]["SystemTime"]
                    .as_str()
                    .unwrap(),
                record["Event"]["EventData"]["TargetUserName"]
                    .as_str()
                    .unwrap_or_default(),
            )
        })
        .collect();
    insta::assert_debug_snapshot!(said);
}

#[test]
fn a_record_becomes_an_ecs_event() {
    let normaliser = Normaliser::new(Vec::new()).unwrap();
    let context = Context {
        hint: None,
        received: 1_795_640_820_000_000,
        tenant: None,
        geo: None,
    };
    let failed = records(FILE).swap_remove(3).unwrap();
    let event = normaliser.normalise(&failed, &context).unwrap();
    let ecs: Value = serde_json::from_str(&event.json).unwrap();
    assert!(event.timed);
    assert_eq!(ecs["@timestamp"], "2016-06-29T15:24:36.686Z");
    assert_eq!(ecs["event"]["code"], "4625");
    assert_eq!(ecs["event"]["outcome"], "failure");
    assert_eq!(ecs["event"]["category"], json!(["authentication"]));
    assert_eq!(ecs["user"]["name"], "Administrator");
    assert_eq!(validate(&ecs), []);
}

#[test]
fn what_is_cut_off_or_foreign_is_said() {
    assert_eq!(records(b"").len(), 1);
    assert!(records(b"{\"Event\":{}}")[0].is_err());
    // The head alone: a log without records.
    assert!(records(&FILE[..4096]).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        flips in prop::collection::vec((4096_usize..12_000, 1_u8..=255), 1..20),
        cut in 4096_usize..=FILE.len(),
    ) {
        let mut bytes = FILE.to_vec();
        for (at, bits) in flips {
            bytes[at] ^= bits;
        }
        bytes.truncate(cut);
        let read = records(&bytes);
        prop_assert!(read.len() <= 1_000);
        for line in read.iter().flatten() {
            prop_assert!(serde_json::from_str::<Value>(line).is_ok());
        }
    }
}
