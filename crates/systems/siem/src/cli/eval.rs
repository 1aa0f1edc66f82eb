//! `siem eval`: rules against event files, with nothing else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use sealwright_sigma::eval::{Evaluator, Line};
use sealwright_sigma::logsource::EventSource;
use serde_json::json;

use super::{CliError, Output, Result, files};

/// `siem eval`
#[derive(Debug, Clone, Args)]
pub struct EvalArgs {
    /// Rule files, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub rules: Vec<PathBuf>,
    /// Event files (NDJSON or a JSON list; .zst and .gz too), or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub events: Vec<PathBuf>,
    /// What is known of the events' log source: product=windows,category=process_creation
    #[arg(long, value_name = "K=V,…")]
    pub logsource: Option<String>,
    /// Field names and placeholders, as a pipeline file
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pipeline: Vec<PathBuf>,
    /// Take events as they are
    #[arg(long)]
    pub no_normalise: bool,
}

pub(super) fn logsource(text: Option<&str>) -> Result<EventSource> {
    text.map_or(Ok(EventSource::UNKNOWN), |text| {
        EventSource::parse(text).map_err(|why| CliError::Usage(format!("--logsource: {why}")))
    })
}

pub(super) fn run(args: &EvalArgs, output: &mut Output<'_>) -> Result<bool> {
    let started = Instant::now();
    let given = logsource(args.logsource.as_deref())?;
    let inputs = files::event_files(&args.events)?;
    let collection = files::collection(&args.rules, &args.pipeline)?;
    files::say_errors(&collection, output)?;
    if collection.rules.is_empty() {
        return Err(CliError::Usage("no rule could be loaded".to_owned()));
    }
    let titles: HashMap<String, String> = collection
        .rules
        .iter()
        .map(|rule| &rule.meta)
        .chain(collection.correlations.iter().map(|rule| &rule.meta))
        .map(|meta| (meta.key().to_owned(), meta.title.clone()))
        .collect();
    let mut evaluator =
        Evaluator::new(collection, given, !args.no_normalise).map_err(CliError::Usage)?;
    let set = evaluator.rule_set();
    for unresolved in set.unresolved() {
        let key = set
            .rules()
            .get(unresolved.rule)
            .map_or("", |rule| rule.meta.key());
        output.say(&format!(
            "warning: {key}: placeholders without values, so it never matches: {}\n  hint: give them in a --pipeline file",
            unresolved.placeholders.join(", ")
        ))?;
    }
    let mut failure = None;
    let mut sink = |line: Line| {
        if failure.is_none() {
            failure = show(&line, &titles, output).err();
        }
    };
    for input in &inputs {
        let reader = files::open(input)?;
        evaluator
            .read(&input.display().to_string(), reader, &mut sink)
            .map_err(|error| files::failed(input, error))?;
    }
    let summary = evaluator.finish(&mut sink);
    if let Some(error) = failure {
        return Err(error);
    }
    output.out.flush()?;
    if summary.untimed > 0 {
        output.say(&format!(
            "warning: {} matches without a time took no part in correlations",
            summary.untimed
        ))?;
    }
    let totals = json!({
        "events": summary.events,
        "rules": summary.rules,
        "matches": summary.matches,
        "seconds": (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    });
    output.say(&totals.to_string())?;
    Ok(true)
}

fn show(line: &Line, titles: &HashMap<String, String>, output: &mut Output<'_>) -> Result<()> {
    let title = |id: &str| titles.get(id).cloned().unwrap_or_default();
    match line {
        Line::Refused {
            refused,
            event_index,
            file,
        } => output.say(&format!("error: {file}: event {event_index}: {refused}")),
        line if output.json => output.json_line(line),
        Line::Match {
            rule_id,
            event_index,
            file,
        } => output.line(&format!(
            "{file}:{event_index}\t{rule_id}\t{}",
            title(rule_id)
        )),
        Line::Correlation {
            rule_id,
            event_indexes,
            file,
            group,
            ..
        } => {
            let indexes: Vec<String> = event_indexes.iter().map(u64::to_string).collect();
            let group: Vec<String> = group.iter().map(|(k, v)| format!("{k}={v}")).collect();
            output.line(&format!(
                "{file}:{}\t{rule_id}\t{}\t{}",
                indexes.join(","),
                title(rule_id),
                group.join(" ")
            ))
        }
    }
}
