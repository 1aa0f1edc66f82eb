//! The detectors' own examples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sealwright_scan::detector::{self, unbroken};
use sealwright_scan::{Class, Detector, FingerprintKey, Options, Scanner, Source};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "toml") {
            out.push(path);
        }
    }
}

pub(crate) fn all() -> Vec<Detector> {
    let mut paths = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("detectors"),
        &mut paths,
    );
    paths.sort();
    paths
        .iter()
        .flat_map(|p| {
            detector::parse(
                &p.display().to_string(),
                &std::fs::read_to_string(p).unwrap(),
            )
            .unwrap()
        })
        .collect()
}

pub(crate) fn alone(detector: &Detector, min_confidence: f32) -> Scanner {
    let mut options = Options::new(FingerprintKey::new(b"test"));
    options.min_confidence = min_confidence;
    options.decode_depth = 0;
    Scanner::new(vec![detector.clone()], options).unwrap()
}

#[test]
fn every_detector_finds_its_positives_and_no_negative() {
    let mut wrong = Vec::new();
    for d in all() {
        // Numbers without a form of their own are findings only with their context. A secret's
        // example may be reported, but not above the confidence that examples have.
        let secret = d.class == Class::Secret;
        let lenient = alone(&d, if secret { 0.0 } else { 0.5 });
        let strict = alone(&d, if secret { 0.31 } else { 0.5 });
        let finds = |scanner: &Scanner, text: &str| {
            !scanner
                .scan(&Source::file(""), unbroken(text).as_bytes())
                .is_empty()
        };
        wrong.extend(
            d.positives
                .iter()
                .filter(|p| !finds(&lenient, p))
                .map(|p| format!("{}: missed {}", d.id, unbroken(p))),
        );
        wrong.extend(
            d.negatives
                .iter()
                .filter(|n| finds(&strict, n))
                .map(|n| format!("{}: reported {}", d.id, unbroken(n))),
        );
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_detector_has_three_examples_on_each_side() {
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for d in all() {
        if d.positives.len() < 3 || d.negatives.len() < 3 {
            wrong.push(format!(
                "{}: {} positives, {} negatives",
                d.id,
                d.positives.len(),
                d.negatives.len()
            ));
        }
        if !ids.insert(d.id.clone()) {
            wrong.push(format!("{}: twice", d.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_of_them() {
    let all = all();
    let secrets = all.iter().filter(|d| d.class == Class::Secret).count();
    let countries: BTreeSet<_> = all.iter().filter_map(|d| d.country.clone()).collect();
    assert!(secrets >= 749, "{secrets}");
    assert!(all.len() - secrets >= 60);
    assert!(countries.len() >= 25, "{}", countries.len());
    assert_eq!(detector::builtin().unwrap().len(), all.len());
    Scanner::builtin(Options::new(FingerprintKey::new(b"test"))).unwrap();
}
