//! Alerts as notifications.

use sealwright_notify::{Message, Phase, Severity as Loudness};

use crate::model::{Alert, Severity};

/// The topic of alerts.
pub const TOPIC: &str = "siem.alert";
/// Entities that a message names.
const MOST_ENTITIES: usize = 10;

/// How loud an alert is.
pub const fn loudness(severity: Severity) -> Loudness {
    match severity {
        Severity::Informational | Severity::Low => Loudness::Info,
        Severity::Medium => Loudness::Warning,
        Severity::High => Loudness::Error,
        Severity::Critical => Loudness::Critical,
    }
}

/// What is said of an alert, for those who run the installation. `what` is what happened to it.
pub fn message(alert: &Alert, phase: Phase, what: &str) -> Message {
    let rule = &alert.body.rule;
    let mut message = Message::new(TOPIC, loudness(alert.severity), &rule.title)
        .about(alert.tenant)
        .incident(&alert.id.to_string(), phase)
        .body(what)
        .link(&format!("/console/siem/alerts/{}", alert.id))
        .once(&format!("{} {}", alert.id, alert.revision))
        .field("Severity", alert.severity)
        .field("Priority", alert.severity.priority())
        .field("Rule", &rule.id);
    if let Some(author) = &rule.author {
        message = message.field("Author of the rule", author);
    }
    for entity in alert.body.entities.iter().take(MOST_ENTITIES) {
        message = message.field(&entity.kind, &entity.value);
    }
    let techniques: Vec<&str> = rule
        .tags
        .iter()
        .filter(|tag| tag.starts_with("attack.t"))
        .map(String::as_str)
        .collect();
    if !techniques.is_empty() {
        message = message.field("ATT&CK", techniques.join(", "));
    }
    message.field("Matches", alert.matches)
}
