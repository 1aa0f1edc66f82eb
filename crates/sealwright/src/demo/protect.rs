//! Data-loss prevention in the example: the gate holds an upload with a card number in it; a scan takes an object
//! away; a matter outlives an expired retention and a request for erasure, and when it is released the object goes,
//! with a certificate.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, bail};
use sealwright_core::clock::DAY;
use sealwright_core::{TenantId, TenantScope};
use sealwright_dlp::jobs::enforce;
use sealwright_dlp::model::hold::{MatterScope, MatterStep};
use sealwright_dlp::model::object::{TAG_CATEGORY, TAG_PERSON};
use sealwright_dlp::model::plan::ErasureId;
use sealwright_dlp::model::policy::{Original, PolicyAction, PolicyMode, PolicyScope};
use sealwright_dlp::service::bucket::folder::Folder;
use sealwright_dlp::service::bucket::{Buckets as _, Tags};
use sealwright_dlp::service::gate::Verdict;
use sealwright_dlp::service::hold::NewMatter;
use sealwright_dlp::service::place::NewPlace;
use sealwright_dlp::service::policy::NewPolicy;
use sealwright_dlp::service::retention::Applied;
use sealwright_scan::Severity;

use super::run::ACTOR;
use crate::installation::Installation;

/// See `examples/dlp/README.md`.
const FILE: &str = include_str!("../../../../examples/dlp/refunds.csv");
const NAME: &str = "refunds.csv";
const BUCKET: &str = "uploads";
const QUARANTINE: &str = "quarantine";
const ALL: TenantScope = TenantScope::All;

/// Lets a tenant hold what is critical, and uploads the file.
pub(super) async fn play(
    installation: &Installation,
    tenant: TenantId,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let dlp = &installation.state.dlp;
    // As a person does it: first it is said what would be done, then it is done.
    for mode in [PolicyMode::DryRun, PolicyMode::Enforce] {
        let new = NewPolicy {
            scope: PolicyScope {
                tenant: Some(tenant),
                bucket: None,
                class: None,
                severity: Severity::Critical,
            },
            action: PolicyAction::Quarantine,
            original: Original::Quarantine,
            alert: true,
            mode,
        };
        dlp.policies.set(new, None, ACTOR).await?;
    }
    let answer = dlp
        .gate
        .look(tenant, NAME, BUCKET, FILE.into(), ACTOR)
        .await?;
    if answer.upload.verdict != Verdict::Hold {
        bail!("the gate let the example through: {:?}", answer.upload);
    }
    let found: Vec<_> = answer
        .findings
        .iter()
        .map(|finding| format!("{} in line {}", finding.title, finding.line))
        .collect();
    writeln!(
        out,
        "the gate holds an upload: {NAME} ({})",
        found.join(", ")
    )?;
    let folder = &installation.state.config.dlp.folder;
    // In a store of somebody's own the example writes nothing.
    if folder.starts_with(&installation.state.folder) {
        let store = Folder::new(folder.clone(), Arc::clone(&installation.state.clock));
        buckets(installation, tenant, &store, out).await?;
    }
    Ok(())
}

/// Who opens, and who approves: what takes two people takes two here.
const FIRST: &str = "system:demo:ada";
const SECOND: &str = "system:demo:grace";
const PERSON: &str = "cus_1b02";

async fn buckets(
    installation: &Installation,
    tenant: TenantId,
    store: &Folder,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let state = &installation.state;
    let dlp = &state.dlp;
    for bucket in [BUCKET, QUARANTINE] {
        store.make(bucket)?;
    }
    let new = NewPlace {
        tenant,
        bucket: BUCKET.to_owned(),
        prefix: String::new(),
        quarantine: QUARANTINE.to_owned(),
        scheduled: true,
    };
    let place = dlp.places.add(new, FIRST).await?;
    let tags = |person: &str| {
        Tags::from([
            (TAG_PERSON.to_owned(), person.to_owned()),
            (TAG_CATEGORY.to_owned(), "temporary".to_owned()),
        ])
    };
    let letter = "the customer asks where order 10458 is\n";
    let key = "letters/order 10458.txt";
    for (key, body, person) in [
        ("exports/refunds.csv", FILE, "cus_7f31"),
        (key, letter, PERSON),
        ("letters/order 10467.txt", "wrong colour\n", "cus_9ac4"),
    ] {
        store.put(BUCKET, key, body.into(), &tags(person)).await?;
    }
    // What happens on Sundays at 02:00.
    let scan = dlp.scans.begin(ALL, place.id, FIRST).await?;
    let scan = dlp.scans.run(scan, FIRST, &mut |_| true).await?;
    let done = enforce(dlp, &place, FIRST).await?;
    writeln!(
        out,
        "a scan of a bucket: {} of {} versions looked at, {} taken into quarantine",
        scan.counts.scanned, scan.counts.listed, done.quarantined
    )?;
    let new = NewMatter {
        tenant,
        name: "Order 10458".to_owned(),
        reason: "notice of claim".to_owned(),
        owner: "legal".to_owned(),
        custodian: PERSON.to_owned(),
        scope: MatterScope {
            person: Some(PERSON.to_owned()),
            ..MatterScope::default()
        },
    };
    let matter = dlp.holds.open(new, FIRST).await?;
    dlp.holds.protect(ALL, FIRST).await?;
    // Its seven days, the notice and the grace will be over then.
    let retention = &dlp.retention;
    let later = state.clock.now().plus(60 * DAY);
    let expired = retention.draft(tenant, later, None, FIRST).await?;
    let (_, lines) = retention.plan(ALL, expired.id).await?;
    let why = lines
        .iter()
        .find(|line| line.id.key == key)
        .map(|line| line.why.join("; "))
        .unwrap_or_default();
    writeln!(out, "in 60 days its time is over, and it stays: {why}")?;
    let request = retention
        .ask_erasure(tenant, PERSON, "GDPR article 17", FIRST)
        .await?;
    let before = erase(installation, tenant, request.id).await?;
    for (step, actor) in [
        (MatterStep::Approve, SECOND),
        (MatterStep::AskRelease, FIRST),
        (MatterStep::Release, SECOND),
    ] {
        dlp.holds.step(ALL, matter.id, step, None, actor).await?;
    }
    dlp.holds.unprotect(FIRST).await?;
    let after = erase(installation, tenant, request.id).await?;
    if (before.erased, after.erased) != (0, 1) {
        bail!("the example's object went at the wrong time: {before:?}, {after:?}");
    }
    retention.close_erasure(ALL, request.id, SECOND).await?;
    state.settle().await?;
    let certificate = serde_json::to_vec(&retention.certificate(ALL, request.id).await?)?;
    let report =
        sealwright_dlp::verify::certificate(&certificate, None).map_err(anyhow::Error::msg)?;
    if !report.verified {
        bail!("the example's certificate does not hold: {report:?}");
    }
    let file = state.folder.join("erasure-certificate.json");
    std::fs::write(&file, &certificate)?;
    writeln!(
        out,
        "an erasure waited for a legal hold, and then the object went: sealwright verify {}",
        file.display()
    )?;
    Ok(())
}

/// Plans what a request leads to, has it approved, and runs it.
async fn erase(
    installation: &Installation,
    tenant: TenantId,
    request: ErasureId,
) -> Result<Applied> {
    let retention = &installation.state.dlp.retention;
    let now = installation.state.clock.now();
    let plan = retention.draft(tenant, now, Some(request), FIRST).await?;
    retention.approve(ALL, plan.id, SECOND).await?;
    Ok(retention.apply(ALL, plan.id, SECOND).await?.1)
}
