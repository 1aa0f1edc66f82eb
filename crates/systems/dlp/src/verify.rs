//! Certificates of erasure, checked with nothing but the file and the issuer's key.

use sealwright_core::{Digest, canonical_json};
use sealwright_ledger::EntryProof;
use sealwright_merkle::VerifierKey;
use serde::Serialize;
use serde_json::Value;

/// The form of a certificate, its member `certificate`.
pub const CERTIFICATE: &str = "sealwright.dlp.erasure.v1";
/// The action of the ledger's entry.
pub const ENTRY_ACTION: &str = "dlp.erasure.close";

/// Whether a file is one.
#[must_use]
pub fn is_certificate(value: &Value) -> bool {
    value["certificate"]["certificate"] == CERTIFICATE
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub verified: bool,
    /// The request.
    pub erasure: String,
    /// Versions that were erased, as the certificate says.
    pub versions: u64,
    /// When the ledger recorded it.
    pub recorded_at: String,
    /// What holds.
    pub checks: Vec<String>,
    /// What does not.
    pub findings: Vec<String>,
    /// The key that it was checked under.
    pub key: String,
    /// Whether that key was given, or taken from the file itself.
    pub key_given: bool,
}

/// Checks a certificate with its proof.
///
/// # Errors
/// When the file has not the form of one.
pub fn certificate(bytes: &[u8], key: Option<&VerifierKey>) -> Result<Report, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !is_certificate(&value) {
        return Err("this is no certificate of erasure".to_owned());
    }
    let body = &value["certificate"];
    let proof: EntryProof = serde_json::from_value(value["proof"].clone())
        .map_err(|error| format!("proof: {error}"))?;
    let own;
    let key_given = key.is_some();
    let key = match key {
        Some(key) => key,
        None => {
            own = proof
                .verifier_key
                .parse::<VerifierKey>()
                .map_err(|error| format!("the key inside of the proof: {error}"))?;
            &own
        }
    };
    let mut report = Report {
        verified: false,
        erasure: body["erasure"].as_str().unwrap_or_default().to_owned(),
        versions: body["versions"].as_u64().unwrap_or(0),
        recorded_at: String::new(),
        checks: Vec::new(),
        findings: Vec::new(),
        key: key.to_string(),
        key_given,
    };
    match proof.verify(key) {
        Err(error) => report.findings.push(format!("the ledger's proof: {error}")),
        Ok(leaf) => {
            report.checks.push(format!(
                "entry {} of {} in {}",
                proof.index, proof.tree_size, proof.origin
            ));
            report.recorded_at.clone_from(&leaf.time);
            check(
                &mut report,
                leaf.action == ENTRY_ACTION
                    && leaf.subject == body["erasure"].as_str().unwrap_or(""),
                "the entry closes this request",
            );
            check(
                &mut report,
                leaf.after == Some(Digest::of(&canonical_json(body))),
                "the certificate has the digest that the ledger recorded",
            );
        }
    }
    let lines = body["lines"].as_array().map_or(0, |lines| {
        lines
            .iter()
            .filter(|line| line["result"] == "erased")
            .count()
    });
    check(
        &mut report,
        body["versions"].as_u64() == Some(lines as u64),
        "its number of versions is that of its lines",
    );
    report.verified = report.findings.is_empty();
    Ok(report)
}

fn check(report: &mut Report, holds: bool, what: &str) {
    if holds {
        report.checks.push(what.to_owned());
    } else {
        report.findings.push(format!("not true: {what}"));
    }
}
