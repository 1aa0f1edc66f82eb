//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use sealwright_access::cli::AccessCommand;
use sealwright_billing::cli::{BillingCommand, Needs};
use sealwright_config::{Config, Inputs, Loaded};
use sealwright_dlp::cli::DlpCommand;
use sealwright_lake::api::{Eraser as _, NewErasure};
use sealwright_lake::cli::LakeCommand;
use sealwright_ledger::cli::LedgerCommand;
use sealwright_siem::cli::SiemCommand;
use sealwright_telemetry::{LogStyle, Metrics, Options, Otlp, Telemetry};

use crate::database::Database;
use crate::erasure::EraseEverywhere;
use crate::installation::{Installation, State, lake_place};
use crate::serve::Server;
use crate::store_migrate::{self, StoreCommand};
use crate::{backup, demo, docs, doctor, verify, worker};

/// Run a multi-tenant SaaS, and prove how it was run.
#[derive(Debug, Parser)]
#[command(name = "sealwright", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The data folder
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A configuration file instead of ./sealwright.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How data is printed
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs
    Json,
    /// Comma-separated values, where a command has rows
    Csv,
    /// SARIF 2.1.0, where a command has findings
    Sarif,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: everything on one machine
    Serve {
        /// The address and port
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
    },
    Worker(worker::WorkerArgs),
    Demo(demo::DemoArgs),
    /// Usage, meters, price books, invoices
    Billing {
        #[command(subcommand)]
        command: BillingCommand,
    },
    /// Find sensitive data, hold it, keep it no longer than allowed
    Dlp {
        #[command(subcommand)]
        command: DlpCommand,
    },
    /// Detection: rules, alerts, incidents, hunting
    Siem {
        #[command(subcommand)]
        command: SiemCommand,
    },
    /// The stored events: ask, keep, erase
    Lake {
        #[command(subcommand)]
        command: LakeCommand,
    },
    /// The ledger of what was done
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Tenants, users, API keys
    Access {
        #[command(subcommand)]
        command: AccessCommand,
    },
    /// Scheduled work
    Jobs {
        #[command(subcommand)]
        command: sealwright_jobs::cli::JobsCommand,
    },
    /// Notifications: channels, rules, deliveries
    Notify {
        #[command(subcommand)]
        command: sealwright_notify::cli::NotifyCommand,
    },
    /// Prometheus as a source of events
    Prometheus {
        #[command(subcommand)]
        command: sealwright_prometheus::cli::PrometheusCommand,
    },
    Verify(verify::VerifyArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    /// The database of the state
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    Doctor(doctor::DoctorArgs),
    /// Settings: what is in force and where it comes from
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    Docs(docs::DocsArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting, its value and its source; secrets are not shown
    Show,
}

/// Parses, runs, and says what went wrong.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(cli)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(&format!("\n  because {cause}"));
        }
    }
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(2)
}

fn loaded(cli: &Cli, more: &[(&str, &str, Option<&String>)]) -> Result<Loaded> {
    let mut flags = Vec::new();
    if let Some(data) = &cli.data {
        flags.push((
            "--data".to_owned(),
            "data.folder".to_owned(),
            data.display().to_string(),
        ));
    }
    for (flag, key, value) in more {
        if let Some(value) = value {
            flags.push(((*flag).to_owned(), (*key).to_owned(), (*value).clone()));
        }
    }
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(Loaded::read(&Inputs {
        file: cli.config.clone(),
        env,
        flags,
    })?)
}

pub(crate) fn telemetry(config: &Config, filter: Option<&str>) -> Result<Telemetry> {
    let style = match config.telemetry.format {
        sealwright_config::LogFormat::Auto => LogStyle::detect(),
        sealwright_config::LogFormat::Text => LogStyle::Text { colour: false },
        sealwright_config::LogFormat::Json => LogStyle::Json,
    };
    let endpoint = &config.telemetry.otlp_endpoint;
    Ok(sealwright_telemetry::init(&Options {
        filter: filter.unwrap_or(&config.telemetry.filter).to_owned(),
        style,
        otlp: (!endpoint.is_empty()).then(|| Otlp {
            endpoint: endpoint.clone(),
            sample_per_mille: config.telemetry.sample_per_mille,
        }),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })?)
}

