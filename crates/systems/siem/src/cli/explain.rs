//! `siem explain`: why a rule matches an event, or why it does not.

use std::path::PathBuf;

use clap::Args;
use sealwright_core::{Clock, SystemClock};
use sealwright_sigma::explain::{Step, explain};
use sealwright_sigma::logsource::{self, EventSource};
use sealwright_sigma::naive::Event;
use sealwright_sigma::{normalise, time};
use serde_json::{Value, json};

use super::{CliError, Output, Result, eval, files};
use crate::service::normalise::Plain;
use crate::service::ruleset::SOURCE_FIELDS;

/// `siem explain`
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The rule's file; with several rules, each is explained
    #[arg(long, value_name = "FILE")]
    pub rule: PathBuf,
    /// The event as JSON (the first line of the file that holds one); - reads standard input
    #[arg(long, value_name = "FILE")]
    pub event: PathBuf,
    /// Which event of the file, counted from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub index: usize,
    /// What is known of the event's log source: product=windows,category=process_creation
    #[arg(long, value_name = "K=V,…")]
    pub logsource: Option<String>,
    /// Field names and placeholders, as a pipeline file
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pipeline: Vec<PathBuf>,
    /// Take the event as it is
    #[arg(long)]
    pub no_normalise: bool,
}

/// The largest event file in bytes.
const LARGEST: u64 = 64 << 20;

/// The event at an index of a text that holds one a line, one alone, or a list.
fn event(text: &str, index: usize) -> std::result::Result<Value, String> {
    let missing = |there: usize| format!("there is no event {index}; the file has {there}");
    if let Ok(Value::Array(list)) = serde_json::from_str(text) {
        let there = list.len();
        return list.into_iter().nth(index).ok_or_else(|| missing(there));
    }
    if index == 0
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return Ok(value);
    }
    let mut there = 0;
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if there == index {
            return serde_json::from_str(line)
                .map_err(|error| format!("{}:{}: {error}", number + 1, error.column()));
        }
        there += 1;
    }
    Err(missing(there))
}

pub(super) fn run(args: &ExplainArgs, output: &mut Output<'_>) -> Result<bool> {
    let collection = files::collection(std::slice::from_ref(&args.rule), &args.pipeline)?;
    files::say_errors(&collection, output)?;
    let text = files::text(&args.event, LARGEST)?;
    let raw = event(&text, args.index).map_err(|why| files::failed(&args.event, why))?;
    if !raw.is_object() {
        return Err(files::failed(&args.event, "an event is a JSON object"));
    }
    let given = eval::logsource(args.logsource.as_deref())?;
    let (fields, source) = if args.no_normalise {
        (raw, given)
    } else {
        let text = raw.to_string();
        let made = Plain::whole(SystemClock.now().0).read(&text);
        let whole = made.and_then(|made| serde_json::from_str(&made).ok());
        let flat = normalise::windows(&whole.unwrap_or(raw));
        let found = found_source(&flat);
        (flat, given.or(found))
    };
    let at = [
        "@timestamp",
        "TimeCreated_SystemTime",
        "UtcTime",
        "eventTime",
        "published",
        "time",
    ]
    .iter()
    .find_map(|name| fields.get(name)?.as_str().and_then(time::instant));
    let event = Event {
        fields: &fields,
        time: at,
    };
    if collection.rules.is_empty() {
        return Err(CliError::Usage("there is no rule to explain".to_owned()));
    }
    let mut all = true;
    for rule in &collection.rules {
        let explanation = explain(rule, &event, &source);
        all &= explanation.matches;
        if output.json {
            let value = json!({
                "rule_id": rule.meta.key(),
                "title": rule.meta.title,
                "reasons": explanation.reasons(),
                "explanation": explanation,
            });
            output.json(&value)?;
            continue;
        }
        let verdict = if explanation.matches {
            "matches"
        } else {
            "does not match"
        };
        output.line(&format!(
            "{} · {}: {verdict}",
            rule.meta.key(),
            rule.meta.title
        ))?;
        for reason in explanation.reasons() {
            output.line(&format!("  {reason}"))?;
        }
        output.line("  the condition:")?;
        tree(&explanation.condition, 2, output)?;
    }
    Ok(all)
}

fn found_source(event: &Value) -> EventSource {
    let text = |name: &str| match event.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let [product, category, service] = SOURCE_FIELDS.map(|name| text(name).map(|t| vec![t]));
    let stated = EventSource {
        product,
        category,
        service,
    };
    match (text("Channel"), text("EventID")) {
        (Some(channel), Some(id)) => stated.or(logsource::windows(&channel, &id)),
        _ => stated,
    }
}

fn tree(step: &Step, depth: usize, output: &mut Output<'_>) -> Result<()> {
    let holds = if step.holds { "yes" } else { "no " };
    let mut text = format!("{}{holds} {}", "  ".repeat(depth), step.what);
    if !step.matched.is_empty() {
        text.push_str(&format!(" matched {}", short(&step.matched)));
    } else if !step.wanted.is_empty() {
        text.push_str(&format!(" wants {}", short(&step.wanted)));
    }
    match &step.found {
        Some(found) => text.push_str(&format!(", found {}", short(found))),
        None if !step.wanted.is_empty() && !step.what.starts_with("keywords") => {
            text.push_str(", the field is missing");
        }
        None => {}
    }
    output.line(&text)?;
    step.parts
        .iter()
        .try_for_each(|part| tree(part, depth + 1, output))
}

fn short(values: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut shown: Vec<String> = values
        .iter()
        .take(SHOWN)
        .map(|v| format!("{v:?}"))
        .collect();
    if values.len() > SHOWN {
        shown.push(format!("and {} more", values.len() - SHOWN));
    }
    shown.join(", ")
}
