//! Meters: `/console/billing/meters`.

use axum::extract::Path;
use axum::response::IntoResponse;
use sealwright_meter::{Aggregation, MeterDef};
use sealwright_web::component::{
    Cell, Column, Command, Definitions, Figure, Figures, Panel, Row, Table,
};
use sealwright_web::{Crumb, Markup, Page, TimeRange, format};

use super::chart::{self, UsageChart, courses};
use super::visit::{Answer, Refusal, Visit, shown, span_of};
use crate::model::Dimensions;
use crate::service::usage::{UsagePoint, UsageQuery};

/// `GET /console/billing/meters`.
pub(super) async fn list(visit: Visit) -> Answer {
    let (range, scope) = (visit.range()?, visit.scope()?);
    let usage = &visit.pages.usage;
    let query = UsageQuery {
        by_tenant: false,
        ..UsageQuery::over(span_of(&range))
    };
    let points = usage
        .summary(scope, &query)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("key", "Meter"),
        Column::text("title", "Title"),
        Column::text("aggregation", "Aggregation"),
        Column::text("dimensions", "Dimensions"),
        Column::number("quantity", "Quantity"),
        Column::text("unit", "Unit"),
        Column::number("events", "Events"),
    ];
    let mut table = Table::new("meters", "Meters", &visit.url, columns);
    let meters = usage.meters().current();
    for def in &meters.definitions {
        let point = points.iter().find(|point| point.meter == def.key);
        let dimensions: Vec<&str> = def.dimensions.keys().map(String::as_str).collect();
        table.push(Row::new(vec![
            Cell::link(
                &def.key,
                &visit.to(&format!("/console/billing/meters/{}", def.key)),
            ),
            Cell::text(&def.title),
            Cell::text(aggregation(def.aggregation)),
            Cell::text(&dimensions.join(", ")),
            quantity(def, point),
            Cell::text(&def.unit),
            Cell::integer(events(point)),
        ]));
    }
    let table = table.note(&format!("{} meters", meters.definitions.len()));
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let body = Markup::of(&table).with(&Panel::new(
        "Your own meters",
        &Command::new(
            "Command that adds meters from a file",
            "sealwright billing meter add meters.toml",
        ),
    ));
    Ok(page(&visit, "Meters", Vec::new(), range, None, &body))
}

fn page(
    visit: &Visit,
    title: &str,
    mut way: Vec<Crumb>,
    range: TimeRange,
    lead: Option<Markup>,
    body: &Markup,
) -> axum::response::Response {
    way.push(Crumb::here(title));
    let mut chrome = visit.chrome(way).range(range);
    if let Some(menu) = visit.menu() {
        chrome = chrome.tenants(menu);
    }
    if let Some(lead) = lead {
        chrome = chrome.lead(lead);
    }
    Page::new(title, chrome, body).into_response()
}

/// What an aggregation does, in a few words.
pub(super) fn aggregation(aggregation: Aggregation) -> &'static str {
    match aggregation {
        Aggregation::Sum => "sum",
        Aggregation::Count => "number of events",
        Aggregation::Max => "largest value",
        Aggregation::Unique => "number of different values",
        Aggregation::Latest => "latest value",
        Aggregation::TimeWeighted => "average level over time",
    }
}

/// A quantity; nothing used is zero where values add up, and unknown where they do not.
pub(super) fn quantity(def: &MeterDef, point: Option<&UsagePoint>) -> Cell {
    match point.and_then(chart::value) {
        Some(value) => Cell::decimal(value),
        None if point.is_none() && chart::adds_up(def.aggregation) => Cell::integer(0),
        None => Cell::unknown(),
    }
}

pub(super) fn events(point: Option<&UsagePoint>) -> i64 {
    let events = point.and_then(|point| point.events).unwrap_or(0);
    i64::try_from(events).unwrap_or(i64::MAX)
}

