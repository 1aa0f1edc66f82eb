//! `sealwright dlp …`: on files alone, or on the data folder.

mod detector;
mod output;
mod redact;
mod scan;

use std::path::PathBuf;

use clap::Subcommand;
use sealwright_core::UnixMicros;

use crate::model::allow::AllowError;
use crate::service::git::GitError;
use crate::service::setup::SetupError;
pub use detector::{DetectorCommand, RuleFormat};
pub use output::{Form, Output};
pub use redact::{RedactArgs, RedactStyle};
pub use scan::ScanArgs;

/// Find sensitive data, hold it, keep it no longer than allowed
#[derive(Debug, Clone, Subcommand)]
pub enum DlpCommand {
    /// Find secrets and personal, financial and health data in files; answers no (1) when something is found
    Scan(ScanArgs),
    /// Replace what is found in texts
    Redact(RedactArgs),
    /// What is looked for
    Detector {
        /// What about it.
        #[command(subcommand)]
        command: DetectorCommand,
    },
}

/// What a command needs to be opened before it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing but the files that it names: [`run_offline`].
    Nothing,
}

impl DlpCommand {
    /// What must be open.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Self::Scan(_) | Self::Redact(_) | Self::Detector { .. } => Needs::Nothing,
        }
    }

    /// Whether its data can be SARIF.
    #[must_use]
    pub fn has_findings(&self) -> bool {
        matches!(self, Self::Scan(_))
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Detectors or keys.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The scanner itself.
    #[error(transparent)]
    Detector(#[from] sealwright_scan::DetectorError),
    /// Allow lists and baselines.
    #[error(transparent)]
    Allow(#[from] AllowError),
    /// A history.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}")]
    Write(#[from] std::io::Error),
    /// What was asked is not possible; the text says what to do.
    #[error("{0}")]
    Usage(String),
}

/// The result of a command: `true` exits with 0, `false` (the answer is no) with 1, an error with 2.
pub type Result<T> = std::result::Result<T, CliError>;

/// What a command on files is told about the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The present.
    pub now: UnixMicros,
    /// How many threads may work.
    pub threads: usize,
    /// Where the key of fingerprints is kept when no `--key` is given.
    pub key: Option<PathBuf>,
}

/// Runs a command that needs nothing but files ([`Needs::Nothing`]).
///
/// # Errors
/// What could not be done.
pub fn run_offline(
    command: &DlpCommand,
    machine: &Machine,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        DlpCommand::Scan(args) => scan::run(args, machine, output),
        DlpCommand::Redact(args) => redact::run(args, machine, output),
        DlpCommand::Detector { command } => detector::run(command, output),
    }
}
