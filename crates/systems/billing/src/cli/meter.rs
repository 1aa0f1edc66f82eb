//! `billing meter`.

use std::path::PathBuf;

use clap::Subcommand;
use sealwright_meter::{MAX_FILE_BYTES, MeterDef, parse_meters};

use super::{ACTOR, CliError, Output, Result, Services, read_text};
use crate::service::BillingError;

/// `billing meter …`
#[derive(Debug, Clone, Subcommand)]
pub enum MeterCommand {
    /// All meters in force
    List,
    /// One meter's definition
    Show {
        /// The meter's key, such as ai.input_tokens
        key: String,
    },
    /// Add meters from a TOML file, or new versions of them
    Add {
        /// The file, with [[meters]] in it
        file: PathBuf,
    },
}

pub(super) async fn run(
    services: &Services,
    command: &MeterCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let meters = services.usage.meters();
    match command {
        MeterCommand::List => {
            let current = meters.current();
            if output.json {
                output.json(&current.definitions)?;
            } else {
                let rows = current.definitions.iter().map(|def| {
                    vec![
                        def.key.clone(),
                        aggregation(def),
                        def.unit.clone(),
                        def.event_types.join(" "),
                        def.title.clone(),
                    ]
                });
                let header = ["meter", "aggregation", "unit", "events", "title"];
                output.table(&header, &[], rows)?;
            }
            Ok(true)
        }
        MeterCommand::Show { key } => {
            let current = meters.current();
            let Some(def) = current.definition(key) else {
                let known: Vec<_> = current.definitions.iter().map(|d| d.key.as_str()).collect();
                return Err(CliError::Usage(format!(
                    "there is no meter `{key}`; there are {}",
                    known.join(", ")
                )));
            };
            if output.json {
                output.json(def)?;
            } else {
                let text =
                    toml::to_string(def).map_err(|error| CliError::Usage(error.to_string()))?;
                output.line(text.trim_end())?;
            }
            Ok(true)
        }
        MeterCommand::Add { file } => {
            let text = read_text(file, MAX_FILE_BYTES)?;
            let name = file.display().to_string();
            let definitions = parse_meters(&name, &text).map_err(|faults| {
                BillingError::Faults(faults.iter().map(ToString::to_string).collect())
            })?;
            let keys: Vec<String> = definitions.iter().map(|def| def.key.clone()).collect();
            meters.put(definitions, ACTOR).await?;
            if output.json {
                output.json(&serde_json::json!({ "added": keys }))?;
            } else {
                output.line(&format!("added {}", keys.join(", ")))?;
            }
            Ok(true)
        }
    }
}

fn aggregation(def: &MeterDef) -> String {
    serde_json::to_value(def.aggregation)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
