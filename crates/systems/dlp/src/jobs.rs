//! Scheduled work: the weekly scan, the daily retention, and what goes on in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::TenantScope;
use sealwright_jobs::{CatchUp, Job, JobError, JobSpec, RunContext, Schedule};
use serde_json::{Value, json};

use crate::model::finding::StoredFinding;
use crate::model::object::{ObjectId, address};
use crate::model::policy::{PolicyAction, PolicyMode, decide};
use crate::model::treatment::TreatmentStep;
use crate::service::treatment::NewTreatment;
use crate::service::{Dlp, DlpError};
use crate::store::finding::FindingFilter;

/// All jobs of this system.
///
/// # Errors
/// When a schedule does not read, which a test excludes.
pub fn jobs(dlp: &Dlp) -> Result<Vec<Arc<dyn Job>>, sealwright_jobs::ScheduleError> {
    let every = |cron: &str| Schedule::parse(cron, "UTC");
    Ok(vec![
        Arc::new(WeeklyScan {
            spec: JobSpec::new(
                "dlp.scan",
                "Scans the registered places and does what enforced policies say.",
            )
            .scheduled(every("0 2 * * 0")?, CatchUp::Once),
            dlp: dlp.clone(),
        }),
        Arc::new(Retention {
            spec: JobSpec::new(
                "dlp.retain",
                "Plans what is due, announces it, and runs the plans that were approved.",
            )
            .scheduled(every("0 2 * * *")?, CatchUp::Once),
            dlp: dlp.clone(),
        }),
        Arc::new(Protect {
            spec: JobSpec::new(
                "dlp.protect",
                "Tells the store what is held, frees what is released, takes up quarantines and treatments.",
            )
            .scheduled(every("*/15 * * * *")?, CatchUp::Once),
            dlp: dlp.clone(),
        }),
    ])
}

fn failed(error: impl std::fmt::Display) -> JobError {
    JobError::Failed(error.to_string())
}

struct WeeklyScan {
    spec: JobSpec,
    dlp: Dlp,
}

#[async_trait]
impl Job for WeeklyScan {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        const ACTOR: &str = "job:dlp.scan";
        let places = self
            .dlp
            .places
            .list(TenantScope::All)
            .await
            .map_err(failed)?;
        let (mut done, mut stopped, mut enforced) = (0, Vec::new(), Enforced::default());
        let scheduled: Vec<_> = places.into_iter().filter(|one| one.scheduled).collect();
        let total = i64::try_from(scheduled.len()).unwrap_or(i64::MAX);
        for (number, place) in (0..).zip(scheduled) {
            let name = address(&place.bucket, &place.prefix);
            context.progress(number, Some(total), &name).await?;
            let scan = self
                .dlp
                .scans
                .begin(TenantScope::All, place.id, ACTOR)
                .await
                .map_err(failed)?;
            let mut go_on = |_: &_| context.check().is_ok();
            let scan = self
                .dlp
                .scans
                .run(scan, ACTOR, &mut go_on)
                .await
                .map_err(failed)?;
            context.check()?;
            if scan.problem.is_empty() {
                done += 1;
            } else {
                stopped.push(format!("{name}: {}", scan.problem));
            }
            enforced.add(enforce(&self.dlp, &place, ACTOR).await.map_err(failed)?);
        }
        if !stopped.is_empty() {
            return Err(JobError::Failed(stopped.join("; ")));
        }
        Ok(json!({ "places": done, "enforced": enforced }))
    }
}

/// What carrying out the policies of a place came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Enforced {
    /// Objects that are in quarantine, or on their way.
    pub quarantined: u64,
    /// Objects that were written anew without what was found.
    pub redacted: u64,
    /// Objects that were written anew, encrypted.
    pub encrypted: u64,
    /// Objects of which the policy's action is not possible, or waits for something.
    pub waiting: u64,
}

impl Enforced {
    /// Adds what another place came to.
    pub const fn add(&mut self, other: Self) {
        self.quarantined += other.quarantined;
        self.redacted += other.redacted;
        self.encrypted += other.encrypted;
        self.waiting += other.waiting;
    }
}

