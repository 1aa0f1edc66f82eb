//! `billing price-book`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sealwright_rating::{Format, MAX_PLAN_BYTES, parse_plan};
use serde_json::json;

use super::{ACTOR, CliError, Output, Result, Services, read_text};
use crate::service::price_book::reference_of;

/// `billing price-book …`
#[derive(Debug, Clone, Subcommand)]
pub enum PriceBookCommand {
    /// All versions of all price books
    List,
    /// One price book, as it is stored
    Show {
        /// Its id, such as starter
        id: String,
        /// The version; the newest without it
        #[arg(long)]
        version: Option<u32>,
    },
    /// Store a version from a file; a version never changes
    Publish {
        /// The file: .toml, .json or .yaml
        file: PathBuf,
    },
    /// Check a file and say what is wrong with it; needs no data folder
    Check {
        /// The file: .toml, .json or .yaml
        file: PathBuf,
    },
}

fn format_of(file: &Path) -> Result<(String, Format)> {
    let name = file.display().to_string();
    let format = Format::of_name(&name).ok_or_else(|| {
        CliError::Usage(format!(
            "{name}: the name of a price book's file ends in .toml, .json, .yaml or .yml"
        ))
    })?;
    Ok((name, format))
}

/// Answers no when the file has faults.
pub(super) fn check(file: &Path, output: &mut Output<'_>) -> Result<bool> {
    let (name, format) = format_of(file)?;
    let text = read_text(file, MAX_PLAN_BYTES)?;
    match parse_plan(&name, &text, format) {
        Ok(loaded) => {
            let reference = reference_of(&loaded.plan)?;
            let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
            for warning in &warnings {
                output.say(warning)?;
            }
            if output.json {
                output.json(&json!({
                    "valid": true, "id": reference.id, "version": reference.version,
                    "digest": reference.digest, "warnings": warnings, "faults": [],
                }))?;
            } else {
                output.line(&format!(
                    "{} version {} is valid ({} {})",
                    reference.id,
                    reference.version,
                    loaded.plan.book.prices.len(),
                    if loaded.plan.book.prices.len() == 1 {
                        "price"
                    } else {
                        "prices"
                    }
                ))?;
            }
            Ok(true)
        }
        Err(faults) => {
            let faults: Vec<_> = faults.0.iter().map(ToString::to_string).collect();
            for fault in &faults {
                output.say(fault)?;
            }
            if output.json {
                output.json(&json!({ "valid": false, "warnings": [], "faults": faults }))?;
            }
            Ok(false)
        }
    }
}

pub(super) async fn run(
    services: &Services,
    command: &PriceBookCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        PriceBookCommand::List => {
            let books = services.books.all().await?;
            if output.json {
                let items: Vec<_> = books
                    .iter()
                    .map(|book| {
                        json!({
                            "id": book.reference.id, "version": book.reference.version,
                            "title": book.reference.title, "currency": book.currency,
                            "digest": book.reference.digest,
                            "created_at": book.created_at.to_string(), "created_by": book.created_by,
                        })
                    })
                    .collect();
                output.json(&items)?;
            } else {
                let rows = books.iter().map(|book| {
                    vec![
                        book.reference.id.clone(),
                        book.reference.version.to_string(),
                        book.reference.title.clone(),
                        book.currency.clone(),
                        book.reference.digest.short(),
                        book.created_at.to_string(),
                    ]
                });
                let header = ["id", "version", "title", "currency", "digest", "published"];
                output.table(&header, &[1], rows)?;
            }
            Ok(true)
        }
        PriceBookCommand::Show { id, version } => {
            let book = services.books.find(id, *version).await?;
            let body: serde_json::Value =
                serde_json::from_str(&book.body).map_err(std::io::Error::other)?;
            output.json(&body)?;
            Ok(true)
        }
        PriceBookCommand::Publish { file } => {
            let (name, format) = format_of(file)?;
            let text = read_text(file, MAX_PLAN_BYTES)?;
            let done = services.books.publish(&name, &text, format, ACTOR).await?;
            for warning in &done.warnings {
                output.say(warning)?;
            }
            if output.json {
                output.json(&json!({
                    "id": done.reference.id, "version": done.reference.version,
                    "digest": done.reference.digest, "unchanged": done.unchanged,
                    "warnings": done.warnings,
                }))?;
            } else {
                let what = if done.unchanged {
                    "was published already"
                } else {
                    "is published"
                };
                output.line(&format!(
                    "{} version {} {what} ({})",
                    done.reference.id,
                    done.reference.version,
                    done.reference.digest.short()
                ))?;
            }
            Ok(true)
        }
        PriceBookCommand::Check { file } => check(file, output),
    }
}
