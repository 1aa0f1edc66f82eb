//! `dlp detector`: what is looked for, and whether own detectors do what they say.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use sealwright_scan::{Detector, FingerprintKey, Options, Scanner, Source, detector, import};
use serde_json::json;

use super::{CliError, Output, Result};
use crate::service::setup::{self, MOST_DETECTOR_BYTES};

/// Examples of each kind that a detector should have.
const EXAMPLES: usize = 3;

/// Files of rules of other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuleFormat {
    /// gitleaks, TOML
    Gitleaks,
    /// Kingfisher, YAML
    Kingfisher,
}

/// `dlp detector …`
#[derive(Debug, Clone, Subcommand)]
pub enum DetectorCommand {
    /// Every detector: what it finds, how bad that is, how sure it is
    List {
        /// A file with detectors of your own, listed beside those that come with the program
        #[arg(long, value_name = "FILE")]
        detectors: Vec<PathBuf>,
        /// Only this class
        #[arg(long, value_name = "CLASS")]
        class: Option<String>,
    },
    /// Try detectors of a file on their own examples; answers no (1) when one fails
    Test {
        /// The file
        file: PathBuf,
        /// Instead of the examples: what the detectors find in this text
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
    },
    /// Turn a file of rules of another tool into detectors
    Import {
        /// The file
        file: PathBuf,
        /// Whose rules they are
        #[arg(long, value_enum)]
        from: RuleFormat,
    },
}

pub(super) fn run(command: &DetectorCommand, output: &mut Output<'_>) -> Result<bool> {
    match command {
        DetectorCommand::List { detectors, class } => list(detectors, class.as_deref(), output),
        DetectorCommand::Test { file, text: None } => examples(file, output),
        DetectorCommand::Test {
            file,
            text: Some(text),
        } => try_text(file, text, output),
        DetectorCommand::Import { file, from } => rules(file, *from, output),
    }
}

fn list(files: &[PathBuf], class: Option<&str>, output: &mut Output<'_>) -> Result<bool> {
    let mut all = setup::detectors(files, false)?;
    all.retain(|one| class.is_none_or(|class| class == one.class.as_str()));
    all.sort_by(|a, b| (a.class, &a.id).cmp(&(b.class, &b.id)));
    if output.is_json() {
        let items: Vec<_> = all
            .iter()
            .map(|one| {
                json!({
                    "id": one.id, "title": one.title, "class": one.class,
                    "severity": one.severity, "confidence": two_digits(one.confidence),
                    "context_confidence": one.context_confidence.map(two_digits),
                    "country": one.country, "validator": one.validator,
                })
            })
            .collect();
        output.json(&items)?;
        return Ok(true);
    }
    let rows = all.iter().map(|one| {
        vec![
            one.id.clone(),
            one.class.as_str().to_owned(),
            one.severity.as_str().to_owned(),
            match one.context_confidence {
                Some(more) => format!("{:.2} to {more:.2}", one.confidence),
                None => format!("{:.2}", one.confidence),
            },
            one.title.clone(),
        ]
    });
    output.table(
        &["detector", "class", "severity", "confidence", "finds"],
        &[],
        rows,
    )?;
    Ok(true)
}

fn two_digits(number: f32) -> f64 {
    (f64::from(number) * 100.0).round() / 100.0
}

fn scanner(detectors: Vec<Detector>) -> Result<Scanner> {
    let mut options = Options::new(FingerprintKey::new(b"examples"));
    options.overlaps = true;
    Ok(Scanner::new(detectors, options)?)
}

/// What is wrong with a detector's examples.
fn faults(one: &Detector) -> Result<Vec<String>> {
    let scanner = scanner(vec![one.clone()])?;
    let source = Source::file(one.path.as_deref().unwrap_or("example"));
    let mut faults = Vec::new();
    for (kind, examples, wanted) in [
        ("positive", &one.positives, true),
        ("negative", &one.negatives, false),
    ] {
        if examples.len() < EXAMPLES {
            faults.push(format!(
                "has {} {kind} examples; give at least {EXAMPLES}",
                examples.len()
            ));
        }
        for (number, example) in (1..).zip(examples) {
            let found = !scanner
                .scan(&source, detector::unbroken(example).as_bytes())
                .is_empty();
            if found != wanted {
                let what = if wanted { "is not found" } else { "is found" };
                faults.push(format!("{kind} example {number} {what}"));
            }
        }
    }
    Ok(faults)
}

fn examples(file: &std::path::Path, output: &mut Output<'_>) -> Result<bool> {
    let all = setup::read_detectors(file)?;
    if all.is_empty() {
        return Err(CliError::Usage(format!(
            "{} has no detectors",
            file.display()
        )));
    }
    let mut good = true;
    let mut items = Vec::new();
    for one in &all {
        let faults = faults(one)?;
        good &= faults.is_empty();
        if output.is_json() {
            items.push(json!({ "id": one.id, "passed": faults.is_empty(), "faults": faults }));
        } else if faults.is_empty() {
            let count = one.positives.len() + one.negatives.len();
            output.line(&format!("holds  {}  {count} examples", one.id))?;
        } else {
            for fault in faults {
                output.line(&format!("FAILS  {}  {fault}", one.id))?;
            }
        }
    }
    if output.is_json() {
        output.json(&items)?;
    }
    Ok(good)
}

fn try_text(file: &std::path::Path, text: &str, output: &mut Output<'_>) -> Result<bool> {
    let found = scanner(setup::read_detectors(file)?)?.scan(&Source::file("text"), text.as_bytes());
    if output.is_json() {
        output.json(&found)?;
    } else {
        for finding in &found {
            output.line(&format!(
                "{}..{}  {}  {:.2}  {}",
                finding.start,
                finding.end,
                finding.detector,
                finding.confidence,
                finding.reasons.join(", ")
            ))?;
        }
    }
    if found.is_empty() {
        output.say("nothing is found")?;
    }
    Ok(!found.is_empty())
}

#[derive(serde::Serialize)]
struct DetectorFile {
    detector: Vec<Detector>,
}

fn rules(file: &std::path::Path, from: RuleFormat, output: &mut Output<'_>) -> Result<bool> {
    let text = setup::read_text(file, MOST_DETECTOR_BYTES)?;
    let name = file.display().to_string();
    let detector = match from {
        RuleFormat::Gitleaks => import::gitleaks(&name, &text)?,
        RuleFormat::Kingfisher => import::kingfisher(&name, &text)?,
    };
    output.say(&format!("{} detectors", detector.len()))?;
    let text = toml::to_string(&DetectorFile { detector })
        .map_err(|error| CliError::Usage(format!("{name}: {error}")))?;
    output.line(text.trim_end())?;
    Ok(true)
}
