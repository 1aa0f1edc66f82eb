//! `dlp erasure`: requests, and their certificates.

use clap::Subcommand;
use serde_json::json;

use super::state::{ALL, Person, Services, show};
use super::{Output, Result};
use crate::model::plan::ErasureId;

/// `dlp erasure …`
#[derive(Debug, Clone, Subcommand)]
pub enum ErasureCommand {
    /// The requests
    List,
    /// Enter a person's request
    Ask {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// The person's pseudonymous id: the tag sealwright-person
        #[arg(long)]
        person: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// Close a request once nothing is left, and write the certificate
    Close {
        /// The request
        id: ErasureId,
        #[command(flatten)]
        #[allow(missing_docs)]
        by: Person,
    },
    /// The certificate of a closed request, for `sealwright verify`
    Certificate {
        /// The request
        id: ErasureId,
    },
}

pub(super) async fn run(
    services: &Services,
    command: &ErasureCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let service = &services.dlp.retention;
    let one = match command {
        ErasureCommand::List => {
            let all = service.erasures(ALL).await?;
            if output.is_json() {
                let items: Vec<_> = all
                    .iter()
                    .map(|one| {
                        json!({
                            "id": one.id, "tenant": services.slug(one.tenant),
                            "person": one.person, "state": one.state,
                            "asked_at": one.asked_at.to_string(),
                        })
                    })
                    .collect();
                output.json(&items)?;
            } else {
                let rows = all.iter().map(|one| {
                    vec![
                        one.id.to_string(),
                        services.slug(one.tenant),
                        one.person.clone(),
                        one.state.clone(),
                    ]
                });
                output.table(&["id", "tenant", "person", "state"], &[], rows)?;
            }
            return Ok(true);
        }
        ErasureCommand::Ask {
            tenant,
            person,
            reason,
            by,
        } => {
            let tenant = services.tenant(tenant)?;
            service
                .ask_erasure(tenant, person, reason, &by.actor())
                .await?
        }
        ErasureCommand::Close { id, by } => service.close_erasure(ALL, *id, &by.actor()).await?,
        ErasureCommand::Certificate { id } => {
            let file = service.certificate(ALL, *id).await?;
            output.json(&file)?;
            return Ok(true);
        }
    };
    show(
        output,
        &json!({ "id": one.id, "state": one.state }),
        &format!("{} is {}", one.id, one.state),
    )?;
    Ok(true)
}
