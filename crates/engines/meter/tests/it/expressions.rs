//! Values, filters and their faults.

use std::fmt::Write;

use proptest::prelude::*;
use sealwright_meter::{Expr, Path, Scalar};
use serde_json::{Value, json};

fn event() -> Value {
    serde_json::from_str(
        r#"{"id": "1", "source": "/s", "type": "t", "subject": null,
            "data": {"n": 1.50, "text": "12.5", "word": "abc", "flag": true, "zero": 0, "null": null,
                     "big": 1e400, "list": [{"x": 7}, 8], "a b/c~d": {"e": 2}, "tiny": 1e-9}}"#,
    )
    .unwrap()
}

#[test]
fn values() {
    let event = event();
    for (text, want) in [
        ("data.n", "1.5"),
        ("data.text", "12.5"),
        ("data.list[0].x", "7"),
        ("data.list[1] * 2 + 1", "17"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("100 / 10 / 5", "2"),
        ("-data.n", "-1.5"),
        ("- -data.n", "1.5"),
        ("data[\"a b/c~d\"].e", "2"),
        ("default(data.missing, 4)", "4"),
        ("default(data.null, data.n)", "1.5"),
        ("default(data.missing.deeper + 1, 4)", "4"),
        ("data.n / 1024", "0.00146484375"),
        ("1 / 3", "0.333333333333"),
        ("2 / 3", "0.666666666667"),
        ("data.tiny * 2", "0.000000002"),
        ("1e3", "1000"),
    ] {
        let got = Expr::parse(text).unwrap().number(&event).unwrap();
        assert_eq!(got.to_string(), want, "{text}");
    }
}

#[test]
fn filters() {
    let event = event();
    for (text, want) in [
        ("data.flag", true),
        ("not data.flag", false),
        ("data.n == 1.5", true),
        ("data.n == 1.50 and data.word == 'abc'", true),
        ("data.word == \"abd\" or data.n < 1", false),
        (
            "data.n >= 1.5 and data.n <= 1.5 and not (data.n > 1.5)",
            true,
        ),
        ("data.word != 'x'", true),
        ("data.word < 'b'", true),
        ("data.text > 12", true),
        ("data.word == 5", false),
        ("present(data.n)", true),
        ("present(data.null)", false),
        ("present(data.n.deeper)", false),
        ("present(subject) or type == 't'", true),
        ("true or data.missing", true),
        ("false and data.missing", false),
    ] {
        assert_eq!(
            Expr::parse(text).unwrap().truth(&event).unwrap(),
            want,
            "{text}"
        );
    }
}

#[test]
fn values_that_cannot_be_had_name_the_place() {
    let event = event();
    let mut out = String::new();
    for text in [
        "data.missing",
        "data.null",
        "data.list[9]",
        "data.word",
        "data.flag",
        "data.big",
        "data.list",
        "data['a b/c~d'].f",
        "1 / data.zero",
        "data.n + data.word",
        "nothing.at.all",
        "79228162514264337593543950335 + 1",
    ] {
        let error = Expr::parse(text).unwrap().number(&event).unwrap_err();
        writeln!(out, "{text}: {error}").unwrap();
    }
    for text in ["data.n", "data.n and true", "not data.word"] {
        let error = Expr::parse(text).unwrap().truth(&event).unwrap_err();
        writeln!(out, "{text}: {error}").unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn faults_in_expressions_are_located() {
    let mut out = String::new();
    let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    let long = "1".repeat(5000);
    let chain = vec!["1"; 40].join("+");
    for text in [
        "",
        "data.",
        "data.n +",
        "data.n data.m",
        "1 < 2 < 3",
        "data.n && true",
        "'open",
        "data[",
        "data[-1]",
        "sum(1)",
        "present(1)",
        "default(1)",
        "(1",
        "1e400",
        "and",
        "data.n == not true",
        deep.as_str(),
        long.as_str(),
        chain.as_str(),
        "ö",
    ] {
        let error = Expr::parse(text).unwrap_err();
        let shown: String = text.chars().take(24).collect();
        writeln!(out, "{shown:?} at {}: {error}", error.offset).unwrap();
    }
    assert!(Path::parse("1 + 1").is_err());
    insta::assert_snapshot!(out);
}

#[test]
fn text_stays_text() {
    let event = json!({"data": {"id": "007"}});
    let expr = Expr::parse("data.id").unwrap();
    assert_eq!(expr.scalar(&event).unwrap(), Scalar::Text("007".into()));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = Expr::parse(&text);
        let _ = Path::parse(&text);
    }

    #[test]
    fn expression_like_text_is_evaluated_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "data.n", "data.word", "data.zero", "data.list", "1", "2.5", "0", "'x'", "true", "+", "-", "*", "/",
                "==", "<", "and", "or", "not", "(", ")", "present(", "default(", ",", "[0]", ".x",
            ]),
            0..20,
        ),
    ) {
        let event = event();
        if let Ok(expr) = Expr::parse(&words.join(" ")) {
            let _ = expr.scalar(&event);
            let _ = expr.number(&event);
            let _ = expr.truth(&event);
        }
    }
}
