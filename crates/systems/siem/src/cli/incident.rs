//! `siem incident`.

use clap::Subcommand;

use super::{ACTOR, CliError, Output, Result};
use crate::api::{IncidentSummary, Siem};
use crate::model::{IncidentId, IncidentState};
use crate::service::incident::Change;
use crate::store::alert::Filter;

/// `siem incident …`
#[derive(Debug, Clone, Subcommand)]
pub enum IncidentCommand {
    /// Incidents, newest first
    List {
        /// Only this tenant, by slug or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only this state
        #[arg(long, value_enum)]
        state: Option<IncidentState>,
    },
    /// One incident with its alerts and history
    Show {
        /// inc_…
        id: String,
    },
    /// Close it
    Close {
        /// inc_…
        id: String,
        /// Words that go with it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Work on it again
    Reopen {
        /// inc_…
        id: String,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
    },
}

fn id(text: &str) -> Result<IncidentId> {
    text.parse()
        .map_err(|_| CliError::Usage(format!("{text} is not the id of an incident (inc_…)")))
}

pub(super) async fn run(
    siem: &Siem,
    command: &IncidentCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let (text, change, note) = match command {
        IncidentCommand::List { tenant, state } => {
            let scope = super::scope(siem, tenant.as_deref())?;
            let found = siem.incidents.list(scope, *state, None, 500).await?;
            if output.json {
                let all: Vec<_> = found
                    .iter()
                    .map(|one| IncidentSummary::of(siem, one))
                    .collect();
                output.json(&all)?;
            } else {
                let rows = found.iter().map(|one| {
                    vec![
                        one.id.to_string(),
                        one.severity.to_string(),
                        one.state.to_string(),
                        siem.slug(one.tenant),
                        one.created_at.to_string(),
                        one.title.clone(),
                    ]
                });
                output.table(
                    &["incident", "severity", "state", "tenant", "opened", "title"],
                    &[],
                    rows,
                )?;
            }
            return Ok(true);
        }
        IncidentCommand::Show { id: text } => {
            let scope = super::scope(siem, None)?;
            let incident = siem.incidents.find(scope, id(text)?).await?;
            let filter = Filter {
                incident: Some(incident.id),
                limit: 500,
                ..Filter::default()
            };
            let alerts = siem.alerts.list(scope, &filter).await?;
            if output.json {
                let alerts: Vec<_> = alerts
                    .iter()
                    .map(|alert| crate::api::AlertSummary::of(siem, alert))
                    .collect();
                output.json(&serde_json::json!({
                    "incident": IncidentSummary::of(siem, &incident), "alerts": alerts,
                }))?;
            } else {
                output.line(&format!(
                    "{} · {} · {}",
                    incident.severity, incident.title, incident.state
                ))?;
                for alert in &alerts {
                    output.line(&format!(
                        "  {} {} {} {}",
                        alert.id, alert.severity, alert.state, alert.body.rule.title
                    ))?;
                }
                for entry in siem.incidents.history(&incident).await? {
                    output.line(&format!(
                        "  {} {} {} {}",
                        entry.at, entry.actor, entry.action, entry.detail
                    ))?;
                }
            }
            return Ok(true);
        }
        IncidentCommand::Close { id, note } => (id, Change::Close, note),
        IncidentCommand::Reopen { id, note } => (id, Change::Reopen, note),
    };
    let scope = super::scope(siem, None)?;
    let changed = siem
        .incidents
        .change(scope, id(text)?, None, &change, note, ACTOR)
        .await?;
    output.line(&format!("{} is {}", changed.id, changed.state))?;
    Ok(true)
}
