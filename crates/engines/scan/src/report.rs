//! Findings and coverage in the forms that the program prints.

use serde_json::{Value as Json, json};

use crate::detector::Severity;
use crate::document::{Outcome, Report};
use crate::engine::Scanner;
use crate::finding::Finding;

/// One finding as a line of JSON, without the line's end. The value is in it only when the
/// scanner kept it and `show_values` asks for it.
#[must_use]
pub fn json_line(finding: &Finding, show_values: bool) -> String {
    let mut out = serde_json::Map::new();
    out.insert("path".into(), finding.path.as_ref().into());
    if let Some(inner) = &finding.inner {
        out.insert("inner".into(), inner.as_ref().into());
    }
    out.insert("line".into(), finding.line.into());
    out.insert("column".into(), finding.column.into());
    out.insert("start".into(), finding.start.into());
    out.insert("end".into(), finding.end.into());
    out.insert("detector".into(), finding.detector.as_ref().into());
    out.insert("title".into(), finding.title.as_ref().into());
    out.insert("class".into(), finding.class.as_str().into());
    out.insert("severity".into(), finding.severity.as_str().into());
    out.insert(
        "confidence".into(),
        json!((f64::from(finding.confidence) * 100.0).round() / 100.0),
    );
    out.insert("fingerprint".into(), finding.fingerprint.to_string().into());
    out.insert("reasons".into(), finding.reasons.clone().into());
    if show_values && let Some(value) = &finding.value {
        out.insert(
            "value".into(),
            String::from_utf8_lossy(value.expose()).into_owned().into(),
        );
    }
    Json::Object(out).to_string()
}

/// How many files ended in which way.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    files: u64,
    scanned: u64,
    partly: Vec<(String, String)>,
    unscannable: Vec<(String, String)>,
    documents: u64,
    bytes: u64,
    findings: u64,
}

impl Coverage {
    /// Counts a file.
    pub fn add(&mut self, path: &str, report: &Report) {
        self.files += 1;
        self.documents += report.documents;
        self.bytes += report.bytes;
        self.findings += report.findings.len() as u64;
        match &report.outcome {
            Outcome::Scanned => self.scanned += 1,
            Outcome::Partly { reason } => self.partly.push((path.to_owned(), reason.clone())),
            Outcome::Unscannable { reason } => {
                self.unscannable.push((path.to_owned(), reason.clone()))
            }
        }
    }

    /// Counts a file that could not be opened.
    pub fn unreadable(&mut self, path: &str, reason: &str) {
        self.files += 1;
        self.unscannable.push((path.to_owned(), reason.to_owned()));
    }

    /// Whether all files were scanned whole.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.scanned == self.files
    }

    /// One line of JSON: counts that add up to the number of files, and the reasons.
    #[must_use]
    pub fn json_line(&self) -> String {
        let list = |l: &[(String, String)]| -> Vec<Json> {
            l.iter()
                .map(|(path, reason)| json!({"path": path, "reason": reason}))
                .collect()
        };
        json!({
            "coverage": {
                "files": self.files,
                "scanned": self.scanned,
                "partly": self.partly.len(),
                "unscannable": self.unscannable.len(),
                "documents": self.documents,
                "bytes": self.bytes,
                "findings": self.findings,
                "partly_files": list(&self.partly),
                "unscannable_files": list(&self.unscannable),
            }
        })
        .to_string()
    }
}

/// All findings as a SARIF 2.1.0 log. Values are never in it.
#[must_use]
pub fn sarif(scanner: &Scanner, findings: &[Finding], coverage: &Coverage) -> Json {
    let level = |s: Severity| match s {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    };
    let used: std::collections::BTreeSet<&str> =
        findings.iter().map(|f| f.detector.as_ref()).collect();
    let rules: Vec<Json> = scanner
        .detectors()
        .filter(|d| used.contains(d.id.as_str()))
        .map(|d| {
            json!({
                "id": d.id,
                "shortDescription": {"text": d.title},
                "defaultConfiguration": {"level": level(d.severity)},
                "properties": {"class": d.class.as_str(), "severity": d.severity.as_str()},
            })
        })
        .collect();
    let results: Vec<Json> = findings
        .iter()
        .map(|f| {
            let text = match &f.inner {
                Some(inner) => format!("{} in {inner}", f.title),
                None => f.title.to_string(),
            };
            let mut region = json!({"startLine": f.line, "startColumn": f.column});
            if f.inner.is_none() {
                region["byteOffset"] = f.start.into();
                region["byteLength"] = (f.end - f.start).into();
            }
            let uri: String = f
                .path
                .bytes()
                .map(|b| match b {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => (b as char).to_string(),
                    _ => format!("%{b:02X}"),
                })
                .collect();
            json!({
                "ruleId": f.detector.as_ref(),
                "level": level(f.severity),
                "message": {"text": text},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}],
                "partialFingerprints": {"value/v1": f.fingerprint.to_string()},
                "rank": (f64::from(f.confidence) * 100.0).round(),
                "properties": {
                    "class": f.class.as_str(),
                    "severity": f.severity.as_str(),
                    "inner": f.inner.as_deref(),
                    "start": f.start,
                    "end": f.end,
                    "reasons": f.reasons,
                },
            })
        })
        .collect();
    let notifications: Vec<Json> = coverage
        .partly
        .iter()
        .map(|p| ("partly", p))
        .chain(coverage.unscannable.iter().map(|u| ("unscannable", u)))
        .map(|(state, (path, reason))| json!({"level": "warning", "message": {"text": format!("{path}: {state}: {reason}")}}))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "sealwright", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "results": results,
            "columnKind": "utf16CodeUnits",
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notifications}],
        }],
    })
}
