//! One tenant's usage: `/console/billing/tenants/{slug}`.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use axum::response::IntoResponse;
use sealwright_access::Tenant;
use sealwright_core::TenantScope;
use sealwright_web::component::{Badge, Cell, Column, Empty, Figure, Figures, Row, Table, Tone};
use sealwright_web::{Crumb, Markup, Page, TimeRange};

use super::chart::{self, UsageChart, courses};
use super::invoices::invoice_table;
use super::meter::{drawn_by, events, quantity, value_name};
use super::overview::utc;
use super::spend::{self, Spend};
use super::visit::{Answer, Refusal, Visit, span_of};
use crate::model::{Dimensions, Invoice, Span, Subscription};
use crate::service::invoice::Filter;
use crate::service::meter::MetersInForce;
use crate::service::usage::{UsagePoint, UsageQuery};
use crate::store::usage::Unmetered;

/// Charts that a page shows.
const CHARTS: usize = 8;
/// Events without a value that a page shows.
const UNMETERED: u32 = 100;

struct Account {
    range: TimeRange,
    span: Span,
    by_meter: Vec<UsagePoint>,
    apart: Vec<UsagePoint>,
    unmetered: Vec<Unmetered>,
    not_metered: u64,
    late: u64,
    spend: Spend,
    subscriptions: Vec<Subscription>,
    invoices: Vec<Invoice>,
}

impl Account {
    async fn read(visit: &Visit, tenant: &Tenant) -> Result<Self, Refusal> {
        let range = visit.range()?;
        let span = span_of(&range);
        let scope = TenantScope::One(tenant.id);
        let (usage, invoices) = (&visit.pages.usage, &visit.pages.invoices);
        let refuse = |error| visit.refuse(error);
        let by_meter = usage.summary(scope, &UsageQuery::over(span)).await;
        let dimensions: BTreeSet<String> = usage
            .meters()
            .current()
            .definitions
            .iter()
            .flat_map(|def| def.dimensions.keys().cloned())
            .collect();
        let query = UsageQuery {
            group_by: dimensions.into_iter().collect(),
            ..UsageQuery::over(span)
        };
        let apart = usage.summary(scope, &query).await;
        let filter = Filter {
            limit: 12,
            ..Filter::default()
        };
        Ok(Self {
            by_meter: by_meter.map_err(refuse)?,
            apart: apart.map_err(refuse)?,
            unmetered: usage
                .unmetered(scope, span, UNMETERED)
                .await
                .map_err(refuse)?,
            not_metered: usage.count_unmetered(scope, span).await.map_err(refuse)?,
            late: invoices.late_between(scope, span).await.map_err(refuse)?,
            spend: spend::of_tenant(visit, tenant.id, span).await,
            subscriptions: visit
                .pages
                .books
                .subscriptions(scope)
                .await
                .map_err(|error| visit.refuse(error.into()))?,
            invoices: invoices.list(scope, &filter).await.map_err(refuse)?,
            range,
            span,
        })
    }

