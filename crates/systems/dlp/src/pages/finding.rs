//! Findings: `/console/dlp/findings`.

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use sealwright_access::Action;
use sealwright_core::UnixMicros;
use sealwright_core::clock::DAY;
use sealwright_web::component::{
    Badge, Cell, Column, Definitions, Empty, Field, Form, Pager, Panel, Row, Table, Tone,
};
use sealwright_web::{Crumb, Markup, Page};

use super::visit::{Answer, Visit, shown};
use super::{act, detector};
use crate::model::finding::{FindingId, FindingState, StoredFinding};
use crate::model::object::address;
use crate::model::policy;
use crate::service::DlpError;
use crate::service::finding::FindingDecision;
use crate::store::finding::FindingFilter;

/// Rows of a page.
const ROWS: u32 = 100;

fn badge(state: FindingState) -> Badge {
    let tone = match state {
        FindingState::Open => Tone::Warn,
        FindingState::Accepted => Tone::Info,
        FindingState::FalsePositive => Tone::Neutral,
        FindingState::Resolved => Tone::Good,
    };
    Badge::new(tone, state.as_str())
}

/// `GET /console/dlp/findings`.
pub(super) async fn list(visit: Visit) -> Answer {
    let scope = visit.scope()?;
    let wrong = |why: String| visit.missing(&why);
    let state = visit
        .url
        .get("state")
        .map(|text| text.parse::<FindingState>())
        .transpose()
        .map_err(wrong)?;
    if let Some(text) = visit.url.get("severity") {
        policy::severity(text).map_err(wrong)?;
    }
    if let Some(text) = visit.url.get("class") {
        policy::class(text).map_err(wrong)?;
    }
    let text = |name: &str| visit.url.get(name).map(str::to_owned);
    let after: Option<FindingId> = visit
        .url
        .get("cursor")
        .map(|text| {
            text.parse()
                .map_err(|_| visit.missing(&format!("The cursor {} is none.", shown(text))))
        })
        .transpose()?;
    let filter = FindingFilter {
        state,
        severity: text("severity"),
        class: text("class"),
        bucket: text("bucket"),
        fingerprint: text("fingerprint"),
        after,
        limit: ROWS + 1,
    };
    let mut found = visit
        .pages
        .dlp
        .findings
        .list(scope, &filter)
        .await
        .map_err(|error| visit.refuse(error))?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let next = found.last().filter(|_| more).map(|one| one.id.to_string());
    let columns = vec![
        Column::text("severity", "Severity"),
        Column::text("title", "What"),
        Column::text("object", "Object"),
        Column::text("place", "Place"),
        Column::number("confidence", "Confidence, %"),
        Column::text("action", "Policy"),
        Column::text("state", "State"),
        Column::text("tenant", "Tenant"),
        Column::time("first_seen", "Found, UTC"),
    ];
    let words: Vec<&str> = ["state", "severity", "class", "bucket", "fingerprint"]
        .into_iter()
        .filter_map(|name| visit.url.get(name))
        .collect();
    let title = if words.is_empty() {
        "Findings".to_owned()
    } else {
        format!("Findings, {}", words.join(", "))
    };
    let mut table = Table::new("findings", &title, &visit.url, columns)
        .note("values are never kept; equal values of a tenant have equal fingerprints")
        .pager(Pager {
            previous: after.map(|_| String::new()),
            next,
        })
        .empty(
            Empty::new("No finding.", "Register a bucket and scan it:").command(
                "sealwright dlp place add --tenant TENANT --bucket BUCKET --quarantine BUCKET",
            ),
        );
    for one in &found {
        table.push(Row::new(vec![
            Cell::badge(&detector::badge(one.severity)),
            Cell::link(&one.title, &format!("/console/dlp/findings/{}", one.id)),
            Cell::text(&address(&one.object.bucket, &one.object.key)),
            Cell::text(&place(one)),
            Cell::integer(one.confidence),
            Cell::text(&format!("{}, {}", one.action, one.mode)),
            Cell::badge(&badge(one.state)),
            Cell::text(&visit.slug(one.tenant)),
            Cell::time(one.first_seen.timestamp(), &TimeZone::UTC),
        ]));
    }
    if let Some(export) = table.export(&visit.url) {
        return Ok(export);
    }
    let chrome = visit.list("Findings");
    Ok(Page::new("Findings", chrome, &table).into_response())
}

fn place(one: &StoredFinding) -> String {
    if one.inner.is_empty() {
        format!("line {}, column {}", one.line, one.column)
    } else {
        format!("{}, line {}", one.inner, one.line)
    }
}

