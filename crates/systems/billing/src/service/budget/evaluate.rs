//! What is used of budgets now, and the thresholds that this crosses.

use sealwright_core::{Digest, TenantScope, UnixMicros};
use sealwright_ledger::EntryDraft;
use sealwright_money::Decimal;
use serde_json::json;

use super::{BudgetService, Standing};
use crate::model::Span;
use crate::model::budget::{Budget, Crossing, Measure};
use crate::service::usage::{UsageQuery, month_start, next_month};
use crate::service::{BillingError, tell};
use crate::store::budget as rows;

/// The actor of what evaluation does.
const ACTOR: &str = "system:billing-budget";

impl BudgetService {
    /// Evaluates the budgets of a scope by the usage rows as they are, keeps the crossings, and lets the
    /// request path see the result. Returns how they stand.
    ///
    /// Cost: a rating of the tenant's month for each budget in money, an indexed read for each quantity.
    ///
    /// # Errors
    /// From the state. What keeps a single budget from being known is in its [`Standing`].
    pub async fn stand(&self, scope: TenantScope) -> Result<Vec<Standing>, BillingError> {
        let now = self.clock.now();
        let month = Span {
            from: month_start(now),
            to: next_month(now),
        };
        let metered_through = self.usage.metered_through().await?;
        let mut standings = Vec::new();
        for budget in rows::list(&self.store, scope).await? {
            let used = match self.used(&budget, month).await {
                Ok(used) => Ok(used),
                Err(error @ (BillingError::Store(_) | BillingError::Ledger(_))) => {
                    return Err(error);
                }
                Err(BillingError::NotFound(what)) => Err(format!("{what} was not found")),
                Err(error) => Err(error.to_string()),
            };
            let standing = Standing {
                unit: self.unit(&budget),
                budget,
                month,
                used,
                at: now,
            };
            standings.push(standing);
        }
        // The request path first: a stop must not wait for its record.
        self.board.put(scope.tenant(), standings.clone());
        for standing in &standings {
            if let Ok(used) = standing.used {
                self.cross(standing, used, metered_through, now).await?;
            }
        }
        Ok(standings)
    }

    pub(super) fn unit(&self, budget: &Budget) -> String {
        match (&budget.terms.currency, &budget.terms.measure) {
            (Some(currency), _) => currency.clone(),
            (None, Measure::Meter(key)) => {
                let meters = self.usage.meters().current();
                meters
                    .definition(key)
                    .map_or_else(String::new, |def| def.unit.clone())
            }
            (None, Measure::Amount) => String::new(),
        }
    }

    /// What was used of a budget in a month.
    pub(super) async fn used(&self, budget: &Budget, month: Span) -> Result<Decimal, BillingError> {
        match &budget.terms.measure {
            Measure::Amount => {
                let estimate = self.invoices.estimate(budget.tenant, month).await?;
                let rated = estimate.amount.currency().code();
                let wanted = budget.terms.currency.as_deref().unwrap_or_default();
                if rated != wanted {
                    return Err(BillingError::Invalid(format!(
                        "the budget is in {wanted} and the price book in {rated}"
                    )));
                }
                Ok(estimate.amount.to_decimal())
            }
            Measure::Meter(key) => {
                let query = UsageQuery {
                    meter: Some(key.clone()),
                    ..UsageQuery::over(month)
                };
                let scope = TenantScope::One(budget.tenant);
                let points = self.usage.summary(scope, &query).await?;
                let quantity = points.first().and_then(|point| point.quantity.as_deref());
                match quantity {
                    Some(text) => sealwright_money::exact::parse(text)
                        .map_err(|error| BillingError::Invalid(error.to_string())),
                    // No event came: of what adds up nothing was used, of a level nothing is known.
                    None if self.adds_up(key) => Ok(Decimal::ZERO),
                    None => Err(BillingError::NotReady(format!(
                        "no value of {key} came this month"
                    ))),
                }
            }
        }
    }

    pub(super) fn adds_up(&self, meter: &str) -> bool {
        let meters = self.usage.meters().current();
        meters
            .definition(meter)
            .is_some_and(|def| crate::service::meter::adds_up(def.aggregation))
    }

    /// Keeps each threshold that is reached, once in its month: row, ledger entry and notice in one
    /// transaction.
    async fn cross(
        &self,
        standing: &Standing,
        used: Decimal,
        metered_through: u64,
        now: UnixMicros,
    ) -> Result<(), BillingError> {
        let budget = &standing.budget;
        for (kind, percent) in budget.terms.thresholds() {
            let fired = (budget.id, standing.month.from, kind, percent);
            if !budget.terms.reached(used, percent) || self.known(&fired) {
                continue;
            }
            let crossing = Crossing {
                budget: budget.id,
                tenant: budget.tenant,
                measure: budget.terms.measure.clone(),
                month: standing.month.from,
                kind,
                percent,
                used: used.normalize().to_string(),
                limit: budget.terms.limit.clone(),
                unit: standing.unit.clone(),
                crossed_at: now,
                metered_through,
                ledger_entry: None,
            };
            let mut tx = self.store.begin().await?;
            if !rows::cross(&mut tx, &crossing).await? {
                tx.rollback().await?;
                self.remember(fired);
                continue;
            }
            let details = json!({
                "measure": crossing.measure, "month": crossing.month.to_string(),
                "kind": kind, "percent": percent, "used": crossing.used,
                "limit": crossing.limit, "unit": crossing.unit,
                "metered_through": metered_through,
            });
            let entry = EntryDraft::new(ACTOR, "billing.budget.cross", budget.id.to_string())
                .tenant(budget.tenant)
                .after(Digest::of_json(
                    &json!({ "budget": budget.id, "crossing": details }),
                ))
                .details(details);
            let entry = self.ledger.record(&mut tx, &entry).await?;
            rows::seal(&mut tx, &crossing, &entry.to_string()).await?;
            if let Some(outbox) = &self.outbox {
                outbox.enqueue(&mut tx, &tell::crossed(&crossing)).await?;
            }
            tx.commit().await?;
            self.ledger.nudge();
            self.remember(fired);
            tracing::info!(tenant = %budget.tenant, budget = %budget.id, percent, kind = kind.name(),
                "a budget's threshold was crossed");
        }
        Ok(())
    }
}
