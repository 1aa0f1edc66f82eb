//! What usage costs, for figures: drafts, which prove nothing yet.

use std::collections::BTreeMap;

use sealwright_core::TenantId;
use sealwright_money::Money;
use sealwright_web::component::{Chain, Figure, Seal, SealState, Step};
use sealwright_web::{Markup, format};

use super::visit::Visit;
use crate::model::{PriceBookRef, Span};
use crate::service::BillingError;
use crate::service::invoice::Estimate;

/// What a tenant's usage of a span costs, or why that is not known.
pub(super) type Spend = Result<Estimate, String>;

/// What the usage of a span costs, by tenant.
pub(super) async fn by_tenant(
    visit: &Visit,
    tenants: impl IntoIterator<Item = TenantId>,
    span: Span,
) -> BTreeMap<TenantId, Spend> {
    let mut spends = BTreeMap::new();
    for tenant in tenants {
        spends.insert(tenant, of_tenant(visit, tenant, span).await);
    }
    spends
}

/// What one tenant's usage of a span costs.
pub(super) async fn of_tenant(visit: &Visit, tenant: TenantId, span: Span) -> Spend {
    match visit.pages.invoices.estimate(tenant, span).await {
        Ok(estimate) => Ok(estimate),
        Err(BillingError::NotFound(_)) => Err("on no price book".to_owned()),
        Err(BillingError::Invalid(why)) => Err(why),
        Err(BillingError::Rating(error)) => Err(error.to_string()),
        Err(error) => {
            tracing::error!(%error, %tenant, "usage cannot be rated");
            Err("cannot be rated; the log has the cause".to_owned())
        }
    }
}

/// Sums by currency, the largest first.
pub(super) fn totals<'a>(spends: impl IntoIterator<Item = &'a Spend>) -> Vec<Money> {
    let mut sums: BTreeMap<&'static str, Money> = BTreeMap::new();
    for estimate in spends.into_iter().flatten() {
        let currency = estimate.amount.currency();
        let sum = sums
            .entry(currency.code())
            .or_insert(Money::from_minor(0, currency));
        let minor = sum.minor().saturating_add(estimate.amount.minor());
        *sum = Money::from_minor(minor, currency);
    }
    let mut sums: Vec<Money> = sums.into_values().collect();
    sums.sort_by_key(|money| std::cmp::Reverse(money.minor()));
    sums
}

/// The figure of rated usage, with the chain of a draft.
pub(super) fn figure(visit: &Visit, spends: &BTreeMap<TenantId, Spend>, days: &str) -> Figure {
    let label = "Usage, rated";
    let unknown = spends.values().filter(|spend| spend.is_err()).count();
    let sums = totals(spends.values());
    let Some(first) = sums.first() else {
        let why = match spends.values().find_map(|spend| spend.as_ref().err()) {
            Some(why) if spends.len() == 1 => why.clone(),
            Some(_) => format!("{unknown} tenants with usage cannot be rated"),
            None => "no usage in this span".to_owned(),
        };
        return Figure::unknown(label, why);
    };
    let mut note = Vec::new();
    note.extend(
        sums.iter()
            .skip(1)
            .map(|money| format!("and {}", format::money(*money))),
    );
    match unknown {
        0 => {}
        1 => note.push("1 tenant with usage is not in it".to_owned()),
        n => note.push(format!("{n} tenants with usage are not in it")),
    }
    if note.is_empty() {
        note.push("without fees, discounts applied".to_owned());
    }
    Figure::money(label, *first).note(note.join("; ")).seal(
        Seal::opens(
            "usage",
            "rated usage",
            &format!("{} rated usage, {days}", format::money(*first)),
            chain(visit, spends.values().flatten()),
        )
        .state(SealState::Draft),
    )
}

fn chain<'a>(visit: &Visit, estimates: impl Iterator<Item = &'a Estimate>) -> Chain {
    let mut lines = 0;
    let mut books: Vec<PriceBookRef> = Vec::new();
    for estimate in estimates {
        lines += estimate.lines;
        for book in &estimate.books {
            if !books.contains(book) {
                books.push(book.clone());
            }
        }
    }
    let mut rated = Markup::new().text(&format!(
        "{lines} {}, by ",
        if lines == 1 { "line" } else { "lines" }
    ));
    for (i, book) in books.iter().take(3).enumerate() {
        let href = visit.to(&book_href(book));
        rated = rated
            .text(if i == 0 { "" } else { ", " })
            .link(&format!("{} v{}", book.id, book.version), &href);
    }
    if books.len() > 3 {
        rated = rated.text(&format!(" and {} more", books.len() - 3));
    }
    Chain::new()
        .step(Step::new("Rated lines", rated))
        .step(Step::new(
            "Usage rows",
            "metered as events came in; they change with every event",
        ))
        .step(
            Step::new(
                "Ledger",
                "nothing yet: an invoice is sealed when it is finalised",
            )
            .href(&visit.to("/console/billing/invoices")),
        )
}

/// The page of a price book.
pub(super) fn book_href(book: &PriceBookRef) -> String {
    format!("/console/billing/price-books/{}/{}", book.id, book.version)
}
