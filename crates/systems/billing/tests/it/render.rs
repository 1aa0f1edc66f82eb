use std::process::Command;

use sealwright_billing::render::{invoice_csv, invoice_pdf};
use sealwright_core::Digest;

use crate::sample::invoice;

#[test]
fn the_csv_has_a_record_a_line_and_no_formulas() {
    insta::assert_snapshot!(String::from_utf8(invoice_csv(&invoice()).unwrap()).unwrap());
}

#[test]
fn the_pdf_is_the_same_each_time_and_an_outside_reader_accepts_it() {
    let document = invoice();
    let pdf = invoice_pdf(&document, Digest::of(b"x")).unwrap();
    assert_eq!(pdf, invoice_pdf(&document, Digest::of(b"x")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("invoice.pdf");
    std::fs::write(&file, &pdf).unwrap();

    match Command::new("qpdf").arg("--check").arg(&file).output() {
        Ok(checked) => assert!(
            checked.status.success(),
            "{}{}",
            String::from_utf8_lossy(&checked.stdout),
            String::from_utf8_lossy(&checked.stderr)
        ),
        Err(_) => eprintln!("skipped: qpdf is not installed"),
    }
    match Command::new("pdftotext")
        .args(["-layout"])
        .arg(&file)
        .arg("-")
        .output()
    {
        Ok(text) => {
            let text = String::from_utf8(text.stdout).unwrap();
            let total = format!("{} {}", "EUR", document.rated.total);
            for part in [
                "Invoice ACME-2026-0001",
                "Acme Corporation ?",
                "1,234,567",
                "49.00",
            ] {
                assert!(text.contains(part), "{part} is not in:\n{text}");
            }
            let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(squeezed.contains(&total), "{total} is not in:\n{text}");
        }
        Err(_) => eprintln!("skipped: pdftotext is not installed"),
    }
    match Command::new("pdfdetach")
        .args(["-save", "1", "-o"])
        .arg(folder.path().join("out.json"))
        .arg(&file)
        .status()
    {
        Ok(status) => {
            assert!(status.success());
            let attached = std::fs::read(folder.path().join("out.json")).unwrap();
            let back: sealwright_billing::model::InvoiceDocument =
                serde_json::from_slice(&attached).unwrap();
            assert_eq!(back, document);
        }
        Err(_) => eprintln!("skipped: pdfdetach is not installed"),
    }
}

#[test]
fn an_invoice_of_many_lines_takes_several_pages() {
    let mut document = invoice();
    let line = document.rated.lines[1].clone();
    for _ in 0..200 {
        document.rated.lines.push(line.clone());
    }
    let pdf = invoice_pdf(&document, Digest::of(b"x")).unwrap();
    assert!(pdf.len() > 20_000);
}
