//! `billing budget`.

use clap::Subcommand;
use sealwright_core::TenantScope;
use sealwright_money::Decimal;
use serde_json::{Value, json};

use super::{ACTOR, CliError, Output, Result, Services};
use crate::model::Span;
use crate::model::budget::{BudgetTerms, Decision, Measure};
use crate::service::budget::{BudgetService, PROJECTION_LEVEL, Projection, Standing};
use crate::service::usage::{month_start, next_month};

/// `billing budget …`
#[derive(Debug, Clone, Subcommand)]
pub enum BudgetCommand {
    /// Budgets and how they stand
    List {
        /// Only this tenant, by name or id
        #[arg(long)]
        tenant: Option<String>,
    },
    /// A tenant's budgets with projection and crossings
    Show {
        /// The tenant, by name or id
        tenant: String,
    },
    /// Set a tenant's budget for a calendar month
    Set {
        /// The tenant, by name or id
        #[arg(long)]
        tenant: String,
        /// What it limits: `amount`, or `meter:KEY`
        #[arg(long, default_value = "amount")]
        measure: Measure,
        /// What may be used in a month
        #[arg(long)]
        limit: String,
        /// The currency of an amount (ISO 4217)
        #[arg(long)]
        currency: Option<String>,
        /// Percentages at which people are told
        #[arg(long, value_delimiter = ',', default_values_t = [80, 90, 100])]
        alerts: Vec<u32>,
        /// The percentage from which on callers are told to slow down; 0 for never
        #[arg(long, default_value_t = 95)]
        throttle: u32,
        /// The percentage from which on callers are told to stop; 0 for never
        #[arg(long, default_value_t = 105)]
        stop: u32,
        /// What callers are told while usage is unknown: allow, throttle or stop
        #[arg(long, default_value = "allow")]
        when_unknown: Decision,
    },
    /// Remove a tenant's budget
    Remove {
        /// The tenant, by name or id
        #[arg(long)]
        tenant: String,
        /// What it limits: `amount`, or `meter:KEY`
        #[arg(long, default_value = "amount")]
        measure: Measure,
    },
    /// Whether a tenant may go on; exits with 1 when it may not
    Check {
        /// The tenant, by name or id
        tenant: String,
    },
}

fn text(value: Decimal) -> String {
    value.normalize().to_string()
}

fn value(services: &Services, standing: &Standing) -> Value {
    let terms = &standing.budget.terms;
    let used = standing.used.as_ref().ok().copied();
    json!({
        "id": standing.budget.id,
        "tenant": services.slug(standing.budget.tenant),
        "terms": terms,
        "unit": standing.unit,
        "month": standing.month.from.to_string(),
        "used": used.map(text),
        "percent": used.map(|used| text(terms.percent(used))),
        "headroom": used.map(|used| text(standing.left(used, 100))),
        "decision": used.map_or(terms.when_unknown, |used| terms.decide(used)),
        "unknown": standing.used.as_ref().err(),
    })
}

fn row(services: &Services, standing: &Standing) -> Vec<String> {
    let terms = &standing.budget.terms;
    let used = standing.used.as_ref().ok().copied();
    let unknown = || "unknown".to_owned();
    vec![
        services.slug(standing.budget.tenant),
        terms.measure.to_string(),
        used.map_or_else(unknown, text),
        terms.limit.clone(),
        standing.unit.clone(),
        used.map_or_else(unknown, |used| format!("{} %", text(terms.percent(used)))),
        used.map_or(terms.when_unknown, |used| terms.decide(used))
            .name()
            .to_owned(),
    ]
}

const HEADER: &[&str] = &[
    "tenant", "measure", "used", "limit", "unit", "share", "decision",
];

