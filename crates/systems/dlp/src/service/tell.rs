//! What people are told: messages for the outbox, written in the transaction of what they tell, so that each is told
//! once. They name objects and detectors, never values.

use std::collections::BTreeMap;

use sealwright_core::TenantId;
use sealwright_notify::{Message, Severity as Told};
use sealwright_scan::Severity;

use super::gate::Upload;
use crate::model::finding::{Scan, StoredFinding};
use crate::model::object::{ObjectId, address};
use crate::model::policy::{PolicyMode, SEVERITIES};
use crate::model::quarantine::Quarantine;
use crate::model::treatment::{Treatment, TreatmentStep};

/// Objects of one scan that people are told about one by one; what is beyond is told as a number at its end.
pub(crate) const MOST_OBJECTS: u64 = 50;

/// How a finding's severity is routed.
pub(crate) const fn severity(of: Severity) -> Told {
    match of {
        Severity::Critical => Told::Critical,
        Severity::High => Told::Error,
        Severity::Medium => Told::Warning,
        Severity::Low => Told::Info,
    }
}

fn counted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let all: Vec<_> = counts
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    all.join(", ")
}

/// What was found in one version for the first time, of which a policy says that people are told at once.
pub(crate) fn found(findings: &[&StoredFinding]) -> Option<Message> {
    let first = findings.first()?;
    // The worst comes first in the list of severities.
    let worst = SEVERITIES
        .into_iter()
        .find(|one| findings.iter().any(|finding| finding.severity == *one))?;
    let object = &first.object;
    let title = format!(
        "{} finding{} in {}",
        findings.len(),
        if findings.len() == 1 { "" } else { "s" },
        address(&object.bucket, &object.key),
    );
    let acts = findings.iter().find(|one| one.severity == worst)?;
    let policy = match acts.mode {
        PolicyMode::Enforce => acts.action.to_string(),
        PolicyMode::DryRun => format!("{} (dry run: nothing is done)", acts.action),
    };
    // Other detectors that find more later are told as well; a scan that is taken up again is not.
    let prints: Vec<_> = findings
        .iter()
        .map(|one| format!("{} {} {}", one.detector, one.start, one.inner))
        .collect();
    Some(
        Message::new("dlp.finding", severity(worst), &title)
            .for_tenant(first.tenant)
            .field("Severity", worst.as_str())
            .field(
                "Detectors",
                counted(findings.iter().map(|one| one.detector.as_str())),
            )
            .field("Object", object)
            .field("Policy", policy)
            .link(&format!("/console/dlp/findings/{}", acts.id))
            .once(&format!("{object}\n{}", prints.join("\n"))),
    )
}

/// More was found than people are told about one by one.
pub(crate) fn more_found(scan: &Scan, objects: u64, worst: Severity) -> Message {
    let title = format!("findings in {objects} more objects of one scan");
    Message::new("dlp.finding", severity(worst), &title)
        .for_tenant(scan.tenant)
        .field("Scan", scan.id)
        .link("/console/dlp/findings?state=open")
        .once(&scan.id.to_string())
}

/// A scan could not go on.
pub(crate) fn scan_stopped(scan: &Scan) -> Message {
    Message::new("dlp.scan", Told::Error, "a scan stopped before its end")
        .about(scan.tenant)
        .body(&scan.problem)
        .field("Scan", scan.id)
        .link("/console/dlp/scans")
        .once(&format!("{} {}", scan.id, scan.counts.listed))
}

/// An object was taken away, or came back.
pub(crate) fn quarantined(one: &Quarantine) -> Message {
    let title = format!(
        "{} is {}",
        address(&one.source.bucket, &one.source.key),
        one.step
    );
    Message::new("dlp.quarantine", Told::Warning, &title)
        .for_tenant(one.tenant)
        .field("Object", &one.source)
        .field("Reason", &one.reason)
        .link(&format!("/console/dlp/quarantine?id={}", one.id))
        .once(&format!("{} {}", one.id, one.step))
}

/// An object was written anew, or could not be.
pub(crate) fn treated(one: &Treatment) -> Message {
    let told = if one.step == TreatmentStep::Refused {
        Told::Error
    } else {
        Told::Info
    };
    let title = format!(
        "{}: {} {}",
        address(&one.source.bucket, &one.source.key),
        one.action,
        one.step
    );
    Message::new("dlp.treatment", told, &title)
        .for_tenant(one.tenant)
        .body(&one.problem)
        .field("Object", &one.source)
        .field("Reason", &one.reason)
        .link(&format!("/console/dlp/treatments?id={}", one.id))
        .once(&format!("{} {}", one.id, one.step))
}

/// The gate held an upload, or asked for something to be done about it.
pub(crate) fn upload(one: &Upload, worst: Option<Severity>) -> Message {
    let name = if one.name.is_empty() {
        "an upload"
    } else {
        &one.name
    };
    let title = format!("the gate says {} to {name}", one.verdict);
    Message::new("dlp.upload", worst.map_or(Told::Warning, severity), &title)
        .for_tenant(one.tenant)
        .field("Verdict", one.verdict)
        .field("Found", &one.found)
        .field("Looked at", &one.coverage)
        .link("/console/dlp")
        .once(&one.id.to_string())
}

/// The gate gave no answer. Told once an hour and tenant.
pub(crate) fn unanswered(tenant: TenantId, hour: i64, why: &str) -> Message {
    Message::new(
        "dlp.upload",
        Told::Critical,
        "the upload gate gives no answer",
    )
    .about(tenant)
    .body(why)
    .link("/console/dlp")
    .once(&format!("unanswered {hour}"))
}

/// Something that is held could not be protected in the store.
pub(crate) fn unprotected(tenant: TenantId, object: &ObjectId, why: &str) -> Message {
    let title = format!(
        "the store does not protect what is held: {}",
        address(&object.bucket, &object.key)
    );
    Message::new("dlp.hold", Told::Error, &title)
        .about(tenant)
        .body(why)
        .field("Object", object)
        .link("/console/dlp/holds")
        .once(&object.to_string())
}

/// Versions will go when their time of notice is over.
pub(crate) fn announced(tenant: TenantId, plan: &str, versions: u64) -> Message {
    let title = format!("{versions} versions are announced for deletion");
    Message::new("dlp.retention", Told::Warning, &title)
        .for_tenant(tenant)
        .body("What must stay longer needs a legal hold or an exception before its time of notice ends.")
        .link(&format!("/console/dlp/retention/plans/{plan}"))
        .once(plan)
}
