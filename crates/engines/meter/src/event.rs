//! What meters see of an event.

use serde_json::Value;

/// An attribute of an event.
#[derive(Debug, Clone, Copy)]
pub enum Attribute<'e> {
    /// A context attribute: a string.
    Text(&'e str),
    /// JSON, such as the event's data.
    Json(&'e Value),
}

/// An event, seen by the names of its attributes (CloudEvents 1.0 section 3: `id`, `source`,
/// `type`, `subject`, `time`, extensions, and `data`).
pub trait EventView {
    /// The attribute, where the event has it.
    fn attribute(&self, name: &str) -> Option<Attribute<'_>>;
}

/// A structured-mode CloudEvent: an object whose fields are the attributes.
impl EventView for Value {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        self.as_object()?.get(name).map(Attribute::Json)
    }
}

/// An event in parts, borrowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventRef<'e> {
    /// `id`.
    pub id: &'e str,
    /// `source`.
    pub source: &'e str,
    /// `type`.
    pub kind: &'e str,
    /// `subject`.
    pub subject: Option<&'e str>,
    /// `data`.
    pub data: Option<&'e Value>,
}

impl EventView for EventRef<'_> {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        match name {
            "data" => self.data.map(Attribute::Json),
            "id" => Some(Attribute::Text(self.id)),
            "source" => Some(Attribute::Text(self.source)),
            "type" => Some(Attribute::Text(self.kind)),
            "subject" => self.subject.map(Attribute::Text),
            _ => None,
        }
    }
}
