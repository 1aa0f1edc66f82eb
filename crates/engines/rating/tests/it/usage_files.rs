//! Usage files.

use std::fmt::Write;

use proptest::prelude::*;
use sealwright_rating::{UsageFormat, parse_usage};

#[test]
fn all_notations_read_alike() {
    let json = r#"{"usage":[{"meter":"m","quantity":"1.5","dimensions":{"region":"eu"}},{"meter":"n","quantity":2e3}]}"#;
    let want = parse_usage("u.json", json, UsageFormat::Json).unwrap();
    assert_eq!(want[0].quantity.to_string(), "1.5");
    assert_eq!(want[1].quantity.to_string(), "2000");
    let array = r#"[{"meter":"m","quantity":1.5,"dimensions":{"region":"eu"}},{"meter":"n","quantity":"2000"}]"#;
    assert_eq!(
        parse_usage("u.json", array, UsageFormat::Json).unwrap(),
        want
    );
    let lines = "{\"meter\":\"m\",\"quantity\":1.50,\"dimensions\":{\"region\":\"eu\"}}\n\n{\"meter\":\"n\",\"quantity\":2000}";
    assert_eq!(
        parse_usage("u.ndjson", lines, UsageFormat::Ndjson).unwrap(),
        want
    );
    let csv = "meter,quantity,region\r\nm,1.5,eu\r\nn,2000,\r\n";
    assert_eq!(parse_usage("u.csv", csv, UsageFormat::Csv).unwrap(), want);
    let map = parse_usage("u.json", r#"{"m": 1.5, "n": "2000"}"#, UsageFormat::Json).unwrap();
    assert_eq!(
        map.iter()
            .map(|u| u.quantity.to_string())
            .collect::<Vec<_>>(),
        ["1.5", "2000"]
    );
}

#[test]
fn faults_are_named_with_their_place() {
    let mut out = String::new();
    for (format, text) in [
        (UsageFormat::Json, "[{\"meter\":\"m\",\n\"quantity\":-1}]"),
        (UsageFormat::Json, "{\"m\": 1e400}"),
        (UsageFormat::Json, "{\"m\": \"NaN\"}"),
        (
            UsageFormat::Json,
            "{\"usage\": [{\"meter\": \"m\", \"quantity\": 1, \"region\": \"eu\"}]}",
        ),
        (UsageFormat::Json, "{\"m\": 1, \"m\": 2}"),
        (UsageFormat::Json, "[{\"quantity\": 1}, 5]"),
        (
            UsageFormat::Json,
            "[{\"meter\": \"m\", \"transactions\": [1, 2], \"quantity\": 4}]",
        ),
        (
            UsageFormat::Ndjson,
            "{\"meter\":\"m\",\"quantity\":1}\n{\"meter\":\"m\",\"quantity\":}",
        ),
        (
            UsageFormat::Ndjson,
            "\n\n{\"meter\":\"m\",\"quantity\":\"x\"}",
        ),
        (UsageFormat::Csv, "meter,amount\nm,1\n"),
        (
            UsageFormat::Csv,
            "meter,quantity\nm,1\nm,-2\nm,NaN\nm,1e99\n,1\n",
        ),
        (UsageFormat::Csv, "meter,quantity\nm\n"),
        (UsageFormat::Csv, "meter,quantity,region,region\nm,1,a,b\n"),
    ] {
        let problems = parse_usage("usage", text, format).unwrap_err();
        writeln!(out, "{problems}").unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_large_file_on_one_line_is_read_in_linear_time() {
    let item = r#"{"meter":"m","quantity":1,"dimensions":{"region":"eu"}}"#;
    let text = format!("[{}]", vec![item; 60_000].join(","));
    let start = std::time::Instant::now();
    assert_eq!(
        parse_usage("u.json", &text, UsageFormat::Json)
            .unwrap()
            .len(),
        60_000
    );
    // Counting columns from the start of the line for each value took minutes.
    assert!(start.elapsed().as_secs() < 30);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        for format in [UsageFormat::Json, UsageFormat::Ndjson, UsageFormat::Csv] {
            let _ = parse_usage("u", &text, format);
        }
    }
}
