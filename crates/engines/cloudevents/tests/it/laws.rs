//! Laws over arbitrary input.

use proptest::prelude::*;
use sealwright_cloudevents::{
    Limits, parse_batch, parse_event, parse_lines, parse_request, parse_time, view,
};
use serde_json::{Map, Value};

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
    ]
}

/// JSON text as careless writers produce it: any order, any space, needless escapes.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(" false ".to_owned()),
        number(),
        string(),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[ {} ]", items.join(" ,\n"))),
            prop::collection::hash_map("[\\PC\u{e000}\u{ff5e}\u{1f600}]{0,5}", inner, 0..6)
                .prop_map(|members| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(k, v)| format!("{} :\t{v}", Value::String(k)))
                        .collect();
                    format!("{{{}}}", members.join(" , "))
                }),
        ]
    })
}

fn string() -> impl Strategy<Value = String> {
    (any::<String>(), any::<bool>()).prop_map(|(text, escape)| {
        if !escape {
            return Value::String(text).to_string();
        }
        let units: String = text
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04X}"))
            .collect();
        format!("\"{units}\"")
    })
}

proptest! {
    #[test]
    fn text_equals_the_platforms_canonical_json(data in json(), ext in any::<i32>(), subject in "[ -~]{1,20}") {
        let mut head = Map::new();
        head.insert("type".into(), "t".into());
        head.insert("subject".into(), subject.clone().into());
        head.insert("source".into(), "/s".into());
        head.insert("ext".into(), ext.into());
        head.insert("id".into(), "1".into());
        head.insert("specversion".into(), "1.0".into());
        let mut text = Value::Object(head).to_string();
        text.pop();
        text.push_str(&format!(",\"data\":{data}}}"));
        let event = parse_event(text.as_bytes(), &Limits::default()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let wanted = String::from_utf8(sealwright_core::canonical_json(&value)).unwrap();
        prop_assert_eq!(event.json(), &wanted);
        prop_assert_eq!(event.subject(), Some(subject.as_str()));
        // Canonical text is its own canonical form.
        let again = parse_event(event.json().as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(&again, &event);
        // The view finds what the tree finds.
        let found = view::member(event.json().as_bytes(), "data").unwrap();
        let found: Value = serde_json::from_slice(found).unwrap();
        prop_assert_eq!(&found, &value["data"]);
        prop_assert_eq!(view::members(event.json().as_bytes()).count(), 7);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
        let limits = Limits::default();
        let _ = parse_event(&bytes, &limits);
        let _ = parse_batch(&bytes, &limits);
        let _ = parse_lines(&bytes, &limits);
        let _ = parse_time(&String::from_utf8_lossy(&bytes));
        for _ in view::members(&bytes) {}
        let _ = parse_request(
            [("content-type", &bytes[..bytes.len().min(20)]), ("ce-id", &bytes[..]), ("ce-x", b"1")],
            &bytes,
            &limits,
        );
        // A valid batch with some bytes overwritten.
        let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":[1,"\u00e4é"]}}"#;
        let mut batch = format!("[{good},{good},{good}]").into_bytes();
        let at = at.min(batch.len());
        let end = (at + bytes.len() / 16).min(batch.len());
        batch[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = parse_batch(&batch, &limits);
        for _ in view::members(&batch[1..]) {}
    }

    #[test]
    fn json_like_text_never_panics_and_agrees_on_validity(text in "[\\[\\]{}\",:\\\\u0-9a-eE+.\\- ntrfl]{0,40}") {
        let event = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{text}}}"#);
        let ours = parse_event(event.as_bytes(), &Limits::default());
        let theirs = serde_json::from_str::<Value>(&event);
        // What we take, the platform's reader takes too, with one meaning.
        if let Ok(ours) = &ours {
            let theirs = theirs.unwrap();
            prop_assert_eq!(ours.json().as_bytes(), &sealwright_core::canonical_json(&theirs)[..]);
        }
    }

    #[test]
    fn times_read_as_jiff_reads_them(seconds in -62_000_000_000i64..250_000_000_000, nanos in 0i32..1_000_000_000, offset in -1439i64..1440) {
        let moment = jiff::Timestamp::new(seconds, nanos).unwrap();
        let shown = moment.display_with_offset(jiff::tz::Offset::from_seconds(offset as i32 * 60).unwrap()).to_string();
        let whole = jiff::Timestamp::from_second(seconds).unwrap().as_microsecond();
        prop_assert_eq!(parse_time(&shown).unwrap(), whole + i64::from(nanos / 1000));
    }
}
