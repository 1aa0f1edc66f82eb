//! The predefined meters on events.

use sealwright_meter::{Aggregate, Contribution, EventRef, MeterSet, Sample, floor_meters};
use serde_json::{Value, json};

fn set() -> MeterSet {
    MeterSet::compile(&floor_meters()).unwrap()
}

fn show(set: &MeterSet, event_type: &str, data: &Value) -> (Vec<String>, Vec<String>) {
    let event = EventRef {
        id: "e",
        source: "/s",
        kind: event_type,
        subject: None,
        data: Some(data),
    };
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    set.contributions(event_type, &event, 5, &mut out, &mut errors);
    let text = |c: &Contribution<'_>| {
        let dims: Vec<String> = c
            .dimensions
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let value = match c.value {
            Sample::Sum(d) | Sample::Level { value: d, .. } => d.to_string(),
            Sample::Count => "1".to_owned(),
            other => panic!("{other:?}"),
        };
        format!(
            "{} {} {value}",
            set.def(c.meter).unwrap().key,
            dims.join(",")
        )
    };
    (
        out.iter().map(text).collect(),
        errors.iter().map(ToString::to_string).collect(),
    )
}

#[test]
fn events_of_the_floor_are_metered() {
    let set = set();
    let (out, errors) = show(
        &set,
        "sealwright.usage.ai.v1",
        &json!({"model": "gpt-large", "region": "eu", "input_tokens": 100, "output_tokens": "7", "cached_input_tokens": 3}),
    );
    assert_eq!(
        out,
        [
            "ai.input_tokens model=gpt-large,region=eu 100",
            "ai.cached_input_tokens model=gpt-large,region=eu 3",
            "ai.output_tokens model=gpt-large,region=eu 7",
            "ai.requests model=gpt-large,region=eu 1",
        ]
    );
    assert!(errors.is_empty());
    let (out, _) = show(
        &set,
        "sealwright.usage.compute.v1",
        &json!({"hours": 1.25, "region": "eu"}),
    );
    assert_eq!(out, ["compute.hours region=eu 1.25"]);
    let (out, _) = show(
        &set,
        "sealwright.usage.storage.v1",
        &json!({"gb": 9, "region": "eu", "volume": "v"}),
    );
    assert_eq!(out, ["storage.gb region=eu 9"]);
    assert!(show(&set, "other", &json!({})).0.is_empty());
}

#[test]
fn bad_values_are_refused_with_their_place() {
    let set = set();
    let mut out = Vec::new();
    for data in [
        json!({"hours": -1, "region": "eu"}),
        json!({"region": "eu"}),
        json!({"hours": "NaN", "region": "eu"}),
        serde_json::from_str(r#"{"hours": 1e400, "region": "eu"}"#).unwrap(),
        json!({"hours": 1}),
        json!({"hours": 1, "region": ["eu"]}),
        json!({"hours": 1, "region": "x".repeat(2000)}),
        json!({"hours": 1, "region": "a\u{0}b"}),
        json!({"hours": 1, "region": "eu", "instance_type": "a\nb"}),
        json!({"hours": 1, "region": ",".repeat(600), "instance_type": "=".repeat(600)}),
        json!([]),
    ] {
        let (counted, errors) = show(&set, "sealwright.usage.compute.v1", &data);
        assert!(counted.is_empty());
        out.extend(errors);
    }
    insta::assert_snapshot!(out.join("\n"));
}

#[test]
fn levels_of_volumes_add_up_and_carry_over() {
    let set = set();
    let meter = set.index_of("storage.gb").unwrap();
    let mut aggregate = Aggregate::new(set.def(meter).unwrap().aggregation);
    for (id, time, gb, volume) in [
        ("1", -50, 10, "a"),
        ("2", 0, 20, "b"),
        ("3", 50, 0, "b"),
        ("4", 500, 99, "a"),
    ] {
        let data = json!({"gb": gb, "region": "eu", "volume": volume});
        let event = EventRef {
            id,
            source: "/s",
            data: Some(&data),
            ..EventRef::default()
        };
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        set.contributions(
            "sealwright.usage.storage.v1",
            &event,
            time,
            &mut out,
            &mut errors,
        );
        aggregate.add(&out[0].value).unwrap();
    }
    // 10 GB throughout and 20 GB for half of the period.
    assert_eq!(
        aggregate.finish(0, 100).unwrap().unwrap().value.to_string(),
        "20"
    );
    assert_eq!(
        aggregate
            .finish(100, 200)
            .unwrap()
            .unwrap()
            .value
            .to_string(),
        "10"
    );
    assert_eq!(aggregate.finish(-100, -50).unwrap(), None);
    assert!(aggregate.finish(5, 5).is_err());
    let before = aggregate.finish(100, 600).unwrap();
    aggregate.forget_before(100);
    assert_eq!(aggregate.finish(100, 600).unwrap(), before);
}
