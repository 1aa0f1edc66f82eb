//! `sealwright siem …`: on files alone, or on the data folder.

mod alert;
mod convert;
mod eval;
mod explain;
mod files;
mod hunt;
mod import;
mod incident;
mod lint;
mod output;
mod rule;
mod test;

use std::path::PathBuf;

use clap::Subcommand;
use sealwright_core::TenantScope;

pub use alert::AlertCommand;
pub use convert::{ConvertArgs, To};
pub use eval::EvalArgs;
pub use explain::ExplainArgs;
pub use hunt::{DeadLetterCommand, HuntArgs, RetroArgs};
pub use import::ImportArgs;
pub use incident::IncidentCommand;
pub use lint::LintArgs;
pub use output::Output;
pub use rule::RuleCommand;
pub use test::TestArgs;

use crate::api::Siem;
use crate::service::SiemError;

/// Who the ledger names for what a command did.
pub const ACTOR: &str = "local:cli";

/// Detection: rules, alerts, incidents, hunting
#[derive(Debug, Clone, Subcommand)]
pub enum SiemCommand {
    /// Evaluate rules over event files; needs no data folder
    Eval(EvalArgs),
    /// Check rule files; needs no data folder
    Lint(LintArgs),
    /// Run the tests beside rules; needs no data folder
    Test(TestArgs),
    /// Write rules as Elastic or Splunk queries; needs no data folder
    Convert(ConvertArgs),
    /// Say why a rule matches an event or does not; needs no data folder
    Explain(ExplainArgs),
    /// Alerts
    Alert {
        /// What about them.
        #[command(subcommand)]
        command: AlertCommand,
    },
    /// Rules and what is set for them
    Rule {
        /// What about them.
        #[command(subcommand)]
        command: RuleCommand,
    },
    /// Incidents
    Incident {
        /// What about them.
        #[command(subcommand)]
        command: IncidentCommand,
    },
    /// Import files of events into the log
    Import(ImportArgs),
    /// Look for stored events
    Hunt(HuntArgs),
    /// Run rules over stored history, as the stream would have
    Retro(RetroArgs),
    /// Events that could not be evaluated
    DeadLetter {
        /// What about them.
        #[command(subcommand)]
        command: DeadLetterCommand,
    },
}

impl SiemCommand {
    /// Whether the command needs nothing but the files that it names: [`run_offline`].
    pub fn offline(&self) -> bool {
        matches!(
            self,
            Self::Eval(_) | Self::Lint(_) | Self::Test(_) | Self::Convert(_) | Self::Explain(_)
        )
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The answer could not be written.
    #[error("the answer could not be written: {0}")]
    Write(#[from] std::io::Error),
    /// A file could not be read.
    #[error("{}: {detail}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        detail: String,
    },
    /// A file has faults, each located.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    /// What was asked is not possible; the text says what to do.
    #[error("{0}")]
    Usage(String),
    /// From detection.
    #[error(transparent)]
    Siem(#[from] SiemError),
}

/// The result of a command: `true` exits with 0, `false` (the answer is no) with 1, an error with 2.
pub type Result<T> = std::result::Result<T, CliError>;

/// Runs a command that needs nothing but files.
///
/// # Errors
/// What could not be done.
pub fn run_offline(command: &SiemCommand, output: &mut Output<'_>) -> Result<bool> {
    match command {
        SiemCommand::Eval(args) => eval::run(args, output),
        SiemCommand::Lint(args) => lint::run(args, output),
        SiemCommand::Test(args) => test::run(args, output),
        SiemCommand::Convert(args) => convert::run(args, output),
        SiemCommand::Explain(args) => explain::run(args, output),
        _ => Err(CliError::Usage(
            "this command needs a data folder".to_owned(),
        )),
    }
}

/// Runs any command.
///
/// # Errors
/// What could not be done.
pub async fn run(siem: &Siem, command: &SiemCommand, output: &mut Output<'_>) -> Result<bool> {
    match command {
        SiemCommand::Alert { command } => alert::run(siem, command, output).await,
        SiemCommand::Rule { command } => rule::run(siem, command, output).await,
        SiemCommand::Incident { command } => incident::run(siem, command, output).await,
        SiemCommand::Import(args) => import::run(siem, args, output).await,
        SiemCommand::Hunt(args) => hunt::hunt(siem, args, output).await,
        SiemCommand::Retro(args) => hunt::retro(siem, args, output).await,
        SiemCommand::DeadLetter { command } => hunt::dead_letter(siem, command, output).await,
        offline => run_offline(offline, output),
    }
}

/// The scope of a command: one tenant by name, or all.
fn scope(siem: &Siem, name: Option<&str>) -> Result<TenantScope> {
    let Some(name) = name else {
        return Ok(TenantScope::All);
    };
    siem.directory
        .resolve(name)
        .map(|tenant| TenantScope::One(tenant.id))
        .ok_or_else(|| {
            CliError::Usage(format!(
                "there is no tenant `{name}`\nhint: `sealwright access tenant list` names those there are"
            ))
        })
}