/// By which dimension a meter is drawn: the asked one, `model` where it has one, else its first.
pub(super) fn drawn_by(def: &MeterDef, asked: Option<&str>) -> Option<String> {
    let has = |name: &str| def.dimensions.contains_key(name);
    asked
        .filter(|name| has(name))
        .or(has("model").then_some("model"))
        .or(def.dimensions.keys().next().map(String::as_str))
        .map(str::to_owned)
}

/// The name of a dimension's value, with a word for what has none.
pub(super) fn value_name(point: &UsagePoint, dimension: Option<&String>) -> String {
    match dimension {
        None => point.meter.clone(),
        Some(name) => point
            .dimensions
            .get(name)
            .cloned()
            .unwrap_or_else(|| format!("no {name}")),
    }
}

/// `GET /console/billing/meters/{key}`.
pub(super) async fn show(visit: Visit, Path(key): Path<String>) -> Answer {
    let meters = visit.pages.usage.meters().current();
    let Some(def) = meters.definition(&key) else {
        return Err(visit.missing(&format!("There is no meter {}.", shown(&key))));
    };
    let (range, scope) = (visit.range()?, visit.scope()?);
    let span = span_of(&range);
    let dimension = drawn_by(def, visit.url.get("by"));
    let usage = &visit.pages.usage;
    let query = |grain, group_by: Vec<String>| UsageQuery {
        meter: Some(def.key.clone()),
        grain,
        group_by,
        by_tenant: false,
        only: Dimensions::new(),
        span,
    };
    let group: Vec<String> = dimension.iter().cloned().collect();
    let refuse = |error| visit.refuse(error);
    let total = usage
        .summary(scope, &query(None, Vec::new()))
        .await
        .map_err(refuse)?;
    let apart = usage
        .summary(
            scope,
            &query(None, def.dimensions.keys().cloned().collect()),
        )
        .await
        .map_err(refuse)?;
    let course = usage
        .summary(scope, &query(Some(chart::grain(span)), group))
        .await
        .map_err(refuse)?;
    let table = breakdown(&visit, def, &apart);
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let drawn = UsageChart {
        id: "usage",
        title: &match &dimension {
            Some(name) => format!("{} by {name}", def.title),
            None => def.title.clone(),
        },
        unit: &def.unit,
        range: &range,
        span,
        now: visit.now,
        stacked: chart::adds_up(def.aggregation),
    }
    .draw(courses(&course, |point| {
        value_name(point, dimension.as_ref())
    }));
    let body = Markup::new()
        .with(&figures(&visit, def, &total, &range)?)
        .with(&drawn)
        .with(&table)
        .with(&Panel::new("Definition", &definition(def)).flush())
        .with(&Panel::new(
            "Try it",
            &Command::new("Command that sends an event of this meter", &example(def)),
        ));
    let way = vec![Crumb::link("Meters", &visit.to("/console/billing/meters"))];
    let lead = lead(&visit, def, dimension.as_deref());
    Ok(page(&visit, &def.key, way, range, Some(lead), &body))
}

fn figures(
    visit: &Visit,
    def: &MeterDef,
    total: &[UsagePoint],
    range: &TimeRange,
) -> Result<Figures, Refusal> {
    let point = total.first();
    let label = format!("{}, {}", def.title, range.label());
    let value = match point.and_then(chart::value) {
        Some(value) => Figure::new(&label, &format::decimal(value), &def.unit),
        None if point.is_none() && chart::adds_up(def.aggregation) => {
            Figure::new(&label, "0", &def.unit)
        }
        None => Figure::unknown(&label, "no event in this span says"),
    };
    let tenants = visit
        .scope()?
        .tenant()
        .map_or_else(|| "all tenants".to_owned(), |id| visit.slug(id));
    Ok(Figures::new(vec![
        value.note(tenants),
        Figure::count("Events", events(point), "").note("by whole UTC day"),
        Figure::new("Aggregation", aggregation(def.aggregation), ""),
    ]))
}

