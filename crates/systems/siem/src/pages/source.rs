//! Sources, late events and dead letters: `/console/siem/sources`.

use axum::response::IntoResponse;
use sealwright_web::component::{Badge, Cell, Column, Empty, Form, Row, Table, Tone};
use sealwright_web::{Crumb, Markup, Page};

use super::parts::length;
use super::visit::{Answer, Visit, utc};
use crate::service::vanish::Vanished;
use crate::store::source::Aside;

/// `GET /console/siem/sources`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let found = siem.sources.list(scope).await.map_err(refuse)?;
    let columns = vec![
        Column::text("source", "Source"),
        Column::text("tenant", "Tenant"),
        Column::text("state", "State"),
        Column::time("last_received", "Last received, UTC"),
        Column::text("lag", "Lag"),
        Column::number("events", "Events"),
        Column::number("late", "Late"),
        Column::number("future", "From the future"),
        Column::text("silence", "May be silent for"),
    ];
    let count = |n: u64| Cell::integer(i64::try_from(n).unwrap_or(i64::MAX));
    let mut table = Table::new("sources", "Sources", &visit.url, columns)
        .note(&format!("{} sources", found.len()))
        .empty(Empty::new(
            "No source has sent an event yet.",
            "Send events to /api/events; docs/events.md says how.",
        ));
    for s in &found {
        let silence = s.silence.unwrap_or_else(|| siem.sources.silence());
        let badge = if visit.now.since(s.last_received) > silence {
            Badge::new(Tone::Bad, "silent")
        } else {
            Badge::new(Tone::Good, "sending")
        };
        table.push(Row::new(vec![
            Cell::code(&s.source),
            Cell::text(&siem.slug(s.tenant)),
            Cell::badge(&badge),
            Cell::time(s.last_received.timestamp(), &utc()),
            Cell::text(&length(s.last_received.since(s.last_time))),
            count(s.events),
            count(s.late),
            count(s.future),
            Cell::text(&length(silence)),
        ]));
    }
    let late = siem.sources.late(scope, 50).await.map_err(refuse)?;
    let late = asides(
        &visit,
        "late",
        "Too late to be correlated, the last 50",
        &late,
        false,
    );
    let dead = siem
        .sources
        .dead_letters(scope, false, 50)
        .await
        .map_err(refuse)?;
    let dead = asides(
        &visit,
        "dead-letters",
        "Could not be evaluated, the last 50",
        &dead,
        true,
    );
    let gone = vanished(&visit, &siem.fields.list(scope).await.map_err(refuse)?);
    for table in [&table, &gone, &late, &dead] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let body = Markup::of(&table).with(&gone).with(&late).with(&dead);
    let chrome = visit.chrome(vec![Crumb::here("Sources")]);
    Ok(Page::new("Sources", chrome, &body).into_response())
}

fn vanished(visit: &Visit, rows: &[Vanished]) -> Table {
    let columns = vec![
        Column::text("field", "Field"),
        Column::text("source", "Source"),
        Column::text("tenant", "Tenant"),
        Column::time("last_seen", "Last seen, UTC"),
        Column::number("without", "Events without it"),
        Column::text("rules", "Rules that need it"),
    ];
    let title = "Fields that rules need and that have vanished";
    let mut table = Table::new("vanished", title, &visit.url, columns).empty(Empty::new(
        "None.",
        "The sources send what the rules ask for.",
    ));
    for gone in rows {
        table.push(Row::new(vec![
            Cell::code(&gone.field),
            Cell::code(&gone.source),
            Cell::text(&visit.siem().slug(gone.tenant)),
            Cell::time(gone.last_seen.timestamp(), &utc()),
            Cell::integer(i64::try_from(gone.without).unwrap_or(i64::MAX)),
            Cell::text(&gone.rules.join(", ")),
        ]));
    }
    table
}

fn asides(visit: &Visit, id: &str, title: &str, rows: &[Aside], replayable: bool) -> Table {
    let mut columns = vec![
        Column::text("event", "Event"),
        Column::text("tenant", "Tenant"),
        Column::text("source", "Source"),
        Column::text("type", "Type"),
        Column::time("time", "Time, UTC"),
        Column::text("reason", "Reason"),
    ];
    if replayable {
        columns.push(Column::text("replay", "Again"));
    }
    let mut table = Table::new(id, title, &visit.url, columns)
        .empty(Empty::new("None.", "Nothing has to be done here."));
    for aside in rows {
        let mut cells = vec![
            Cell::code(&aside.event_id),
            Cell::text(&visit.siem().slug(aside.tenant)),
            Cell::text(&aside.source),
            Cell::text(&aside.event_type),
            Cell::time(aside.time.timestamp(), &utc()),
            Cell::text(&aside.reason),
        ];
        if replayable {
            cells.push(match (aside.replayed_at, visit.may_write()) {
                (Some(_), _) => Cell::text("evaluated"),
                (None, true) => {
                    let href = format!("/console/siem/sources/{}/replay", aside.offset);
                    let form = Form::new(&href, visit.csrf(), "Evaluate again");
                    Cell::markup(&Markup::of(&form), "waits")
                }
                (None, false) => Cell::text("waits"),
            });
        }
        table.push(Row::new(cells));
    }
    table
}
