//! The catalogue: what this program's own parts say to each other, and what they expect of usage.
//!
//! One file a family. An event of a type that stands here is checked when it comes in, so that no consumer
//! ever meets one that it cannot read; other types are accepted as they are and stored.

mod audit;
mod check;
mod schema;
mod usage;

pub use check::Catalogue;
pub use schema::json_schema;

/// Event types of one subject.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The family's name, the second part of its types.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Its types.
    pub types: &'static [EventType],
}

/// What events of one type carry in `data`. Members beyond these are allowed and kept.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// The `type` attribute, with its version.
    pub name: &'static str,
    /// What one event says.
    pub title: &'static str,
    /// The members of `data`.
    pub fields: &'static [Field],
}

/// A member of `data`.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: FieldKind,
    /// Whether it must be there; one that need not be may also be null.
    pub required: bool,
    /// What it means, with its unit.
    pub doc: &'static str,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A number of at least zero that a decimal of 28 digits holds exactly.
    Quantity,
    /// A whole number from 0 to 2^63 − 1.
    Count,
    /// Text of 1 to this many bytes (as JSON writes it).
    Text(usize),
    /// RFC 3339.
    Time,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// SHA-256 as 64 lower-case hexadecimal digits.
    Digest,
}

/// All families.
pub const FAMILIES: &[Family] = &[usage::FAMILY, audit::FAMILY];

/// The type of this name, if the catalogue has it.
pub fn event_type(name: &str) -> Option<&'static EventType> {
    FAMILIES
        .iter()
        .flat_map(|family| family.types)
        .find(|t| t.name == name)
}
