//! `siem eval`: rules against event files, with nothing else.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use sealwright_core::{Clock, SystemClock};
use sealwright_sigma::collection::Collection;
use sealwright_sigma::compiled::Options;
use sealwright_sigma::correlation::engine::Engine;
use sealwright_sigma::eval::{Evaluator, Line};
use sealwright_sigma::logsource::EventSource;
use serde_json::json;

use super::{CliError, Output, Result, files};
use crate::service::normalise::Plain;
use crate::service::ruleset::SOURCE_FIELDS;

/// `siem eval`
#[derive(Debug, Clone, Args)]
pub struct EvalArgs {
    /// Rule files, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub rules: Vec<PathBuf>,
    /// Event files (NDJSON, a JSON list or a Windows event log; .zst and .gz too), or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub events: Vec<PathBuf>,
    /// What is known of the events' log source: product=windows,category=process_creation
    #[arg(long, value_name = "K=V,…")]
    pub logsource: Option<String>,
    /// Field names and placeholders, as a pipeline file
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pipeline: Vec<PathBuf>,
    /// Take events as they are: no fields of ECS beside their own, no log source from what they hold
    #[arg(long)]
    pub no_normalise: bool,
}

pub(super) fn logsource(text: Option<&str>) -> Result<EventSource> {
    text.map_or(Ok(EventSource::UNKNOWN), |text| {
        EventSource::parse(text).map_err(|why| CliError::Usage(format!("--logsource: {why}")))
    })
}

/// Rules over events that are normalised as the stream normalises them.
fn evaluator(collection: Collection, given: EventSource, normalise: bool) -> Result<Evaluator> {
    if !normalise {
        return Evaluator::new(collection, given, false).map_err(CliError::Usage);
    }
    let options = Options {
        source_fields: SOURCE_FIELDS.map(str::to_owned),
        extra_fields: Engine::fields(&collection),
        ..Options::default()
    };
    let evaluator = Evaluator::with_options(collection, given, options).map_err(CliError::Usage)?;
    let plain = Plain::new(evaluator.rule_set(), SystemClock.now().0);
    Ok(evaluator.prepared(Box::new(move |event| plain.read(event))))
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
    let mut evaluator = evaluator(collection, given, !args.no_normalise)?;
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
    let mut unread = Vec::new();
    let mut sink = |line: Line| {
        if failure.is_none() {
            failure = show(&line, &titles, output).err();
        }
    };
    for input in &inputs {
        let mut reader = files::events(input)?;
        evaluator
            .read(&input.display().to_string(), &mut reader, &mut sink)
            .map_err(|error| files::failed(input, error))?;
        unread.extend(reader.take_faults().into_iter().map(|fault| (input, fault)));
    }
    let summary = evaluator.finish(&mut sink);
    if let Some(error) = failure {
        return Err(error);
    }
    for (input, fault) in unread {
        output.say(&format!("error: {}: {fault}", input.display()))?;
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
