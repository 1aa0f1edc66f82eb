//! One invoice and everything behind it: `/console/billing/invoices/{id}`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use sealwright_access::Action as May;
use sealwright_money::Decimal;
use sealwright_rating::Step as RatingStep;
use sealwright_web::chrome::Action;
use sealwright_web::component::{
    Cell, Column, Definitions, Field, Form, Panel, Row, Seal, SealState, Table,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::invoices::{badge, name, total};
use super::overview::utc;
use super::proof::{Sealing, events_href, grouped, line_seal, sealing, whole};
use super::spend::book_href;
use super::visit::{Answer, Refusal, Visit, period, shown};
use crate::model::{Invoice, InvoiceId, InvoiceState};

/// Lines whose seals open in place; above it they lead to the usage rows.
const OPENING: usize = 80;

/// The invoice of a path, if the visitor may see it.
pub(super) async fn find(visit: &Visit, id: &str) -> Result<Invoice, Refusal> {
    let missing = || visit.missing(&format!("There is no invoice {}.", shown(id)));
    let parsed: InvoiceId = id.parse().map_err(|_| missing())?;
    match visit.pages.invoices.find(visit.by.tenants, parsed).await {
        Ok(invoice) => Ok(invoice),
        Err(crate::service::BillingError::NotFound(_)) => Err(missing()),
        Err(error) => Err(visit.refuse(error)),
    }
}

/// A form of the page that was refused: which, what was typed, and why.
pub(super) struct Refused {
    pub(super) action: &'static str,
    pub(super) typed: String,
    pub(super) why: String,
}

/// `GET /console/billing/invoices/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let invoice = find(&visit, &id).await?;
    page(&visit, &invoice, None).await
}

