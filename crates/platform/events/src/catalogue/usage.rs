//! Usage that is metered and billed.

use super::{EventType, Family, Field, FieldKind};

const REGION: Field = Field {
    name: "region",
    kind: FieldKind::Text(64),
    required: true,
    doc: "Where it was used, e.g. `eu-west-1`.",
};

const fn quantity(name: &'static str, doc: &'static str) -> Field {
    Field {
        name,
        kind: FieldKind::Quantity,
        required: true,
        doc,
    }
}

const fn count(name: &'static str, required: bool, doc: &'static str) -> Field {
    Field {
        name,
        kind: FieldKind::Count,
        required,
        doc,
    }
}

const fn text(name: &'static str, required: bool, doc: &'static str) -> Field {
    Field {
        name,
        kind: FieldKind::Text(128),
        required,
        doc,
    }
}

pub(super) const FAMILY: Family = Family {
    name: "usage",
    title: "Usage of resources",
    types: &[
        EventType {
            name: "sealwright.usage.compute.v1",
            title: "Compute time was used",
            fields: &[
                quantity("hours", "Hours of compute time since the last such event."),
                REGION,
                text("instance_type", false, "What it ran on."),
            ],
        },
        EventType {
            name: "sealwright.usage.storage.v1",
            title: "The level of stored data",
            fields: &[
                quantity(
                    "gb",
                    "Gigabytes (10^9 bytes) that are stored from this time on.",
                ),
                REGION,
                text("volume", false, "Which store; each has a level of its own."),
            ],
        },
        EventType {
            name: "sealwright.usage.bandwidth.v1",
            title: "Data was sent",
            fields: &[
                quantity("gb", "Gigabytes (10^9 bytes) since the last such event."),
                REGION,
            ],
        },
        EventType {
            name: "sealwright.usage.database.v1",
            title: "Database queries were made",
            fields: &[
                count("queries", true, "Queries since the last such event."),
                REGION,
            ],
        },
        EventType {
            name: "sealwright.usage.ai.v1",
            title: "A model answered a request",
            fields: &[
                text("model", true, "The model's name."),
                REGION,
                count("input_tokens", true, "Tokens that were read."),
                count("output_tokens", true, "Tokens that were written."),
                count(
                    "cached_input_tokens",
                    false,
                    "Those of the tokens read that came from a cache.",
                ),
            ],
        },
    ],
};
