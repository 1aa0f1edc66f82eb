//! Finalising: the events are read and metered once more, must agree with the usage rows, and are sealed.

use std::collections::BTreeMap;

use sealwright_core::clock::DAY;
use sealwright_core::{TenantId, TenantScope, UnixMicros};
use sealwright_events::{HistoryQuery, StoredEvent};
use sealwright_ledger::EntryDraft;
use sealwright_meter::Aggregation;
use serde_json::json;

use super::InvoiceService;
use super::draft::{sealed, to_second, total_minor};
use crate::model::{Invoice, InvoiceId, InvoiceState, Span, UsageEntry};
use crate::service::BillingError;
use crate::service::meter::MetersInForce;
use crate::store::invoice as rows;
use crate::verify::{EvidenceEntry, Remeter, RemeteredRow, evidence_root};

/// Events that are read from the history at a time.
const PAGE: usize = 10_000;

impl InvoiceService {
    /// Freezes a draft: numbers it, seals its document in the ledger, keeps the digests of its events.
    ///
    /// # Errors
    /// [`BillingError::NotReady`] before the end of the period, [`BillingError::Stale`] when `revision` is
    /// given and not the newest, [`BillingError::Disagree`] when the events do not give what was metered.
    pub async fn finalise(
        &self,
        scope: TenantScope,
        id: InvoiceId,
        revision: Option<i64>,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        let draft = self.find(scope, id).await?;
        if let Some(seen) = revision.filter(|seen| *seen != draft.revision) {
            return Err(BillingError::Stale { seen });
        }
        if !draft.state.may_become(InvoiceState::Finalised) {
            return Err(BillingError::State {
                from: draft.state,
                to: InvoiceState::Finalised,
            });
        }
        let now = self.clock.now();
        if now < draft.period.to {
            return Err(BillingError::NotReady(format!(
                "the period ends at {}; finalise it after that",
                draft.period.to
            )));
        }
        let (metered, through) = self.metered_again(draft.tenant, draft.period).await?;
        self.write(draft, metered, through, actor).await
    }

    /// Usage as the stored events give it, after a comparison with the usage rows. While events are
    /// still being metered the two are compared at the same place of the log, or again.
    async fn metered_again(
        &self,
        tenant: TenantId,
        period: Span,
    ) -> Result<(Vec<RemeteredRow>, u64), BillingError> {
        const TRIES: usize = 5;
        let lake = |error: sealwright_events::HistoryError| BillingError::Lake(error.to_string());
        for _ in 0..TRIES {
            self.history.catch_up().await.map_err(lake)?;
            let through = crate::store::usage::metered_through(&self.store).await?;
            let stored = self.history.next_offset().await.map_err(lake)?;
            if stored < through {
                return Err(BillingError::NotReady(format!(
                    "events are metered up to offset {through} and stored up to {stored}; try again"
                )));
            }
            let meters = self.usage.meters().current();
            let metered = self.remeter(tenant, period, through, &meters).await?;
            let draft = self.draft_entries(tenant, period).await?;
            if crate::store::usage::metered_through(&self.store).await? != through {
                continue;
            }
            compare(&draft, &metered)?;
            return Ok((metered, through));
        }
        Err(BillingError::NotReady(
            "events keep arriving faster than they can be compared; try again".to_owned(),
        ))
    }

    async fn remeter(
        &self,
        tenant: TenantId,
        period: Span,
        through: u64,
        meters: &MetersInForce,
    ) -> Result<Vec<RemeteredRow>, BillingError> {
        let mut remeter = Remeter::new(&meters.set, period);
        for query in queries(tenant, period, through, meters) {
            let mut start = 0;
            loop {
                let page = self
                    .history
                    .page(&query, start, PAGE)
                    .await
                    .map_err(|error| BillingError::Lake(error.to_string()))?;
                let Some(last) = page.last() else { break };
                start = last.offset + 1;
                for event in &page {
                    add(&mut remeter, event)?;
                }
                if page.len() < PAGE {
                    break;
                }
            }
        }
        remeter
            .finish()
            .map_err(|error| BillingError::Invalid(error.to_string()))
    }

