//! Anomalies: `/console/billing/anomalies`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use sealwright_access::Action;
use sealwright_access::forms::Fields;
use sealwright_core::Problem;
use sealwright_core::clock::{DAY, HOUR};
use sealwright_forecast::Severity;
use sealwright_money::Decimal;
use sealwright_web::chart::{Forecast, ForecastPoint, Kind, Point, TimeChart};
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Field, Figure, Figures, Form, Pager, Panel, Row,
    Table, Tone,
};
use sealwright_web::{Crumb, Flash, Markup, Page, format};

use super::overview::utc;
use super::visit::{Answer, Refusal, Visit, shown};
use crate::model::Grain;
use crate::model::anomaly::{Anomaly, AnomalyId, AnomalyState, DetectorName};
use crate::service::BillingError;
use crate::service::anomaly::AnomalyFilter;

const ROWS: u32 = 50;

fn severity(severity: Severity) -> Badge {
    let tone = match severity {
        Severity::Warning => Tone::Info,
        Severity::High => Tone::Warn,
        Severity::Critical => Tone::Bad,
    };
    Badge::new(tone, severity.name())
}

fn state(state: AnomalyState) -> Badge {
    let tone = match state {
        AnomalyState::Open => Tone::Warn,
        AnomalyState::Acknowledged => Tone::Good,
        AnomalyState::Dismissed => Tone::Neutral,
    };
    Badge::new(tone, state.name())
}

/// `GET /console/billing/anomalies`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let wanted = match visit.url.get("state") {
        None => None,
        Some(text) => Some(text.parse().map_err(|why: String| visit.missing(&why))?),
    };
    let after = match visit.url.get("cursor") {
        None => None,
        Some(text) => Some(text.parse::<AnomalyId>().map_err(|_| {
            visit.missing(&format!(
                "The cursor {} is not one of this list.",
                shown(text)
            ))
        })?),
    };
    let filter = AnomalyFilter {
        state: wanted,
        meter: None,
        after,
        limit: ROWS + 1,
    };
    let service = &visit.pages.anomalies;
    let mut found = service
        .list(scope, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let next = found.last().filter(|_| more).map(|one| one.id.to_string());
    let columns = vec![
        Column::time("at", "When, UTC"),
        Column::text("tenant", "Tenant"),
        Column::text("meter", "Meter"),
        Column::number("value", "Value"),
        Column::number("expected", "Expected"),
        Column::text("unit", "Unit"),
        Column::text("severity", "Severity"),
        Column::text("state", "State"),
    ];
    let title = match wanted {
        None => "Anomalies".to_owned(),
        Some(state) => format!("Anomalies, {state}"),
    };
    let mut table = Table::new("anomalies", &title, &visit.url, columns).empty(
        Empty::new(
            "Nothing out of the ordinary.",
            "Usage is looked at every hour; to look now:",
        )
        .command("sealwright billing anomaly evaluate"),
    );
    for anomaly in &found {
        let href = visit.to(&format!("/console/billing/anomalies/{}", anomaly.id));
        let at = match anomaly.grain {
            Grain::Hour => format::minute(anomaly.at.timestamp(), &utc()),
            Grain::Day | Grain::Month => format::day(anomaly.at.timestamp(), &utc()),
        };
        table.push(Row::new(vec![
            Cell::link(&at, &href),
            Cell::text(&visit.slug(anomaly.tenant)),
            Cell::text(&anomaly.meter),
            decimal(&anomaly.body.value).map_or_else(Cell::unknown, Cell::decimal),
            Cell::decimal(rounded(anomaly.body.expected)),
            Cell::text(&anomaly.body.unit),
            Cell::badge(&severity(anomaly.severity)),
            Cell::badge(&state(anomaly.state)),
        ]));
    }
    let rows = table.rows();
    let table = table.note(&format!("{rows} anomalies")).pager(Pager {
        previous: after.map(|_| String::new()),
        next,
    });
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let open = service
        .count_open(scope)
        .await
        .map_err(|error| visit.refuse(error))?;
    let url = visit.url.without_all(&["cursor", "state"]);
    let figures = Figures::new(vec![
        Figure::count("Open", i64::try_from(open).unwrap_or(i64::MAX), "")
            .href(&url.with("state", "open").to_string())
            .note("wait for somebody to look"),
    ]);
    let body = Markup::of(&figures).with(&table);
    let mut chrome = visit.chrome(vec![Crumb::here("Anomalies")]);
    if let Some(menu) = visit.menu() {
        chrome = chrome.tenants(menu);
    }
    Ok(Page::new("Anomalies", chrome, &body).into_response())
}

