//! The events behind a usage row of an invoice, and one event as it is stored.

use axum::extract::Path;
use axum::response::IntoResponse;
use sealwright_core::Digest;
use sealwright_web::component::{
    Badge, Cell, Chain, Column, Command, Definitions, Empty, Pager, Panel, Row, Step, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::invoice::{Columns, find};
use super::invoices::{href, name};
use super::overview::utc;
use super::proof::{Sealing, events_href, grouped, sealing};
use super::visit::{Answer, Refusal, Visit, shown};
use crate::model::{Invoice, UsageEntry};
use crate::service::BillingError;
use crate::verify::{EvidenceEntry, evidence_root};

/// Events on a page.
const ROWS: usize = 100;

/// A usage row with the entries that its root is over.
struct Behind {
    invoice: Invoice,
    row: usize,
    usage: UsageEntry,
    entries: Vec<EvidenceEntry>,
    sealing: Sealing,
}

impl Behind {
    async fn read(visit: &Visit, id: &str, row: &str) -> Result<Self, Refusal> {
        let invoice = find(visit, id).await?;
        let missing = || visit.missing(&format!("The invoice has no usage row {}.", shown(row)));
        let row: usize = row.parse().map_err(|_| missing())?;
        let usage = invoice
            .document
            .usage
            .get(row)
            .cloned()
            .ok_or_else(missing)?;
        let entries = match visit
            .pages
            .invoices
            .evidence(visit.by.tenants, invoice.document.id, row)
            .await
        {
            Ok(entries) => entries,
            Err(BillingError::NotFound(_)) => return Err(missing()),
            Err(error) => return Err(visit.refuse(error)),
        };
        let sealing = sealing(visit, &invoice).await?;
        Ok(Self {
            invoice,
            row,
            usage,
            entries,
            sealing,
        })
    }

    fn title(&self) -> String {
        let dimensions: Vec<&str> = self.usage.dimensions.values().map(String::as_str).collect();
        if dimensions.is_empty() {
            self.usage.meter.clone()
        } else {
            format!("{}, {}", self.usage.meter, dimensions.join(", "))
        }
    }

    /// Whether the entries that are kept have the root that the invoice says.
    fn root_holds(&self) -> Option<bool> {
        let root = self.usage.root?;
        Some(evidence_root(&self.entries) == root)
    }

    fn chain(&self, visit: &Visit) -> Chain {
        let mut chain = Chain::new()
            .step(
                Step::new("Invoice", name(&self.invoice))
                    .href(&href(visit, self.invoice.document.id)),
            )
            .step(Step::new(
                "Usage row",
                format!("{} {}", grouped(&self.usage.quantity), self.usage.unit),
            ));
        if let Some(root) = self.usage.root {
            chain = chain.step(
                Step::new(
                    "Metered events",
                    Markup::new()
                        .text(&format!(
                            "{} events, root ",
                            format::group(&self.entries.len().to_string())
                        ))
                        .code(&root.short()),
                )
                .href(&events_href(visit, &self.invoice, self.row)),
            );
        }
        chain.step(self.sealing.step(visit))
    }

    fn crumbs(&self, visit: &Visit) -> Vec<Crumb> {
        vec![
            Crumb::link("Invoices", &visit.to("/console/billing/invoices")),
            Crumb::link(&name(&self.invoice), &href(visit, self.invoice.document.id)),
        ]
    }

    fn event_href(&self, visit: &Visit, offset: u64) -> String {
        visit.to(&format!(
            "/console/billing/invoices/{}/usage/{}/{offset}",
            self.invoice.document.id, self.row
        ))
    }
}

/// `GET /console/billing/invoices/{id}/usage/{row}`.
pub(super) async fn events(visit: Visit, Path((id, row)): Path<(String, String)>) -> Answer {
    let behind = Behind::read(&visit, &id, &row).await?;
    let from = match visit.url.get("cursor") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            visit.missing(&format!(
                "The cursor {} is not one of this list.",
                shown(text)
            ))
        })?,
    };
    let rest = behind.entries.get(from..).unwrap_or_default();
    let entries = rest.get(..ROWS).unwrap_or(rest);
    let stored = visit
        .pages
        .invoices
        .events_of(visit.by.tenants, behind.invoice.document.id, entries)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("id", "Event"),
        Column::time("time", "Time, UTC"),
        Column::text("source", "Source"),
        Column::text("type", "Type"),
        Column::number("offset", "Offset in the log"),
        Column::text("digest", "Digest"),
    ];
    let next = from + ROWS;
    let mut table = Table::new("events", "Events", &visit.url, columns)
        .pager(Pager {
            previous: (from > 0).then(|| match from.saturating_sub(ROWS) {
                0 => String::new(),
                n => n.to_string(),
            }),
            next: (next < behind.entries.len()).then(|| next.to_string()),
        })
        .empty(Empty::new(
            "No events are kept for this row.",
            "Finalising the invoice keeps the digests of its events.",
        ));
    for entry in entries {
        let event = stored.get(&entry.offset);
        let link = behind.event_href(&visit, entry.offset);
        table.push(Row::new(vec![
            match event {
                Some(event) => Cell::id(&event.id, &link),
                None => Cell::text("not stored any more"),
            },
            Cell::time(entry.time.timestamp(), &utc()),
            event.map_or_else(Cell::unknown, |event| Cell::text(&event.source)),
            event.map_or_else(Cell::unknown, |event| Cell::text(&event.event_type)),
            Cell::text(&entry.offset.to_string()),
            Cell::markup(
                &Markup::new().code(&entry.digest.short()),
                &entry.digest.to_string(),
            ),
        ]));
    }
    let last = from + table.rows();
    let table = table.note(&format!(
        "{} to {} of {}",
        format::group(&(from + usize::from(last > from)).to_string()),
        format::group(&last.to_string()),
        format::group(&behind.entries.len().to_string())
    ));
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let root = match (behind.usage.root, behind.root_holds()) {
        (Some(root), Some(holds)) => {
            Markup::new()
                .code(&root.to_string())
                .text(" ")
                .with(&if holds {
                    Badge::new(Tone::Good, "computed again: same")
                } else {
                    Badge::new(Tone::Bad, "computed again: another")
                })
        }
        _ => Markup::from("none: a draft seals nothing"),
    };
    let row = Definitions::new()
        .item("Meter", Markup::new().code(&behind.usage.meter))
        .item(
            "Quantity",
            format!("{} {}", grouped(&behind.usage.quantity), behind.usage.unit),
        )
        .item("Root over the events", root);
    let head = Columns {
        left: Markup::of(&Panel::new("Usage row", &row).flush()),
        right: Markup::of(&Panel::new("Proof", &behind.chain(&visit))),
    };
    let body = Markup::of(&head).with(&table);
    let mut way = behind.crumbs(&visit);
    way.push(Crumb::here(&behind.title()));
    let chrome = visit.chrome(way).lead(format!(
        "The events that were metered into row {} of {}, in the order of the log.",
        behind.row,
        name(&behind.invoice)
    ));
    Ok(Page::new(&behind.title(), chrome, &body).into_response())
}

