//! `sealwright jobs …`: on the data folder, with no server running.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use sealwright_access::Principal;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::error::JobsError;
use crate::model::{Run, RunFilter, RunState};
use crate::runner::Runner;
use crate::service::JobsService;

type Result<T> = std::result::Result<T, JobsError>;

/// Scheduled and asked-for work.
#[derive(Debug, Clone, Subcommand)]
pub enum JobsCommand {
    /// The jobs, their schedules and last runs.
    List,
    /// Run a job here and now, to its end.
    Run {
        /// The job's name.
        job: String,
    },
    /// Past and present runs, newest first.
    History(HistoryArgs),
    /// Ask a run to stop.
    Cancel {
        /// The run's id (`run_…`).
        run: String,
    },
    /// Put a failed or cancelled run back in the queue.
    Resume {
        /// The run's id (`run_…`).
        run: String,
    },
}

/// `jobs history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Of this job.
    #[arg(long)]
    pub job: Option<String>,
    /// In this state.
    #[arg(long)]
    pub state: Option<RunState>,
    /// Rows, at most 500.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// The cursor that the page before printed.
    #[arg(long)]
    pub cursor: Option<String>,
}

/// Where a command writes, and how.
#[allow(missing_debug_implementations)]
pub struct Output<'a> {
    /// Data.
    pub out: &'a mut (dyn Write + Send),
    /// Everything else.
    pub err: &'a mut (dyn Write + Send),
    /// JSON instead of a table.
    pub json: bool,
}

impl Output<'_> {
    fn table<T: Serialize>(
        &mut self,
        columns: &[&str],
        items: &[T],
        next: Option<&str>,
    ) -> Result<()> {
        let rows: Vec<Value> = items
            .iter()
            .filter_map(|i| serde_json::to_value(i).ok())
            .collect();
        if self.json {
            writeln!(self.out, "{}", json!({"items": rows, "next": next}))?;
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(
            columns
                .iter()
                .map(|c| c.trim_start_matches("/last_run/").to_uppercase()),
        );
        for row in &rows {
            table.add_row(columns.iter().map(|column| {
                let value = if column.starts_with('/') {
                    row.pointer(column)
                } else {
                    row.get(*column)
                };
                match value {
                    None | Some(Value::Null) => "-".to_owned(),
                    Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                }
            }));
        }
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        writeln!(self.out, "{}", lines.join("\n"))?;
        if let Some(next) = next {
            writeln!(self.err, "hint: there is more: --cursor {next}")?;
        }
        Ok(())
    }

    fn run(&mut self, run: &Run) -> Result<()> {
        if self.json {
            writeln!(self.out, "{}", json!(run))?;
        } else {
            writeln!(self.out, "{} {} {}", run.id, run.job, run.state)?;
            if let Some(result) = run.result.as_ref().filter(|value| !value.is_null()) {
                writeln!(self.out, "{result}")?;
            }
        }
        Ok(())
    }
}

/// Does `command` as whoever holds the data folder. `false` when a run did not succeed (exit code 1).
///
/// # Errors
/// What the service refused.
pub async fn run(
    service: &JobsService,
    command: JobsCommand,
    output: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<bool> {
    let by = Principal::local();
    match command {
        JobsCommand::List => {
            let columns = [
                "name",
                "cron",
                "zone",
                "next_slot",
                "/last_run/state",
                "/last_run/ended_at",
            ];
            output.table(&columns, &service.jobs(&by).await?, None)?;
        }
        JobsCommand::Run { job } => return run_here(service, &by, &job, output, stop).await,
        JobsCommand::History(args) => {
            let filter = RunFilter {
                job: args.job,
                state: args.state,
                cursor: args.cursor,
                limit: Some(args.limit),
            };
            let page = service.runs(&by, &filter).await?;
            let columns = [
                "id",
                "job",
                "state",
                "slot",
                "attempt",
                "started_at",
                "ended_at",
                "error",
            ];
            output.table(&columns, &page.items, page.next.as_deref())?;
        }
        JobsCommand::Cancel { run } => output.run(&service.cancel(&by, &run).await?)?,
        JobsCommand::Resume { run } => output.run(&service.resume(&by, &run).await?)?,
    }
    Ok(true)
}

async fn run_here(
    service: &JobsService,
    by: &Principal,
    job: &str,
    output: &mut Output<'_>,
    stop: &CancellationToken,
) -> Result<bool> {
    let (queued, _) = service.run_now(by, job, None).await?;
    let id = queued.id.to_string();
    let runner = Runner::new(
        service.clone(),
        format!("command line {}", std::process::id()),
    );
    let work = runner.run_this(&id, stop);
    tokio::pin!(work);
    let mut looks = tokio::time::interval(Duration::from_millis(500));
    let mut told = String::new();
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended?,
            _ = looks.tick() => {
                let run = service.run(by, &id).await?;
                let total = run.total.map_or_else(String::new, |total| format!("/{total}"));
                let line = format!("{}{total} {}", run.done, run.message);
                if run.state == RunState::Running && line != told && line != "0 " {
                    writeln!(output.err, "{line}")?;
                    told = line;
                }
            }
        }
    };
    let Some(ended) = ended else {
        return Err(JobsError::Conflict(format!(
            "another run of {job} is going on; {id} is queued behind it"
        )));
    };
    output.run(&ended)?;
    if let Some(error) = &ended.error {
        writeln!(output.err, "error: {error}")?;
    }
    Ok(ended.state == RunState::Done)
}
