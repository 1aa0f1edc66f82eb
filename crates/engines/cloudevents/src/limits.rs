//! How much is read before it is refused.

/// Limits of one request. Whatever is larger is refused with an error that names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one event as it was sent (in binary mode: of the body).
    pub event_bytes: usize,
    /// Levels of nesting of one event, the event itself being the first.
    pub depth: usize,
    /// Events of one request.
    pub batch_events: usize,
    /// Bytes of one attribute's value.
    pub attribute_bytes: usize,
    /// Extension attributes of one event.
    pub extensions: usize,
}

impl Default for Limits {
    /// 256 KiB and 64 levels an event, 10,000 events a batch, 4 KiB an attribute, 64 extensions.
    fn default() -> Self {
        Self {
            event_bytes: 256 << 10,
            depth: 64,
            batch_events: 10_000,
            attribute_bytes: 4 << 10,
            extensions: 64,
        }
    }
}
