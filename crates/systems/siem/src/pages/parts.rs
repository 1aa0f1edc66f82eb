//! What several pages show alike.

use sealwright_core::{UnixMicros, clock};
use sealwright_ledger::{EntryId, EntryRow, Leaf, LedgerError};
use sealwright_web::component::{
    Badge, Cell, Column, Empty, Row, Seal, SealState, Step, Table, Tone,
};
use sealwright_web::{Markup, format};

use super::visit::{Refusal, Visit, utc};
use crate::model::{Alert, AlertState, Entity, HistoryEntry, Severity, Verdict};

/// A severity as a badge.
pub(super) fn severity(severity: Severity) -> Badge {
    let tone = match severity {
        Severity::Critical | Severity::High => Tone::Bad,
        Severity::Medium => Tone::Warn,
        Severity::Low => Tone::Info,
        Severity::Informational => Tone::Neutral,
    };
    Badge::new(tone, severity.name())
}

/// A state as a badge; a closed alert says what it was.
pub(super) fn state(alert: &Alert) -> Badge {
    match (alert.state, alert.verdict) {
        (AlertState::Open, _) => Badge::new(Tone::Warn, "open"),
        (AlertState::Reopened, _) => Badge::new(Tone::Warn, "reopened"),
        (AlertState::Acknowledged, _) => Badge::new(Tone::Info, "acknowledged"),
        (AlertState::Closed, Some(verdict)) => Badge::new(Tone::Good, words(verdict)),
        (AlertState::Closed, None) => Badge::new(Tone::Good, "closed"),
    }
}

/// A verdict in words.
pub(super) const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TruePositive => "closed: true positive",
        Verdict::FalsePositive => "closed: false positive",
        Verdict::Benign => "closed: benign",
    }
}

/// A length of time as people say it: `3 min 12 s`, `4 h`, `2 d 3 h`.
pub(super) fn length(micros: i64) -> String {
    let micros = micros.max(0);
    let (days, rest) = (micros / clock::DAY, micros % clock::DAY);
    let (hours, rest) = (rest / clock::HOUR, rest % clock::HOUR);
    let (minutes, rest) = (rest / clock::MINUTE, rest % clock::MINUTE);
    let seconds = rest / clock::SECOND;
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|(n, _)| *n == 0)
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{}{unit}", format::NBSP))
        .collect();
    if shown.is_empty() {
        format!("{}{}ms", micros / 1_000, format::NBSP)
    } else {
        shown.join(" ")
    }
}

/// The page of an alert.
pub(super) fn href(visit: &Visit, alert: &Alert) -> String {
    visit.to(&format!("/console/siem/alerts/{}", alert.id))
}

/// Entities in words, no more than a few.
pub(super) fn about(entities: &[Entity]) -> String {
    const SHOWN: usize = 3;
    let mut parts: Vec<String> = entities
        .iter()
        .take(SHOWN)
        .map(|entity| format!("{} {}", entity.kind, entity.value))
        .collect();
    if entities.len() > SHOWN {
        parts.push(format!("and {} more", entities.len() - SHOWN));
    }
    parts.join(", ")
}

/// The alerts about an entity.
pub(super) fn entity_href(visit: &Visit, entity: &Entity) -> String {
    visit
        .url
        .carry("/console/siem/alerts")
        .with("entity", &format!("{}:{}", entity.kind, entity.value))
        .to_string()
}

/// Until when an alert shall be answered, in words.
pub(super) fn due(alert: &Alert, now: UnixMicros) -> String {
    match alert.state {
        AlertState::Open | AlertState::Reopened => {
            let left = alert.due_at.since(now);
            let priority = alert.severity.priority();
            if left >= 0 {
                format!("answer due in {} ({priority})", length(left))
            } else {
                format!("answer overdue by {} ({priority})", length(-left))
            }
        }
        AlertState::Acknowledged => match alert.acknowledged_at {
            Some(at) => format!("answered after {}", length(at.since(alert.created_at))),
            None => "answered".to_owned(),
        },
        AlertState::Closed => match alert.closed_at {
            Some(at) => format!("closed after {}", length(at.since(alert.created_at))),
            None => "closed".to_owned(),
        },
    }
}