/// What the meter is called, with links that draw the chart by another dimension.
fn lead(visit: &Visit, def: &MeterDef, drawn: Option<&str>) -> Markup {
    let mut links = Markup::new().text(&def.title);
    if def.dimensions.len() < 2 {
        return links;
    }
    for (i, name) in def.dimensions.keys().enumerate() {
        links = links.text(if i == 0 { " · drawn by " } else { ", " });
        links = if Some(name.as_str()) == drawn {
            links.strong(name)
        } else {
            links.link(name, &visit.url.with("by", name).to_string())
        };
    }
    links
}

fn breakdown(visit: &Visit, def: &MeterDef, points: &[UsagePoint]) -> Table {
    let mut columns: Vec<Column> = def
        .dimensions
        .keys()
        .map(|name| Column::text(name, name))
        .collect();
    if columns.is_empty() {
        columns.push(Column::text("meter", "Meter"));
    }
    columns.push(Column::number(
        "quantity",
        &format!("Quantity, {}", def.unit),
    ));
    columns.push(Column::number("events", "Events"));
    let mut table = Table::new("breakdown", "Usage by dimension", &visit.url, columns);
    let mut points: Vec<&UsagePoint> = points.iter().collect();
    points.sort_by_key(|point| std::cmp::Reverse(chart::value(point)));
    for point in points {
        let mut cells: Vec<Cell> = def
            .dimensions
            .keys()
            .map(|name| {
                let value = point.dimensions.get(name);
                value.map_or_else(|| Cell::text("none"), |value| Cell::code(value))
            })
            .collect();
        if cells.is_empty() {
            cells.push(Cell::code(&def.key));
        }
        cells.push(quantity(def, Some(point)));
        cells.push(Cell::integer(events(Some(point))));
        table.push(Row::new(cells));
    }
    let rows = table.rows();
    table.note(&format!("{rows} rows"))
}

fn definition(def: &MeterDef) -> Definitions {
    let list = |items: &mut dyn Iterator<Item = String>| {
        items.enumerate().fold(Markup::new(), |markup, (i, text)| {
            markup.text(if i == 0 { "" } else { ", " }).code(&text)
        })
    };
    let mut definitions = Definitions::new()
        .item("Event types", list(&mut def.event_types.iter().cloned()))
        .item(
            "Value",
            match &def.value {
                Some(value) => Markup::new().code(value),
                None => Markup::from("each event counts 1"),
            },
        )
        .item("Aggregation", aggregation(def.aggregation))
        .item("Unit", def.unit.as_str())
        .item(
            "Dimensions",
            list(
                &mut def
                    .dimensions
                    .iter()
                    .map(|(name, path)| format!("{name} = {path}")),
            ),
        );
    if let Some(filter) = &def.filter {
        definitions = definitions.item("Only where", Markup::new().code(filter));
    }
    if !def.series.is_empty() {
        definitions = definitions.item(
            "Levels told apart by",
            list(&mut def.series.iter().cloned()),
        );
    }
    definitions
}

/// An event of the meter, as a command. Paths become members; what cannot be told from the
/// definition stays out.
fn example(def: &MeterDef) -> String {
    let mut data = serde_json::Map::new();
    let mut put = |path: &str, value: serde_json::Value| {
        let path = path.trim_end_matches('?');
        let plain = path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
        if let Some(name) = path
            .strip_prefix("data.")
            .filter(|n| plain && !n.contains('.'))
        {
            data.insert(name.to_owned(), value);
        }
    };
    if let Some(value) = &def.value {
        put(value, serde_json::json!(1));
    }
    for (name, path) in &def.dimensions {
        put(
            path,
            serde_json::json!(format!("some-{}", name.replace('_', "-"))),
        );
    }
    let event = serde_json::json!({
        "specversion": "1.0",
        "id": "1",
        "source": "/example",
        "type": def.event_types.first(),
        "data": data,
    });
    format!(
        "curl -H \"Authorization: Bearer $SEALWRIGHT_KEY\" -H 'Content-Type: application/cloudevents+json' \\\n  \
         --data '{event}' \"$SEALWRIGHT_URL/api/events\""
    )
}
