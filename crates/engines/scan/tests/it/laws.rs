//! What holds for every input.

use std::sync::LazyLock;

use proptest::prelude::*;
use sealwright_scan::document::{self, Limits, Outcome};
use sealwright_scan::redact::{self, Style};
use sealwright_scan::{
    Detector, FingerprintKey, Options, Scanner, Source, StreamScanner, detector,
};

/// A scanner that is quick to make: enough detectors to reach every scanner and both pattern kinds.
static SMALL: LazyLock<Scanner> = LazyLock::new(|| {
    let ids = [
        "email",
        "phone",
        "iban",
        "payment_card",
        "us.ssn",
        "ip_address",
        "ipv6_address",
        "mac_address",
        "bitcoin_address",
        "assigned-secret",
        "url-password",
        "github-pat",
        "private-key",
        "kubernetes-secret",
        "phone.national",
        "eu_vat",
    ];
    let mut detectors: Vec<Detector> = detector::builtin().unwrap();
    detectors.retain(|d| ids.contains(&d.id.as_str()));
    let mut options = Options::new(FingerprintKey::new(b"test"));
    options.min_confidence = 0.1;
    Scanner::new(detectors, options).unwrap()
});

const TEXT: &str = "id,name,ssn,card,mail\n1,\"Bo, A\",123-45-6789,4111 1111 1111 1111,bo@example.org\n2,Al,457-55-5461,5105105105105100,al@example.net\n";

#[test]
fn redacted_text_scans_clean_and_keeps_its_form() {
    let source = Source::file("a.csv");
    for style in [
        Style::Placeholder,
        Style::Pseudonym,
        Style::FormatPreserving,
    ] {
        let out = redact::text(&SMALL, &source, TEXT.as_bytes(), style).unwrap();
        let text = String::from_utf8(out.bytes).unwrap();
        assert!(SMALL.scan(&source, text.as_bytes()).is_empty(), "{text}");
        assert!(!text.contains("4111 1111 1111 1111") && !text.contains("bo@example.org"));
        assert_eq!(text.lines().count(), TEXT.lines().count());
        assert!(text.contains("\"Bo, A\""));
        assert!(
            out.replaced.values().sum::<u64>() >= 6,
            "{:?}",
            out.replaced
        );
    }
}

#[test]
fn redacted_json_and_xml_stay_what_they_are() {
    let json = r#"{"mail": "bo\u0040example.org", "card": "4111111111111111", "n": [1, 2]}"#;
    let out = redact::text(
        &SMALL,
        &Source::file("a.json"),
        json.as_bytes(),
        Style::Placeholder,
    )
    .unwrap();
    let value: serde_json::Value = serde_json::from_slice(&out.bytes).unwrap();
    assert_eq!(value["mail"], "[email]");
    assert_eq!(value["card"], "[payment_card]");
    let xml = "<a><c>4111<b>11111111</b>1111</c><m x=\"bo&#64;example.org\"/></a>";
    let out = redact::text(
        &SMALL,
        &Source::file("a.xml"),
        xml.as_bytes(),
        Style::Placeholder,
    )
    .unwrap();
    let text = String::from_utf8(out.bytes).unwrap();
    assert!(
        text.contains("<b>") && text.contains("</b>") && text.contains("[payment_card]"),
        "{text}"
    );
    assert!(text.contains("x=\"[email]\""), "{text}");
}

#[test]
fn a_line_that_allows_is_left_out() {
    let found = |t: &str| SMALL.scan(&Source::file("a"), t.as_bytes()).len();
    assert_eq!(found("x bo@example.org\n"), 1);
    assert_eq!(found("x bo@example.org # sealwright:allow\n"), 0);
    assert_eq!(
        found("x bo@example.org # gitleaks:allow\ny al@example.org\n"),
        1
    );
}

