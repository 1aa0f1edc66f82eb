//! One alert and everything about it: `/console/siem/alerts/{id}`.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_decimal::Decimal;
use sealwright_core::UnixMicros;
use sealwright_web::chrome::Action;
use sealwright_web::component::{
    Badge, Cell, Chain, Column, Definitions, Empty, Field, Form, Panel, Row, Seal, Step, Table,
    Tone,
};
use sealwright_web::{Chrome, Crumb, Markup, Page, format};

use super::parts::{
    self, Columns, Sealing, due, entity_href, history_table, length, sealing, severity,
};
use super::response;
use super::visit::{Answer, Refusal, Visit, utc};
use crate::model::{Alert, AlertEvent, AlertId, AlertState, Entity, Verdict};
use crate::service::alert::Risk;

/// What a button's form was refused for.
pub(super) struct Refused {
    pub(super) action: &'static str,
    pub(super) typed: String,
    pub(super) why: String,
}

/// The alert of an address.
pub(super) async fn find(visit: &Visit, id: &str) -> Result<Alert, Refusal> {
    let missing = || visit.missing("There is no such alert.");
    let id: AlertId = id.parse().map_err(|_| missing())?;
    match visit.siem().alerts.find(visit.by.tenants, id).await {
        Ok(alert) => Ok(alert),
        Err(error) => Err(visit.refuse(error)),
    }
}

/// `GET /console/siem/alerts/{id}`.
pub(super) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let alert = find(&visit, &id).await?;
    page(&visit, &alert, None).await
}

/// `GET /console/siem/alerts/{id}/proof`: what is sealed, and the ledger's proof of it, as one file.
pub(super) async fn proof(visit: Visit, Path(id): Path<String>) -> Answer {
    let alert = find(&visit, &id).await?;
    let entry = alert
        .ledger_entry
        .as_deref()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| visit.missing("The alert names no entry of the ledger."))?;
    let scope = sealwright_core::TenantScope::One(alert.tenant);
    let proof = visit
        .siem()
        .alerts
        .ledger()
        .prove(scope, entry)
        .await
        .map_err(|error| visit.refuse(error.into()))?;
    let text = serde_json::to_vec_pretty(&proof).unwrap_or_default();
    Ok(file(text, &format!("{}.proof.json", alert.id)))
}

/// `GET /console/siem/alerts/{id}/evidence`: the events that were kept of it, as one file.
pub(super) async fn evidence(visit: Visit, Path(id): Path<String>) -> Answer {
    let alert = find(&visit, &id).await?;
    let text = visit
        .siem()
        .alerts
        .evidence(&alert)
        .await
        .map_err(|error| visit.refuse(error))?;
    Ok(file(
        text.into_bytes(),
        &format!("{}.evidence.json", alert.id),
    ))
}

