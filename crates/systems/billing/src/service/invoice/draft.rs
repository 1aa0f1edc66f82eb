//! A draft shows the period as metered so far.

use sealwright_core::{Digest, TenantId, TenantScope, UnixMicros};
use sealwright_rating::model::proration::Share;
use sealwright_rating::{Context, Plan, Rated, Usage, rate_with};
use sealwright_store::StoreError;

use super::InvoiceService;
use crate::model::{
    INVOICE_SCHEMA, Invoice, InvoiceDocument, InvoiceId, InvoiceState, InvoicedTenant,
    PriceBookRef, Span, UsageEntry,
};
use crate::service::BillingError;
use crate::service::usage::{UsageQuery, month_start, next_month};
use crate::store::invoice as rows;

impl InvoiceService {
    /// The draft of a tenant's period as of now; one that is there is brought up to date, one that is
    /// finalised already is returned as it is.
    ///
    /// # Errors
    /// When the tenant is on no price book, or the usage cannot be rated.
    pub async fn draft(
        &self,
        tenant: TenantId,
        period: Span,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        let there = rows::of_period(&self.store, tenant, period).await?;
        if let Some(invoice) = &there
            && invoice.state != InvoiceState::Draft
        {
            return Ok(invoice.clone());
        }
        let (usage, events) = self.usage_rows(tenant, period).await?;
        let now = self.clock.now();
        let id = there
            .as_ref()
            .map_or_else(|| InvoiceId::new(now), |old| old.document.id);
        let document = self.document(id, tenant, period, usage, 0, events).await?;
        let (text, digest) = sealed(&document)?;
        let invoice = Invoice {
            tenant,
            period,
            state: InvoiceState::Draft,
            revision: there.as_ref().map_or(1, |old| old.revision + 1),
            total_minor: total_minor(&document.rated)?,
            document,
            digest,
            created_at: there.as_ref().map_or(now, |old| old.created_at),
            finalised_at: None,
            due_at: None,
            settled_at: None,
            ledger_entry: None,
        };
        let mut tx = self.store.begin().await?;
        match &there {
            Some(old) if old.digest == digest => {
                tx.rollback().await?;
                return Ok(old.clone());
            }
            Some(old) => rows::update(&mut tx, &invoice, &text, old.revision).await?,
            None => match rows::insert(&mut tx, &invoice, &text).await {
                // Somebody else drafted the same period a moment ago.
                Err(StoreError::Constraint(_)) => return Err(StoreError::Contended.into()),
                other => other?,
            },
        }
        tx.commit().await?;
        tracing::debug!(invoice = %id, actor, "drafted");
        Ok(invoice)
    }

    /// Usage of the period from the usage rows, each set of dimension values by itself, and the
    /// events behind all of it.
    pub(super) async fn usage_rows(
        &self,
        tenant: TenantId,
        period: Span,
    ) -> Result<(Vec<UsageEntry>, u64), BillingError> {
        let meters = self.usage.meters().current();
        let mut group_by: Vec<String> = meters
            .definitions
            .iter()
            .flat_map(|def| def.dimensions.keys().cloned())
            .collect();
        group_by.sort_unstable();
        group_by.dedup();
        let query = UsageQuery {
            group_by,
            ..UsageQuery::over(period)
        };
        let points = self.usage.summary(TenantScope::One(tenant), &query).await?;
        let mut entries: Vec<UsageEntry> = points
            .into_iter()
            .filter_map(|point| {
                Some(UsageEntry {
                    meter: point.meter,
                    dimensions: point.dimensions,
                    quantity: point.quantity?,
                    unit: point.unit,
                    events: point.events.unwrap_or(0),
                    root: None,
                })
            })
            .collect();
        entries.sort_by(|a, b| (&a.meter, &a.dimensions).cmp(&(&b.meter, &b.dimensions)));
        let events = entries.iter().map(|entry| entry.events).sum();
        Ok((entries, events))
    }

    /// The document of an invoice that has these usage rows.
    pub(super) async fn document(
        &self,
        id: InvoiceId,
        tenant: TenantId,
        period: Span,
        usage: Vec<UsageEntry>,
        events_through: u64,
        events: u64,
    ) -> Result<InvoiceDocument, BillingError> {
        let (book, plan) = self.books.plan_at(tenant, period.from).await?;
        let known = self
            .directory
            .get(tenant)
            .ok_or_else(|| BillingError::NotFound(format!("the tenant {tenant}")))?;
        let share = share_of(period);
        let rated = rated(&plan, &usage, share.as_deref())?;
        Ok(InvoiceDocument {
            schema: INVOICE_SCHEMA.to_owned(),
            id,
            number: None,
            tenant: InvoicedTenant {
                id: tenant,
                slug: known.slug.clone(),
                name: known.name.clone(),
            },
            period_from: period.from.to_string(),
            period_to: period.to.to_string(),
            share,
            issued_at: None,
            due_at: None,
            price_book: PriceBookRef { ..book.reference },
            meters_digest: self.usage.meters().current().digest,
            events_through,
            events,
            usage,
            rated,
        })
    }
}

/// The part of its UTC month that a period is, as `numerator/denominator` in seconds; `None` for a whole month.
pub(super) fn share_of(period: Span) -> Option<String> {
    let month = Span {
        from: month_start(period.from),
        to: next_month(period.from),
    };
    if month == period {
        return None;
    }
    let seconds = |span: Span| span.to.since(span.from) / sealwright_core::clock::SECOND;
    Some(format!("{}/{}", seconds(period), seconds(month)))
}

/// Rates usage rows; `share` as in the document.
///
/// # Errors
/// When a quantity or the share is malformed, or rating fails.
pub fn rated(
    plan: &Plan,
    usage: &[UsageEntry],
    share: Option<&str>,
) -> Result<Rated, BillingError> {
    let mut rows = Vec::with_capacity(usage.len());
    for entry in usage {
        let quantity = sealwright_money::exact::parse(&entry.quantity)
            .map_err(|error| BillingError::Invalid(format!("{}: {error}", entry.meter)))?;
        let mut row = Usage::new(&entry.meter, quantity);
        row.dimensions.clone_from(&entry.dimensions);
        rows.push(row);
    }
    let share = match share {
        None => Share::WHOLE,
        Some(text) => parse_share(text)
            .ok_or_else(|| BillingError::Invalid(format!("`{text}` is not a share of a period")))?,
    };
    Ok(rate_with(plan, &rows, Context { share })?)
}

fn parse_share(text: &str) -> Option<Share> {
    let (part, whole) = text.split_once('/')?;
    Share::new(part.parse().ok()?, whole.parse().ok()?).ok()
}

/// The document's text for the store, and its digest.
pub(super) fn sealed(document: &InvoiceDocument) -> Result<(String, Digest), BillingError> {
    let damaged = |detail: String| BillingError::Damaged {
        what: "invoice",
        detail,
    };
    let bytes = document
        .canonical()
        .map_err(|error| damaged(error.to_string()))?;
    let digest = Digest::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    Ok((text, digest))
}

pub(super) fn total_minor(rated: &Rated) -> Result<i64, BillingError> {
    sealwright_money::Money::parse(&rated.total, rated.currency)
        .map(sealwright_money::Money::minor)
        .map_err(|error| BillingError::Invalid(error.to_string()))
}

/// RFC 3339 at the precision of a second, for dates that people read.
pub(super) fn to_second(at: UnixMicros) -> String {
    UnixMicros(at.0 - at.0.rem_euclid(sealwright_core::clock::SECOND)).to_string()
}
