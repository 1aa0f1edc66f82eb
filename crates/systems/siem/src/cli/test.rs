//! `siem test`: the tests beside rules.

use std::path::{Path, PathBuf};

use clap::Args;
use sealwright_core::UnixMicros;
use sealwright_ecs::Context;
use sealwright_sigma::testing::{self, Outcome, Suite, TestEvent};
use serde::Serialize;
use serde_json::Value;

use super::{CliError, Output, Result, files};
use crate::service::normalise::normaliser;

/// `siem test`
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Files of tests (NAME.test.yml beside NAME.yml), or folders of them; this folder when absent
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The answer is no, too, for a file of rules with fewer than this many tests that fire, or fewer near misses
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub least: usize,
}

/// What fired in a test.
#[derive(Debug, Serialize)]
struct Fired {
    rule_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    tenant: String,
    time: String,
}

/// How a test ended.
#[derive(Debug, Serialize)]
struct Ended {
    file: String,
    line: u32,
    column: u32,
    test: String,
    passed: bool,
    expected: usize,
    fired: Vec<Fired>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A file of tests.
struct Tested {
    file: String,
    ended: Vec<Ended>,
    /// What is wrong beside tests that failed.
    faults: Vec<String>,
}

impl Tested {
    fn failed(&self) -> usize {
        self.ended.iter().filter(|e| !e.passed).count() + self.faults.len()
    }

    fn firing(&self) -> usize {
        self.ended.iter().filter(|e| e.expected > 0).count()
    }
}

pub(super) fn run(args: &TestArgs, output: &mut Output<'_>) -> Result<bool> {
    let here = [PathBuf::from(".")];
    let paths: &[PathBuf] = if args.paths.is_empty() {
        &here
    } else {
        &args.paths
    };
    let found = files::test_files(paths)?;
    if found.is_empty() && args.least == 0 {
        let named: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        return Err(CliError::Usage(format!(
            "{}: no tests of rules\nhint: the tests of rules.yml stand beside it in rules.test.yml",
            named.join(", ")
        )));
    }
    let mut all = Vec::new();
    for file in &found {
        all.push(tested(file, args.least)?);
    }
    if args.least > 0 {
        all.extend(untested(paths, &found)?);
    }
    let tests: usize = all.iter().map(|t| t.ended.len()).sum();
    let failed: usize = all.iter().map(Tested::failed).sum();
    show(&all, output)?;
    output.say(&format!(
        "{} files, {tests} tests: {failed} failed",
        all.len()
    ))?;
    Ok(failed == 0)
}

fn show(all: &[Tested], output: &mut Output<'_>) -> Result<()> {
    for tested in all {
        for fault in &tested.faults {
            output.say(&format!("error: {fault}"))?;
        }
        for e in tested.ended.iter().filter(|e| !e.passed) {
            let place = format!("{}:{}:{}", e.file, e.line, e.column);
            match &e.error {
                Some(why) => output.say(&format!("error: {place}: {}: {why}", e.test))?,
                None => output.say(&format!(
                    "error: {place}: {}: expected {} alerts, {} fired",
                    e.test,
                    e.expected,
                    e.fired.len()
                ))?,
            }
            for f in &e.fired {
                let whose = if f.tenant.is_empty() {
                    String::new()
                } else {
                    format!(" of tenant {}", f.tenant)
                };
                output.say(&format!("  {} at {}{whose}", f.rule_id, f.time))?;
            }
        }
    }
    if output.json {
        let ended: Vec<&Ended> = all.iter().flat_map(|t| &t.ended).collect();
        return output.json(&ended);
    }
    let rows = all.iter().map(|t| {
        vec![
            t.file.clone(),
            t.firing().to_string(),
            (t.ended.len() - t.firing()).to_string(),
            t.failed().to_string(),
        ]
    });
    output.table(&["file", "fire", "near misses", "failed"], &[1, 2, 3], rows)
}

fn tested(file: &Path, least: usize) -> Result<Tested> {
    let shown = file.display().to_string();
    let mut tested = Tested {
        file: shown.clone(),
        ended: Vec::new(),
        faults: Vec::new(),
    };
    let suite = match testing::parse(&shown, &files::text(file, files::LARGEST_RULES)?) {
        Ok(suite) => suite,
        Err(error) => {
            tested.faults.push(error.to_string());
            return Ok(tested);
        }
    };
    let mut rules = Vec::new();
    for path in rules_of(file, &suite) {
        let text = files::text(&path, files::LARGEST_RULES)?;
        rules.push((path.display().to_string(), text));
    }
    let rules: Vec<(&str, &str)> = rules.iter().map(|(f, t)| (&**f, &**t)).collect();
    let normaliser = normaliser().map_err(|why| CliError::Usage(why.to_string()))?;
    let outcomes = testing::run(&suite, &rules, &mut |event: &TestEvent| {
        let context = Context {
            hint: event.source.as_deref(),
            received: event.time,
            ..Context::default()
        };
        let made = normaliser
            .beside(&event.event.to_string(), &context)
            .map_err(|why| why.to_string())?;
        serde_json::from_str::<Value>(&made.json).map_err(|why| why.to_string())
    });
    for (test, outcome) in suite.tests.iter().zip(outcomes) {
        tested.ended.push(Ended {
            file: shown.clone(),
            line: test.at.line,
            column: test.at.column,
            test: outcome.name.clone(),
            passed: outcome.passed(),
            expected: outcome.expected,
            fired: fired(&outcome),
            error: outcome.error,
        });
    }
    let near = tested.ended.len() - tested.firing();
    if tested.firing() < least || near < least {
        tested.faults.push(format!(
            "{shown}: {} tests that fire and {near} near misses; {least} of each are asked for",
            tested.firing()
        ));
    }
    Ok(tested)
}

fn fired(outcome: &Outcome) -> Vec<Fired> {
    outcome
        .fired
        .iter()
        .map(|(rule, tenant, time)| Fired {
            rule_id: rule.clone(),
            tenant: tenant.clone(),
            time: UnixMicros(*time).to_string(),
        })
        .collect()
}

/// The files of the rules that a file tests.
fn rules_of(file: &Path, suite: &Suite) -> Vec<PathBuf> {
    if suite.rules.is_empty() {
        return vec![beside(file)];
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    suite.rules.iter().map(|name| folder.join(name)).collect()
}

/// `NAME.yml` of `NAME.test.yml`.
fn beside(file: &Path) -> PathBuf {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let rules = files::TESTS.iter().find_map(|ending| {
        let stem = name.strip_suffix(ending)?;
        let ending = ending.rsplit('.').next().unwrap_or("yml");
        Some(format!("{stem}.{ending}"))
    });
    file.with_file_name(rules.unwrap_or(name))
}

/// Files of rules that no file tests.
fn untested(paths: &[PathBuf], found: &[PathBuf]) -> Result<Vec<Tested>> {
    let mut covered: Vec<PathBuf> = Vec::new();
    for file in found {
        let text = files::text(file, files::LARGEST_RULES)?;
        if let Ok(suite) = testing::parse("", &text) {
            covered.extend(rules_of(file, &suite));
        }
    }
    let rules = files::rule_files(paths)?;
    Ok(rules
        .into_iter()
        .filter(|file| !covered.contains(file) && !found.contains(file))
        .map(|file| {
            let file = file.display().to_string();
            Tested {
                faults: vec![format!("{file}: there are no tests beside it")],
                file,
                ended: Vec::new(),
            }
        })
        .collect())
}
