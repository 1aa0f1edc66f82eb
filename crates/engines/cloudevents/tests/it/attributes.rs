//! Attributes and content modes, clause by clause.

use sealwright_cloudevents::{
    ErrorCode, Event, EventError, Limits, Mode, RequestError, parse_batch, parse_event,
    parse_lines, parse_request, parse_time,
};

fn event(extra: &str) -> Result<Event, EventError> {
    let text = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{extra}}}"#);
    parse_event(text.as_bytes(), &Limits::default())
}

#[test]
fn attributes_are_found() {
    let e = event(r#","subject":"a\u0041","time":"2026-11-22T10:00:00.5+01:00","zone":"eu","n":-5,"b":true,"no":null"#).unwrap();
    assert_eq!((e.id(), e.source(), e.event_type()), ("1", "/s", "t"));
    assert_eq!(e.subject(), Some("aA"));
    assert_eq!(e.time_micros(), Some(1_795_338_000_500_000));
    assert_eq!(e.extension("zone").as_deref(), Some("eu"));
    assert_eq!(e.extension("n").as_deref(), Some("-5"));
    assert_eq!(e.extension("b").as_deref(), Some("true"));
    assert_eq!(e.extension("no"), None);
}

#[test]
fn what_breaks_the_specification_is_refused_and_located() {
    for (extra, pointer) in [
        (r#","subject":"""#, "/subject"),
        (r#","subject":5"#, "/subject"),
        (r#","time":"2026-11-22""#, "/time"),
        (r#","time":"2026-13-22T10:00:00Z""#, "/time"),
        (r#","time":"2026-02-29T10:00:00Z""#, "/time"),
        (r#","time":"2026-11-22 10:00:00Z""#, "/time"),
        (r#","dataschema":"relative""#, "/dataschema"),
        (r#","datacontenttype":"json""#, "/datacontenttype"),
        (r#","Upper":"x""#, "/Upper"),
        (r#","with-dash":"x""#, "/with-dash"),
        (r#","":"x""#, "/"),
        (r#","ext":{}"#, "/ext"),
        (r#","ext":[]"#, "/ext"),
        (r#","ext":1.5"#, "/ext"),
        (r#","ext":2147483648"#, "/ext"),
        (r#","ext":"a\u0000""#, "/ext"),
        (r#","ext":"a\u0085""#, "/ext"),
        (r#","ext":"\ufdd0""#, "/ext"),
        (r#","data":1,"data_base64":"""#, "/data_base64"),
        (r#","data_base64":"no!""#, "/data_base64"),
        (r#","data_base64":5"#, "/data_base64"),
    ] {
        let error = event(extra).expect_err(extra);
        assert_eq!(error.pointer, pointer, "{extra}: {error}");
        assert!(error.offset.is_some());
    }
}

#[test]
fn required_attributes_are_required() {
    for name in ["specversion", "id", "source", "type"] {
        let full = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
        let gone = full.replace(&format!("\"{name}\""), "\"other\"");
        let error = parse_event(gone.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(
            (error.code, error.pointer),
            (ErrorCode::MissingAttribute, format!("/{name}"))
        );
        let null = serde_json::from_str::<serde_json::Value>(full).unwrap();
        let mut null = null.as_object().unwrap().clone();
        null.insert(name.into(), serde_json::Value::Null);
        let text = serde_json::to_vec(&null).unwrap();
        assert!(parse_event(&text, &Limits::default()).is_err());
    }
    let other = r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#;
    assert!(parse_event(other.as_bytes(), &Limits::default()).is_err());
}

#[test]
fn sources_are_uri_references() {
    let source = |s: &str| {
        let text = format!(r#"{{"specversion":"1.0","id":"1","source":"{s}","type":"t"}}"#);
        parse_event(text.as_bytes(), &Limits::default())
    };
    for good in [
        "https://github.com/cloudevents",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "cloudevents/spec/pull/123",
        "/sensors/tn-1234567/alerts",
        "1-555-123-4567",
        "http://[::1]:80/?q#f",
        "a%20b",
    ] {
        assert!(source(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "1a:b", "%zz", "a#b#c", "<x>", "ü", "a[b"] {
        assert!(source(bad).is_err(), "{bad}");
    }
}

fn binary(headers: &[(&str, &str)], body: &[u8]) -> Result<Event, EventError> {
    let headers = headers.iter().map(|(n, v)| (*n, v.as_bytes()));
    let parsed = parse_request(headers, body, &Limits::default()).unwrap();
    assert_eq!(parsed.mode, Mode::Binary);
    parsed.events.into_iter().next().unwrap()
}

const HEADERS: [(&str, &str); 4] = [
    ("CE-SpecVersion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "/s"),
    ("ce-type", "t"),
];

#[test]
fn headers_are_decoded_once() {
    let mut headers = HEADERS.to_vec();
    headers.push(("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80 %2541"));
    headers.push(("ce-ext", "\"a \\\"quoted\\\" %20\""));
    let e = binary(&headers, b"").unwrap();
    assert_eq!(e.subject(), Some("Euro € 😀 %41"));
    assert_eq!(e.extension("ext").as_deref(), Some("a \"quoted\"  "));
    for bad in ["%", "%4", "%zz", "%ff", "\"open", "%00"] {
        let mut headers = HEADERS.to_vec();
        headers.push(("ce-subject", bad));
        assert_eq!(
            binary(&headers, b"").unwrap_err().pointer,
            "/subject",
            "{bad}"
        );
    }
    let mut twice = HEADERS.to_vec();
    twice.push(("ce-id", "2"));
    assert_eq!(binary(&twice, b"").unwrap_err().pointer, "/id");
}

#[test]
fn payloads_of_other_kinds_are_kept() {
    let with = |media: &str, body: &[u8]| {
        let mut headers = HEADERS.to_vec();
        headers.push(("content-type", media));
        binary(&headers, body).map(|e| e.json().to_owned())
    };
    assert!(
        with("text/plain", "ä\n".as_bytes())
            .unwrap()
            .contains("\"data\":\"ä\\n\"")
    );
    assert!(
        with("image/png", b"\x89PNG")
            .unwrap()
            .contains("\"data_base64\":\"iVBORw==\"")
    );
    assert!(
        with("text/plain; charset=latin1", b"\xe4")
            .unwrap()
            .contains("data_base64")
    );
    assert!(
        with("application/vnd.x+json", b" [1.50] ")
            .unwrap()
            .contains("\"data\":[1.50]")
    );
    let error = with("application/json", b"{\"a\":[1,NaN]}").unwrap_err();
    assert_eq!(
        (error.pointer.as_str(), error.offset),
        ("/data/a/1", Some(8))
    );
}

#[test]
fn binary_and_structured_give_one_text() {
    let mut headers = HEADERS.to_vec();
    headers.push(("content-type", "application/json"));
    headers.push(("ce-time", "2026-11-22T10:00:00Z"));
    let a = binary(&headers, br#"{"b": 1.50, "a": "\u0041"}"#).unwrap();
    let b = event(r#","time":"2026-11-22T10:00:00Z","data":{"a":"A","b":1.50},"datacontenttype":"application/json""#).unwrap();
    assert_eq!(a.json(), b.json());
}

#[test]
fn media_types_decide_the_mode() {
    let go = |media: &str| {
        parse_request(
            [("content-type", media.as_bytes())],
            b"[]",
            &Limits::default(),
        )
    };
    assert_eq!(
        go("application/cloudevents-batch+json; charset=utf-8")
            .unwrap()
            .mode,
        Mode::Batch
    );
    assert_eq!(go("application/x-ndjson").unwrap().mode, Mode::Lines);
    assert_eq!(
        go("Application/CloudEvents+JSON").unwrap().mode,
        Mode::Structured
    );
    for bad in [
        "application/json",
        "text/xml",
        "",
        "application/cloudevents+xml",
        "application/cloudevents",
        "application/cloudevents+json; charset=utf-16",
        "application/cloudevents+json; =",
    ] {
        assert!(
            matches!(go(bad), Err(RequestError::UnsupportedMediaType(_))),
            "{bad}"
        );
    }
}

#[test]
fn a_batch_keeps_its_neighbours() {
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let bad = [
        r#"{"a":NaN}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":1e400}"#,
        r#"{"a":"}],{\""!}"#,
        "7",
        "{}",
    ];
    for bad in bad {
        let text = format!("[ {good} , {bad}, {good}]");
        let events = parse_batch(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(events.len(), 3, "{bad}");
        assert!(
            events[0].is_ok() && events[1].is_err() && events[2].is_ok(),
            "{bad}"
        );
        let lines = format!("{good}\n\n{bad}\r\n{good}");
        let events = parse_lines(lines.as_bytes(), &Limits::default()).unwrap();
        assert!(
            events[0].is_ok() && events[1].is_err() && events[2].is_ok(),
            "{bad}"
        );
    }
    for broken in ["", "{}", "[", "[{}", "[GOOD GOOD]", "[{}]x", "[{},]x"] {
        let broken = broken.replace("GOOD", good);
        assert!(
            matches!(
                parse_batch(broken.as_bytes(), &Limits::default()),
                Err(RequestError::Malformed(_))
            ),
            "{broken}"
        );
    }
    let limits = Limits {
        batch_events: 2,
        ..Limits::default()
    };
    let three = format!("[{good},{good},{good}]");
    assert_eq!(
        parse_batch(three.as_bytes(), &limits),
        Err(RequestError::TooManyEvents { limit: 2 })
    );
}

#[test]
fn time_reads_as_jiff_reads_it() {
    for text in [
        "1970-01-01T00:00:00Z",
        "2024-02-29T23:59:59.999999999-12:30",
        "0001-01-01T00:00:00.1Z",
        "1969-12-31t23:59:59z",
        "2100-03-01T00:00:00+00:00",
        "2016-12-31T23:59:59.000001+23:59",
    ] {
        let ours = parse_time(text).unwrap();
        let theirs: jiff::Timestamp = text.to_uppercase().parse().unwrap();
        // Both cut towards the past only from 1970 on; these have no finer digits before.
        assert_eq!(ours, theirs.as_microsecond(), "{text}");
    }
    assert_eq!(
        parse_time("2016-12-31T23:59:60Z"),
        parse_time("2017-01-01T00:00:00Z")
    );
}
