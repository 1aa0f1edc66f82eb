//! `siem lint`: what is wrong with rule files, and what could be better.

use std::path::PathBuf;

use clap::Args;
use sealwright_sigma::error::Position;
use sealwright_sigma::lint;
use sealwright_sigma::model::Document;
use sealwright_sigma::{Limits, parse};
use serde::Serialize;

use super::{Output, Result, files};

/// `siem lint`
#[derive(Debug, Clone, Args)]
pub struct LintArgs {
    /// Rule files, or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Advice counts too: with any, the answer is no
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    check: &'static str,
    file: String,
    line: u32,
    column: u32,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

fn advice(file: &str, check: &'static str, at: Position, message: String) -> Finding {
    Finding {
        severity: "advice",
        check,
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        message,
        hint: String::new(),
    }
}

pub(super) fn run(args: &LintArgs, output: &mut Output<'_>) -> Result<bool> {
    let whole = files::collection(&args.paths, &[])?;
    let mut findings: Vec<Finding> = Vec::new();
    for (severity, list) in [("error", &whole.errors), ("warning", &whole.warnings)] {
        findings.extend(list.iter().map(|e| Finding {
            severity,
            check: "load",
            file: e.file.clone(),
            line: e.at.line,
            column: e.at.column,
            message: e.message.clone(),
            hint: e.hint.clone(),
        }));
    }
    for path in files::rule_files(&args.paths)? {
        let file = path.display().to_string();
        let parsed = parse(
            &file,
            &files::text(&path, 32 << 20)?,
            &Limits::default(),
            &Default::default(),
        );
        for document in &parsed.documents {
            let found = match document {
                Document::Rule(rule) => lint::rule(rule),
                Document::Filter(filter) => lint::filter(filter),
                Document::Correlation(_) => Vec::new(),
            };
            findings.extend(
                found
                    .into_iter()
                    .map(|a| advice(&file, a.check, a.at, a.message)),
            );
        }
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    let errors = findings.iter().filter(|f| f.severity == "error").count();
    if output.json {
        output.json(&findings)?;
    } else {
        for f in &findings {
            let hint = if f.hint.is_empty() {
                String::new()
            } else {
                format!("\n  hint: {}", f.hint)
            };
            output.line(&format!(
                "{}:{}:{}: {}: {} [{}]{hint}",
                f.file, f.line, f.column, f.severity, f.message, f.check
            ))?;
        }
    }
    output.say(&format!(
        "{} rules, {} correlations: {errors} errors, {} other findings",
        whole.rules.len(),
        whole.correlations.len(),
        findings.len() - errors
    ))?;
    Ok(errors == 0 && (findings.is_empty() || !args.strict))
}
