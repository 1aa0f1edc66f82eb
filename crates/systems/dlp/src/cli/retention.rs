//! `dlp retention`: plans that can be read before they run.

use clap::Subcommand;
use sealwright_core::UnixMicros;
use serde_json::json;

use super::state::{ACTOR, ALL, Person, Services, day, show};
use super::{CliError, Output, Result};
use crate::model::object::{NO_VERSION, ObjectId, parse_address};
use crate::model::plan::{ErasureId, ExceptionId, PlanId};
use crate::store::retention::ExceptionRow;

/// `dlp retention …`
#[derive(Debug, Clone, Subcommand)]
pub enum RetentionCommand {
    /// What would go, and why the rest is still here; deletes nothing
    Plan {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// As of when: a time or a day; now when not given
        #[arg(long, value_parser = day)]
        as_of: Option<UnixMicros>,
        /// Only what a request for erasure asks for
        #[arg(long)]
        erasure: Option<ErasureId>,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// A plan that was made
    Show {
        /// The plan
        id: PlanId,
    },
    /// Tell people what a plan lists as due
    Announce {
        /// The plan
        id: PlanId,
    },
    /// Approve a plan: another person than who made it
    Approve {
        /// The plan
        id: PlanId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Delete what an approved plan lists and may still go
    Apply {
        /// The plan
        id: PlanId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Keep something for a while that no matter holds: an investigation or a dispute
    Except {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// investigation or dispute
        #[arg(long)]
        kind: String,
        /// Which
        #[arg(long)]
        reason: String,
        /// Until when: a day or a time
        #[arg(long, value_parser = day)]
        until: UnixMicros,
        /// Only in this bucket
        #[arg(long, default_value = "")]
        bucket: String,
        /// Only keys that begin so
        #[arg(long, default_value = "")]
        prefix: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Note that a restore from a backup was verified: older copies of its tier may then go
    Restored {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// daily, weekly, monthly or annual
        #[arg(long)]
        tier: String,
        /// The copy that was restored
        #[arg(long)]
        object: String,
        /// How it was verified
        #[arg(long)]
        note: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Why one version is still here
    Why {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// The object, as s3://BUCKET/KEY, gs://BUCKET/KEY or az://CONTAINER/KEY
        object: String,
        /// The version, where the bucket keeps them
        #[arg(long, default_value = NO_VERSION)]
        version: String,
        /// As of when: a time or a day; now when not given
        #[arg(long, value_parser = day)]
        as_of: Option<UnixMicros>,
    },
}

pub(super) async fn run(
    services: &Services,
    command: &RetentionCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let service = &services.dlp.retention;
    let now = services.clock.now();
    let id = match command {
        RetentionCommand::Plan {
            tenant,
            as_of,
            erasure,
            by,
        } => {
            let tenant = services.tenant(tenant)?;
            let plan = service
                .draft(tenant, as_of.unwrap_or(now), *erasure, &by.actor())
                .await?;
            plan.id
        }
        RetentionCommand::Show { id } => *id,
        RetentionCommand::Announce { id } => {
            let told = service.announce(ALL, *id, ACTOR).await?;
            output.say(&format!("{told} versions are announced"))?;
            *id
        }
        RetentionCommand::Approve { id, by } => {
            service.approve(ALL, *id, &by.actor()).await?;
            *id
        }
        RetentionCommand::Apply { id, by } => {
            let (_, done) = service.apply(ALL, *id, &by.actor()).await?;
            output.say(&format!(
                "{} versions erased, {} markers removed, {} announced, {} kept",
                done.erased, done.markers, done.told, done.kept
            ))?;
            *id
        }
        RetentionCommand::Except {
            tenant,
            kind,
            reason,
            until,
            bucket,
            prefix,
            by,
        } => {
            let row = ExceptionRow {
                id: ExceptionId::new(now),
                tenant: services.tenant(tenant)?,
                bucket: bucket.clone(),
                prefix: prefix.clone(),
                kind: kind.clone(),
                reason: reason.clone(),
                until: *until,
                made_by: by.actor(),
                made_at: now,
            };
            let row = service.except(row).await?;
            show(
                output,
                &json!({ "id": row.id, "until": row.until.to_string() }),
                &format!("{} until {}", row.id, row.until),
            )?;
            return Ok(true);
        }
        RetentionCommand::Restored {
            tenant,
            tier,
            object,
            note,
            by,
        } => {
            let tenant = services.tenant(tenant)?;
            let id = service
                .restored(tenant, tier, object, note, &by.actor())
                .await?;
            show(output, &json!({ "id": id }), &id.to_string())?;
            return Ok(true);
        }
        RetentionCommand::Why {
            tenant,
            object,
            version,
            as_of,
        } => {
            let tenant = services.tenant(tenant)?;
            let (bucket, key) = parse_address(object)
                .filter(|(_, key)| !key.is_empty())
                .ok_or_else(|| {
                    CliError::Usage("give the object by its address: s3://BUCKET/KEY".to_owned())
                })?;
            let object = ObjectId::new(bucket, key, version);
            let judged = service.why(tenant, &object, as_of.unwrap_or(now)).await?;
            show(
                output,
                &json!({
                    "verdict": judged.verdict.as_str(), "why": judged.why,
                    "due": judged.due.map(|due| due.to_string()),
                }),
                &format!("{}: {}", judged.verdict.as_str(), judged.why.join("; ")),
            )?;
            return Ok(true);
        }
    };
    let (plan, items) = service.plan(ALL, id).await?;
    if output.is_json() {
        let lines: Vec<_> = items
            .iter()
            .map(|item| {
                json!({
                    "object": item.id.to_string(), "marker": item.marker, "size": item.size,
                    "category": item.category, "verdict": item.verdict, "why": item.why,
                    "due": item.due.map(|due| due.to_string()), "result": item.result,
                    "result_why": item.result_why,
                })
            })
            .collect();
        output.json(&json!({
            "id": plan.id, "state": plan.state, "as_of": plan.as_of.to_string(),
            "seen": plan.seen, "uncategorised": plan.uncategorised, "lines": lines,
        }))?;
    } else {
        output.say(&format!(
            "plan {} is {}, as of {}: {} versions seen, {} without a category",
            plan.id, plan.state, plan.as_of, plan.seen, plan.uncategorised
        ))?;
        let rows = items.iter().map(|item| {
            vec![
                item.verdict.clone(),
                item.due.map_or(String::new(), |due| due.to_string()),
                item.id.to_string(),
                if item.result.is_empty() {
                    item.why.join("; ")
                } else {
                    format!("{} {}", item.result, item.result_why)
                },
            ]
        });
        output.table(&["verdict", "not before", "version", "why"], &[], rows)?;
    }
    Ok(true)
}
