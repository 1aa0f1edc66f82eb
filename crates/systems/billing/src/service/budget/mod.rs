//! Budgets: their terms, what is used of them, and the thresholds on the way.

mod board;
mod evaluate;
mod project;
mod watch;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use sealwright_core::{Clock, Digest, TenantId, TenantScope, UnixMicros};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_notify::Outbox;
use sealwright_store::Store;
use serde_json::json;

use super::BillingError;
use super::invoice::InvoiceService;
use super::usage::UsageService;
use crate::model::Span;
use crate::model::budget::{
    Budget, BudgetId, BudgetTerms, Crossing, Decision, Measure, ThresholdKind,
};
use crate::store::budget as rows;
pub use board::{Board, BoardPolicy, Checked, CheckedBudget, Standing};
pub use project::{PROJECTION_LEVEL, Projection, ProjectionDay};
pub use watch::{BudgetWatch, Touched};

/// One budget's threshold in one month.
type Fired = (BudgetId, UnixMicros, ThresholdKind, u32);

/// Keeps budgets and says how they stand.
pub struct BudgetService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    usage: UsageService,
    invoices: Arc<InvoiceService>,
    board: Arc<Board>,
    touched: Arc<Touched>,
    /// Crossings that this process knows to be kept; the store's key decides, this spares asking it.
    fired: Mutex<HashSet<Fired>>,
    outbox: Option<Arc<dyn Outbox>>,
}

impl std::fmt::Debug for BudgetService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BudgetService").finish_non_exhaustive()
    }
}

impl BudgetService {
    /// Puts the service together. `touched` is told by metering which tenants used something.
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        usage: UsageService,
        invoices: Arc<InvoiceService>,
        touched: Arc<Touched>,
        policy: BoardPolicy,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            usage,
            invoices,
            board: Arc::new(Board::new(policy)),
            touched,
            fired: Mutex::default(),
            outbox: None,
        }
    }

    /// The same, and tells of each threshold that is crossed.
    #[must_use]
    pub fn telling(mut self, outbox: Arc<dyn Outbox>) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// What the request path asks.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// All budgets of a scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(&self, scope: TenantScope) -> Result<Vec<Budget>, BillingError> {
        Ok(rows::list(&self.store, scope).await?)
    }

    /// Crossings of the months that start in `span`, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn crossings(
        &self,
        scope: TenantScope,
        span: Span,
        limit: u32,
    ) -> Result<Vec<Crossing>, BillingError> {
        Ok(rows::crossings(&self.store, scope, (span.from, span.to), limit).await?)
    }

    /// Sets a tenant's budget for the measure of `terms`; the same terms again change nothing. With `revision`
    /// only if that is still the newest.
    ///
    /// # Errors
    /// [`BillingError::Invalid`], [`BillingError::NotFound`] for an unknown meter, [`BillingError::Stale`].
    pub async fn set(
        &self,
        tenant: TenantId,
        terms: BudgetTerms,
        revision: Option<i64>,
        actor: &str,
    ) -> Result<Budget, BillingError> {
        let terms = terms.checked().map_err(BillingError::Invalid)?;
        if let Measure::Meter(key) = &terms.measure {
            let meters = self.usage.meters().current();
            if meters.definition(key).is_none() {
                return Err(BillingError::NotFound(format!("the meter `{key}`")));
            }
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let there = rows::find(&mut tx, tenant, &terms.measure).await?;
        if let Some(seen) = revision
            && there.as_ref().map_or(0, |budget| budget.revision) != seen
        {
            return Err(BillingError::Stale { seen });
        }
        let budget = match &there {
            Some(budget) if budget.terms == terms => return Ok(budget.clone()),
            Some(budget) => Budget {
                terms,
                revision: budget.revision + 1,
                updated_at: now,
                updated_by: actor.to_owned(),
                ..budget.clone()
            },
            None => Budget {
                id: BudgetId::new(now),
                tenant,
                terms,
                revision: 1,
                created_at: now,
                updated_at: now,
                updated_by: actor.to_owned(),
            },
        };
        let mut entry = EntryDraft::new(actor, "billing.budget.set", budget.id.to_string())
            .tenant(tenant)
            .after(digest(&budget))
            .details(json!({ "terms": budget.terms }));
        match &there {
            None => rows::insert(&mut tx, &budget).await?,
            Some(before) => {
                entry = entry.before(digest(before));
                if !rows::update(&mut tx, &budget, before.revision).await? {
                    return Err(BillingError::Stale {
                        seen: before.revision,
                    });
                }
            }
        }
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        self.refresh(tenant).await;
        Ok(budget)
    }

    /// Removes a tenant's budget for a measure. What was crossed stays on record.
    ///
    /// # Errors
    /// [`BillingError::NotFound`], [`BillingError::Stale`].
    pub async fn remove(
        &self,
        tenant: TenantId,
        measure: &Measure,
        revision: Option<i64>,
        actor: &str,
    ) -> Result<(), BillingError> {
        let mut tx = self.store.begin().await?;
        let Some(budget) = rows::find(&mut tx, tenant, measure).await? else {
            return Err(BillingError::NotFound(format!("a budget for `{measure}`")));
        };
        let seen = revision.unwrap_or(budget.revision);
        if !rows::delete(&mut tx, budget.id, seen).await? {
            return Err(BillingError::Stale { seen });
        }
        let entry = EntryDraft::new(actor, "billing.budget.remove", budget.id.to_string())
            .tenant(tenant)
            .before(digest(&budget))
            .details(json!({ "measure": measure }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        self.refresh(tenant).await;
        Ok(())
    }

    /// Brings what the request path sees of a tenant up to its budgets, at once.
    async fn refresh(&self, tenant: TenantId) {
        if let Err(error) = self.stand(TenantScope::One(tenant)).await {
            tracing::warn!(%error, %tenant, "a changed budget takes effect at the next evaluation");
            self.touched.add([tenant], 0);
        }
    }

    fn known(&self, fired: &Fired) -> bool {
        let known = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(fired)
    }

    fn remember(&self, fired: Fired) {
        let mut known = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the present month is asked for; older ones need not stay.
        known.retain(|(_, month, ..)| *month >= fired.1);
        known.insert(fired);
    }
}

fn digest(budget: &Budget) -> Digest {
    Digest::of_json(&json!({
        "id": budget.id, "tenant": budget.tenant, "terms": budget.terms,
        "revision": budget.revision,
    }))
}

/// A decision by its name.
impl std::str::FromStr for Decision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Allow, Self::Throttle, Self::Stop]
            .into_iter()
            .find(|decision| decision.name() == text)
            .ok_or_else(|| format!("`{text}` is not allow, throttle or stop"))
    }
}
