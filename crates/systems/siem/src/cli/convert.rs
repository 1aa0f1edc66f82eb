//! `siem convert`: rules as queries of other products.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sealwright_sigma::collection::Target;
use sealwright_sigma::export::{self, Exported, Language, Unsupported};
use serde_json::{Value, json};

use super::{CliError, Output, Result, files};

/// A query language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// Elastic: Lucene query strings, as in Kibana
    Lucene,
    /// Elastic: Event Query Language
    Eql,
    /// Elastic: ES|QL
    Esql,
    /// Splunk
    #[value(alias = "splunk")]
    Spl,
}

impl From<To> for Language {
    fn from(to: To) -> Self {
        match to {
            To::Lucene => Self::Lucene,
            To::Eql => Self::Eql,
            To::Esql => Self::Esql,
            To::Spl => Self::Spl,
        }
    }
}

/// `siem convert`
#[derive(Debug, Clone, Args)]
pub struct ConvertArgs {
    /// Rule files, or folders of them
    #[arg(value_name = "PATH", required_unless_present = "support")]
    pub paths: Vec<PathBuf>,
    /// The language of the queries
    #[arg(long, value_enum, required_unless_present = "support")]
    pub to: Option<To>,
    /// Field names and placeholders, as a pipeline file
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pipeline: Vec<PathBuf>,
    /// Show what each language can say, and why not
    #[arg(long)]
    pub support: bool,
}

pub(super) fn run(args: &ConvertArgs, output: &mut Output<'_>) -> Result<bool> {
    if args.support {
        support(output)?;
        return Ok(true);
    }
    let Some(to) = args.to else {
        return Err(CliError::Usage("--to is needed".to_owned()));
    };
    let language = Language::from(to);
    let collection = files::collection(&args.paths, &args.pipeline)?;
    files::say_errors(&collection, output)?;
    let mut whole = collection.errors.is_empty();
    for rule in &collection.rules {
        let exported = export::rule(rule, language);
        whole &= exported.is_ok();
        show(
            rule.meta.key(),
            &rule.meta.title,
            language,
            exported,
            output,
        )?;
    }
    for (correlation, targets) in collection.correlations.iter().zip(&collection.targets) {
        let rules: Option<Vec<_>> = targets
            .iter()
            .map(|target| match target {
                Target::Rule(index) => collection.rules.get(*index),
                Target::Correlation(_) => None,
            })
            .collect();
        let exported = match rules {
            Some(rules) => export::correlation(correlation, &rules, language),
            None => Err(Unsupported {
                feature: "chains, expressions",
                reason: "a correlation over correlations is not exported".to_owned(),
            }),
        };
        whole &= exported.is_ok();
        show(
            correlation.meta.key(),
            &correlation.meta.title,
            language,
            exported,
            output,
        )?;
    }
    Ok(whole)
}

fn show(
    id: &str,
    title: &str,
    language: Language,
    exported: std::result::Result<Exported, Unsupported>,
    output: &mut Output<'_>,
) -> Result<()> {
    match exported {
        Ok(done) if output.json => output.json_line(&json!({
            "rule_id": id, "title": title, "language": language.name(),
            "query": done.query, "credit": done.credit, "notes": done.notes,
        })),
        Ok(done) => {
            output.line(&format!("# {}", done.credit))?;
            for note in &done.notes {
                output.line(&format!("# {note}"))?;
            }
            output.line(&done.query)?;
            output.line("")
        }
        Err(why) => {
            if output.json {
                output.json_line(&json!({
                    "rule_id": id, "title": title, "language": language.name(),
                    "query": Value::Null, "feature": why.feature, "reason": why.reason,
                }))?;
            }
            output.say(&format!(
                "{id}: cannot be said in {}: {why}",
                language.name()
            ))
        }
    }
}

fn support(output: &mut Output<'_>) -> Result<()> {
    let table = export::table();
    if output.json {
        let rows: Vec<Value> = table
            .iter()
            .map(|(feature, reasons)| {
                let mut row = serde_json::Map::new();
                row.insert("feature".to_owned(), json!(feature));
                for (language, reason) in Language::ALL.iter().zip(reasons) {
                    let said = reason.is_empty();
                    row.insert(
                        language.name().to_owned(),
                        json!({"supported": said, "reason": reason}),
                    );
                }
                Value::Object(row)
            })
            .collect();
        return output.json(&rows);
    }
    let rows = table.iter().map(|(feature, reasons)| {
        let mut row = vec![(*feature).to_owned()];
        row.extend(reasons.iter().map(|reason| {
            if reason.is_empty() {
                "yes".to_owned()
            } else {
                format!("no: {reason}")
            }
        }));
        row
    });
    output.table(&["feature", "lucene", "eql", "esql", "spl"], &[], rows)
}
