//! What is wrong with an event or with a request, and where.

use std::fmt;

/// The kind of an event's error; [`ErrorCode::as_str`] is the stable name that clients match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The text is not JSON (RFC 8259).
    InvalidJson,
    /// A string is not UTF-8 (RFC 8259 section 8.1).
    InvalidUtf8,
    /// A string has half of a surrogate pair (RFC 8259 section 8.2).
    LoneSurrogate,
    /// An object has two members of one name.
    DuplicateMember,
    /// A number is not a finite one, or has too many digits.
    NumberOutOfRange,
    /// Nested deeper than the limit.
    TooDeep,
    /// Longer than the limit.
    TooLarge,
    /// A required attribute is missing.
    MissingAttribute,
    /// An attribute's name, type or value breaks the specification.
    InvalidAttribute,
    /// The payload breaks the specification.
    InvalidData,
}

impl ErrorCode {
    /// The stable name, in kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid-json",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::LoneSurrogate => "lone-surrogate",
            Self::DuplicateMember => "duplicate-member",
            Self::NumberOutOfRange => "number-out-of-range",
            Self::TooDeep => "too-deep",
            Self::TooLarge => "too-large",
            Self::MissingAttribute => "missing-attribute",
            Self::InvalidAttribute => "invalid-attribute",
            Self::InvalidData => "invalid-data",
        }
    }

    /// Whether the text itself could not be read, as opposed to an event that says something wrong.
    pub const fn is_syntax(self) -> bool {
        matches!(
            self,
            Self::InvalidJson | Self::InvalidUtf8 | Self::LoneSurrogate | Self::DuplicateMember
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one event is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError {
    /// The kind.
    pub code: ErrorCode,
    /// Where in the event, as a JSON Pointer (RFC 6901); empty for the event as a whole.
    pub pointer: String,
    /// Where in the request's body, in bytes from its start; `None` when it is in a header.
    pub offset: Option<usize>,
    /// What is wrong and what to do.
    pub detail: String,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "event"
        } else {
            &self.pointer
        };
        match self.offset {
            Some(offset) => write!(f, "{pointer} (byte {offset}): {}", self.detail),
            None => write!(f, "{pointer}: {}", self.detail),
        }
    }
}

impl std::error::Error for EventError {}

/// Why a request holds no events that could be looked at one by one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The content type is none that carries CloudEvents, or a charset other than UTF-8 (HTTP 415).
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// More events than the limit (HTTP 413).
    #[error("the batch has more than {limit} events; split it")]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
    /// The body is not a batch, or is empty where an event was promised (HTTP 400).
    #[error("{0}")]
    Malformed(EventError),
}
