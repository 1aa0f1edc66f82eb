//! `billing invoice`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Subcommand, ValueEnum};
use sealwright_core::{TenantScope, UnixMicros};
use serde_json::{Value, json};

use super::{ACTOR, CliError, Output, Result, Services, moment, rate};
use crate::model::{Invoice, InvoiceId, InvoiceState, Span};
use crate::render::{invoice_csv, invoice_pdf};
use crate::service::invoice::{Filter, InvoiceService};
use crate::service::usage::{month_start, next_month};

/// The notation of an exported invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The document, as it is sealed
    Json,
    /// One record a line
    Csv,
    /// PDF/A-3 for people
    Pdf,
    /// ZIP with all that `sealwright verify` needs
    Bundle,
}

/// `billing invoice …`
#[derive(Debug, Clone, Subcommand)]
pub enum InvoiceCommand {
    /// Invoices, newest first
    List {
        /// Only this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// Only this state: draft, finalised, paid, overdue, void
        #[arg(long)]
        state: Option<InvoiceState>,
        /// Only periods that start in this month, such as 2026-11
        #[arg(long, value_parser = moment)]
        month: Option<UnixMicros>,
        /// Rows at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One invoice with its lines
    Show {
        /// The invoice (inv_…)
        id: InvoiceId,
    },
    /// Draft the invoices of a month, or bring the drafts up to date
    Generate {
        /// Only this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
        /// The month, such as 2026-10; the one before this without it
        #[arg(long, value_parser = moment)]
        month: Option<UnixMicros>,
        /// Finalise those whose period is over
        #[arg(long)]
        finalise: bool,
    },
    /// Freeze a draft, number it and seal it in the ledger
    Finalise {
        /// The invoice (inv_…)
        id: InvoiceId,
    },
    /// Mark an invoice as paid
    Pay {
        /// The invoice (inv_…)
        id: InvoiceId,
        /// The payment's reference
        #[arg(long)]
        reference: String,
    },
    /// Withdraw an invoice; its period may be invoiced again
    Void {
        /// The invoice (inv_…)
        id: InvoiceId,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Write an invoice to a file
    Export {
        /// The invoice (inv_…)
        id: InvoiceId,
        /// What to write
        #[arg(long, value_enum, default_value_t = ExportFormat::Json)]
        format: ExportFormat,
        /// Where to; standard output without it
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

pub(super) async fn run(
    services: &Services,
    command: &InvoiceCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let invoices: &Arc<InvoiceService> = services.invoices.as_ref().ok_or_else(|| {
        CliError::Usage("invoices need the log and the lake of a data folder".to_owned())
    })?;
    let all = TenantScope::All;
    match command {
        InvoiceCommand::List {
            tenant,
            state,
            month,
            limit,
        } => {
            let filter = Filter {
                state: *state,
                span: month.map(|at| Span {
                    from: month_start(at),
                    to: next_month(at),
                }),
                after: None,
                limit: *limit,
            };
            let scope = services.scope(tenant.as_deref())?;
            let found = invoices.list(scope, &filter).await?;
            if output.json {
                let items: Vec<_> = found.iter().map(summary).collect();
                output.json(&items)?;
            } else {
                output.table(HEADER, &[5], found.iter().map(row))?;
            }
        }
        InvoiceCommand::Show { id } => {
            let invoice = invoices.find(all, *id).await?;
            let late = invoices.late_events(*id).await?;
            if output.json {
                let mut value = summary(&invoice);
                value["late_events"] = late.into();
                value["document"] =
                    serde_json::to_value(&invoice.document).map_err(std::io::Error::other)?;
                output.json(&value)?;
            } else {
                output.table(HEADER, &[5], [row(&invoice)])?;
                output.line("")?;
                rate::table(&invoice.document.rated, output)?;
                if late > 0 {
                    output.say(&format!(
                        "warning: {late} events came after it had been finalised"
                    ))?;
                }
            }
        }
        InvoiceCommand::Generate {
            tenant,
            month,
            finalise,
        } => {
            let id = tenant
                .as_deref()
                .map(|name| services.tenant(name))
                .transpose()?;
            let at = month.unwrap_or_else(|| month_start(services.clock.now()).plus(-1));
            return generate(services, invoices, (id, at, *finalise), output).await;
        }
        InvoiceCommand::Finalise { id } => {
            changed(&invoices.finalise(all, *id, None, ACTOR).await?, output)?;
        }
        InvoiceCommand::Pay { id, reference } => {
            changed(
                &invoices.pay(all, *id, None, reference, ACTOR).await?,
                output,
            )?;
        }
        InvoiceCommand::Void { id, reason } => {
            changed(&invoices.void(all, *id, None, reason, ACTOR).await?, output)?;
        }
        InvoiceCommand::Export { id, format, to } => {
            let bytes = match format {
                ExportFormat::Bundle => {
                    let (_, bundle) = invoices.bundle(all, *id).await?;
                    bundle
                        .to_zip()
                        .map_err(|error| CliError::Usage(error.to_string()))?
                }
                format => rendered(&invoices.find(all, *id).await?, *format)?,
            };
            write(&bytes, to.as_deref(), output)?;
        }
    }
    Ok(true)
}

/// Answers no when a tenant's invoice could not be made; the others are made all the same.
async fn generate(
    services: &Services,
    invoices: &InvoiceService,
    (tenant, at, finalise): (Option<sealwright_core::TenantId>, UnixMicros, bool),
    output: &mut Output<'_>,
) -> Result<bool> {
    let done = invoices.generate(tenant, at, finalise, ACTOR).await?;
    let mut failed = Vec::new();
    let mut made = Vec::new();
    for one in &done {
        match &one.result {
            Ok(invoice) => made.push(invoice),
            Err(error) => {
                let tenant = services.slug(one.tenant);
                output.say(&format!("{tenant}: {error}"))?;
                failed.push(json!({
                    "tenant": tenant, "period_from": one.period.from.to_string(),
                    "error": error.to_string(),
                }));
            }
        }
    }
    if output.json {
        let items: Vec<_> = made.iter().map(|invoice| summary(invoice)).collect();
        output.json(&json!({ "invoices": items, "failed": failed }))?;
    } else {
        output.table(HEADER, &[5], made.iter().map(|invoice| row(invoice)))?;
    }
    Ok(failed.is_empty())
}

fn rendered(invoice: &Invoice, format: ExportFormat) -> Result<Vec<u8>> {
    let fail = |error: String| CliError::Usage(error);
    match format {
        ExportFormat::Csv => invoice_csv(&invoice.document).map_err(|e| fail(e.to_string())),
        ExportFormat::Pdf => {
            invoice_pdf(&invoice.document, invoice.digest).map_err(|e| fail(e.to_string()))
        }
        ExportFormat::Json | ExportFormat::Bundle => invoice
            .document
            .canonical()
            .map_err(|e| fail(e.to_string())),
    }
}

fn write(bytes: &[u8], to: Option<&Path>, output: &mut Output<'_>) -> Result<()> {
    let Some(file) = to else {
        output.out.write_all(bytes)?;
        return Ok(());
    };
    // A file that is there is not overwritten: it may be the one that was sent.
    let fail = |error: std::io::Error| CliError::File {
        file: file.to_owned(),
        detail: match error.kind() {
            std::io::ErrorKind::AlreadyExists => "this file is there already".to_owned(),
            _ => error.to_string(),
        },
    };
    let mut target = std::fs::File::create_new(file).map_err(fail)?;
    target.write_all(bytes).map_err(fail)?;
    target.sync_all().map_err(fail)?;
    output.say(&format!("wrote {}", file.display()))
}

fn changed(invoice: &Invoice, output: &mut Output<'_>) -> Result<()> {
    if output.json {
        output.json(&summary(invoice))
    } else {
        output.table(HEADER, &[5], [row(invoice)])
    }
}

const HEADER: &[&str] = &["id", "number", "tenant", "period", "state", "total", "due"];

fn row(invoice: &Invoice) -> Vec<String> {
    let document = &invoice.document;
    let day = |text: &str| text.split('T').next().unwrap_or_default().to_owned();
    vec![
        document.id.to_string(),
        document.number.clone().unwrap_or_else(|| "-".to_owned()),
        document.tenant.slug.clone(),
        format!(
            "{} to {}",
            day(&document.period_from),
            day(&document.period_to)
        ),
        invoice.state.to_string(),
        format!(
            "{} {}",
            document.rated.total,
            document.rated.currency.code()
        ),
        document
            .due_at
            .as_deref()
            .map_or_else(|| "-".to_owned(), day),
    ]
}

fn summary(invoice: &Invoice) -> Value {
    let document = &invoice.document;
    json!({
        "id": document.id, "number": document.number, "tenant": document.tenant.slug,
        "period_from": document.period_from, "period_to": document.period_to,
        "state": invoice.state, "total": document.rated.total,
        "currency": document.rated.currency.code(), "digest": invoice.digest,
        "revision": invoice.revision, "due_at": document.due_at,
        "ledger_entry": invoice.ledger_entry,
    })
}