/// The page, with what a refused form said.
pub(super) async fn page(visit: &Visit, invoice: &Invoice, refused: Option<&Refused>) -> Answer {
    let sealing = sealing(visit, invoice).await?;
    let tables = [
        lines(visit, invoice, &sealing),
        steps(visit, invoice),
        usage(visit, invoice),
        unpriced(visit, invoice),
    ];
    for table in &tables {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let late = visit
        .pages
        .invoices
        .late_events(invoice.document.id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let [lines, steps, usage, unpriced] = tables;
    let mut right = Markup::of(&Panel::new("Proof", &whole(visit, invoice, &sealing)))
        .with(&Panel::new("Files", &files(invoice, &sealing)))
        .with(&Panel::new("Invoice", &facts(visit, invoice, late)).flush());
    right = right.with(&forms(visit, invoice, refused));
    let mut left = Markup::of(&lines);
    if unpriced.rows() > 0 {
        left = left.with(&unpriced);
    }
    let warnings = &invoice.document.rated.warnings;
    if !warnings.is_empty() {
        let list = warnings.iter().fold(Definitions::new(), |list, text| {
            list.item("Warning", text.as_str())
        });
        left = left.with(&Panel::new("What rating warned of", &list).flush());
    }
    let mut body = Markup::of(&Columns { left, right });
    if steps.rows() > 0 {
        body = body.with(&steps);
    }
    let body = body.with(&usage);
    let title = match invoice.state {
        InvoiceState::Draft => format!("Draft {}", name(invoice)),
        _ => format!("Invoice {}", name(invoice)),
    };
    let answer = Page::new(&title, chrome(visit, invoice, &sealing), &body);
    Ok(match refused {
        Some(_) => answer
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .into_response(),
        None => answer.into_response(),
    })
}

fn chrome(visit: &Visit, invoice: &Invoice, sealing: &Sealing) -> sealwright_web::Chrome {
    let document = &invoice.document;
    let amount = format::money(total(invoice));
    let seal = Seal::opens(
        "invoice",
        "the total",
        &format!("{amount} total, {}", period(invoice.period)),
        whole(visit, invoice, sealing),
    )
    .state(sealing.state);
    let lead = Markup::new()
        .strong(&amount)
        .text(" · ")
        .link(
            &document.tenant.slug,
            &visit.to(&format!(
                "/console/billing/tenants/{}",
                document.tenant.slug
            )),
        )
        .text(&format!(" · {} · ", period(invoice.period)))
        .link(
            &format!(
                "{} v{}",
                document.price_book.id, document.price_book.version
            ),
            &visit.to(&book_href(&document.price_book)),
        );
    let mut chrome = visit
        .chrome(vec![
            Crumb::link("Invoices", &visit.to("/console/billing/invoices")),
            Crumb::here(&name(invoice)),
        ])
        .badge(badge(invoice.state))
        .seal(seal)
        .lead(lead);
    let ended = visit.now >= invoice.period.to;
    if invoice.state == InvoiceState::Draft && ended && visit.may(May::BillingWrite) {
        chrome = chrome.action(
            Action::post("Finalise", &act_href(invoice, "finalise"))
                .field("revision", &invoice.revision.to_string())
                .primary(),
        );
    }
    chrome
}

fn act_href(invoice: &Invoice, action: &str) -> String {
    format!("/console/billing/invoices/{}/{action}", invoice.document.id)
}

/// What can be done to it: pay and void.
fn forms(visit: &Visit, invoice: &Invoice, refused: Option<&Refused>) -> Markup {
    if !visit.may(May::BillingWrite) {
        return Markup::new();
    }
    let revision = invoice.revision.to_string();
    let field = |action: &str, name: &str, label: &str| {
        let mut field = Field::text(name, label);
        if let Some(refused) = refused.filter(|refused| refused.action == action) {
            field = field.value(&refused.typed).error(&refused.why);
        }
        field
    };
    let mut markup = Markup::new();
    if invoice.state.may_become(InvoiceState::Paid) {
        let form = Form::new(&act_href(invoice, "pay"), visit.csrf(), "Mark as paid")
            .hidden("revision", &revision)
            .field(
                field("pay", "reference", "Payment reference")
                    .hint("For the record; it goes into the ledger's private part."),
            );
        markup = markup.with(&Panel::new("Payment", &form));
    }
    if invoice.state.may_become(InvoiceState::Void) {
        let form = Form::new(&act_href(invoice, "void"), visit.csrf(), "Void the invoice")
            .hidden("revision", &revision)
            .field(
                field("void", "reason", "Reason")
                    .required()
                    .hint("The period may be invoiced again; this invoice stays in the ledger."),
            )
            .danger();
        markup = markup.with(&Panel::new("Withdraw", &form));
    }
    if invoice.state == InvoiceState::Draft
        && let Some(refused) = refused.filter(|refused| refused.action == "finalise")
    {
        let list = Definitions::new().item("Why", refused.why.as_str());
        markup = markup.with(&Panel::new("It was not finalised", &list).flush());
    }
    markup
}

fn words(dimensions: &crate::model::Dimensions) -> String {
    let parts: Vec<String> = dimensions.iter().map(|(k, v)| format!("{k} {v}")).collect();
    parts.join(", ")
}

fn lines(visit: &Visit, invoice: &Invoice, sealing: &Sealing) -> Table {
    let rated = &invoice.document.rated;
    let columns = vec![
        Column::text("title", "Line"),
        Column::text("dimensions", "Of"),
        Column::number("quantity", "Quantity"),
        Column::text("unit", "Unit"),
        Column::money("amount", "Amount", rated.currency.code()),
    ];
    let mut table = Table::new("lines", "Lines", &visit.url, columns);
    for (index, line) in rated.lines.iter().enumerate() {
        let seal = if rated.lines.len() <= OPENING {
            line_seal(visit, invoice, sealing, index, line)
        } else {
            Seal::leads(&format!("the amount of {}", line.title), "#usage").state(sealing.state)
        };
        let amount = sealwright_money::Money::parse(&line.amount, rated.currency)
            .map_or_else(|_| Cell::unknown(), Cell::money);
        table.push(Row::new(vec![
            Cell::text(&line.title),
            Cell::text(&words(&line.dimensions)),
            Cell::decimal(line.quantity),
            Cell::text(line.unit.as_deref().unwrap_or("")),
            amount.sealed(&seal),
        ]));
    }
    let rows = table.rows();
    table.note(&format!(
        "{rows} lines, {} {}",
        grouped(&rated.total),
        rated.currency.code()
    ))
}

/// How each amount comes about: tiers, prices, what was included.
fn steps(visit: &Visit, invoice: &Invoice) -> Table {
    let code = invoice.document.rated.currency.code();
    let columns = vec![
        Column::text("line", "Line"),
        Column::text("dimensions", "Of"),
        Column::number("units", "Units"),
        Column::money("price", "Price", code),
        Column::text("per", "For"),
        Column::money("flat", "And once", code),
        Column::money("exact", "Exact amount", code),
    ];
    let mut table = Table::new("steps", "How the amounts come about", &visit.url, columns);
    for line in &invoice.document.rated.lines {
        let of = words(&line.dimensions);
        if !line.included.is_zero() {
            table.push(Row::new(vec![
                Cell::text(&line.title),
                Cell::text(&of),
                Cell::decimal(line.included),
                Cell::integer(0),
                Cell::text("included"),
                Cell::text(""),
                Cell::integer(0),
            ]));
        }
        let unit = line.unit.as_deref().unwrap_or("unit");
        for step in &line.steps {
            let (units, price, per, flat, amount) = match step {
                RatingStep::Tier {
                    units,
                    unit: price,
                    flat,
                    amount,
                } => (*units, Some(*price), unit.to_owned(), *flat, *amount),
                RatingStep::PerMillion {
                    units,
                    per_million,
                    amount,
                } => (
                    *units,
                    Some(*per_million),
                    format!("1,000,000 × {unit}"),
                    Decimal::ZERO,
                    *amount,
                ),
                RatingStep::Units {
                    units,
                    unit: price,
                    per,
                    amount,
                } => {
                    let per = if *per == Decimal::ONE {
                        unit.to_owned()
                    } else {
                        format!("{} × {unit}", format::decimal(*per))
                    };
                    (*units, Some(*price), per, Decimal::ZERO, *amount)
                }
                RatingStep::Packages {
                    packages,
                    unit: price,
                    amount,
                } => (
                    *packages,
                    Some(*price),
                    "package".to_owned(),
                    Decimal::ZERO,
                    *amount,
                ),
                RatingStep::Transaction {
                    transaction,
                    amount,
                } => (
                    *transaction,
                    None,
                    "transaction".to_owned(),
                    Decimal::ZERO,
                    *amount,
                ),
            };
            table.push(Row::new(vec![
                Cell::text(&line.title),
                Cell::text(&of),
                Cell::decimal(units),
                price.map_or_else(|| Cell::text(""), Cell::decimal),
                Cell::text(&per),
                if flat.is_zero() {
                    Cell::text("")
                } else {
                    Cell::decimal(flat)
                },
                Cell::decimal(amount),
            ]));
        }
    }
    table.note("each line is rounded once, half away from zero")
}

fn usage(visit: &Visit, invoice: &Invoice) -> Table {
    let columns = vec![
        Column::number("row", "Row"),
        Column::text("meter", "Meter"),
        Column::text("dimensions", "Dimensions"),
        Column::number("quantity", "Quantity"),
        Column::text("unit", "Unit"),
        Column::number("events", "Events"),
        Column::text("root", "Root of the events"),
    ];
    let mut table = Table::new("usage", "Usage rows", &visit.url, columns);
    for (index, row) in invoice.document.usage.iter().enumerate() {
        let number = index.to_string();
        let events = i64::try_from(row.events).unwrap_or(i64::MAX);
        let (events, root) = match row.root {
            Some(root) => {
                let href = events_href(visit, invoice, index);
                let text = format::integer(events);
                (
                    Cell::markup(&Markup::new().link(&text, &href), &events.to_string()),
                    Cell::markup(&Markup::new().code(&root.short()), &root.to_string()),
                )
            }
            None => (Cell::integer(events), Cell::text("not sealed")),
        };
        let quantity = row
            .quantity
            .parse()
            .map_or_else(|_| Cell::text(&row.quantity), Cell::decimal);
        table.push(Row::new(vec![
            Cell::text(&number),
            Cell::text(&row.meter),
            Cell::text(&words(&row.dimensions)),
            quantity,
            Cell::text(&row.unit),
            events,
            root,
        ]));
    }
    let rows = table.rows();
    table.note(&format!("{rows} rows"))
}

fn unpriced(visit: &Visit, invoice: &Invoice) -> Table {
    let columns = vec![
        Column::text("meter", "Meter"),
        Column::text("dimensions", "Dimensions"),
        Column::number("quantity", "Quantity"),
    ];
    let mut table = Table::new("unpriced", "Usage without a price", &visit.url, columns);
    for row in &invoice.document.rated.unpriced {
        table.push(Row::new(vec![
            Cell::text(&row.meter),
            Cell::text(&words(&row.dimensions)),
            Cell::decimal(row.quantity),
        ]));
    }
    table.note("not in the total")
}

fn files(invoice: &Invoice, sealing: &Sealing) -> Markup {
    let base = format!("/api/billing/invoices/{}", invoice.document.id);
    let mut markup = Markup::new()
        .link("PDF", &format!("{base}/document?format=pdf"))
        .text(" · ")
        .link("CSV", &format!("{base}/document?format=csv"))
        .text(" · ")
        .link("JSON", &format!("{base}/document?format=json"));
    if sealing.entry.is_some() && sealing.state != SealState::Broken {
        markup = markup
            .text(" · ")
            .link("bundle that verifies offline", &format!("{base}/bundle"));
    }
    markup
}

fn facts(visit: &Visit, invoice: &Invoice, late: u64) -> Definitions {
    let document = &invoice.document;
    let moment = |text: &Option<String>| match text {
        None => Markup::from("none"),
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => Markup::from(format!("{} UTC", format::minute(at, &utc()))),
            Err(_) => Markup::from(text.as_str()),
        },
    };
    let mut facts = Definitions::new()
        .item(
            "Period, end excluded",
            format!("{} to {}", document.period_from, document.period_to),
        )
        .item("Issued", moment(&document.issued_at))
        .item("Due", moment(&document.due_at));
    if let Some(share) = &document.share {
        facts = facts.item("Share of the month, s", Markup::new().code(share));
    }
    if let Some(at) = invoice.settled_at {
        let label = if invoice.state == InvoiceState::Void {
            "Voided"
        } else {
            "Paid"
        };
        facts = facts.item(
            label,
            format!("{} UTC", format::minute(at.timestamp(), &utc())),
        );
    }
    facts = facts
        .item("Late events", format!("{late}, not in this invoice"))
        .item("Revision", invoice.revision.to_string())
        .item("Id", Markup::new().code(&document.id.to_string()))
        .item(
            "Digest, SHA-256",
            Markup::new().code(&invoice.digest.to_string()),
        )
        .item(
            "Meters' digest",
            Markup::new().code(&document.meters_digest.short()),
        );
    if let Some(entry) = &invoice.ledger_entry {
        let subject = sealwright_web::PageUrl::parse("/console/ledger")
            .with("subject", &document.id.to_string());
        facts = facts.item(
            "Ledger",
            Markup::new()
                .link("the entry", &visit.to(&format!("/console/ledger/{entry}")))
                .text(", ")
                .link("all about this invoice", &subject.to_string()),
        );
    }
    facts
}

#[derive(askama::Template)]
#[template(
    source = r#"<div class="columns-2"><div class="stack">{{ left }}</div><div class="stack">{{ right }}</div></div>"#,
    ext = "html"
)]
pub(super) struct Columns {
    pub(super) left: Markup,
    pub(super) right: Markup,
}

impl sealwright_web::HtmlSafe for Columns {}
