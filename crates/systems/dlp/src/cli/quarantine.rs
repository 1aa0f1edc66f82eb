//! `dlp quarantine`: what was taken away.

use clap::Subcommand;
use serde_json::json;

use super::state::{ACTOR, ALL, Person, Services, resumed, show};
use super::{Output, Result};
use crate::model::quarantine::QuarantineId;

/// `dlp quarantine …`
#[derive(Debug, Clone, Subcommand)]
pub enum QuarantineCommand {
    /// What was taken away
    List,
    /// Ask for an object's release
    AskRelease {
        /// The quarantine
        id: QuarantineId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Release an object: another person than who asked
    Release {
        /// The quarantine
        id: QuarantineId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Take up what is under way
    Resume,
}

pub(super) async fn run(
    services: &Services,
    command: &QuarantineCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let service = &services.dlp.quarantine;
    let one = match command {
        QuarantineCommand::List => {
            let all = service.list(ALL, 1_000).await?;
            if output.is_json() {
                let items: Vec<_> = all
                    .iter()
                    .map(|one| {
                        json!({
                            "id": one.id, "tenant": services.slug(one.tenant),
                            "object": one.source.to_string(), "step": one.step,
                            "reason": one.reason, "problem": one.problem,
                        })
                    })
                    .collect();
                output.json(&items)?;
            } else {
                let rows = all.iter().map(|one| {
                    vec![
                        one.id.to_string(),
                        one.step.to_string(),
                        one.source.to_string(),
                        one.reason.clone(),
                        one.problem.clone(),
                    ]
                });
                output.table(&["id", "step", "object", "reason", "waits for"], &[], rows)?;
            }
            return Ok(true);
        }
        QuarantineCommand::AskRelease { id, by } => {
            service.ask_release(ALL, *id, &by.actor()).await?
        }
        QuarantineCommand::Release { id, by } => {
            let one = service.release(ALL, *id, &by.actor()).await?;
            service.advance(one, &by.actor()).await?
        }
        QuarantineCommand::Resume => {
            let (ended, waiting) = service.resume(ACTOR).await?;
            return resumed(output, ended, &waiting);
        }
    };
    show(
        output,
        &json!({ "id": one.id, "step": one.step, "problem": one.problem }),
        &format!("{} is {}", one.id, one.step),
    )?;
    Ok(true)
}
