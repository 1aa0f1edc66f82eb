//! A program, by Standard Webhooks.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::{Attempt, Outcome, Told, bytes, missing};
use crate::egress::{Answer, Egress, LITTLE};
use crate::model::Target;
use crate::signature::SigningSecret;

/// `type`, `timestamp` and `data`, as the specification recommends ("Payload structure").
pub(super) fn payload(told: &Told) -> Value {
    let message = &told.message;
    let fields: Map<String, Value> = message
        .fields
        .iter()
        .map(|fact| (fact.name.clone(), fact.value.clone().into()))
        .collect();
    json!({
        "type": message.topic,
        "timestamp": message.created_at.to_string(),
        "data": {
            "id": message.id,
            "severity": message.severity.as_str(),
            "phase": message.phase.as_str(),
            "incident": message.incident,
            "tenant": told.tenant,
            "tenant_id": message.tenant_id,
            "title": message.title,
            "body": message.body,
            "fields": fields,
            "link": told.link,
        },
    })
}

/// The header `webhook-signature`: the secret's, and while it replaces another one, that one's.
pub(super) fn signatures(attempt: &Attempt<'_>, payload: &[u8]) -> Result<String, Outcome> {
    let Target::Webhook { previous_until, .. } = attempt.channel.target else {
        return Err(missing("signing secret"));
    };
    let id = attempt.told.delivery.to_string();
    let seconds = attempt.now.0.div_euclid(1_000_000);
    let read = |name: &str| {
        attempt.secrets.get(name).map(|text| {
            SigningSecret::parse(text).map_err(|error| Outcome::Refused {
                status: None,
                answer: format!("the signing secret {error}"),
            })
        })
    };
    let secret = read("secret").ok_or_else(|| missing("signing secret"))??;
    let mut header = secret.sign(&id, seconds, payload);
    if previous_until.is_some_and(|until| attempt.now.0 < until)
        && let Some(previous) = read("previous_secret")
    {
        header.push(' ');
        header.push_str(&previous?.sign(&id, seconds, payload));
    }
    Ok(header)
}

/// Anything but 2xx is tried again: the other side may be mending it. 410 says that it is gone for good.
fn outcome(answer: &Answer) -> Outcome {
    let status = Some(i64::from(answer.status));
    let text = answer.text();
    match answer.status {
        200..=299 => Outcome::Sent {
            status,
            answer: text,
            reference: None,
        },
        410 => Outcome::Gone {
            status,
            answer: text,
        },
        // Throttled, says the specification of these three: not this delivery alone waits.
        429 | 502 | 504 => Outcome::Again {
            status,
            answer: text,
            after: answer.retry_after,
            block: answer.retry_after.is_some(),
        },
        300..=399 => Outcome::Again {
            status,
            answer: "answered with a redirect, which is not followed".to_owned(),
            after: None,
            block: false,
        },
        _ => Outcome::Again {
            status,
            answer: text,
            after: answer.retry_after,
            block: false,
        },
    }
}

pub(super) async fn send(egress: &Egress, attempt: &Attempt<'_>) -> Outcome {
    let Some(address) = attempt.secrets.get("url") else {
        return missing("url");
    };
    let body = bytes(&payload(attempt.told));
    let signature = match signatures(attempt, &body) {
        Ok(signature) => signature,
        Err(refused) => return refused,
    };
    let seconds = attempt.now.0.div_euclid(1_000_000);
    let request = match egress.url(address).and_then(|url| egress.post(&url)) {
        Ok(request) => request
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", attempt.told.delivery.to_string())
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature)
            .body(body),
        Err(error) => return error.into(),
    };
    match egress.send(request, LITTLE, attempt.now).await {
        Ok(answer) => outcome(&answer),
        Err(error) => error.into(),
    }
}