    async fn write(
        &self,
        draft: Invoice,
        metered: Vec<RemeteredRow>,
        through: u64,
        actor: &str,
    ) -> Result<Invoice, BillingError> {
        let now = self.clock.now();
        let due = draft.period.to.plus(self.terms.due_days * DAY);
        let usage: Vec<UsageEntry> = metered
            .iter()
            .map(|row| UsageEntry {
                meter: row.meter.clone(),
                dimensions: row.dimensions.clone(),
                quantity: row.quantity.to_string(),
                unit: row.unit.clone(),
                events: row.evidence.len() as u64,
                root: Some(evidence_root(&row.evidence)),
            })
            .collect();
        let events = usage.iter().map(|entry| entry.events).sum();
        let mut document = self
            .document(
                draft.document.id,
                draft.tenant,
                draft.period,
                usage,
                through,
                events,
            )
            .await?;
        document.issued_at = Some(to_second(now));
        document.due_at = Some(to_second(due));

        let mut tx = self.store.begin().await?;
        tx.lock("billing_invoice_number").await?;
        document.number = Some(number(&mut tx, &document.tenant.slug, draft.period.from).await?);
        let (text, digest) = sealed(&document)?;
        let entry = EntryDraft::new(actor, "billing.invoice.finalise", document.id.to_string())
            .tenant(draft.tenant)
            .before(draft.digest)
            .after(digest)
            .details(json!({
                "number": document.number,
                "total": document.rated.total,
                "currency": document.rated.currency.code(),
                "period_from": document.period_from,
                "period_to": document.period_to,
            }));
        let entry = self.ledger.record(&mut tx, &entry).await?;
        for (index, row) in metered.iter().enumerate() {
            rows::put_evidence(&mut tx, document.id, index, &row.evidence).await?;
        }
        let invoice = Invoice {
            state: InvoiceState::Finalised,
            revision: draft.revision + 1,
            total_minor: total_minor(&document.rated)?,
            document,
            digest,
            finalised_at: Some(now),
            due_at: Some(due),
            settled_at: None,
            ledger_entry: Some(entry.to_string()),
            ..draft
        };
        rows::update(&mut tx, &invoice, &text, draft.revision).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(invoice)
    }

    async fn draft_entries(
        &self,
        tenant: TenantId,
        period: Span,
    ) -> Result<Vec<UsageEntry>, BillingError> {
        Ok(self.usage_rows(tenant, period).await?.0)
    }
}

/// The questions that fetch every event that matters to a period: levels from their beginning, everything
/// else from the period's.
pub(super) fn queries(
    tenant: TenantId,
    period: Span,
    through: u64,
    meters: &MetersInForce,
) -> Vec<HistoryQuery> {
    let types = |lasting: bool| -> Vec<String> {
        let mut types: Vec<String> = meters
            .definitions
            .iter()
            .filter(|def| (def.aggregation == Aggregation::TimeWeighted) == lasting)
            .flat_map(|def| def.event_types.clone())
            .collect();
        types.sort_unstable();
        types.dedup();
        types
    };
    let lasting = types(true);
    let mut plain = types(false);
    plain.retain(|kind| !lasting.contains(kind));
    let query = |event_types: Vec<String>, from: Option<UnixMicros>| HistoryQuery {
        tenant,
        event_types,
        from,
        to: period.to,
        below_offset: through,
    };
    [query(plain, Some(period.from)), query(lasting, None)]
        .into_iter()
        .filter(|query| !query.event_types.is_empty())
        .collect()
}

fn add(remeter: &mut Remeter<'_>, event: &StoredEvent) -> Result<(), BillingError> {
    let value = event.value().map_err(|error| BillingError::Damaged {
        what: "event",
        detail: error.to_string(),
    })?;
    let entry = EvidenceEntry {
        offset: event.offset,
        time: event.time,
        digest: event.digest,
    };
    remeter
        .add(entry, &event.event_type, &value)
        .map_err(|error| BillingError::Invalid(error.to_string()))
}

fn compare(draft: &[UsageEntry], metered: &[RemeteredRow]) -> Result<(), BillingError> {
    let by_key = |entry: &UsageEntry| {
        (
            (entry.meter.clone(), entry.dimensions.clone()),
            entry.quantity.clone(),
        )
    };
    let mut rows: BTreeMap<_, _> = draft.iter().map(by_key).collect();
    let disagree =
        |meter: &str, dimensions: &crate::model::Dimensions, metered: String, events: String| {
            BillingError::Disagree {
                meter: meter.to_owned(),
                dimensions: format!("{dimensions:?}"),
                metered,
                events,
            }
        };
    for row in metered {
        let quantity = row.quantity.to_string();
        match rows.remove(&(row.meter.clone(), row.dimensions.clone())) {
            Some(said) if said == quantity => {}
            said => {
                let said = said.unwrap_or_else(|| "nothing".to_owned());
                return Err(disagree(&row.meter, &row.dimensions, said, quantity));
            }
        }
    }
    match rows.into_iter().next() {
        None => Ok(()),
        Some(((meter, dimensions), said)) => {
            Err(disagree(&meter, &dimensions, said, "nothing".to_owned()))
        }
    }
}

/// The next number of a tenant: its slug in capitals, the year of the period, four digits.
async fn number(
    tx: &mut sealwright_store::Tx,
    slug: &str,
    period: UnixMicros,
) -> Result<String, BillingError> {
    let year = period.timestamp().to_zoned(jiff::tz::TimeZone::UTC).year();
    let prefix = format!("{}-{year}-", slug.to_ascii_uppercase());
    let count = rows::numbered(tx, &prefix).await?;
    Ok(format!("{prefix}{:04}", count + 1))
}