/// Alerts as a table.
pub(super) fn alerts_table(visit: &Visit, id: &str, title: &str, alerts: &[Alert]) -> Table {
    let columns = vec![
        Column::text("title", "Alert"),
        Column::text("severity", "Severity"),
        Column::text("state", "State"),
        Column::text("tenant", "Tenant"),
        Column::text("about", "About"),
        Column::number("matches", "Matches"),
        Column::time("last_at", "Last event, UTC"),
        Column::text("owner", "Owner"),
        Column::text("due", "Answer"),
    ];
    let mut table = Table::new(id, title, &visit.url, columns).empty(
        Empty::new(
            "No alert here.",
            "Rules raise alerts as events come in. Try rules on a file of events:",
        )
        .command("sealwright siem eval --rules rules/ --events events.ndjson"),
    );
    for alert in alerts {
        let link = href(visit, alert);
        let seal = Seal::leads(&format!("alert {}", alert.body.rule.title), &link).state(
            if alert.ledger_entry.is_some() {
                SealState::Proven
            } else {
                SealState::Draft
            },
        );
        table.push(Row::new(vec![
            Cell::link(&alert.body.rule.title, &link).sealed(&seal),
            Cell::badge(&severity(alert.severity)),
            Cell::badge(&state(alert)),
            Cell::text(&visit.siem().slug(alert.tenant)),
            Cell::text(&about(&alert.body.entities)),
            Cell::integer(i64::try_from(alert.matches).unwrap_or(i64::MAX)),
            Cell::time(alert.last_at.timestamp(), &utc()),
            alert
                .owner
                .as_deref()
                .map_or_else(|| Cell::text("nobody"), Cell::text),
            Cell::text(&due(alert, visit.now)),
        ]));
    }
    table
}

/// What happened, as a table.
pub(super) fn history_table(visit: &Visit, history: &[HistoryEntry]) -> Table {
    let columns = vec![
        Column::time("at", "When, UTC"),
        Column::text("action", "What"),
        Column::text("actor", "Who"),
        Column::text("detail", "Detail"),
    ];
    let mut table = Table::new("history", "History", &visit.url, columns);
    for entry in history.iter().rev() {
        table.push(Row::new(vec![
            Cell::time(entry.at.timestamp(), &utc()),
            Cell::text(&entry.action),
            Cell::code(&entry.actor),
            Cell::text(&entry.detail),
        ]));
    }
    table
}

/// How an alert stands in the ledger.
pub(super) struct Sealing {
    pub(super) state: SealState,
    pub(super) entry: Option<EntryRow>,
    tree_size: u64,
}

/// Looks an alert up in the ledger and compares digests.
pub(super) async fn sealing(visit: &Visit, alert: &Alert) -> Result<Sealing, Refusal> {
    let ledger = visit.siem().alerts.ledger();
    let tree_size = ledger.size();
    let broken = Sealing {
        state: SealState::Broken,
        entry: None,
        tree_size,
    };
    let Some(id) = alert.ledger_entry.as_deref() else {
        return Ok(Sealing {
            state: SealState::Draft,
            ..broken
        });
    };
    let Ok(id) = id.parse::<EntryId>() else {
        return Ok(broken);
    };
    let scope = sealwright_core::TenantScope::One(alert.tenant);
    let entry = match ledger.entry(scope, id).await {
        Ok(entry) => entry,
        Err(LedgerError::NotFound(_)) => return Ok(broken),
        Err(error) => return Err(visit.refuse(error.into())),
    };
    let digest = sealwright_core::Digest::of(&alert.sealed_bytes());
    let same = digest == alert.digest
        && Leaf::from_bytes(&entry.leaf).is_ok_and(|leaf| leaf.after == Some(digest));
    let state = if !same {
        SealState::Broken
    } else if entry.index.is_some_and(|index| index < tree_size) {
        SealState::Proven
    } else {
        SealState::Pending
    };
    Ok(Sealing {
        state,
        entry: Some(entry),
        tree_size,
    })
}

impl Sealing {
    /// The last step of the chain.
    pub(super) fn step(&self, visit: &Visit) -> Step {
        let Some(entry) = &self.entry else {
            return Step::new("Ledger", "the entry that the alert names is not there");
        };
        let detail = match (self.state, entry.index) {
            (SealState::Broken, _) => {
                Markup::from("the entry holds another digest than this alert has")
            }
            (_, Some(index)) if index < self.tree_size => Markup::new().text(&format!(
                "entry {} in the checkpoint of {} entries",
                format::group(&index.to_string()),
                format::group(&self.tree_size.to_string())
            )),
            _ => Markup::from("the entry waits for the next checkpoint"),
        };
        Step::new("Ledger", detail).href(&visit.to(&format!("/console/ledger/{}", entry.id)))
    }
}

#[derive(askama::Template)]
#[template(
    source = r#"<div class="columns-2"><div class="stack">{{ left }}</div><div class="stack">{{ right }}</div></div>"#,
    ext = "html"
)]
pub(super) struct Columns {
    pub(super) left: Markup,
    pub(super) right: Markup,
}

impl sealwright_web::HtmlSafe for Columns {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_two_units() {
        let nbsp = format::NBSP;
        assert_eq!(length(192 * clock::SECOND), format!("3{nbsp}min 12{nbsp}s"));
        assert_eq!(length(4 * clock::HOUR), format!("4{nbsp}h"));
        assert_eq!(length(clock::DAY + clock::SECOND), format!("1{nbsp}d"));
        assert_eq!(length(5_000), format!("5{nbsp}ms"));
        assert_eq!(length(-1), format!("0{nbsp}ms"));
    }
}
