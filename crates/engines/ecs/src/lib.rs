//! Events of many sources as Elastic Common Schema.
//!
//! [`Normaliser`] finds out which source an event is from and writes it as ECS: the mapping of each
//! source is a file (`mappings/*.toml`, form in [`mapping`]). What has no place in ECS stays under the
//! namespace of the source, so nothing is lost. [`validate()`] checks an event against the schema:
//! names, types, allowed values, lists, pairs of category and type. [`input`] reads syslog, OTLP logs
//! and files of lines; [`address`] says what kind of network an address is from, [`geo`] is how a
//! caller tells where it is. Nothing here reads files, the clock or the network.

pub mod address;
pub mod beside;
mod convert;
mod derive;
mod fingerprint;
pub mod geo;
pub mod input;
mod json;
pub mod mapping;
mod normalise;
mod render;
pub mod schema;
pub mod time;
pub mod validate;
mod walk;

pub use fingerprint::fingerprint;
pub use json::MAX_DEPTH;
pub use mapping::{Mapping, MappingError};
pub use normalise::{Context, Event, Normaliser, Source};
pub use validate::{Problem, validate};

/// Largest event that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;

/// Why an event cannot be read: it belongs to the dead letters, with this text as the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than [`MAX_BYTES`].
    #[error("the event has {0} bytes, at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// Not an object.
    #[error("an event is a JSON object")]
    NotAnObject,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("byte {byte}: nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Where the limit is passed.
        byte: usize,
    },
    /// No JSON.
    #[error("line {line}, column {column}: {detail}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser says.
        detail: String,
    },
    /// Bytes that are no UTF-8.
    #[error("byte {0}: not UTF-8")]
    Encoding(usize),
}

/// Which fields are made of an event. Raised whenever the same event would give others, so that what was kept of them is
/// made anew.
pub const VERSION: u32 = 1;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
