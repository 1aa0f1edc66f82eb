//! `dlp scan`: files, folders, standard input, git histories.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use indicatif::{ProgressBar, ProgressStyle};
use sealwright_scan::document::Outcome;
use sealwright_scan::report::{self, Coverage};
use sealwright_scan::{Finding, Options, Scanner, preview};

use super::{CliError, Form, Machine, Output, Result};
use crate::model::object::parse_address;
use crate::model::{AllowList, Baseline};
use crate::service::bucket::Walk;
use crate::service::files::{self, Body, Commit, Effort, Event, Item, Progress};
use crate::service::git;
use crate::service::setup::{self, KeySource};
use crate::service::table;

/// The largest allow list or baseline.
const MOST_LIST_BYTES: u64 = 512 << 20;
/// Findings that SARIF, which is one document, can hold.
const MOST_SARIF: usize = 200_000;

/// `dlp scan`
#[derive(Debug, Clone, Args)]
pub struct ScanArgs {
    /// Files, folders, `-` for standard input, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
    /// az://CONTAINER/PREFIX, postgres://HOST/DATABASE[#SCHEMA[.TABLE]],
    /// lake:[TENANT]; repositories with --git
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Show what was found itself, not only where
    #[arg(long)]
    pub show_values: bool,
    /// Leave out findings that are less sure than this, 0 to 1
    #[arg(long, value_name = "N", default_value_t = 0.5, value_parser = threshold)]
    pub threshold: f32,
    /// A file with detectors of your own, beside those that come with the program
    #[arg(long, value_name = "FILE")]
    pub detectors: Vec<PathBuf>,
    /// Only the detectors of --detectors
    #[arg(long, requires = "detectors")]
    pub own_only: bool,
    /// Only these classes: pii, financial, health, secret, technical
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = class)]
    pub class: Vec<String>,
    /// JSON lines of an earlier scan; what is in it is not reported again
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// A list of accepted findings, each with a reason and a last day
    #[arg(long, value_name = "FILE")]
    pub allow: Option<PathBuf>,
    /// Leave out paths inside folders that match (a glob, such as `**/target/**`)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// The paths are git repositories: scan every version of every file in their history
    #[arg(long)]
    pub git: bool,
    /// Of buckets, older versions too
    #[arg(long)]
    pub versions: bool,
    /// Of tables, about so many rows in a hundred; they end as partly
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub sample: Option<f64>,
    /// The file with the key of the fingerprints; made when it is not there
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Fail (2) when something could not be looked at as a whole
    #[arg(long)]
    pub complete: bool,
    /// Threads; all cores when not given
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

fn threshold(text: &str) -> std::result::Result<f32, String> {
    let number: f32 = text
        .parse()
        .map_err(|_| "give a number from 0 to 1".to_owned())?;
    if (0.0..=1.0).contains(&number) {
        Ok(number)
    } else {
        Err("give a number from 0 to 1".to_owned())
    }
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    let number: f64 = text.parse().unwrap_or(0.0);
    if number > 0.0 && number <= 100.0 {
        Ok(number)
    } else {
        Err("give a number above 0 and up to 100".to_owned())
    }
}

fn class(text: &str) -> std::result::Result<String, String> {
    const CLASSES: [&str; 5] = ["pii", "financial", "health", "secret", "technical"];
    if CLASSES.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("give one of {}", CLASSES.join(", ")))
    }
}

/// Takes the key and says when findings will not compare with those of other runs.
pub(super) fn key(
    file: Option<&PathBuf>,
    machine: &Machine,
    output: &mut Output<'_>,
) -> Result<sealwright_scan::FingerprintKey> {
    let path = file.or(machine.key.as_ref());
    let (key, source) = setup::key(path.map(PathBuf::as_path), file.is_some())?;
    match source {
        KeySource::File(_) => {}
        KeySource::Made(path) => output.say(&format!(
            "made the key of the fingerprints: {}",
            path.display()
        ))?,
        KeySource::Random(why) => output.say(&format!(
            "the fingerprints of this run compare with no other run: {why}\nhint: --key FILE keeps a key"
        ))?,
    }
    Ok(key)
}

struct Accepted {
    baseline: Baseline,
    allow: AllowList,
    now: sealwright_core::UnixMicros,
    known: u64,
    allowed: u64,
}

impl Accepted {
    fn read(args: &ScanArgs, machine: &Machine, output: &mut Output<'_>) -> Result<Self> {
        let mut accepted = Self {
            baseline: Baseline::default(),
            allow: AllowList::default(),
            now: machine.now,
            known: 0,
            allowed: 0,
        };
        if let Some(file) = &args.baseline {
            let text = setup::read_text(file, MOST_LIST_BYTES)?;
            accepted.baseline = Baseline::parse(&file.display().to_string(), &text)?;
        }
        if let Some(file) = &args.allow {
            let text = setup::read_text(file, MOST_LIST_BYTES)?;
            accepted.allow = AllowList::parse(&file.display().to_string(), &text)?;
            for entry in accepted.allow.ended(machine.now) {
                output.say(&format!(
                    "{}: accepted until {} and no longer: {}",
                    file.display(),
                    entry.until,
                    entry.reason
                ))?;
            }
        }
        Ok(accepted)
    }

