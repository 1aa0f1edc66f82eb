//! Hostile input: a located error, and no more work than the limits allow.

use sealwright_cloudevents::{ErrorCode, EventError, Limits, parse_event};

fn refused(data: &[u8]) -> EventError {
    let mut text = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"#.to_vec();
    text.extend_from_slice(data);
    text.push(b'}');
    parse_event(&text, &Limits::default()).expect_err("refused")
}

#[test]
fn each_kind_has_its_code_and_place() {
    let cases: [(&[u8], ErrorCode, &str); 17] = [
        (
            br#"{"a":[1,NaN]}"#,
            ErrorCode::NumberOutOfRange,
            "/data/a/1",
        ),
        (b"Infinity", ErrorCode::NumberOutOfRange, "/data"),
        (b"-Infinity", ErrorCode::NumberOutOfRange, "/data"),
        (
            br#"{"a/~":1e400}"#,
            ErrorCode::NumberOutOfRange,
            "/data/a~1~0",
        ),
        (b"-1E+999999999999", ErrorCode::NumberOutOfRange, "/data"),
        (br#""\ud800""#, ErrorCode::LoneSurrogate, "/data"),
        (br#""\udc00\ud800""#, ErrorCode::LoneSurrogate, "/data"),
        (
            br#"{"x":"\ud800\u0041"}"#,
            ErrorCode::LoneSurrogate,
            "/data/x",
        ),
        (b"\"\xff\"", ErrorCode::InvalidUtf8, "/data"),
        (b"\"\xed\xa0\x80\"", ErrorCode::InvalidUtf8, "/data"),
        (b"\xc3\xa4", ErrorCode::InvalidJson, "/data"),
        (
            br#"{"a":1,"b":2,"\u0061":3}"#,
            ErrorCode::DuplicateMember,
            "/data/a",
        ),
        (br#"{"b":1,"b":2}"#, ErrorCode::DuplicateMember, "/data/b"),
        (b"01", ErrorCode::InvalidJson, "/data"),
        (b"\"\x01\"", ErrorCode::InvalidJson, "/data"),
        (b"[1,]", ErrorCode::InvalidJson, "/data/1"),
        (
            br#"{"$serde_json::private::Number":"x"}"#,
            ErrorCode::InvalidJson,
            "/data/$serde_json::private::Number",
        ),
    ];
    for (data, code, pointer) in cases {
        let error = refused(data);
        assert_eq!(
            (error.code, error.pointer.as_str()),
            (code, pointer),
            "{}",
            String::from_utf8_lossy(data)
        );
        assert!(error.offset.unwrap() >= 61);
    }
}

#[test]
fn nesting_stops_at_the_limit() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(refused(deep.as_bytes()).code, ErrorCode::TooDeep);
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(refused(objects.as_bytes()).code, ErrorCode::TooDeep);
    let fits = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}{}}}"#,
        "[".repeat(63),
        "]".repeat(63)
    );
    assert!(parse_event(fits.as_bytes(), &Limits::default()).is_ok());
    let over = fits.replacen('[', "[[", 1).replacen(']', "]]", 1);
    assert_eq!(
        parse_event(over.as_bytes(), &Limits::default())
            .unwrap_err()
            .code,
        ErrorCode::TooDeep
    );
}

#[test]
fn sizes_stop_at_the_limit() {
    let large = format!("\"{}\"", "x".repeat(10 << 20));
    assert_eq!(refused(large.as_bytes()).code, ErrorCode::TooLarge);
    let a_little = format!("\"{}\"", "x".repeat(256 << 10));
    assert_eq!(refused(a_little.as_bytes()).code, ErrorCode::TooLarge);
    let digits = "1".repeat(129);
    assert_eq!(refused(digits.as_bytes()).code, ErrorCode::NumberOutOfRange);
    let name = format!("{{\"{}\":x}}", "é".repeat(5_000));
    assert!(refused(name.as_bytes()).pointer.len() < 300);
    let id = format!(
        r#"{{"specversion":"1.0","id":"{}","source":"/s","type":"t"}}"#,
        "x".repeat(5_000)
    );
    let error = parse_event(id.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.pointer, "/id");
}
