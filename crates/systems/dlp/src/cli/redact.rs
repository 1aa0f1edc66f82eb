//! `dlp redact`: texts and documents without what was found in them, and the way back.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use sealwright_scan::document::Limits;
use sealwright_scan::redact::{Redacted, Redactor, Style};
use sealwright_scan::{FingerprintKey, Options, Scanner};
use serde_json::json;

use super::state::{Person, Services};
use super::{CliError, Machine, Output, Result, scan};
use crate::service::redaction::About;
use crate::service::setup::{self, SetupError};

/// The largest document that is redacted.
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
    /// The text or document: plain, CSV, JSON, XML, HTML, RTF, mail, DOCX, XLSX, PPTX, ODT, zip, PDF; `-` for
    /// standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the result is written; standard output when not given
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
    /// Keep each value enciphered in its placeholder, under the tenant's key; an entry of the ledger says so
    #[arg(
        long,
        requires = "tenant",
        requires = "reason",
        conflicts_with = "style"
    )]
    pub reversible: bool,
    /// Bring the values back that `--reversible` took out; an entry of the ledger says so
    #[arg(long, requires = "tenant", requires = "reason",
        conflicts_with_all = ["reversible", "style", "threshold", "detectors", "key"])]
    pub restore: bool,
    /// Whose key
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub by: Person,
}

impl RedactArgs {
    /// Whether the state is needed: for the tenant's key and the ledger.
    pub(super) const fn needs_state(&self) -> bool {
        self.reversible || self.restore
    }
}

pub(super) fn run(args: &RedactArgs, machine: &Machine, output: &mut Output<'_>) -> Result<bool> {
    let (bytes, name) = given(args)?;
    let key = scan::key(args.key.as_ref(), machine, output)?;
    let scanner = scanner(args, key)?;
    let style = match args.style {
        RedactStyle::Placeholder => Style::Placeholder,
        RedactStyle::Pseudonym => Style::Pseudonym,
        RedactStyle::Form => Style::FormatPreserving,
    };
    let done = Redactor::new(&scanner, style)
        .limits(limits())
        .document(&name, &bytes)
        .map_err(|error| CliError::Usage(format!("{name}: {error}")))?;
    give(args, &done, output)
}

/// With `--reversible` and `--restore`: the key is a tenant's, and the ledger knows of it before the result is
/// given.
pub(super) async fn run_with_state(
    services: &Services,
    args: &RedactArgs,
    output: &mut Output<'_>,
) -> Result<bool> {
    let (bytes, name) = given(args)?;
    let tenant = services.tenant(args.tenant.as_deref().unwrap_or_default())?;
    let actor = args.by.actor();
    let about = About {
        tenant,
        name: &name,
        reason: args.reason.as_deref().unwrap_or_default(),
        actor: &actor,
    };
    if args.restore {
        let done = services.dlp.redaction.restore(about, &bytes).await?;
        put(args, &done.bytes, output)?;
        let told = json!({ "restored": done.restored, "refused": done.refused });
        output.say(&if output.is_json() {
            told.to_string()
        } else {
            format!(
                "restored {} values; {} are of another key",
                done.restored, done.refused
            )
        })?;
        return Ok(done.refused == 0);
    }
    // Fingerprints are not shown, so their key is of no consequence here.
    let key = services.dlp.keys.of(tenant).await?;
    let scanner = scanner(args, key)?;
    let done = services.dlp.redaction.hide(about, &scanner, &bytes).await?;
    give(args, &done, output)
}

fn given(args: &RedactArgs) -> Result<(Vec<u8>, String)> {
    if args.to.as_ref() == Some(&args.file) {
        return Err(CliError::Usage(
            "--to names the file itself; write the result beside it".to_owned(),
        ));
    }
    Ok((read(&args.file)?, args.file.display().to_string()))
}

fn limits() -> Limits {
    Limits {
        expanded: MOST_BYTES,
        entry: MOST_BYTES,
        ..Limits::default()
    }
}

fn scanner(args: &RedactArgs, key: FingerprintKey) -> Result<Scanner> {
    let mut options = Options::new(key);
    options.min_confidence = args.threshold;
    // A line that says `allow` is no reason to hand the value out.
    options.inline_allow = false;
    let detectors = setup::detectors(&args.detectors, false)?;
    Ok(Scanner::new(detectors, options)?)
}

fn put(args: &RedactArgs, bytes: &[u8], output: &mut Output<'_>) -> Result<()> {
    match &args.to {
        None => output.out.write_all(bytes)?,
        Some(to) => write(to, bytes)?,
    }
    Ok(output.out.flush()?)
}

fn give(args: &RedactArgs, done: &Redacted, output: &mut Output<'_>) -> Result<bool> {
    put(args, &done.bytes, output)?;
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
