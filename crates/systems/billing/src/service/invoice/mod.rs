//! Invoices: drafted from usage rows, finalised from events, sealed in the ledger.

mod draft;
mod export;
mod finalise;
mod inspect;
mod settle;

use std::sync::Arc;

use sealwright_access::TenantDirectory;
use sealwright_core::{Clock, TenantId, TenantScope, UnixMicros};
use sealwright_events::History;
use sealwright_ledger::Ledger;
use sealwright_store::Store;

use super::BillingError;
use super::price_book::PriceBookService;
use super::usage::{UsageService, month_start, next_month};
use crate::model::{Invoice, InvoiceId, Span};
use crate::store::invoice as rows;
pub use draft::rated;
pub(crate) use inspect::usage_amount;
pub use inspect::{Estimate, MOST_MONTHS};
pub use rows::Filter;

/// What invoices need to know of the installation's configuration.
#[derive(Debug, Clone, Copy)]
pub struct InvoiceTerms {
    /// Days from the end of the period to the due date.
    pub due_days: i64,
}

impl Default for InvoiceTerms {
    fn default() -> Self {
        Self { due_days: 30 }
    }
}

/// Makes and keeps invoices.
pub struct InvoiceService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    usage: UsageService,
    books: PriceBookService,
    history: Arc<dyn History>,
    directory: TenantDirectory,
    terms: InvoiceTerms,
}

/// What [`InvoiceService::generate`] did for one tenant's period.
#[derive(Debug)]
pub struct Generated {
    /// Whose.
    pub tenant: TenantId,
    /// The period.
    pub period: Span,
    /// The invoice, or why there is none.
    pub result: Result<Invoice, BillingError>,
}

impl InvoiceService {
    /// Puts the service together.
    #[allow(
        clippy::too_many_arguments,
        reason = "called once, where the program is wired"
    )]
    pub fn new(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        usage: UsageService,
        books: PriceBookService,
        history: Arc<dyn History>,
        directory: TenantDirectory,
        terms: InvoiceTerms,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            usage,
            books,
            history,
            directory,
            terms,
        }
    }

    /// One invoice.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when it is not there or not in the scope.
    pub async fn find(&self, scope: TenantScope, id: InvoiceId) -> Result<Invoice, BillingError> {
        rows::find(&self.store, scope, id)
            .await?
            .ok_or_else(|| BillingError::NotFound(format!("the invoice {id}")))
    }

    /// Invoices, newest first.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(
        &self,
        scope: TenantScope,
        filter: &Filter,
    ) -> Result<Vec<Invoice>, BillingError> {
        Ok(rows::list(&self.store, scope, filter).await?)
    }

    /// Count and total of the invoices of a span, by state and currency.
    ///
    /// # Errors
    /// From the state.
    pub async fn totals(
        &self,
        scope: TenantScope,
        span: Span,
    ) -> Result<Vec<(crate::model::InvoiceState, String, u64, i64)>, BillingError> {
        Ok(rows::totals(&self.store, scope, span).await?)
    }

    /// How many events came after the invoice had been finalised.
    ///
    /// # Errors
    /// From the state.
    pub async fn late_events(&self, id: InvoiceId) -> Result<u64, BillingError> {
        Ok(crate::store::usage::count_late(&self.store, &id.to_string()).await?)
    }

    /// Drafts (or drafts anew) the invoices of the UTC month that holds `at`, for one tenant or for all that
    /// are on a price book; with `finalise` freezes those whose period is over. A tenant whose price
    /// book changed inside the month gets one invoice a part, with fees by share of the month.
    ///
    /// One tenant's failure does not keep the others from theirs.
    ///
    /// # Errors
    /// From the state, before any invoice is touched.
    pub async fn generate(
        &self,
        tenant: Option<TenantId>,
        at: UnixMicros,
        finalise: bool,
        actor: &str,
    ) -> Result<Vec<Generated>, BillingError> {
        let month = Span {
            from: month_start(at),
            to: next_month(at),
        };
        let mut tenants: Vec<TenantId> = match tenant {
            Some(tenant) => vec![tenant],
            None => {
                let all = self.books.subscriptions(TenantScope::All).await?;
                all.into_iter()
                    .filter(|s| s.from < month.to)
                    .map(|s| s.tenant)
                    .collect()
            }
        };
        tenants.dedup();
        if finalise {
            self.history
                .catch_up()
                .await
                .map_err(|error| BillingError::Lake(error.to_string()))?;
        }
        let mut generated = Vec::new();
        for tenant in tenants {
            for period in self.parts(tenant, month).await? {
                let result = self.one(tenant, period, finalise, actor).await;
                generated.push(Generated {
                    tenant,
                    period,
                    result,
                });
            }
        }
        Ok(generated)
    }

    async fn one(
        &self,
        tenant: TenantId,
        period: Span,
        finalise: bool,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        let drafted = self.draft(tenant, period, actor).await?;
        if finalise && drafted.state == crate::model::InvoiceState::Draft {
            return self
                .finalise(TenantScope::One(tenant), drafted.document.id, None, actor)
                .await;
        }
        Ok(drafted)
    }

    /// The parts of a month in which a tenant's price book stays the same.
    async fn parts(&self, tenant: TenantId, month: Span) -> Result<Vec<Span>, BillingError> {
        let changes =
            crate::store::price_book::subscriptions_in(&self.store, tenant, month).await?;
        let before =
            crate::store::price_book::subscription_at(&self.store, tenant, month.from).await?;
        let mut starts: Vec<UnixMicros> = before.map(|_| month.from).into_iter().collect();
        starts.extend(changes.iter().map(|change| change.from));
        let mut parts = Vec::new();
        for (index, from) in starts.iter().enumerate() {
            let to = starts.get(index + 1).copied().unwrap_or(month.to);
            parts.push(Span { from: *from, to });
        }
        Ok(parts)
    }
}
