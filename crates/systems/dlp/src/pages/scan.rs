//! Scans and the coverage ledger: `/console/dlp/scans`.

use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_web::component::{Badge, Cell, Column, Empty, Pager, Row, Table, Tone};
use sealwright_web::{Crumb, Markup, Page, format};

use super::visit::{Answer, Visit};
use crate::model::finding::{Outcome, ScanState};
use crate::model::object::{ObjectId, address};

/// Rows of a page.
const ROWS: u32 = 100;

/// `GET /console/dlp/scans`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let dlp = &visit.pages.dlp;
    let scans = dlp
        .scans
        .list(scope, ROWS)
        .await
        .map_err(|error| visit.refuse(error))?;
    let places = dlp
        .places
        .list(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let columns = vec![
        Column::time("started_at", "Began, UTC"),
        Column::text("place", "Place"),
        Column::text("tenant", "Tenant"),
        Column::text("state", "State"),
        Column::number("listed", "Listed"),
        Column::number("scanned", "Whole"),
        Column::number("partly", "Partly"),
        Column::number("unscannable", "Not"),
        Column::number("unchanged", "Unchanged"),
        Column::number("markers", "Markers"),
        Column::number("findings", "Findings"),
        Column::text("bytes", "Read"),
    ];
    let mut table = Table::new("scans", "Scans", &visit.url, columns)
        .note("every version of the listing ends in one of the columns: they add up")
        .empty(
            Empty::new("No scan yet.", "Register a bucket, then scan it:")
                .command("sealwright dlp place scan ID"),
        );
    for scan in &scans {
        let place = places.iter().find(|place| place.id == scan.place);
        let badge = match scan.state {
            ScanState::Running => Badge::new(Tone::Info, "running"),
            ScanState::Done => Badge::new(Tone::Good, "reconciled"),
            ScanState::Stopped => Badge::new(Tone::Bad, "stopped"),
        };
        let counts = &scan.counts;
        let state = if scan.problem.is_empty() {
            Cell::badge(&badge)
        } else {
            Cell::markup(
                &Markup::of(&badge).text(" ").text(&scan.problem),
                &scan.problem,
            )
        };
        table.push(Row::new(vec![
            Cell::time(scan.started_at.timestamp(), &TimeZone::UTC),
            Cell::text(&place.map_or_else(
                || scan.place.to_string(),
                |place| address(&place.bucket, &place.prefix),
            )),
            Cell::text(&visit.slug(scan.tenant)),
            state,
            Cell::integer(counts.listed),
            Cell::integer(counts.scanned),
            Cell::integer(counts.partly),
            Cell::integer(counts.unscannable),
            Cell::integer(counts.unchanged),
            Cell::integer(counts.markers),
            Cell::integer(counts.findings),
            Cell::text(&format::bytes(u64::try_from(counts.bytes).unwrap_or(0))),
        ]));
    }
    let columns = vec![
        Column::text("place", "Place"),
        Column::text("tenant", "Tenant"),
        Column::text("quarantine", "Quarantine"),
        Column::text("scheduled", "Weekly scan"),
        Column::text("id", "Id"),
    ];
    let mut registered = Table::new("places", "Places", &visit.url, columns).empty(
        Empty::new("No place is registered.", "Say whose keys they are:").command(
            "sealwright dlp place add --tenant TENANT --bucket BUCKET --quarantine BUCKET",
        ),
    );
    for place in &places {
        registered.push(Row::new(vec![
            Cell::text(&address(&place.bucket, &place.prefix)),
            Cell::text(&visit.slug(place.tenant)),
            Cell::text(if place.quarantine.is_empty() {
                "nowhere"
            } else {
                &place.quarantine
            }),
            Cell::text(if place.scheduled { "yes" } else { "no" }),
            Cell::code(&place.id.to_string()),
        ]));
    }
    for table in [&table, &registered] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let body = Markup::of(&table).with(&registered);
    let chrome = visit.list("Scans");
    Ok(Page::new("Scans", chrome, &body).into_response())
}

/// `GET /console/dlp/scans/coverage`.
pub(super) async fn coverage(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let outcome = visit
        .url
        .get("outcome")
        .map(|text| text.parse::<Outcome>())
        .transpose()
        .map_err(|why| visit.missing(&why))?;
    let after: Option<ObjectId> = visit
        .url
        .get("cursor")
        .map(|text| {
            sealwright_core::Cursor::decode(text)
                .and_then(|cursor| serde_json::from_str(&cursor.0).ok())
                .ok_or_else(|| visit.missing("The cursor is not one of this list."))
        })
        .transpose()?;
    let mut lines = visit
        .pages
        .dlp
        .findings
        .coverage(scope, outcome, after.as_ref(), ROWS + 1)
        .await
        .map_err(|error| visit.refuse(error))?;
    let more = lines.len() > ROWS as usize;
    lines.truncate(ROWS as usize);
    let next = lines
        .last()
        .filter(|_| more)
        .and_then(|last| serde_json::to_string(&last.id).ok())
        .map(|text| sealwright_core::Cursor(text).encode());
    let columns = vec![
        Column::text("object", "Object"),
        Column::text("outcome", "Looked at"),
        Column::text("reason", "Why not whole"),
        Column::number("findings", "Findings"),
        Column::text("size", "Size"),
        Column::time("scanned_at", "Last look, UTC"),
    ];
    let mut table = Table::new("coverage", "Coverage", &visit.url, columns)
        .note("how the last look at each version ended")
        .pager(Pager {
            previous: after.map(|_| String::new()),
            next,
        })
        .empty(Empty::new("Nothing was looked at.", "Scan a place."));
    for line in &lines {
        let badge = match line.outcome {
            Outcome::Scanned => Badge::new(Tone::Good, "whole"),
            Outcome::Partly => Badge::new(Tone::Warn, "partly"),
            Outcome::Unscannable => Badge::new(Tone::Bad, "not"),
        };
        table.push(Row::new(vec![
            Cell::text(&line.id.to_string()),
            Cell::badge(&badge),
            Cell::text(&line.reason),
            Cell::integer(line.findings),
            Cell::text(&format::bytes(u64::try_from(line.size).unwrap_or(0))),
            Cell::time(line.scanned_at.timestamp(), &TimeZone::UTC),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit.chrome(vec![
        Crumb::link("Scans", "/console/dlp/scans"),
        Crumb::here("Coverage"),
    ]);
    Ok(Page::new("Coverage", chrome, &table).into_response())
}
