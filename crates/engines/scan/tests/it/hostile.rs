//! Files that mean harm: little that unpacks to much, nesting, entities, damage, and text that patterns are slow on.
//! Each ends with an outcome that says what was not looked at; no more is unpacked than the limits allow.

use std::io::{Cursor, Write as _};
use std::sync::LazyLock;

use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use sealwright_scan::document::{self, Kind, Limits, Outcome, Report};
use sealwright_scan::{FingerprintKey, Options, Scanner, Source};

static SCANNER: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::builtin(Options::new(FingerprintKey::new(b"test"))).unwrap());

const CARD: &str = "card 4111 1111 1111 1111\n";
const MIB: usize = 1 << 20;
/// Small, so that a bomb of the tests need not be large.
const LIMITS: Limits = Limits {
    depth: 4,
    expanded: 2 << 20,
    entry: 1 << 20,
    entries: 100,
};

fn scan(name: &str, bytes: &[u8]) -> Report {
    document::scan(&SCANNER, name, bytes, &LIMITS)
}

/// Says that a part was left out, and that no more was unpacked than is allowed.
#[track_caller]
fn bounded(report: &Report, file: &[u8]) {
    assert_ne!(report.outcome, Outcome::Scanned, "{report:?}");
    let most = LIMITS.expanded + file.len() as u64;
    assert!(
        report.bytes <= most,
        "{} bytes were looked at",
        report.bytes
    );
    assert!(report.documents <= u64::from(LIMITS.entries) + 1);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        out.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn what_unpacks_to_more_than_the_limit_is_cut_off() {
    let zeros = vec![b'0'; 8 * MIB];
    let packed = gzip(&zeros);
    assert!(packed.len() < MIB / 8);
    bounded(&scan("zeros.gz", &packed), &packed);
    let packed = zstd::encode_all(&zeros[..], 1).unwrap();
    bounded(&scan("zeros.zst", &packed), &packed);
    let packed = zip(&[("zeros".to_owned(), zeros)]);
    bounded(&scan("zeros.zip", &packed), &packed);
}

#[test]
fn what_comes_before_the_limit_is_found_and_the_rest_is_said() {
    // Each entry is within its own limit; together they are not.
    let mut entries = vec![("first.txt".to_owned(), CARD.as_bytes().to_vec())];
    for n in 0..12 {
        entries.push((format!("{n}"), vec![b'0'; MIB / 2]));
    }
    let packed = zip(&entries);
    let report = scan("many.zip", &packed);
    bounded(&report, &packed);
    assert_eq!(report.findings[0].detector.as_ref(), "payment_card");
    // More documents than are looked at.
    let entries: Vec<_> = (0..300)
        .map(|n| (format!("{n}.txt"), b"x".to_vec()))
        .collect();
    let packed = zip(&entries);
    bounded(&scan("300.zip", &packed), &packed);
}

#[test]
fn containers_inside_one_another_end_at_the_limit() {
    let mut packed = zip(&[("deepest.txt".to_owned(), CARD.as_bytes().to_vec())]);
    for n in 0..8 {
        let beside = (format!("beside-{n}.txt"), CARD.as_bytes().to_vec());
        packed = zip(&[beside, (format!("{n}.zip"), packed)]);
    }
    let report = scan("nested.zip", &packed);
    bounded(&report, &packed);
    let inner = |name: &str| {
        let mut all = report.findings.iter().filter_map(|f| f.inner.as_deref());
        all.any(|inner| inner.ends_with(name))
    };
    assert!(inner("beside-7.txt") && !inner("deepest.txt"));
    // Gzip of gzip of gzip: the same limit.
    let mut packed = gzip(CARD.as_bytes());
    for _ in 0..20 {
        packed = gzip(&packed);
    }
    bounded(&scan("gz.gz", &packed), &packed);
}

/// A PDF whose page and attached streams unpack to `streams` times `bytes`.
fn pdf(streams: usize, bytes: usize) -> Vec<u8> {
    let mut file = Document::with_version("1.7");
    let pages = file.new_object_id();
    let mut contents = Vec::new();
    for _ in 0..streams {
        let mut stream = Stream::new(Dictionary::new(), vec![b' '; bytes]);
        stream.compress().unwrap();
        contents.push(Object::Reference(file.add_object(stream)));
    }
    let page = file.add_object(dictionary! {
        "Type" => "Page", "Parent" => pages, "Contents" => contents,
        "MediaBox" => vec![0.into(), 0.into(), 100.into(), 100.into()],
    });
    let all = dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 };
    file.objects.insert(pages, Object::Dictionary(all));
    let catalog = file.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    file.trailer.set("Root", catalog);
    let mut out = Vec::new();
    file.save_to(&mut out).unwrap();
    out
}

#[test]
fn the_streams_of_a_pdf_share_one_limit() {
    // One that is too large by itself, and many that are too large together.
    for (streams, bytes) in [(1, 8 * MIB), (40, MIB / 4)] {
        let file = pdf(streams, bytes);
        assert!(file.len() < MIB / 4);
        let report = scan("bomb.pdf", &file);
        assert_eq!(report.kind, Kind::Pdf);
        bounded(&report, &file);
    }
}

#[test]
fn entities_are_not_expanded() {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE l [\n<!ENTITY a0 \"lol\">\n");
    for n in 1..12 {
        let ten = format!("&a{};", n - 1).repeat(10);
        text.push_str(&format!("<!ENTITY a{n} \"{ten}\">\n"));
    }
    text.push_str("]>\n<l>&a11; ");
    text.push_str(CARD);
    text.push_str("</l>\n");
    let report = scan("laughs.xml", text.as_bytes());
    assert!(report.bytes <= 4 * text.len() as u64, "{}", report.bytes);
    assert_eq!(report.findings[0].detector.as_ref(), "payment_card");
}

#[test]
fn what_is_cut_off_says_so() {
    let whole = pdf(3, 1_000);
    let packed = zip(&[
        ("a.txt".to_owned(), CARD.repeat(400).into_bytes()),
        ("b.txt".to_owned(), CARD.repeat(400).into_bytes()),
    ]);
    for (name, file) in [
        ("cut.pdf", &whole),
        ("cut.zip", &packed),
        ("cut.gz", &gzip(&packed)),
    ] {
        for part in 1..8 {
            let cut = &file[..file.len() * part / 8];
            let report = scan(name, cut);
            assert_ne!(report.outcome, Outcome::Scanned, "{name} {part}/8");
        }
    }
}

#[test]
fn text_that_patterns_are_slow_on_comes_to_its_end() {
    let repeated = [
        "a",
        "A1",
        "0",
        "-",
        "=",
        "\"",
        "eyJ",
        "password=",
        "://",
        "@a.",
        "AKIA",
        "ghp_",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "%41",
        "\\u0041",
        "4111 ",
        "aaaa.",
        "x:x@",
    ];
    for piece in repeated {
        let text = piece.repeat(MIB / 8 / piece.len());
        let found = SCANNER.scan(&Source::file("slow.txt"), text.as_bytes());
        assert!(found.len() < text.len() / 4, "{piece:?}: {}", found.len());
    }
}
