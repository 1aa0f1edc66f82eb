//! What was written anew: `/console/dlp/treatments`.

use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_web::component::{Badge, Cell, Column, Definitions, Empty, Panel, Row, Table, Tone};
use sealwright_web::{Markup, Page};

use super::visit::{Answer, Visit, shown};
use crate::model::treatment::TreatmentStep;

/// Rows of the list.
const ROWS: u32 = 500;

/// `GET /console/dlp/treatments`, with `id` for one of them.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let service = &visit.pages.dlp.treatments;
    let all = service
        .list(scope, ROWS)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("object", "Object"),
        Column::text("action", "Action"),
        Column::text("step", "Step"),
        Column::text("reason", "Reason"),
        Column::text("problem", "Note"),
        Column::text("tenant", "Tenant"),
        Column::time("begun_at", "Begun, UTC"),
    ];
    let mut table = Table::new("treatments", "Treatments", &visit.url, columns)
        .note("the new version is read back before anything becomes of the original")
        .empty(Empty::new(
            "Nothing was redacted or encrypted.",
            "An enforced policy writes objects anew when a scan finds something.",
        ));
    for one in &all {
        let tone = match one.step {
            TreatmentStep::Done => Tone::Good,
            TreatmentStep::Refused => Tone::Bad,
            TreatmentStep::Superseded => Tone::Neutral,
            _ => Tone::Info,
        };
        table.push(Row::new(vec![
            Cell::link(
                &one.source.to_string(),
                &format!("/console/dlp/treatments?id={}", one.id),
            ),
            Cell::text(one.action.as_str()),
            Cell::badge(&Badge::new(tone, one.step.as_str())),
            Cell::text(&one.reason),
            Cell::text(&one.problem),
            Cell::text(&visit.slug(one.tenant)),
            Cell::time(one.begun_at.timestamp(), &TimeZone::UTC),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let mut body = Markup::new();
    if let Some(text) = visit.url.get("id") {
        let one = all
            .iter()
            .find(|one| one.id.to_string() == text)
            .ok_or_else(|| visit.missing(&format!("There is no treatment {}.", shown(text))))?;
        let replaced: Vec<_> = one
            .replaced
            .iter()
            .map(|(detector, n)| format!("{n} {detector}"))
            .collect();
        let mut facts = Definitions::new()
            .item("Object", Markup::new().code(&one.source.to_string()))
            .item("Action", one.action.as_str())
            .item("Step", one.step.as_str())
            .item("Reason", one.reason.as_str())
            .item("The original", one.original.as_str())
            .item("Begun by", one.begun_by.as_str());
        if !one.new_version.is_empty() {
            facts = facts.item("New version", Markup::new().code(&one.new_version));
        }
        if !one.sha256.is_empty() {
            facts = facts.item("SHA-256", Markup::new().code(&one.sha256));
        }
        let replaced = replaced.join(", ");
        for (name, text) in [("Values that went", &replaced), ("Note", &one.problem)] {
            if !text.is_empty() {
                facts = facts.item(name, text.as_str());
            }
        }
        body = body.with(&Panel::new("Object", &facts).flush());
    }
    let body = body.with(&table);
    let chrome = visit.list("Treatments");
    Ok(Page::new("Treatments", chrome, &body).into_response())
}