#[test]
fn a_stream_finds_what_the_whole_has() {
    let line = "some words that stand between the values and mean nothing at all\n";
    let mut text = String::new();
    while text.len() < 9_000_000 {
        for _ in 0..900 {
            text.push_str(line);
        }
        text.push_str(&format!(
            "mail user{}@example.org and 4111 1111 1111 1111\n",
            text.len()
        ));
    }
    let source = Source::file("a");
    let whole = SMALL.scan(&source, text.as_bytes());
    let mut stream = StreamScanner::new(&SMALL, source);
    let mut parts = Vec::new();
    for chunk in text.as_bytes().chunks(77_777) {
        parts.extend(stream.push(chunk));
    }
    parts.extend(stream.finish());
    let place =
        |f: &sealwright_scan::Finding| (f.start, f.end, f.line, f.column, f.detector.clone());
    assert_eq!(
        whole.iter().map(place).collect::<Vec<_>>(),
        parts.iter().map(place).collect::<Vec<_>>()
    );
    assert!(whole.len() > 200);
}

#[test]
fn nothing_is_shown_in_debug_output_or_json() {
    let mut options = SMALL.options().clone();
    options.keep_values = true;
    let scanner = Scanner::new(SMALL.detectors().cloned().collect(), options).unwrap();
    let report = document::scan(&scanner, "a.csv", TEXT.as_bytes(), &Limits::default());
    let shown = format!("{report:?}{scanner:?}");
    assert!(!shown.contains("123-45-6789") && !shown.contains("bo@example.org"));
    for f in &report.findings {
        let line = sealwright_scan::report::json_line(f, false);
        assert!(
            !line.contains("example.org") && !line.contains("6789"),
            "{line}"
        );
    }
}

#[test]
fn nesting_ends_at_its_limit() {
    use std::io::Write;
    let mut bytes = b"bo@example.org".to_vec();
    for _ in 0..12 {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&bytes).unwrap();
        bytes = gz.finish().unwrap();
    }
    let report = document::scan(&SMALL, "a.gz", &bytes, &Limits::default());
    assert!(
        matches!(&report.outcome, Outcome::Unscannable { reason } if reason.contains("deep")),
        "{:?}",
        report.outcome
    );
}

const MAGIC: &[&[u8]] = &[
    b"",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"BZh9",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
    b"7z\xbc\xaf\x27\x1c",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe1",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"Obj\x01",
    b"SQLite format 3\0\x10\0",
    b"{\\rtf1 ",
    b"%PDF-1.7\n",
    b"\xff\xfe",
    b"\xfe\xff",
    b"<?xml version=\"1.0\"?><a>",
    b"<html>",
    b"From: a@b.de\nTo: c@d.de\nSubject: =?utf-8?q?",
    b"RIFF\x20\0\0\0WEBP",
    b"password = \"",
    b"https://a:",
    b"+49",
    b"DE89",
    b"data:\n  key: ",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(magic in 0..MAGIC.len(), bytes in proptest::collection::vec(any::<u8>(), 0..1_500)) {
        let mut all = MAGIC[magic].to_vec();
        all.extend(bytes);
        let report = document::scan(&SMALL, "x", &all, &Limits::default());
        for f in &report.findings {
            prop_assert!(f.start < f.end);
            prop_assert!(f.inner.is_some() || f.end <= all.len() as u64);
        }
    }

    #[test]
    fn no_text_panics_and_redaction_is_clean(text in "[ -~\\n]{0,300}", seed in "(4111111111111111|bo@example.org|123-45-6789|%40|&#64;|\\\\u0040|<b>|password=|://a:b9xQ2@c){0,8}") {
        let all = format!("{text}{seed}{text}");
        let source = Source::file("x");
        if let Ok(out) = redact::text(&SMALL, &source, all.as_bytes(), Style::FormatPreserving) {
            prop_assert!(SMALL.scan(&source, &out.bytes).is_empty());
        }
    }

    #[test]
    fn imports_never_panic(text in ".{0,400}") {
        let _ = sealwright_scan::import::gitleaks("x", &text);
        let _ = sealwright_scan::import::kingfisher("x", &text);
        let _ = detector::parse("x", &text);
    }
}
