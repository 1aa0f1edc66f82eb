//! What was taken away: `/console/dlp/quarantine`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_access::Action;
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Form, Panel, Row, Table, Tone,
};
use sealwright_web::{Markup, Page};

use super::act;
use super::visit::{Answer, Visit, shown};
use crate::model::quarantine::{QuarantineId, QuarantineStep};

/// Rows of the list.
const ROWS: u32 = 500;

/// `GET /console/dlp/quarantine`, with `id` for one of them.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let service = &visit.pages.dlp.quarantine;
    let all = service
        .list(scope, ROWS)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::text("object", "Object"),
        Column::text("step", "Step"),
        Column::text("reason", "Reason"),
        Column::text("problem", "Waits for"),
        Column::text("tenant", "Tenant"),
        Column::time("begun_at", "Taken, UTC"),
    ];
    let mut table = Table::new("quarantine", "Quarantine", &visit.url, columns)
        .note("at each step a readable copy is there; a step is taken up after a crash")
        .empty(Empty::new(
            "Nothing is in quarantine.",
            "An enforced policy takes objects away when a scan finds something.",
        ));
    for one in &all {
        let tone = match one.step {
            QuarantineStep::Quarantined => Tone::Bad,
            QuarantineStep::ReleaseAsked => Tone::Warn,
            QuarantineStep::Released => Tone::Neutral,
            _ => Tone::Info,
        };
        table.push(Row::new(vec![
            Cell::link(
                &one.source.to_string(),
                &format!("/console/dlp/quarantine?id={}", one.id),
            ),
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
            .ok_or_else(|| visit.missing(&format!("There is no quarantine {}.", shown(text))))?;
        let mut facts = Definitions::new()
            .item("Object", Markup::new().code(&one.source.to_string()))
            .item("Copy", Markup::new().code(&one.copy.to_string()))
            .item("Step", one.step.as_str())
            .item("Reason", one.reason.as_str())
            .item("Taken by", one.begun_by.as_str());
        if !one.sha256.is_empty() {
            facts = facts.item("SHA-256", Markup::new().code(&one.sha256));
        }
        for (name, who) in [
            ("Release asked by", &one.release_asked_by),
            ("Released by", &one.released_by),
        ] {
            if let Some(who) = who {
                facts = facts.item(name, who.as_str());
            }
        }
        body = body.with(&Panel::new("Object", &facts).flush());
        let step = match one.step {
            QuarantineStep::Quarantined => Some(("ask-release", "Ask for release")),
            QuarantineStep::ReleaseAsked => Some(("release", "Release")),
            _ => None,
        };
        if let Some((step, label)) = step.filter(|_| visit.may(Action::DlpWrite)) {
            let form = Form::new(
                &format!("/console/dlp/quarantine/{}/{step}", one.id),
                visit.csrf(),
                label,
            );
            let panel = Panel::new(label, &form).note("a release takes a second person");
            body = body.with(&panel);
        }
    }
    let body = body.with(&table);
    let chrome = visit.list("Quarantine");
    Ok(Page::new("Quarantine", chrome, &body).into_response())
}

/// `POST /console/dlp/quarantine/{id}/{step}`.
pub(super) async fn step(
    visit: Visit,
    Path((text, step)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let id: QuarantineId = text
        .parse()
        .map_err(|_| visit.missing(&format!("There is no quarantine {}.", shown(&text))))?;
    let _ = act::fields(&visit, &body)?;
    let service = &visit.pages.dlp.quarantine;
    let (scope, actor) = (visit.by.tenants, visit.actor());
    let result = match step.as_str() {
        "ask-release" => service
            .ask_release(scope, id, &actor)
            .await
            .map(|_| "The release is asked for; somebody else has to approve it.".to_owned()),
        "release" => service
            .release(scope, id, &actor)
            .await
            .map(|_| "The object is on its way back.".to_owned()),
        other => {
            return Err(visit.missing(&format!("A quarantine has no button {}.", shown(other))));
        }
    };
    act::back(&visit, &format!("/console/dlp/quarantine?id={id}"), result)
}
