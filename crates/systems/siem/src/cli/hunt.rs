//! `siem hunt`, `siem retro` and `siem dead-letter`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealwright_core::UnixMicros;
use sealwright_core::clock::DAY;

use super::{CliError, Output, Result, files};
use crate::api::{HuntAnswer, Siem, replay_at, try_rule};
use crate::service::hunt::Hunt;
use crate::service::retro::Span;

/// `siem hunt`
#[derive(Debug, Clone, Args)]
pub struct HuntArgs {
    /// Terms: user.name:ada -event.outcome:success "10.0.0."; all events when absent
    #[arg(default_value = "")]
    pub query: String,
    /// A file with a Sigma rule that events must match too
    #[arg(long, value_name = "FILE")]
    pub rule: Option<PathBuf>,
    /// Only this tenant, by slug or id
    #[arg(long)]
    pub tenant: Option<String>,
    /// From when (2026-11-22 or 2026-11-22T10:00:00Z); a day ago when absent
    #[arg(long, value_parser = moment)]
    pub from: Option<UnixMicros>,
    /// Until when (not included); now when absent
    #[arg(long, value_parser = moment)]
    pub to: Option<UnixMicros>,
    /// Continue below this offset
    #[arg(long)]
    pub cursor: Option<u64>,
    /// At most this many events
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// `siem retro`
#[derive(Debug, Clone, Args)]
pub struct RetroArgs {
    /// Whose events, by slug or id
    #[arg(long)]
    pub tenant: String,
    /// Files of Sigma rules, or folders of them; the tenant's own rules when absent
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Only this one of the rules, whether or not it is enabled
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// From which event time; all when absent
    #[arg(long, value_parser = moment)]
    pub from: Option<UnixMicros>,
    /// Until which event time (not included); now when absent
    #[arg(long, value_parser = moment)]
    pub to: Option<UnixMicros>,
}

/// `siem dead-letter …`
#[derive(Debug, Clone, Subcommand)]
pub enum DeadLetterCommand {
    /// Events that could not be evaluated, with the reason
    List {
        /// Only this tenant, by slug or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Evaluate one again
    Replay {
        /// Its offset in the log
        offset: u64,
    },
}

fn moment(text: &str) -> std::result::Result<UnixMicros, String> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    UnixMicros::parse_rfc3339(&full)
        .map_err(|_| "give a time (2026-11-01T00:00:00Z) or a day (2026-11-01)".to_owned())
}

pub(super) async fn hunt(siem: &Siem, args: &HuntArgs, output: &mut Output<'_>) -> Result<bool> {
    let now = siem.clock.now();
    let rule = args
        .rule
        .as_deref()
        .map(|path| files::text(path, 4 << 20))
        .transpose()?;
    let hunt = Hunt {
        query: args.query.clone(),
        rule,
        scope: super::scope(siem, args.tenant.as_deref())?,
        from: args.from.unwrap_or_else(|| now.plus(-DAY)),
        to: args.to.unwrap_or(now),
        below: args.cursor,
        limit: args.limit,
    };
    let found = siem.hunter.hunt(&hunt).await?;
    let any = !found.hits.is_empty();
    let words = format!(
        "{}{} found, {} looked at one by one{}",
        if found.complete { "" } else { "at least " },
        found.total,
        found.scanned,
        found
            .next
            .map_or_else(String::new, |next| format!("; --cursor {next} goes on")),
    );
    if output.json {
        output.json(&HuntAnswer::of(siem, found))?;
    } else {
        let rows = found.hits.iter().map(|hit| {
            let summary: Vec<String> = hit
                .summary
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            vec![
                hit.event.time.to_string(),
                hit.event.source.clone(),
                hit.event.event_type.clone(),
                summary.join(" "),
            ]
        });
        output.table(&["time", "source", "type", "what"], &[], rows)?;
    }
    output.say(&words)?;
    Ok(any)
}

pub(super) async fn retro(siem: &Siem, args: &RetroArgs, output: &mut Output<'_>) -> Result<bool> {
    let scope = super::scope(siem, Some(&args.tenant))?;
    let tenant = scope
        .tenant()
        .ok_or_else(|| CliError::Usage("--tenant names one tenant".to_owned()))?;
    let mut text = String::new();
    for file in files::rule_files(&args.rules)? {
        text.push_str("\n---\n");
        text.push_str(&files::text(&file, 4 << 20)?);
    }
    let span = Span {
        tenant,
        from: args.from,
        to: args.to.unwrap_or_else(|| siem.clock.now()),
    };
    let given = (!args.rules.is_empty()).then_some(text.as_str());
    let report = try_rule(siem, span, given, args.rule.as_deref()).await?;
    if output.json {
        output.json(&report)?;
    } else {
        for (day, rules) in &report.days {
            for (rule, n) in rules {
                output.line(&format!("{day}\t{rule}\t{n}"))?;
            }
        }
        let rows = report.alerts.iter().map(|alert| {
            vec![
                alert.severity.to_string(),
                alert.matches.to_string(),
                alert.first_at.to_string(),
                alert.last_at.to_string(),
                alert.key.clone(),
                alert.title.clone(),
            ]
        });
        output.table(
            &["severity", "matches", "first", "last", "key", "title"],
            &[1],
            rows,
        )?;
    }
    output.say(&format!(
        "{} events in {:.2} s ({:.1} µs an event), {} late, {} refused, {} alerts",
        report.events,
        report.seconds,
        report.per_event,
        report.late,
        report.refused,
        report.alerts.len()
    ))?;
    Ok(true)
}

pub(super) async fn dead_letter(
    siem: &Siem,
    command: &DeadLetterCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        DeadLetterCommand::List { tenant } => {
            let scope = super::scope(siem, tenant.as_deref())?;
            let found = siem.sources.dead_letters(scope, false, 1_000).await?;
            let rows = found.iter().map(|aside| {
                vec![
                    aside.offset.to_string(),
                    siem.slug(aside.tenant),
                    aside.source.clone(),
                    aside.event_id.clone(),
                    aside
                        .replayed_at
                        .map_or("waits".to_owned(), |at| at.to_string()),
                    aside.reason.clone(),
                ]
            });
            output.table(
                &["offset", "tenant", "source", "event", "replayed", "reason"],
                &[0],
                rows,
            )?;
            Ok(true)
        }
        DeadLetterCommand::Replay { offset } => {
            let scope = super::scope(siem, None)?;
            replay_at(siem, scope, *offset)
                .await
                .map_err(|problem| CliError::Usage(problem.detail))?;
            output.line("evaluated")?;
            Ok(true)
        }
    }
}