    fn figures(&self, visit: &Visit, tenant: &Tenant, meters: &MetersInForce) -> Figures {
        let counting = chart::counting(&meters.definitions);
        let counted: i64 = self
            .by_meter
            .iter()
            .filter(|point| counting.contains(point.meter.as_str()))
            .map(|point| events(Some(point)))
            .sum();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let spends = BTreeMap::from([(tenant.id, self.spend.clone())]);
        let current = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.from <= visit.now)
            .max_by_key(|subscription| subscription.from);
        let book = match current {
            Some(on) => Figure::new(
                "Price book",
                &format!("{} v{}", on.price_book_id, on.price_book_version),
                "",
            )
            .href(&visit.to(&book_path(on))),
            None => Figure::unknown("Price book", "on none; its usage is not rated"),
        };
        Figures::new(vec![
            spend::figure(visit, &spends, &self.range.label()),
            book,
            Figure::count("Events metered", counted, "")
                .note(format!("by whole UTC day; {} late", self.late)),
            Figure::count("Not metered", number(self.not_metered), "events"),
        ])
    }

    fn meters(&self, visit: &Visit, meters: &MetersInForce) -> Table {
        let columns = vec![
            Column::text("meter", "Meter"),
            Column::text("title", "Title"),
            Column::number("quantity", "Quantity"),
            Column::text("unit", "Unit"),
            Column::number("events", "Events"),
            Column::text("priced", "Price"),
        ];
        let mut table = Table::new("usage", "Usage by meter", &visit.url, columns).empty(
            Empty::new("No usage in this span.", "Send an event, or import a file:")
                .command("sealwright billing usage import usage.ndjson --tenant acme"),
        );
        for point in &self.by_meter {
            let Some(def) = meters.definition(&point.meter) else {
                continue;
            };
            let priced = match &self.spend {
                Err(_) => Cell::unknown(),
                Ok(estimate) if estimate.unpriced.contains(&point.meter) => {
                    Cell::badge(&Badge::new(Tone::Warn, "no price"))
                }
                Ok(_) => Cell::badge(&Badge::new(Tone::Good, "priced")),
            };
            table.push(Row::new(vec![
                Cell::link(
                    &point.meter,
                    &visit.to(&format!("/console/billing/meters/{}", point.meter)),
                ),
                Cell::text(&def.title),
                quantity(def, Some(point)),
                Cell::text(&point.unit),
                Cell::integer(events(Some(point))),
                priced,
            ]));
        }
        let rows = table.rows();
        table.note(&format!("{rows} meters"))
    }

    fn apart(&self, visit: &Visit, meters: &MetersInForce) -> Table {
        let columns = vec![
            Column::text("meter", "Meter"),
            Column::text("region", "Region"),
            Column::text("model", "Model"),
            Column::text("other", "Other dimensions"),
            Column::number("quantity", "Quantity"),
            Column::text("unit", "Unit"),
            Column::number("events", "Events"),
        ];
        let mut table = Table::new(
            "dimensions",
            "Usage by region and model",
            &visit.url,
            columns,
        );
        for point in &self.apart {
            let Some(def) = meters.definition(&point.meter) else {
                continue;
            };
            let part = |name: &str| match point.dimensions.get(name) {
                Some(value) => Cell::code(value),
                None => Cell::text(""),
            };
            let other: Vec<String> = point
                .dimensions
                .iter()
                .filter(|(name, _)| !["region", "model"].contains(&name.as_str()))
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            table.push(Row::new(vec![
                Cell::text(&point.meter),
                part("region"),
                part("model"),
                Cell::text(&other.join(", ")),
                quantity(def, Some(point)),
                Cell::text(&point.unit),
                Cell::integer(events(Some(point))),
            ]));
        }
        let rows = table.rows();
        table.note(&format!("{rows} rows"))
    }

    fn subscriptions(&self, visit: &Visit, tenant: &Tenant) -> Table {
        let columns = vec![
            Column::text("price_book", "Price book"),
            Column::number("version", "Version"),
            Column::time("from", "From, UTC"),
        ];
        let mut table = Table::new("subscriptions", "Subscriptions", &visit.url, columns).empty(
            Empty::new(
                "On no price book.",
                "Its usage is metered, and rated from the day on that it is on one.",
            )
            .command(&format!(
                "sealwright billing subscription set --tenant {} --price-book starter",
                tenant.slug
            )),
        );
        for on in &self.subscriptions {
            table.push(Row::new(vec![
                Cell::link(&on.price_book_id, &visit.to(&book_path(on))),
                Cell::integer(i64::from(on.price_book_version)),
                Cell::time(on.from.timestamp(), &utc()),
            ]));
        }
        table
    }

    fn unmetered(&self, visit: &Visit) -> Table {
        let columns = vec![
            Column::text("id", "Event"),
            Column::text("meter", "Meter"),
            Column::text("reason", "Why"),
            Column::text("pointer", "Where in the event"),
            Column::text("type", "Type"),
            Column::text("source", "Source"),
            Column::time("time", "Time, UTC"),
        ];
        let mut table = Table::new(
            "unmetered",
            "Events that were not metered",
            &visit.url,
            columns,
        )
        .empty(Empty::new(
            "None in this span.",
            "Every event of a metered type gave each of its meters a value.",
        ));
        for event in &self.unmetered {
            table.push(Row::new(vec![
                Cell::code(&event.event_id),
                Cell::text(&event.meter),
                Cell::text(&event.reason),
                Cell::code(&event.pointer),
                Cell::text(&event.event_type),
                Cell::text(&event.source),
                Cell::time(event.time.timestamp(), &utc()),
            ]));
        }
        let rows = table.rows();
        table.note(&format!("{rows} of {}", self.not_metered))
    }
}

