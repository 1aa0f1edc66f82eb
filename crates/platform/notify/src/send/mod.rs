//! Sending one delivery: a file a kind of channel. What is sent is made by pure functions; what comes back
//! becomes an [`Outcome`].

mod email;
mod github;
mod pagerduty;
mod slack;
mod webhook;

use sealwright_core::UnixMicros;
use serde_json::Value;
use tokio::time::timeout;

use crate::egress::{Answer, Egress, EgressError};
use crate::message::line;
use crate::model::{Channel, DeliveryId, Secrets, StoredMessage, Target};

/// The longest answer that is kept.
const ANSWER: usize = 500;

/// A message as it is told, with what the tables do not hold.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) delivery: DeliveryId,
    pub(crate) message: StoredMessage,
    /// The tenant's slug, or its id when it has none.
    pub(crate) tenant: Option<String>,
    /// The whole address of the link.
    pub(crate) link: Option<String>,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) told: &'a Told,
    pub(crate) channel: &'a Channel,
    pub(crate) secrets: &'a Secrets,
    /// What the channel's other side calls the incident.
    pub(crate) reference: Option<String>,
    pub(crate) now: UnixMicros,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Accepted.
    Sent {
        status: Option<i64>,
        answer: String,
        /// What the other side calls the incident from now on.
        reference: Option<String>,
    },
    /// It may work later.
    Again {
        status: Option<i64>,
        answer: String,
        /// Not before so many microseconds.
        after: Option<i64>,
        /// The whole channel waits, not only this delivery.
        block: bool,
    },
    /// It will not work until somebody changes something.
    Refused { status: Option<i64>, answer: String },
    /// The other side wants nothing more from this channel.
    Gone { status: Option<i64>, answer: String },
}

/// What the status of an HTTP answer means where nothing else is known.
fn by_status(answer: &Answer) -> Outcome {
    let status = Some(i64::from(answer.status));
    let text = answer.text();
    match answer.status {
        200..=299 => Outcome::Sent {
            status,
            answer: text,
            reference: None,
        },
        408 | 425 | 429 | 500..=599 => Outcome::Again {
            status,
            answer: text,
            after: answer.retry_after,
            block: answer.rate_limited || answer.retry_after.is_some(),
        },
        300..=399 => Outcome::Refused {
            status,
            answer: "answered with a redirect, which is not followed; give the final address"
                .to_owned(),
        },
        _ => Outcome::Refused {
            status,
            answer: text,
        },
    }
}

impl From<EgressError> for Outcome {
    fn from(error: EgressError) -> Self {
        let answer = error.to_string();
        match error {
            EgressError::Refused(_) => Self::Refused {
                status: None,
                answer,
            },
            EgressError::Failed(_) => Self::Again {
                status: None,
                answer,
                after: None,
                block: false,
            },
        }
    }
}

fn missing(name: &str) -> Outcome {
    Outcome::Refused {
        status: None,
        answer: format!("the channel has no {name}; give it again"),
    }
}

/// Sends, and scrubs what is kept of the answer.
pub(crate) async fn send(egress: &Egress, attempt: &Attempt<'_>) -> Outcome {
    let work = async {
        match &attempt.channel.target {
            Target::Slack { .. } => slack::send(egress, attempt).await,
            Target::Pagerduty { events_url } => pagerduty::send(egress, attempt, events_url).await,
            Target::Email { .. } => email::send(egress, attempt).await,
            Target::Github { .. } => github::send(egress, attempt).await,
            Target::Webhook { .. } => webhook::send(egress, attempt).await,
        }
    };
    // Each step has its own limit; together they stay well within the lease.
    let outcome = timeout(egress.timeout() * 2, work)
        .await
        .unwrap_or_else(|_| Outcome::Again {
            status: None,
            answer: "no answer in time".to_owned(),
            after: None,
            block: false,
        });
    let clean = |answer: String| line(&attempt.secrets.scrub(&answer), ANSWER);
    match outcome {
        Outcome::Sent {
            status,
            answer,
            reference,
        } => Outcome::Sent {
            status,
            answer: clean(answer),
            reference,
        },
        Outcome::Again {
            status,
            answer,
            after,
            block,
        } => Outcome::Again {
            status,
            answer: clean(answer),
            after,
            block,
        },
        Outcome::Refused { status, answer } => Outcome::Refused {
            status,
            answer: clean(answer),
        },
        Outcome::Gone { status, answer } => Outcome::Gone {
            status,
            answer: clean(answer),
        },
    }
}

fn bytes(payload: &Value) -> Vec<u8> {
    serde_json::to_vec(payload).unwrap_or_default()
}

/// The plain text that mail and issues have in common: the body, then the facts.
fn facts(told: &Told) -> Vec<(String, String)> {
    let message = &told.message;
    let mut facts: Vec<_> = message
        .fields
        .iter()
        .map(|fact| (fact.name.clone(), fact.value.clone()))
        .collect();
    facts.push(("Severity".to_owned(), message.severity.to_string()));
    facts.push(("Topic".to_owned(), message.topic.clone()));
    if let Some(tenant) = &told.tenant {
        facts.push(("Tenant".to_owned(), tenant.clone()));
    }
    facts.push(("Time".to_owned(), message.created_at.to_string()));
    facts
}

#[cfg(test)]
mod tests;
