//! `billing usage`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use sealwright_core::{TenantScope, UnixMicros};
use serde_json::json;

use super::output::dimensions;
use super::{CliError, Output, Result, Services, moment, read_text};
use crate::model::{Dimensions, Grain, Span};
use crate::service::import::{
    ImportReport, ImportRequest, MAX_MAPPING_BYTES, Mapping, Progress, Watch,
};
use crate::service::usage::{UsagePoint, UsageQuery, month_start};

/// `billing usage …`
#[derive(Debug, Clone, Subcommand)]
pub enum UsageCommand {
    /// Import a usage file: CSV, NDJSON, JSON, Parquet or CloudEvents, also gzip or zstd
    #[command(long_about = IMPORT_HELP)]
    Import(ImportArgs),
    /// Sums by tenant, meter, dimension and time
    Show(ShowArgs),
    /// The tenants, models, … with the most usage of a meter
    Top(TopArgs),
}

const IMPORT_HELP: &str = "Import a usage file: CSV, NDJSON, JSON, Parquet or CloudEvents, also gzip or zstd.

All rows are checked first; when one is bad, nothing is imported and each is named by file:line:column. \
Then events are appended in batches of 1,000. The same file again changes nothing; a run that was broken off \
is taken up where it ended by the same command. Events may be of any age, not of the future.

Files of CloudEvents (one a line, or a JSON array) need no mapping. For others --mapping names a TOML file:

  format = \"csv\"                        # csv, ndjson, json (an array), parquet, cloudevents
  type = \"sealwright.usage.ai.v1\"       # what the events are
  source = \"/import/gateway\"            # \"/import\" without it
  id = \"{digest}:{row}\"                 # this without it; also {file} and {column:NAME}
  subject = \"{column:user}\"             # may be absent

  [time]
  column = \"TIMESTAMP\"
  format = \"%Y-%m-%d %H:%M:%S%.f\"       # or rfc3339 (without it), s, ms, us, ns
  zone = \"UTC\"                          # of patterns; this without it
  # base = \"2024-10-01T00:00:00Z\"       # what s, ms, us and ns count from, 1970 without it

  [data.input_tokens]
  column = \"ContextTokens\"              # in JSON and Parquet also a path: usage.input
  as = \"number\"                         # number (all digits kept), text, boolean
  optional = false                      # true: may be empty or absent

  [data.model]
  constant = \"gpt-large\"

  [[skip]]                              # rows to leave out: equals, or empty = true
  column = \"status\"
  equals = \"failed\"

Two events of one tenant are the same when source and id are. With the id of above a file that was renamed or \
packed is still the same file.";

/// `billing usage import`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The file
    pub file: PathBuf,
    /// Whose usage it is, by name or id
    #[arg(long)]
    pub tenant: String,
    /// The mapping file; CloudEvents need none
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
    /// Leave bad rows out and list them, instead of refusing the file
    #[arg(long)]
    pub skip_bad: bool,
}

/// How fine `billing usage show` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GrainArg {
    /// By UTC hour
    Hour,
    /// By UTC day
    Day,
    /// By UTC month
    Month,
}

impl From<GrainArg> for Grain {
    fn from(value: GrainArg) -> Self {
        match value {
            GrainArg::Hour => Self::Hour,
            GrainArg::Day => Self::Day,
            GrainArg::Month => Self::Month,
        }
    }
}

/// `billing usage show`
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Only this tenant, by name or id
    #[arg(long)]
    pub tenant: Option<String>,
    /// Only this meter
    #[arg(long)]
    pub meter: Option<String>,
    /// From this moment on (included); the start of this month without it
    #[arg(long, value_parser = moment)]
    pub from: Option<UnixMicros>,
    /// Until this moment (excluded); now without it
    #[arg(long, value_parser = moment)]
    pub to: Option<UnixMicros>,
    /// One row for each; one for the whole span without it
    #[arg(long)]
    pub grain: Option<GrainArg>,
    /// Dimensions to keep apart, such as region,model
    #[arg(long, value_delimiter = ',', value_name = "NAME[,NAME…]")]
    pub group_by: Vec<String>,
    /// Only usage with this dimension value; may be given again
    #[arg(long = "only", value_name = "NAME=VALUE", value_parser = pair)]
    pub only: Vec<(String, String)>,
    /// Add all tenants up
    #[arg(long)]
    pub all_tenants: bool,
}

