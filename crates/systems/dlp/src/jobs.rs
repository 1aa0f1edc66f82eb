//! Scheduled work: the weekly scan, the daily retention, and what goes on in between.

use std::sync::Arc;

use async_trait::async_trait;
use sealwright_core::TenantScope;
use sealwright_jobs::{CatchUp, Job, JobError, JobSpec, RunContext, Schedule};
use serde_json::{Value, json};

use crate::model::policy::{PolicyAction, PolicyMode};
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
                "Scans the registered places and takes away what enforced policies say.",
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
                "Tells the store what is held, frees what is released, and takes up quarantines.",
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
        let (mut done, mut stopped, mut taken) = (0, Vec::new(), 0);
        let scheduled: Vec<_> = places.into_iter().filter(|one| one.scheduled).collect();
        let total = i64::try_from(scheduled.len()).unwrap_or(i64::MAX);
        for (number, place) in (0..).zip(scheduled) {
            let name = format!("s3://{}/{}", place.bucket, place.prefix);
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
            taken += enforce(&self.dlp, &place, ACTOR).await.map_err(failed)?;
        }
        if !stopped.is_empty() {
            return Err(JobError::Failed(stopped.join("; ")));
        }
        Ok(json!({ "places": done, "quarantined": taken }))
    }
}

/// Takes away what enforced policies say about the open findings of a place.
///
/// # Errors
/// From the state.
pub async fn enforce(
    dlp: &Dlp,
    place: &crate::model::finding::Place,
    actor: &str,
) -> Result<u64, DlpError> {
    if place.quarantine.is_empty() {
        return Ok(0);
    }
    let mut taken = 0;
    let mut filter = FindingFilter {
        state: Some(crate::model::finding::FindingState::Open),
        bucket: Some(place.bucket.clone()),
        limit: 500,
        ..FindingFilter::default()
    };
    let mut seen = std::collections::HashSet::new();
    loop {
        let found = dlp
            .findings
            .list(TenantScope::One(place.tenant), &filter)
            .await?;
        for one in &found {
            let acts = one.mode == PolicyMode::Enforce && one.action == PolicyAction::Quarantine;
            if !acts
                || !one.object.key.starts_with(&place.prefix)
                || !seen.insert(one.object.clone())
            {
                continue;
            }
            let reason = format!("{} {}", one.severity.as_str(), one.detector);
            let wanted = dlp
                .quarantine
                .want(place, &one.object, &reason, actor)
                .await;
            match wanted {
                Ok(quarantine) => match dlp.quarantine.advance(quarantine, actor).await {
                    Ok(_) => taken += 1,
                    Err(DlpError::Store(error)) => return Err(error.into()),
                    // It stands at its last step with the reason, and is taken up again.
                    Err(error) => tracing::warn!(%error, "a quarantine could not go on"),
                },
                Err(DlpError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match found.last() {
            Some(last) if found.len() == 500 => filter.after = Some(last.id),
            _ => return Ok(taken),
        }
    }
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
        let (ended, waiting) = self.dlp.quarantine.resume(ACTOR).await.map_err(failed)?;
        Ok(json!({
            "protected": protected, "freed": freed,
            "quarantines": ended, "waiting": waiting,
        }))
    }
}
