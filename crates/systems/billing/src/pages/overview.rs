//! What was used and what it costs: `/console/billing` and its list of tenants.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_core::clock::DAY;
use sealwright_core::{TenantId, TenantScope};
use sealwright_money::Decimal;
use sealwright_web::chart::{Bars, Sparkline};
use sealwright_web::component::{
    Badge, Cell, Column, Empty, Figure, Figures, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, TimeRange};

use super::chart::{self, UsageChart, courses};
use super::spend::{self, Spend};
use super::visit::{Answer, Refusal, Visit, span_of};
use crate::model::{Dimensions, Grain, InvoiceState, Span};
use crate::service::usage::{UsagePoint, UsageQuery};

/// Days that a sparkline shows.
const SPARK_DAYS: i64 = 30;

/// What the pages about several tenants show.
struct Overview {
    range: TimeRange,
    span: Span,
    scope: TenantScope,
    /// Events metered, by tenant.
    events: BTreeMap<TenantId, u64>,
    /// Events by day of the last [`SPARK_DAYS`], by tenant.
    days: BTreeMap<TenantId, Vec<Option<Decimal>>>,
    spends: BTreeMap<TenantId, Spend>,
}

impl Overview {
    async fn read(visit: &Visit) -> Result<Self, Refusal> {
        let (range, scope) = (visit.range()?, visit.scope()?);
        let span = span_of(&range);
        let usage = &visit.pages.usage;
        let points = usage
            .summary(scope, &UsageQuery::over(span))
            .await
            .map_err(|error| visit.refuse(error))?;
        let meters = usage.meters().current();
        let counting = chart::counting(&meters.definitions);
        let mut events: BTreeMap<TenantId, u64> = BTreeMap::new();
        for point in &points {
            if let Some(tenant) = point.tenant {
                let counts = counting.contains(point.meter.as_str());
                *events.entry(tenant).or_default() += point.events.filter(|_| counts).unwrap_or(0);
            }
        }
        let days = daily(visit, scope, span, &counting).await?;
        let spends = spend::by_tenant(visit, events.keys().copied(), span).await;
        Ok(Self {
            range,
            span,
            scope,
            events,
            days,
            spends,
        })
    }

    async fn figures(&self, visit: &Visit) -> Result<Figures, Refusal> {
        let pages = &visit.pages;
        let refuse = |error| visit.refuse(error);
        let unmetered = pages
            .usage
            .count_unmetered(self.scope, self.span)
            .await
            .map_err(refuse)?;
        let late = pages
            .invoices
            .late_between(self.scope, self.span)
            .await
            .map_err(refuse)?;
        let ever = Span {
            from: sealwright_core::UnixMicros(i64::MIN / 2),
            to: sealwright_core::UnixMicros(i64::MAX / 2),
        };
        let invoices = pages
            .invoices
            .totals(self.scope, ever)
            .await
            .map_err(refuse)?;
        let count = |state: InvoiceState| -> u64 {
            let of_state = invoices.iter().filter(|(s, ..)| *s == state);
            of_state.map(|(_, _, n, _)| n).sum()
        };
        let (drafts, overdue) = (count(InvoiceState::Draft), count(InvoiceState::Overdue));
        let open = count(InvoiceState::Finalised) + overdue;
        let metered: u64 = self.events.values().sum();
        let with_usage = self.events.len();
        let known = match self.scope {
            TenantScope::One(_) => 1,
            TenantScope::All => pages.directory.all().len(),
        };
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Ok(Figures::new(vec![
            spend::figure(visit, &self.spends, &self.range.label()),
            Figure::count("Events metered", number(metered), "")
                .note(format!("by whole UTC day; {late} late")),
            Figure::count("Not metered", number(unmetered), "events").note(if unmetered == 0 {
                "every event gave its value".to_owned()
            } else {
                "the tenant's page says why".to_owned()
            }),
            Figure::count(
                "Tenants with usage",
                i64::try_from(with_usage).unwrap_or(i64::MAX),
                &format!("of {known}"),
            ),
            Figure::count("Invoices open", number(open), "")
                .href(&visit.to("/console/billing/invoices"))
                .note(format!("{overdue} overdue, {drafts} drafts")),
        ]))
    }

