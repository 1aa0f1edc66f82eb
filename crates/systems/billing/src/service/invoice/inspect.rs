//! What pages ask about usage and invoices beyond the invoices themselves.

use std::collections::{BTreeMap, BTreeSet};

use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_events::StoredEvent;
use sealwright_ledger::Ledger;
use sealwright_money::{Currency, Money};
use sealwright_rating::{LineKind, Plan, Rated};

use super::InvoiceService;
use super::draft::rated;
use super::finalise::queries;
use crate::model::{InvoiceId, PriceBookRef, Span, UsageEntry};
use crate::service::BillingError;
use crate::service::usage::{month_start, next_month};
use crate::verify::EvidenceEntry;

/// What the usage of a span costs by the price book of each part of it: usage lines and volume
/// discounts, without fees and minimums, which belong to whole periods.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// The amount.
    pub amount: Money,
    /// How many rated lines it is the sum of.
    pub lines: usize,
    /// What it was rated with, each price book once.
    pub books: Vec<PriceBookRef>,
    /// Meters that were used and have no price.
    pub unpriced: BTreeSet<String>,
    /// What rating warned of.
    pub warnings: Vec<String>,
}

/// Most calendar months that a span may touch to be estimated.
pub const MOST_MONTHS: usize = 4;

impl InvoiceService {
    /// The ledger that invoices are sealed in.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many events came after the invoice of their period had been finalised, by the time of
    /// the events.
    ///
    /// # Errors
    /// From the state.
    pub async fn late_between(&self, scope: TenantScope, span: Span) -> Result<u64, BillingError> {
        Ok(crate::store::usage::count_late_between(&self.store, scope, span).await?)
    }

    /// What the usage of `span` costs. Prices with tiers count from the beginning of the month,
    /// so the amount of a span is what the month costs at its end, less what it had cost at its
    /// beginning: the amounts of the days of a month sum to the month's.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when the tenant is on no price book in the span;
    /// [`BillingError::Invalid`] when the span touches more than [`MOST_MONTHS`] months or its price
    /// books have several currencies.
    pub async fn estimate(&self, tenant: TenantId, span: Span) -> Result<Estimate, BillingError> {
        let mut found: Option<(Currency, Estimate)> = None;
        let mut at = span.from;
        let mut months = 0;
        while at < span.to {
            months += 1;
            if months > MOST_MONTHS {
                return Err(BillingError::Invalid(format!(
                    "a span of more than {MOST_MONTHS} months is not rated; choose a shorter one"
                )));
            }
            let month = Span {
                from: month_start(at),
                to: next_month(at),
            };
            for part in self.parts(tenant, month).await? {
                if part.to <= span.from || part.from >= span.to {
                    continue;
                }
                self.add_part(tenant, part, span, &mut found).await?;
            }
            at = month.to;
        }
        found
            .map(|(_, estimate)| estimate)
            .ok_or_else(|| BillingError::NotFound(format!("a price book of {tenant} in this span")))
    }

    /// What a tenant's price book of now makes of its usage since that book is in force: the part of the month,
    /// the plan, and the usage rows so far. For projections.
    ///
    /// # Errors
    /// [`BillingError::NotFound`] when the tenant is on no price book now.
    pub(crate) async fn open_part(
        &self,
        tenant: TenantId,
        now: UnixMicros,
    ) -> Result<(Span, Plan, Vec<UsageEntry>), BillingError> {
        let month = Span {
            from: month_start(now),
            to: next_month(now),
        };
        let parts = self.parts(tenant, month).await?;
        let part = parts.into_iter().find(|part| part.contains(now));
        let part =
            part.ok_or_else(|| BillingError::NotFound(format!("a price book of {tenant}")))?;
        let (_, plan) = self.books.plan_at(tenant, part.from).await?;
        let (usage, _) = self.usage_rows(tenant, part).await?;
        Ok((part, plan, usage))
    }

