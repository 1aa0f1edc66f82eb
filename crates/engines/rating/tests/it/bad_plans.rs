//! Plans that are refused: the message says what, where and what to do.

use std::fmt::Write;

use proptest::prelude::*;
use sealwright_rating::{Format, parse_plan};

const HEAD: &str = "id = 'p'\nversion = 1\ncurrency = 'USD'\n";

fn messages(name: &str, text: &str) -> String {
    match parse_plan(name, text, Format::of_name(name).unwrap()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_fault_is_named_with_its_place() {
    let cases = [
        (
            "gap",
            "[[prices]]\nmeter='m'\nmodel='graduated'\ntiers=[\n {up_to='5',unit='1'},\n {from='6',unit='2'},\n]\n",
        ),
        (
            "overlap",
            "[[prices]]\nmeter='m'\nmodel='graduated'\ntiers=[\n {up_to='5',unit='1'},\n {from='4',unit='2'},\n]\n",
        ),
        (
            "unordered",
            "[[prices]]\nmeter='m'\nmodel='volume'\ntiers=[\n {up_to='5',unit='1'},\n {up_to='5',unit='2'},\n {unit='1'},\n]\n",
        ),
        (
            "not open",
            "[[prices]]\nmeter='m'\nmodel='graduated'\ntiers=[{up_to='5',unit='1'}]\n",
        ),
        (
            "after open",
            "[[prices]]\nmeter='m'\nmodel='graduated'\ntiers=[\n {unit='1'},\n {up_to='5',unit='1'},\n {unit='1'},\n]\n",
        ),
        ("no tiers", "[[prices]]\nmeter='m'\nmodel='graduated'\n"),
        (
            "negative",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit = '-1'\n",
        ),
        (
            "NaN",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit = nan\n",
        ),
        (
            "NaN text",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit = 'NaN'\n",
        ),
        (
            "out of range",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit = 1e400\n",
        ),
        (
            "unknown field",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit='1'\nprice='2'\n",
        ),
        ("unknown model", "[[prices]]\nmeter='m'\nmodel='per_moon'\n"),
        (
            "duplicate price",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit='1'\n[[prices]]\nmeter='m'\nmodel='per_unit'\nunit='2'\n",
        ),
        (
            "overlapping prices",
            "[[prices]]\nmeter='m'\nmatch={a='1'}\nmodel='per_unit'\nunit='1'\n[[prices]]\nmeter='m'\nmatch={b='1'}\nmodel='per_unit'\nunit='2'\n",
        ),
        (
            "zero package",
            "[[prices]]\nmeter='m'\nmodel='package'\npackage_size='0'\npackage_price='1'\n",
        ),
        (
            "inexact group",
            "[[prices]]\nmeter='m'\nmodel='per_unit'\nunit='1'\nper='3'\n",
        ),
        (
            "included without price",
            "[[included]]\nmeter='x'\nquantity='1'\n",
        ),
        (
            "discount order",
            "[volume_discount]\nbasis='amount'\ntiers=[\n {from='10',rate_percent='5'},\n {from='10',rate_percent='101'},\n]\n",
        ),
        (
            "discount of a volume price",
            "[[prices]]\nmeter='m'\nmodel='volume'\ntiers=[{unit='1'}]\n[volume_discount]\nbasis='quantity'\ntiers=[{from='10',rate_percent='5'}]\n",
        ),
        (
            "two fees",
            "[[fees]]\nkey='a'\namount='1'\n[[fees]]\nkey='a'\namount='1'\n",
        ),
        ("duplicate key", "title='a'\ntitle='b'\n"),
        (
            "two faults",
            "minimum='-1'\n[[prices]]\nmeter=5\nmodel='per_unit'\nunit='x'\n",
        ),
    ];
    let mut out = String::new();
    for (name, text) in cases {
        writeln!(
            out,
            "{name}:\n{}\n",
            messages("plan.toml", &format!("{HEAD}{text}"))
        )
        .unwrap();
    }
    for (name, text) in [
        ("currency", "id='p'\nversion=1\ncurrency='XYZ'\n"),
        ("missing", ""),
        ("version", "id='p'\nversion=0\ncurrency='USD'\n"),
        (
            "dates",
            "id='p'\nversion=1\ncurrency='USD'\neffective_from=2025-02-01\neffective_to=2025-01-01\n",
        ),
    ] {
        writeln!(out, "{name}:\n{}\n", messages("plan.toml", text)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn json_and_yaml_are_located_too() {
    let mut out = String::new();
    for (file, text) in [
        ("a.json", "{\n  \"id\": \"p\",\n  \"id\": \"q\"\n}"),
        (
            "b.json",
            "{\n  \"id\": \"p\", \"version\": 1, \"currency\": \"USD\",\n  \"prices\": [{\"meter\": \"m\", \"model\": \"per_unit\", \"unit\": -1}]\n}",
        ),
        ("c.json", "{\"id\": NaN}"),
        ("d.json", "{\"id\": \"\\ud800\"}"),
        ("e.json", "{\"id\": \"p\"} x"),
        (
            "a.yaml",
            "id: p\nversion: 1\ncurrency: USD\nprices:\n  - meter: m\n    model: per_unit\n    unit: .nan\n",
        ),
        ("b.yaml", "id: &a p\n"),
        ("c.yaml", "id: p\nid: q\n"),
        ("d.yaml", "id: [p\n"),
        ("e.yaml", ""),
        ("f.yaml", "id: p\n---\nid: q\n"),
    ] {
        writeln!(out, "{}", messages(file, text)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    assert!(messages("a.json", &deep("[", "]")).contains("nesting"));
    for file in ["a.yaml", "a.toml"] {
        assert!(
            messages(
                file,
                &format!(
                    "a{}{}",
                    if file == "a.yaml" { ": " } else { "=" },
                    deep("[", "]")
                )
            )
            .contains(file)
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        for format in [Format::Toml, Format::Json, Format::Yaml] {
            let _ = parse_plan("f", &text, format);
        }
    }

    #[test]
    fn a_damaged_plan_is_read_or_refused(at in 0usize..2500, byte in any::<char>(), cut in any::<bool>()) {
        for name in ["starter.toml", "starter.json", "starter.yaml"] {
            let mut text: Vec<char> = crate::data::example(name).chars().collect();
            let at = at % text.len();
            if cut { text.truncate(at); } else { text[at] = byte; }
            let text: String = text.into_iter().collect();
            let _ = parse_plan(name, &text, Format::of_name(name).unwrap());
        }
    }
}