/// `billing usage top`
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// The meter
    #[arg(long, default_value = "ai.input_tokens")]
    pub meter: String,
    /// What is compared: `tenant`, or a dimension such as model
    #[arg(long, default_value = "tenant", value_name = "tenant|NAME")]
    pub by: String,
    /// Only this tenant, by name or id
    #[arg(long)]
    pub tenant: Option<String>,
    /// From this moment on (included); the start of this month without it
    #[arg(long, value_parser = moment)]
    pub from: Option<UnixMicros>,
    /// Until this moment (excluded); now without it
    #[arg(long, value_parser = moment)]
    pub to: Option<UnixMicros>,
    /// Rows at most
    #[arg(long, default_value_t = 10)]
    pub limit: usize,
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write NAME=VALUE, such as region=eu-west-1".to_owned())
}

pub(super) async fn run(
    services: &Services,
    command: &UsageCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        UsageCommand::Import(args) => import(services, args, output).await,
        UsageCommand::Show(args) => show(services, args, output).await,
        UsageCommand::Top(args) => top(services, args, output).await,
    }
}

async fn import(services: &Services, args: &ImportArgs, output: &mut Output<'_>) -> Result<bool> {
    let importer = services
        .importer
        .as_ref()
        .ok_or_else(|| CliError::Usage("imports need the log of a data folder".to_owned()))?;
    let mapping = match &args.mapping {
        None => Mapping::cloud_events(),
        Some(file) => {
            let text = read_text(file, MAX_MAPPING_BYTES)?;
            Mapping::parse(&file.display().to_string(), &text)?
        }
    };
    let request = ImportRequest {
        file: args.file.clone(),
        tenant: services.tenant(&args.tenant)?,
        mapping,
        skip_bad: args.skip_bad,
    };
    let bar = output.terminal.then(bar);
    let watch = bar
        .clone()
        .map(|bar| Arc::new(move |p| draw(&bar, p)) as Watch);
    let report = importer.run(&request, watch).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let report = report?;
    for row in &report.bad.first {
        let file = args.file.display();
        output.say(&format!(
            "{file}:{}:{}: {}",
            row.line, row.column, row.reason
        ))?;
    }
    let listed = report.bad.first.len() as u64;
    if report.bad.count > listed {
        output.say(&format!("and {} more bad rows", report.bad.count - listed))?;
    }
    if output.json {
        output.json(&report)?;
    } else {
        output.line(&summary(&report, &args.tenant))?;
    }
    Ok(true)
}