fn file(text: Vec<u8>, name: &str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    let name = format!("attachment; filename=\"{name}\"");
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if let Ok(value) = header::HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// The page, with what a form was refused for.
pub(super) async fn page(visit: &Visit, alert: &Alert, refused: Option<&Refused>) -> Answer {
    let siem = visit.siem();
    let refuse = |error| visit.refuse(error);
    let events = siem.alerts.events(alert).await.map_err(refuse)?;
    let entities = siem.alerts.entities(alert).await.map_err(refuse)?;
    let before = siem.alerts.before(alert).await.map_err(refuse)?;
    let history = siem.alerts.history(alert).await.map_err(refuse)?;
    let mut risks = Vec::new();
    for entity in entities.iter().take(12) {
        let scope = sealwright_core::TenantScope::One(alert.tenant);
        risks.extend(
            siem.alerts
                .risks(scope, Some(entity))
                .await
                .map_err(refuse)?,
        );
    }
    let sealing = sealing(visit, alert).await?;
    let done = siem.respond.of_alert(alert).await.map_err(refuse)?;
    let actions = response::panels(visit, alert, &entities, &done, refused);
    let tables = [
        matched(visit, alert),
        event_table(visit, alert, &events),
        risk_table(visit, &risks),
        history_table(visit, &history),
    ];
    for table in &tables {
        if let Some(export) = table.export(&visit.url) {
            return Ok(export);
        }
    }
    let [matched, event_table, risk_table, history] = tables;
    let left = Markup::of(&matched).with(&event_table).with(&history);
    let mut right = Markup::of(&Panel::new(
        "Proof",
        &chain(visit, alert, &events, &sealing),
    ));
    right = right.with(&actions);
    if visit.may_write() {
        right = right.with(&forms(visit, alert, &entities, refused));
    }
    right = right
        .with(&risk_table)
        .with(&Panel::new("Rule", &rule(visit, alert)).flush());
    let body = Columns { left, right };
    let chrome = chrome(visit, alert, &before, &events, &sealing);
    let answer = Page::new(&alert.body.rule.title, chrome, &body);
    Ok(match refused {
        Some(_) => answer
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .into_response(),
        None => answer.into_response(),
    })
}

fn chrome(
    visit: &Visit,
    alert: &Alert,
    before: &[Alert],
    events: &[AlertEvent],
    sealing: &Sealing,
) -> Chrome {
    let slug = visit.siem().slug(alert.tenant);
    let span = length(alert.last_at.since(alert.first_at));
    let mut lead = Markup::new().text(&format!(
        "{} {} in {span}",
        format::integer(i64::try_from(alert.matches).unwrap_or(i64::MAX)),
        if alert.matches == 1 {
            "match"
        } else {
            "matches"
        },
    ));
    if let Some(window) = &alert.body.window {
        lead = lead.text(&format!(
            ", {} measured {}",
            window.condition,
            number(window.measure)
        ));
    }
    lead = lead
        .text(" · tenant ")
        .link(
            &slug,
            &visit
                .url
                .carry("/console/siem")
                .with("tenant", &slug)
                .to_string(),
        )
        .text(&format!(
            " · first {} · last {} · ",
            time(alert.first_at),
            time(alert.last_at)
        ));
    lead = match before.first() {
        None => lead.text("not seen before"),
        Some(last) => {
            let verdict = last.verdict.map_or("closed", |verdict| verdict.name());
            let times = if before.len() == 1 {
                "once"
            } else {
                "several times"
            };
            lead.text(&format!("seen {times} before ("))
                .link(
                    &format!(
                        "{}, {verdict}",
                        format::day(last.created_at.timestamp(), &utc())
                    ),
                    &parts::href(visit, last),
                )
                .text(")")
        }
    };
    lead = lead.text(&format!(" · {}", due(alert, visit.now)));
    if let Some(owner) = &alert.owner {
        lead = lead.text(&format!(" · {owner} works on it"));
    }
    let seal = Seal::opens(
        "alert",
        "the alert",
        &format!(
            "{}, raised {}",
            alert.body.rule.title,
            time(alert.created_at)
        ),
        chain(visit, alert, events, sealing),
    )
    .state(sealing.state);
    let mut chrome = visit
        .chrome(vec![
            Crumb::link("Alerts", &visit.to("/console/siem/alerts")),
            Crumb::id(&alert.id.to_string()),
        ])
        .badge(severity(alert.severity))
        .seal(seal)
        .lead(lead);
    if visit.may_write() {
        let revision = alert.revision.to_string();
        let post = |label: &str, action: &str| {
            Action::post(label, &act_href(alert, action)).field("revision", &revision)
        };
        chrome = match alert.state {
            AlertState::Open | AlertState::Reopened => {
                chrome.action(post("Acknowledge", "acknowledge").primary())
            }
            AlertState::Acknowledged => chrome,
            AlertState::Closed => chrome.action(post("Reopen", "reopen")),
        };
    }
    chrome
}

pub(super) fn act_href(alert: &Alert, action: &str) -> String {
    format!("/console/siem/alerts/{}/{action}", alert.id)
}

fn time(at: UnixMicros) -> String {
    format::moment(at.timestamp(), &utc())
}

/// A measure without needless decimals.
fn number(measure: f64) -> String {
    Decimal::from_f64_retain(measure).map_or_else(
        || "unknown".to_owned(),
        |value| format::decimal(value.round_dp(2)),
    )
}

/// What was asked, and what was there.
fn matched(visit: &Visit, alert: &Alert) -> Table {
    let columns = vec![
        Column::text("what", "Asked of"),
        Column::text("wanted", "For"),
        Column::text("found", "Found"),
    ];
    let tags = alert.body.rule.tags.join(" · ");
    let mut table = Table::new("matched", "What matched", &visit.url, columns)
        .note(&tags)
        .empty(Empty::new(
            "The last event is not in the log any more.",
            "Its digest is in the proof.",
        ));
    for m in &alert.body.matched {
        table.push(Row::new(vec![
            Cell::code(&m.what),
            Cell::text(&m.wanted.join(", ")),
            Cell::text(&m.found.join(", ")),
        ]));
    }
    if let Some(window) = &alert.body.window {
        let group: Vec<String> = window
            .group
            .iter()
            .map(|(k, v)| format!("{k} {v}"))
            .collect();
        let by = if group.is_empty() {
            String::new()
        } else {
            format!("by {}, ", group.join(", "))
        };
        table.push(Row::new(vec![
            Cell::code(&window.condition),
            Cell::text(&format!("{by}within {}", length(window.timespan))),
            Cell::text(&format!(
                "{} between {} and {}",
                number(window.measure),
                time(UnixMicros(window.start)),
                time(UnixMicros(window.end))
            )),
        ]));
        table.push(Row::new(vec![
            Cell::text("events that count"),
            Cell::text(&window.rules.join("; ")),
            Cell::integer(i64::try_from(alert.body.events_total).unwrap_or(i64::MAX)),
        ]));
    }
    table
}

fn event_table(visit: &Visit, alert: &Alert, events: &[AlertEvent]) -> Table {
    let columns = vec![
        Column::time("time", "Time, UTC"),
        Column::text("source", "Source"),
        Column::text("action", "Action"),
        Column::text("user", "User"),
        Column::text("address", "Address"),
        Column::text("host", "Host"),
        Column::text("outcome", "Outcome"),
        Column::text("digest", "Digest"),
    ];
    let mut table = Table::new("events", "Events", &visit.url, columns).empty(Empty::new(
        "No event is kept for this alert.",
        "It was raised because something did not happen.",
    ));
    for event in events {
        let get = |name: &str| {
            event
                .summary
                .get(name)
                .map_or_else(|| Cell::text(""), |value| Cell::text(value))
        };
        let link = visit
            .url
            .carry("/console/siem/hunt")
            .with("q", &format!("id:\"{}\"", event.id.replace('"', "")))
            .to_string();
        table.push(Row::new(vec![
            Cell::link(&time_of_day(event.time), &link),
            Cell::text(&event.source),
            get("action"),
            get("user"),
            get("address"),
            get("host"),
            match event.summary.get("outcome").map(String::as_str) {
                Some("failure") => Cell::badge(&Badge::new(Tone::Bad, "failure")),
                Some("success") => Cell::badge(&Badge::new(Tone::Good, "success")),
                _ => get("outcome"),
            },
            Cell::markup(
                &Markup::new().code(&event.digest.short()),
                &event.digest.to_string(),
            ),
        ]));
    }
    let shown = events.len() as u64;
    let total = alert.body.events_total.max(shown);
    table.note(&if total > shown {
        format!("{shown} of {total} are kept here")
    } else {
        format!("{shown} events")
    })
}

fn time_of_day(at: UnixMicros) -> String {
    at.timestamp()
        .to_zoned(utc())
        .strftime("%-d %b %H:%M:%S%.3f")
        .to_string()
}

fn risk_table(visit: &Visit, risks: &[Risk]) -> Table {
    let columns = vec![
        Column::text("kind", "Kind"),
        Column::text("value", "Whom"),
        Column::number("points", "Risk, points"),
        Column::number("alerts", "Alerts, 7 d"),
    ];
    let mut table =
        Table::new("risk", "Entities and their risk", &visit.url, columns).empty(Empty::new(
            "The alert names nobody.",
            "Its events have no user, address or host.",
        ));
    for risk in risks {
        table.push(Row::new(vec![
            Cell::text(&risk.entity.kind),
            Cell::link(&risk.entity.value, &entity_href(visit, &risk.entity)),
            Cell::integer(risk.points),
            Cell::integer(i64::try_from(risk.alerts.iter().sum::<u64>()).unwrap_or(i64::MAX)),
        ]));
    }
    table
}

fn rule(visit: &Visit, alert: &Alert) -> Definitions {
    let rule = &alert.body.rule;
    let mut list = Definitions::new().item(
        "Rule",
        Markup::new().link(
            &rule.id,
            &visit.to(&format!("/console/siem/rules/{}", encode(&rule.id))),
        ),
    );
    if let Some(text) = &rule.description {
        list = list.item("Looks for", text.trim());
    }
    list = list.item("Author", rule.author.as_deref().unwrap_or("not named"));
    if let Some(license) = &rule.license {
        list = list.item("Licence", license.as_str());
    }
    list = list.item("Digest", Markup::new().code(&rule.digest.short()));
    for text in &rule.falsepositives {
        list = list.item("May also be", text.as_str());
    }
    if let Some(incident) = alert.incident {
        list = list.item(
            "Incident",
            Markup::new().link(
                &incident.to_string(),
                &visit.to(&format!("/console/siem/incidents/{incident}")),
            ),
        );
    }
    list
}

/// A text as one segment of a path.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn chain(visit: &Visit, alert: &Alert, events: &[AlertEvent], sealing: &Sealing) -> Chain {
    let delay = alert.created_at.since(alert.last_at);
    let raised = format!(
        "raised {}, {} after its last event happened",
        time(alert.created_at),
        length(delay)
    );
    let rule = &alert.body.rule;
    let mut chain = Chain::new()
        .step(Step::new(
            "Alert",
            Markup::new()
                .text(&raised)
                .text(", digest ")
                .code(&alert.digest.short()),
        ))
        .step(
            Step::new(
                "Events",
                format!(
                    "{} with their digests, of {}",
                    alert.body.events.len(),
                    alert.body.events_total
                ),
            )
            .href("#events"),
        )
        .step(
            Step::new(
                "Rule",
                Markup::new()
                    .text(&format!("{}, digest ", rule.title))
                    .code(&rule.digest.short())
                    .text(&format!(
                        ", by {}",
                        rule.author
                            .as_deref()
                            .unwrap_or("an author who is not named")
                    )),
            )
            .href(&visit.to(&format!("/console/siem/rules/{}", encode(&rule.id)))),
        )
        .step(sealing.step(visit));
    if !events.is_empty() {
        chain = chain.events("#events");
    }
    if let Some(entry) = &sealing.entry {
        chain = chain
            .file(&act_href(alert, "proof"), None)
            .verify(&format!("sealwright ledger prove {}", entry.id));
    }
    chain
}

