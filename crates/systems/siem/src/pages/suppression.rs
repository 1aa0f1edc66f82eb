//! Suppressions: `/console/siem/suppressions`.

use axum::response::IntoResponse;
use sealwright_web::component::{Badge, Cell, Column, Empty, Form, Row, Table, Tone};
use sealwright_web::{Crumb, Markup, Page};

use super::alert::encode;
use super::parts::about;
use super::visit::{Answer, Visit, utc};

/// `GET /console/siem/suppressions`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let found = visit
        .siem()
        .suppressions
        .list(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("rule", "Rule"),
        Column::text("state", "State"),
        Column::text("about", "About"),
        Column::text("covers", "Up to"),
        Column::number("hits", "Matches held back"),
        Column::text("owner", "Owner"),
        Column::text("reason", "Reason"),
        Column::time("ends_at", "Ends, UTC"),
        Column::text("end", "End it"),
    ];
    let mut table =
        Table::new("suppressions", "Suppressions", &visit.url, columns).empty(Empty::new(
            "Nothing is suppressed.",
            "An alert's page can suppress what it says for a time.",
        ));
    for s in &found {
        let holds = s.holds(visit.now);
        let badge = if holds {
            Badge::new(Tone::Warn, "holds")
        } else {
            Badge::new(Tone::Neutral, "ended")
        };
        let about = match &s.entity {
            Some(entity) => format!("{} {}", entity.kind, entity.value),
            None => about(&s.known),
        };
        table.push(Row::new(vec![
            Cell::link(
                &s.rule_id,
                &visit.to(&format!("/console/siem/rules/{}", encode(&s.rule_id))),
            ),
            Cell::badge(&badge),
            Cell::text(&about),
            Cell::text(s.severity.name()),
            Cell::integer(i64::try_from(s.hits).unwrap_or(i64::MAX)),
            Cell::code(&s.owner),
            Cell::text(&s.reason),
            Cell::time(s.ended_at.unwrap_or(s.ends_at).timestamp(), &utc()),
            if holds && visit.may_write() {
                let href = format!("/console/siem/suppressions/{}/end", s.id);
                let form = Form::new(&href, visit.csrf(), "End now")
                    .hidden("revision", &s.revision.to_string());
                Cell::markup(&Markup::of(&form), "holds")
            } else {
                Cell::text("")
            },
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit.chrome(vec![Crumb::here("Suppressions")]);
    Ok(Page::new("Suppressions", chrome, &table).into_response())
}
