//! Incidents: `/console/siem/incidents` and one of them.

use axum::extract::Path;
use axum::response::IntoResponse;
use sealwright_web::chrome::Action;
use sealwright_web::component::{
    Badge, Cell, Column, Empty, Field, Form, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page, format};

use super::parts::{Columns, alerts_table, history_table, length, severity};
use super::visit::{Answer, Refusal, Visit, utc};
use crate::model::{Incident, IncidentId, IncidentState};
use crate::store::alert::Filter;

const ROWS: u32 = 50;

fn badge(state: IncidentState) -> Badge {
    match state {
        IncidentState::Open => Badge::new(Tone::Warn, "open"),
        IncidentState::Closed => Badge::new(Tone::Good, "closed"),
    }
}

/// `GET /console/siem/incidents`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let after = match visit.url.get("cursor") {
        None => None,
        Some(text) => Some(
            text.parse::<IncidentId>()
                .map_err(|_| visit.missing("The cursor is not one of this list."))?,
        ),
    };
    let mut found = visit
        .siem()
        .incidents
        .list(scope, None, after, ROWS + 1)
        .await
        .map_err(|error| visit.refuse(error))?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let columns = vec![
        Column::text("title", "Incident"),
        Column::text("severity", "Severity"),
        Column::text("state", "State"),
        Column::text("tenant", "Tenant"),
        Column::text("owner", "Owner"),
        Column::time("created_at", "Opened, UTC"),
        Column::text("lasted", "Open for"),
    ];
    let mut table = Table::new("incidents", "Incidents", &visit.url, columns)
        .pager(Pager {
            previous: after.map(|_| String::new()),
            next: found.last().filter(|_| more).map(|last| last.id.to_string()),
        })
        .empty(Empty::new(
            "No incident.",
            "Alerts of different rules about the same user, address or key within a day become one.",
        ));
    for one in &found {
        table.push(Row::new(vec![
            Cell::link(
                &one.title,
                &visit.to(&format!("/console/siem/incidents/{}", one.id)),
            ),
            Cell::badge(&severity(one.severity)),
            Cell::badge(&badge(one.state)),
            Cell::text(&visit.siem().slug(one.tenant)),
            Cell::text(one.owner.as_deref().unwrap_or("nobody")),
            Cell::time(one.created_at.timestamp(), &utc()),
            Cell::text(&length(
                one.closed_at.unwrap_or(visit.now).since(one.created_at),
            )),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit.chrome(vec![Crumb::here("Incidents")]);
    Ok(Page::new("Incidents", chrome, &table).into_response())
}

/// The incident of an address.
pub(super) async fn find(visit: &Visit, id: &str) -> Result<Incident, Refusal> {
    let id: IncidentId = id
        .parse()
        .map_err(|_| visit.missing("There is no such incident."))?;
    visit
        .siem()
        .incidents
        .find(visit.by.tenants, id)
        .await
        .map_err(|error| visit.refuse(error))
}

/// `GET /console/siem/incidents/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let incident = find(&visit, &id).await?;
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let filter = Filter {
        incident: Some(incident.id),
        limit: 200,
        ..Filter::default()
    };
    let alerts = siem
        .alerts
        .list(visit.by.tenants, &filter)
        .await
        .map_err(refuse)?;
    let history = siem.incidents.history(&incident).await.map_err(refuse)?;
    let table = alerts_table(&visit, "alerts", "Its alerts", &alerts);
    let history = history_table(&visit, &history);
    for table in [&table, &history] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let mut right = Markup::new();
    if visit.may_write() {
        let revision = incident.revision.to_string();
        let form = |action: &str, submit: &str| {
            let href = format!("/console/siem/incidents/{}/{action}", incident.id);
            Form::new(&href, visit.csrf(), submit).hidden("revision", &revision)
        };
        let owner = incident.owner.as_deref().unwrap_or("");
        right = right
            .with(&Panel::new(
                "Owner",
                &form("assign", "Assign").field(Field::text("owner", "Who leads it").value(owner)),
            ))
            .with(&Panel::new(
                "Title",
                &form("rename", "Rename").field(
                    Field::text("title", "What it is called")
                        .value(&incident.title)
                        .required(),
                ),
            ))
            .with(&Panel::new(
                "Note",
                &form("note", "Add the note").field(Field::text("text", "Note").required()),
            ));
    }
    let left = Markup::of(&table).with(&history);
    let lead = format!(
        "{} alerts · tenant {} · opened {} · {}",
        alerts.len(),
        siem.slug(incident.tenant),
        format::moment(incident.created_at.timestamp(), &utc()),
        match incident.closed_at {
            Some(at) => format!("closed after {}", length(at.since(incident.created_at))),
            None => format!("open for {}", length(visit.now.since(incident.created_at))),
        }
    );
    let mut chrome = visit
        .chrome(vec![
            Crumb::link("Incidents", &visit.to("/console/siem/incidents")),
            Crumb::id(&incident.id.to_string()),
        ])
        .badge(severity(incident.severity))
        .lead(lead);
    if visit.may_write() {
        let (label, action) = match incident.state {
            IncidentState::Open => ("Close", "close"),
            IncidentState::Closed => ("Reopen", "reopen"),
        };
        let href = format!("/console/siem/incidents/{}/{action}", incident.id);
        chrome = chrome.action(
            Action::post(label, &href)
                .field("revision", &incident.revision.to_string())
                .primary(),
        );
    }
    Ok(Page::new(&incident.title, chrome, &Columns { left, right }).into_response())
}