/// Does what enforced policies say about the open findings of a place. Of several findings of an object the
/// strictest action decides.
///
/// # Errors
/// From the state.
pub async fn enforce(
    dlp: &Dlp,
    place: &crate::model::finding::Place,
    actor: &str,
) -> Result<Enforced, DlpError> {
    let scope = TenantScope::One(place.tenant);
    let mut filter = FindingFilter {
        state: Some(crate::model::finding::FindingState::Open),
        bucket: Some(place.bucket.clone()),
        limit: 500,
        ..FindingFilter::default()
    };
    let mut wanted: BTreeMap<ObjectId, StoredFinding> = BTreeMap::new();
    loop {
        let found = dlp.findings.list(scope, &filter).await?;
        for one in &found {
            let acts = one.mode == PolicyMode::Enforce && one.action != PolicyAction::Audit;
            if !acts || !one.object.key.starts_with(&place.prefix) {
                continue;
            }
            let stricter = wanted
                .get(&one.object)
                .is_none_or(|before| one.action > before.action);
            if stricter {
                wanted.insert(one.object.clone(), one.clone());
            }
        }
        match found.last() {
            Some(last) if found.len() == 500 => filter.after = Some(last.id),
            _ => break,
        }
    }
    let rules = dlp.policies.list(scope).await?;
    let mut done = Enforced::default();
    for (object, finding) in wanted {
        let reason = format!("{} {}", finding.severity.as_str(), finding.detector);
        let result = if finding.action == PolicyAction::Quarantine {
            quarantine(dlp, place, &object, &reason, &mut done, actor).await
        } else {
            let rule = decide(
                &rules,
                place.tenant,
                Some(&place.bucket),
                finding.class,
                finding.severity,
            );
            let new = NewTreatment {
                source: object,
                action: finding.action,
                original: rule.original,
                reason,
            };
            treat(dlp, place, new, &mut done, actor).await
        };
        match result {
            // It is gone since it was scanned.
            Ok(()) | Err(DlpError::NotFound(_)) => {}
            Err(DlpError::Store(error)) => return Err(error.into()),
            // It stands at its last step with the reason, and is taken up again.
            Err(error) => {
                tracing::warn!(%error, "what a policy says could not be done");
                done.waiting += 1;
            }
        }
    }
    Ok(done)
}

async fn quarantine(
    dlp: &Dlp,
    place: &crate::model::finding::Place,
    object: &ObjectId,
    reason: &str,
    done: &mut Enforced,
    actor: &str,
) -> Result<(), DlpError> {
    if place.quarantine.is_empty() {
        done.waiting += 1;
        return Ok(());
    }
    let one = dlp.quarantine.want(place, object, reason, actor).await?;
    dlp.quarantine.advance(one, actor).await?;
    done.quarantined += 1;
    Ok(())
}

async fn treat(
    dlp: &Dlp,
    place: &crate::model::finding::Place,
    new: NewTreatment,
    done: &mut Enforced,
    actor: &str,
) -> Result<(), DlpError> {
    let one = dlp.treatments.want(place, new, actor).await?;
    if !one.step.is_under_way() {
        // It came to its end before; what is still open of it is for people.
        return Ok(());
    }
    let one = dlp.treatments.advance(one, actor).await?;
    match (one.step, one.action) {
        (TreatmentStep::Done, PolicyAction::Encrypt) => done.encrypted += 1,
        (TreatmentStep::Done, _) => done.redacted += 1,
        _ => done.waiting += 1,
    }
    Ok(())
}

struct Retention {
    spec: JobSpec,
    dlp: Dlp,
}

#[async_trait]
impl Job for Retention {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        const ACTOR: &str = "job:dlp.retain";
        let retention = &self.dlp.retention;
        let places = self
            .dlp
            .places
            .list(TenantScope::All)
            .await
            .map_err(failed)?;
        let tenants: std::collections::BTreeSet<_> =
            places.iter().map(|place| place.tenant).collect();
        let (mut planned, mut told, mut erased, mut kept) = (0, 0, 0, 0);
        for tenant in tenants {
            context.check()?;
            for plan in retention
                .plans(TenantScope::One(tenant), 100)
                .await
                .map_err(failed)?
            {
                let due = plan.state == crate::model::plan::PlanState::Approved
                    && plan.as_of <= context.now();
                if due {
                    let (_, done) = retention
                        .apply(TenantScope::One(tenant), plan.id, ACTOR)
                        .await
                        .map_err(failed)?;
                    erased += done.erased;
                    kept += done.kept;
                }
            }
            let plan = retention
                .draft(tenant, context.now(), None, ACTOR)
                .await
                .map_err(failed)?;
            planned += 1;
            told += retention
                .announce(TenantScope::One(tenant), plan.id, ACTOR)
                .await
                .map_err(failed)?;
        }
        Ok(json!({ "plans": planned, "announced": told, "erased": erased, "kept": kept }))
    }
}

struct Protect {
    spec: JobSpec,
    dlp: Dlp,
}

#[async_trait]
impl Job for Protect {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        const ACTOR: &str = "job:dlp.protect";
        let protected = self
            .dlp
            .holds
            .protect(TenantScope::All, ACTOR)
            .await
            .map_err(failed)?;
        let freed = self.dlp.holds.unprotect(ACTOR).await.map_err(failed)?;
        let (treated, mut left) = self.dlp.treatments.resume(ACTOR).await.map_err(failed)?;
        let swept = self.dlp.uploads.sweep().await.map_err(failed)?;
        let (ended, waiting) = self.dlp.quarantine.resume(ACTOR).await.map_err(failed)?;
        left.extend(waiting);
        Ok(json!({
            "protected": protected, "freed": freed,
            "quarantines": ended, "treatments": treated, "uploads_forgotten": swept,
            "waiting": left,
        }))
    }
}
