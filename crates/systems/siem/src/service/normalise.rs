//! An event of the log as rules see it.
//!
//! The payload of an event stays as its source wrote it, and beside it stand the fields of ECS that follow
//! from it ([`sealwright_ecs::beside`]). A name that the source uses means what the source says. The same
//! event always gives the same fields: nothing but the event and the time of its receipt is asked.

use std::borrow::Cow;
use std::sync::LazyLock;

use sealwright_cloudevents::view;
use sealwright_ecs::beside::provides;
use sealwright_ecs::{Context, MappingError, Normaliser};
use sealwright_events::StoredEvent;
use sealwright_sigma::compiled::RuleSet;
use sealwright_sigma::normalise;
use serde_json::Value;

/// Names under which events of Windows are recognised by the matcher itself.
const WINDOWS: [&str; 2] = ["\"Channel\"", "\"EventID\""];

static NORMALISER: LazyLock<Result<Normaliser, MappingError>> =
    LazyLock::new(|| Normaliser::new(Vec::new()));

/// The mappings of the program.
///
/// # Errors
/// When one of them cannot be used, which the tests of the engine rule out.
pub fn normaliser() -> Result<&'static Normaliser, Refused> {
    NORMALISER.as_ref().map_err(|e| Refused(e.to_string()))
}

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

/// The payload of an event as its source wrote it.
///
/// # Errors
/// When it is no object: then there are no fields.
pub fn native(event: &StoredEvent) -> Result<&str, Refused> {
    let data = view::member(&event.json, "data")
        .ok_or_else(|| Refused("the event has no data".to_owned()))?;
    if data.first() != Some(&b'{') {
        return Err(Refused("the event's data is not a JSON object".to_owned()));
    }
    std::str::from_utf8(data).map_err(|error| {
        Refused(format!(
            "byte {} of the data: not UTF-8",
            error.valid_up_to()
        ))
    })
}

/// The payload of an event, normalised.
///
/// # Errors
/// When it has no object for a payload: then there are no fields.
pub fn normalise(event: &StoredEvent) -> Result<Normalised<'_>, Refused> {
    let native = native(event)?;
    let normaliser = normaliser()?;
    // Where the type says nothing, the source may.
    let hint = (!normaliser.knows(&event.event_type) && normaliser.knows(&event.source))
        .then_some(event.source.as_str());
    let context = Context {
        hint,
        received: event.received_at.0,
        ..Context::default()
    };
    let whole = std::str::from_utf8(&event.json).unwrap_or(native);
    Ok(Normalised {
        json: match normaliser.beside(whole, &context) {
            Ok(event) => Cow::Owned(event.json),
            // Too deep or too large to be mapped; rules for its source can still read it.
            Err(_) => Cow::Borrowed(native),
        },
    })
}

/// Whether a rule asks for a field that the source of an event may not have itself. The log source is found
/// out in any case.
pub fn needs_ecs(set: &RuleSet) -> bool {
    let asked = |name: &str| name != "@timestamp" && provides(name);
    set.field_names().iter().any(|name| asked(name))
}

/// How events are read that come without an envelope: lines of files.
#[derive(Debug, Clone, Copy)]
pub struct Plain {
    received: i64,
    whole: bool,
}

impl Plain {
    /// For the rules of a set. Where none of them asks for a field that a source would not have itself, only
    /// the log source is found out. `received` is the time of events that state none, where a time without a
    /// year needs one.
    pub fn new(set: &RuleSet, received: i64) -> Self {
        Self {
            received,
            whole: needs_ecs(set),
        }
    }

    /// For all fields.
    pub const fn whole(received: i64) -> Self {
        Self {
            received,
            whole: true,
        }
    }

    /// An event with the fields of ECS beside its own; `None` when it stays as it is.
    pub fn read(&self, event: &str) -> Option<String> {
        let normaliser = normaliser().ok()?;
        let context = Context {
            received: self.received,
            ..Context::default()
        };
        // What a CloudEvent says is in its data, whichever fields are asked for.
        if self.whole || event.contains("\"specversion\"") {
            let made = normaliser.beside(event, &context).ok()?;
            return Some(made.json);
        }
        if WINDOWS.iter().all(|name| event.contains(name)) {
            return None;
        }
        normaliser.sourced(event).ok()?
    }
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
