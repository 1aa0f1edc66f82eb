//! Hunting: `/console/siem/hunt`.

use askama::Template;
use axum::response::IntoResponse;
use rust_decimal::Decimal;
use sealwright_core::UnixMicros;
use sealwright_web::chart::{Bars, Kind, Point, TimeChart};
use sealwright_web::component::{
    Badge, Cell, Column, Command, Empty, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::range::Preset;
use sealwright_web::{Crumb, HtmlSafe, Markup, Page, TimeRange, format};

use super::parts::Columns;
use super::visit::{Answer, Visit, utc};
use crate::service::SiemError;
use crate::service::hunt::{Found, Hit, Hunt};

/// Events of a page.
const ROWS: usize = 100;

#[derive(Template)]
#[template(
    source = r#"<form class="form" method="get" action="{{ action }}" role="search"><div class="field">
<label for="hunt-q">Look for</label><input id="hunt-q" class="mono" type="search" name="q" value="{{ query }}" autocomplete="off" spellcheck="false"{% if !why.is_empty() %} aria-invalid="true" aria-describedby="hunt-why"{% endif %}>
{% if !why.is_empty() %}<p id="hunt-why" class="error">{{ why }}</p>{% endif %}
<p class="hint">user.name:ada, -event.outcome:success, http.response.status_code&gt;=500, &quot;10.0.0.&quot;, and / or / not with brackets. Words are looked for in the whole event.</p></div>
{% for pair in kept %}<input type="hidden" name="{{ pair.0 }}" value="{{ pair.1 }}">{% endfor %}
<button class="button primary" type="submit">Hunt</button></form>"#,
    ext = "html"
)]
struct Ask {
    action: String,
    query: String,
    why: String,
    kept: Vec<(String, String)>,
}

impl HtmlSafe for Ask {}

/// `GET /console/siem/hunt`.
pub(super) async fn show(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let range = visit.range(Preset::Day)?;
    let below = match visit.url.get("cursor") {
        None => None,
        Some(text) => Some(
            text.parse::<u64>()
                .map_err(|_| visit.missing("The cursor is not one of this list."))?,
        ),
    };
    let query = visit.url.get("q").unwrap_or("").to_owned();
    let hunt = Hunt {
        query: query.clone(),
        rule: None,
        scope,
        from: UnixMicros::from(range.from),
        to: UnixMicros::from(range.to),
        below,
        limit: ROWS,
    };
    let (found, why) = match visit.siem().hunter.hunt(&hunt).await {
        Ok(found) => (found, String::new()),
        Err(error @ (SiemError::Invalid(_) | SiemError::Faults(_))) => {
            (Found::default(), error.to_string())
        }
        Err(error) => return Err(visit.refuse(error)),
    };
    let table = table(&visit, &found, below);
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let kept = visit
        .url
        .without_all(&["q", "cursor", "format", "table", "event"])
        .pairs()
        .to_vec();
    let ask = Ask {
        action: visit.url.path().to_owned(),
        query,
        why,
        kept,
    };
    let mut body = Markup::of(&Panel::new("Hunt", &ask)).with(&chart(&found, &range, visit.now));
    if let Some(hit) = chosen(&visit, &found) {
        let pretty = hit
            .event
            .value()
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_default();
        let panel = Panel::new(
            &format!("Event {}", hit.event.id),
            &Command::new("The event as JSON", &pretty),
        )
        .note(format!(
            "offset {}, SHA-256 {}",
            hit.event.offset, hit.event.digest
        ));
        body = body.with(&panel);
    }
    let body = body.with(&Columns {
        left: Markup::of(&table),
        right: facets(&visit, &found),
    });
    let chrome = visit.chrome(vec![Crumb::here("Hunt")]).range(range);
    Ok(Page::new("Hunt", chrome, &body).into_response())
}

fn chosen<'a>(visit: &Visit, found: &'a Found) -> Option<&'a Hit> {
    let offset: u64 = visit.url.get("event")?.parse().ok()?;
    found.hits.iter().find(|hit| hit.event.offset == offset)
}

