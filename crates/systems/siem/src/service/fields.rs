//! What people look at first in an event, and whom it is about.
//!
//! The Elastic Common Schema comes first; behind it stand the names of sources whose events are taken as
//! they are.

use std::collections::BTreeMap;

use sealwright_cloudevents::view;
use sealwright_events::StoredEvent;
use sealwright_sigma::value;
use serde_json::Value;

use crate::model::Entity;

/// Longest value that is kept of a field.
const LONGEST: usize = 256;
/// Most entities of one alert.
pub const MOST_ENTITIES: usize = 32;

/// Kinds of entities, and the fields that name one.
pub(super) const ENTITIES: &[(&str, &[&str])] = &[
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
        meaningful(found.values.iter().find_map(|leaf| leaf.text())?)
    })
}

/// A text that names something, as it is shown.
fn meaningful(text: &str) -> Option<String> {
    let text = text.trim();
    let names = !text.is_empty() && text != "-" && text != "null";
    names.then(|| short(text))
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
    let first = named.find_map(|(kind, names)| Some(about_one(kind, &first(event, names)?)));
    first.unwrap_or_else(|| stored.source.clone())
}

/// What [`about`] says of an entity.
pub(super) fn about_one(kind: &str, value: &str) -> String {
    format!("{kind} {value}")
}

/// What [`about`] says, from the text of the fields and without reading all of them; `None` where that does not do: the first field
/// that names an entity has to stand there by its whole name.
pub fn about_in(fields: &str) -> Option<String> {
    let (kind, [name, ..]) = ENTITIES.first()? else {
        return None;
    };
    let (object, _) = name.split_once('.')?;
    let mut found = None;
    for member in view::members(fields.as_bytes()) {
        // Records of Windows are flattened first, and an object of this name has the field, too.
        if member.name == b"Event" || member.name == object.as_bytes() {
            return None;
        }
        if member.name.contains(&b'\\') || (member.name == name.as_bytes() && found.is_some()) {
            return None;
        }
        if member.name == name.as_bytes() {
            found = Some(member.value);
        }
    }
    let text: String = serde_json::from_slice(found?).ok()?;
    Some(about_one(kind, &meaningful(&text)?))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sealwright_core::{Digest, Id, UnixMicros};
    use sealwright_sigma::normalise;
    use serde_json::json;

    use super::*;

    fn stored() -> StoredEvent {
        StoredEvent {
            offset: 0,
            tenant: Id::new(UnixMicros(0)),
            received_at: UnixMicros(0),
            time: UnixMicros(0),
            id: "1".to_owned(),
            source: "/source".to_owned(),
            event_type: "t".to_owned(),
            subject: None,
            digest: Digest::of(b""),
            json: bytes::Bytes::new(),
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            Just(String::new()),
            Just(" - ".to_owned()),
            Just("null".to_owned()),
            "[a-z\"\\\\é ]{1,300}",
        ];
        let leaf = prop_oneof![
            text.prop_map(Value::from),
            Just(Value::Null),
            (-5_i64..5).prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| {
            let name = prop_oneof![Just("name"), Just("EventData"), Just("x")];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_says_what_all_fields_say(
            members in prop::collection::btree_map(
                prop_oneof![
                    Just("user"), Just("user.name"), Just("user.email"), Just("Event"), Just("source.ip"), Just("a\"b"), Just("a"),
                ],
                value(),
                0..6,
            ),
        ) {
            let fields = Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
            let text = fields.to_string();
            if let Some(found) = about_in(&text) {
                prop_assert_eq!(found, about(&normalise::windows(&fields), &stored()));
            }
        }
    }

    #[test]
    fn a_field_of_ecs_is_found_in_the_text() {
        let fields = json!({"a": {"user": "no"}, "user.name": " Zoë \"Z\" "});
        assert_eq!(
            about_in(&fields.to_string()).as_deref(),
            Some("user Zoë \"Z\"")
        );
        for other in [
            json!({"user": {"name": "a"}}),
            json!({"user": {"name": "a"}, "user.name": "b"}),
            json!({"user.name": ["a"]}),
            json!({"user.name": "-"}),
            json!({"Event": {"EventData": {"user.name": "a"}}, "user.name": "b"}),
        ] {
            assert_eq!(about_in(&other.to_string()), None, "{other}");
        }
    }
}