    /// Leaves what is news.
    fn news(&mut self, findings: &mut Vec<Finding>) {
        findings.retain(|finding| {
            if self.baseline.covers(finding) {
                self.known += 1;
                return false;
            }
            if self.allow.covers(finding, self.now) {
                self.allowed += 1;
                return false;
            }
            true
        });
    }
}

pub(super) fn run(args: &ScanArgs, machine: &Machine, output: &mut Output<'_>) -> Result<bool> {
    let skip = globs(&args.exclude)?;
    let mut accepted = Accepted::read(args, machine, output)?;
    let mut options = Options::new(key(args.key.as_ref(), machine, output)?);
    options.min_confidence = args.threshold;
    // Tables show a preview, which is made of the value.
    options.keep_values = args.show_values || output.form == Form::Table;
    let mut detectors = setup::detectors(&args.detectors, args.own_only)?;
    if !args.class.is_empty() {
        detectors.retain(|one| args.class.iter().any(|class| class == one.class.as_str()));
    }
    let scanner = Scanner::new(detectors, options)?;
    let progress = Progress::default();
    let bar = output.terminal.then(bar);
    let local_paths: Vec<PathBuf>;
    let is_skipped = |path: &std::path::Path| skip.is_match(path);
    let items: Box<dyn Iterator<Item = Item> + Send> = if args.git {
        let mut all = Vec::new();
        for path in &args.paths {
            all.push(git::history(path)?);
        }
        Box::new(all.into_iter().flatten())
    } else {
        let (remote, local): (Vec<_>, Vec<_>) =
            args.paths.iter().cloned().partition(|path| is_remote(path));
        local_paths = local;
        Box::new(files::walk(&local_paths, &is_skipped).chain(elsewhere(&remote, args, machine)?))
    };
    let mut shown = Shown {
        args,
        accepted: &mut accepted,
        output,
        coverage: Coverage::default(),
        counts: BTreeMap::new(),
        kept: Vec::new(),
        missing: None,
        bar: bar.as_ref(),
        progress: &progress,
    };
    let threads = args.threads.unwrap_or(machine.threads);
    files::scan(&scanner, items, Effort::on(threads), &progress, |event| {
        shown.take(event)
    })?;
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let Shown {
        coverage,
        counts,
        kept,
        missing,
        ..
    } = shown;
    if output.form == Form::Sarif {
        let log = report::sarif(&scanner, &kept, &coverage);
        output.line(&log.to_string())?;
    }
    let found: u64 = counts.values().sum();
    output.out.flush()?;
    output.say(&last_line(&coverage, found, &accepted)?)?;
    if let Some((path, why)) = missing {
        return Err(CliError::Usage(format!("{path}: {why}")));
    }
    if args.complete && !coverage.complete() {
        return Err(CliError::Usage(
            "not everything could be looked at as a whole; the line above says what".to_owned(),
        ));
    }
    Ok(found == 0)
}

/// The coverage with the numbers of findings, which come here in pieces.
fn last_line(coverage: &Coverage, found: u64, accepted: &Accepted) -> Result<String> {
    let mut line: serde_json::Value =
        serde_json::from_str(&coverage.json_line()).map_err(io::Error::other)?;
    line["coverage"]["findings"] = found.into();
    line["coverage"]["in_baseline"] = accepted.known.into();
    line["coverage"]["allowed"] = accepted.allowed.into();
    Ok(line.to_string())
}

/// Whether an item is what the command line names.
fn same(path: &str, name: &str) -> bool {
    path.trim_end_matches('/') == name.trim_end_matches('/')
}

/// Whether a path is the address of a bucket, a database or the lake.
pub(super) fn is_remote(path: &std::path::Path) -> bool {
    let text = path.to_string_lossy();
    parse_address(&text).is_some() || text.starts_with(LAKE) || table::is_address(&text)
}

/// How the address of the lake begins.
const LAKE: &str = "lake:";

fn elsewhere(
    addresses: &[PathBuf],
    args: &ScanArgs,
    machine: &Machine,
) -> Result<Box<dyn Iterator<Item = Item> + Send>> {
    let mut all: Vec<Box<dyn Iterator<Item = Item> + Send>> = Vec::new();
    for address in addresses {
        let (buckets, handle) = machine
            .buckets
            .clone()
            .ok_or_else(|| CliError::Usage("no object store is configured".to_owned()))?;
        let text = address.to_string_lossy();
        // An address may hold a password.
        let shown = if table::is_address(&text) {
            table::shown(&text)
        } else {
            text.to_string()
        };
        let wrong = |why: String| CliError::Usage(format!("{shown}: {why}"));
        if table::is_address(&text) {
            let items = table::items(&handle, &text, args.sample)
                .map_err(|error| wrong(error.to_string()))?;
            all.push(Box::new(items.into_iter()));
            continue;
        }
        if let Some(tenant) = text.strip_prefix(LAKE) {
            let open = machine
                .lake
                .as_ref()
                .ok_or_else(|| wrong("there is no lake here".to_owned()))?;
            let tenant = Some(tenant).filter(|tenant| !tenant.is_empty());
            let items = open(tenant).map_err(wrong)?.into_iter();
            all.push(Box::new(items.map(|(name, body)| Item {
                name: name.into(),
                note: None,
                body: Body::Stream(body),
            })));
            continue;
        }
        let walk = Walk::new(buckets, handle, &text, args.versions).ok_or_else(|| {
            wrong("give s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX".to_owned())
        })?;
        all.push(Box::new(walk));
    }
    Ok(Box::new(all.into_iter().flatten()))
}