    async fn add_part(
        &self,
        tenant: TenantId,
        part: Span,
        span: Span,
        found: &mut Option<(Currency, Estimate)>,
    ) -> Result<(), BillingError> {
        let (book, plan) = self.books.plan_at(tenant, part.from).await?;
        let currency = plan.book.currency;
        let until = Span {
            from: part.from,
            to: part.to.min(span.to),
        };
        let (usage, _) = self.usage_rows(tenant, until).await?;
        let end = rated(&plan, &usage, None)?;
        let mut amount = usage_amount(&end)?;
        if part.from < span.from {
            let before = Span {
                from: part.from,
                to: span.from,
            };
            let (usage, _) = self.usage_rows(tenant, before).await?;
            let start = usage_amount(&rated(&plan, &usage, None)?)?;
            amount = difference(amount, start)?;
        }
        let lines = end.lines.iter().filter(|line| is_usage(line.kind)).count();
        let (_, estimate) = match found {
            None => found.insert((
                currency,
                Estimate {
                    amount: Money::from_minor(0, currency),
                    lines: 0,
                    books: Vec::new(),
                    unpriced: BTreeSet::new(),
                    warnings: Vec::new(),
                },
            )),
            Some((other, _)) if *other != currency => {
                return Err(BillingError::Invalid(
                    "the price books of this span have several currencies".to_owned(),
                ));
            }
            Some(found) => found,
        };
        estimate.amount = sum(estimate.amount, amount)?;
        estimate.lines += lines;
        if !estimate.books.contains(&book.reference) {
            estimate.books.push(book.reference);
        }
        estimate
            .unpriced
            .extend(end.unpriced.iter().map(|row| row.meter.clone()));
        estimate.warnings.extend(end.warnings);
        Ok(())
    }

    /// Some of the stored events behind a usage row, in the order of the log. `entries` are of
    /// [`InvoiceService::evidence`]; an event that is not stored any more is left out.
    ///
    /// # Errors
    /// [`BillingError::Lake`] when stored events cannot be read.
    pub async fn events_of(
        &self,
        scope: TenantScope,
        id: InvoiceId,
        entries: &[EvidenceEntry],
    ) -> Result<BTreeMap<u64, StoredEvent>, BillingError> {
        const PAGE: usize = 5_000;
        let invoice = self.find(scope, id).await?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(BTreeMap::new());
        };
        let wanted: BTreeSet<u64> = entries.iter().map(|entry| entry.offset).collect();
        let meters = self.usage.meters().current();
        let mut found = BTreeMap::new();
        for mut query in queries(invoice.tenant, invoice.period, last.offset + 1, &meters) {
            // Only the span of these events: a page of evidence is a small part of a month.
            let times = || entries.iter().map(|entry| entry.time);
            query.from = times().min();
            if let Some(latest) = times().max() {
                query.to = query.to.min(latest.plus(1));
            }
            let mut start = first.offset;
            loop {
                let page = self
                    .history
                    .page(&query, start, PAGE)
                    .await
                    .map_err(|error| BillingError::Lake(error.to_string()))?;
                let Some(last) = page.last() else { break };
                start = last.offset + 1;
                let whole = page.len() == PAGE;
                let hits = page.into_iter().filter(|e| wanted.contains(&e.offset));
                found.extend(hits.map(|event| (event.offset, event)));
                if !whole || found.len() == wanted.len() {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn is_usage(kind: LineKind) -> bool {
    matches!(kind, LineKind::Usage | LineKind::Discount)
}

/// The amount of usage lines and volume discounts, without fees and minimums.
pub(crate) fn usage_amount(rated: &Rated) -> Result<Money, BillingError> {
    let mut total = Money::from_minor(0, rated.currency);
    for line in rated.lines.iter().filter(|line| is_usage(line.kind)) {
        let amount = Money::parse(&line.amount, rated.currency)
            .map_err(|error| BillingError::Invalid(error.to_string()))?;
        total = sum(total, amount)?;
    }
    Ok(total)
}

fn beyond() -> BillingError {
    BillingError::Invalid("the amount is beyond what can be counted".to_owned())
}

fn sum(a: Money, b: Money) -> Result<Money, BillingError> {
    let minor = a.minor().checked_add(b.minor()).ok_or_else(beyond)?;
    Ok(Money::from_minor(minor, a.currency()))
}

fn difference(a: Money, b: Money) -> Result<Money, BillingError> {
    let minor = a.minor().checked_sub(b.minor()).ok_or_else(beyond)?;
    Ok(Money::from_minor(minor, a.currency()))
}
