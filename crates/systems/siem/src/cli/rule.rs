//! `siem rule`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{ACTOR, CliError, Output, Result, files};
use crate::api::Siem;
use crate::model::{RuleInfo, Setting, Severity};
use crate::service::rule::LARGEST_FILE;

/// `siem rule …`
#[derive(Debug, Clone, Subcommand)]
pub enum RuleCommand {
    /// All rules, as they are for a tenant
    List {
        /// As they are for this tenant, by slug or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// One rule with its text and settings
    Show {
        /// The rule's id
        id: String,
        /// As it is for this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Add rule files, or put them in the place of those of their names
    Add {
        /// Files of Sigma rules
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Remove a rule file that was added
    Remove {
        /// Its name
        name: String,
    },
    /// Set what shall differ from a rule
    Set {
        /// The rule's id; `built-in` or `built-in:FAMILY` for the rules that the program comes with
        id: String,
        /// For this tenant; for all when absent
        #[arg(long)]
        tenant: Option<String>,
        /// Alerts: true or false
        #[arg(long)]
        enabled: Option<bool>,
        /// Another severity
        #[arg(long, value_enum)]
        severity: Option<Severity>,
        /// Another threshold
        #[arg(long)]
        threshold: Option<String>,
        /// Another window: 5m, 1h, 7d
        #[arg(long)]
        timespan: Option<String>,
        /// Events with these values do not match: field=value,value
        #[arg(long, value_name = "FIELD=VALUES")]
        exclude: Vec<String>,
        /// An action that an alert asks for: disable-user:approval, :now or :dry-run
        #[arg(long, value_name = "ACTION")]
        action: Vec<String>,
        /// Values of a placeholder: name=value,value
        #[arg(long, value_name = "NAME=VALUES")]
        placeholder: Vec<String>,
        /// A value of one of the rule's tunables: name=value, or name=["a","b"]
        #[arg(long, value_name = "NAME=VALUE")]
        tune: Vec<String>,
    },
}

/// `name=value`, where the value is JSON or else a text.
fn values(texts: &[String]) -> Result<std::collections::BTreeMap<String, serde_json::Value>> {
    texts
        .iter()
        .map(|text| {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| CliError::Usage(format!("--tune {text}: write name=value")))?;
            Ok((name.to_owned(), crate::model::tuned_value(value)))
        })
        .collect()
}

fn pairs(
    option: &str,
    texts: &[String],
) -> Result<std::collections::BTreeMap<String, Vec<String>>> {
    texts
        .iter()
        .map(|text| {
            let (key, values) = text.split_once('=').ok_or_else(|| {
                CliError::Usage(format!("--{option} {text}: write name=value,value"))
            })?;
            let values = values.split(',').map(|v| v.trim().to_owned()).collect();
            Ok((key.to_owned(), values))
        })
        .collect()
}

/// What people ask of a rule beside its text.
fn about(info: &RuleInfo) -> String {
    let mut lines = vec![format!("# {}", info.file)];
    for (what, list) in [
        ("evidence for", &info.evidence),
        ("asks for", &info.asks),
        ("tags", &info.tags),
    ] {
        if !list.is_empty() {
            lines.push(format!("# {what}: {}", list.join(", ")));
        }
    }
    for t in &info.tunables {
        lines.push(format!("# --tune {}={}: {}", t.name, t.value, t.about));
    }
    lines.join("\n")
}

pub(super) async fn run(
    siem: &Siem,
    command: &RuleCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        RuleCommand::List { tenant } => {
            let scope = super::scope(siem, tenant.as_deref())?;
            let (rules, errors) = siem.rules.list(scope.tenant()).await?;
            for error in &errors {
                output.say(&format!("warning: {error}"))?;
            }
            if output.json {
                output.json(&rules)?;
            } else {
                let rows = rules.iter().map(|rule| {
                    let state = if rule.internal {
                        "part of others"
                    } else if rule.enabled {
                        "on"
                    } else {
                        "off"
                    };
                    vec![
                        rule.id.clone(),
                        rule.severity.to_string(),
                        state.to_owned(),
                        rule.kind.clone(),
                        rule.title.clone(),
                    ]
                });
                output.table(&["rule", "severity", "state", "kind", "title"], &[], rows)?;
            }
            Ok(errors.is_empty())
        }
        RuleCommand::Show { id, tenant } => {
            let scope = super::scope(siem, tenant.as_deref())?;
            let (info, text) = siem.rules.find(scope.tenant(), id).await?;
            if output.json {
                output.json(&serde_json::json!({ "rule": info, "text": text }))?;
            } else {
                output.say(&about(&info))?;
                output.line(text.trim_end())?;
            }
            Ok(true)
        }
        RuleCommand::Add { files: paths } => {
            for path in paths {
                let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX);
                let text = files::text(path, limit)?;
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                let warnings = siem.rules.put_file(&name, &text, ACTOR).await?;
                for warning in warnings {
                    output.say(&format!("warning: {warning}"))?;
                }
                output.line(&format!("added {name}"))?;
            }
            Ok(true)
        }
        RuleCommand::Remove { name } => {
            siem.rules.remove_file(name, ACTOR).await?;
            output.line(&format!("removed {name}"))?;
            Ok(true)
        }
        RuleCommand::Set {
            id,
            tenant,
            enabled,
            severity,
            threshold,
            timespan,
            exclude,
            placeholder,
            action,
            tune,
        } => {
            let scope = super::scope(siem, tenant.as_deref())?;
            let given = Setting {
                enabled: *enabled,
                severity: *severity,
                threshold: threshold.clone(),
                timespan: timespan.clone(),
                exclude: pairs("exclude", exclude)?,
                placeholders: pairs("placeholder", placeholder)?,
                tunables: values(tune)?,
                actions: (!action.is_empty()).then(|| action.clone()),
            };
            let kept = siem
                .rules
                .set(scope.tenant(), id, None, |old| old.with(&given), ACTOR)
                .await?;
            output.json(&kept.setting)?;
            Ok(true)
        }
    }
}
