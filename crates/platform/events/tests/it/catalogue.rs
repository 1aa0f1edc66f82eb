//! The catalogue's checks and schemas.

use sealwright_cloudevents::{Limits, parse_event};
use sealwright_core::{Id, UnixMicros};
use sealwright_events::catalogue::{FAMILIES, FieldKind, event_type, json_schema};
use sealwright_events::{Admit, Catalogue, Incoming, Rejection};

fn admit(kind: &str, data: &str) -> Result<(), Rejection> {
    let text =
        format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"{kind}","data":{data}}}"#);
    let event = parse_event(text.as_bytes(), &Limits::default()).unwrap();
    Catalogue.admit(&Incoming {
        tenant: Id::new(UnixMicros(0)),
        event_type: event.event_type(),
        time: UnixMicros(0),
        json: event.json().as_bytes(),
    })
}

const AI: &str = "sealwright.usage.ai.v1";

#[test]
fn usage_that_fits_is_admitted() {
    admit(AI, r#"{"model":"m","region":"r","input_tokens":1,"output_tokens":0,"cached_input_tokens":null,"x":{"more":[1]}}"#).unwrap();
    admit(
        "sealwright.usage.compute.v1",
        r#"{"hours":0.25,"region":"r"}"#,
    )
    .unwrap();
    admit(
        "sealwright.usage.compute.v1",
        r#"{"hours":1.5e2,"region":"r","instance_type":"a"}"#,
    )
    .unwrap();
    admit(
        "sealwright.usage.compute.v1",
        r#"{"hours":1,"region":"a\"b\\nc","instance_type":"é"}"#,
    )
    .unwrap();
    admit("com.example.other", "null").unwrap();
    admit("com.example.other", "-1").unwrap();
}

#[test]
fn usage_that_does_not_fit_is_refused_where_it_is_wrong() {
    for (data, code, pointer) in [
        ("7", "invalid-data", "/data"),
        ("null", "invalid-data", "/data"),
        (
            r#"{"region":"r","input_tokens":1,"output_tokens":0}"#,
            "missing-field",
            "/data/model",
        ),
        (
            r#"{"model":"m","region":"r","input_tokens":-1,"output_tokens":0}"#,
            "invalid-field",
            "/data/input_tokens",
        ),
        (
            r#"{"model":"m","region":"r","input_tokens":1.5,"output_tokens":0}"#,
            "invalid-field",
            "/data/input_tokens",
        ),
        (
            r#"{"model":"m","region":"r","input_tokens":"1","output_tokens":0}"#,
            "invalid-field",
            "/data/input_tokens",
        ),
        (
            r#"{"model":"m","region":"r","input_tokens":null,"output_tokens":0}"#,
            "invalid-field",
            "/data/input_tokens",
        ),
        (
            r#"{"model":"m","region":"r","input_tokens":9223372036854775808,"output_tokens":0}"#,
            "invalid-field",
            "/data/input_tokens",
        ),
        (
            r#"{"model":"","region":"r","input_tokens":1,"output_tokens":0}"#,
            "invalid-field",
            "/data/model",
        ),
        (
            r#"{"model":"a\u0000b","region":"r","input_tokens":1,"output_tokens":0}"#,
            "invalid-field",
            "/data/model",
        ),
        (
            r#"{"model":"a\\\nb","region":"r","input_tokens":1,"output_tokens":0}"#,
            "invalid-field",
            "/data/model",
        ),
        (
            r#"{"model":5,"region":"r","input_tokens":1,"output_tokens":0}"#,
            "invalid-field",
            "/data/model",
        ),
    ] {
        let error = admit(AI, data).unwrap_err();
        assert_eq!(
            (error.code, error.pointer.as_str()),
            (code, pointer),
            "{data}: {error}"
        );
    }
    let compute = "sealwright.usage.compute.v1";
    for (hours, code) in [
        ("-0.5", "invalid-field"),
        ("1e300", "number-out-of-range"),
        ("123456789012345678901234567890123", "number-out-of-range"),
    ] {
        let error = admit(compute, &format!(r#"{{"hours":{hours},"region":"r"}}"#)).unwrap_err();
        assert_eq!((error.code, error.pointer.as_str()), (code, "/data/hours"));
    }
    admit("sealwright.usage.unheard.v1", "-1").unwrap();
}

#[test]
fn audit_fields_are_checked() {
    let kind = "sealwright.audit.action.v1";
    let digest = "ab".repeat(32);
    let good = format!(
        r#"{{"actor_kind":"user","actor":"usr_1","action":"access.key.create","outcome":"success","after":"{digest}"}}"#
    );
    admit(kind, &good).unwrap();
    assert_eq!(
        admit(kind, &good.replace("success", "fine"))
            .unwrap_err()
            .pointer,
        "/data/outcome"
    );
    assert_eq!(
        admit(kind, &good.replace("abab", "ABAB"))
            .unwrap_err()
            .pointer,
        "/data/after"
    );
}

#[test]
fn names_are_unique_and_follow_their_family() {
    let mut seen = std::collections::BTreeSet::new();
    for family in FAMILIES {
        for t in family.types {
            assert!(seen.insert(t.name));
            assert!(
                t.name.starts_with(&format!("sealwright.{}.", family.name)),
                "{}",
                t.name
            );
            assert_eq!(event_type(t.name).unwrap().name, t.name);
            assert!(
                t.fields
                    .iter()
                    .all(|f| !f.doc.is_empty() && f.kind != FieldKind::Text(0))
            );
        }
    }
}

#[test]
fn schemas_are_printed() {
    insta::assert_json_snapshot!(json_schema(event_type(AI).unwrap()));
}
