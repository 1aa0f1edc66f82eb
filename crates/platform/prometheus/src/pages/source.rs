//! One source: what it counts, what became of its windows, which series fell silent, what can be done.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::Response;
use sealwright_access::Principal;
use sealwright_core::UnixMicros;
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Field, Form, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup};

use super::{Answer, LIST, Refused, Visit, done, fault, length, standing, time, typed};
use crate::event::shown;
use crate::model::{Source, TenantOf, Totals, WindowRow, WindowState};
use crate::service::{PrometheusService, SourceChange};

/// `GET /console/prometheus/sources/{source}`.
pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Answer {
    page(&visit, &id, None).await
}

async fn page(visit: &Visit, id: &str, refused: Refused<'_>) -> Answer {
    let service = visit.service();
    let refuse = |error| visit.refuse(error);
    let source = service.source(&visit.by, id).await.map_err(refuse)?;
    let totals = service
        .totals(&visit.by, Some(source.id))
        .await
        .map_err(refuse)?;
    let totals = totals.get(&source.id).copied().unwrap_or_default();
    let windows = windows(visit, &source).await?;
    let quiet = quiet(visit, &source).await?;
    for table in [&windows, &quiet] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let mut body = Markup::of(&facts(service, &source, totals));
    if visit.may_write() {
        body = body.with(&actions(visit, &source, refused));
    }
    let body = body.with(&windows).with(&quiet);
    let way = vec![Crumb::link("Sources", LIST), Crumb::here(&source.name)];
    let chrome = visit
        .chrome(way)
        .badge(standing(source.state(service.now())));
    Ok(visit.show(&source.name, chrome, &body, refused))
}

fn moment(at: UnixMicros) -> String {
    sealwright_web::format::moment(at.timestamp(), &jiff::tz::TimeZone::UTC)
}

fn members(map: &BTreeMap<String, String>) -> String {
    let parts = map.iter().map(|(name, value)| format!("{name}={value}"));
    parts.collect::<Vec<_>>().join(", ")
}

fn facts(service: &PrometheusService, source: &Source, totals: Totals) -> Definitions {
    let definition = &source.definition;
    let now = service.now();
    let counted = match definition.take {
        Some(take) => format!("{}, {take}", definition.kind),
        None => definition.kind.to_string(),
    };
    let tenant = match &definition.tenant {
        TenantOf::Label(label) => format!("the value of the label {label}"),
        TenantOf::Fixed(id) => service
            .directory()
            .get(*id)
            .map_or_else(|| id.to_string(), |tenant| tenant.slug.clone()),
    };
    let mut facts = Definitions::new()
        .item("Server", Markup::new().code(&source.url))
        .item("Credential", source.credential.as_str())
        .item("Asked for", Markup::new().code(&definition.expression))
        .item("Counted as", counted.as_str())
        .item(
            "Windows",
            format!(
                "{} each, asked for {} after their end, up to {} back",
                length(definition.interval()),
                length(source.delay),
                length(source.catch_up)
            )
            .as_str(),
        )
        .item("Tenant", tenant.as_str())
        .item(
            "Type of the events",
            Markup::new().code(&definition.event_type),
        )
        .item(
            "Member with the number",
            Markup::new().code(&definition.value_field),
        );
    if let Some(factor) = definition.factor {
        facts = facts.item("Factor", factor.to_string().as_str());
    }
    if !definition.labels.is_empty() {
        facts = facts.item("Members from labels", members(&definition.labels).as_str());
    }
    if !definition.fixed.is_empty() {
        facts = facts.item("Fixed members", members(&definition.fixed).as_str());
    }
    facts = facts
        .item("Counted up to", format!("{} UTC", moment(source.done_through)).as_str())
        .item("Lag", length(source.lag(now)).as_str())
        .item(
            "In 90 days",
            format!(
                "{} windows, {} events, {} resets; {} windows without a sample, {} times a series fell silent, \
                 {} stretches lost; {} times no known tenant, {} events refused",
                totals.windows,
                totals.events,
                totals.resets,
                totals.empty,
                totals.vanished,
                totals.lost,
                totals.unassigned,
                totals.refused
            )
            .as_str(),
        );
    if let (Some(error), Some(at)) = (&source.last_error, source.last_error_at) {
        let since = match source.failing_since {
            Some(since) => format!(
                "failing since {} UTC, attempts: {}",
                moment(since),
                source.failures
            ),
            None => "it is over".to_owned(),
        };
        let text = format!("{} UTC: {error} ({since})", moment(at));
        facts = facts.item("Last error", text.as_str());
    }
    facts.item("Id", Markup::new().code(&source.id.to_string()))
}

fn actions(visit: &Visit, source: &Source, refused: Refused<'_>) -> Panel {
    let form = |action: &str, label: &str| {
        let to = format!("{LIST}/{}/{action}", source.id);
        Form::new(&to, &visit.csrf, label)
    };
    let mut body = Markup::new();
    if source.enabled {
        body = body
            .with(&form("retry", "Ask at the next look"))
            .with(&form("disable", "Switch off").danger());
    } else {
        body = body.with(&form("enable", "Switch on"));
    }
    body = body
        .with(
            &form("rewind", "Ask again from there").field(
                Field::text("to", "Wind back to")
                    .value(typed(refused, "to"))
                    .error(&fault(refused, "to"))
                    .required()
                    .mono()
                    .hint("2026-11-01T00:00:00Z. What is counted already is not counted twice."),
            ),
        )
        .with(&form("delete", "Delete").danger());
    Panel::new("What can be done", &body).note("A look comes every minute.")
}

