//! CloudEvents 1.0.2 over HTTP: binary, structured and batched content mode, and NDJSON.
//!
//! [`parse_request`] takes headers and a body and returns each event by itself: checked against the
//! specification and the [`Limits`], with its canonical JSON, whose SHA-256 is the event's digest
//! everywhere in Sealwright. Errors name a JSON pointer and a byte.
//!
//! Architecture invariant: no I/O, no clock, no environment. Text that came from outside never panics and
//! is never read deeper or longer than the limits say.

mod attribute;
mod draft;
mod error;
mod event;
mod http;
mod json;
mod limits;
mod media;
mod stops;
pub mod view;

pub use attribute::parse_time;
pub use draft::{Draft, segment};
pub use error::{ErrorCode, EventError, RequestError};
pub use event::Event;
pub use http::{
    ACCEPTED_TYPES, Mode, Parsed, parse_batch, parse_event, parse_lines, parse_request,
};
pub use limits::Limits;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
