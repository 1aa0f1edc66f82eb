//! Planted values in files of many forms.

use std::collections::BTreeSet;

use sealwright_scan::document::{self, Limits, Outcome};
use sealwright_scan::{FingerprintKey, Options, Scanner};

use crate::support;

fn normal(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_uppercase()
}

/// Which detectors count for a planted type.
fn fits(kind: &str, detector: &str, class: &str) -> bool {
    match kind {
        "email" => detector == "email",
        "phone" => detector.starts_with("phone"),
        "payment_card" => detector == "payment_card",
        "iban" => detector == "iban",
        "us_ssn" => detector == "us.ssn",
        "uk_nhs" => detector == "gb.nhs",
        "uk_nino" => detector == "gb.nino",
        "eu_vat" => detector == "eu_vat",
        "ip_address" => detector == "ip_address",
        "gps_position" => detector == "gps_position",
        _ => class == "secret",
    }
}

#[test]
fn every_planted_value_is_found_or_the_file_declared() {
    let Some(folder) = support::shared("dlp/documents") else {
        return;
    };
    let manifest = support::json(&folder.join("manifest.json.zst"));
    let files = support::tar(&support::bytes(&folder.join("files.tar.zst")));
    let mut options = Options::new(FingerprintKey::new(b"test"));
    options.keep_values = true;
    let scanner = Scanner::builtin(options).unwrap();
    let mut wrong = Vec::new();
    for entry in manifest["files"].as_array().unwrap() {
        let name = entry["file"].as_str().or(entry["name"].as_str()).unwrap();
        let Some((_, bytes)) = files.iter().find(|(n, _)| n == name) else {
            wrong.push(format!("{name}: not in the archive"));
            continue;
        };
        let parquet = std::path::Path::new(name)
            .extension()
            .is_some_and(|e| e == "parquet");
        if parquet && !cfg!(feature = "parquet") {
            continue;
        }
        let report = document::scan(&scanner, name, bytes, &Limits::default());
        let state = match &report.outcome {
            Outcome::Scanned => "scanned",
            Outcome::Partly { .. } => "partly",
            Outcome::Unscannable { .. } => "unscannable",
        };
        let expected = entry["expect"].as_str().unwrap();
        let note = entry["note"].as_str().unwrap_or_default();
        let lenient = note.contains("right too") && (state != "scanned" || expected == "partly");
        if state != expected && !lenient {
            wrong.push(format!(
                "{name}: {:?}, expected {expected} {}",
                report.outcome, entry["reason"]
            ));
        }
        if let (Outcome::Partly { reason } | Outcome::Unscannable { reason }, Some(stated)) =
            (&report.outcome, entry["reason"].as_str())
            && !reason.contains(stated)
            && !lenient
        {
            wrong.push(format!("{name}: reason {reason:?}, expected {stated:?}"));
        }
        let found: BTreeSet<(String, &str, &str)> = report
            .findings
            .iter()
            .map(|f| {
                let value =
                    String::from_utf8_lossy(f.value.as_ref().unwrap().expose()).into_owned();
                (normal(&value), f.detector.as_ref(), f.class.as_str())
            })
            .collect();
        for item in entry["findings"].as_array().unwrap() {
            let (kind, value) = (
                item["type"].as_str().unwrap(),
                item["value"].as_str().unwrap(),
            );
            let wanted = normal(value);
            let hit = found.iter().any(|(v, d, c)| {
                fits(kind, d, c)
                    && (*v == wanted
                        || v.contains(&wanted)
                        || wanted.contains(v.as_str()) && v.len() > 8)
            });
            if expected != "unscannable" && !hit {
                wrong.push(format!(
                    "{name}: missed {kind} {value:?} ({})",
                    item["where"]
                ));
            }
        }
        if entry["findings"].as_array().unwrap().is_empty() && expected == "scanned" {
            for f in &report.findings {
                wrong.push(format!(
                    "{name}: reported {} {:?}",
                    f.detector,
                    f.value
                        .as_ref()
                        .map(|v| String::from_utf8_lossy(v.expose()).into_owned())
                ));
            }
        }
        if name.ends_with("column-context.csv") && report.findings.len() != 5 {
            wrong.push(format!("{name}: {} findings, not 5", report.findings.len()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}
