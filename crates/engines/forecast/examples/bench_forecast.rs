//! Forecasts against statsforecast, the deviation rule against numpy, anomalies against NAB's baseline.
//!
//! Prints one JSON line a case: `{"bench","case","ours","peer","peer_name","unit","ratio"}`. The series are the
//! 17 of NAB by the hour and the model requests of three traces by 10 seconds, forecast from three
//! origins each. `SEALWRIGHT_STATSFORECAST_PYTHON` names a Python that has statsforecast.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]

#[path = "../tests/it/data.rs"]
mod data;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use sealwright_forecast::nab::{Labelled, best, score};
use sealwright_forecast::{Cadence, Detector, DetectorConfig, DeviationRule, Interval, Model};
use serde_json::{Value, json};

/// A history to forecast, and what came.
struct Case {
    set: &'static str,
    past: Vec<f64>,
    truth: Vec<f64>,
    season: usize,
}

fn cases(set: &'static str, values: &[f64], season: usize, ahead: usize) -> Vec<Case> {
    (1..=3)
        .filter_map(|back| {
            let at = values.len().checked_sub(back * ahead)?;
            Some(Case {
                set,
                past: values.get(..at)?.to_vec(),
                truth: values.get(at..at + ahead)?.to_vec(),
                season,
            })
        })
        .collect()
}

fn hourly(values: &[f64]) -> Vec<f64> {
    values
        .chunks(12)
        .map(|hour| hour.iter().sum::<f64>() / hour.len() as f64)
        .collect()
}

/// Tokens by 10 seconds of a trace, by `time` (seconds) and `tokens` of its rows.
fn binned(rows: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    let rows: Vec<(f64, f64)> = rows.collect();
    let start = rows.iter().map(|row| row.0).fold(f64::INFINITY, f64::min);
    let mut bins = Vec::new();
    for (time, tokens) in rows {
        let bin = ((time - start) / 10.0) as usize;
        if bins.len() <= bin {
            bins.resize(bin + 1, 0.0);
        }
        bins[bin] += tokens;
    }
    bins
}

fn unzip(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Seconds of the day of `2023-11-16 18:15:46.6805900`.
fn seconds(text: &str) -> f64 {
    let clock = text.split(' ').nth(1).unwrap();
    clock
        .split(':')
        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

fn traces(folder: &Path) -> Vec<Vec<f64>> {
    let azure = |name: &str| {
        let text = unzip(&folder.join(name));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<(f64, f64)> = reader
            .records()
            .map(|row| {
                let row = row.unwrap();
                (seconds(&row[0]), row[1].parse().unwrap())
            })
            .collect();
        binned(rows.into_iter())
    };
    let text = unzip(&folder.join("mooncake_conversation_trace.jsonl.gz"));
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| row[name].as_f64().unwrap();
        (number("timestamp") / 1000.0, number("input_length"))
    });
    vec![
        azure("AzureLLMInferenceTrace_conv.csv.gz"),
        azure("AzureLLMInferenceTrace_code.csv.gz"),
        binned(rows),
    ]
}

/// Mean absolute error over that of the seasonal naive forecast of the past (Hyndman, Koehler 2006).
fn mase(case: &Case, points: &[f64]) -> f64 {
    let lag = case.season.max(1);
    let naive: f64 = case
        .past
        .iter()
        .skip(lag)
        .zip(&case.past)
        .map(|(a, b)| (a - b).abs())
        .sum();
    let naive = naive / (case.past.len() - lag) as f64;
    let off: f64 = case
        .truth
        .iter()
        .zip(points)
        .map(|(t, p)| (t - p).abs())
        .sum();
    off / case.truth.len() as f64 / naive.max(1e-12)
}

fn coverage(case: &Case, low: &[f64], high: &[f64]) -> f64 {
    let inside = case.truth.iter().zip(low.iter().zip(high));
    let inside = inside.filter(|(t, (l, h))| *l <= *t && *t <= *h).count();
    inside as f64 / case.truth.len() as f64
}

struct Peer {
    name: String,
    forecasts: Vec<(Vec<f64>, Vec<f64>, Vec<f64>)>,
    seconds: f64,
    rule_name: String,
    rule_seconds: f64,
}

