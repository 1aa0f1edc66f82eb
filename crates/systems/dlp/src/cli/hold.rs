//! `dlp hold`: matters, and what they protect.

use clap::Subcommand;
use sealwright_core::UnixMicros;
use serde_json::json;

use super::state::{ACTOR, ALL, Person, Services, day, show};
use super::{CliError, Output, Result};
use crate::model::hold::{MatterId, MatterScope, MatterStep};
use crate::service::hold::NewMatter;

/// `dlp hold …`
#[allow(
    clippy::large_enum_variant,
    reason = "a command line is read once, and clap takes no boxes"
)]
#[derive(Debug, Clone, Subcommand)]
pub enum HoldCommand {
    /// The matters
    List,
    /// One matter and the versions that it holds
    Show {
        /// The matter
        id: MatterId,
    },
    /// Open a matter: from then on nothing that it covers is deleted
    Open {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// What people call it
        #[arg(long)]
        name: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Who leads it
        #[arg(long)]
        owner: String,
        /// Whose data is asked for
        #[arg(long)]
        custodian: String,
        /// Only in this bucket
        #[arg(long)]
        bucket: Vec<String>,
        /// Only keys that begin so
        #[arg(long)]
        prefix: Option<String>,
        /// Only with this tag, as NAME=VALUE
        #[arg(long, value_name = "NAME=VALUE")]
        tag: Vec<String>,
        /// Only this person's data: the tag sealwright-person
        #[arg(long)]
        person: Option<String>,
        /// Only what was written from this day on
        #[arg(long, value_parser = day)]
        from: Option<UnixMicros>,
        /// Only what was written before this day
        #[arg(long, value_parser = day)]
        to: Option<UnixMicros>,
        #[command(flatten)]
        #[allow(missing_docs)]
        person_acting: Person,
    },
    /// Approve a matter: another person than who opened it
    Approve {
        /// The matter
        id: MatterId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Ask for a matter's release
    AskRelease {
        /// The matter
        id: MatterId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Release a matter: another person than who asked
    Release {
        /// The matter
        id: MatterId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Tell the store what is held, and free what is released; answers no (1) when something is not protected
    Apply,
}

pub(super) async fn run(
    services: &Services,
    command: &HoldCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let holds = &services.dlp.holds;
    let step = |id: MatterId, step: MatterStep, actor: String| async move {
        holds.step(ALL, id, step, None, &actor).await
    };
    let matter = match command {
        HoldCommand::List => {
            let all = holds.list(ALL).await?;
            if output.is_json() {
                let items: Vec<_> = all
                    .iter()
                    .map(|one| {
                        json!({
                            "id": one.id, "tenant": services.slug(one.tenant), "name": one.name,
                            "state": one.state, "owner": one.owner, "scope": one.scope,
                        })
                    })
                    .collect();
                output.json(&items)?;
            } else {
                let rows = all.iter().map(|one| {
                    vec![
                        one.id.to_string(),
                        services.slug(one.tenant),
                        one.state.to_string(),
                        one.name.clone(),
                    ]
                });
                output.table(&["id", "tenant", "state", "name"], &[], rows)?;
            }
            return Ok(true);
        }
        HoldCommand::Show { id } => {
            let (one, held) = holds.find(ALL, *id).await?;
            let versions: Vec<_> = held
                .iter()
                .map(|row| {
                    json!({
                        "object": row.object.to_string(), "state": row.state,
                        "protection": row.protection, "problem": row.problem,
                    })
                })
                .collect();
            if output.is_json() {
                output.json(&json!({
                    "id": one.id, "name": one.name, "state": one.state, "reason": one.reason,
                    "scope": one.scope, "held": versions,
                }))?;
            } else {
                output.line(&format!("{} is {}: {}", one.name, one.state, one.reason))?;
                let rows = held.iter().map(|row| {
                    vec![
                        row.state.clone(),
                        row.protection.to_string(),
                        row.object.to_string(),
                        row.problem.clone(),
                    ]
                });
                output.table(&["state", "protection", "version", "problem"], &[], rows)?;
            }
            return Ok(true);
        }
        HoldCommand::Open {
            tenant,
            name,
            reason,
            owner,
            custodian,
            bucket,
            prefix,
            tag,
            person,
            from,
            to,
            person_acting,
        } => {
            let mut scope = MatterScope {
                buckets: bucket.clone(),
                prefix: prefix.clone(),
                person: person.clone(),
                from: *from,
                to: *to,
                ..MatterScope::default()
            };
            for pair in tag {
                let (name, value) = pair
                    .split_once('=')
                    .ok_or_else(|| CliError::Usage("--tag takes NAME=VALUE".to_owned()))?;
                scope.tags.insert(name.to_owned(), value.to_owned());
            }
            let new = NewMatter {
                tenant: services.tenant(tenant)?,
                name: name.clone(),
                reason: reason.clone(),
                owner: owner.clone(),
                custodian: custodian.clone(),
                scope,
            };
            holds.open(new, &person_acting.actor()).await?
        }
        HoldCommand::Approve { id, by } => step(*id, MatterStep::Approve, by.actor()).await?,
        HoldCommand::AskRelease { id, by } => step(*id, MatterStep::AskRelease, by.actor()).await?,
        HoldCommand::Release { id, by } => step(*id, MatterStep::Release, by.actor()).await?,
        HoldCommand::Apply => {
            let done = holds.protect(ALL, ACTOR).await?;
            let freed = holds.unprotect(ACTOR).await?;
            show(
                output,
                &json!({ "protected": done, "freed": freed }),
                &format!(
                    "{} versions are held by the store, {} only by a tag, {} only by the ledger here, {} are freed",
                    done.object_lock, done.tag_only, done.ledger_only, freed
                ),
            )?;
            for why in &done.failed {
                output.say(&format!("not protected: {why}"))?;
            }
            return Ok(done.failed.is_empty());
        }
    };
    show(
        output,
        &json!({ "id": matter.id, "state": matter.state, "revision": matter.revision }),
        &format!("{} is {}", matter.id, matter.state),
    )?;
    Ok(true)
}