fn book_path(on: &Subscription) -> String {
    format!(
        "/console/billing/price-books/{}/{}",
        on.price_book_id, on.price_book_version
    )
}

/// `GET /console/billing/tenants/{slug}`.
pub(super) async fn show(visit: Visit, Path(slug): Path<String>) -> Answer {
    let tenant = visit.tenant(&slug)?;
    let account = Account::read(&visit, &tenant).await?;
    let meters = visit.pages.usage.meters().current();
    let tables = [
        account.meters(&visit, &meters),
        account.apart(&visit, &meters),
        account.subscriptions(&visit, &tenant),
        invoice_table(&visit, "invoices", "Invoices", &account.invoices),
        account.unmetered(&visit),
    ];
    for table in &tables {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let [usage, apart, subscriptions, invoices, unmetered] = tables;
    let mut body = Markup::of(&account.figures(&visit, &tenant, &meters));
    let charts = charts(&visit, &tenant, &account, &meters).await?;
    body = body.with(&invoices).with(&usage).with(&charts);
    if !account.apart.is_empty() {
        body = body.with(&apart);
    }
    body = body.with(&unmetered).with(&subscriptions);
    let mut lead = Markup::new().text(&tenant.name);
    if let Some(region) = &tenant.region {
        lead = lead.text(", home region ").code(region);
    }
    let chrome = visit
        .chrome(vec![
            Crumb::link("Tenants", &visit.to("/console/billing/tenants")),
            Crumb::here(&tenant.slug),
        ])
        .range(account.range)
        .lead(lead);
    Ok(Page::new(&tenant.slug, chrome, &body).into_response())
}

/// A chart for each meter that was used, the ones with most events first.
async fn charts(
    visit: &Visit,
    tenant: &Tenant,
    account: &Account,
    meters: &MetersInForce,
) -> Result<Markup, Refusal> {
    let mut used: Vec<&UsagePoint> = account.by_meter.iter().collect();
    used.sort_by_key(|point| std::cmp::Reverse(point.events));
    let grain = chart::grain(account.span);
    let mut markup = Markup::new();
    for point in used.into_iter().take(CHARTS) {
        let Some(def) = meters.definition(&point.meter) else {
            continue;
        };
        let dimension = drawn_by(def, None);
        let query = UsageQuery {
            meter: Some(def.key.clone()),
            span: account.span,
            grain: Some(grain),
            group_by: dimension.iter().cloned().collect(),
            by_tenant: true,
            only: Dimensions::new(),
        };
        let points = visit
            .pages
            .usage
            .summary(TenantScope::One(tenant.id), &query)
            .await
            .map_err(|error| visit.refuse(error))?;
        let by = dimension
            .as_ref()
            .map_or_else(String::new, |name| format!(" by {name}"));
        let drawn = UsageChart {
            id: &format!("chart-{}", def.key.replace(['.', '_'], "-")),
            title: &format!("{}{by}, by {}", def.title, chart::word(grain)),
            unit: &def.unit,
            range: &account.range,
            span: account.span,
            now: visit.now,
            stacked: chart::adds_up(def.aggregation),
        }
        .draw(courses(&points, |point| {
            value_name(point, dimension.as_ref())
        }))
        .height(130);
        markup = markup.with(&drawn);
    }
    Ok(Markup::of(&Pairs(markup)))
}

/// Parts beside each other where there is room.
#[derive(askama::Template)]
#[template(
    source = r#"<div class="columns-even">{{ self.0 }}</div>"#,
    ext = "html"
)]
struct Pairs(Markup);

impl sealwright_web::HtmlSafe for Pairs {}
