//! An event of the log as rules see it.

use std::borrow::Cow;

use sealwright_cloudevents::view;
use sealwright_events::StoredEvent;
use sealwright_sigma::normalise;
use serde_json::Value;

/// An event in the form that rules are evaluated on.
#[derive(Debug)]
pub struct Normalised<'a> {
    /// The fields, as JSON.
    pub json: Cow<'a, str>,
}

/// Why an event cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The payload of an event, normalised.
///
/// # Errors
/// When it has no object for a payload: then there are no fields.
pub fn normalise(event: &StoredEvent) -> Result<Normalised<'_>, Refused> {
    let data = view::member(&event.json, "data")
        .ok_or_else(|| Refused("the event has no data".to_owned()))?;
    if data.first() != Some(&b'{') {
        return Err(Refused("the event's data is not a JSON object".to_owned()));
    }
    let json = std::str::from_utf8(data).map_err(|error| {
        Refused(format!(
            "byte {} of the data: not UTF-8",
            error.valid_up_to()
        ))
    })?;
    Ok(Normalised {
        json: Cow::Borrowed(json),
    })
}

impl Normalised<'_> {
    /// The fields as a value, with records of Windows flattened as rules name their fields.
    ///
    /// # Errors
    /// When the text is no JSON.
    pub fn value(&self) -> Result<Value, Refused> {
        let value: Value = serde_json::from_str(&self.json)
            .map_err(|error| Refused(format!("byte {}: {error}", error.column())))?;
        Ok(normalise::windows(&value))
    }
}
