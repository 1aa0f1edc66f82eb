//! The fields of a batch of events, found out before the batch's transaction is there.
//!
//! Most of the time that an event takes goes into its fields, and they follow from the event alone.

use std::borrow::Cow;

use sealwright_events::StoredEvent;

use crate::service::normalise::{Refused, native, normalise};

/// The fields of one event.
#[derive(Debug)]
pub(super) enum Fields {
    /// Mapped to ECS, as JSON.
    Mapped(String),
    /// As its source wrote them.
    Native,
    /// There are none.
    Refused(Refused),
}

impl Fields {
    fn new(event: &StoredEvent) -> Self {
        match normalise(event) {
            Ok(normalised) => match normalised.json {
                Cow::Owned(json) => Self::Mapped(json),
                Cow::Borrowed(_) => Self::Native,
            },
            Err(refused) => Self::Refused(refused),
        }
    }

    /// The fields as JSON, of the event that they were made of.
    pub(super) fn of<'a>(&'a self, event: &'a StoredEvent) -> Result<&'a str, Refused> {
        match self {
            Self::Mapped(json) => Ok(json),
            Self::Native => native(event),
            Self::Refused(refused) => Err(refused.clone()),
        }
    }
}

/// The fields of events that follow each other in the log.
#[derive(Debug)]
pub(super) struct Prepared {
    first: Option<u64>,
    fields: Vec<Fields>,
}

impl Prepared {
    pub(super) fn new(events: &[StoredEvent]) -> Self {
        Self {
            first: events.first().map(|event| event.offset),
            fields: events.iter().map(Fields::new).collect(),
        }
    }

    /// Whether it was made of these events: offsets of the log are dense, and what stands at one never changes.
    pub(super) fn is_of(&self, events: &[StoredEvent]) -> bool {
        self.first == events.first().map(|event| event.offset) && self.fields.len() == events.len()
    }

    pub(super) fn fields(&self) -> &[Fields] {
        &self.fields
    }
}