fn peer(cases: &[Case], rule: &[f64], rounds: u32) -> Option<Peer> {
    let python = std::env::var("SEALWRIGHT_STATSFORECAST_PYTHON").ok()?;
    let series: Vec<Value> = cases
        .iter()
        .map(|c| json!({ "values": c.past, "season": c.season, "ahead": c.truth.len() }))
        .collect();
    let asked = json!({
        "series": series,
        "rule": { "values": rule, "window": 30, "rounds": rounds },
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/peer.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child
        .stdin
        .take()?
        .write_all(asked.to_string().as_bytes())
        .ok()?;
    let output = child.wait_with_output().ok()?;
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    let list = |value: &Value| -> Vec<f64> {
        let items = value.as_array().into_iter().flatten();
        items
            .map(|item| item.as_f64().unwrap_or(f64::NAN))
            .collect()
    };
    let forecasts = answer["forecasts"].as_array()?.iter();
    Some(Peer {
        name: answer["name"].as_str()?.to_owned(),
        forecasts: forecasts
            .map(|f| (list(&f["point"]), list(&f["low"]), list(&f["high"])))
            .collect(),
        seconds: answer["seconds"].as_f64()?,
        rule_name: answer["rule_name"].as_str()?.to_owned(),
        rule_seconds: answer["rule_seconds"].as_f64()?,
    })
}

fn line(case: &str, ours: f64, peer: Option<f64>, name: Option<&str>, unit: &str, lower: bool) {
    let ratio = peer.map(|peer| if lower { peer / ours } else { ours / peer });
    println!(
        "{}",
        json!({ "bench": "forecast", "case": case, "ours": ours, "peer": peer,
            "peer_name": name, "unit": unit, "ratio": ratio })
    );
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = values.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let Some(nab) = data::shared("billing/nab") else {
        return;
    };
    let all = data::series(&nab);
    let mut asked = Vec::new();
    for series in &all {
        asked.extend(cases(
            "NAB by hour, a day ahead",
            &hourly(&series.values),
            24,
            24,
        ));
    }
    if let Some(folder) = data::shared("billing/llm-traces") {
        for values in traces(&folder) {
            asked.extend(cases("model requests by 10 s, 5 min ahead", &values, 0, 30));
        }
    }
    let started = Instant::now();
    let ours: Vec<Vec<Interval>> = asked
        .iter()
        .map(|case| {
            let past: Vec<Option<f64>> = case.past.iter().copied().map(Some).collect();
            let model = Model::fit(&past, case.season).unwrap();
            model.forecast(case.truth.len(), 0.9).unwrap()
        })
        .collect();
    let seconds = started.elapsed().as_secs_f64();
    let rule: Vec<f64> = all
        .iter()
        .flat_map(|series| series.values.clone())
        .collect();
    let rounds = 5;
    let peer = peer(&asked, &rule, rounds);
    let name = peer.as_ref().map(|peer| peer.name.as_str());
    for set in [
        "NAB by hour, a day ahead",
        "model requests by 10 s, 5 min ahead",
    ] {
        let chosen: Vec<usize> = (0..asked.len()).filter(|i| asked[*i].set == set).collect();
        if chosen.is_empty() {
            continue;
        }
        let our_mase = |i: &usize| {
            let points: Vec<f64> = ours[*i].iter().map(|f| f.point).collect();
            mase(&asked[*i], &points)
        };
        let our_coverage = |i: &usize| {
            let low: Vec<f64> = ours[*i].iter().map(|f| f.low).collect();
            let high: Vec<f64> = ours[*i].iter().map(|f| f.high).collect();
            coverage(&asked[*i], &low, &high)
        };
        let their_mase = |p: &Peer, i: &usize| mase(&asked[*i], &p.forecasts[*i].0);
        let their_coverage =
            |p: &Peer, i: &usize| coverage(&asked[*i], &p.forecasts[*i].1, &p.forecasts[*i].2);
        line(
            &format!("mean MASE, {set}"),
            mean(chosen.iter().map(our_mase)),
            peer.as_ref()
                .map(|p| mean(chosen.iter().map(|i| their_mase(p, i)))),
            name,
            "MASE",
            true,
        );
        line(
            &format!("median MASE, {set}"),
            median(chosen.iter().map(our_mase)),
            peer.as_ref()
                .map(|p| median(chosen.iter().map(|i| their_mase(p, i)))),
            name,
            "MASE",
            true,
        );
        let (mine, theirs) = (
            mean(chosen.iter().map(our_coverage)),
            peer.as_ref()
                .map(|p| mean(chosen.iter().map(|i| their_coverage(p, i)))),
        );
        // How far from the promised 90 %; both figures stand in the line.
        let ratio = theirs.map(|theirs| (theirs - 0.9).abs() / (mine - 0.9).abs().max(1e-3));
        println!(
            "{}",
            json!({ "bench": "forecast", "case": format!("coverage of 90 % intervals, {set}"),
                "ours": mine, "peer": theirs, "peer_name": name, "unit": "part", "ratio": ratio })
        );
    }
    let count = asked.len() as f64;
    let theirs = peer.as_ref().map(|peer| count / peer.seconds);
    line(
        "series fitted and forecast",
        count / seconds,
        theirs,
        name,
        "series/s",
        false,
    );

    let whole: Vec<Option<f64>> = rule.iter().copied().map(Some).collect();
    let judge = DeviationRule::default();
    let started = Instant::now();
    let mut found = 0_u32;
    for _ in 0..rounds {
        for at in 30..whole.len() {
            let judged = judge.judge(&whole[at - 30..at], whole[at]).unwrap();
            found += u32::from(judged.severity().is_some());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let values = f64::from(rounds) * (rule.len() - 30) as f64;
    line(
        "deviation rule over 30 values",
        values / seconds,
        peer.as_ref().map(|peer| values / peer.rule_seconds),
        peer.as_ref().map(|peer| peer.rule_name.as_str()),
        "values/s",
        false,
    );
    let mut detector = Detector::new(DetectorConfig::new(Cadence::FIVE_MINUTES)).unwrap();
    let started = Instant::now();
    for (slot, value) in (0..).zip(&rule) {
        let finding = detector.observe(slot, *value).unwrap();
        found += u32::from(finding.severity.is_some());
    }
    let seconds = started.elapsed().as_secs_f64();
    line(
        "streaming detector",
        rule.len() as f64 / seconds,
        None,
        None,
        "values/s",
        false,
    );
    eprintln!("{found} found while timing");

    let files: Vec<Labelled> = all.iter().map(data::ours).collect();
    let text = std::fs::read_to_string(nab.join("expected-windowed-gaussian.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    for (profile, costs) in data::profiles(&nab) {
        let theirs = expected["profiles"][&profile]["best_on_subset"]["normalised"].as_f64();
        let at = score(&files, costs, data::threshold()).unwrap();
        let name = Some("Windowed Gaussian, its best threshold");
        let case = format!("NAB {profile}, threshold of the budget");
        line(&case, at.normalised, theirs, name, "points of 100", false);
        let most = best(&files, costs).unwrap();
        let case = format!("NAB {profile}, best threshold");
        line(&case, most.normalised, theirs, name, "points of 100", false);
    }
}
