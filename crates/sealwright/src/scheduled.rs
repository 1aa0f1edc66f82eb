//! The scheduled work of this program.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwright_access::AccessService;
use sealwright_billing::service::anomaly::AnomalyService;
use sealwright_billing::service::invoice::InvoiceService;
use sealwright_core::TenantScope;
use sealwright_core::clock::DAY;
use sealwright_events::HoldRegister;
use sealwright_intake::{IntakeLog, TrimTo};
use sealwright_jobs::{
    CatchUp, Job, JobError, JobSpec, JobsService, PruneHistory, RunContext, Schedule,
};
use sealwright_lake::{CompactPolicy, Lake, RetentionPolicy};
use sealwright_notify::NotifyService;
use sealwright_prometheus::PullJob;
use sealwright_siem::service::alert::AlertService;
use sealwright_siem::service::source::SourceService;
use sealwright_siem::service::vanish::FieldService;
use sealwright_store::Store;
use serde_json::{Value, json};

use crate::audit::LedgerAudit;
use crate::installation::Installation;

/// How long one round of indexing goes on; the next one goes on where it ended.
const INDEX_ROUND: Duration = Duration::from_secs(45);

/// The jobs of this program on the state of an installation.
pub(crate) fn service(installation: &Installation) -> anyhow::Result<JobsService> {
    let state = &installation.state;
    let audit = Arc::new(LedgerAudit::new(Arc::clone(&state.ledger)));
    let (store, clock) = (state.store.clone(), Arc::clone(&state.clock));
    Ok(JobsService::new(store, clock, audit, jobs(installation)?)?)
}

/// All jobs.
pub(crate) fn jobs(installation: &Installation) -> anyhow::Result<Vec<Arc<dyn Job>>> {
    let config = &installation.state.config;
    let every = |cron: &str| Schedule::parse(cron, "UTC");
    let days = |length: i64| u32::try_from(length / DAY).unwrap_or(u32::MAX);
    let mut all: Vec<Arc<dyn Job>> = vec![
        Arc::new(LakeMaintenance {
            spec: JobSpec::new(
                "lake.maintain",
                "Joins small files and removes replaced ones.",
            )
            .scheduled(every("17 * * * *")?, CatchUp::Once),
            lake: installation.lake.clone(),
        }),
        Arc::new(LakeIndex {
            spec: JobSpec::new(
                "lake.index",
                "Makes the index by which stored events are found.",
            )
            .scheduled(every("* * * * *")?, CatchUp::Once),
            lake: installation.lake.clone(),
        }),
        Arc::new(LakeRetention {
            spec: JobSpec::new(
                "lake.retain",
                "Removes whole days that are past their time.",
            )
            .scheduled(every("30 2 * * *")?, CatchUp::Once),
            lake: installation.lake.clone(),
            holds: Arc::clone(&installation.state.dlp.register) as Arc<dyn HoldRegister>,
            policy: RetentionPolicy {
                default_days: Some(days(config.lake.retention.micros())),
                ..RetentionPolicy::default()
            },
        }),
        Arc::new(LogTrim {
            spec: JobSpec::new(
                "intake.trim",
                "Lets events leave the log that are old and stored.",
            )
            .scheduled(every("45 2 * * *")?, CatchUp::Once),
            log: Arc::clone(&installation.log),
            lake: installation.lake.clone(),
            store: installation.state.store.clone(),
            keep: config.intake.dedup.micros(),
        }),
        Arc::new(InvoiceDrafts {
            spec: JobSpec::new(
                "billing.draft",
                "Drafts the invoices of this month and the last.",
            )
            .scheduled(every("5 * * * *")?, CatchUp::Once),
            invoices: Arc::clone(&installation.invoices),
        }),
        Arc::new(InvoiceOverdue {
            spec: JobSpec::new(
                "billing.overdue",
                "Marks invoices whose due date has passed.",
            )
            .scheduled(every("10 0 * * *")?, CatchUp::Once),
            invoices: Arc::clone(&installation.invoices),
        }),
        Arc::new(SiemEscalate {
            spec: JobSpec::new(
                "siem.escalate",
                "Escalates alerts that nobody answered in time.",
            )
            .scheduled(every("* * * * *")?, CatchUp::Once),
            alerts: installation.siem.alerts.clone(),
        }),
        Arc::new(SiemSilence {
            spec: JobSpec::new(
                "siem.silence",
                "Raises an alert for each source that has fallen silent, and for each field that rules need and that has vanished.",
            )
            .scheduled(every("* * * * *")?, CatchUp::Once),
            sources: installation.siem.sources.clone(),
            fields: installation.siem.fields.clone(),
        }),
        Arc::new(NotifyPrune {
            spec: JobSpec::new(
                "notify.prune",
                "Forgets deliveries that ended long ago, and their messages.",
            )
            .scheduled(every("50 2 * * *")?, CatchUp::Once),
            notify: installation.state.notify.clone(),
        }),
        Arc::new(PullJob::new(crate::prometheus::puller(installation))?),
        Arc::new(AnomalyEvaluation {
            spec: JobSpec::new(
                "billing.anomaly",
                "Looks for usage out of the ordinary, by day and by hour.",
            )
            .scheduled(every("20 * * * *")?, CatchUp::Once),
            anomalies: installation.state.anomalies.clone(),
        }),
        Arc::new(AccessHousekeeping {
            spec: JobSpec::new(
                "access.housekeeping",
                "Ends old sessions and notes when keys were used.",
            )
            .scheduled(every("*/5 * * * *")?, CatchUp::Once),
            access: installation.state.access.clone(),
        }),
        Arc::new(PruneHistory::new(
            installation.state.store.clone(),
            i64::from(days(config.jobs.history.micros())),
            every("20 3 * * *")?,
        )),
    ];
    all.extend(sealwright_dlp::jobs::jobs(&installation.state.dlp)?);
    Ok(all)
}