fn state(row: &WindowRow) -> Badge {
    let tone = match row.state {
        WindowState::Taken => Tone::Info,
        WindowState::Done if row.unassigned + row.refused > 0 => Tone::Warn,
        WindowState::Done => Tone::Good,
        WindowState::Empty => Tone::Warn,
        WindowState::Lost => Tone::Bad,
    };
    Badge::new(tone, row.state.as_str())
}

async fn windows(visit: &Visit, source: &Source) -> Result<Table, super::Refusal> {
    let found = visit
        .service()
        .windows(
            &visit.by,
            &source.id.to_string(),
            visit.url.get("cursor"),
            Some(50),
        )
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::time("end", "End, UTC"),
        Column::time("start", "Start, UTC"),
        Column::text("state", "State"),
        Column::number("series", "Series"),
        Column::number("samples", "Samples"),
        Column::number("events", "Events"),
        Column::number("resets", "Resets"),
        Column::number("appeared", "New"),
        Column::number("vanished", "Fell silent"),
        Column::number("returned", "Came back"),
        Column::text("problems", "What to know"),
    ];
    let mut table = Table::new("windows", "Windows", &visit.url, columns)
        .pager(Pager {
            previous: visit.url.get("cursor").map(|_| String::new()),
            next: found.next.clone(),
        })
        .empty(Empty::new(
            "No window was decided yet.",
            "The first one is when it is over and the delay has passed.",
        ));
    for row in &found.items {
        let mut cells = vec![time(row.end), time(row.start), Cell::badge(&state(row))];
        let known = matches!(row.state, WindowState::Taken | WindowState::Done);
        for count in [
            row.series,
            row.samples,
            row.events,
            row.resets,
            row.appeared,
            row.vanished,
            row.returned,
        ] {
            // Of a window without samples nothing is known; that is no zero.
            cells.push(if known {
                Cell::integer(count)
            } else {
                Cell::unknown()
            });
        }
        cells.push(Cell::text(&row.problems.join("; ")));
        table.push(Row::new(cells));
    }
    Ok(table)
}

async fn quiet(visit: &Visit, source: &Source) -> Result<Table, super::Refusal> {
    let found = visit
        .service()
        .quiet(&visit.by, &source.id.to_string(), 100)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("series", "Series"),
        Column::time("at", "Last sample, UTC"),
        Column::number("value", "Value"),
    ];
    let title = "Series without a sample in the last window";
    let mut table = Table::new("quiet", title, &visit.url, columns)
        .note("Forgotten a week after their last sample.")
        .empty(Empty::new(
            "None.",
            "Every series that is known had a sample.",
        ));
    for series in &found {
        table.push(Row::new(vec![
            Cell::code(&shown(&series.labels)),
            time(series.at),
            Cell::decimal(series.value),
        ]));
    }
    Ok(table)
}

async fn switch(
    service: &PrometheusService,
    by: &Principal,
    id: &str,
    enabled: bool,
) -> Result<Source, crate::error::PrometheusError> {
    let change = SourceChange {
        enabled: Some(enabled),
        ..SourceChange::default()
    };
    service.change(by, id, None, &change).await
}

/// `POST /console/prometheus/sources/{source}/{action}`.
pub(super) async fn act(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let service = visit.service();
    let here = format!("{LIST}/{id}");
    let refuse = |error| visit.refuse(error);
    let said = |text: &str| -> Response { done(&here, text) };
    match action.as_str() {
        "retry" => {
            service.retry(&visit.by, &id).await.map_err(refuse)?;
            Ok(said("It is asked within a minute."))
        }
        "enable" => {
            switch(service, &visit.by, &id, true)
                .await
                .map_err(refuse)?;
            Ok(said("Switched on."))
        }
        "disable" => {
            switch(service, &visit.by, &id, false)
                .await
                .map_err(refuse)?;
            Ok(said(
                "Switched off. Windows wait for it as far back as it catches up.",
            ))
        }
        "rewind" => {
            let fields = visit.fields(&body)?;
            let to = fields.filled("to").unwrap_or_default();
            match service.rewind(&visit.by, &id, &to).await {
                Ok(source) => Ok(said(&format!(
                    "Wound back to {} UTC.",
                    moment(source.done_through)
                ))),
                Err(error @ crate::error::PrometheusError::Invalid { .. }) => {
                    page(&visit, &id, Some((&fields, &error))).await
                }
                Err(error) => Err(refuse(error)),
            }
        }
        "delete" => {
            service.delete(&visit.by, &id).await.map_err(refuse)?;
            Ok(done(LIST, "Deleted, with its credential. Its events stay."))
        }
        _ => Err(visit.problem(&sealwright_core::Problem::not_found(
            "there is nothing at this address",
        ))),
    }
}
