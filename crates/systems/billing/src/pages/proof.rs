//! The chain of an invoice's figures: line, usage rows, events, ledger.

use sealwright_core::{Digest, TenantScope};
use sealwright_ledger::{EntryId, EntryRow, Leaf};
use sealwright_rating::{Line, LineKind};
use sealwright_web::component::{Chain, Seal, SealState, Step};
use sealwright_web::{Markup, format};

use super::spend::book_href;
use super::visit::{Refusal, Visit};
use crate::model::{Invoice, UsageEntry};

/// How an invoice stands in the ledger.
pub(super) struct Sealing {
    /// The state of every seal of the invoice.
    pub(super) state: SealState,
    /// Its entry.
    pub(super) entry: Option<EntryRow>,
    /// The size of the tree that the newest checkpoint signs.
    pub(super) tree_size: u64,
}

/// Looks the invoice up in the ledger and compares digests.
pub(super) async fn sealing(visit: &Visit, invoice: &Invoice) -> Result<Sealing, Refusal> {
    let ledger = visit.pages.invoices.ledger();
    let tree_size = ledger.size();
    let Some(id) = &invoice.ledger_entry else {
        return Ok(Sealing {
            state: SealState::Draft,
            entry: None,
            tree_size,
        });
    };
    let broken = Sealing {
        state: SealState::Broken,
        entry: None,
        tree_size,
    };
    let Ok(id) = id.parse::<EntryId>() else {
        return Ok(broken);
    };
    let entry = match ledger.entry(TenantScope::One(invoice.tenant), id).await {
        Ok(entry) => entry,
        Err(sealwright_ledger::LedgerError::NotFound(_)) => return Ok(broken),
        Err(error) => return Err(visit.refuse(error.into())),
    };
    let document = invoice.document.canonical().map(|bytes| Digest::of(&bytes));
    let leaf = Leaf::from_bytes(&entry.leaf);
    let same = document.is_ok_and(|digest| digest == invoice.digest)
        && leaf.is_ok_and(|leaf| leaf.after == Some(invoice.digest));
    let state = if !same {
        SealState::Broken
    } else if entry.index.is_some_and(|index| index < tree_size) {
        SealState::Proven
    } else {
        SealState::Pending
    };
    Ok(Sealing {
        state,
        entry: Some(entry),
        tree_size,
    })
}

impl Sealing {
    /// The last step of every chain.
    pub(super) fn step(&self, visit: &Visit) -> Step {
        let Some(entry) = &self.entry else {
            return match self.state {
                SealState::Broken => {
                    Step::new("Ledger", "the entry that the invoice names is not there")
                }
                _ => Step::new("Ledger", "nothing yet: finalising the invoice seals it"),
            };
        };
        let detail = match (self.state, entry.index) {
            (SealState::Broken, _) => {
                Markup::from("the entry holds another digest than this invoice has")
            }
            (_, Some(index)) if index < self.tree_size => Markup::new().text(&format!(
                "entry {} in the checkpoint of {} entries",
                format::group(&index.to_string()),
                format::group(&self.tree_size.to_string())
            )),
            _ => Markup::from("the entry waits for the next checkpoint"),
        };
        Step::new("Ledger", detail).href(&visit.to(&format!("/console/ledger/{}", entry.id)))
    }
}

/// The file name of an invoice's bundle, as the server names it.
pub(super) fn bundle_name(invoice: &Invoice) -> String {
    let document = &invoice.document;
    let name = document
        .number
        .clone()
        .unwrap_or_else(|| document.id.to_string());
    format!("{name}.zip")
}

/// The chain of the whole invoice.
pub(super) fn whole(visit: &Visit, invoice: &Invoice, sealing: &Sealing) -> Chain {
    let document = &invoice.document;
    let book = &document.price_book;
    let count = |n: usize, one: &str, many: &str| {
        format!(
            "{} {}",
            format::group(&n.to_string()),
            if n == 1 { one } else { many }
        )
    };
    let rated = Markup::new()
        .text(&format!(
            "{}, by ",
            count(document.rated.lines.len(), "line", "lines")
        ))
        .link(
            &format!("{} v{}", book.id, book.version),
            &visit.to(&book_href(book)),
        )
        .text(", digest ")
        .code(&book.digest.short());
    let chain = Chain::new()
        .step(Step::new("Rated lines", rated).href("#lines"))
        .step(Step::new("Usage rows", count(document.usage.len(), "row", "rows")).href("#usage"))
        .step(Step::new(
            "Metered events",
            format!(
                "{} readings of events below offset {} of the log",
                format::group(&document.events.to_string()),
                format::group(&document.events_through.to_string())
            ),
        ));
    finish(visit, invoice, sealing, chain)
}

