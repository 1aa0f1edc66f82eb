//! The Numenta Anomaly Benchmark's files, where they are there.
#![allow(dead_code, reason = "the benchmark and the tests use different parts")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealwright_forecast::nab::{Costs, Labelled};
use sealwright_forecast::{Cadence, Detector, DetectorConfig};

/// `SEALWRIGHT_SHARED_DATA`, or `shared/data` beside the repository.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("SEALWRIGHT_SHARED_DATA") {
        Some(root) => Some(PathBuf::from(root)),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared/data"))
            .find(|folder| folder.is_dir()),
    };
    let folder = root.map(|root| root.join(part)).filter(|f| f.is_dir());
    if folder.is_none() {
        eprintln!("skipped: no {part} (SEALWRIGHT_SHARED_DATA names its folder)");
    }
    folder
}

/// One series with its windows.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
    pub(crate) windows: Vec<(usize, usize)>,
}

/// All series, by name.
pub(crate) fn series(folder: &Path) -> Vec<Series> {
    let text = std::fs::read_to_string(folder.join("labels/combined_windows.json")).unwrap();
    let windows: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&text).unwrap();
    windows
        .into_iter()
        .map(|(name, spans)| {
            let mut reader = csv::Reader::from_path(folder.join("data").join(&name)).unwrap();
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for row in reader.records() {
                let row = row.unwrap();
                times.push(row[0].to_owned());
                values.push(row[1].parse().unwrap());
            }
            let place = |text: &str| {
                let second = &text[..19];
                times.iter().position(|time| time == second).unwrap()
            };
            let windows = spans.iter().map(|[a, b]| (place(a), place(b))).collect();
            Series {
                name,
                values,
                windows,
            }
        })
        .collect()
}

/// The application profiles, by name.
pub(crate) fn profiles(folder: &Path) -> Vec<(String, Costs)> {
    let text = std::fs::read_to_string(folder.join("profiles.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, profile)| {
            let cost = |key: &str| profile["CostMatrix"][key].as_f64().unwrap();
            let costs = Costs {
                true_positive: cost("tpWeight"),
                false_negative: cost("fnWeight"),
                false_positive: cost("fpWeight"),
            };
            (name.clone(), costs)
        })
        .collect()
}

/// Our detector's scores; nothing is set by file.
pub(crate) fn ours(series: &Series) -> Labelled {
    let config = DetectorConfig::new(Cadence::FIVE_MINUTES);
    let mut detector = Detector::new(config).unwrap();
    let scores = series
        .values
        .iter()
        .zip(0..)
        .map(|(value, slot)| detector.observe(slot, *value).unwrap().fresh)
        .collect();
    Labelled {
        scores,
        windows: series.windows.clone(),
    }
}

/// The threshold of 10 false alarms a month and series, one every three days; the same for every file. The benchmark
/// takes a false alarm for a ninth of a missed window, so that it is worth being bothered more often.
pub(crate) fn threshold() -> f64 {
    DetectorConfig {
        false_alarms_a_month: 10.0,
        ..DetectorConfig::new(Cadence::FIVE_MINUTES)
    }
    .threshold()
}