async fn run(cli: Cli) -> Result<bool> {
    let json = cli.output == Output::Json;
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    let has_findings = matches!(&cli.command, Command::Dlp { command } if command.has_findings());
    if cli.output == Output::Sarif && !has_findings {
        anyhow::bail!("this command has no findings, so it has no SARIF; use --output json");
    }
    match &cli.command {
        Command::Docs(args) => {
            out.write_all(docs::page(args)?.as_bytes())?;
            return Ok(true);
        }
        Command::Verify(args) => return verify::run(args, json, &mut out),
        Command::Billing { command } if command.needs() == Needs::Nothing => {
            let mut output = sealwright_billing::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
                terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
            };
            return Ok(sealwright_billing::cli::run_offline(command, &mut output)?);
        }
        Command::Dlp { command } if command.needs() == sealwright_dlp::cli::Needs::Nothing => {
            return dlp_offline(command, None, cli.output, &mut out, &mut err);
        }
        Command::Siem { command } if command.offline() => {
            let mut output = sealwright_siem::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
            };
            return Ok(sealwright_siem::cli::run_offline(command, &mut output)?);
        }
        _ => {}
    }
    let listen = match &cli.command {
        Command::Serve { listen } => listen.clone(),
        Command::Demo(args) => args.listen.clone(),
        _ => None,
    };
    let loaded = loaded(&cli, &[("--listen", "listen.address", listen.as_ref())])?;
    let config = loaded.config.clone();
    match cli.command {
        Command::Serve { .. } => {
            let telemetry = telemetry(&config, None)?;
            let metrics = Metrics::install(env!("CARGO_PKG_VERSION"))?;
            let server = Server::start(Installation::open(config).await?, metrics).await?;
            say_where(&server, &mut err).await?;
            server.run().await?;
            tokio::task::spawn_blocking(|| telemetry.shutdown()).await?;
            Ok(true)
        }
        Command::Worker(args) => {
            let telemetry = telemetry(&config, None)?;
            worker::run(&args, config, &mut err).await?;
            tokio::task::spawn_blocking(|| telemetry.shutdown()).await?;
            Ok(true)
        }
        Command::Demo(args) => {
            let telemetry = telemetry(&config, Some("warn"))?;
            let done = Box::pin(demo::run(&args, config, cli.data.as_deref(), &mut out)).await?;
            tokio::task::spawn_blocking(|| telemetry.shutdown()).await?;
            Ok(done)
        }
        Command::Config {
            command: ConfigCommand::Show,
        } => {
            if json {
                writeln!(out, "{}", sealwright_config::show_json(&loaded))?;
            } else {
                out.write_all(sealwright_config::show_table(&loaded).as_bytes())?;
            }
            Ok(true)
        }
        Command::Backup(args) => {
            Box::pin(backup::run(&args, &loaded, json, &mut out, &mut err)).await
        }
        Command::Restore(args) => {
            Box::pin(backup::restore(&args, &loaded, json, &mut out, &mut err)).await
        }
        Command::Store { command } => {
            Box::pin(store_migrate::run(&command, &config, json, &mut out)).await
        }
        Command::Doctor(_) => doctor::run(&config, json, &mut out).await,
        Command::Ledger { mut command } => {
            command.common_mut().data = config.data.folder.clone();
            if json {
                command.common_mut().output = sealwright_ledger::cli::Output::Json;
            }
            let database = match &command {
                LedgerCommand::Show { .. } => Database::Absent,
                // Another's tree, or a copy, is no worse for lacking a database.
                LedgerCommand::Verify { .. } | LedgerCommand::Prove { .. } => {
                    Database::look(&config).await?
                }
            };
            if matches!(
                (&command, &database),
                (LedgerCommand::Verify { .. }, Database::Absent)
            ) {
                writeln!(
                    err,
                    "note: there is no database here; only the tree is checked"
                )?;
            }
            let ok = sealwright_ledger::cli::run(&command, database.of_ledger(), &mut out).await?;
            database.close().await;
            Ok(ok)
        }
        Command::Access {
            command: AccessCommand::Matrix,
        } => {
            let policies = crate::installation::policies(&config)?;
            let mut output = sealwright_access::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
            };
            sealwright_access::cli::matrix(&policies, &mut output)?;
            Ok(true)
        }
        Command::Access { command } => {
            let state = State::open(config).await?;
            let mut output = sealwright_access::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
            };
            sealwright_access::cli::run(&state.access, command, &mut output).await?;
            state.settle().await?;
            Ok(true)
        }
        Command::Lake { command } => lake(config, &command, cli.output, &mut out, &mut err).await,
        Command::Jobs { command } => {
            let installation = Installation::open(config).await?;
            let jobs = crate::scheduled::service(&installation)?;
            let mut output = sealwright_jobs::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
            };
            let stop = tokio_util::sync::CancellationToken::new();
            let yes = sealwright_jobs::cli::run(&jobs, command, &mut output, &stop).await?;
            installation.state.settle().await?;
            Ok(yes)
        }
        Command::Notify { command } => {
            let state = State::open(config).await?;
            let mut secret = first_line;
            let mut output = sealwright_notify::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
                secret: &mut secret,
            };
            let yes = sealwright_notify::cli::run(&state.notify, command, &mut output).await?;
            state.settle().await?;
            Ok(yes)
        }
        Command::Prometheus { command } => {
            Box::pin(prometheus(config, command, json, &mut out, &mut err)).await
        }
        Command::Billing { command } => {
            let mut output = sealwright_billing::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
                terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
            };
            Box::pin(billing(config, &command, &mut output)).await
        }
        Command::Dlp { command } => {
            Box::pin(dlp(config, &command, cli.output, &mut out, &mut err)).await
        }
        Command::Siem { command } => {
            let installation = Installation::open(config).await?;
            installation.consume().await?;
            let mut output = sealwright_siem::cli::Output {
                out: &mut out,
                err: &mut err,
                json,
            };
            let yes = sealwright_siem::cli::run(&installation.siem, &command, &mut output).await?;
            installation.state.settle().await?;
            Ok(yes)
        }
        Command::Docs(_) | Command::Verify(_) => Ok(true),
    }
}