fn finish(visit: &Visit, invoice: &Invoice, sealing: &Sealing, chain: Chain) -> Chain {
    let chain = chain.step(sealing.step(visit));
    if sealing.entry.is_none() {
        return chain;
    }
    chain
        .file(
            &format!("/api/billing/invoices/{}/bundle", invoice.document.id),
            None,
        )
        .verify(&format!("sealwright verify {}", bundle_name(invoice)))
}

/// The usage rows that a usage line was rated from: those of its meter whose dimensions it names,
/// unless another line names more of them.
pub(super) fn rows_of<'a>(
    invoice: &'a Invoice,
    line: &'a Line,
) -> impl Iterator<Item = (usize, &'a UsageEntry)> {
    let lines = &invoice.document.rated.lines;
    let matches = |line: &Line, row: &UsageEntry| {
        line.kind == LineKind::Usage
            && line.meter.as_deref() == Some(row.meter.as_str())
            && line
                .dimensions
                .iter()
                .all(|(name, value)| row.dimensions.get(name) == Some(value))
    };
    invoice
        .document
        .usage
        .iter()
        .enumerate()
        .filter(move |(_, row)| {
            matches(line, row)
                && !lines
                    .iter()
                    .any(|l| matches(l, row) && l.dimensions.len() > line.dimensions.len())
        })
}

/// The seal of one line.
pub(super) fn line_seal(
    visit: &Visit,
    invoice: &Invoice,
    sealing: &Sealing,
    index: usize,
    line: &Line,
) -> Seal {
    let book = &invoice.document.price_book;
    let code = invoice.document.rated.currency.code();
    let rated = Markup::new()
        .text(&format!("{}, ", line.model.replace('_', " ")))
        .link(
            &format!("{} v{}", book.id, book.version),
            &visit.to(&book_href(book)),
        )
        .text(", digest ")
        .code(&book.digest.short());
    let mut chain = Chain::new().step(Step::new("Rated line", rated));
    let rows: Vec<(usize, &UsageEntry)> = rows_of(invoice, line).collect();
    if let [(row, only)] = rows.as_slice() {
        chain = chain.step(
            Step::new(
                "Usage row",
                format!("{} {}", grouped(&only.quantity), only.unit),
            )
            .href("#usage"),
        );
        let root = match only.root {
            Some(root) => Markup::new()
                .text(&format!(
                    "{} events, root ",
                    format::group(&only.events.to_string())
                ))
                .code(&root.short()),
            None => Markup::from(format!(
                "{} events",
                format::group(&only.events.to_string())
            )),
        };
        let mut step = Step::new("Metered events", root);
        if only.root.is_some() {
            let href = events_href(visit, invoice, *row);
            step = step.href(&href);
            chain = chain.events(&href);
        }
        chain = chain.step(step);
    } else if !rows.is_empty() {
        let events: u64 = rows.iter().map(|(_, row)| row.events).sum();
        chain = chain
            .step(Step::new("Usage rows", format!("{} rows", rows.len())).href("#usage"))
            .step(Step::new(
                "Metered events",
                format!("{} events", format::group(&events.to_string())),
            ));
    }
    Seal::opens(
        &format!("line-{index}"),
        &format!("the amount of {}", line.title),
        &format!("{} {code}, {}", grouped(&line.amount), line.title),
        finish(visit, invoice, sealing, chain),
    )
    .state(sealing.state)
}

/// Exact decimal text with its digits grouped.
pub(super) fn grouped(text: &str) -> String {
    format::group(text)
}

/// The page of the events behind a usage row.
pub(super) fn events_href(visit: &Visit, invoice: &Invoice, row: usize) -> String {
    visit.to(&format!(
        "/console/billing/invoices/{}/usage/{row}",
        invoice.document.id
    ))
}
