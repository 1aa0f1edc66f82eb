//! What people look at first in an event, and whom it is about.
//!
//! The Elastic Common Schema comes first; behind it stand the names of sources whose events are taken as
//! they are.

use std::collections::BTreeMap;

use sealwright_events::StoredEvent;
use sealwright_sigma::value;
use serde_json::Value;

use crate::model::Entity;

/// Longest value that is kept of a field.
const LONGEST: usize = 256;
/// Most entities of one alert.
pub const MOST_ENTITIES: usize = 32;

/// Kinds of entities, and the fields that name one.
const ENTITIES: &[(&str, &[&str])] = &[
    (
        "user",
        &[
            "user.name",
            "user.email",
            "user.id",
            "TargetUserName",
            "User",
            "userIdentity.userName",
            "userIdentity.arn",
        ],
    ),
    (
        "address",
        &[
            "source.ip",
            "client.ip",
            "IpAddress",
            "SourceIp",
            "sourceIPAddress",
        ],
    ),
    (
        "host",
        &["host.name", "host.hostname", "Computer", "Hostname"],
    ),
    (
        "key",
        &[
            "sealwright.key.id",
            "api_key.id",
            "userIdentity.accessKeyId",
        ],
    ),
    ("session", &["session.id", "user.session.id"]),
];

/// Names in lists, and the fields that fill them.
const SUMMARY: &[(&str, &[&str])] = &[
    ("category", &["event.category", "Channel", "eventSource"]),
    ("action", &["event.action", "EventID", "eventName"]),
    ("outcome", &["event.outcome", "errorCode"]),
    (
        "what",
        &[
            "message",
            "process.command_line",
            "CommandLine",
            "Image",
            "TargetFilename",
        ],
    ),
];

/// The first value of the first of these fields that has one.
pub fn first(event: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let found = value::lookup(event, name);
        let text = found.values.iter().find_map(|leaf| leaf.text())?.trim();
        let meaningful = !text.is_empty() && text != "-" && text != "null";
        meaningful.then(|| short(text))
    })
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Whom an event is about.
pub fn entities(event: &Value) -> Vec<Entity> {
    ENTITIES
        .iter()
        .filter_map(|(kind, names)| {
            Some(Entity {
                kind: (*kind).to_owned(),
                value: first(event, names)?,
            })
        })
        .collect()
}

/// What a match of a rule is about: the first entity, or else where the event came from.
pub fn about(event: &Value, stored: &StoredEvent) -> String {
    let mut named = ENTITIES.iter();
    let first = named.find_map(|(kind, names)| Some(format!("{kind} {}", first(event, names)?)));
    first.unwrap_or_else(|| stored.source.clone())
}

/// The entity that a field of a group names, if it names one.
pub fn entity_of(field: &str, value: &str) -> Option<Entity> {
    ENTITIES
        .iter()
        .find(|(_, names)| names.contains(&field))
        .map(|(kind, _)| Entity {
            kind: (*kind).to_owned(),
            value: short(value),
        })
}

/// What lists show of an event.
pub fn summary(event: &Value) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = entities(event)
        .into_iter()
        .map(|entity| (entity.kind, entity.value))
        .collect();
    for (name, fields) in SUMMARY {
        if let Some(text) = first(event, fields) {
            out.insert((*name).to_owned(), text);
        }
    }
    out
}