fn globs(texts: &[String]) -> Result<GlobSet> {
    let fault = |error: globset::Error| CliError::Usage(format!("--exclude: {error}"));
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(
            GlobBuilder::new(text)
                .literal_separator(true)
                .build()
                .map_err(fault)?,
        );
    }
    set.build().map_err(fault)
}

struct Shown<'a, 'o> {
    args: &'a ScanArgs,
    accepted: &'a mut Accepted,
    output: &'a mut Output<'o>,
    coverage: Coverage,
    counts: BTreeMap<Arc<str>, u64>,
    kept: Vec<Finding>,
    /// The first path of the command line that could not be read.
    missing: Option<(String, String)>,
    bar: Option<&'a ProgressBar>,
    progress: &'a Progress,
}

impl Shown<'_, '_> {
    fn take(&mut self, event: Event) -> io::Result<()> {
        if let Some(bar) = self.bar {
            bar.set_length(self.progress.known.load(Ordering::Relaxed));
            bar.set_position(self.progress.bytes.load(Ordering::Relaxed));
            bar.set_message(format!(
                "{} files",
                self.progress.items.load(Ordering::Relaxed)
            ));
        }
        match event {
            Event::Found { mut findings, note } => {
                self.accepted.news(&mut findings);
                for finding in &findings {
                    *self
                        .counts
                        .entry(Arc::clone(&finding.detector))
                        .or_default() += 1;
                    self.show(finding, note.as_deref())?;
                }
                if self.output.form == Form::Sarif {
                    self.kept.append(&mut findings);
                    if self.kept.len() > MOST_SARIF {
                        return Err(io::Error::other(format!(
                            "more than {MOST_SARIF} findings are too many for one SARIF document; use --output json"
                        )));
                    }
                }
            }
            Event::Skipped { .. } => {}
            Event::End {
                name, mut report, ..
            } => {
                if let Some(percent) = self.args.sample.filter(|_| table::is_address(&name)) {
                    report.outcome = Outcome::Partly {
                        reason: format!("a sample of {percent} % of its rows"),
                    };
                }
                self.coverage.add(&name, &report);
            }
            Event::Unreadable { name, why, .. } => {
                self.coverage.unreadable(&name, &why);
                let named = self
                    .args
                    .paths
                    .iter()
                    .any(|path| same(&path.to_string_lossy(), &name));
                if named && self.missing.is_none() {
                    self.missing = Some((name.to_string(), why));
                }
            }
        }
        Ok(())
    }

    fn show(&mut self, finding: &Finding, commit: Option<&Commit>) -> io::Result<()> {
        match self.output.form {
            Form::Sarif => Ok(()),
            Form::Json => {
                let mut line = report::json_line(finding, self.args.show_values);
                if let Some(commit) = commit {
                    let more = serde_json::to_string(commit)?;
                    line.pop();
                    line.push(',');
                    line.push_str(more.get(1..).unwrap_or("}"));
                }
                self.without_bar(|output| writeln!(output.out, "{line}"))
            }
            Form::Table => {
                let value = finding.value.as_ref().map_or_else(String::new, |value| {
                    if self.args.show_values {
                        printable(value.expose())
                    } else {
                        preview(&finding.detector, finding.class, value.expose())
                    }
                });
                let inner = finding
                    .inner
                    .as_ref()
                    .map_or_else(String::new, |inner| format!("!{inner}"));
                let at = commit.map_or_else(String::new, |commit| {
                    format!("  {}", commit.commit.get(..12).unwrap_or_default())
                });
                let line = format!(
                    "{}{}:{}:{}  {}  {}  {:.2}  {value}{at}",
                    printable(finding.path.as_bytes()),
                    printable(inner.as_bytes()),
                    finding.line,
                    finding.column,
                    finding.severity.as_str(),
                    finding.detector,
                    finding.confidence,
                );
                self.without_bar(|output| writeln!(output.out, "{line}"))
            }
        }
    }

    fn without_bar(
        &mut self,
        write: impl FnOnce(&mut Output<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.bar {
            Some(bar) => bar.suspend(|| write(self.output)),
            None => write(self.output),
        }
    }
}

/// Text from outside, without what a terminal would obey.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "scanning {wide_bar} {bytes} of {total_bytes}  {bytes_per_sec}  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
