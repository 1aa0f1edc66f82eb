//! `sealwright dlp …`: on files alone, or on the data folder.

mod detector;
mod erasure;
mod hold;
mod output;
mod place;
mod quarantine;
mod redact;
mod retention;
mod scan;
mod state;
mod treatment;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use sealwright_core::UnixMicros;

use crate::model::allow::AllowError;
use crate::service::bucket::Buckets;
use crate::service::git::GitError;
use crate::service::setup::SetupError;
pub use detector::{DetectorCommand, RuleFormat};
pub use erasure::ErasureCommand;
pub use hold::HoldCommand;
pub use output::{Form, Output};
pub use place::PlaceCommand;
pub use quarantine::QuarantineCommand;
pub use redact::{RedactArgs, RedactStyle};
pub use retention::RetentionCommand;
pub use scan::ScanArgs;
pub use state::{Person, Services};
pub use treatment::TreatmentCommand;

/// Find sensitive data, hold it, keep it no longer than allowed
#[derive(Debug, Clone, Subcommand)]
pub enum DlpCommand {
    /// Find secrets and personal, financial and health data in files; answers no (1) when something is found
    Scan(ScanArgs),
    /// Replace what is found in texts and documents
    Redact(RedactArgs),
    /// What is looked for
    Detector {
        /// What about it.
        #[command(subcommand)]
        command: DetectorCommand,
    },
    /// Open findings in buckets; answers no (1) when there are some
    Findings,
    /// Which keys of which buckets belong to whom, and scans of them
    Place {
        /// What about them.
        #[command(subcommand)]
        command: PlaceCommand,
    },
    /// Legal holds
    Hold {
        /// What about them.
        #[command(subcommand)]
        command: HoldCommand,
    },
    /// What was taken away
    Quarantine {
        /// What about it.
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// What was written anew: redacted, or encrypted
    Treatment {
        /// What about it.
        #[command(subcommand)]
        command: TreatmentCommand,
    },
    /// How long what is kept
    Retention {
        /// What about it.
        #[command(subcommand)]
        command: RetentionCommand,
    },
    /// Requests for erasure
    Erasure {
        /// What about them.
        #[command(subcommand)]
        command: ErasureCommand,
    },
}

/// What a command needs to be opened before it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing but the files that it names: [`run_offline`].
    Nothing,
    /// The object store of the configuration, besides files: [`run_offline`].
    Buckets,
    /// The state of the data folder, and the object store: [`run`].
    State,
}

impl DlpCommand {
    /// What must be open.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Self::Scan(args) if args.paths.iter().any(|path| scan::is_remote(path)) => {
                Needs::Buckets
            }
            Self::Redact(args) if args.needs_state() => Needs::State,
            Self::Scan(_) | Self::Redact(_) | Self::Detector { .. } => Needs::Nothing,
            _ => Needs::State,
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
    /// A use case.
    #[error(transparent)]
    Dlp(#[from] crate::service::DlpError),
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
#[derive(Clone)]
pub struct Machine {
    /// The present.
    pub now: UnixMicros,
    /// How many threads may work.
    pub threads: usize,
    /// Where the key of fingerprints is kept when no `--key` is given.
    pub key: Option<PathBuf>,
    /// The object stores for addresses of buckets, and the runtime to wait on; with [`Needs::Buckets`].
    pub buckets: Option<(Arc<dyn Buckets>, tokio::runtime::Handle)>,
    /// Opens the stored events of a tenant, or of each; with [`Needs::Buckets`].
    pub lake: Option<OpenLake>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("now", &self.now)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Stored events by name, each a line of JSON; of one tenant, or of every one.
pub type OpenLake = Arc<
    dyn Fn(
            Option<&str>,
        ) -> std::result::Result<Vec<(String, Box<dyn std::io::Read + Send>)>, String>
        + Send
        + Sync,
>;

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
        _ => Err(CliError::Usage(
            "this command needs a data folder".to_owned(),
        )),
    }
}

/// Runs a command on the data folder ([`Needs::State`]).
///
/// # Errors
/// What could not be done.
pub async fn run(
    services: &Services,
    command: &DlpCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        DlpCommand::Findings => state::findings(services, output).await,
        DlpCommand::Place { command } => place::run(services, command, output).await,
        DlpCommand::Hold { command } => hold::run(services, command, output).await,
        DlpCommand::Quarantine { command } => quarantine::run(services, command, output).await,
        DlpCommand::Retention { command } => retention::run(services, command, output).await,
        DlpCommand::Erasure { command } => erasure::run(services, command, output).await,
        DlpCommand::Treatment { command } => treatment::run(services, command, output).await,
        DlpCommand::Redact(args) if args.needs_state() => {
            redact::run_with_state(services, args, output).await
        }
        DlpCommand::Scan(_) | DlpCommand::Redact(_) | DlpCommand::Detector { .. } => Err(
            CliError::Usage("this command needs no data folder".to_owned()),
        ),
    }
}
