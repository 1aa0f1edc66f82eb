//! The page of the day: `/console`.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::response::IntoResponse;
use sealwright_access::Action;
use sealwright_ledger::{EntryFilter, Leaf};
use sealwright_web::component::{Badge, Cell, Column, Empty, Row, Table, Tone};
use sealwright_web::range::Preset;
use sealwright_web::{Crumb, Markup, Page, TimeRange, format};

use super::BillingPages;
use super::invoices::{href, name, total};
use super::overview::utc;
use super::visit::{Answer, Refusal, Visit, period, span_of};
use crate::model::InvoiceState;
use crate::service::invoice::Filter;

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much.
    pub tone: Tone,
    /// A word for it: `stopped`.
    pub state: String,
    /// What it is about.
    pub what: String,
    /// What is known, and what to do.
    pub detail: String,
    /// Where it is seen to.
    pub href: String,
}

/// What a part of the program has to say on the page of the day.
pub trait Notices: Send + Sync {
    /// What needs attention now, the most urgent first.
    fn notices(&self) -> Vec<Notice>;
}

impl Notices for () {
    fn notices(&self) -> Vec<Notice> {
        Vec::new()
    }
}

#[derive(Clone)]
pub(super) struct Today {
    pub(super) pages: Arc<BillingPages>,
    pub(super) notices: Arc<dyn Notices>,
}

impl FromRef<Today> for Arc<BillingPages> {
    fn from_ref(today: &Today) -> Self {
        Arc::clone(&today.pages)
    }
}

/// Entries of the ledger on the page.
const ENTRIES: usize = 12;
/// Invoices of a state on the page.
const INVOICES: u32 = 8;

/// `GET /console`.
pub(super) async fn show(State(today): State<Today>, visit: Visit) -> Answer {
    let mut notices = if visit.by.tenants.tenant().is_none() {
        today.notices.notices()
    } else {
        Vec::new()
    };
    notices.extend(invoices(&visit, InvoiceState::Overdue).await?);
    notices.extend(unmetered(&visit).await?);
    notices.extend(invoices(&visit, InvoiceState::Draft).await?);
    let columns = vec![
        Column::text("what", "What"),
        Column::text("state", "State"),
        Column::text("detail", "Detail"),
    ];
    let mut table = Table::new("attention", "Needs attention", &visit.url, columns).empty(
        Empty::new(
            "Nothing needs attention.",
            "No invoice is overdue or ready to finalise, and every event of this month was metered.",
        ),
    );
    for notice in &notices {
        table.push(Row::new(vec![
            Cell::link(&notice.what, &notice.href),
            Cell::badge(&Badge::new(notice.tone, &notice.state)),
            Cell::text(&notice.detail),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::of(&table);
    if visit.may(Action::LedgerRead) {
        let entries = entries(&visit).await?;
        if let Some(export) = entries.export(&visit.url) {
            return Ok(export);
        }
        body = body.with(&entries);
    }
    let chrome = visit.frame().crumbs(vec![Crumb::here("Today")]);
    Ok(Page::new("Today", chrome, &body).into_response())
}

async fn invoices(visit: &Visit, state: InvoiceState) -> Result<Vec<Notice>, Refusal> {
    let filter = Filter {
        state: Some(state),
        limit: 200,
        ..Filter::default()
    };
    let found = visit
        .pages
        .invoices
        .list(visit.by.tenants, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let due: Vec<_> = found
        .iter()
        // A draft of a period that goes on is no work for anybody yet.
        .filter(|invoice| state != InvoiceState::Draft || invoice.period.to <= visit.now)
        .collect();
    let mut notices: Vec<Notice> = due
        .iter()
        .take(INVOICES as usize)
        .map(|invoice| {
            let amount = format::money(total(invoice));
            let (tone, word, detail) = match (state, invoice.due_at) {
                (InvoiceState::Overdue, Some(at)) => (
                    Tone::Bad,
                    "overdue",
                    format!("{amount}, due {}", format::day(at.timestamp(), &utc())),
                ),
                (InvoiceState::Overdue, None) => (Tone::Bad, "overdue", amount),
                _ => (
                    Tone::Info,
                    "ready to finalise",
                    format!("{amount}, {}", period(invoice.period)),
                ),
            };
            Notice {
                tone,
                state: word.to_owned(),
                what: name(invoice),
                detail,
                href: href(visit, invoice.document.id),
            }
        })
        .collect();
    if due.len() > notices.len() {
        notices.push(Notice {
            tone: Tone::Neutral,
            state: state.name().to_owned(),
            what: "More invoices".to_owned(),
            detail: format!("{} more", due.len() - notices.len()),
            href: format!("/console/billing/invoices?state={state}"),
        });
    }
    Ok(notices)
}

async fn unmetered(visit: &Visit) -> Result<Vec<Notice>, Refusal> {
    let Ok(range) = TimeRange::preset(Preset::MonthToDate, visit.now.timestamp(), utc()) else {
        return Ok(Vec::new());
    };
    let span = span_of(&range);
    let usage = &visit.pages.usage;
    let rows = usage
        .unmetered(visit.by.tenants, span, 1_000)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut by_tenant = std::collections::BTreeMap::new();
    for row in rows {
        let (count, _) = by_tenant.entry(row.tenant).or_insert((0_u64, row.reason));
        *count += 1;
    }
    Ok(by_tenant
        .into_iter()
        .map(|(tenant, (count, reason))| {
            let slug = visit.slug(tenant);
            Notice {
                tone: Tone::Warn,
                state: "not metered".to_owned(),
                detail: format!("{count} events this month; the newest: {reason}"),
                href: visit.to(&format!("/console/billing/tenants/{slug}")),
                what: slug,
            }
        })
        .collect())
}

async fn entries(visit: &Visit) -> Result<Table, Refusal> {
    let rows = visit
        .pages
        .invoices
        .ledger()
        .entries(visit.by.tenants, &EntryFilter::default(), ENTRIES)
        .await
        .map_err(|error| visit.refuse(error.into()))?;
    let columns = vec![
        Column::text("action", "Action"),
        Column::text("subject", "Subject"),
        Column::text("actor", "By"),
        Column::time("time", "Time, UTC"),
    ];
    let mut table =
        Table::new("entries", "Last entries of the ledger", &visit.url, columns).empty(Empty::new(
            "Nothing was done yet.",
            "Every change that anybody makes is recorded here.",
        ));
    for row in &rows {
        let link = visit.to(&format!("/console/ledger/{}", row.id));
        let leaf = Leaf::from_bytes(&row.leaf).ok();
        let (action, subject) = leaf
            .as_ref()
            .map_or(("unknown", ""), |leaf| (&leaf.action, &leaf.subject));
        let actor = row
            .opening
            .as_ref()
            .map_or("erased", |opening| opening.private.actor.as_str());
        table.push(Row::new(vec![
            Cell::link(action, &link),
            Cell::markup(&Markup::new().code(&format::shorten(subject, 14)), subject),
            Cell::markup(&Markup::new().code(&format::shorten(actor, 14)), actor),
            Cell::time(row.recorded_at.timestamp(), &utc()),
        ]));
    }
    Ok(table)
}
