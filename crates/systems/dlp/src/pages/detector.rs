//! What is looked for: `/console/dlp/detectors`.

use axum::response::IntoResponse;
use sealwright_scan::Severity;
use sealwright_web::component::{Badge, Cell, Column, Command, Panel, Row, Table, Tone};
use sealwright_web::{Crumb, Markup, Page};

use super::visit::{Answer, Visit, shown};
use crate::model::policy;

/// A severity as a badge.
pub(super) fn badge(severity: Severity) -> Badge {
    let tone = match severity {
        Severity::Critical => Tone::Bad,
        Severity::High => Tone::Warn,
        Severity::Medium => Tone::Info,
        Severity::Low => Tone::Neutral,
    };
    Badge::new(tone, severity.as_str())
}

/// `GET /console/dlp/detectors`.
pub(super) async fn list(visit: Visit) -> Answer {
    let class = match visit.url.get("class") {
        None => None,
        Some(text) => Some(policy::class(text).map_err(|why| visit.missing(&why))?),
    };
    let mut all =
        sealwright_scan::detector::builtin().map_err(|error| visit.refuse(error.into()))?;
    let needle = visit.url.get("q").unwrap_or_default().to_lowercase();
    all.retain(|one| {
        class.is_none_or(|class| class == one.class)
            && (one.id.to_lowercase().contains(&needle)
                || one.title.to_lowercase().contains(&needle))
    });
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let columns = vec![
        Column::text("id", "Detector"),
        Column::text("title", "Finds"),
        Column::text("class", "Class"),
        Column::text("severity", "Severity"),
        Column::number("confidence", "Confidence, %"),
        Column::text("country", "Country"),
    ];
    let title = class.map_or_else(
        || "Detectors".to_owned(),
        |class| format!("Detectors, {}", class.as_str()),
    );
    let mut table =
        Table::new("detectors", &title, &visit.url, columns).filter("Name or what is found");
    let percent = |number: f32| i64::from((number * 100.0).round() as i16);
    for one in &all {
        let class_href = visit
            .url
            .without_all(&["class", "q"])
            .with("class", one.class.as_str())
            .to_string();
        table.push(Row::new(vec![
            Cell::code(&one.id),
            Cell::text(&one.title),
            Cell::link(one.class.as_str(), &class_href),
            Cell::badge(&badge(one.severity)),
            Cell::integer(percent(one.confidence)),
            Cell::text(one.country.as_deref().unwrap_or_default()),
        ]));
    }
    let rows = table.rows();
    let mut note = format!("{rows} detectors; the confidence is that of the form alone");
    if !needle.is_empty() {
        note = format!("{rows} detectors with {}", shown(&needle));
    }
    let table = table.note(&note);
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let body = Markup::of(&table).with(&Panel::new(
        "Your own detectors",
        &Command::new(
            "Command that tries the detectors of a file on their examples",
            "sealwright dlp detector test detectors.toml",
        ),
    ));
    let chrome = visit.chrome(vec![Crumb::here("Detectors")]);
    Ok(Page::new("Detectors", chrome, &body).into_response())
}