    fn table(&self, visit: &Visit) -> Table {
        let currencies: BTreeSet<&str> = self
            .spends
            .values()
            .flatten()
            .map(|estimate| estimate.amount.currency().code())
            .collect();
        let one = (currencies.len() == 1).then(|| currencies.first().copied().unwrap_or(""));
        let spend_head = match one {
            Some(code) => Column::money("spend", "Usage", code),
            None => Column::number("spend", "Usage, rated"),
        };
        let mut columns = vec![
            Column::text("tenant", "Tenant").sortable(),
            Column::text("price_book", "Price book"),
            Column::text("region", "Region"),
            Column::drawing("days", "Events by day, 30 days"),
            spend_head.sortable(),
            Column::number("events", "Events").sortable(),
            Column::text("state", "State"),
        ];
        if one.is_none() {
            columns.insert(5, Column::text("currency", "Currency"));
        }
        let mut table = Table::new("tenants", "Tenants", &visit.url, columns)
            .filter("Filter tenants")
            .empty(
                Empty::new("No tenant yet.", "Create one, then send its events.")
                    .command("sealwright access tenant create acme"),
            );
        for tenant in self.sorted(visit, table.sort()) {
            table.push(self.row(visit, &tenant, one.is_none()));
        }
        let rows = table.rows();
        let note = if rows == 1 {
            "1 tenant".to_owned()
        } else {
            format!("{rows} tenants")
        };
        table.note(&note)
    }

    /// The tenants in scope that match the filter, in the order that the address asks for.
    fn sorted(
        &self,
        visit: &Visit,
        sort: Option<(&str, bool)>,
    ) -> Vec<std::sync::Arc<sealwright_access::Tenant>> {
        let wanted = visit.url.get("q").unwrap_or_default().to_lowercase();
        let mut tenants: Vec<_> = visit
            .pages
            .directory
            .all()
            .into_iter()
            .filter(|t| self.scope.allows(t.id))
            .filter(|t| t.slug.contains(&wanted) || t.name.to_lowercase().contains(&wanted))
            .collect();
        let spend = |id: &TenantId| {
            let known = self.spends.get(id).and_then(|spend| spend.as_ref().ok());
            known.map(|estimate| estimate.amount.minor())
        };
        match sort {
            Some(("tenant", descending)) => {
                tenants.sort_by(|a, b| a.slug.cmp(&b.slug));
                if descending {
                    tenants.reverse();
                }
            }
            Some(("events", descending)) => {
                tenants.sort_by_key(|t| self.events.get(&t.id).copied());
                if descending {
                    tenants.reverse();
                }
            }
            Some(("spend", false)) => tenants.sort_by_key(|t| spend(&t.id)),
            _ => tenants.sort_by_key(|t| std::cmp::Reverse(spend(&t.id))),
        }
        tenants
    }

    fn row(&self, visit: &Visit, tenant: &sealwright_access::Tenant, currency: bool) -> Row {
        let spend = self.spends.get(&tenant.id);
        let estimate = spend.and_then(|spend| spend.as_ref().ok());
        let book = match estimate.and_then(|estimate| estimate.books.last()) {
            Some(book) => Cell::link(
                &format!("{} v{}", book.id, book.version),
                &visit.to(&spend::book_href(book)),
            ),
            None => Cell::unknown(),
        };
        let (tone, words) = match spend {
            None => (Tone::Neutral, "no usage in this span".to_owned()),
            Some(Err(why)) => (Tone::Warn, why.clone()),
            Some(Ok(estimate)) if !estimate.unpriced.is_empty() => {
                (Tone::Warn, "some usage has no price".to_owned())
            }
            Some(Ok(_)) => (Tone::Good, "rated".to_owned()),
        };
        let spark = self.days.get(&tenant.id).map_or_else(
            || Cell::text("none"),
            |days| Cell::spark(&Sparkline::new("Events by day, 30 days", days.clone())),
        );
        let events = self.events.get(&tenant.id).copied().unwrap_or(0);
        let href = visit.to(&format!("/console/billing/tenants/{}", tenant.slug));
        let mut cells = vec![
            Cell::link(&tenant.slug, &href),
            book,
            tenant
                .region
                .as_deref()
                .map_or_else(Cell::unknown, Cell::code),
            spark,
            estimate.map_or_else(
                || {
                    if spend.is_none() {
                        Cell::text("none")
                    } else {
                        Cell::unknown()
                    }
                },
                |estimate| Cell::money(estimate.amount),
            ),
            Cell::integer(i64::try_from(events).unwrap_or(i64::MAX)),
            Cell::badge(&Badge::new(tone, &words)),
        ];
        if currency {
            let code = estimate.map(|estimate| estimate.amount.currency().code());
            cells.insert(5, code.map_or_else(|| Cell::text(""), Cell::text));
        }
        Row::new(cells)
    }
}