fn decimal(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

/// A computed value as it is read: at most four decimals.
fn rounded(value: f64) -> Decimal {
    format!("{value:.4}")
        .parse::<Decimal>()
        .unwrap_or_default()
        .normalize()
}

async fn find(visit: &Visit, id: &str) -> Result<Anomaly, Refusal> {
    let missing = || visit.missing(&format!("There is no anomaly {}.", shown(id)));
    let key: AnomalyId = id.parse().map_err(|_| missing())?;
    match visit.pages.anomalies.find(visit.by.tenants, key).await {
        Ok(anomaly) => Ok(anomaly),
        Err(BillingError::NotFound(_)) => Err(missing()),
        Err(error) => Err(visit.refuse(error)),
    }
}

/// `GET /console/billing/anomalies/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let anomaly = find(&visit, &id).await?;
    let body = &anomaly.body;
    let figures = Figures::new(vec![
        match decimal(&body.value) {
            Some(value) => Figure::new(
                if body.partial { "So far" } else { "Value" },
                &format::decimal(value),
                &body.unit,
            ),
            None => Figure::unknown("Value", "its text does not read back"),
        },
        Figure::new(
            "Expected",
            &format::decimal(rounded(body.expected)),
            &body.unit,
        )
        .note(format!(
            "{} to {} is no anomaly",
            format::decimal(rounded(body.low.max(0.0))),
            format::decimal(rounded(body.high))
        )),
        match (anomaly.detector, body.deviation) {
            (DetectorName::DeviationRule, Some(far)) => Figure::new(
                "Deviation",
                &format::decimal(rounded((far * 10.0).round() / 10.0)),
                "standard deviations",
            ),
            (DetectorName::Seasonal, Some(nats)) => Figure::new(
                "By chance",
                &format!(
                    "once in {}",
                    format::decimal(rounded(nats.min(40.0).exp().round()))
                ),
                "hours",
            ),
            (_, None) => Figure::unknown("Deviation", "all values before it were zero"),
        },
    ]);
    let mut facts = Definitions::new()
        .item("Why", body.why.as_str())
        .item(
            "Found by",
            match anomaly.detector {
                DetectorName::DeviationRule => "the deviation rule, over days",
                DetectorName::Seasonal => "the seasonal detector, over hours",
            },
        )
        .item("Found", anomaly.found_at.to_string().as_str());
    if let Some(note) = &body.note {
        facts = facts.item("Note", note.as_str());
    }
    if let Some(entry) = &anomaly.ledger_entry {
        let href = visit.to(&format!("/console/ledger/{entry}"));
        facts = facts.item("Ledger", Markup::new().link(entry, &href));
    }
    let mut content = Markup::of(&figures)
        .with(&Panel::new("Why it is one", &facts).flush())
        .with(&chart(&anomaly));
    if visit.may(Action::BillingWrite) {
        content = content.with(&Panel::new("Decide", &forms(&visit, &anomaly)));
    }
    let chrome = visit
        .chrome(vec![
            Crumb::link("Anomalies", &visit.to("/console/billing/anomalies")),
            Crumb::id(&anomaly.id.to_string()),
        ])
        .badge(severity(anomaly.severity))
        .badge(state(anomaly.state))
        .lead(format!(
            "{}, {} UTC",
            visit.slug(anomaly.tenant),
            match anomaly.grain {
                Grain::Hour => format::minute(anomaly.at.timestamp(), &utc()),
                Grain::Day | Grain::Month => format::day(anomaly.at.timestamp(), &utc()),
            }
        ));
    Ok(Page::new(&anomaly.meter, chrome, &content).into_response())
}

