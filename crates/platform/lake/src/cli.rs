//! `sealwright lake query | status | compact | retain | erase | move`.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_events::HoldRegister;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::Erased;
use crate::bucket::LakePlace;
use crate::error::{LakeError, Result};
use crate::maintain::{CompactPolicy, READER_PATIENCE, RetentionPolicy};
use crate::query::{QueryLimits, QueryResult};
use crate::table::Lake;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON object a row (or one object, where the answer is one).
    Json,
    /// Comma-separated values with a header (RFC 4180); only for queries.
    Csv,
}

/// The events that were stored: ask, keep, erase
#[derive(Debug, Clone, Subcommand)]
pub enum LakeCommand {
    /// Answer a SQL query over the view `events`
    Query(QueryArgs),
    /// Show what the lake holds and up to which offset
    Status,
    /// Join small files, and remove what nobody needs any more
    Compact,
    /// Remove whole days that are past their stream's time
    Retain(RetainArgs),
    /// Erase a subject's events from every file
    Erase(EraseArgs),
    /// Copy the lake to a bucket or a folder, to be used from there; the server must be stopped
    Move(MoveArgs),
}

/// `lake move`.
#[derive(Debug, Clone, Args)]
pub struct MoveArgs {
    /// s3://BUCKET/PREFIX, which is reached as the settings of `lake` say, or a folder
    #[arg(long)]
    pub to: String,
}

/// `lake query`.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// One SELECT, WITH … SELECT or EXPLAIN
    pub sql: String,
    /// Only this tenant's events
    #[arg(long)]
    pub tenant: Option<String>,
    /// Rows at most
    #[arg(long, default_value_t = QueryLimits::default().rows)]
    pub limit: usize,
    /// Seconds at most
    #[arg(long, default_value_t = QueryLimits::default().seconds)]
    pub seconds: u64,
}

/// `lake retain`.
#[derive(Debug, Clone, Args)]
pub struct RetainArgs {
    /// Days for streams without their own; without this they are kept
    #[arg(long)]
    pub days: Option<u32>,
    /// Days for a stream, such as sealwright.usage=400; may be given again
    #[arg(long = "stream", value_name = "STREAM=DAYS", value_parser = stream_days)]
    pub streams: Vec<(String, u32)>,
    /// Remove; without this the plan is shown
    #[arg(long)]
    pub apply: bool,
}

/// `lake erase`.
#[derive(Debug, Clone, Args)]
pub struct EraseArgs {
    /// The subject, exactly as its events have it
    #[arg(long)]
    pub subject: String,
    /// Whose events
    #[arg(long)]
    pub tenant: String,
    /// Why, for the ledger; without anything that identifies the subject
    #[arg(long)]
    pub reason: String,
}

fn stream_days(text: &str) -> Result<(String, u32), String> {
    text.split_once('=')
        .and_then(|(stream, days)| Some((stream.to_owned(), days.parse().ok()?)))
        .filter(|(stream, _)| !stream.is_empty())
        .ok_or_else(|| "write STREAM=DAYS, such as sealwright.usage=400".to_owned())
}

impl LakeCommand {
    /// The tenant that was named, as it was written (an id or a name that the caller resolves).
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Query(args) => args.tenant.as_deref(),
            Self::Erase(args) => Some(&args.tenant),
            Self::Status | Self::Compact | Self::Retain(_) | Self::Move(_) => None,
        }
    }

    /// Whether the lake must be open for writing; otherwise [`Lake::open_read_only`] serves, beside a
    /// running server.
    pub fn writes(&self) -> bool {
        match self {
            Self::Query(_) | Self::Status => false,
            Self::Retain(args) => args.apply,
            Self::Compact | Self::Erase(_) | Self::Move(_) => true,
        }
    }
}

/// What a command is told.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// Where [`MoveArgs::to`] is.
    pub to: Option<&'a LakePlace>,
    /// What [`LakeCommand::tenant`] was resolved to.
    pub tenant: Option<TenantId>,
    /// The present.
    pub now: UnixMicros,
    /// Asked before anything is removed; retention needs it.
    pub holds: Option<&'a dyn HoldRegister>,
}

