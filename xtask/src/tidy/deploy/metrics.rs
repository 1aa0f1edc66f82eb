//! Metrics: what the sources record, and what dashboards and alerts ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use super::{Findings, Text, between, files, is_word, uncommented};

/// What Prometheus adds to every series. A label `job` of the program's own becomes `exported_job`.
const ADDED: &[&str] = &["instance", "job"];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Metric {
    /// `counter`, `gauge` or `histogram`.
    kind: String,
    labels: BTreeSet<String>,
}

pub(super) type Metrics = BTreeMap<String, Metric>;

/// Every metric that the sources record, with the labels that they give it.
pub(super) fn recorded(root: &Path) -> Result<Metrics> {
    let mut metrics = Metrics::new();
    for path in files(root)? {
        let name = path.display().to_string();
        if name.starts_with("crates/") && name.contains("/src/") && name.ends_with(".rs") {
            let source = std::fs::read_to_string(root.join(&path))?;
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            collect(code, &mut metrics);
        }
    }
    Ok(metrics)
}

fn collect(code: &str, metrics: &mut Metrics) {
    for kind in ["counter", "gauge", "histogram"] {
        for rest in code.split(&format!("metrics::{kind}!(")).skip(1) {
            let call = closed(rest);
            let Some(name) = call.split('"').nth(1).filter(|_| call.contains('"')) else {
                continue;
            };
            let metric = metrics.entry(name.to_owned()).or_insert_with(|| Metric {
                kind: kind.to_owned(),
                labels: BTreeSet::new(),
            });
            for before in call
                .split("=>")
                .map(str::trim_end)
                .filter(|b| b.ends_with('"'))
            {
                let label = before.trim_end_matches('"').rsplit('"').next();
                metric.labels.extend(label.map(str::to_owned));
            }
        }
    }
}

/// Up to the bracket that closes the one before `rest`.
fn closed(rest: &str) -> &str {
    let mut depth = 1;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &rest[..at];
        }
    }
    rest
}

/// What is recorded is described in the list of all metrics, as the kind that it is; and nothing else is.
pub(super) fn described(root: &Path, metrics: &Metrics, findings: &mut Findings) -> Result<()> {
    let name = "crates/platform/telemetry/src/metrics_list.rs";
    let list = std::fs::read_to_string(root.join(name))?;
    let listed = listed(&list);
    for (metric, kind) in &listed {
        let recorded = metrics.get(*metric).map(|found| found.kind.as_str());
        if recorded != Some(*kind) {
            findings.push(format!(
                "{name}: describes `{metric}` as {kind}; the sources record it as {}",
                recorded.unwrap_or("nothing")
            ));
        }
    }
    for metric in metrics.keys().filter(|m| m.starts_with("sealwright_")) {
        if !listed.contains_key(metric.as_str()) {
            findings.push(format!("{name}: does not describe `{metric}`"));
        }
    }
    Ok(())
}

/// Names of the list and how the sources record what it describes.
fn listed(list: &str) -> BTreeMap<&str, &'static str> {
    let entries = list.split("doc(").skip(1);
    let found = entries.filter_map(|entry| {
        let name = entry.split('"').nth(1)?;
        let kind = entry.split(',').nth(1)?.trim();
        let kind = match kind {
            "Counter" => "counter",
            "Gauge" => "gauge",
            "Histogram" | "Counts" => "histogram",
            _ => return None,
        };
        name.starts_with("sealwright_").then_some((name, kind))
    });
    found.collect()
}

/// Alerts and their tests, one after the other: each with the labels of the metrics that it asks for.
pub(super) fn alerts(texts: &[Text], metrics: &Metrics, findings: &mut Findings) {
    for file in texts.iter().filter(|file| file.is_in("deploy/prometheus/")) {
        let text = uncommented(&file.text);
        let start = if file.ends(".test.yml") {
            "- { series:"
        } else {
            "- alert:"
        };
        for part in text.split(start).skip(1) {
            let title = part.lines().next().unwrap_or_default().trim();
            expression(
                &format!("{}: {title}", file.name),
                part,
                "",
                metrics,
                findings,
            );
        }
    }
}

/// Names and labels of a PromQL expression, and the labels that the legend beside it shows.
pub(super) fn expression(
    place: &str,
    text: &str,
    legend: &str,
    metrics: &Metrics,
    findings: &mut Findings,
) {
    let mut known: BTreeSet<String> = ADDED.iter().map(|label| (*label).to_owned()).collect();
    let mut asks = false;
    for (name, rest) in names(text) {
        asks = true;
        let labels = match series(name, metrics) {
            Ok(labels) => labels,
            Err(why) => {
                findings.push(format!("{place}: `{name}`: {why}"));
                continue;
            }
        };
        for label in selectors(rest) {
            if !labels.contains(label) {
                findings.push(format!("{place}: `{name}` has no label `{label}`"));
            }
        }
        known.extend(labels);
    }
    if !asks {
        return;
    }
    let mut shown: Vec<&str> = Vec::new();
    for group in ["by (", "on (", "without (", "ignoring ("] {
        for list in between(text, group, ')') {
            shown.extend(list.split(',').map(str::trim));
        }
    }
    shown.extend(between(legend, "{{", '}').iter().map(|label| label.trim()));
    for rest in text.split("$labels.").skip(1) {
        shown.extend(rest.split(|c| !is_word(c)).next());
    }
    for label in shown.into_iter().filter(|label| !label.is_empty()) {
        if !known.contains(label) {
            findings.push(format!("{place}: no metric in it has a label `{label}`"));
        }
    }
}

