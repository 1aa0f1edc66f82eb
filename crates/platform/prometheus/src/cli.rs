//! `sealwright prometheus …`: on the data folder.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use sealwright_access::Principal;
use sealwright_core::clock::SECOND;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::PrometheusError;
use crate::model::{CredentialKind, Kind, Source, Take};
use crate::pull::Puller;
use crate::service::{Given, NewCredential, NewSource, PrometheusService, SourceChange};

type Result<T> = std::result::Result<T, PrometheusError>;

/// Prometheus as a source of events.
#[derive(Debug, Clone, Subcommand)]
pub enum PrometheusCommand {
    /// What servers are asked for.
    #[command(subcommand)]
    Source(SourceCommand),
}

impl PrometheusCommand {
    /// Whether it writes events, so that it needs the log.
    pub const fn pulls(&self) -> bool {
        matches!(self, Self::Source(SourceCommand::Pull { .. }))
    }
}

/// `prometheus source …`.
#[derive(Debug, Clone, Subcommand)]
pub enum SourceCommand {
    /// List sources and how they stand.
    List(ListArgs),
    /// One source with all that is said of it.
    Show {
        /// The source's id (`prs_…`).
        source: String,
    },
    /// What became of a source's windows, the latest first.
    Windows {
        /// The source's id (`prs_…`).
        source: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        page: ListArgs,
    },
    /// Series that had no sample in the last window.
    Quiet {
        /// The source's id (`prs_…`).
        source: String,
    },
    /// Create a source. A credential is read from standard input, so that it is in no process list.
    Create(Box<CreateArgs>),
    /// Ask for the windows that are due, now.
    Pull {
        /// The source's id (`prs_…`).
        source: String,
    },
    /// Ask again for the windows after a moment; what is counted already is not counted twice.
    Rewind {
        /// The source's id (`prs_…`).
        source: String,
        /// The moment, RFC 3339.
        #[arg(long)]
        to: String,
    },
    /// Switch a source on.
    Enable {
        /// The source's id (`prs_…`).
        source: String,
    },
    /// Switch a source off.
    Disable {
        /// The source's id (`prs_…`).
        source: String,
    },
    /// Delete a source with its credential; its events stay.
    Delete {
        /// The source's id (`prs_…`).
        source: String,
    },
    /// Seal the credentials of all sources with the first key of the key file.
    Reseal,
}

/// Which page of a list.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Rows, at most 500.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// The cursor that the page before printed.
    #[arg(long)]
    pub cursor: Option<String>,
}

/// `prometheus source create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// A name for people.
    #[arg(long)]
    pub name: String,
    /// The server: what stands before /api/v1/query.
    #[arg(long)]
    pub url: String,
    /// What the server is shown; standard input: the token, or the password.
    #[arg(long, default_value = "none")]
    pub credential: CredentialKind,
    /// The name that goes with a password.
    #[arg(long)]
    pub username: Option<String>,
    /// What is counted.
    #[arg(long)]
    pub kind: Kind,
    /// A selector; for the kind `expression` any expression that yields a vector.
    #[arg(long)]
    pub expression: String,
    /// Of a gauge: which level stands for a window.
    #[arg(long)]
    pub take: Option<Take>,
    /// The length of a window in seconds.
    #[arg(long)]
    pub interval_seconds: Option<u32>,
    /// How long after a window's end it is asked for, in seconds.
    #[arg(long)]
    pub delay_seconds: Option<u32>,
    /// How far back windows are asked for, in seconds.
    #[arg(long)]
    pub catch_up_seconds: Option<u32>,
    /// The label whose value is the tenant's slug or id.
    #[arg(long)]
    pub tenant_label: Option<String>,
    /// Slug or id of the tenant whose usage it all is.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The type of the events.
    #[arg(long)]
    pub event_type: String,
    /// The member of the events' data that holds the number.
    #[arg(long)]
    pub value_field: Option<String>,
    /// A decimal that the number is multiplied by.
    #[arg(long)]
    pub factor: Option<String>,
    /// A further member of the data and the label that it is taken from; may be given several times.
    #[arg(long, value_name = "MEMBER=LABEL", value_parser = pair)]
    pub label: Vec<(String, String)>,
    /// A further member of the data and its text; may be given several times.
    #[arg(long, value_name = "MEMBER=TEXT", value_parser = pair)]
    pub fixed: Vec<(String, String)>,
    /// From when on windows are counted, RFC 3339; from now on when absent.
    #[arg(long)]
    pub from: Option<String>,
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "is not of the form NAME=VALUE".to_owned())
}

