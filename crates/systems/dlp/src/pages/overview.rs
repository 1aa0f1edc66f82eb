//! `/console/dlp`: what is open, what was looked at, what is held.

use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_web::component::{Badge, Cell, Column, Empty, Figure, Figures, Row, Table, Tone};
use sealwright_web::{Markup, Page, format};

use super::detector;
use super::visit::{Answer, Visit};
use crate::model::policy;
use crate::service::gate::Verdict;

/// Uploads that the page lists.
const UPLOADS: u32 = 20;

/// `GET /console/dlp`.
pub(super) async fn show(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let dlp = &visit.pages.dlp;
    let refuse = |error| visit.refuse(error);
    let open = dlp.findings.open(scope).await.map_err(refuse)?;
    let outcomes = dlp.findings.outcomes(scope).await.map_err(refuse)?;
    let matters = dlp.holds.list(scope).await.map_err(refuse)?;
    let quarantine = dlp.quarantine.list(scope, 1_000).await.map_err(refuse)?;
    let uploads = dlp.gate.list(scope, UPLOADS).await.map_err(refuse)?;
    let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let of = |severity: &str| -> i64 {
        open.iter()
            .filter(|(one, ..)| one == severity)
            .map(|(_, _, n)| n)
            .sum()
    };
    let outcome = |name: &str| outcomes.get(name).copied().unwrap_or(0);
    let total: i64 = outcomes.values().sum();
    let holding = matters.iter().filter(|one| one.state.holds()).count();
    let under_way = quarantine
        .iter()
        .filter(|one| one.step.is_under_way())
        .count();
    let held = quarantine
        .iter()
        .filter(|one| !one.step.is_under_way() && one.step.as_str() != "released")
        .count();
    let figures = Figures::new(vec![
        Figure::count("Critical findings open", of("critical"), "")
            .href("/console/dlp/findings?state=open&severity=critical")
            .note(format!(
                "{} high, {} medium, {} low",
                of("high"),
                of("medium"),
                of("low")
            )),
        Figure::count("Objects looked at", total, "")
            .href("/console/dlp/scans/coverage")
            .note(format!(
                "{} whole, {} partly, {} not",
                outcome("scanned"),
                outcome("partly"),
                outcome("unscannable")
            )),
        Figure::count("Matters that hold", whole(holding), "")
            .href("/console/dlp/holds")
            .note("nothing that they cover is deleted"),
        Figure::count("In quarantine", whole(held), "")
            .href("/console/dlp/quarantine")
            .note(format!("{under_way} under way")),
    ]);
    let columns = vec![
        Column::text("severity", "Severity"),
        Column::text("class", "Class"),
        Column::number("open", "Open"),
    ];
    let mut findings = Table::new("open", "Open findings", &visit.url, columns).empty(
        Empty::new("No open finding.", "Scan a place, or look at a folder.")
            .command("sealwright dlp scan PATH"),
    );
    for severity in policy::SEVERITIES {
        for (_, class, number) in open.iter().filter(|(one, ..)| one == severity.as_str()) {
            findings.push(Row::new(vec![
                Cell::badge(&detector::badge(severity)),
                Cell::link(
                    class,
                    &format!(
                        "/console/dlp/findings?state=open&severity={}&class={class}",
                        severity.as_str()
                    ),
                ),
                Cell::integer(*number),
            ]));
        }
    }
    let columns = vec![
        Column::time("at", "When, UTC"),
        Column::text("tenant", "Tenant"),
        Column::text("name", "File"),
        Column::text("size", "Size"),
        Column::text("verdict", "Verdict"),
        Column::text("found", "Found"),
        Column::text("coverage", "Looked at"),
        Column::number("took", "Took, ms"),
    ];
    let mut gate = Table::new("uploads", "Uploads at the gate", &visit.url, columns)
        .note("a caller asks before it takes a file")
        .empty(
            Empty::new("No upload was looked at.", "Ask the gate:").command(
                "curl -H \"Authorization: Bearer $KEY\" --data-binary @FILE \
                 \"$URL/api/dlp/scan?tenant=TENANT&name=FILE\"",
            ),
        );
    for one in &uploads {
        let (tone, text) = match one.verdict {
            Verdict::Hold => (Tone::Bad, "held"),
            Verdict::Redact => (Tone::Warn, "redact"),
            Verdict::Encrypt => (Tone::Warn, "encrypt"),
            Verdict::Pass if one.would != Verdict::Pass => (Tone::Info, "passed, dry run"),
            Verdict::Pass => (Tone::Good, "passed"),
        };
        let size = u64::try_from(one.size).unwrap_or(0);
        gate.push(Row::new(vec![
            Cell::time(one.at.timestamp(), &TimeZone::UTC),
            Cell::text(&visit.slug(one.tenant)),
            Cell::text(if one.name.is_empty() {
                "no name"
            } else {
                &one.name
            }),
            Cell::text(&format::bytes(size)),
            Cell::badge(&Badge::new(tone, text)),
            Cell::text(&found(&one.found)),
            Cell::text(&one.coverage),
            Cell::integer((one.took + 500) / 1_000),
        ]));
    }
    for table in [&findings, &gate] {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let body = Markup::of(&figures).with(&findings).with(&gate);
    let chrome = visit.list("Overview");
    Ok(Page::new("Data-loss prevention", chrome, &body).into_response())
}

/// Findings by detector in words.
fn found(json: &str) -> String {
    let all: std::collections::BTreeMap<String, u64> =
        serde_json::from_str(json).unwrap_or_default();
    if all.is_empty() {
        return "nothing".to_owned();
    }
    let some: Vec<_> = all
        .iter()
        .take(4)
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    let more = all.len().saturating_sub(some.len());
    match more {
        0 => some.join(", "),
        more => format!("{}, and {more} more kinds", some.join(", ")),
    }
}