/// Names of ours in a text, each with what follows it.
fn names(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("sealwright_") {
        if text[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        found.push((&rest[..end], &rest[end..]));
    }
    found
}

/// The labels of a series, or why there is none of this name.
fn series(name: &str, metrics: &Metrics) -> Result<BTreeSet<String>, String> {
    let base = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .filter(|base| {
            metrics
                .get(*base)
                .is_some_and(|metric| metric.kind == "histogram")
        });
    let metric = match (base, metrics.get(name)) {
        (Some(base), _) => &metrics[base],
        (None, Some(metric)) if metric.kind == "histogram" => {
            return Err("is a histogram: `_bucket`, `_sum` or `_count` is missing".to_owned());
        }
        (None, Some(metric)) => metric,
        (None, None) => return Err("the program has no metric of this name".to_owned()),
    };
    let mut labels: BTreeSet<String> = ADDED.iter().map(|label| (*label).to_owned()).collect();
    labels.extend(metric.labels.iter().map(|label| {
        if ADDED.contains(&label.as_str()) {
            format!("exported_{label}")
        } else {
            label.clone()
        }
    }));
    if name.ends_with("_bucket") {
        labels.insert("le".to_owned());
    }
    Ok(labels)
}

/// The labels between the braces that follow a name.
fn selectors(rest: &str) -> Vec<&str> {
    let Some(rest) = rest.strip_prefix('{') else {
        return Vec::new();
    };
    let (mut labels, mut quoted, mut start) = (Vec::new(), false, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => break,
            ',' if !quoted => start = at + 1,
            '=' | '!' if !quoted && start < at => {
                labels.push(rest[start..at].trim());
                start = usize::MAX;
            }
            _ => {}
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Metrics {
        let mut metrics = Metrics::new();
        collect(
            r#"
            metrics::counter!("sealwright_runs_total", "job" => name, "state" => state.as_str())
                .increment(1);
            metrics::histogram!(
                "sealwright_run_seconds",
                "status" => response.status().to_string(),
            )
            .record(1.0);
            "#,
            &mut metrics,
        );
        metrics
    }

    fn findings(text: &str, legend: &str) -> Findings {
        let mut findings = Findings::new();
        expression("here", text, legend, &sample(), &mut findings);
        findings
    }

    #[test]
    fn metrics_are_read_with_kind_and_labels() {
        let metrics = sample();
        assert_eq!(metrics.len(), 2);
        assert_eq!(metrics["sealwright_runs_total"].kind, "counter");
        let labels: Vec<_> = metrics["sealwright_runs_total"].labels.iter().collect();
        assert_eq!(labels, ["job", "state"]);
        let labels: Vec<_> = metrics["sealwright_run_seconds"].labels.iter().collect();
        assert_eq!(labels, ["status"]);
    }

    #[test]
    fn what_is_there_is_accepted() {
        let good = r#"sum by (exported_job) (rate(sealwright_runs_total{state=~"a,b|c}",job!="x"}[5m]))
            / on (instance) sum by (le) (rate(sealwright_run_seconds_bucket{le="1",status="200"}[5m]))"#;
        assert_eq!(
            findings(good, "{{exported_job}} {{status}}"),
            Findings::new()
        );
    }

    #[test]
    fn what_is_not_there_is_found() {
        for (text, legend, word) in [
            ("sealwright_runs", "", "no metric of this name"),
            ("sealwright_runs_total_count", "", "no metric of this name"),
            ("sealwright_run_seconds", "", "is a histogram"),
            (r#"sealwright_runs_total{kind="x"}"#, "", "no label `kind`"),
            (r#"sealwright_run_seconds_sum{le="1"}"#, "", "no label `le`"),
            (
                "sum by (kind) (sealwright_runs_total)",
                "",
                "a label `kind`",
            ),
            ("sealwright_runs_total", "{{kind}}", "a label `kind`"),
            (
                "sealwright_runs_total > 0 {{ $labels.kind }}",
                "",
                "a label `kind`",
            ),
        ] {
            let found = findings(text, legend);
            assert!(
                found.len() == 1 && found[0].contains(word),
                "{text}: {found:?}"
            );
        }
    }
}