fn id(visit: &Visit, text: &str) -> Result<FindingId, super::visit::Refusal> {
    text.parse()
        .map_err(|_| visit.missing(&format!("There is no finding {}.", shown(text))))
}

/// `GET /console/dlp/findings/{id}`.
pub(super) async fn show(visit: Visit, Path(text): Path<String>) -> Answer {
    let id = id(&visit, &text)?;
    let service = &visit.pages.dlp.findings;
    let one = service
        .find(visit.by.tenants, id)
        .await
        .map_err(|error| visit.refuse(error))?;
    let excerpt = service
        .excerpt(&one)
        .await
        .map_err(|error| visit.refuse(error))?;
    let same = format!("/console/dlp/findings?fingerprint={}", one.fingerprint);
    let mut facts = Definitions::new()
        .item("Object", Markup::new().code(&one.object.to_string()))
        .item("Place", place(&one).as_str())
        .item("Detector", Markup::new().code(&one.detector))
        .item("Class", one.class.as_str())
        .item("Severity", Markup::of(&detector::badge(one.severity)))
        .item(
            "Confidence",
            format!("{} %: {}", one.confidence, one.reasons.join(", ")).as_str(),
        )
        .item("Fingerprint", Markup::new().link(&one.fingerprint, &same))
        .item("Policy", format!("{}, {}", one.action, one.mode).as_str())
        .item("State", Markup::of(&badge(one.state)))
        .item("Tenant", visit.slug(one.tenant).as_str())
        .item("First seen", one.first_seen.to_string().as_str())
        .item("Last seen", one.last_seen.to_string().as_str());
    for (name, value) in [("Owner", &one.owner), ("Note", &one.note)] {
        if !value.is_empty() {
            facts = facts.item(name, value.as_str());
        }
    }
    if let Some(until) = one.until {
        facts = facts.item("Accepted until", until.to_string().as_str());
    }
    let mut body = Markup::of(&Panel::new("Finding", &facts).flush());
    let around = match excerpt {
        Some(cut) => Markup::new()
            .text(&cut.before)
            .strong(&cut.masked)
            .text(&cut.after),
        None => Markup::new().text(
            "There is no preview: the finding is in a document inside, or the object is large, gone or no text.",
        ),
    };
    body = body.with(&Panel::new("Around it, with every value masked", &around));
    if visit.may(Action::DlpWrite) {
        let states = [
            ("open", "open"),
            ("resolved", "resolved: the value is gone or worthless"),
            ("false-positive", "false positive: it is no such value"),
            ("accepted", "accepted until a day"),
        ];
        let form = Form::new(
            &format!("/console/dlp/findings/{id}/decide"),
            visit.csrf(),
            "Decide",
        )
        .field(Field::select("state", "State", &states).value(one.state.as_str()))
        .field(Field::text("owner", "Owner").value(&one.owner))
        .field(Field::text("note", "Why").value(&one.note))
        .field(
            Field::text("until", "Accepted until")
                .hint("A day, such as 2027-03-31; for acceptances only."),
        );
        body = body.with(&Panel::new("What it is", &form));
    }
    let chrome = visit.chrome(vec![
        Crumb::link("Findings", "/console/dlp/findings"),
        Crumb::here(&one.title),
    ]);
    Ok(Page::new(
        &format!("{} in {}", one.title, one.object.key),
        chrome,
        &body,
    )
    .into_response())
}

/// `POST /console/dlp/findings/{id}/decide`.
pub(super) async fn decide(visit: Visit, Path(text): Path<String>, body: Bytes) -> Answer {
    let id = id(&visit, &text)?;
    let fields = act::fields(&visit, &body)?;
    let typed = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let wanted = || -> Result<FindingDecision, DlpError> {
        let until = match fields.filled("until") {
            None => None,
            Some(day) => Some(
                UnixMicros::parse_rfc3339(&format!("{day}T00:00:00Z"))
                    .map_err(|_| DlpError::Invalid("give a day, such as 2027-03-31".to_owned()))?
                    .plus(DAY),
            ),
        };
        Ok(FindingDecision {
            state: typed("state").parse().map_err(DlpError::Invalid)?,
            owner: typed("owner"),
            note: typed("note"),
            until,
        })
    };
    let result = match wanted() {
        Err(error) => Err(error),
        Ok(decision) => visit
            .pages
            .dlp
            .findings
            .decide(visit.by.tenants, id, decision, &visit.actor())
            .await
            .map(|one| format!("The finding is {}.", one.state)),
    };
    act::back(&visit, &format!("/console/dlp/findings/{id}"), result)
}
