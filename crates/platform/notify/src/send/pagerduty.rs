//! PagerDuty, by the Events API v2.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::{Attempt, Outcome, Told, by_status, bytes, missing};
use crate::egress::{Egress, LITTLE};
use crate::message::{Phase, clip};

/// The longest `summary`, in characters.
const SUMMARY: usize = 1_024;

/// The event without its routing key. A message of no incident is an incident of its own, so that a second
/// attempt does not page twice.
pub(super) fn payload(told: &Told) -> Value {
    let message = &told.message;
    let dedup_key = message
        .incident
        .clone()
        .unwrap_or_else(|| message.id.to_string());
    let mut event = json!({
        "event_action": message.phase.as_str(),
        "dedup_key": dedup_key,
    });
    if message.phase != Phase::Trigger {
        return event;
    }
    let mut details = Map::new();
    if !message.body.is_empty() {
        details.insert("description".to_owned(), message.body.clone().into());
    }
    for fact in &message.fields {
        details.insert(fact.name.clone(), fact.value.clone().into());
    }
    let component = message.topic.split('.').next().unwrap_or_default();
    event["client"] = "Sealwright".into();
    event["payload"] = json!({
        "summary": clip(message.title.chars(), SUMMARY),
        "source": told.tenant.as_deref().unwrap_or("sealwright"),
        "severity": message.severity.as_str(),
        "timestamp": message.created_at.to_string(),
        "component": component,
        "class": message.topic,
        "custom_details": details,
    });
    if let Some(link) = &told.link {
        event["client_url"] = link.as_str().into();
        event["links"] = json!([{"href": link, "text": "Open in Sealwright"}]);
    }
    event
}

pub(super) async fn send(egress: &Egress, attempt: &Attempt<'_>, events_url: &str) -> Outcome {
    let Some(key) = attempt.secrets.get("routing_key") else {
        return missing("routing_key");
    };
    let mut event = payload(attempt.told);
    event["routing_key"] = key.into();
    let address = format!("{}/v2/enqueue", events_url.trim_end_matches('/'));
    let request = match egress.url(&address).and_then(|url| egress.post(&url)) {
        Ok(request) => request
            .header(CONTENT_TYPE, "application/json")
            .body(bytes(&event)),
        Err(error) => return error.into(),
    };
    match egress.send(request, LITTLE, attempt.now).await {
        Ok(answer) => by_status(&answer),
        Err(error) => error.into(),
    }
}