pub(super) async fn run(
    services: &Services,
    command: &BudgetCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let budgets = services.budgets.as_ref().ok_or_else(|| {
        CliError::Usage("budgets need the log and the lake of a data folder".to_owned())
    })?;
    match command {
        BudgetCommand::List { tenant } => {
            let scope = services.scope(tenant.as_deref())?;
            let standings = budgets.stand(scope).await?;
            if output.json {
                let all: Vec<_> = standings.iter().map(|s| value(services, s)).collect();
                output.json(&all)?;
            } else {
                let rows = standings.iter().map(|s| row(services, s));
                output.table(HEADER, &[2, 3, 5], rows)?;
            }
        }
        BudgetCommand::Show { tenant } => show(services, budgets, tenant, output).await?,
        BudgetCommand::Set {
            tenant,
            measure,
            limit,
            currency,
            alerts,
            throttle,
            stop,
            when_unknown,
        } => {
            let percent = |value: u32| (value > 0).then_some(value);
            let terms = BudgetTerms {
                measure: measure.clone(),
                limit: limit.clone(),
                currency: currency.clone(),
                alerts: alerts.clone(),
                throttle: percent(*throttle),
                stop: percent(*stop),
                when_unknown: *when_unknown,
            };
            let id = services.tenant(tenant)?;
            let set = budgets.set(id, terms, None, ACTOR).await?;
            if output.json {
                output
                    .json(&json!({ "id": set.id, "terms": set.terms, "revision": set.revision }))?;
            } else {
                output.line(&format!(
                    "{} has a budget of {} {} a month ({})",
                    services.slug(id),
                    set.terms.limit,
                    set.terms.currency.as_deref().unwrap_or_default(),
                    set.terms.measure
                ))?;
            }
        }
        BudgetCommand::Remove { tenant, measure } => {
            let id = services.tenant(tenant)?;
            budgets.remove(id, measure, None, ACTOR).await?;
            if output.json {
                output.json(&json!({ "removed": measure }))?;
            } else {
                output.line(&format!(
                    "{} has no budget for {measure}",
                    services.slug(id)
                ))?;
            }
        }
        BudgetCommand::Check { tenant } => {
            let id = services.tenant(tenant)?;
            let standings = budgets.stand(TenantScope::One(id)).await?;
            let decision = standings
                .iter()
                .map(|standing| {
                    let terms = &standing.budget.terms;
                    let used = standing.used.as_ref().ok();
                    used.map_or(terms.when_unknown, |used| terms.decide(*used))
                })
                .max()
                .unwrap_or(Decision::Allow);
            let known = standings.iter().all(|standing| standing.used.is_ok());
            if output.json {
                let all: Vec<_> = standings.iter().map(|s| value(services, s)).collect();
                output.json(&json!({ "decision": decision, "known": known, "budgets": all }))?;
            } else if known {
                output.line(decision.name())?;
            } else {
                output.line(&format!("{} (usage is not known)", decision.name()))?;
            }
            return Ok(decision != Decision::Stop);
        }
    }
    Ok(true)
}

async fn show(
    services: &Services,
    budgets: &BudgetService,
    tenant: &str,
    output: &mut Output<'_>,
) -> Result<()> {
    let id = services.tenant(tenant)?;
    let scope = TenantScope::One(id);
    let now = services.clock.now();
    let month = Span {
        from: month_start(now),
        to: next_month(now),
    };
    let standings = budgets.stand(scope).await?;
    let crossings = budgets.crossings(scope, month, 200).await?;
    let mut projections: Vec<std::result::Result<Projection, String>> = Vec::new();
    for standing in &standings {
        let projected = budgets.project(&standing.budget).await;
        projections.push(projected.map_err(|error| error.to_string()));
    }
    if output.json {
        let all: Vec<Value> = standings
            .iter()
            .zip(&projections)
            .map(|(standing, projection)| {
                let mut value = value(services, standing);
                value["projection"] = match projection.as_ref().map(Projection::end) {
                    Ok(Some(end)) => json!({
                        "end": text(end.point), "low": text(end.low), "high": text(end.high),
                        "level": PROJECTION_LEVEL,
                    }),
                    _ => Value::Null,
                };
                value
            })
            .collect();
        let crossed: Vec<Value> = crossings
            .iter()
            .map(|c| {
                json!({
                    "measure": c.measure, "kind": c.kind, "percent": c.percent, "used": c.used,
                    "limit": c.limit, "unit": c.unit, "crossed_at": c.crossed_at.to_string(),
                    "ledger_entry": c.ledger_entry,
                })
            })
            .collect();
        return output.json(&json!({ "budgets": all, "crossings": crossed }));
    }
    output.table(
        HEADER,
        &[2, 3, 5],
        standings.iter().map(|standing| row(services, standing)),
    )?;
    for (standing, projection) in standings.iter().zip(&projections) {
        let measure = &standing.budget.terms.measure;
        match projection.as_ref().map(Projection::end) {
            Ok(Some(end)) => output.line(&format!(
                "{measure}: {} {} by the end of the month ({:.0} % interval {} to {})",
                text(end.point.round_dp(2)),
                standing.unit,
                PROJECTION_LEVEL * 100.0,
                text(end.low.round_dp(2)),
                text(end.high.round_dp(2)),
            ))?,
            Ok(None) => output.line(&format!("{measure}: no projection"))?,
            Err(why) => output.line(&format!("{measure}: no projection: {why}"))?,
        }
    }
    for crossing in &crossings {
        output.line(&format!(
            "{}: {} % of {} {} crossed ({}) at {}",
            crossing.measure,
            crossing.percent,
            crossing.limit,
            crossing.unit,
            crossing.kind.name(),
            crossing.crossed_at
        ))?;
    }
    Ok(())
}
