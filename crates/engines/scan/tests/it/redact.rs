//! Redaction: values leave every part and revision, and what comes out is still a document.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use sealwright_scan::document::{self, Limits, Outcome};
use sealwright_scan::redact::{
    RedactError, Redacted, Redactor, RestoreKey, Style, restore, restore_document,
};
use sealwright_scan::{FingerprintKey, Options, Scanner};

use crate::support;

static SCANNER: LazyLock<Scanner> = LazyLock::new(|| {
    let mut options = Options::new(FingerprintKey::new(b"redact"));
    options.keep_values = true;
    Scanner::builtin(options).unwrap()
});

fn given(name: &str) -> Option<Vec<u8>> {
    let path = support::shared("dlp/documents/files.tar.zst")?;
    support::tar(&support::bytes(&path))
        .into_iter()
        .find(|(n, _)| n.ends_with(name))
        .map(|(_, bytes)| bytes)
}

/// Every value that is found in a document.
fn values(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    document::scan(&SCANNER, name, bytes, &Limits::default())
        .findings
        .into_iter()
        .filter_map(|f| f.value.map(|v| v.expose().to_vec()))
        .filter(|v| v.len() > 5)
        .collect()
}

/// Redacts and looks for the values in each unpacked part.
fn clean(name: &str, bytes: &[u8], style: Style) -> Redacted {
    let before = values(name, bytes);
    assert!(!before.is_empty(), "{name}: nothing to take out");
    let out = Redactor::new(&SCANNER, style)
        .document(name, bytes)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let report = document::scan(&SCANNER, name, &out.bytes, &Limits::default());
    assert_eq!(report.outcome, Outcome::Scanned, "{name}");
    assert!(report.findings.is_empty(), "{name}: {:?}", report.findings);
    for (part, data) in parts(&out.bytes) {
        for value in &before {
            assert!(
                memchr_find(&data, value).is_none(),
                "{name}: {part} still holds a value of {} bytes",
                value.len()
            );
        }
    }
    out
}

fn memchr_find(data: &[u8], value: &[u8]) -> Option<usize> {
    data.windows(value.len()).position(|w| w == value)
}

/// The file, and for containers each part unpacked.
fn parts(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = vec![("file".to_owned(), bytes.to_vec())];
    if let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) {
        for i in 0..archive.len() {
            let mut file = archive.by_index(i).unwrap();
            let mut data = Vec::new();
            file.read_to_end(&mut data).unwrap();
            out.push((file.name().unwrap_or_default().to_string(), data));
        }
    }
    if bytes.starts_with(b"%PDF")
        && let Ok(pdf) = lopdf::Document::load_mem(bytes)
    {
        for (id, object) in &pdf.objects {
            if let Ok(stream) = object.as_stream() {
                let data = stream.get_plain_content().unwrap_or_default();
                out.push((format!("object {}", id.0), data));
            }
        }
    }
    out
}

#[test]
fn office_documents_come_out_clean() {
    for name in [
        "contract.docx",
        "payments.xlsx",
        "roadshow.pptx",
        "letter.odt",
    ] {
        let Some(bytes) = given(name) else { return };
        for style in [
            Style::Placeholder,
            Style::Pseudonym,
            Style::FormatPreserving,
        ] {
            clean(name, &bytes, style);
        }
    }
}

#[test]
fn pdf_comes_out_clean_and_without_its_past() {
    for name in ["statement.pdf", "statement-old-revision.pdf"] {
        let Some(bytes) = given(name) else { return };
        let out = clean(name, &bytes, Style::Placeholder);
        let ends = out.bytes.windows(5).filter(|w| w == b"%%EOF").count();
        assert_eq!(ends, 1, "{name}: earlier revisions are left");
    }
}

#[test]
fn what_cannot_be_made_clean_is_refused_with_the_reason() {
    for (name, says) in [
        ("statement-encrypted.pdf", "encrypted"),
        ("statement-truncated.pdf", "corrupt"),
        ("scan-only.pdf", "character recognition"),
        ("encrypted-aes.zip", "encrypted"),
        ("notes.7z", "7z"),
    ] {
        let Some(bytes) = given(name) else { return };
        let error = Redactor::new(&SCANNER, Style::Placeholder)
            .document(name, &bytes)
            .unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(!matches!(error, RedactError::NotClean { .. }), "{name}");
    }
}

#[test]
fn wide_text_stays_wide() {
    let text = "name\tssn\r\nÄnne\t457-55-5461\r\n";
    let bytes: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let out = Redactor::new(&SCANNER, Style::Placeholder)
        .document("x.txt", &bytes)
        .unwrap();
    let units: Vec<u16> = out
        .bytes
        .chunks_exact(2)
        .map(|p| u16::from_le_bytes([p[0], p[1]]))
        .collect();
    assert_eq!(
        String::from_utf16(&units).unwrap(),
        "\u{feff}name\tssn\r\nÄnne\t[us.ssn]\r\n"
    );
}

#[test]
fn values_come_back_only_with_the_key() {
    let text = b"ssn: 457-55-5461\ncard: 4111 1111 1111 1111\n";
    let key = RestoreKey::new([3; 64]);
    let out = Redactor::reversible(&SCANNER, key.clone())
        .document("x.txt", text)
        .unwrap();
    assert_eq!(out.replaced.values().sum::<u64>(), 2);
    assert!(memchr_find(&out.bytes, b"5461").is_none());
    let back = restore(&key, &out.bytes);
    assert_eq!((back.bytes.as_slice(), back.restored), (&text[..], 2));
    let other = restore(&RestoreKey::new([4; 64]), &out.bytes);
    assert_eq!((other.bytes, other.refused), (out.bytes, 2));
}

#[test]
fn office_documents_get_their_values_back() {
    let key = RestoreKey::new([5; 64]);
    for name in ["contract.docx", "payments.xlsx", "letter.odt"] {
        let Some(bytes) = given(name) else { return };
        let before = values(name, &bytes);
        let out = Redactor::reversible(&SCANNER, key.clone())
            .document(name, &bytes)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(values(name, &out.bytes).is_empty(), "{name}");
        let limits = Limits::default();
        let back = restore_document(&key, &out.bytes, &limits).unwrap();
        assert!(
            back.restored > 0 && back.refused == 0,
            "{name}: {} refused",
            back.refused
        );
        let mut after = values(name, &back.bytes);
        let mut before = before;
        after.sort();
        before.sort();
        after.dedup();
        before.dedup();
        assert_eq!(after, before, "{name}");
        let other = restore_document(&RestoreKey::new([6; 64]), &out.bytes, &limits).unwrap();
        assert_eq!((other.restored, other.bytes == out.bytes), (0, true));
    }
    // What could not come back is not promised.
    let Some(pdf) = given("statement.pdf") else {
        return;
    };
    let error = Redactor::reversible(&SCANNER, key)
        .document("statement.pdf", &pdf)
        .unwrap_err();
    assert!(error.to_string().contains("do not come back"), "{error}");
}