/// Events by whole day up to the end of the span, by tenant.
async fn daily(
    visit: &Visit,
    scope: TenantScope,
    span: Span,
    counting: &BTreeSet<&str>,
) -> Result<BTreeMap<TenantId, Vec<Option<Decimal>>>, Refusal> {
    // Today is not over; a line that falls at its end would say something untrue.
    let last = span.to.min(visit.now.floor_day()).plus(-1).floor_day();
    let from = last.plus(-(SPARK_DAYS - 1) * DAY);
    let query = UsageQuery {
        grain: Some(Grain::Day),
        ..UsageQuery::over(Span {
            from,
            to: last.plus(DAY),
        })
    };
    let points = visit
        .pages
        .usage
        .summary(scope, &query)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut days: BTreeMap<TenantId, Vec<Option<Decimal>>> = BTreeMap::new();
    for point in points
        .iter()
        .filter(|p| counting.contains(p.meter.as_str()))
    {
        let Some(tenant) = point.tenant else { continue };
        let length = usize::try_from(SPARK_DAYS).unwrap_or(30);
        let course = days
            .entry(tenant)
            .or_insert_with(|| vec![Some(Decimal::ZERO); length]);
        let day = usize::try_from(point.from.since(from) / DAY).unwrap_or(usize::MAX);
        if let Some(Some(value)) = course.get_mut(day) {
            *value += Decimal::from(point.events.unwrap_or(0));
        }
    }
    Ok(days)
}

/// `GET /console/billing`.
pub(super) async fn overview(visit: Visit) -> Answer {
    let overview = Overview::read(&visit).await?;
    let table = overview.table(&visit);
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let tokens = tokens(&visit, &overview).await?;
    let mut body = Markup::of(&overview.figures(&visit).await?);
    if let Some((chart, models)) = &tokens {
        body = body.with(chart).with(&table).with(models);
    } else {
        body = body.with(&table);
    }
    let mut chrome = visit
        .chrome(vec![Crumb::here("Overview")])
        .range(overview.range);
    if let Some(menu) = visit.menu() {
        chrome = chrome.tenants(menu);
    }
    Ok(Page::new("Billing", chrome, &body).into_response())
}

/// `GET /console/billing/tenants`.
pub(super) async fn tenants(visit: Visit) -> Answer {
    let overview = Overview::read(&visit).await?;
    let table = overview.table(&visit);
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit
        .chrome(vec![Crumb::here("Tenants")])
        .range(overview.range);
    Ok(Page::new("Tenants' usage", chrome, &table).into_response())
}

/// AI tokens over time and by model, when there are any.
async fn tokens(
    visit: &Visit,
    overview: &Overview,
) -> Result<Option<(sealwright_web::chart::TimeChart, Panel)>, Refusal> {
    let usage = &visit.pages.usage;
    let meters = usage.meters().current();
    let of_tokens: Vec<_> = meters
        .definitions
        .iter()
        .filter(|def| def.unit == "token" && def.dimensions.contains_key("model"))
        .filter(|def| chart::adds_up(def.aggregation))
        .collect();
    let grain = chart::grain(overview.span);
    let mut points: Vec<UsagePoint> = Vec::new();
    for def in of_tokens {
        let query = UsageQuery {
            meter: Some(def.key.clone()),
            grain: Some(grain),
            group_by: vec!["model".to_owned()],
            by_tenant: false,
            only: Dimensions::new(),
            ..UsageQuery::over(overview.span)
        };
        let found = usage.summary(overview.scope, &query).await;
        points.extend(found.map_err(|error| visit.refuse(error))?);
    }
    if points.is_empty() {
        return Ok(None);
    }
    let model = |point: &UsagePoint| point.dimensions.get("model").cloned().unwrap_or_default();
    let by_model = courses(&points, model);
    let chart = UsageChart {
        id: "tokens",
        title: &format!("AI tokens by {}, UTC", chart::word(grain)),
        unit: "tokens",
        range: &overview.range,
        span: overview.span,
        now: visit.now,
        stacked: true,
    }
    .draw(by_model.clone());
    let mut totals: Vec<(String, Decimal)> = by_model
        .into_iter()
        .map(|(name, course)| (name, course.into_values().sum()))
        .collect();
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
    let mut bars = Bars::new("AI tokens by model", "Model", "tokens");
    for (name, total) in totals.into_iter().take(10) {
        bars = bars.bar(&name, Some(total));
    }
    let panel = Panel::new("AI tokens by model", &bars).note(overview.range.label());
    Ok(Some((chart, panel)))
}

/// UTC, which days of usage are counted in.
pub(super) fn utc() -> TimeZone {
    TimeZone::UTC
}
