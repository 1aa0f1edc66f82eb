//! `sealwright demo`: a full worked example in a temporary folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use sealwright_access::{NewTenant, Principal};
use sealwright_billing::model::budget::{BudgetTerms, Measure};
use sealwright_billing::model::{InvoiceState, Span};
use sealwright_billing::service::usage::{month_start, next_month};
use sealwright_config::Config;
use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_events::History as _;
use sealwright_intake::AppendOptions;
use sealwright_rating::Format;
use sealwright_telemetry::Metrics;

use super::attack::{self, Pace};
use super::data::{self, DemoEvents};
use super::protect;
use super::spend;
use super::tenants::{REGIONS, TENANTS};
use crate::installation::Installation;
use crate::serve::Server;

/// Fill a temporary installation with a worked example, and serve it
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArgs {
    /// Do everything, print the summary and exit
    #[arg(long)]
    once: bool,
    /// The address and port
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

const PLANS: [(&str, &str); 3] = [
    (
        "starter.toml",
        include_str!("../../../../examples/plans/starter.toml"),
    ),
    (
        "professional.toml",
        include_str!("../../../../examples/plans/professional.toml"),
    ),
    (
        "enterprise.toml",
        include_str!("../../../../examples/plans/enterprise.toml"),
    ),
];

pub(super) const ACTOR: &str = "system:demo";

/// Whose workstation is attacked: a place in [`TENANTS`].
const ATTACKED: usize = 1;

/// Who runs into its budget: one that has no other.
const SPENDER: usize = 13;

/// A folder that goes with the demo, unless the caller named one.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// What was made, in numbers.
struct Summary {
    events: u64,
    seconds: f64,
    invoices: Vec<(InvoiceState, String, u64, i64)>,
    ledger: u64,
}

/// Fills the folder (once) and serves it.
pub(crate) async fn run(
    args: &DemoArgs,
    mut config: Config,
    named: Option<&Path>,
    out: &mut (dyn Write + Send),
) -> Result<bool> {
    let folder = Folder {
        path: named.map_or_else(
            || std::env::temp_dir().join(format!("sealwright-demo-{}", std::process::id())),
            Path::to_owned,
        ),
        temporary: named.is_none(),
    };
    config.data.folder.clone_from(&folder.path);
    if config.dlp.s3_access_key.is_empty() && config.dlp.folder.as_os_str().is_empty() {
        config.dlp.folder = folder.path.join("objects");
    }
    // A program of the example that is told by webhook listens on this machine.
    if config.notify.private_targets.is_empty() {
        "loopback".clone_into(&mut config.notify.private_targets);
    }
    let metrics = Metrics::install(env!("CARGO_PKG_VERSION"))?;
    let installation = Installation::open(config).await?;
    let fresh = installation.state.access.directory().all().is_empty();
    if !fresh {
        writeln!(
            out,
            "{} holds an installation already; it is served as it is",
            folder.path.display()
        )?;
    }
    if args.once {
        if fresh {
            show(&fill(&installation, Consumers::Here).await?, out)?;
            protect::play(&installation, attacked(&installation)?, out).await?;
            attack::play(&installation, attacked(&installation)?, Pace::AtOnce).await?;
            installation.consume().await?;
            installation.siem.detection.tick().await?;
            show_alerts(&installation, out).await?;
        }
        installation.state.settle().await?;
        return Ok(true);
    }
    let server = Server::start(installation, metrics).await?;
    let installation = Arc::clone(server.installation());
    match installation.state.access.first_link().await? {
        Some(token) => writeln!(
            out,
            "open {}/welcome/{token}\n(a link for one use: it makes you the owner)\n",
            server.url
        )?,
        None => writeln!(out, "open {}/console\n", server.url)?,
    }
    out.flush()?;
    let server_url = server.url.clone();
    // The pages are there while the example is metered, so that one can watch.
    let filling = async {
        if fresh {
            show(&fill(&installation, Consumers::Server).await?, out)?;
            protect::play(&installation, attacked(&installation)?, out).await?;
            writeln!(
                out,
                "an attack on a workstation begins: watch {}/console/siem",
                server_url
            )?;
            out.flush()?;
            // The example stands without them.
            let attack = async {
                let tenant = attacked(&installation)?;
                attack::play(&installation, tenant, Pace::Live).await
            };
            let attack = attack.inspect_err(|error| {
                tracing::error!(%error, "the attack could not be played");
            });
            let spender = TENANTS.get(SPENDER).context("a tenant of the example")?;
            let tenant = tenant_of(&installation, SPENDER)?;
            let spend = spend::play(&installation, tenant, spender.name, out);
            let spend = spend.inspect_err(|error| {
                tracing::error!(%error, "the budget could not be played");
            });
            // Each is told of when it fails; the other goes on.
            let _ = tokio::join!(attack, spend);
        }
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        stopped = server.run() => stopped?,
        failed = filling => failed?,
    }
    drop(folder);
    Ok(true)
}

fn attacked(installation: &Installation) -> Result<TenantId> {
    tenant_of(installation, ATTACKED)
}

fn tenant_of(installation: &Installation, place: usize) -> Result<TenantId> {
    let demo = TENANTS.get(place).context("a tenant of the example")?;
    let tenant = installation.state.access.directory().resolve(demo.slug);
    Ok(tenant.context("a tenant of the example")?.id)
}

async fn show_alerts(installation: &Installation, out: &mut (dyn Write + Send)) -> Result<()> {
    let filter = sealwright_siem::store::alert::Filter {
        limit: 20,
        ..Default::default()
    };
    let alerts = installation
        .siem
        .alerts
        .list(TenantScope::All, &filter)
        .await?;
    for alert in &alerts {
        writeln!(
            out,
            "alert {:<13} {} ({} matches)",
            alert.severity.name(),
            alert.body.rule.title,
            alert.matches
        )?;
    }
    Ok(())
}

/// Who lets the log's events take effect.
#[derive(Clone, Copy)]
enum Consumers {
    /// This task: no server runs.
    Here,
    /// The server's background tasks.
    Server,
}

impl Consumers {
    /// Returns when everything in the log has been metered and is in the lake.
    async fn done(self, installation: &Installation) -> Result<()> {
        const WITHOUT_PROGRESS: Duration = Duration::from_secs(120);
        let Self::Server = self else {
            return installation.consume().await;
        };
        let head = installation.events.head().await?;
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let metered = installation.state.usage.metered_through().await?;
            if metered >= head {
                return Ok(installation.history.catch_up().await?);
            }
            if metered > before {
                (before, since) = (metered, Instant::now());
            } else if since.elapsed() > WITHOUT_PROGRESS {
                bail!("metering stands at event {metered} of {head}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn fill(installation: &Installation, consumers: Consumers) -> Result<Summary> {
    let started = Instant::now();
    let state = &installation.state;
    let now = state.clock.now();
    let events = DemoEvents::new(now)?;
    let from = month_start(events.from());
    let tenants = tenants(installation, from).await?;
    let total = events.total() as u64;
    append(installation, events, &tenants).await?;
    consumers.done(installation).await?;
    invoices(installation, from, now).await?;
    budgets(installation, &tenants, now).await?;
    state.anomalies.evaluate(TenantScope::All, ACTOR).await?;
    state.settle().await?;
    let everything = sealwright_billing::model::Span {
        from,
        to: next_month(now),
    };
    Ok(Summary {
        events: total,
        seconds: started.elapsed().as_secs_f64(),
        invoices: installation
            .invoices
            .totals(TenantScope::All, everything)
            .await?,
        ledger: state.ledger.size(),
    })
}

/// Price books, tenants, and who is on which.
async fn tenants(installation: &Installation, from: UnixMicros) -> Result<Vec<TenantId>> {
    let state = &installation.state;
    for (file, text) in PLANS {
        state
            .books
            .publish(file, text, Format::Toml, ACTOR)
            .await
            .context(file)?;
    }
    let by = Principal::system("demo");
    let mut ids = Vec::with_capacity(TENANTS.len());
    for demo in TENANTS {
        let new = NewTenant {
            slug: demo.slug.to_owned(),
            name: Some(demo.name.to_owned()),
            plan: Some(demo.plan.to_owned()),
            region: REGIONS
                .get(demo.home)
                .map(|(region, _)| (*region).to_owned()),
        };
        let tenant = state
            .access
            .create_tenant(&by, new)
            .await
            .context(demo.slug)?;
        state
            .books
            .subscribe(tenant.id, demo.plan, None, from, ACTOR)
            .await
            .context(demo.slug)?;
        ids.push(tenant.id);
    }
    Ok(ids)
}

async fn append(
    installation: &Installation,
    events: DemoEvents,
    tenants: &[TenantId],
) -> Result<()> {
    /// Batches on their way at the same time: they share commits.
    const AT_ONCE: usize = 16;
    let bar = ProgressBar::new(events.total() as u64).with_style(ProgressStyle::with_template(
        "metering the example {bar:30} {human_pos}/{human_len} events",
    )?);
    let options = AppendOptions {
        accept_history: true,
    };
    stream::iter(events)
        .map(|batch| {
            let bar = &bar;
            async move {
                let batch = batch?;
                let tenant = *tenants
                    .get(batch.tenant)
                    .context("a tenant of the example")?;
                let receipt = installation
                    .intake
                    .append_events(tenant, &batch.events, options)
                    .await?;
                if receipt.accepted + receipt.duplicates != batch.events.len() as u64 {
                    bail!("the example's events were refused: {receipt:?}");
                }
                bar.inc(batch.events.len() as u64);
                Ok(())
            }
        })
        .buffered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    bar.finish_and_clear();
    Ok(())
}

/// Whole months are finalised, the oldest one is mostly paid, the present one is a draft.
async fn invoices(installation: &Installation, from: UnixMicros, now: UnixMicros) -> Result<()> {
    let service = &installation.invoices;
    let mut month = from;
    let mut first = true;
    while month <= now {
        let over = next_month(month) <= now;
        let generated = service.generate(None, month, over, ACTOR).await?;
        for (number, one) in generated.into_iter().enumerate() {
            let invoice = one
                .result
                .with_context(|| format!("invoice of {}", one.tenant))?;
            // Every fourth customer of the example pays late.
            if over && first && number % 4 != 3 {
                let scope = TenantScope::One(one.tenant);
                let reference = format!("example transfer {number}");
                service
                    .pay(scope, invoice.document.id, None, &reference, ACTOR)
                    .await?;
            }
        }
        first = false;
        month = next_month(month);
    }
    service.mark_overdue(ACTOR).await?;
    Ok(())
}

/// Every third tenant has a budget: what last month cost, times a factor of its own, so that some are on their way
/// through the thresholds while the month goes on.
async fn budgets(installation: &Installation, tenants: &[TenantId], now: UnixMicros) -> Result<()> {
    let this = month_start(now);
    let last = Span {
        from: month_start(this.plus(-1)),
        to: this,
    };
    for (number, tenant) in tenants.iter().enumerate().step_by(3) {
        let cost = installation.invoices.estimate(*tenant, last).await?.amount;
        let percent = [125, 80, 100, 60][(number / 3) % 4];
        let minor = cost.minor().saturating_mul(percent) / 100;
        // A round figure, as a person would set it; a tenant that cost nothing has none.
        let round = (minor / 1_000).max(1) * 1_000;
        if cost.minor() == 0 {
            continue;
        }
        let limit = sealwright_money::Money::from_minor(round, cost.currency());
        let code = cost.currency().code();
        let terms = BudgetTerms::new(Measure::Amount, &limit.amount(), Some(code));
        installation
            .budgets
            .set(*tenant, terms, None, ACTOR)
            .await?;
    }
    Ok(())
}

fn show(summary: &Summary, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "{} tenants, {} events in {:.1} s",
        TENANTS.len(),
        summary.events,
        summary.seconds
    )?;
    for (state, currency, count, minor) in &summary.invoices {
        let currency = sealwright_money::Currency::from_code(currency)?;
        let total = sealwright_money::Money::from_minor(*minor, currency);
        writeln!(
            out,
            "{count:>4} invoices {:<10} {:>14} {}",
            state.name(),
            total.amount(),
            currency.code()
        )?;
    }
    writeln!(out, "{} entries in the ledger", summary.ledger)?;
    writeln!(out, "\n{}", data::RULE)?;
    Ok(())
}
