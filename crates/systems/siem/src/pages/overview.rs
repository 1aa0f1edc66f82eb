//! The overview: `/console/siem`.

use std::collections::BTreeMap;

use axum::response::IntoResponse;
use rust_decimal::Decimal;
use sealwright_core::UnixMicros;
use sealwright_web::chart::{Bars, Kind, Point, TimeChart};
use sealwright_web::component::{Badge, Cell, Column, Empty, Figure, Figures, Row, Table, Tone};
use sealwright_web::range::Preset;
use sealwright_web::{Markup, Page, TimeRange};

use super::parts::{Columns, alerts_table, entity_href, length};
use super::visit::{Answer, Refusal, Visit, utc};
use crate::model::{AlertState, Severity};
use crate::service::hunt::width_of;
use crate::store::alert::Filter;

/// Alerts on the page.
const ALERTS: u32 = 12;
/// Entities on the page.
const ENTITIES: usize = 8;
/// Sources on the page.
const SOURCES: usize = 10;

/// `GET /console/siem`.
pub(super) async fn show(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let range = visit.range(Preset::Week)?;
    let (from, to) = (UnixMicros::from(range.from), UnixMicros::from(range.to));
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let counts = siem.alerts.counts(scope, from, to).await.map_err(refuse)?;
    let means = siem.alerts.means(scope, from, to).await.map_err(refuse)?;
    let incidents = siem.incidents.open(scope).await.map_err(refuse)?;
    let filter = Filter {
        open: true,
        limit: ALERTS,
        ..Filter::default()
    };
    let open = siem.alerts.list(scope, &filter).await.map_err(refuse)?;
    let table = alerts_table(
        &visit,
        "open",
        "Alerts that are not closed, newest first",
        &open,
    );
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let sources = sources(&visit).await?;
    if let Some(export) = sources.export(&visit.url) {
        return Ok(export);
    }
    let count = |wanted: &dyn Fn(Severity, AlertState) -> bool| -> i64 {
        let n: u64 = counts
            .iter()
            .filter(|(s, st, _)| wanted(*s, *st))
            .map(|(.., n)| n)
            .sum();
        i64::try_from(n).unwrap_or(i64::MAX)
    };
    let unanswered = |state| matches!(state, AlertState::Open | AlertState::Reopened);
    let mean = |label: &str, value: Option<i64>, why: &str, note: &str| match value {
        Some(value) => Figure::new(label, &length(value), "").note(note),
        None => Figure::unknown(label, why),
    };
    let figures = Figures::new(vec![
        Figure::count("Unanswered", count(&|_, state| unanswered(state)), "")
            .note(format!(
                "{} of them critical or high",
                count(&|severity, state| { unanswered(state) && severity >= Severity::High })
            ))
            .href(
                &visit
                    .url
                    .carry("/console/siem/alerts")
                    .with("state", "open")
                    .to_string(),
            ),
        Figure::count("Alerts in this span", count(&|_, _| true), "").note(format!(
            "{} closed",
            count(&|_, state| state == AlertState::Closed)
        )),
        Figure::count(
            "Open incidents",
            i64::try_from(incidents).unwrap_or(i64::MAX),
            "",
        )
        .href(&visit.to("/console/siem/incidents")),
        mean(
            "Mean time to answer",
            means.acknowledge,
            "nothing was answered in this span",
            "from raising to the first answer",
        ),
        mean(
            "Mean time to close",
            means.resolve,
            "nothing was closed in this span",
            &format!("{} closed", means.closed),
        ),
    ]);
    let chart = chart(&visit, &range, from, to).await?;
    let body = Markup::of(&figures)
        .with(&chart)
        .with(&table)
        .with(&Columns {
            left: Markup::of(&entities(&visit).await?),
            right: Markup::of(&sources),
        });
    let chrome = visit.chrome(Vec::new()).range(range);
    Ok(Page::new("SIEM", chrome, &body).into_response())
}

async fn chart(
    visit: &Visit,
    range: &TimeRange,
    from: UnixMicros,
    to: UnixMicros,
) -> Result<TimeChart, Refusal> {
    let width = width_of(from, to);
    let found = visit
        .siem()
        .alerts
        .histogram(visit.scope()?, from, to, width)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut by_severity: BTreeMap<Severity, BTreeMap<i64, u64>> = BTreeMap::new();
    for (at, severity, n) in found {
        by_severity.entry(severity).or_default().insert(at.0, n);
    }
    let mut chart = TimeChart::new(
        "alerts-by-time",
        "Alerts raised",
        "alerts",
        Kind::Stacked,
        (range.from, range.to),
        &range.zone,
    )
    .height(160);
    let starts: Vec<i64> = (0..)
        .map(|n| from.0.div_euclid(width) * width + n * width)
        .take_while(|at| *at < to.0.min(visit.now.0))
        .take(2_000)
        .collect();
    for (severity, buckets) in by_severity.iter().rev() {
        let points = starts
            .iter()
            .map(|at| Point {
                at: UnixMicros(*at).timestamp().max(range.from),
                value: Some(Decimal::from(buckets.get(at).copied().unwrap_or(0))),
            })
            .collect();
        chart = chart.series(severity.name(), points);
    }
    if by_severity.is_empty() {
        let points = starts
            .iter()
            .map(|at| Point {
                at: UnixMicros(*at).timestamp().max(range.from),
                value: Some(Decimal::ZERO),
            })
            .collect();
        chart = chart.series("alerts", points);
    }
    Ok(chart)
}

async fn entities(visit: &Visit) -> Result<Bars, Refusal> {
    let risks = visit
        .siem()
        .alerts
        .risks(visit.scope()?, None)
        .await
        .map_err(|error| visit.refuse(error))?;
    let mut bars = Bars::new("Risk by entity, last 7 days", "Entity", "points");
    for risk in risks.iter().take(ENTITIES) {
        let name = format!("{} {}", risk.entity.kind, risk.entity.value);
        bars = bars
            .bar(&name, Some(Decimal::from(risk.points)))
            .href(&entity_href(visit, &risk.entity));
    }
    Ok(bars)
}

async fn sources(visit: &Visit) -> Result<Table, Refusal> {
    let siem = visit.siem();
    let mut found = siem
        .sources
        .list(visit.scope()?)
        .await
        .map_err(|error| visit.refuse(error))?;
    found.sort_by_key(|s| std::cmp::Reverse(s.last_received));
    let columns = vec![
        Column::text("source", "Source"),
        Column::text("tenant", "Tenant"),
        Column::text("state", "State"),
        Column::number("lag", "Lag"),
        Column::time("last", "Last event, UTC"),
    ];
    let rows = found.len();
    let mut table = Table::new("sources", "Sources", &visit.url, columns)
        .note(&format!("{rows} in all"))
        .empty(
            Empty::new("No source has sent an event yet.", "Send events as CloudEvents:")
                .command("curl -H 'Authorization: Bearer swk_…' -d @events.json http://127.0.0.1:3010/api/events"),
        );
    for s in found.iter().take(SOURCES) {
        let silence = s.silence.unwrap_or_else(|| siem.sources.silence());
        let badge = if visit.now.since(s.last_received) > silence {
            Badge::new(Tone::Bad, "silent")
        } else {
            Badge::new(Tone::Good, "sending")
        };
        table.push(Row::new(vec![
            Cell::link(&s.source, &visit.to("/console/siem/sources")),
            Cell::text(&siem.slug(s.tenant)),
            Cell::badge(&badge),
            Cell::text(&length(s.last_received.since(s.last_time))),
            Cell::time(s.last_received.timestamp(), &utc()),
        ]));
    }
    Ok(table)
}