/// The first line of standard input, for secrets.
fn first_line() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}

/// Prometheus's commands on the data folder; with the log only where one writes events.
async fn prometheus(
    config: Config,
    command: sealwright_prometheus::cli::PrometheusCommand,
    json: bool,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    let mut secret = first_line;
    let mut output = sealwright_prometheus::cli::Output {
        out,
        err,
        json,
        secret: &mut secret,
    };
    if !command.pulls() {
        let state = State::open(config).await?;
        let service = &state.prometheus;
        let yes = sealwright_prometheus::cli::run(service, None, command, &mut output).await?;
        state.settle().await?;
        return Ok(yes);
    }
    let installation = Installation::open(config).await?;
    let puller = crate::prometheus::puller(&installation);
    let service = &installation.state.prometheus;
    let yes = sealwright_prometheus::cli::run(service, Some(&puller), command, &mut output).await?;
    installation.consume().await?;
    installation.state.settle().await?;
    Ok(yes)
}

/// Billing's commands on the data folder; with the log and the lake only where a command needs them.
async fn billing(
    config: Config,
    command: &BillingCommand,
    output: &mut sealwright_billing::cli::Output<'_>,
) -> Result<bool> {
    if command.needs() == Needs::State {
        let state = State::open(config).await?;
        let services = crate::systems::billing_services(&state, None);
        let yes = sealwright_billing::cli::run(&services, command, output).await?;
        state.settle().await?;
        return Ok(yes);
    }
    let installation = Installation::open(config).await?;
    installation.consume().await?;
    let services = crate::systems::billing_services(&installation.state, Some(&installation));
    let yes = sealwright_billing::cli::run(&services, command, output).await?;
    installation.consume().await?;
    installation.state.settle().await?;
    Ok(yes)
}

/// Data-loss prevention on files: nothing is opened but what the command names.
fn dlp_offline(
    command: &DlpCommand,
    config: Option<&Config>,
    output: Output,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    use sealwright_core::Clock as _;
    use sealwright_dlp::cli::Machine;
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let machine = Machine {
        now: sealwright_core::SystemClock.now(),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        key: home.map(|home| home.join(".local/state/sealwright/dlp-fingerprint.key")),
        buckets: match config {
            None => None,
            Some(config) => Some((
                crate::dlp::buckets(config)?,
                tokio::runtime::Handle::current(),
            )),
        },
        lake: config.map(crate::stored::open),
    };
    let mut output = sealwright_dlp::cli::Output {
        out: &mut std::io::BufWriter::new(out),
        err,
        form: dlp_form(output),
        terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
    };
    let yes = sealwright_dlp::cli::run_offline(command, &machine, &mut output)?;
    output.out.flush()?;
    Ok(yes)
}

