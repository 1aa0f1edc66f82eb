//! `dlp redact`: texts without what was found in them.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sealwright_scan::document::{self, Kind, Limits};
use sealwright_scan::redact::{self, Style};
use sealwright_scan::{Options, Scanner, Source};
use serde_json::json;

use super::{CliError, Machine, Output, Result, scan};
use crate::service::setup::{self, SetupError};

/// The largest text that is redacted.
const MOST_BYTES: u64 = 256 << 20;

/// What stands in place of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RedactStyle {
    /// The kind of value: `[us.ssn]`
    Placeholder,
    /// The kind and a pseudonym, the same for the same value: `[us.ssn:3f9a2c]`
    Pseudonym,
    /// As long as the value and of the same form
    Form,
}

/// `dlp redact`
#[derive(Debug, Clone, Args)]
pub struct RedactArgs {
    /// The text: plain, CSV, JSON, XML, HTML; `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the redacted text is written; standard output when not given
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// What stands in place of a value
    #[arg(long, value_enum, default_value_t = RedactStyle::Placeholder)]
    pub style: RedactStyle,
    /// Leave what is less sure than this, 0 to 1
    #[arg(long, value_name = "N", default_value_t = 0.5)]
    pub threshold: f32,
    /// A file with detectors of your own, beside those that come with the program
    #[arg(long, value_name = "FILE")]
    pub detectors: Vec<PathBuf>,
    /// The file with the key of the pseudonyms; made when it is not there
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

pub(super) fn run(args: &RedactArgs, machine: &Machine, output: &mut Output<'_>) -> Result<bool> {
    if args.to.as_ref() == Some(&args.file) {
        return Err(CliError::Usage(
            "--to names the file itself; write the redacted text beside it".to_owned(),
        ));
    }
    let bytes = read(&args.file)?;
    let name = args.file.display().to_string();
    let mut options = Options::new(scan::key(args.key.as_ref(), machine, output)?);
    options.min_confidence = args.threshold;
    // A line that says `allow` is no reason to hand the value out.
    options.inline_allow = false;
    let scanner = Scanner::new(setup::detectors(&args.detectors, false)?, options)?;
    let head = bytes.get(..bytes.len().min(4_096)).unwrap_or_default();
    let kind = document::scan(&scanner, &name, head, &Limits::default()).kind;
    if !matches!(kind, Kind::Text | Kind::Xml | Kind::Html | Kind::Empty) {
        return Err(CliError::Usage(format!(
            "{name} is {}; only texts are redacted (plain, CSV, JSON, XML, HTML in UTF-8)",
            kind.as_str()
        )));
    }
    let style = match args.style {
        RedactStyle::Placeholder => Style::Placeholder,
        RedactStyle::Pseudonym => Style::Pseudonym,
        RedactStyle::Form => Style::FormatPreserving,
    };
    let done = redact::text(&scanner, &Source::file(&name), &bytes, style)
        .map_err(|error| CliError::Usage(format!("{name}: {error}")))?;
    match &args.to {
        None => output.out.write_all(&done.bytes)?,
        Some(to) => write(to, &done.bytes)?,
    }
    output.out.flush()?;
    let total: u64 = done.replaced.values().sum();
    if output.is_json() {
        output.say(&json!({ "replaced": total, "by_detector": done.replaced }).to_string())?;
    } else {
        output.say(&format!("replaced {total} values"))?;
        for (detector, count) in &done.replaced {
            output.say(&format!("  {count:>6}  {detector}"))?;
        }
    }
    Ok(true)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let fail = |why: String| {
        CliError::Setup(SetupError::File {
            file: file.to_owned(),
            why,
        })
    };
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(MOST_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(fail(format!("more than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(bytes)
}

/// A file of that name must not be there: what is redacted is rarely what one wants to lose.
fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(to)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| {
            CliError::Setup(SetupError::File {
                file: to.to_owned(),
                why: error.to_string(),
            })
        })
}