/// Where a command reads secrets and writes.
#[allow(missing_debug_implementations)]
pub struct Output<'a> {
    /// Data.
    pub out: &'a mut (dyn Write + Send),
    /// Everything else.
    pub err: &'a mut (dyn Write + Send),
    /// JSON instead of a table.
    pub json: bool,
    /// The first line of standard input, read when a command needs a secret.
    pub secret: &'a mut (dyn FnMut() -> std::io::Result<String> + Send),
}

impl Output<'_> {
    fn table(&mut self, columns: &[&str], rows: &[Value], next: Option<&str>) -> Result<()> {
        if self.json {
            writeln!(self.out, "{}", json!({"items": rows, "next": next}))?;
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(columns.iter().map(|column| column.to_uppercase()));
        for row in rows {
            table.add_row(columns.iter().map(|column| match row.get(*column) {
                None | Some(Value::Null) => "-".to_owned(),
                Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
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

    fn done<T: Serialize>(&mut self, item: &T, text: &str) -> Result<()> {
        if self.json {
            writeln!(self.out, "{}", json!(item))?;
        } else {
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }

    fn given(&mut self) -> Result<Given> {
        Ok(Given::new((self.secret)()?.trim().to_owned()))
    }
}

/// Does `command` as whoever holds the data folder; `puller` where the log is open. `false` when a pull did not get
/// all that is due (exit code 1).
///
/// # Errors
/// What the service refused.
pub async fn run(
    service: &PrometheusService,
    puller: Option<&Puller>,
    command: PrometheusCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let PrometheusCommand::Source(command) = command;
    let by = Principal::local();
    match command {
        SourceCommand::List(args) => list(service, &by, &args, output).await?,
        SourceCommand::Show { source } => {
            let source = service.source(&by, &source).await?;
            let totals = service.totals(&by, Some(source.id)).await?;
            let mut shown = row(service, &source);
            if let Some(members) = shown.as_object_mut() {
                let totals = totals.get(&source.id).copied().unwrap_or_default();
                members.insert("totals".to_owned(), json!(totals));
            }
            let text = serde_json::to_string_pretty(&shown).unwrap_or_default();
            output.done(&shown, &text)?;
        }
        SourceCommand::Windows { source, page } => {
            let page = service
                .windows(&by, &source, page.cursor.as_deref(), Some(page.limit))
                .await?;
            let rows: Vec<Value> = page.items.iter().map(|row| json!(row)).collect();
            let columns = [
                "start",
                "end",
                "state",
                "series",
                "samples",
                "events",
                "resets",
                "appeared",
                "vanished",
                "returned",
                "unreadable",
                "unassigned",
                "refused",
            ];
            output.table(&columns, &rows, page.next.as_deref())?;
        }
        SourceCommand::Quiet { source } => {
            let series = service.quiet(&by, &source, 500).await?;
            let rows: Vec<Value> = series.iter().map(|series| json!(series)).collect();
            output.table(&["series", "at", "value", "labels"], &rows, None)?;
        }
        SourceCommand::Create(args) => {
            let new = new_source(*args, output)?;
            let made = service.create(&by, &new).await?;
            output.done(&made, &made.id.to_string())?;
        }
        SourceCommand::Pull { source } => return pull(service, puller, &source, output).await,
        SourceCommand::Rewind { source, to } => {
            let source = service.rewind(&by, &source, &to).await?;
            output.done(&source, &format!("{} {}", source.id, source.done_through))?;
        }
        SourceCommand::Enable { source } => switch(service, &source, true, output).await?,
        SourceCommand::Disable { source } => switch(service, &source, false, output).await?,
        SourceCommand::Delete { source } => {
            service.delete(&by, &source).await?;
            output.done(&json!({"deleted": source}), &source)?;
        }
        SourceCommand::Reseal => {
            let count = service.reseal(&by).await?;
            let text = format!("{count} sealed again");
            output.done(&json!({"resealed": count}), &text)?;
        }
    }
    Ok(true)
}

fn row(service: &PrometheusService, source: &Source) -> Value {
    let now = service.now();
    let mut row = json!(source);
    if let Some(members) = row.as_object_mut() {
        members.insert("state".to_owned(), json!(source.state(now)));
        members.insert("lag_seconds".to_owned(), json!(source.lag(now) / SECOND));
    }
    row
}

async fn list(
    service: &PrometheusService,
    by: &Principal,
    args: &ListArgs,
    output: &mut Output<'_>,
) -> Result<()> {
    let page = service
        .sources(by, args.cursor.as_deref(), Some(args.limit))
        .await?;
    let rows: Vec<Value> = page
        .items
        .iter()
        .map(|source| row(service, source))
        .collect();
    let columns = [
        "id",
        "name",
        "url",
        "state",
        "done_through",
        "lag_seconds",
        "failures",
        "last_error",
    ];
    output.table(&columns, &rows, page.next.as_deref())
}

async fn switch(
    service: &PrometheusService,
    id: &str,
    enabled: bool,
    output: &mut Output<'_>,
) -> Result<()> {
    let change = SourceChange {
        enabled: Some(enabled),
        ..SourceChange::default()
    };
    let source = service
        .change(&Principal::local(), id, None, &change)
        .await?;
    let state = source.state(service.now());
    output.done(&source, &format!("{id} {state}"))
}

async fn pull(
    service: &PrometheusService,
    puller: Option<&Puller>,
    id: &str,
    output: &mut Output<'_>,
) -> Result<bool> {
    let source = service.source(&Principal::local(), id).await?;
    let Some(puller) = puller else {
        return Err(PrometheusError::Conflict("the log is not open".to_owned()));
    };
    let pulled = puller.pull(source.id, u32::MAX, &|| true).await?;
    let text = format!("{} windows, {} events", pulled.windows, pulled.events);
    output.done(&pulled, &text)?;
    if let Some(error) = &pulled.error {
        writeln!(output.err, "error: {error}")?;
    }
    Ok(pulled.caught_up)
}

fn new_source(args: CreateArgs, output: &mut Output<'_>) -> Result<NewSource> {
    let credential = match args.credential {
        CredentialKind::None => NewCredential::None,
        CredentialKind::Bearer => NewCredential::Bearer {
            token: output.given()?,
        },
        CredentialKind::Basic => NewCredential::Basic {
            username: args.username.unwrap_or_default(),
            password: output.given()?,
        },
    };
    Ok(NewSource {
        name: args.name,
        url: args.url,
        credential,
        kind: args.kind,
        expression: args.expression,
        take: args.take,
        interval_seconds: args.interval_seconds,
        delay_seconds: args.delay_seconds,
        catch_up_seconds: args.catch_up_seconds,
        tenant_label: args.tenant_label,
        tenant: args.tenant,
        event_type: args.event_type,
        value_field: args.value_field,
        factor: args.factor,
        labels: args.label.into_iter().collect::<BTreeMap<_, _>>(),
        fixed: args.fixed.into_iter().collect::<BTreeMap<_, _>>(),
        from: args.from,
    })
}
