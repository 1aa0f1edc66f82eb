//! `billing rate`: from files, with nothing else.

use std::path::PathBuf;

use clap::Args;
use sealwright_rating::model::Step;
use sealwright_rating::{
    Format, LineKind, MAX_PLAN_BYTES, MAX_USAGE_BYTES, Problems, Rated, UsageFormat, parse_plan,
    parse_usage, rate,
};

use super::output::dimensions;
use super::{CliError, Output, Result, read_text};
use crate::service::BillingError;

/// `billing rate`
#[derive(Debug, Clone, Args)]
pub struct RateArgs {
    /// The price book: .toml, .json or .yaml
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// The metered quantities: .json, .ndjson or .csv
    #[arg(long, value_name = "FILE")]
    pub usage: PathBuf,
}

pub(super) fn run(args: &RateArgs, output: &mut Output<'_>) -> Result<bool> {
    let name = args.plan.display().to_string();
    let format = Format::of_name(&name).ok_or_else(|| {
        CliError::Usage(format!(
            "{name}: the name of a plan file ends in .toml, .json, .yaml or .yml"
        ))
    })?;
    let text = read_text(&args.plan, MAX_PLAN_BYTES)?;
    let plan = parse_plan(&name, &text, format).map_err(|faults| located(&faults))?;
    for warning in &plan.warnings {
        output.say(&warning.to_string())?;
    }
    let name = args.usage.display().to_string();
    let format = UsageFormat::of_name(&name).ok_or_else(|| {
        CliError::Usage(format!(
            "{name}: the name of a usage file ends in .json, .ndjson, .jsonl or .csv"
        ))
    })?;
    let text = read_text(&args.usage, MAX_USAGE_BYTES)?;
    let usage = parse_usage(&name, &text, format).map_err(|faults| located(&faults))?;
    let rated = rate(&plan.plan, &usage).map_err(BillingError::Rating)?;
    for warning in &rated.warnings {
        output.say(&format!("warning: {warning}"))?;
    }
    if output.json {
        output.json(&rated)?;
    } else {
        table(&rated, output)?;
    }
    Ok(true)
}

fn located(faults: &Problems) -> CliError {
    CliError::Billing(BillingError::Faults(
        faults.0.iter().map(ToString::to_string).collect(),
    ))
}

/// The lines of a rating, each with the steps that led to it.
pub(super) fn table(rated: &Rated, output: &mut Output<'_>) -> Result<()> {
    let mut rows = Vec::new();
    for line in &rated.lines {
        let quantity = match line.kind {
            LineKind::Usage => format!(
                "{}{}",
                line.quantity.normalize(),
                line.unit
                    .as_ref()
                    .map(|u| format!(" {u}"))
                    .unwrap_or_default()
            ),
            _ => String::new(),
        };
        let mut title = line.title.clone();
        if !line.dimensions.is_empty() {
            title.push_str(&format!(" ({})", dimensions(&line.dimensions)));
        }
        rows.push(vec![title, quantity, String::new(), line.amount.clone()]);
        if !line.included.is_zero() {
            rows.push(vec![
                "  included".to_owned(),
                line.included.normalize().to_string(),
                String::new(),
                String::new(),
            ]);
        }
        if line.kind == LineKind::Usage {
            for step in &line.steps {
                rows.push(step_row(step));
            }
        }
    }
    rows.push(vec![
        "Total".to_owned(),
        String::new(),
        String::new(),
        format!("{} {}", rated.total, rated.currency.code()),
    ]);
    output.table(&["line", "quantity", "exact", "amount"], &[1, 2, 3], rows)
}

/// A step: what was multiplied, and the exact product.
fn step_row(step: &Step) -> Vec<String> {
    let (how, amount) = match step {
        Step::Tier {
            units,
            unit,
            flat,
            amount,
        } => {
            let flat = if flat.is_zero() {
                String::new()
            } else {
                format!(" + {}", flat.normalize())
            };
            (
                format!("{} × {}{flat}", units.normalize(), unit.normalize()),
                amount,
            )
        }
        Step::PerMillion {
            units,
            per_million,
            amount,
        } => (
            format!(
                "{} × {} per million",
                units.normalize(),
                per_million.normalize()
            ),
            amount,
        ),
        Step::Units {
            units,
            unit,
            per,
            amount,
        } => {
            let per = if *per == sealwright_money::Decimal::ONE {
                String::new()
            } else {
                format!(" per {}", per.normalize())
            };
            (
                format!("{} × {}{per}", units.normalize(), unit.normalize()),
                amount,
            )
        }
        Step::Packages {
            packages,
            unit,
            amount,
        } => (
            format!("{} packages × {}", packages.normalize(), unit.normalize()),
            amount,
        ),
        Step::Transaction {
            transaction,
            amount,
        } => (format!("of {}", transaction.normalize()), amount),
    };
    vec![
        format!("  {how}"),
        String::new(),
        amount.normalize().to_string(),
        String::new(),
    ]
}
