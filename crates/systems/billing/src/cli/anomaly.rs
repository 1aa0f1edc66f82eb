//! `billing anomaly`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{ACTOR, CliError, Output, Result, Services};
use crate::model::anomaly::{Anomaly, AnomalyId, AnomalyState};
use crate::service::anomaly::AnomalyFilter;

/// `billing anomaly …`
#[derive(Debug, Clone, Subcommand)]
pub enum AnomalyCommand {
    /// Anomalies, the last found first
    List {
        /// Only this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only this state: open, acknowledged, dismissed
        #[arg(long)]
        state: Option<AnomalyState>,
        /// Only this meter
        #[arg(long)]
        meter: Option<String>,
        /// Rows at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One anomaly, with why it is one
    Show {
        /// The anomaly (ano_…)
        id: AnomalyId,
    },
    /// Look for anomalies now; exits with 1 when new ones are found
    Evaluate {
        /// Only this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say that it is one and is known
    Acknowledge {
        /// The anomaly (ano_…)
        id: AnomalyId,
        /// What is known about it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Say that it is none, or does not matter
    Dismiss {
        /// The anomaly (ano_…)
        id: AnomalyId,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Show or set how anomalies are looked for in a tenant's usage
    Settings {
        /// The tenant, by name or id
        #[arg(long)]
        tenant: String,
        /// Settings as JSON; what is left out has its default
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
    },
}

fn value(services: &Services, anomaly: &Anomaly) -> Value {
    let body = &anomaly.body;
    json!({
        "id": anomaly.id, "tenant": services.slug(anomaly.tenant), "meter": anomaly.meter,
        "grain": anomaly.grain, "at": anomaly.at.to_string(), "detector": anomaly.detector,
        "severity": anomaly.severity, "state": anomaly.state, "value": body.value,
        "unit": body.unit, "partial": body.partial, "expected": body.expected,
        "low": body.low, "high": body.high, "deviation": body.deviation, "why": body.why,
        "note": body.note, "revision": anomaly.revision,
    })
}

fn row(services: &Services, anomaly: &Anomaly) -> Vec<String> {
    vec![
        anomaly.id.to_string(),
        services.slug(anomaly.tenant),
        anomaly.meter.clone(),
        anomaly.at.to_string(),
        anomaly.severity.to_string(),
        anomaly.state.to_string(),
        anomaly.body.value.clone(),
        anomaly.body.unit.clone(),
    ]
}

pub(super) async fn run(
    services: &Services,
    command: &AnomalyCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let anomalies = &services.anomalies;
    let all = sealwright_core::TenantScope::All;
    match command {
        AnomalyCommand::List {
            tenant,
            state,
            meter,
            limit,
        } => {
            let filter = AnomalyFilter {
                state: *state,
                meter: meter.clone(),
                after: None,
                limit: *limit,
            };
            let scope = services.scope(tenant.as_deref())?;
            let found = anomalies.list(scope, &filter).await?;
            if output.json {
                let items: Vec<_> = found.iter().map(|one| value(services, one)).collect();
                output.json(&items)?;
            } else {
                let header = [
                    "id", "tenant", "meter", "at", "severity", "state", "value", "unit",
                ];
                let rows = found.iter().map(|one| row(services, one));
                output.table(&header, &[6], rows)?;
            }
        }
        AnomalyCommand::Show { id } => {
            let anomaly = anomalies.find(all, *id).await?;
            if output.json {
                let mut value = value(services, &anomaly);
                value["history"] = json!(anomaly.body.history);
                value["settings"] = json!(anomaly.body.settings);
                output.json(&value)?;
            } else {
                output.line(&format!(
                    "{} {} of {} at {} ({}, {})",
                    anomaly.meter,
                    anomaly.severity,
                    services.slug(anomaly.tenant),
                    anomaly.at,
                    anomaly.detector.name(),
                    anomaly.state
                ))?;
                output.line(&anomaly.body.why)?;
                if let Some(note) = &anomaly.body.note {
                    output.line(&format!("note: {note}"))?;
                }
            }
        }
        AnomalyCommand::Evaluate { tenant } => {
            let scope = services.scope(tenant.as_deref())?;
            let done = anomalies.evaluate(scope, ACTOR).await?;
            if output.json {
                output.json(&done)?;
            } else {
                output.line(&format!(
                    "{} found, {} updated, {} dismissed in {} series of {} tenants",
                    done.found, done.updated, done.dismissed, done.series, done.tenants
                ))?;
            }
            return Ok(done.found == 0);
        }
        AnomalyCommand::Acknowledge { id, note } => {
            decide(services, *id, AnomalyState::Acknowledged, note, output).await?;
        }
        AnomalyCommand::Dismiss { id, note } => {
            decide(services, *id, AnomalyState::Dismissed, note, output).await?;
        }
        AnomalyCommand::Settings { tenant, set } => {
            let id = services.tenant(tenant)?;
            if let Some(text) = set {
                let settings = serde_json::from_str(text).map_err(|error| {
                    CliError::Usage(format!(
                        "--set {}:{}: {error}",
                        error.line(),
                        error.column()
                    ))
                })?;
                anomalies.set_settings(id, settings, ACTOR).await?;
            }
            output.json(&anomalies.settings(id).await?)?;
        }
    }
    Ok(true)
}

async fn decide(
    services: &Services,
    id: AnomalyId,
    state: AnomalyState,
    note: &str,
    output: &mut Output<'_>,
) -> Result<()> {
    let all = sealwright_core::TenantScope::All;
    let anomaly = services
        .anomalies
        .decide(all, id, None, state, note, ACTOR)
        .await?;
    if output.json {
        output.json(&value(services, &anomaly))
    } else {
        output.line(&format!("{id} is {state}"))
    }
}
