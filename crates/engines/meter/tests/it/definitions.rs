//! Meter files.

use std::fmt::Write;

use proptest::prelude::*;
use sealwright_meter::{FLOOR, MeterDef, canonical_dimensions, floor_meters, parse_meters};

#[test]
fn faults_are_located() {
    let meter = "[[meters]]\nkey = \"k\"\ntitle = \"K\"\nevent_types = [\"t\"]\nunit = \"u\"\n";
    let mut out = String::new();
    for text in [
        format!("{meter}aggregation = \"sum\"\nvalue = \"data.x +\"\n"),
        format!("{meter}aggregation = \"sum\"\n"),
        format!("{meter}aggregation = \"count\"\nvalue = \"data.x\"\n"),
        format!("{meter}aggregation = \"median\"\nvalue = \"data.x\"\n"),
        format!(
            "{meter}aggregation = \"count\"\nfilter = \"data.x ==\"\ndimensions = {{ a = \"1\", b = \"data.b?\" }}\n"
        ),
        format!("{meter}aggregation = \"count\"\nseries = [\"data.x\"]\n"),
        format!("{meter}aggregation = \"count\"\ncolour = \"red\"\n"),
        format!("{meter}aggregation = \"count\"\n{meter}aggregation = \"count\"\n"),
        meter.replace("\"k\"", "\"K k\"") + "aggregation = \"count\"\n",
        meter.replace("[\"t\"]", "[]") + "aggregation = \"count\"\n",
        "meters = 5".to_owned(),
        "[[meters]".to_owned(),
    ] {
        for error in parse_meters("meters.toml", &text).unwrap_err() {
            writeln!(out, "{error}").unwrap();
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_definition_survives_its_json() {
    assert_eq!(parse_meters("floor.toml", FLOOR).unwrap(), floor_meters());
    for def in floor_meters() {
        let json = serde_json::to_string(&def).unwrap();
        assert_eq!(serde_json::from_str::<MeterDef>(&json).unwrap(), def);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = parse_meters("m", &text);
    }

    #[test]
    fn different_dimensions_have_different_texts(
        a in prop::collection::btree_map("[ab=,\\\\]{1,3}", "[ab=,\\\\]{0,3}", 0..3),
        b in prop::collection::btree_map("[ab=,\\\\]{1,3}", "[ab=,\\\\]{0,3}", 0..3),
    ) {
        let text = |m: &std::collections::BTreeMap<String, String>| {
            canonical_dimensions(m.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        };
        prop_assert_eq!(text(&a) == text(&b), a == b);
    }
}