fn table(visit: &Visit, found: &Found, below: Option<u64>) -> Table {
    let columns = vec![
        Column::time("time", "Time, UTC"),
        Column::text("source", "Source"),
        Column::text("type", "Type"),
        Column::text("action", "Action"),
        Column::text("user", "User"),
        Column::text("address", "Address"),
        Column::text("outcome", "Outcome"),
        Column::text("what", "What"),
    ];
    let number = |n: u64| format::group(&n.to_string());
    let mut note = format!("{} found", number(found.total));
    if !found.complete {
        note = format!(
            "at least {note}: the latest {} events that the index does not decide about were looked at",
            number(found.scanned as u64)
        );
    }
    if found.faceted < found.total {
        note = format!("{note}; facets are of the latest {}", number(found.faceted));
    }
    let mut table = Table::new("events", "Events", &visit.url, columns)
        .note(&note)
        .pager(Pager {
            previous: below.map(|_| String::new()),
            next: found.next.map(|offset| offset.to_string()),
        })
        .empty(
            Empty::new(
                if found.next.is_none() {
                    "No stored event is like that."
                } else {
                    "None of the events that were looked at is like that; the next page looks at older ones."
                },
                "Widen the span of time, or ask without a term. From the terminal:",
            )
            .command("sealwright siem hunt 'event.outcome:failure'"),
        );
    for hit in &found.hits {
        let event = &hit.event;
        let link = visit
            .url
            .with("event", &event.offset.to_string())
            .to_string();
        let get = |name: &str| Cell::text(hit.summary.get(name).map_or("", String::as_str));
        let time = format::moment(event.time.timestamp(), &utc());
        table.push(Row::new(vec![
            Cell::link(&time, &link),
            Cell::text(&event.source),
            Cell::text(&event.event_type),
            get("action"),
            get("user"),
            get("address"),
            match hit.summary.get("outcome").map(String::as_str) {
                Some("failure") => Cell::badge(&Badge::new(Tone::Bad, "failure")),
                Some("success") => Cell::badge(&Badge::new(Tone::Good, "success")),
                _ => get("outcome"),
            },
            get("what"),
        ]));
    }
    table
}

fn chart(found: &Found, range: &TimeRange, now: UnixMicros) -> TimeChart {
    let width = found.width.max(1_000_000);
    let (from, to) = (UnixMicros::from(range.from), UnixMicros::from(range.to));
    let counts: std::collections::BTreeMap<i64, u64> =
        found.histogram.iter().map(|(at, n)| (at.0, *n)).collect();
    let points = (0..)
        .map(|n| from.0.div_euclid(width) * width + n * width)
        .take_while(|at| *at < to.0.min(now.0))
        .take(2_000)
        .map(|at| Point {
            at: UnixMicros(at).timestamp().max(range.from),
            value: Some(Decimal::from(counts.get(&at).copied().unwrap_or(0))),
        })
        .collect();
    TimeChart::new(
        "events-by-time",
        "Events",
        "events",
        Kind::Columns,
        (range.from, range.to),
        &range.zone,
    )
    .height(120)
    .series("events", points)
}

fn facets(visit: &Visit, found: &Found) -> Markup {
    const FACETS: [(&str, &str, &str); 7] = [
        ("type", "Type", "type"),
        ("source", "Source", "source"),
        ("category", "Category", "event.category"),
        ("action", "Action", "event.action"),
        ("outcome", "Outcome", "event.outcome"),
        ("user", "User", "user.name"),
        ("address", "Address", "source.ip"),
    ];
    let query = visit.url.get("q").unwrap_or("");
    let mut markup = Markup::new();
    for (key, label, field) in FACETS {
        let Some(values) = found.facets.get(key) else {
            continue;
        };
        let mut bars = Bars::new(label, label, "events");
        for (value, n) in values.iter().take(5) {
            let term = format!("{field}:\"{}\"", value.replace('"', "\\\""));
            let narrowed = if query.is_empty() {
                term
            } else {
                format!("{query} {term}")
            };
            let link = visit.url.without("cursor").with("q", &narrowed).to_string();
            bars = bars.bar(value, Some(Decimal::from(*n))).href(&link);
        }
        markup = markup.with(&Panel::new(label, &bars));
    }
    markup
}
