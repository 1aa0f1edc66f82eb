//! Hostile input costs what the limits allow.

use sealwright_sigma::compiled::{Matcher, Options, RuleSet};
use sealwright_sigma::logsource::EventSource;
use sealwright_sigma::{Limits, parse};
use std::sync::Arc;

fn error(text: &str) -> String {
    let p = parse("r.yml", text, &Limits::default(), &Default::default());
    assert!(p.documents.is_empty(), "{:?}", p.documents);
    p.errors[0].to_string()
}

#[test]
fn alias_bomb() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{list}]\n"));
    }
    assert!(
        error(&text).contains("more than 2000000 values"),
        "{}",
        error(&text)
    );
}

#[test]
fn depth() {
    let text = format!("title: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(
        error(&text).contains("nested") || error(&text).contains("recursion"),
        "{}",
        error(&text)
    );
    let aliases = "a: &a [[[[[[[[[[[[1]]]]]]]]]]]]\nb: &b [[[[[[[[[[*a]]]]]]]]]]\nc: [[[[[[[[[[*b]]]]]]]]]]\n";
    assert!(error(aliases).contains("nested deeper than 32"));
}

#[test]
fn duplicate_keys_are_located() {
    let text = "title: t\nlogsource:\n  product: a\n  product: b\n";
    assert_eq!(
        error(text),
        "r.yml:4:3: the key `product` occurs twice in this map\n  hint: merge the two, or write the values as one list"
    );
}

#[test]
fn a_bad_document_leaves_its_neighbours_alone() {
    let good = "title: t\nlogsource: {product: p}\ndetection: {a: {f: x}, condition: a}\n";
    let text = format!("{good}---\ntitle: t\ndetection: {{}}\n---\n{good}");
    let p = parse("r.yml", &text, &Limits::default(), &Default::default());
    assert_eq!((p.documents.len(), p.errors.len()), (2, 1));
    assert_eq!(p.errors[0].at.line, 5);
}

#[test]
fn conditions_are_bounded() {
    let rule = |c: &str| {
        format!(
            "title: t\nlogsource: {{product: p}}\ndetection:\n  a: {{f: x}}\n  condition: '{c}'\n"
        )
    };
    let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(error(&rule(&deep)).contains("nested deeper than 64"));
    assert!(error(&rule(&"a and ".repeat(50_000))).contains("more than 20000 words"));
}

#[test]
fn events() {
    let set = Arc::new(RuleSet::new(Vec::new(), Options::default()));
    let mut m = Matcher::new(set, EventSource::UNKNOWN);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(m.matches(&deep).unwrap_err().reason, "nested too deeply");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(10 << 20));
    assert!(m.matches(&long).is_ok());
    for (text, reason) in [
        ("", "an event must be a JSON object"),
        ("[]", "an event must be a JSON object"),
        ("{\"a\":NaN}", "expected a value"),
        ("{\"a\":1} x", "something follows the event"),
        ("{\"a\":\"\u{1}\"}", "a control character in a string"),
        ("{\"a\":\"\\q\"}", "an unknown escape"),
        ("{\"a\":01}", "expected a comma or the end of an object"),
    ] {
        assert_eq!(m.matches(text).unwrap_err().reason, reason, "{text}");
    }
    assert!(m.matches("{\"a\":\"\\ud83d\"}").is_ok());
}