const fn dlp_form(output: Output) -> sealwright_dlp::cli::Form {
    use sealwright_dlp::cli::Form;
    match output {
        Output::Json => Form::Json,
        Output::Sarif => Form::Sarif,
        Output::Table | Output::Csv => Form::Table,
    }
}

/// Data-loss prevention on the data folder, or on buckets alone.
async fn dlp(
    config: Config,
    command: &DlpCommand,
    output: Output,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    if command.needs() == sealwright_dlp::cli::Needs::Buckets {
        return tokio::task::block_in_place(|| {
            dlp_offline(command, Some(&config), output, out, err)
        });
    }
    let state = State::open(config).await?;
    let services = sealwright_dlp::cli::Services {
        dlp: state.dlp.clone(),
        directory: state.access.directory().clone(),
        clock: std::sync::Arc::clone(&state.clock),
    };
    let mut output = sealwright_dlp::cli::Output {
        out,
        err,
        form: dlp_form(output),
        terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
    };
    let yes = sealwright_dlp::cli::run(&services, command, &mut output).await?;
    state.settle().await?;
    Ok(yes)
}

async fn lake(
    config: Config,
    command: &LakeCommand,
    output: Output,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    let format = match output {
        Output::Table | Output::Sarif => sealwright_lake::cli::Output::Table,
        Output::Json => sealwright_lake::cli::Output::Json,
        Output::Csv => sealwright_lake::cli::Output::Csv,
    };
    if let LakeCommand::Erase(args) = command {
        let installation = Arc::new(Installation::open(config).await?);
        let new = NewErasure {
            tenant: args.tenant.clone(),
            subject: args.subject.clone(),
            reason: args.reason.clone(),
        };
        let by = sealwright_access::Principal::local();
        let done = EraseEverywhere(Arc::clone(&installation))
            .erase(&by, &new)
            .await
            .map_err(|problem| anyhow::anyhow!(problem.detail))?;
        installation.state.settle().await?;
        return Ok(sealwright_lake::cli::erased(&done, format, out, err)?);
    }
    let place = lake_place(&config);
    if let LakeCommand::Retain(args) = command
        && args.apply
    {
        // The whole state is taken: nobody opens a matter in another process beside it.
        let installation = Installation::open(config).await?;
        let state = &installation.state;
        let told = sealwright_lake::cli::Told {
            to: None,
            tenant: None,
            now: state.clock.now(),
            holds: Some(state.dlp.register.as_ref()),
        };
        return Ok(
            sealwright_lake::cli::run(&installation.lake, command, told, format, out, err).await?,
        );
    }
    let clock: Arc<dyn sealwright_core::Clock> = Arc::new(sealwright_core::SystemClock);
    let asks = command.tenant().is_some() || matches!(command, LakeCommand::Retain(_));
    let store = if asks {
        Some(sealwright_store::Store::open(&crate::installation::store_url(&config)?).await?)
    } else {
        None
    };
    let tenant = match (command.tenant(), &store) {
        (Some(name), Some(store)) => {
            let directory = sealwright_access::TenantDirectory::default();
            directory
                .refresh(store)
                .await
                .context("the tenants cannot be read")?;
            directory.resolve(name).map(|tenant| tenant.id)
        }
        _ => None,
    };
    let lake = if command.writes() {
        sealwright_lake::Lake::open(place).await?
    } else {
        sealwright_lake::Lake::open_read_only(place).await?
    };
    let now = clock.now();
    let holds = store.map(|store| sealwright_dlp::service::register::HoldBook::new(store, clock));
    let to = match command {
        LakeCommand::Move(args) => Some(crate::installation::place_named(&config, &args.to)),
        _ => None,
    };
    let told = sealwright_lake::cli::Told {
        to: to.as_ref(),
        tenant,
        now,
        holds: holds.as_ref().map(|one| one as _),
    };
    Ok(sealwright_lake::cli::run(&lake, command, told, format, out, err).await?)
}

/// Says where the server listens, and at the first start the link that makes the owner.
pub(crate) async fn say_where(server: &Server, err: &mut dyn Write) -> Result<()> {
    let installation = server.installation();
    writeln!(err, "listening on {}", server.url)?;
    if let Some(token) = installation.state.access.first_link().await? {
        writeln!(err, "first sign-in (once): {}/welcome/{token}", server.url)?;
    }
    let _ = server.address;
    Ok(())
}