fn forms(visit: &Visit, anomaly: &Anomaly) -> Markup {
    let form = |action: &str, label: &str| {
        Form::new(
            &format!("/console/billing/anomalies/{}/{action}", anomaly.id),
            visit.csrf(),
            label,
        )
        .hidden("revision", &anomaly.revision.to_string())
    };
    match anomaly.state {
        AnomalyState::Open => Markup::new()
            .with(
                &form("acknowledge", "Acknowledge")
                    .field(Field::text("known", "What is known about it").hint("Kept with it.")),
            )
            .with(
                &form("dismiss", "Dismiss").field(Field::text("reason", "Why it does not matter")),
            ),
        AnomalyState::Acknowledged | AnomalyState::Dismissed => {
            Markup::of(&form("open", "Open again"))
        }
    }
}

/// The history with the expected band, and the anomaly marked with words.
fn chart(anomaly: &Anomaly) -> TimeChart {
    let step = match anomaly.grain {
        Grain::Hour => HOUR,
        Grain::Day | Grain::Month => DAY,
    };
    let body = &anomaly.body;
    let first = body.history.first().map_or(anomaly.at, |point| point.at);
    let end = anomaly.at.plus(step);
    let mut points: Vec<Point> = body
        .history
        .iter()
        .map(|point| Point {
            at: point.at.timestamp(),
            value: point.value.as_deref().and_then(decimal),
        })
        .collect();
    points.push(Point {
        at: anomaly.at.timestamp(),
        value: decimal(&body.value),
    });
    let band = |at: sealwright_core::UnixMicros| ForecastPoint {
        at: at.timestamp(),
        mid: rounded(body.expected),
        low: rounded(body.low.max(0.0)),
        high: rounded(body.high),
    };
    let band = match anomaly.grain {
        // The rule's bounds hold for the whole window; the season's only for this hour.
        Grain::Day | Grain::Month => body
            .history
            .iter()
            .map(|point| band(point.at))
            .chain([band(anomaly.at)])
            .collect(),
        Grain::Hour => vec![band(anomaly.at.plus(-step)), band(anomaly.at)],
    };
    TimeChart::new(
        "anomaly",
        &format!(
            "{} by {}",
            anomaly.meter,
            if step == HOUR { "hour" } else { "day" }
        ),
        &body.unit,
        Kind::Lines,
        (first.timestamp(), end.timestamp()),
        &utc(),
    )
    .series(&anomaly.meter, points)
    .forecast(Forecast {
        name: "Expected, with the range that is no anomaly".to_owned(),
        points: band,
    })
    .mark(
        anomaly.at.timestamp(),
        &format!(
            "{} {}, {}",
            format::decimal(decimal(&body.value).unwrap_or_default()),
            body.unit,
            anomaly.severity
        ),
    )
}

/// `POST /console/billing/anomalies/{id}/{action}`.
pub(super) async fn act(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let anomaly = find(&visit, &id).await?;
    if let Err(problem) = visit.by.require(Action::BillingWrite) {
        return Err(visit.problem(&problem));
    }
    let fields = Fields::parse(&body).map_err(|error| visit.problem(&Problem::from(error)))?;
    let revision = fields
        .get("revision")
        .and_then(|text| text.parse::<i64>().ok())
        .ok_or_else(|| {
            visit.problem(&Problem::bad_request(
                "the form lacks the anomaly's revision",
            ))
        })?;
    let (next, note) = match action.as_str() {
        "acknowledge" => (AnomalyState::Acknowledged, "known"),
        "dismiss" => (AnomalyState::Dismissed, "reason"),
        "open" => (AnomalyState::Open, "note"),
        other => {
            return Err(visit.missing(&format!("An anomaly has no button {}.", shown(other))));
        }
    };
    let note = fields.get(note).unwrap_or_default();
    let service = &visit.pages.anomalies;
    let actor = visit.actor();
    service
        .decide(
            visit.by.tenants,
            anomaly.id,
            Some(revision),
            next,
            note,
            &actor,
        )
        .await
        .map_err(|error| visit.refuse(error))?;
    let href = format!("/console/billing/anomalies/{}", anomaly.id);
    let mut response = Redirect::to(&href).into_response();
    let flash = Flash::new(Tone::Good, &format!("The anomaly is {next}."));
    if let Some(cookie) = flash.set_cookie() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
