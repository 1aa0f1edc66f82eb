//! What people, keys and jobs did with this program.

use super::{EventType, Family, Field, FieldKind};

const fn field(name: &'static str, kind: FieldKind, required: bool, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        required,
        doc,
    }
}

pub(super) const FAMILY: Family = Family {
    name: "audit",
    title: "What was done with this program",
    types: &[EventType {
        name: "sealwright.audit.action.v1",
        title: "Somebody did something",
        fields: &[
            field(
                "actor_kind",
                FieldKind::OneOf(&["user", "key", "job", "system"]),
                true,
                "What kind of actor it was.",
            ),
            field("actor", FieldKind::Text(128), true, "The actor's id."),
            field(
                "action",
                FieldKind::Text(128),
                true,
                "What was done, as `<system>.<noun>.<verb>`.",
            ),
            field(
                "outcome",
                FieldKind::OneOf(&["success", "failure", "unknown"]),
                true,
                "How it ended; `unknown` where that cannot be told.",
            ),
            field(
                "object",
                FieldKind::Text(256),
                false,
                "The id of what it was done to.",
            ),
            field(
                "reason",
                FieldKind::Text(1024),
                false,
                "Why, in the actor's words.",
            ),
            field(
                "before",
                FieldKind::Digest,
                false,
                "SHA-256 of the object's state before.",
            ),
            field(
                "after",
                FieldKind::Digest,
                false,
                "SHA-256 of the object's state after.",
            ),
            field(
                "address",
                FieldKind::Text(64),
                false,
                "The network address it came from.",
            ),
        ],
    }],
};
