//! The catalogue as JSON Schema.

use serde_json::{Map, Value, json};

use super::{EventType, FieldKind};

/// The schema of an event type's `data` (JSON Schema 2020-12). What a schema cannot say (28 digits) is
/// in the descriptions.
pub fn json_schema(event_type: &EventType) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in event_type.fields {
        let mut property = match field.kind {
            FieldKind::Quantity => json!({"type": "number", "minimum": 0}),
            FieldKind::Count => {
                json!({"type": "integer", "minimum": 0, "maximum": i64::MAX})
            }
            FieldKind::Text(longest) => {
                json!({
                    "type": "string", "minLength": 1, "maxLength": longest,
                    "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
                })
            }
            FieldKind::Time => json!({"type": "string", "format": "date-time"}),
            FieldKind::OneOf(words) => json!({"type": "string", "enum": words}),
            FieldKind::Digest => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        };
        if field.required {
            required.push(field.name);
        } else if let Some(object) = property.as_object_mut() {
            if let Some(Value::Array(words)) = object.get_mut("enum") {
                words.push(Value::Null);
            }
            let kind = object.get("type").cloned().unwrap_or_default();
            object.insert("type".to_owned(), json!([kind, "null"]));
        }
        if let Some(object) = property.as_object_mut() {
            object.insert("description".to_owned(), field.doc.into());
        }
        properties.insert(field.name.to_owned(), property);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:sealwright:schema:{}", event_type.name),
        "title": event_type.title,
        "type": "object",
        "properties": properties,
        "required": required,
    })
}