/// `GET /console/billing/invoices/{id}/usage/{row}/{offset}`.
pub(super) async fn event(
    visit: Visit,
    Path((id, row, offset)): Path<(String, String, String)>,
) -> Answer {
    let behind = Behind::read(&visit, &id, &row).await?;
    let missing = || {
        visit.missing(&format!(
            "No event of this row is at offset {}.",
            shown(&offset)
        ))
    };
    let at: u64 = offset.parse().map_err(|_| missing())?;
    let place = behind
        .entries
        .iter()
        .position(|entry| entry.offset == at)
        .ok_or_else(missing)?;
    let entry = behind.entries.get(place).copied().ok_or_else(missing)?;
    let stored = visit
        .pages
        .invoices
        .events_of(visit.by.tenants, behind.invoice.document.id, &[entry])
        .await
        .map_err(|error| visit.refuse(error))?;
    let Some(event) = stored.get(&at) else {
        return Err(visit.missing(
            "This event is not stored any more. Its digest still proves what was metered.",
        ));
    };
    let same = Digest::of(&event.json) == entry.digest;
    let pretty = event
        .value()
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| String::from_utf8_lossy(&event.json).into_owned());
    let facts = Definitions::new()
        .item("Id", Markup::new().code(&event.id))
        .item("Source", Markup::new().code(&event.source))
        .item("Type", Markup::new().code(&event.event_type))
        .item(
            "Time",
            format!("{} UTC", format::moment(entry.time.timestamp(), &utc())),
        )
        .item(
            "Accepted",
            format!(
                "{} UTC",
                format::moment(event.received_at.timestamp(), &utc())
            ),
        )
        .item("Offset in the log", format::group(&at.to_string()))
        .item(
            "Digest, SHA-256",
            Markup::new()
                .code(&entry.digest.to_string())
                .text(" ")
                .with(&if same {
                    Badge::new(Tone::Good, "the stored event has it")
                } else {
                    Badge::new(Tone::Bad, "the stored event has another")
                }),
        );
    let left = Markup::new()
        .with(&Panel::new("Event", &facts).flush())
        .with(
            &Panel::new(
                "As it is stored",
                &Command::new("The event as JSON", &pretty),
            )
            .note("the digest is of its canonical form, without spaces and with sorted members"),
        );
    let right = Markup::of(&Panel::new("Proof", &behind.chain(&visit)));
    let body = Columns { left, right };
    let mut way = behind.crumbs(&visit);
    way.push(Crumb::link(
        &behind.title(),
        &events_href(&visit, &behind.invoice, behind.row),
    ));
    way.push(Crumb::id(&event.id));
    let title = format!("Event {}", event.id);
    Ok(Page::new(&title, visit.chrome(way), &body).into_response())
}
