//! Slack, by an incoming webhook: Block Kit blocks.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Attempt, Outcome, Told, by_status, bytes, missing};
use crate::egress::{Egress, LITTLE};
use crate::message::{Phase, Severity, clip};

/// The limits of Block Kit: a header of 150 characters, a section's text of 3,000, ten fields of 2,000.
const HEADER: usize = 150;
const SECTION: usize = 3_000;
const FIELDS: usize = 10;
const FIELD: usize = 2_000;

/// Slack's control characters; what remains cannot mention anybody or hide a link.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    clip(text.chars(), most)
}

fn mark(told: &Told) -> &'static str {
    match (told.message.phase, told.message.severity) {
        (Phase::Resolve, _) => "✅",
        (Phase::Acknowledge, _) => "👀",
        (Phase::Trigger, Severity::Critical | Severity::Error) => "🔴",
        (Phase::Trigger, Severity::Warning) => "🟠",
        (Phase::Trigger, Severity::Info) => "🔵",
    }
}

fn word(told: &Told) -> &'static str {
    match told.message.phase {
        Phase::Resolve => "Resolved",
        Phase::Acknowledge => "Acknowledged",
        Phase::Trigger => match told.message.severity {
            Severity::Critical => "Critical",
            Severity::Error => "Error",
            Severity::Warning => "Warning",
            Severity::Info => "Info",
        },
    }
}

pub(super) fn payload(told: &Told) -> Value {
    let message = &told.message;
    let headline = format!("{} {}: {}", mark(told), word(told), message.title);
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": cut(&headline, HEADER)},
    })];
    if !message.body.is_empty() {
        // Plain text: nothing in it is markup.
        blocks.push(json!({
            "type": "section",
            "text": {"type": "plain_text", "text": cut(&message.body, SECTION), "emoji": false},
        }));
    }
    if !message.fields.is_empty() {
        let fields: Vec<Value> = message
            .fields
            .iter()
            .take(FIELDS)
            .map(|fact| {
                let text = format!("*{}*\n{}", escape(&fact.name), escape(&fact.value));
                json!({"type": "mrkdwn", "text": cut(&text, FIELD), "verbatim": true})
            })
            .collect();
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let mut context = vec![message.topic.clone()];
    context.extend(told.tenant.clone());
    context.push(message.created_at.to_string());
    blocks.push(json!({
        "type": "context",
        "elements": [{"type": "plain_text", "text": context.join(" · "), "emoji": false}],
    }));
    if let Some(link) = &told.link {
        blocks.push(json!({
            "type": "actions",
            "elements": [{
                "type": "button",
                "text": {"type": "plain_text", "text": "Open"},
                "url": link,
            }],
        }));
    }
    json!({
        // What notifications and screen readers show; here the control characters count.
        "text": escape(&headline),
        "blocks": blocks,
    })
}

pub(super) async fn send(egress: &Egress, attempt: &Attempt<'_>) -> Outcome {
    let Some(address) = attempt.secrets.get("webhook_url") else {
        return missing("webhook_url");
    };
    let request = match egress.url(address).and_then(|url| egress.post(&url)) {
        Ok(request) => request
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(bytes(&payload(attempt.told))),
        Err(error) => return error.into(),
    };
    match egress.send(request, LITTLE, attempt.now).await {
        Ok(answer) => by_status(&answer),
        Err(error) => error.into(),
    }
}
