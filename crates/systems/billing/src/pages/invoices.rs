//! The list of invoices: `/console/billing/invoices`.

use axum::response::IntoResponse;
use sealwright_money::Money;
use sealwright_web::component::{
    Badge, Cell, Column, Empty, Figure, Figures, Pager, Row, Seal, SealState, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::overview::utc;
use super::visit::{Answer, Visit, period, shown};
use crate::model::{Invoice, InvoiceId, InvoiceState, Span};
use crate::service::invoice::Filter;

/// Rows of a page.
const ROWS: u32 = 50;

/// A state as a badge.
pub(super) fn badge(state: InvoiceState) -> Badge {
    let tone = match state {
        InvoiceState::Draft => Tone::Neutral,
        InvoiceState::Finalised => Tone::Info,
        InvoiceState::Paid => Tone::Good,
        InvoiceState::Overdue => Tone::Bad,
        InvoiceState::Void => Tone::Warn,
    };
    Badge::new(tone, state.name())
}

/// What an invoice is called.
pub(super) fn name(invoice: &Invoice) -> String {
    match &invoice.document.number {
        Some(number) => number.clone(),
        None => format!(
            "{} {}",
            invoice.document.tenant.slug,
            invoice
                .period
                .from
                .timestamp()
                .to_zoned(utc())
                .strftime("%b %Y")
        ),
    }
}

/// The page of an invoice.
pub(super) fn href(visit: &Visit, id: InvoiceId) -> String {
    visit.to(&format!("/console/billing/invoices/{id}"))
}

/// The total of an invoice.
pub(super) fn total(invoice: &Invoice) -> Money {
    Money::from_minor(invoice.total_minor, invoice.document.rated.currency)
}

/// Invoices as a table.
pub(super) fn invoice_table(visit: &Visit, id: &str, title: &str, invoices: &[Invoice]) -> Table {
    let columns = vec![
        Column::text("invoice", "Invoice"),
        Column::text("tenant", "Tenant"),
        Column::time("period", "Period"),
        Column::number("total", "Total"),
        Column::text("currency", "Currency"),
        Column::text("state", "State"),
        Column::time("due_at", "Due"),
    ];
    let mut table = Table::new(id, title, &visit.url, columns).empty(
        Empty::new("No invoice here.", "Draft the invoices of a month:")
            .command("sealwright billing invoice generate --month 2026-10"),
    );
    for invoice in invoices {
        let (name, link) = (name(invoice), href(visit, invoice.document.id));
        let state = if invoice.ledger_entry.is_some() {
            SealState::Proven
        } else {
            SealState::Draft
        };
        let sealed = Seal::leads(&format!("the total of {name}"), &link).state(state);
        table.push(Row::new(vec![
            Cell::link(&name, &link),
            Cell::link(
                &invoice.document.tenant.slug,
                &visit.to(&format!(
                    "/console/billing/tenants/{}",
                    invoice.document.tenant.slug
                )),
            ),
            Cell::text(&period(invoice.period)),
            Cell::money(total(invoice)).sealed(&sealed),
            Cell::text(invoice.document.rated.currency.code()),
            Cell::badge(&badge(invoice.state)),
            invoice.due_at.map_or_else(
                || Cell::text("none"),
                |at| Cell::day(at.timestamp(), &utc()),
            ),
        ]));
    }
    let rows = table.rows();
    table.note(&if rows == 1 {
        "1 invoice".to_owned()
    } else {
        format!("{rows} invoices")
    })
}

/// `GET /console/billing/invoices`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let state = match visit.url.get("state") {
        None => None,
        Some(text) => match text.parse::<InvoiceState>() {
            Ok(state) => Some(state),
            Err(why) => return Err(visit.missing(&why)),
        },
    };
    let after = match visit.url.get("cursor") {
        None => None,
        Some(text) => Some(text.parse::<InvoiceId>().map_err(|_| {
            visit.missing(&format!(
                "The cursor {} is not one of this list.",
                shown(text)
            ))
        })?),
    };
    let filter = Filter {
        state,
        after,
        limit: ROWS + 1,
        span: None,
    };
    let service = &visit.pages.invoices;
    let mut invoices = service
        .list(scope, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let more = invoices.len() > ROWS as usize;
    invoices.truncate(ROWS as usize);
    let next = invoices
        .last()
        .filter(|_| more)
        .map(|last| last.document.id.to_string());
    let title = match state {
        None => "Invoices".to_owned(),
        Some(state) => format!("Invoices, {state}"),
    };
    let table = invoice_table(&visit, "invoices", &title, &invoices).pager(Pager {
        previous: after.map(|_| String::new()),
        next,
    });
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let ever = Span {
        from: sealwright_core::UnixMicros(i64::MIN / 2),
        to: sealwright_core::UnixMicros(i64::MAX / 2),
    };
    let totals = service
        .totals(scope, ever)
        .await
        .map_err(|error| visit.refuse(error))?;
    let body = Markup::of(&figures(&visit, &totals)).with(&table);
    let mut chrome = visit.chrome(vec![Crumb::here("Invoices")]);
    if let Some(menu) = visit.menu() {
        chrome = chrome.tenants(menu);
    }
    Ok(Page::new("Invoices", chrome, &body).into_response())
}

/// A figure for each state, which filters the list.
fn figures(visit: &Visit, totals: &[(InvoiceState, String, u64, i64)]) -> Figures {
    let url = visit.url.without_all(&["cursor", "state"]);
    Figures::new(
        InvoiceState::ALL
            .into_iter()
            .map(|state| {
                let of_state = totals.iter().filter(|(s, ..)| *s == state);
                let count: u64 = of_state.clone().map(|(_, _, n, _)| n).sum();
                let sums: Vec<String> = of_state
                    .filter_map(|(_, code, _, minor)| {
                        let currency = sealwright_money::Currency::from_code(code).ok()?;
                        Some(format::money(Money::from_minor(*minor, currency)))
                    })
                    .collect();
                let chosen = visit.url.get("state") == Some(state.name());
                let link = if chosen {
                    url.to_string()
                } else {
                    url.with("state", state.name()).to_string()
                };
                let mut label = state.name().to_owned();
                if let Some(first) = label.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                if chosen {
                    label.push_str(", shown below");
                }
                Figure::count(&label, i64::try_from(count).unwrap_or(i64::MAX), "")
                    .href(&link)
                    .note(if sums.is_empty() {
                        "none".to_owned()
                    } else {
                        sums.join(", ")
                    })
            })
            .collect(),
    )
}