/// What can be done: close, assign, note, suppress.
fn forms(visit: &Visit, alert: &Alert, entities: &[Entity], refused: Option<&Refused>) -> Markup {
    let revision = alert.revision.to_string();
    let form = |action: &str, submit: &str| {
        Form::new(&act_href(alert, action), visit.csrf(), submit).hidden("revision", &revision)
    };
    let told = |action: &str, field: Field| match refused.filter(|r| r.action == action) {
        Some(refused) => field.value(&refused.typed).error(&refused.why),
        None => field,
    };
    let mut markup = Markup::new();
    if alert.state != AlertState::Closed {
        let verdicts: Vec<(&str, &str)> = Verdict::ALL
            .iter()
            .map(|verdict| {
                let label = match verdict {
                    Verdict::TruePositive => "True positive: it is what the rule says",
                    Verdict::FalsePositive => "False positive: it is something else",
                    Verdict::Benign => "Benign: it is what the rule says, and allowed",
                };
                (verdict.name(), label)
            })
            .collect();
        let close = form("close", "Close the alert")
            .field(Field::select("verdict", "What it was", &verdicts))
            .field(told("close", Field::text("note", "Why")));
        markup = markup.with(&Panel::new("Decide", &close));
    }
    let assign = form("assign", "Assign").field(told(
        "assign",
        Field::text("owner", "Who works on it").value(alert.owner.as_deref().unwrap_or("")),
    ));
    markup = markup.with(&Panel::new("Owner", &assign));
    let note = form("note", "Add the note").field(told(
        "note",
        Field::new(
            "text",
            "Note",
            sealwright_web::component::FieldKind::Text { rows: 3 },
        )
        .required(),
    ));
    markup = markup.with(&Panel::new("Note", &note));
    let mut whom = vec![(
        String::new(),
        "Everything that this alert is about".to_owned(),
    )];
    whom.extend(entities.iter().map(|entity| {
        let words = format!("{} {}", entity.kind, entity.value);
        (format!("{}:{}", entity.kind, entity.value), words)
    }));
    let choices: Vec<(&str, &str)> = whom.iter().map(|(v, l)| (v.as_str(), l.as_str())).collect();
    let suppress = form("suppress", "Suppress")
        .field(Field::select("entity", "About", &choices))
        .field(Field::select(
            "length",
            "For",
            &[
                ("24", "a day"),
                ("168", "a week"),
                ("720", "30 days"),
                ("2160", "90 days"),
            ],
        ))
        .field(
            told("suppress", Field::text("reason", "Reason"))
                .required()
                .hint("A match that is worse, or about somebody new, breaks it."),
        );
    markup.with(&Panel::new("Suppress for a time", &suppress))
}

/// The page again after a form was refused, or the page of the error.
pub(super) async fn refused(
    visit: &Visit,
    alert: &Alert,
    action: &'static str,
    typed: String,
    why: String,
) -> Result<Response, Refusal> {
    page(visit, alert, Some(&Refused { action, typed, why })).await
}