/// Runs a command; data goes to `out`, everything else to `err`. Returns whether the answer is yes.
///
/// # Errors
/// As the lake's operations; [`LakeError::Invalid`] when the answer cannot be written.
pub async fn run(
    lake: &Lake,
    command: &LakeCommand,
    told: Told<'_>,
    output: Output,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    let Told {
        to,
        tenant,
        now,
        holds,
    } = told;
    match command {
        LakeCommand::Query(args) => {
            let limits = QueryLimits {
                rows: args.limit,
                seconds: args.seconds,
                ..QueryLimits::default()
            };
            let scope = match (&args.tenant, tenant) {
                (None, _) => TenantScope::All,
                (Some(_), Some(tenant)) => TenantScope::One(tenant),
                (Some(text), None) => {
                    return Err(LakeError::Invalid(format!("there is no tenant `{text}`")));
                }
            };
            let result = lake.query(scope, &args.sql, limits).await?;
            write_result(&result, output, out)?;
            let files = result.files_scanned;
            say(
                err,
                &format!(
                    "{} rows{}; {files} files, {} read; the lake holds offsets below {}",
                    result.rows.len(),
                    if result.truncated {
                        " (cut at the limit)"
                    } else {
                        ""
                    },
                    result.bytes_scanned.map_or_else(
                        || "an unknown number of bytes".to_owned(),
                        |bytes| format!("{bytes} bytes")
                    ),
                    result.next_offset
                ),
            )?;
            Ok(true)
        }
        LakeCommand::Status => {
            write_object(&lake.status(), output, out)?;
            Ok(true)
        }
        LakeCommand::Compact => {
            let report = lake.maintain(now, CompactPolicy::default()).await?;
            write_object(&report, output, out)?;
            Ok(true)
        }
        LakeCommand::Retain(args) => {
            let policy = RetentionPolicy {
                default_days: args.days,
                streams: args.streams.iter().cloned().collect(),
            };
            let holds = holds.ok_or_else(|| LakeError::HoldsUnknown {
                detail: "there is no register of holds to ask".to_owned(),
            })?;
            let report = lake.retain(now, &policy, holds, args.apply).await?;
            if args.apply {
                lake.vacuum(READER_PATIENCE).await?;
            }
            write_object(&report, output, out)?;
            Ok(true)
        }
        LakeCommand::Move(args) => {
            let to = to.ok_or_else(|| LakeError::Invalid(format!("{} is no place", args.to)))?;
            let report = lake.copy_to(to).await?;
            write_object(&report, output, out)?;
            let setting = if to.bucket.is_some() {
                format!("lake.url = \"{}\"", report.to)
            } else {
                format!("lake.url = \"\" and lake.folder = \"{}\"", report.to)
            };
            say(
                err,
                &format!(
                    "hint: set {setting} for each process; then take {} away, where it holds what an erasure would not reach",
                    lake.location()
                ),
            )?;
            Ok(true)
        }
        // It reaches further than the lake: the program passes it to its `Eraser`, then to [`erased`].
        LakeCommand::Erase(_) => Err(LakeError::Invalid(
            "an erasure needs the whole installation".to_owned(),
        )),
    }
}

/// Writes what an erasure did. Returns whether nothing is left.
///
/// # Errors
/// [`LakeError::Invalid`] when the answer cannot be written.
pub fn erased(
    done: &Erased,
    output: Output,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    write_object(done, output, out)?;
    let open = &done.lake.open_days;
    if !open.is_empty() {
        let days = open.join(", ");
        say(
            err,
            &format!("hint: {days} has not ended (UTC); run the same command again after it"),
        )?;
    }
    if !done.log_cleared {
        say(
            err,
            "hint: the log still holds events that a consumer has not read; run the same command again",
        )?;
    }
    Ok(open.is_empty() && done.log_cleared)
}

fn io(error: impl std::fmt::Display) -> LakeError {
    LakeError::Invalid(format!("the answer cannot be written: {error}"))
}

fn say(err: &mut (dyn Write + Send), text: &str) -> Result<()> {
    writeln!(err, "{text}").map_err(io)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn write_result(result: &QueryResult, output: Output, out: &mut (dyn Write + Send)) -> Result<()> {
    let names = || result.columns.iter().map(|c| c.name.as_str());
    match output {
        Output::Json => {
            for row in &result.rows {
                let object: Map<String, Value> = names()
                    .map(str::to_owned)
                    .zip(row.iter().cloned())
                    .collect();
                serde_json::to_writer(&mut *out, &object).map_err(io)?;
                writeln!(out).map_err(io)?;
            }
        }
        Output::Csv => {
            let mut csv = csv::WriterBuilder::new()
                .terminator(csv::Terminator::CRLF)
                .from_writer(out);
            csv.write_record(names()).map_err(io)?;
            for row in &result.rows {
                csv.write_record(row.iter().map(plain)).map_err(io)?;
            }
            csv.flush().map_err(io)?;
        }
        Output::Table => {
            let mut table = table();
            table.set_header(names());
            for row in &result.rows {
                table.add_row(row.iter().map(plain));
            }
            writeln!(out, "{table}").map_err(io)?;
        }
    }
    Ok(())
}

fn write_object<T: Serialize>(
    value: &T,
    output: Output,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let value = serde_json::to_value(value).map_err(io)?;
    if output == Output::Json {
        return writeln!(out, "{value}").map_err(io);
    }
    if output == Output::Csv {
        return Err(LakeError::Invalid(
            "only queries answer as csv; use table or json".to_owned(),
        ));
    }
    let mut table = table();
    flatten("", &value, &mut table);
    writeln!(out, "{table}").map_err(io)
}

fn flatten(name: &str, value: &Value, table: &mut Table) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let key = key.replace('_', " ");
                let name = if name.is_empty() {
                    key
                } else {
                    format!("{name}: {key}")
                };
                flatten(&name, value, table);
            }
        }
        Value::Array(items) => {
            let lines: Vec<String> = items
                .iter()
                .map(|item| match item {
                    Value::Object(members) => {
                        members.values().map(plain).collect::<Vec<_>>().join("  ")
                    }
                    other => plain(other),
                })
                .collect();
            table.add_row([name.to_owned(), lines.join("\n")]);
        }
        other => {
            table.add_row([name.to_owned(), plain(other)]);
        }
    }
}
