//! `siem alert`.

use clap::Subcommand;

use super::{ACTOR, CliError, Output, Result};
use crate::api::{AlertSummary, Siem, whole};
use crate::model::{Alert, AlertId, AlertState, Severity, Verdict};
use crate::service::alert::Change;
use crate::service::ocsf;
use crate::store::alert::Filter;

/// `siem alert …`
#[derive(Debug, Clone, Subcommand)]
pub enum AlertCommand {
    /// Alerts, newest first
    List {
        /// Only this tenant, by slug or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only this state
        #[arg(long, value_enum)]
        state: Option<AlertState>,
        /// Only this severity and worse
        #[arg(long, value_enum)]
        severity: Option<Severity>,
        /// Only of this rule
        #[arg(long)]
        rule: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// As OCSF detection findings, one a line
        #[arg(long)]
        ocsf: bool,
    },
    /// One alert with what it says, its events and its history
    Show {
        /// alr_…
        id: String,
        /// As an OCSF detection finding
        #[arg(long)]
        ocsf: bool,
    },
    /// Say that somebody works on it
    Acknowledge {
        /// alr_…
        id: String,
        /// Words that go with it
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Close it with a verdict
    Close {
        /// alr_…
        id: String,
        /// What it was
        #[arg(long, value_enum)]
        verdict: Verdict,
        /// Why; needed for what was no true positive
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Work on a closed one again
    Reopen {
        /// alr_…
        id: String,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Give it to somebody
    Assign {
        /// alr_…
        id: String,
        /// Who
        owner: String,
    },
    /// Add a note
    Note {
        /// alr_…
        id: String,
        /// The note
        text: String,
    },
}

fn id(text: &str) -> Result<AlertId> {
    text.parse()
        .map_err(|_| CliError::Usage(format!("{text} is not the id of an alert (alr_…)")))
}

pub(super) async fn run(
    siem: &Siem,
    command: &AlertCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        AlertCommand::List {
            tenant,
            state,
            severity,
            rule,
            limit,
            ocsf: as_ocsf,
        } => {
            let scope = super::scope(siem, tenant.as_deref())?;
            let filter = Filter {
                state: *state,
                severity: *severity,
                rule: rule.clone(),
                limit: (*limit).clamp(1, 10_000),
                ..Filter::default()
            };
            let alerts = siem.alerts.list(scope, &filter).await?;
            if *as_ocsf {
                for alert in &alerts {
                    let events = siem.alerts.events(alert).await?;
                    let slug = siem.slug(alert.tenant);
                    output.json_line(&ocsf::finding(
                        alert,
                        &events,
                        &slug,
                        env!("CARGO_PKG_VERSION"),
                    ))?;
                }
                return Ok(true);
            }
            list(siem, &alerts, output)?;
            Ok(true)
        }
        AlertCommand::Show {
            id: text,
            ocsf: as_ocsf,
        } => {
            let scope = super::scope(siem, None)?;
            let alert = siem.alerts.find(scope, id(text)?).await?;
            let events = siem.alerts.events(&alert).await?;
            if *as_ocsf {
                let slug = siem.slug(alert.tenant);
                output.json(&ocsf::finding(
                    &alert,
                    &events,
                    &slug,
                    env!("CARGO_PKG_VERSION"),
                ))?;
            } else if output.json {
                let whole = whole(siem, &alert)
                    .await
                    .map_err(|problem| CliError::Usage(problem.detail))?;
                output.json(&whole)?;
            } else {
                show(siem, &alert, output).await?;
            }
            Ok(true)
        }
        AlertCommand::Acknowledge { id, note } => {
            change(siem, id, &Change::Acknowledge, note, output).await
        }
        AlertCommand::Close { id, verdict, note } => {
            change(siem, id, &Change::Close(*verdict), note, output).await
        }
        AlertCommand::Reopen { id, note } => change(siem, id, &Change::Reopen, note, output).await,
        AlertCommand::Assign { id, owner } => {
            change(siem, id, &Change::Assign(Some(owner.clone())), "", output).await
        }
        AlertCommand::Note { id, text } => change(siem, id, &Change::Note, text, output).await,
    }
}

async fn change(
    siem: &Siem,
    text: &str,
    change: &Change,
    note: &str,
    output: &mut Output<'_>,
) -> Result<bool> {
    let scope = super::scope(siem, None)?;
    let alert = siem
        .alerts
        .change(scope, id(text)?, None, change, note, ACTOR)
        .await?;
    if output.json {
        output.json(&AlertSummary::of(siem, &alert))?;
    } else {
        output.line(&format!("{} is {}", alert.id, alert.state))?;
    }
    Ok(true)
}

fn list(siem: &Siem, alerts: &[Alert], output: &mut Output<'_>) -> Result<()> {
    if output.json {
        let all: Vec<AlertSummary> = alerts.iter().map(|a| AlertSummary::of(siem, a)).collect();
        return output.json(&all);
    }
    let rows = alerts.iter().map(|alert| {
        vec![
            alert.id.to_string(),
            alert.severity.to_string(),
            alert.state.to_string(),
            siem.slug(alert.tenant),
            alert.matches.to_string(),
            alert.last_at.to_string(),
            alert.body.rule.title.clone(),
        ]
    });
    let header = [
        "alert",
        "severity",
        "state",
        "tenant",
        "matches",
        "last event",
        "title",
    ];
    output.table(&header, &[4], rows)
}

async fn show(siem: &Siem, alert: &Alert, output: &mut Output<'_>) -> Result<()> {
    let rule = &alert.body.rule;
    output.line(&format!(
        "{} · {} · {}",
        alert.severity, rule.title, alert.state
    ))?;
    output.line(&format!(
        "rule {} by {}, digest {}",
        rule.id,
        rule.author
            .as_deref()
            .unwrap_or("an author who is not named"),
        rule.digest
    ))?;
    output.line(&format!(
        "tenant {}, {} matches from {} to {}",
        siem.slug(alert.tenant),
        alert.matches,
        alert.first_at,
        alert.last_at
    ))?;
    for m in &alert.body.matched {
        output.line(&format!("  {} {:?} found {:?}", m.what, m.wanted, m.found))?;
    }
    if let Some(window) = &alert.body.window {
        let group: Vec<String> = window
            .group
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        output.line(&format!(
            "  {} within {} s, measured {} ({})",
            window.condition,
            window.timespan / 1_000_000,
            window.measure,
            group.join(" ")
        ))?;
    }
    for event in siem.alerts.events(alert).await? {
        let summary: Vec<String> = event
            .summary
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        output.line(&format!(
            "  {} {} {}",
            event.time,
            event.source,
            summary.join(" ")
        ))?;
    }
    for entry in siem.alerts.history(alert).await? {
        output.line(&format!(
            "  {} {} {} {}",
            entry.at, entry.actor, entry.action, entry.detail
        ))?;
    }
    if let Some(entry) = &alert.ledger_entry {
        output.line(&format!(
            "sealed in ledger entry {entry}, digest {}",
            alert.digest
        ))?;
    }
    Ok(())
}
