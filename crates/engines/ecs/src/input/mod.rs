//! What comes in before it is an event: lines, syslog, OTLP, files that hold many records.

pub mod lines;
pub mod otlp;
pub mod syslog;
pub mod unfold;
