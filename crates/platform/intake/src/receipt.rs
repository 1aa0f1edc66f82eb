//! The answer to a sender.

use sealwright_cloudevents::EventError;
use sealwright_core::Digest;
use sealwright_events::Rejection;
use serde::Serialize;
use utoipa::ToSchema;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// It is durable.
    Accepted,
    /// The same event was durable already; sending it again changed nothing.
    Duplicate,
    /// It is not acceptable; `error` says why.
    Rejected,
    /// Another event of the same source and id is there, with another content.
    Conflict,
    /// It is fine; the batch was refused because of others. Send it again without them.
    NotStored,
}

/// Why an event was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventFault {
    /// The stable name of the reason.
    pub code: String,
    /// Where in the event, as a JSON Pointer; empty for the event as a whole.
    pub pointer: String,
    /// Where in the (decompressed) body, in bytes from its start, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<usize>,
    /// What is wrong and what to do.
    pub detail: String,
    /// For a conflict: the digest of the event that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_digest: Option<String>,
    /// For a conflict: the digest of the event that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_digest: Option<String>,
    /// Whether the text itself could not be read.
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) syntax: bool,
}

impl EventFault {
    pub(crate) fn conflict(offset: Option<u64>, stored: Digest, sent: Digest) -> Self {
        let place = offset.map_or_else(
            || "earlier in this batch".to_owned(),
            |offset| format!("at offset {offset}"),
        );
        Self {
            code: "conflict".to_owned(),
            pointer: "/id".to_owned(),
            byte: None,
            detail: format!(
                "an event of this source and id is there {place} with another content (digest {stored}, \
                 sent {sent}); a different event needs an id of its own"
            ),
            stored_digest: Some(stored.to_string()),
            sent_digest: Some(sent.to_string()),
            syntax: false,
        }
    }
}

impl From<EventError> for EventFault {
    fn from(error: EventError) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            pointer: error.pointer,
            byte: error.offset,
            detail: error.detail,
            stored_digest: None,
            sent_digest: None,
            syntax: error.code.is_syntax(),
        }
    }
}

impl From<Rejection> for EventFault {
    fn from(rejection: Rejection) -> Self {
        Self {
            code: rejection.code.to_owned(),
            pointer: rejection.pointer,
            byte: None,
            detail: rejection.detail,
            stored_digest: None,
            sent_digest: None,
            syntax: false,
        }
    }
}

/// What became of one event of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventResult {
    /// The event's place in the request, from 0.
    pub index: usize,
    /// Its id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What became of it.
    pub status: ResultStatus,
    /// Its place in the log; for a conflict, the place of the event that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<EventFault>,
}

/// What became of a request's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receipt {
    /// Whether all events are durable now.
    #[serde(skip)]
    #[schema(ignore)]
    pub stored: bool,
    /// Events that are new.
    pub accepted: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// One result an event, in the order of the request.
    pub results: Vec<EventResult>,
}
