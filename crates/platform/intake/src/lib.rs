//! Durable, deduplicated acceptance of events and the log they go to.
