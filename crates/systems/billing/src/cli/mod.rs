//! `sealwright billing …`: on the data folder, or on files alone.

mod anomaly;
mod budget;
mod invoice;
mod meter;
mod output;
mod price_book;
mod rate;
mod subscription;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use sealwright_access::TenantDirectory;
use sealwright_core::{Clock, TenantId, TenantScope, UnixMicros};

use crate::service::BillingError;
use crate::service::anomaly::AnomalyService;
use crate::service::budget::BudgetService;
use crate::service::import::{ImportError, Importer};
use crate::service::invoice::InvoiceService;
use crate::service::price_book::PriceBookService;
use crate::service::usage::UsageService;
pub use anomaly::AnomalyCommand;
pub use budget::BudgetCommand;
pub use invoice::InvoiceCommand;
pub use meter::MeterCommand;
pub use output::Output;
pub use price_book::PriceBookCommand;
pub use rate::RateArgs;
pub use subscription::SubscriptionCommand;
pub use usage::{ImportArgs, ShowArgs, TopArgs, UsageCommand};

/// Who the ledger names for what a command did.
pub const ACTOR: &str = "local:cli";

/// Usage, meters, price books, invoices, budgets, anomalies
#[derive(Debug, Clone, Subcommand)]
pub enum BillingCommand {
    /// Rate a usage file with a plan file; needs no data folder
    Rate(RateArgs),
    /// Metered usage
    Usage {
        /// What about it.
        #[command(subcommand)]
        command: UsageCommand,
    },
    /// What is counted, and how
    Meter {
        /// What about it.
        #[command(subcommand)]
        command: MeterCommand,
    },
    /// Price books and their versions
    PriceBook {
        /// What about them.
        #[command(subcommand)]
        command: PriceBookCommand,
    },
    /// Which tenant is on which price book
    Subscription {
        /// What about it.
        #[command(subcommand)]
        command: SubscriptionCommand,
    },
    /// Invoices
    Invoice {
        /// What about them.
        #[command(subcommand)]
        command: InvoiceCommand,
    },
    /// What tenants may use in a month
    Budget {
        /// What about it.
        #[command(subcommand)]
        command: BudgetCommand,
    },
    /// Usage out of the ordinary
    Anomaly {
        /// What about it.
        #[command(subcommand)]
        command: AnomalyCommand,
    },
}

/// What a command needs to be opened before it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing but the files that it names: [`run_offline`].
    Nothing,
    /// The state of the data folder.
    State,
    /// The state, the log and the lake.
    Everything,
}

impl BillingCommand {
    /// What must be open.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Rate(_)
            | Self::PriceBook {
                command: PriceBookCommand::Check { .. },
            } => Needs::Nothing,
            Self::Usage { .. }
            | Self::Invoice { .. }
            | Self::Budget { .. }
            | Self::Anomaly { .. } => Needs::Everything,
            Self::Meter { .. } | Self::PriceBook { .. } | Self::Subscription { .. } => Needs::State,
        }
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// From billing.
    #[error(transparent)]
    Billing(#[from] BillingError),
    /// From an import.
    #[error(transparent)]
    Import(#[from] ImportError),
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
    /// What was asked is not possible; the text says what to do.
    #[error("{0}")]
    Usage(String),
}

/// The result of a command: `true` exits with 0, `false` (the answer is no) with 1, an error with 2.
pub type Result<T> = std::result::Result<T, CliError>;

/// What the commands work with.
#[derive(Clone)]
pub struct Services {
    /// Usage and meters.
    pub usage: UsageService,
    /// Price books and subscriptions.
    pub books: PriceBookService,
    /// Tenants by name.
    pub directory: TenantDirectory,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Invoices; with [`Needs::Everything`].
    pub invoices: Option<Arc<InvoiceService>>,
    /// Budgets; with [`Needs::Everything`].
    pub budgets: Option<Arc<BudgetService>>,
    /// Anomalies.
    pub anomalies: AnomalyService,
    /// Imports; with [`Needs::Everything`].
    pub importer: Option<Importer>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    fn tenant(&self, name: &str) -> Result<TenantId> {
        self.directory
            .resolve(name)
            .map(|tenant| tenant.id)
            .ok_or_else(|| {
                CliError::Usage(format!(
                    "there is no tenant `{name}`\nhint: `sealwright access tenant create {name}` makes one"
                ))
            })
    }

    fn scope(&self, name: Option<&str>) -> Result<TenantScope> {
        name.map_or(Ok(TenantScope::All), |name| {
            Ok(TenantScope::One(self.tenant(name)?))
        })
    }

    /// How people call a tenant.
    fn slug(&self, id: TenantId) -> String {
        self.directory
            .get(id)
            .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone())
    }
}

/// Runs a command that needs nothing but files ([`Needs::Nothing`]).
///
/// # Errors
/// What could not be done.
pub fn run_offline(command: &BillingCommand, output: &mut Output<'_>) -> Result<bool> {
    match command {
        BillingCommand::Rate(args) => rate::run(args, output),
        BillingCommand::PriceBook {
            command: PriceBookCommand::Check { file },
        } => price_book::check(file, output),
        _ => Err(CliError::Usage(
            "this command needs a data folder".to_owned(),
        )),
    }
}

/// Runs any command.
///
/// # Errors
/// What could not be done.
pub async fn run(
    services: &Services,
    command: &BillingCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        BillingCommand::Rate(_) => run_offline(command, output),
        BillingCommand::Usage { command } => usage::run(services, command, output).await,
        BillingCommand::Meter { command } => meter::run(services, command, output).await,
        BillingCommand::PriceBook { command } => price_book::run(services, command, output).await,
        BillingCommand::Subscription { command } => {
            subscription::run(services, command, output).await
        }
        BillingCommand::Invoice { command } => invoice::run(services, command, output).await,
        BillingCommand::Budget { command } => budget::run(services, command, output).await,
        BillingCommand::Anomaly { command } => anomaly::run(services, command, output).await,
    }
}

/// A moment as people write it: RFC 3339, a day or a month (their first moment in UTC).
fn moment(text: &str) -> std::result::Result<UnixMicros, String> {
    let full = match text.len() {
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    UnixMicros::parse_rfc3339(&full).map_err(|_| {
        "give a time (2026-11-01T00:00:00Z), a day (2026-11-01) or a month (2026-11)".to_owned()
    })
}

/// Reads a text file of at most `limit` bytes.
fn read_text(file: &Path, limit: usize) -> Result<String> {
    use std::io::Read as _;
    let fail = |detail: String| CliError::File {
        file: file.to_owned(),
        detail,
    };
    let open = std::fs::File::open(file).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Vec::new();
    open.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(error.to_string()))?;
    if bytes.len() > limit {
        return Err(fail(format!("the file has more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        fail(format!(
            "the file is not UTF-8: the bytes from {} on are no text",
            error.utf8_error().valid_up_to()
        ))
    })
}