fn failed(error: impl std::fmt::Display) -> JobError {
    JobError::Failed(error.to_string())
}

struct LakeMaintenance {
    spec: JobSpec,
    lake: Lake,
}

#[async_trait]
impl Job for LakeMaintenance {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn ready(&self) -> bool {
        self.lake.owned()
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let report = self
            .lake
            .maintain(context.now(), CompactPolicy::default())
            .await
            .map_err(failed)?;
        serde_json::to_value(report).map_err(failed)
    }
}

struct LakeIndex {
    spec: JobSpec,
    lake: Lake,
}

#[async_trait]
impl Job for LakeIndex {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn ready(&self) -> bool {
        self.lake.owned()
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let report = self.lake.index(context.now(), INDEX_ROUND).await;
        serde_json::to_value(report.map_err(failed)?).map_err(failed)
    }
}

struct LakeRetention {
    spec: JobSpec,
    lake: Lake,
    holds: Arc<dyn HoldRegister>,
    policy: RetentionPolicy,
}

#[async_trait]
impl Job for LakeRetention {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn ready(&self) -> bool {
        self.lake.owned()
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let report = self
            .lake
            .retain(context.now(), &self.policy, self.holds.as_ref(), true)
            .await
            .map_err(failed)?;
        serde_json::to_value(report).map_err(failed)
    }
}

struct LogTrim {
    spec: JobSpec,
    log: Arc<dyn IntakeLog>,
    lake: Lake,
    store: Store,
    keep: i64,
}

#[async_trait]
impl Job for LogTrim {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    // Only the lake's writer knows at once how far the lake is.
    fn ready(&self) -> bool {
        self.lake.owned()
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let before = context.now().plus(-self.keep.max(35 * DAY));
        let passed = sealwright_events::lowest_cursor(&self.store)
            .await
            .map_err(failed)?
            .unwrap_or(0);
        let to = TrimTo {
            passed: passed.min(self.lake.next_offset()),
            received_before: before,
            forget_before: before,
            close_segment: false,
        };
        let earliest = self.log.trim(to).await.map_err(failed)?;
        Ok(json!({ "earliest": earliest }))
    }
}

struct InvoiceDrafts {
    spec: JobSpec,
    invoices: Arc<InvoiceService>,
}

#[async_trait]
impl Job for InvoiceDrafts {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, context: &RunContext) -> Result<Value, JobError> {
        let now = context.now();
        let last = sealwright_billing::service::usage::month_start(now).plus(-1);
        let (mut drafted, mut errors) = (0, Vec::new());
        for month in [last, now] {
            context.check()?;
            let done = self
                .invoices
                .generate(None, month, false, "job:billing.draft")
                .await
                .map_err(failed)?;
            for one in done {
                match one.result {
                    Ok(_) => drafted += 1,
                    Err(error) => errors.push(format!("{}: {error}", one.tenant)),
                }
            }
        }
        Ok(json!({ "drafted": drafted, "errors": errors }))
    }
}

struct InvoiceOverdue {
    spec: JobSpec,
    invoices: Arc<InvoiceService>,
}

#[async_trait]
impl Job for InvoiceOverdue {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        let marked = self
            .invoices
            .mark_overdue("job:billing.overdue")
            .await
            .map_err(failed)?;
        Ok(json!({ "marked": marked }))
    }
}

struct NotifyPrune {
    spec: JobSpec,
    notify: NotifyService,
}

#[async_trait]
impl Job for NotifyPrune {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        let forgotten = self.notify.prune().await.map_err(failed)?;
        Ok(json!({ "forgotten": forgotten }))
    }
}

struct SiemEscalate {
    spec: JobSpec,
    alerts: AlertService,
}

#[async_trait]
impl Job for SiemEscalate {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        let escalated = self
            .alerts
            .escalate("job:siem.escalate")
            .await
            .map_err(failed)?;
        Ok(json!({ "escalated": escalated.len() }))
    }
}

struct SiemSilence {
    spec: JobSpec,
    sources: SourceService,
    fields: FieldService,
}

#[async_trait]
impl Job for SiemSilence {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        let raised = self.sources.alarm().await.map_err(failed)?;
        let vanished = self.fields.alarm().await.map_err(failed)?;
        Ok(json!({ "raised": raised, "fields": vanished }))
    }
}

struct AccessHousekeeping {
    spec: JobSpec,
    access: AccessService,
}

#[async_trait]
impl Job for AccessHousekeeping {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        self.access.housekeeping().await.map_err(failed)?;
        Ok(Value::Null)
    }
}

struct AnomalyEvaluation {
    spec: JobSpec,
    anomalies: AnomalyService,
}

#[async_trait]
impl Job for AnomalyEvaluation {
    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    async fn run(&self, _context: &RunContext) -> Result<Value, JobError> {
        let done = self
            .anomalies
            .evaluate(TenantScope::All, "job:billing.anomaly")
            .await
            .map_err(failed)?;
        serde_json::to_value(done).map_err(failed)
    }
}