fn summary(report: &ImportReport, tenant: &str) -> String {
    if report.unchanged {
        return format!(
            "nothing to do: this file was imported for {tenant} before ({} rows, {} events)",
            report.rows,
            report.accepted + report.duplicates
        );
    }
    let mut text = format!(
        "imported {} events for {tenant} from {} rows",
        report.accepted, report.rows
    );
    for (count, what) in [
        (report.duplicates, "were there already"),
        (report.skipped, "left out by the mapping"),
        (report.bad.count, "left out as bad"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    if report.resumed_at > 0 {
        text.push_str(&format!("; taken up after row {}", report.resumed_at));
    }
    text
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:9} {wide_bar} {percent:>3} %  {per_sec}  {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, progress: Progress) {
    let total = progress.rows_total;
    let message = if progress.importing {
        "importing"
    } else {
        "checking"
    };
    if bar.message() != message {
        bar.reset();
        bar.set_message(message);
    }
    match total {
        Some(rows) => {
            bar.set_length(rows);
            bar.set_position(progress.rows);
        }
        // How many rows there are is not known yet: the bytes tell how far the check is.
        None => {
            let share = progress.bytes as f64 / progress.bytes_total.max(1) as f64;
            let rows = (progress.rows as f64 / share.max(1e-9)) as u64;
            bar.set_length(rows.max(progress.rows));
            bar.set_position(progress.rows);
        }
    }
}

fn span(services: &Services, from: Option<UnixMicros>, to: Option<UnixMicros>) -> Result<Span> {
    let to = to.unwrap_or_else(|| services.clock.now());
    let from = from.unwrap_or_else(|| month_start(UnixMicros(to.0.saturating_sub(1))));
    if from >= to {
        return Err(CliError::Usage(format!(
            "--from ({from}) must be before --to ({to})"
        )));
    }
    Ok(Span { from, to })
}

async fn show(services: &Services, args: &ShowArgs, output: &mut Output<'_>) -> Result<bool> {
    let scope = services.scope(args.tenant.as_deref())?;
    let query = UsageQuery {
        meter: args.meter.clone(),
        span: span(services, args.from, args.to)?,
        grain: args.grain.map(Into::into),
        group_by: args.group_by.clone(),
        by_tenant: !args.all_tenants,
        only: args.only.iter().cloned().collect(),
    };
    let points = services.usage.summary(scope, &query).await?;
    let metered = services.usage.metered_through().await?;
    if output.json {
        let items: Vec<_> = points.iter().map(|p| value(services, p)).collect();
        output.json(&json!({
            "from": query.span.from.to_string(), "to": query.span.to.to_string(),
            "metered_through": metered, "items": items,
        }))?;
        return Ok(true);
    }
    let rows = points.iter().map(|point| {
        vec![
            point
                .tenant
                .map_or_else(|| "all".to_owned(), |id| services.slug(id)),
            point.meter.clone(),
            dimensions(&point.dimensions),
            point.from.to_string(),
            point
                .quantity
                .clone()
                .unwrap_or_else(|| "unknown".to_owned()),
            point.unit.clone(),
            point.events.map(|n| n.to_string()).unwrap_or_default(),
        ]
    });
    let header = [
        "tenant",
        "meter",
        "dimensions",
        "from",
        "quantity",
        "unit",
        "events",
    ];
    output.table(&header, &[4, 6], rows)?;
    let unmetered = services.usage.count_unmetered(scope, query.span).await?;
    if unmetered > 0 {
        output.say(&format!(
            "warning: {unmetered} events of this span could not be metered and are not in these sums"
        ))?;
    }
    Ok(true)
}

async fn top(services: &Services, args: &TopArgs, output: &mut Output<'_>) -> Result<bool> {
    let scope: TenantScope = services.scope(args.tenant.as_deref())?;
    let by_tenant = args.by == "tenant";
    let query = UsageQuery {
        meter: Some(args.meter.clone()),
        span: span(services, args.from, args.to)?,
        grain: None,
        group_by: if by_tenant {
            Vec::new()
        } else {
            vec![args.by.clone()]
        },
        by_tenant,
        only: Dimensions::new(),
    };
    let mut points = services.usage.summary(scope, &query).await?;
    let quantity = |point: &UsagePoint| -> Option<sealwright_money::Decimal> {
        point.quantity.as_ref()?.parse().ok()
    };
    // What is unknown stands last: it is not zero.
    points.sort_by_key(|point| std::cmp::Reverse(quantity(point)));
    points.truncate(args.limit);
    let name = |point: &UsagePoint| match point.tenant {
        Some(id) => services.slug(id),
        None => point
            .dimensions
            .get(&args.by)
            .cloned()
            .unwrap_or_else(|| "(none)".to_owned()),
    };
    if output.json {
        let items: Vec<_> = points
            .iter()
            .map(|point| {
                let mut value = value(services, point);
                value[&args.by] = name(point).into();
                value
            })
            .collect();
        output.json(&items)?;
    } else {
        let rows = points.iter().map(|point| {
            vec![
                name(point),
                point
                    .quantity
                    .clone()
                    .unwrap_or_else(|| "unknown".to_owned()),
                point.unit.clone(),
            ]
        });
        output.table(&[&args.by, &args.meter, "unit"], &[1], rows)?;
    }
    Ok(true)
}

fn value(services: &Services, point: &UsagePoint) -> serde_json::Value {
    let mut value = json!({
        "meter": point.meter, "unit": point.unit, "dimensions": point.dimensions,
        "from": point.from.to_string(), "to": point.to.to_string(), "quantity": point.quantity,
        "events": point.events,
    });
    if let Some(id) = point.tenant {
        value["tenant"] = services.slug(id).into();
        value["tenant_id"] = id.to_string().into();
    }
    value
}
