//! `dlp treatment`: what was written anew.

use clap::Subcommand;
use serde_json::json;

use super::state::{ACTOR, ALL, Services, resumed};
use super::{Output, Result};

/// `dlp treatment …`
#[derive(Debug, Clone, Subcommand)]
pub enum TreatmentCommand {
    /// What was written anew, or could not be
    List,
    /// Take up what is under way; answers no (1) while something waits
    Resume,
}

pub(super) async fn run(
    services: &Services,
    command: &TreatmentCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let service = &services.dlp.treatments;
    match command {
        TreatmentCommand::List => {
            let all = service.list(ALL, 1_000).await?;
            if output.is_json() {
                let items: Vec<_> = all
                    .iter()
                    .map(|one| {
                        json!({
                            "id": one.id, "tenant": services.slug(one.tenant),
                            "object": one.source.to_string(), "action": one.action,
                            "original": one.original, "step": one.step,
                            "new_version": one.new_version, "replaced": one.replaced,
                            "reason": one.reason, "problem": one.problem,
                        })
                    })
                    .collect();
                output.json(&items)?;
            } else {
                let rows = all.iter().map(|one| {
                    vec![
                        one.id.to_string(),
                        one.action.to_string(),
                        one.step.to_string(),
                        one.source.to_string(),
                        one.problem.clone(),
                    ]
                });
                output.table(&["id", "action", "step", "object", "note"], &[], rows)?;
            }
            Ok(true)
        }
        TreatmentCommand::Resume => {
            let (ended, waiting) = service.resume(ACTOR).await?;
            resumed(output, ended, &waiting)
        }
    }
}
